//! What rules can read of a request for a message: three of its fields, where a rule does read them.

use crate::refusal::Refusal;
use serde::de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::collections::HashSet;
use std::fmt;
use std::marker::PhantomData;

/// The fields that rules read.
const READ: [&str; 3] = ["model", "max_tokens", "stream"];
/// The most fields of a request.
const MOST: usize = 256;
/// The most bytes of the fields that rules read, as JSON: they are recorded with what the rules say.
const MOST_BYTES: usize = 1024;

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

/// The same of each request in a batch of them; equal ones once. A batch of none is held to what holds of an empty one.
///
/// # Errors
/// As of [`params`].
pub(crate) fn requests(body: &[u8]) -> Result<Vec<Value>, Refusal> {
    let mut reader = serde_json::Deserializer::from_slice(body);
    let read = Batch::deserialize(&mut reader);
    let read = read.and_then(|read| reader.end().map(|()| read));
    let Batch(mut read) = read.map_err(|error| {
        Refusal::malformed(format!(
            "a rule of this service reads the requests, which cannot be read: {error}"
        ))
    })?;
    if read.is_empty() {
        read.push(Value::Object(Map::new()));
    }
    Ok(read)
}

/// The params of the requests in a batch.
struct Batch(Vec<Value>);

/// The list of them.
struct Requests(Vec<Value>);

/// Those of one request.
struct Request(Value);

/// One set of params.
struct Params(Value);

impl<'de> Deserialize<'de> for Params {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = deserializer.deserialize_map(Fields);
        read.map(|read| Self(Value::Object(read)))
    }
}

impl<'de> Deserialize<'de> for Request {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = deserializer.deserialize_map(Only::<Params>("params", PhantomData));
        read.map(|read| Self(read.0))
    }
}

impl<'de> Deserialize<'de> for Batch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let read = deserializer.deserialize_map(Only::<Requests>("requests", PhantomData));
        read.map(|read| Self(read.0))
    }
}

impl<'de> Deserialize<'de> for Requests {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct List;
        impl<'de> Visitor<'de> for List {
            type Value = Vec<Value>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of requests")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Value>, A::Error> {
                let (mut seen, mut read) = (HashSet::new(), Vec::new());
                while let Some(Request(params)) = list.next_element()? {
                    if seen.insert(params.to_string()) {
                        read.push(params);
                    }
                }
                Ok(read)
            }
        }
        deserializer.deserialize_seq(List).map(Self)
    }
}

/// One field of an object, which must be there; every field is there once.
struct Only<T>(&'static str, PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for Only<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object with {}", self.0)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<T, A::Error> {
        let (mut found, mut seen) = (None, Seen::default());
        while let Some(name) = fields.next_key::<String>()? {
            if name == self.0 {
                found = Some(fields.next_value()?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
            seen.see(name)?;
        }
        found.ok_or_else(|| A::Error::missing_field(self.0))
    }
}

/// The fields of an object so far.
#[derive(Default)]
struct Seen(HashSet<String>);

impl Seen {
    /// # Errors
    /// A field that is there twice, and one too many.
    fn see<E: serde::de::Error>(&mut self, name: String) -> Result<(), E> {
        let shown: String = name.chars().take(64).collect();
        if !self.0.insert(name) {
            return Err(E::custom(format!("the field {shown:?} is there twice")));
        }
        match self.0.len() > MOST {
            true => Err(E::custom("it has too many fields")),
            false => Ok(()),
        }
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Map<String, Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let (mut read, mut seen) = (Map::new(), Seen::default());
        while let Some(name) = fields.next_key::<String>()? {
            if READ.contains(&name.as_str()) {
                read.insert(name.clone(), fields.next_value()?);
            } else {
                fields.next_value::<IgnoredAny>()?;
            }
            seen.see(name)?;
        }
        let length: usize = read.values().map(|value| value.to_string().len()).sum();
        match length > MOST_BYTES {
            true => Err(A::Error::custom(format!(
                "{} together are longer than {MOST_BYTES} bytes",
                READ.join(", ")
            ))),
            false => Ok(read),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_requests_of_a_batch_are_read_as_strictly() {
        let body = r#"{"requests": [
            {"custom_id": "a", "params": {"model": "m", "max_tokens": 7, "messages": []}},
            {"custom_id": "b", "params": {"model": "m", "max_tokens": 7, "messages": [1]}},
            {"params": {"model": "n"}, "custom_id": "c"}
        ], "x": 1}"#;
        let expected = vec![
            json!({"model": "m", "max_tokens": 7}),
            json!({"model": "n"}),
        ];
        assert_eq!(requests(body.as_bytes()), Ok(expected));
        assert_eq!(requests(br#"{"requests": []}"#), Ok(vec![json!({})]));
        for body in [
            "{}",
            "[]",
            r#"{"requests": {}}"#,
            r#"{"requests": [{}]}"#,
            r#"{"requests": [{"params": {"model": "a", "model": "b"}}]}"#,
            r#"{"requests": [{"params": {}, "params": {}}]}"#,
            r#"{"requests": [], "requests": []}"#,
            r#"{"requests": []} {}"#,
        ] {
            assert!(requests(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn rules_read_three_fields_and_a_field_is_there_once() {
        let body = r#"{"model": "m", "messages": [{"model": "x", "model": "y"}], "max_tokens": 7, "stream": true}"#;
        let expected = json!({"model": "m", "max_tokens": 7, "stream": true});
        assert_eq!(params(body.as_bytes()), Ok(expected));
        assert_eq!(params(b"{}"), Ok(json!({})));
        let long = |length| format!(r#"{{"model": "{}"}}"#, "m".repeat(length));
        assert!(params(long(MOST_BYTES - 2).as_bytes()).is_ok());
        for body in [
            &long(MOST_BYTES - 1),
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
