//! Strict JSON: what every body, payload and statement begins with.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use ledger::canonical::MAX_DEPTH;
use ledger::{canonicalise, parse_strict};
use serde_json::Value;

/// What is taken is JSON to everybody, and has one canonical form, which is its own.
pub(crate) fn strict(bytes: &[u8]) {
    let Ok(value) = parse_strict(bytes) else {
        return;
    };
    let _: Value = serde_json::from_slice(bytes).expect("what is strict JSON is JSON");
    assert!(depth(&value) <= MAX_DEPTH, "nested deeper than the limit");
    let canonical = canonicalise(&value).expect("what was parsed has a canonical form");
    let again = parse_strict(&canonical).expect("a canonical form is strict JSON");
    assert_eq!(again, value, "the canonical form says something else");
    assert_eq!(canonicalise(&again).as_ref(), Ok(&canonical));
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(values) => 1 + values.iter().map(depth).max().unwrap_or(0),
        Value::Object(values) => 1 + values.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

/// The golden vectors, those that are refused too.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let golden: Value = serde_json::from_str(include_str!("../../fixtures/data/canonical.json"))
        .expect("golden data is JSON");
    let texts = |list: &str| golden.get(list).and_then(Value::as_array).cloned();
    let accepted = texts("accepted").unwrap_or_default();
    let accepted = accepted
        .iter()
        .filter_map(|case| case.get("json")?.as_str());
    let refused = texts("refused").unwrap_or_default();
    let refused = refused
        .iter()
        .filter_map(|case| hex::decode(case.get("hex")?.as_str()?).ok());
    let mut seeds: Vec<Vec<u8>> = accepted.map(|text| text.as_bytes().to_vec()).collect();
    seeds.extend(refused);
    seeds
}
