//! What rules can read of a request for a message: three of its fields, where a rule does read them.

use crate::refusal::Refusal;
use serde::de::{Deserializer as _, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;

/// The fields that rules read.
const READ: [&str; 3] = ["model", "max_tokens", "stream"];
/// The most fields of a request.
const MOST: usize = 256;

/// The fields of a request that rules read, where they are there.
///
/// # Errors
/// [`Word::Malformed`](crate::Word::Malformed) for what is no JSON object, or has a field twice, which two readers could
/// read as two things.
pub(crate) fn params(body: &[u8]) -> Result<Value, Refusal> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = reader.deserialize_map(Fields);
    let read = read.and_then(|read| reader.end().map(|()| read));
    read.map(Value::Object).map_err(|error| {
        Refusal::malformed(format!(
            "a rule of this service reads the request, which cannot be read: {error}"
        ))
    })
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        use serde::de::Error as _;
        let (mut read, mut seen) = (Map::new(), HashSet::new());
        while let Some(name) = fields.next_key::<String>()? {
            if READ.contains(&name.as_str()) {
                read.insert(name.clone(), fields.next_value()?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
            let shown: String = name.chars().take(64).collect();
            if !seen.insert(name) {
                return Err(A::Error::custom(format!(
                    "the field {shown:?} is there twice"
                )));
            }
            if seen.len() > MOST {
                return Err(A::Error::custom("it has too many fields"));
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rules_read_three_fields_and_a_field_is_there_once() {
        let body = r#"{"model": "m", "messages": [{"model": "x", "model": "y"}], "max_tokens": 7, "stream": true}"#;
        let expected = json!({"model": "m", "max_tokens": 7, "stream": true});
        assert_eq!(params(body.as_bytes()), Ok(expected));
        assert_eq!(params(b"{}"), Ok(json!({})));
        for body in [
            "",
            "[]",
            "{\"model\": \"a\", \"model\": \"b\"}",
            "{\"model\": \"a\", \"mod\\u0065l\": \"b\"}",
            "{\"x\": 1, \"x\": 1}",
            "{\"model\": \"a\"} {}",
            "{\"model\": \"a\"",
        ] {
            assert!(params(body.as_bytes()).is_err(), "{body}");
        }
    }
}
