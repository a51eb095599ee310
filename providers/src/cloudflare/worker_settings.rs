//! The settings of an upload beside its code: `compatibility_date` (YYYY-MM-DD),
//! `compatibility_flags`, `bindings` (see `worker_binding`), `keep_bindings` (types of bindings to keep
//! as they are), `bindings_inherit: "strict"` (an inherited binding that does not exist fails the
//! upload; filled in wherever a binding is inherited), `migrations`, `logpush`, `placement`,
//! `observability`, `tags`, `limits`, `tail_consumers`, `assets`, `keep_assets`; every other field is
//! passed on in the upload's metadata.
//!
//! `assets` may hold the `jwt` with which upstream answered an upload of files. It is recorded: it names
//! those files for an hour and is worth nothing without a credential of the account.

use super::InvalidOperation;
use super::fields::{Fields, normalised, plain_text};
use super::worker_binding::{check_binding_type, is_known_binding_type, parse_binding};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The only word that `bindings_inherit` takes. It is a parameter of the request and no field of the
/// metadata, so nothing else can be passed on in it.
pub(super) const STRICT: &str = "strict";

const MOST_BINDINGS: usize = 1000;

/// The settings of an upload, beside its code.
pub(super) struct Settings {
    /// Under upstream's names, in the form that is sent.
    pub(super) metadata: Map<String, Value>,
    /// True when `bindings_inherit` says so.
    pub(super) inherits_strictly: bool,
}

/// The bindings that an upload's metadata or a script's settings name.
pub(super) fn bindings_of(settings: &Map<String, Value>) -> &[Value] {
    settings
        .get("bindings")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

/// Reads everything that is left of the params.
pub(super) fn parse_settings(
    mut fields: Fields<'_>,
    modules: &BTreeSet<&str>,
) -> Result<Settings, InvalidOperation> {
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
        plain_text(text, 1..=128)
    })?;
    keep("compatibility_flags", flags.map(Value::from));
    let bindings = parse_bindings(&mut fields, modules)?;
    keep("bindings", bindings.map(Value::from));
    keep(
        "keep_bindings",
        parse_keep_bindings(&mut fields)?.map(Value::from),
    );
    if let Some(value) = fields.value("migrations") {
        if value.as_object().is_none_or(Map::is_empty) {
            return Err(fields.refuse("migrations", "must be an object of upstream's form"));
        }
        keep("migrations", Some(normalised(value)));
    }
    keep("logpush", fields.flag("logpush")?.map(Value::from));
    keep("keep_assets", fields.flag("keep_assets")?.map(Value::from));
    let placement = fields
        .object("placement")?
        .map(parse_placement)
        .transpose()?;
    keep("placement", placement);
    let observability = fields.object("observability")?;
    keep(
        "observability",
        observability.map(parse_observability).transpose()?,
    );
    let tags = fields.texts("tags", 0..=8, |text| {
        let fine = plain_text(text, 1..=1024).is_ok() && !text.contains([',', '&']);
        if fine {
            Ok(())
        } else {
            Err("must have 1..1024 characters without , and &".to_owned())
        }
    })?;
    keep("tags", tags.map(Value::from));
    keep(
        "limits",
        fields.object("limits")?.map(parse_limits).transpose()?,
    );
    keep("tail_consumers", parse_tail_consumers(&mut fields)?);
    keep(
        "assets",
        fields.object("assets")?.map(parse_assets).transpose()?,
    );
    let inherits_strictly = match fields.text("bindings_inherit")? {
        None => false,
        Some(STRICT) => true,
        Some(_) => return Err(fields.refuse("bindings_inherit", "must be \"strict\"")),
    };
    let mut metadata = fields.rest()?;
    metadata.append(&mut settings);
    Ok(Settings {
        metadata,
        inherits_strictly,
    })
}

/// Bindings that name a part of the upload must name one that is there; no two share a name.
fn parse_bindings(
    fields: &mut Fields<'_>,
    modules: &BTreeSet<&str>,
) -> Result<Option<Vec<Value>>, InvalidOperation> {
    let Some(items) = fields.list("bindings", 0..=MOST_BINDINGS)? else {
        return Ok(None);
    };
    let mut names = BTreeSet::new();
    let mut bindings = Vec::with_capacity(items.len());
    for item in items {
        let binding = parse_binding(item.clone())?;
        let text = |field: &str| binding.get(field).and_then(Value::as_str);
        if let Some(part) = text("part")
            && !modules.contains(part)
        {
            return Err(item.refuse_field("part", "must be the name of one of the modules"));
        }
        if !names.insert(text("name").map(str::to_owned)) {
            return Err(item.refuse_field("name", "is the name of another binding too"));
        }
        bindings.push(Value::Object(binding));
    }
    Ok(Some(bindings))
}

fn parse_keep_bindings(fields: &mut Fields<'_>) -> Result<Option<Vec<String>>, InvalidOperation> {
    const NAME: &str = "keep_bindings";
    for item in fields.list(NAME, 0..=64)?.into_iter().flatten() {
        if item
            .value
            .as_str()
            .is_some_and(|text| !is_known_binding_type(text))
        {
            item.mark();
        }
    }
    fields.texts(NAME, 0..=64, check_binding_type)
}

fn parse_placement(mut fields: Fields<'_>) -> Result<Value, InvalidOperation> {
    let mode = fields.open_text("mode", &["smart"])?;
    let mut placement = fields.rest()?;
    if let Some(mode) = mode {
        placement.insert("mode".to_owned(), json!(mode));
    }
    Ok(Value::Object(placement))
}

fn parse_observability(mut fields: Fields<'_>) -> Result<Value, InvalidOperation> {
    let on = fields
        .flag("enabled")?
        .ok_or_else(|| fields.refuse("enabled", "is required"))?;
    let rate = fields.value("head_sampling_rate").map(normalised);
    let is_rate = |rate: &Value| {
        rate.as_f64()
            .is_some_and(|rate| (0.0..=1.0).contains(&rate))
    };
    if rate.as_ref().is_some_and(|rate| !is_rate(rate)) {
        return Err(fields.refuse("head_sampling_rate", "must be 0..1"));
    }
    let mut observability = fields.rest()?;
    observability.insert("enabled".to_owned(), json!(on));
    if let Some(rate) = rate {
        observability.insert("head_sampling_rate".to_owned(), rate);
    }
    Ok(Value::Object(observability))
}

fn parse_limits(mut fields: Fields<'_>) -> Result<Value, InvalidOperation> {
    let cpu = fields.integer("cpu_ms", 1..=86_400_000)?;
    let mut limits = fields.rest()?;
    if let Some(cpu) = cpu {
        limits.insert("cpu_ms".to_owned(), json!(cpu));
    }
    Ok(Value::Object(limits))
}

/// `[{service, environment?, namespace?}]`
fn parse_tail_consumers(fields: &mut Fields<'_>) -> Result<Option<Value>, InvalidOperation> {
    let Some(items) = fields.list("tail_consumers", 0..=64)? else {
        return Ok(None);
    };
    let mut consumers = Vec::with_capacity(items.len());
    for item in items {
        let mut fields = item.fields()?;
        let mut consumer = Map::new();
        for name in ["service", "environment", "namespace"] {
            if let Some(text) = fields.plain(name, 1..=255)? {
                consumer.insert(name.to_owned(), json!(text));
            }
        }
        if !consumer.contains_key("service") {
            return Err(fields.refuse("service", "is required"));
        }
        consumer.extend(fields.rest()?);
        consumers.push(Value::Object(consumer));
    }
    Ok(Some(Value::Array(consumers)))
}

/// `{jwt?, config?}`
fn parse_assets(mut fields: Fields<'_>) -> Result<Value, InvalidOperation> {
    let jwt = fields.plain("jwt", 1..=16_384)?;
    let config = fields.object("config")?.map(Fields::rest).transpose()?;
    let mut assets = fields.rest()?;
    if let Some(jwt) = jwt {
        assets.insert("jwt".to_owned(), json!(jwt));
    }
    if let Some(config) = config {
        assets.insert("config".to_owned(), Value::Object(config));
    }
    Ok(Value::Object(assets))
}
