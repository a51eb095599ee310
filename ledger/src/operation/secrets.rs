//! Secrets in params. What is asked for is recorded for good and shown to people, so a secret has no
//! place in it.
//!
//! Fields that are known here carry none, but for those that are refused where they are read. In what is
//! passed on, a name that says secret is taken at its word: a secret that is let in cannot be taken out
//! again, while a field with a misleading name only has to be set by other means.

use super::InvalidOperation;
use super::shown::shown_name;
use super::unchecked::Unchecked;
use serde_json::Value;

/// Parts of names that say secret, in small letters without separators.
const WORDS: [&str; 12] = [
    "secret",
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "token",
    "privatekey",
    "apikey",
    "accesskey",
    "signingkey",
    "credential",
    "authorization",
];
/// Names of headers that carry secrets and do not say so.
const HEADERS: [&str; 3] = ["cookie", "setcookie", "xauthkey"];
/// The beginning of a private key in PEM (RFC 7468).
const PEM: &str = "PRIVATE KEY-----";

const INSTEAD: &str = "put it upstream by other means, where it is kept as a secret";

/// True when a name says that what it names is a secret.
#[must_use]
pub fn says_secret(name: &str) -> bool {
    let plain = plain(name);
    WORDS.iter().any(|word| plain.contains(word))
}

/// True when the name of a header, or of a parameter in a query, says that it carries a secret. The key by which a request is
/// known again is none.
#[must_use]
pub fn carries_secret(name: &str) -> bool {
    let plain = plain(name);
    let mut parts = name.split(|c: char| !c.is_alphanumeric());
    let is_short = |part: &str| {
        ["auth", "jwt", "sig"]
            .iter()
            .any(|it| part.eq_ignore_ascii_case(it))
    };
    !plain.contains("idempotency")
        && (says_secret(name)
            || HEADERS.contains(&plain.as_str())
            || plain.contains("signature")
            || plain.ends_with("key")
            || parts.any(is_short))
}

/// Looks for secrets in the params as they will be sent. `holds` says whether a place that is not known here
/// holds one, and leaves it to the place's name with `None`; `code` names fields that may hold anything.
///
/// # Errors
/// Names the place of the first one.
pub fn refuse_secrets(
    params: &Value,
    unchecked: &[Unchecked],
    holds: impl Fn(&Unchecked, &Value) -> Option<bool>,
    code: &[&str],
) -> Result<(), InvalidOperation> {
    for place in unchecked {
        let Some(value) = place.value(params) else {
            continue;
        };
        let name = place.last();
        if holds(place, value).unwrap_or_else(|| says_secret(name) && holds_text(value)) {
            return Err(refused(place.path(), name));
        }
        walk(value, place.path())?;
    }
    let Some(params) = params.as_object() else {
        return Ok(());
    };
    // Code may hold anything; what it holds is for the approver to read.
    for (name, value) in params
        .iter()
        .filter(|(name, _)| !code.contains(&name.as_str()))
    {
        walk_all(
            value,
            &format!("params.{}", shown_name(name)),
            name == "headers",
        )?;
    }
    Ok(())
}

/// Names in a value that is not known here.
fn walk(value: &Value, path: &str) -> Result<(), InvalidOperation> {
    match value {
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            let path = format!("{path}.{}", shown_name(name));
            if says_secret(name) && holds_text(value) {
                return Err(refused(&path, name));
            }
            walk(value, &path)
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| walk(item, &format!("{path}[{index}]"))),
        _ => Ok(()),
    }
}

/// Finds secrets wherever they stand: private keys, and headers that carry credentials.
fn walk_all(value: &Value, path: &str, is_headers: bool) -> Result<(), InvalidOperation> {
    match value {
        Value::String(text) if text.contains(PEM) => Err(InvalidOperation::new(
            path,
            format!("holds a private key, which would be recorded for good; {INSTEAD}"),
        )),
        Value::Object(fields) => fields.iter().try_for_each(|(name, value)| {
            let path = format!("{path}.{}", shown_name(name));
            let carries = says_secret(name) || HEADERS.contains(&plain(name).as_str());
            if is_headers && carries && holds_text(value) {
                return Err(refused(&path, name));
            }
            walk_all(value, &path, name == "headers")
        }),
        Value::Array(items) => items
            .iter()
            .enumerate()
            .try_for_each(|(index, item)| walk_all(item, &format!("{path}[{index}]"), is_headers)),
        _ => Ok(()),
    }
}

fn refused(path: &str, name: &str) -> InvalidOperation {
    InvalidOperation::new(
        path,
        format!(
            "looks like a secret ({:?}), which would be recorded for good; {INSTEAD}",
            shown_name(name)
        ),
    )
}

/// True when there is a text in the value, or in what it holds.
#[must_use]
pub fn holds_text(value: &Value) -> bool {
    match value {
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => items.iter().any(holds_text),
        Value::Object(fields) => fields.values().any(holds_text),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn plain(name: &str) -> String {
    name.chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}
