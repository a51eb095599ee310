//! `workers.deploy.write`, in one of two forms.
//!
//! - Short: `{script_name, script}`. The script is one module: an ES module when it exports a
//!   default, a service worker otherwise (see `module_syntax`). It is turned into the full form
//!   with a module `worker.js`, so approvers see which of the two it was taken for.
//! - Full: `{script_name, main_module | body_part, modules, …}`. `main_module` names the module of
//!   an ES-module Worker where it starts, `body_part` the script of a service worker. `modules` has
//!   1..=256 entries (see `worker_module`), together at most 10 MiB.
//!
//! Both take `compatibility_date` (YYYY-MM-DD), `compatibility_flags`, `bindings` (see
//! `worker_binding`), `keep_bindings` (types of bindings to keep as they are),
//! `bindings_inherit: "strict"` (an inherited binding that does not exist fails the upload;
//! filled in wherever a binding is inherited), `migrations`, `logpush`, `placement: {mode:
//! "smart"}`, `observability: {enabled, head_sampling_rate?}`, `tags`.

use super::fields::{Fields, normalised, plain_text};
use super::module_syntax::is_es_module;
use super::worker_binding::{check_binding_type, parse_binding};
use super::worker_module::{ModuleType, WorkerModule};
use super::worker_script::ScriptName;
use super::{InvalidOperation, Scope, Warning};
use serde_json::{Map, Value, json};

/// Most bytes of all modules of one upload together.
const MOST_BYTES: usize = 10 * 1024 * 1024;
/// Most modules of one upload.
const MOST_MODULES: usize = 256;
/// The module's name in the short form.
const SHORT_FORM_MODULE: &str = "worker.js";
/// The only word that `bindings_inherit` takes.
const STRICT: &str = "strict";

/// Where a Worker starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// The ES module with the default export.
    MainModule(String),
    /// The script of a service worker.
    BodyPart(String),
}

impl Entry {
    /// Upstream's field for it, and the module's name.
    #[must_use]
    pub fn field(&self) -> (&'static str, &str) {
        match self {
            Self::MainModule(name) => ("main_module", name),
            Self::BodyPart(name) => ("body_part", name),
        }
    }

    fn parse(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        match (fields.text("main_module")?, fields.text("body_part")?) {
            (Some(name), None) => Ok(Self::MainModule(name.to_owned())),
            (None, Some(name)) => Ok(Self::BodyPart(name.to_owned())),
            _ => Err(fields.refuse(
                "main_module",
                "give main_module (ES modules) or body_part (service worker)",
            )),
        }
    }
}

/// A Worker script to upload.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkersDeploy {
    script_name: ScriptName,
    entry: Entry,
    modules: Vec<WorkerModule>,
    inherits_strictly: bool,
    /// The other fields of the upload's metadata, checked, under upstream's names.
    settings: Map<String, Value>,
}

impl WorkersDeploy {
    pub(super) fn parse(fields: &mut Fields<'_>) -> Result<Self, InvalidOperation> {
        let script_name = ScriptName::required(fields, "script_name")?;
        let (entry, modules) = match fields.text("script")? {
            Some(script) => short_form(script),
            None => full_form(fields)?,
        };
        let bytes: usize = modules.iter().map(|module| module.content().len()).sum();
        if modules.iter().any(|module| module.content().is_empty()) {
            return Err(fields.refuse_all("has an empty script or module"));
        }
        if bytes > MOST_BYTES {
            return Err(fields.refuse_all(format!(
                "modules have {bytes} bytes together; at most {MOST_BYTES} (10 MiB) are taken"
            )));
        }
        let settings = parse_settings(fields)?;
        let inherits = settings
            .get("bindings")
            .and_then(Value::as_array)
            .is_some_and(|all| {
                all.iter()
                    .any(|binding| binding.get("type") == Some(&json!("inherit")))
            });
        let strictly = match fields.text("bindings_inherit")? {
            None => false,
            Some(STRICT) => true,
            Some(_) => return Err(fields.refuse("bindings_inherit", "must be \"strict\"")),
        };
        check_parts(fields, &settings, &modules)?;
        Ok(Self {
            script_name,
            entry,
            modules,
            inherits_strictly: strictly || inherits,
            settings,
        })
    }

    /// The script's name.
    #[must_use]
    pub fn script_name(&self) -> &ScriptName {
        &self.script_name
    }

    /// Where the Worker starts.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.entry
    }

    /// Its modules, in the order in which they are uploaded.
    #[must_use]
    pub fn modules(&self) -> &[WorkerModule] {
        &self.modules
    }

    /// Whether the upload fails where a binding to inherit does not exist.
    #[must_use]
    pub fn inherits_strictly(&self) -> bool {
        self.inherits_strictly
    }

    /// The upload's `metadata` part.
    #[must_use]
    pub fn metadata(&self) -> Map<String, Value> {
        let mut metadata = self.settings.clone();
        let (field, name) = self.entry.field();
        metadata.insert(field.to_owned(), json!(name));
        metadata
    }

    pub(super) fn to_json(&self) -> Value {
        let mut params = self.metadata();
        params.insert("script_name".to_owned(), json!(self.script_name.as_str()));
        let modules: Vec<_> = self.modules.iter().map(WorkerModule::to_json).collect();
        params.insert("modules".to_owned(), Value::Array(modules));
        if self.inherits_strictly {
            params.insert("bindings_inherit".to_owned(), json!(STRICT));
        }
        Value::Object(params)
    }

    pub(super) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = vec![Warning::new(
            "replaces_code",
            "the script's code is replaced and runs on every request to its routes at once",
        )];
        warnings.push(match self.settings.get("bindings") {
            Some(_) => Warning::new(
                "changes_bindings",
                "the script's bindings become these; they decide what data it can reach",
            ),
            None => Warning::new(
                "drops_bindings",
                "no bindings are named: those that the script has now are dropped, except for the \
                 types in keep_bindings",
            ),
        });
        if let Some(migrations) = self.settings.get("migrations") {
            warnings.push(Warning::new(
                "migrates_durable_objects",
                "migrations of Durable Objects cannot be undone",
            ));
            if deletes_classes(migrations) {
                warnings.push(Warning::new(
                    "deletes_durable_objects",
                    "a migration deletes classes of Durable Objects with all their data",
                ));
            }
        }
        warnings
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        let kind = match self.entry {
            Entry::MainModule(_) => "ES modules",
            Entry::BodyPart(_) => "service worker",
        };
        let bytes: usize = self
            .modules
            .iter()
            .map(|module| module.content().len())
            .sum();
        let name = &self.script_name;
        format!(
            "Deploy Worker {name} in {scope} ({kind}, {} in {bytes} bytes)",
            self.modules.len()
        )
    }
}

/// Whether the migrations, or any step of them, delete a class.
fn deletes_classes(migrations: &Value) -> bool {
    let list = |name: &str| {
        let found = migrations.get(name).and_then(Value::as_array);
        found.map(Vec::as_slice).unwrap_or_default()
    };
    !list("deleted_classes").is_empty() || list("steps").iter().any(deletes_classes)
}

fn short_form(script: &str) -> (Entry, Vec<WorkerModule>) {
    let name = SHORT_FORM_MODULE.to_owned();
    let (entry, module_type) = if is_es_module(script) {
        (Entry::MainModule(name), ModuleType::EsModule)
    } else {
        (Entry::BodyPart(name), ModuleType::Script)
    };
    (
        entry,
        vec![WorkerModule::of_script(
            SHORT_FORM_MODULE,
            module_type,
            script,
        )],
    )
}

fn full_form(fields: &mut Fields<'_>) -> Result<(Entry, Vec<WorkerModule>), InvalidOperation> {
    if !fields.has("modules") {
        return Err(fields.refuse_all("needs script, or modules with main_module or body_part"));
    }
    let entry = Entry::parse(fields)?;
    let body_part = match &entry {
        Entry::BodyPart(name) => Some(name.as_str()),
        Entry::MainModule(_) => None,
    };
    let modules = fields
        .list("modules", 1..=MOST_MODULES)?
        .unwrap_or_default()
        .into_iter()
        .map(|(path, module)| WorkerModule::parse(module, path, body_part))
        .collect::<Result<Vec<_>, _>>()?;
    for (index, module) in modules.iter().enumerate() {
        if modules
            .iter()
            .take(index)
            .any(|earlier| earlier.name() == module.name())
        {
            return Err(InvalidOperation::new(
                format!("{}[{index}].name", fields.path("modules")),
                "is the name of another module too",
            ));
        }
    }
    let (field, name) = entry.field();
    let field_is_right = match modules.iter().find(|module| module.name() == name) {
        None => Err("must be the name of one of the modules".to_owned()),
        Some(module) => match (&entry, module.module_type()) {
            (Entry::MainModule(_), ModuleType::EsModule | ModuleType::Python)
            | (Entry::BodyPart(_), ModuleType::Script) => Ok(()),
            (_, other) => Err(format!("cannot be a module of type {}", other.as_str())),
        },
    };
    field_is_right.map_err(|problem| fields.refuse(field, problem))?;
    Ok((entry, modules))
}

fn parse_settings(fields: &mut Fields<'_>) -> Result<Map<String, Value>, InvalidOperation> {
    let mut settings = Map::new();
    let mut keep = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            settings.insert(name.to_owned(), value);
        }
    };
    let date = fields.text("compatibility_date")?;
    if date.is_some_and(|date| date.len() != 10 || date.parse::<jiff::civil::Date>().is_err()) {
        return Err(fields.refuse("compatibility_date", "must be a date such as 2026-01-31"));
    }
    keep("compatibility_date", date.map(Value::from));
    let flags = fields.texts("compatibility_flags", 0..=64, |text| {
        let fine = (1..=64).contains(&text.len())
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b':'));
        if fine {
            Ok(())
        } else {
            Err("must be a flag such as nodejs_compat".to_owned())
        }
    })?;
    keep("compatibility_flags", flags.map(Value::from));
    if let Some(bindings) = fields.list("bindings", 0..=128)? {
        let bindings = bindings
            .into_iter()
            .map(|(path, binding)| parse_binding(binding, path).map(Value::Object))
            .collect::<Result<Vec<_>, _>>()?;
        keep("bindings", Some(Value::Array(bindings)));
    }
    keep(
        "keep_bindings",
        fields
            .texts("keep_bindings", 0..=32, check_binding_type)?
            .map(Value::from),
    );
    if let Some(value) = fields.value("migrations") {
        if value.as_object().is_none_or(Map::is_empty) {
            return Err(fields.refuse("migrations", "must be an object of upstream's form"));
        }
        keep("migrations", Some(normalised(value)));
    }
    keep("logpush", fields.flag("logpush")?.map(Value::from));
    if let Some(value) = fields.value("placement") {
        let mut placement = Fields::of(value, fields.path("placement"))?;
        if placement.required_text("mode")? != "smart" {
            return Err(placement.refuse("mode", "must be smart"));
        }
        placement.finish()?;
        keep("placement", Some(json!({"mode": "smart"})));
    }
    if let Some(value) = fields.value("observability") {
        let mut observability = Fields::of(value, fields.path("observability"))?;
        let on = observability
            .flag("enabled")?
            .ok_or_else(|| observability.refuse("enabled", "is required"))?;
        let mut kept = json!({"enabled": on});
        if let Some(rate) = observability.value("head_sampling_rate") {
            if !rate
                .as_f64()
                .is_some_and(|rate| (0.0..=1.0).contains(&rate))
            {
                return Err(observability.refuse("head_sampling_rate", "must be 0..1"));
            }
            if let Some(kept) = kept.as_object_mut() {
                kept.insert("head_sampling_rate".to_owned(), normalised(rate));
            }
        }
        observability.finish()?;
        keep("observability", Some(kept));
    }
    let tags = fields.texts("tags", 0..=8, |text| {
        let fine = plain_text(text, 1..=1024).is_ok() && !text.contains([',', '&']);
        if fine {
            Ok(())
        } else {
            Err("must have 1..1024 characters without , and &".to_owned())
        }
    })?;
    keep("tags", tags.map(Value::from));
    Ok(settings)
}

/// Bindings that name a part of the upload must name one that is there; no two share a name.
fn check_parts(
    fields: &Fields<'_>,
    settings: &Map<String, Value>,
    modules: &[WorkerModule],
) -> Result<(), InvalidOperation> {
    let bindings = settings.get("bindings").and_then(Value::as_array);
    let text = |binding: &Value, field: &str| {
        binding
            .get(field)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let mut names = Vec::new();
    for (index, binding) in bindings.into_iter().flatten().enumerate() {
        let path = |field: &str| format!("{}[{index}].{field}", fields.path("bindings"));
        if let Some(part) = text(binding, "part")
            && !modules.iter().any(|module| module.name() == part)
        {
            return Err(InvalidOperation::new(
                path("part"),
                "must be the name of one of the modules",
            ));
        }
        let name = text(binding, "name");
        if names.contains(&name) {
            return Err(InvalidOperation::new(
                path("name"),
                "is the name of another binding too",
            ));
        }
        names.push(name);
    }
    Ok(())
}
