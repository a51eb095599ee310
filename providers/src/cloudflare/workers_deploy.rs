//! `workers.deploy.write`, in one of two forms.
//!
//! - Short: `{script_name, script}`. The script is one module, `worker.js`: an ES module or a service
//!   worker, as its code says (see `module_syntax`). Where that cannot be told for certain, or to say
//!   it anyhow, `main_module` (ES module) or `body_part` (service worker) with a name stands beside it.
//!   It is turned into the full form, so approvers see which of the two it was taken for.
//! - Full: `{script_name, main_module | body_part, modules, …}`. `main_module` names the module of
//!   an ES-module Worker where it starts, `body_part` the script of a service worker. `modules` has
//!   1..=4096 entries (see `worker_module`), together at most 10 MiB.
//!
//! Both take the settings of `worker_settings`.

use super::Before;
use super::fields::Fields;
use super::module_syntax::{Syntax, syntax_of};
use super::object_id::ScriptName;
use super::says_secret;
use super::values::says_something;
use super::worker_module::{ModuleType, WorkerModule, check_name};
use super::worker_settings::{STRICT, bindings_of, parse_settings};
use super::{InvalidOperation, Scope, Warning, shown};
use ledger::operation::{FormPart, ForwardedBody, ForwardedRequest};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// Most bytes of all modules of one upload together.
const MOST_BYTES: usize = 10 * 1024 * 1024;
const MOST_MODULES: usize = 4096;
/// The name of the file that a request without a form is.
const BARE: &str = "body";
/// The module's name in the short form.
const SHORT_FORM_MODULE: &str = "worker.js";

/// The settings of a script that upstream always shows, and that an upload drops unless it names them.
/// Bindings and assets are apart.
pub(super) const SCRIPT_SETTINGS: [&str; 8] = [
    "compatibility_date",
    "compatibility_flags",
    "limits",
    "logpush",
    "observability",
    "placement",
    "tags",
    "tail_consumers",
];

/// Where a Worker starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum EntryPoint {
    /// The ES module with the default export.
    MainModule(String),
    /// The script of a service worker.
    BodyPart(String),
}

impl EntryPoint {
    /// Upstream's field for it, and the module's name.
    pub(super) fn field(&self) -> (&'static str, &str) {
        match self {
            Self::MainModule(name) => ("main_module", name),
            Self::BodyPart(name) => ("body_part", name),
        }
    }

    fn parse(fields: &mut Fields<'_>) -> Result<Option<Self>, InvalidOperation> {
        match (fields.text("main_module")?, fields.text("body_part")?) {
            (Some(name), None) => Ok(Some(Self::MainModule(name.to_owned()))),
            (None, Some(name)) => Ok(Some(Self::BodyPart(name.to_owned()))),
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(fields.refuse("main_module", ONE_ENTRY)),
        }
    }
}

const ONE_ENTRY: &str = "give main_module (ES modules) or body_part (service worker)";

/// A Worker script to upload.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct WorkersDeploy {
    script_name: ScriptName,
    entry: EntryPoint,
    modules: Vec<WorkerModule>,
    inherits_strictly: bool,
    /// The other fields of the upload's metadata, checked, under upstream's names.
    settings: Map<String, Value>,
}

impl WorkersDeploy {
    pub(super) fn parse(mut fields: Fields<'_>) -> Result<Self, InvalidOperation> {
        let script_name = ScriptName::required(&mut fields, "script_name")?;
        let (entry, modules) = match fields.text("script")? {
            Some(script) => short_form(&mut fields, script)?,
            None => full_form(&mut fields)?,
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
        let names: BTreeSet<_> = modules.iter().map(WorkerModule::name).collect();
        let settings = parse_settings(fields, &names)?;
        let inherits = bindings_of(&settings.metadata)
            .iter()
            .any(|binding| binding.get("type") == Some(&json!("inherit")));
        Ok(Self {
            script_name,
            entry,
            modules,
            inherits_strictly: settings.inherits_strictly || inherits,
            settings: settings.metadata,
        })
    }

    /// The upload of a client's own request, unchecked: what it says is told to people, and never sent from here.
    pub(super) fn as_sent(
        script_name: ScriptName,
        request: &ForwardedRequest,
        body: &ForwardedBody,
    ) -> Option<Self> {
        let (mut settings, modules) = match body {
            ForwardedBody::Form(form) => {
                let metadata = form.part("metadata").and_then(FormPart::json);
                let settings = metadata.as_ref().and_then(Value::as_object).cloned();
                let parts = form.parts.iter().filter(|part| part.name != "metadata");
                let modules = parts.map(|part| {
                    let media_type = part.content_type.as_deref().unwrap_or_default();
                    WorkerModule::as_sent(&part.name, media_type, &part.content)
                });
                (settings.unwrap_or_default(), modules.collect())
            }
            // A service worker may come as its bare script.
            ForwardedBody::Other => {
                let module = WorkerModule::as_sent(BARE, &request.media_type(), &request.body);
                (Map::new(), vec![module])
            }
            ForwardedBody::Json(_) | ForwardedBody::Nothing => return None,
        };
        settings.retain(|_, value| !value.is_null());
        let mut named = |field: &str| {
            let name = settings.remove(field)?;
            name.as_str().map(str::to_owned)
        };
        let (main, body_part) = (named("main_module"), named("body_part"));
        let entry = match (main, body_part) {
            (Some(name), _) => EntryPoint::MainModule(name),
            (None, name) => EntryPoint::BodyPart(name.unwrap_or_else(|| BARE.to_owned())),
        };
        Some(Self {
            script_name,
            entry,
            modules,
            inherits_strictly: false,
            settings,
        })
    }

    /// Refuses text that people could not read. What is in the ledger was checked in its day.
    pub(super) fn check_text(&self) -> Result<(), InvalidOperation> {
        match self.modules.iter().find_map(WorkerModule::unreadable) {
            Some(why) => Err(InvalidOperation::new("params", why)),
            None => Ok(()),
        }
    }

    pub(super) fn script_name(&self) -> &ScriptName {
        &self.script_name
    }

    /// Where the Worker starts.
    pub(super) fn entry(&self) -> &EntryPoint {
        &self.entry
    }

    /// Its modules, in the order in which they are uploaded.
    pub(super) fn modules(&self) -> &[WorkerModule] {
        &self.modules
    }

    /// True when the upload fails where a binding to inherit does not exist.
    pub(super) fn inherits_strictly(&self) -> bool {
        self.inherits_strictly
    }

    /// The upload's `metadata` part.
    pub(super) fn metadata(&self) -> Map<String, Value> {
        let mut metadata = self.settings.clone();
        let (field, name) = self.entry.field();
        metadata.insert(field.to_owned(), json!(name));
        metadata
    }

    /// The settings that say what a script has that names none.
    pub(super) fn defaults(&self) -> Vec<&'static str> {
        let is_default = |name: &str| {
            let value = self.settings.get(name);
            value.is_some_and(|value| match name {
                "logpush" => *value == json!(false),
                "observability" => *value == json!({"enabled": false}),
                "limits" | "placement" => *value == json!({}),
                "compatibility_flags" | "tags" | "tail_consumers" => *value == json!([]),
                _ => false,
            })
        };
        SCRIPT_SETTINGS
            .into_iter()
            .filter(|name| is_default(name))
            .collect()
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

    pub(super) fn warnings(&self, before: &Before<'_>) -> Vec<Warning> {
        let mut warnings = Vec::new();
        warnings.push(if before.is_absent("script") {
            Warning::new("new_script", "the script is new: nothing is replaced")
        } else {
            Warning::danger(
                "replaces_code",
                "the script's code is replaced and runs on every request to its routes at once",
            )
        });
        if self.settings.contains_key("bindings") {
            warnings.push(Warning::new(
                "changes_bindings",
                "the script's bindings become these; they decide what data it can reach",
            ));
        }
        let hosts = self.new_hosts(before);
        if !hosts.is_empty() {
            warnings.push(Warning::new(
                "new_hosts",
                format!(
                    "names hosts that the running code does not: {}",
                    some_of(&hosts)
                ),
            ));
        }
        let lost = self.lost(before);
        if !lost.is_empty() {
            let names: Vec<_> = lost.keys().cloned().collect();
            warnings.push(Warning::danger(
                "loses_settings",
                format!("the script has now and loses: {}", some_of(&names)),
            ));
        } else if before.state.is_none() && !self.settings.contains_key("bindings") {
            warnings.push(Warning::new(
                "drops_bindings",
                "no bindings are named: those that the script has now are dropped, except for the \
                 types in keep_bindings",
            ));
        }
        for binding in bindings_of(&self.settings) {
            let text = |field: &str| binding.get(field).and_then(Value::as_str);
            let name = text("name").unwrap_or_default();
            if text("type") == Some("plain_text") && says_secret(name) {
                warnings.push(Warning::danger(
                    "plain_text_secret",
                    format!(
                        "the name of the plain text {} says that it is a secret: everybody who may \
                         read the script or the ledger can read it",
                        shown(name, 80)
                    ),
                ));
                break;
            }
        }
        if let Some(migrations) = self.settings.get("migrations") {
            warnings.push(Warning::danger(
                "migrates_durable_objects",
                "migrations of Durable Objects cannot be undone",
            ));
            if deletes_classes(migrations) {
                warnings.push(Warning::danger(
                    "deletes_durable_objects",
                    "a migration deletes classes of Durable Objects with all their data",
                ));
            }
        }
        warnings
    }

    /// What the script has now and this upload does not name: it is dropped. Bindings by their names,
    /// settings as they are.
    pub(super) fn lost(&self, before: &Before<'_>) -> Map<String, Value> {
        let Some(now) = before.object("script") else {
            return Map::new();
        };
        let text = |binding: &Value, field: &str| {
            let text = binding.get(field).and_then(Value::as_str);
            text.unwrap_or_default().to_owned()
        };
        let kept = self.settings.get("keep_bindings").and_then(Value::as_array);
        let kept = kept.map(Vec::as_slice).unwrap_or_default();
        let has_assets = self.settings.get("keep_assets") == Some(&json!(true))
            || self.settings.contains_key("assets");
        let named = bindings_of(&self.settings);
        let names: BTreeSet<_> = named.iter().map(|binding| text(binding, "name")).collect();
        let mut lost = Map::new();
        for binding in bindings_of(now) {
            let (binding_type, name) = (text(binding, "type"), text(binding, "name"));
            if !names.contains(&name) && !kept.contains(&json!(binding_type)) {
                lost.insert(format!("bindings.{name}"), binding.clone());
            }
            if binding_type == "assets" && !has_assets {
                lost.insert("assets".to_owned(), json!("all static files"));
            }
        }
        for name in SCRIPT_SETTINGS {
            if let Some(value) = now.get(name).filter(|value| says_something(value))
                && !self.settings.contains_key(name)
            {
                lost.insert(name.to_owned(), value.clone());
            }
        }
        lost
    }

    pub(super) fn summary(&self, scope: &Scope) -> String {
        let kind = match (&self.entry, self.modules.len()) {
            (EntryPoint::MainModule(_), 1) => "1 ES module".to_owned(),
            (EntryPoint::MainModule(_), count) => format!("{count} ES modules"),
            (EntryPoint::BodyPart(_), 1) => "service worker in 1 part".to_owned(),
            (EntryPoint::BodyPart(_), count) => format!("service worker in {count} parts"),
        };
        let bytes: usize = self
            .modules
            .iter()
            .map(|module| module.content().len())
            .sum();
        let name = &self.script_name;
        format!("Deploy Worker {name} in {scope} ({kind}, {bytes} bytes)")
    }
}

/// The first ten names, and how many more there are.
fn some_of(names: &[String]) -> String {
    let some: Vec<_> = names.iter().take(10).map(|name| shown(name, 80)).collect();
    let more = match names.len().saturating_sub(some.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", some.join(", "))
}

/// True when the migrations, or any step of them, delete a class.
fn deletes_classes(migrations: &Value) -> bool {
    let list = |name: &str| {
        let found = migrations.get(name).and_then(Value::as_array);
        found.map(Vec::as_slice).unwrap_or_default()
    };
    !list("deleted_classes").is_empty() || list("steps").iter().any(deletes_classes)
}

fn short_form(
    fields: &mut Fields<'_>,
    script: &str,
) -> Result<(EntryPoint, Vec<WorkerModule>), InvalidOperation> {
    if fields.has("modules") {
        return Err(fields.refuse("modules", "give either script or modules, not both"));
    }
    let entry = match (EntryPoint::parse(fields)?, syntax_of(script)) {
        (Some(entry), _) => entry,
        (None, Syntax::Module) => EntryPoint::MainModule(SHORT_FORM_MODULE.to_owned()),
        (None, Syntax::Script) => EntryPoint::BodyPart(SHORT_FORM_MODULE.to_owned()),
        (None, Syntax::Undecided) => {
            return Err(fields.refuse(
                "script",
                format!(
                    "may be an ES module or a service worker, which cannot be told for certain: say \
                     main_module: \"{SHORT_FORM_MODULE}\" (ES module) or body_part: \
                     \"{SHORT_FORM_MODULE}\" (service worker) beside it"
                ),
            ));
        }
    };
    let (field, name) = entry.field();
    check_name(name).map_err(|problem| fields.refuse(field, problem))?;
    let module_type = match &entry {
        EntryPoint::MainModule(_) => ModuleType::EsModule,
        EntryPoint::BodyPart(_) => ModuleType::Script,
    };
    let module = WorkerModule::of_script(name, module_type, script);
    Ok((entry, vec![module]))
}

fn full_form(fields: &mut Fields<'_>) -> Result<(EntryPoint, Vec<WorkerModule>), InvalidOperation> {
    if !fields.has("modules") {
        return Err(fields.refuse_all("needs script, or modules with main_module or body_part"));
    }
    let entry =
        EntryPoint::parse(fields)?.ok_or_else(|| fields.refuse("main_module", ONE_ENTRY))?;
    let body_part = match &entry {
        EntryPoint::BodyPart(name) => Some(name.as_str()),
        EntryPoint::MainModule(_) => None,
    };
    let modules = fields
        .list("modules", 1..=MOST_MODULES)?
        .unwrap_or_default()
        .into_iter()
        .map(|module| WorkerModule::parse(module, body_part))
        .collect::<Result<Vec<_>, _>>()?;
    let mut names = BTreeSet::new();
    for (index, module) in modules.iter().enumerate() {
        if !names.insert(module.name()) {
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
            (EntryPoint::MainModule(_), ModuleType::EsModule | ModuleType::Python)
            | (EntryPoint::BodyPart(_), ModuleType::Script)
            // Upstream knows what it can start.
            | (_, ModuleType::Other(_)) => Ok(()),
            (_, other) => Err(format!("cannot be a module of type {}", other.as_str())),
        },
    };
    field_is_right.map_err(|problem| fields.refuse(field, problem))?;
    Ok((entry, modules))
}
