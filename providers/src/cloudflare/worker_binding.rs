//! Bindings of a Worker: `{type, name, …}`, the other fields as upstream names them for the type.
//!
//! The set of types is open, and so are the fields of each. Only what carries a secret is refused, for
//! params are recorded for good: the types that are known to, and in what is not known here the names
//! that say so (see `admission`). A secret is put upstream beforehand and kept by
//! `{type: "inherit", name}` or by `keep_bindings: ["secret_text"]`.

use super::InvalidOperation;
use super::fields::{At, normalised, plain_text};
use super::worker_module::check_name;
use serde_json::{Map, Value, json};

#[derive(Clone, Copy)]
enum Kind {
    Text,
    OptionalText,
    /// The name of a module of the upload.
    Part,
    Json,
}

/// For each type, its fields beside `type` and `name`.
const BINDINGS: &[(&str, &[(&str, Kind)])] = &[
    ("ai", &[]),
    ("analytics_engine", &[("dataset", Kind::Text)]),
    ("assets", &[]),
    ("browser", &[]),
    (
        "d1",
        &[
            ("database_id", Kind::OptionalText),
            ("id", Kind::OptionalText),
        ],
    ),
    ("data_blob", &[("part", Kind::Part)]),
    ("dispatch_namespace", &[("namespace", Kind::Text)]),
    (
        "durable_object_namespace",
        &[
            ("class_name", Kind::OptionalText),
            ("environment", Kind::OptionalText),
            ("namespace_id", Kind::OptionalText),
            ("script_name", Kind::OptionalText),
        ],
    ),
    ("hyperdrive", &[("id", Kind::Text)]),
    ("images", &[]),
    (
        "inherit",
        &[
            ("old_name", Kind::OptionalText),
            ("version_id", Kind::OptionalText),
        ],
    ),
    ("json", &[("json", Kind::Json)]),
    ("kv_namespace", &[("namespace_id", Kind::Text)]),
    ("mtls_certificate", &[("certificate_id", Kind::Text)]),
    ("plain_text", &[("text", Kind::Text)]),
    ("queue", &[("queue_name", Kind::Text)]),
    (
        "ratelimit",
        &[("namespace_id", Kind::Text), ("simple", Kind::Json)],
    ),
    (
        "r2_bucket",
        &[
            ("bucket_name", Kind::Text),
            ("jurisdiction", Kind::OptionalText),
        ],
    ),
    (
        "secrets_store_secret",
        &[("store_id", Kind::Text), ("secret_name", Kind::Text)],
    ),
    ("send_email", &[("destination_address", Kind::OptionalText)]),
    (
        "service",
        &[
            ("service", Kind::Text),
            ("environment", Kind::OptionalText),
            ("entrypoint", Kind::OptionalText),
        ],
    ),
    ("text_blob", &[("part", Kind::Part)]),
    ("vectorize", &[("index_name", Kind::Text)]),
    ("version_metadata", &[]),
    ("wasm_module", &[("part", Kind::Part)]),
    (
        "workflow",
        &[
            ("workflow_name", Kind::Text),
            ("class_name", Kind::OptionalText),
            ("script_name", Kind::OptionalText),
        ],
    ),
];

/// Types of bindings that carry a secret.
const SECRETS: [&str; 2] = ["secret_text", "secret_key"];

/// Reads one binding into the form that is sent.
pub(super) fn parse_binding(binding: At<'_>) -> Result<Map<String, Value>, InvalidOperation> {
    let mut fields = binding.fields()?;
    let binding_type = fields.required_text("type")?;
    if SECRETS.contains(&binding_type) {
        return Err(fields.refuse(
            "type",
            "secrets would be recorded for good; put the secret upstream first and use type \
             \"inherit\" or keep_bindings here",
        ));
    }
    let known = BINDINGS.iter().find(|(known, _)| *known == binding_type);
    if known.is_none() {
        check_binding_type(binding_type).map_err(|problem| fields.refuse("type", problem))?;
        fields.mark("type");
    }
    let name = fields.required_text("name")?;
    plain_text(name, 1..=255).map_err(|problem| fields.refuse("name", problem))?;
    let is_identifier = !name.starts_with(|c: char| c.is_ascii_digit())
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'$');
    if !is_identifier {
        fields.mark("name");
    }
    let mut binding = Map::new();
    binding.insert("type".to_owned(), json!(binding_type));
    binding.insert("name".to_owned(), json!(name));
    for (field, kind) in known.map(|(_, fields)| *fields).unwrap_or_default() {
        let value = match kind {
            Kind::OptionalText => fields.text(field)?.map(Value::from),
            Kind::Text => Some(Value::from(fields.required_text(field)?)),
            Kind::Part => {
                let part = fields.required_text(field)?;
                check_name(part).map_err(|problem| fields.refuse(field, problem))?;
                Some(Value::from(part))
            }
            Kind::Json => Some(normalised(fields.required(field)?)),
        };
        let Some(value) = value else { continue };
        // A plain text binding holds any text; the others hold names and ids.
        if let (Kind::Text | Kind::OptionalText, Some(text)) = (kind, value.as_str())
            && binding_type != "plain_text"
        {
            plain_text(text, 1..=1024).map_err(|problem| fields.refuse(field, problem))?;
        }
        binding.insert((*field).to_owned(), value);
    }
    if binding_type == "d1" && !fields.has("id") && !fields.has("database_id") {
        return Err(fields.refuse("database_id", "is required (or id, its other name)"));
    }
    binding.extend(fields.rest()?);
    Ok(binding)
}

/// Checks that this can be a type of bindings, for `keep_bindings` too.
pub(super) fn check_binding_type(text: &str) -> Result<(), String> {
    let fine = (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if fine {
        Ok(())
    } else {
        Err("must be a type of bindings, 1..64 of a-z 0-9 _, such as secret_text".to_owned())
    }
}

pub(super) fn is_known_binding_type(text: &str) -> bool {
    SECRETS.contains(&text) || BINDINGS.iter().any(|(known, _)| *known == text)
}
