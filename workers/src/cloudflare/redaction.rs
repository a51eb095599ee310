//! Upstream has our token, and may repeat it in what it answers; what it answers is recorded.

use serde_json::Value;

/// What stands where the token stood.
pub(super) const REDACTED: &str = "[token]";

/// The body without the token, also where JSON writes its characters in another way.
pub(super) fn without(token: &str, bytes: Vec<u8>) -> Vec<u8> {
    let Ok(text) = std::str::from_utf8(&bytes) else {
        return bytes;
    };
    let plain = text.contains(token).then(|| text.replace(token, REDACTED));
    let text = plain.as_deref().unwrap_or(text);
    if text.contains('\\')
        && let Ok(mut value) = serde_json::from_str::<Value>(text)
        && redact(token, &mut value)
    {
        return value.to_string().into_bytes();
    }
    plain.map_or(bytes, String::into_bytes)
}

/// Whether the token was in it.
fn redact(token: &str, value: &mut Value) -> bool {
    match value {
        Value::String(text) => {
            let found = text.contains(token);
            if found {
                *text = text.replace(token, REDACTED);
            }
            found
        }
        Value::Array(values) => redact_all(token, values.iter_mut()),
        Value::Object(fields) => {
            let named = fields.keys().any(|name| name.contains(token));
            if named {
                let all = std::mem::take(fields).into_iter();
                *fields = all
                    .map(|(name, value)| (name.replace(token, REDACTED), value))
                    .collect();
            }
            redact_all(token, fields.values_mut()) || named
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn redact_all<'v>(token: &str, values: impl Iterator<Item = &'v mut Value>) -> bool {
    let mut found = false;
    for value in values {
        found |= redact(token, value);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_out_however_it_is_written() {
        let without = |body: &str| String::from_utf8(without("tok/en", body.into())).unwrap();
        assert_eq!(without("it is tok/en"), "it is [token]");
        for body in [
            r#"{"a":["tok\/en"]}"#,
            r#"{"a":["\u0074ok/en"]}"#,
            r#"{"a":["tok\u002fen"]}"#,
            r#"{"a":["tok/en"]}"#,
        ] {
            assert_eq!(without(body), r#"{"a":["[token]"]}"#, "{body}");
        }
        let twice = r#"{"tok\/en":{"b":"x tok/en y","c":"\u0074ok/en"}}"#;
        assert_eq!(
            without(twice),
            r#"{"[token]":{"b":"x [token] y","c":"[token]"}}"#
        );
        // What has nothing of it stays as it is, to the byte.
        let other = r#"{ "a": "b\u0063", "d": 1.0 }"#;
        assert_eq!(without(other), other);
    }
}
