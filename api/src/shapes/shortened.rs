//! Operations as answers repeat them. An upload may have 10 MiB, which whoever sent it has already: in an
//! answer its long texts are told by their length and digest.

use crate::extract::json::BODY_LIMIT;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// The longest text that is repeated where all of them together are too long, in bytes.
const LONGEST: usize = 1024;

/// The operations; where their texts have more bytes together than most bodies may have, each of more than
/// 1 KiB is replaced by `{"omitted_bytes": N, "sha256": "…"}`.
pub(crate) fn shortened(mut operations: Vec<Value>) -> Vec<Value> {
    let all = operations.iter().map(bytes_of_texts);
    if all.fold(0, usize::saturating_add) > BODY_LIMIT {
        operations.iter_mut().for_each(shorten);
    }
    operations
}

fn bytes_of_texts(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(all) => all.iter().map(bytes_of_texts).sum(),
        Value::Object(all) => all
            .iter()
            .map(|(name, value)| name.len().saturating_add(bytes_of_texts(value)))
            .sum(),
    }
}

fn shorten(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) if text.len() <= LONGEST => {}
        Value::String(text) => {
            let digest = hex::encode(Sha256::digest(text.as_bytes()));
            *value = json!({"omitted_bytes": text.len(), "sha256": digest});
        }
        Value::Array(all) => all.iter_mut().for_each(shorten),
        Value::Object(all) => all.values_mut().for_each(shorten),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_short_together_stays_as_it_is() {
        let operations = vec![json!({"params": {"script": "a".repeat(BODY_LIMIT - 12)}})];
        assert_eq!(shortened(operations.clone()), operations);
    }

    #[test]
    fn long_texts_are_told_by_length_and_digest() {
        let modules = json!([{"content": "a".repeat(BODY_LIMIT), "name": "m".repeat(LONGEST)}]);
        let short = shortened(vec![json!({"params": {"modules": modules, "n": 1}})]);
        let module = &short[0]["params"]["modules"][0];
        assert_eq!(module["content"]["omitted_bytes"], BODY_LIMIT);
        let digest = module["content"]["sha256"].as_str().unwrap();
        assert_eq!(digest, hex::encode(Sha256::digest("a".repeat(BODY_LIMIT))));
        assert_eq!(module["name"], "m".repeat(LONGEST));
        assert_eq!(short[0]["params"]["n"], 1);
    }
}
