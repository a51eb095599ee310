use super::*;
use proptest::prelude::*;
use serde::Deserialize;
use serde_json::json;

/// Vectors whose canonical forms were made by another implementation of RFC 8785.
const GOLDEN: &str = include_str!("../../../fixtures/data/canonical.json");

#[derive(Deserialize)]
struct Golden {
    accepted: Vec<Accepted>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct Accepted {
    json: String,
    canonical: String,
}

#[derive(Deserialize)]
struct Refused {
    hex: String,
    refused: String,
    path: Option<String>,
}

fn golden() -> Golden {
    serde_json::from_str(GOLDEN).unwrap()
}

fn canonical_text(json: &str) -> String {
    String::from_utf8(canonicalise(&parse_strict(json.as_bytes()).unwrap()).unwrap()).unwrap()
}

#[test]
fn golden_canonical_forms_do_not_change() {
    for case in golden().accepted {
        assert_eq!(canonical_text(&case.json), case.canonical, "{}", case.json);
        assert_eq!(
            canonical_text(&case.canonical),
            case.canonical,
            "{}",
            case.json
        );
    }
}

#[test]
fn everything_that_two_readers_could_read_differently_is_refused() {
    for case in golden().refused {
        let error = parse_strict(&hex::decode(&case.hex).unwrap()).unwrap_err();
        let (kind, path) = match &error {
            StrictJsonError::Syntax { .. } => ("syntax", None),
            StrictJsonError::DuplicateKey { path } => ("duplicate_key", Some(path.clone())),
            StrictJsonError::Number { path } => ("number", Some(path.clone())),
            StrictJsonError::Inexact { path } => ("inexact", Some(path.clone())),
            StrictJsonError::Depth { path, .. } => ("depth", Some(path.clone())),
            StrictJsonError::Shape { .. } => ("shape", None),
        };
        assert_eq!(
            (kind, path),
            (&*case.refused, case.path),
            "{} {error}",
            case.hex
        );
    }
}

#[test]
fn the_limits_themselves_are_taken() {
    assert_eq!(
        parse_strict(b"9007199254740992"),
        Ok(json!(9_007_199_254_740_992_u64))
    );
    assert_eq!(
        parse_strict(b"-9007199254740992"),
        Ok(json!(-9_007_199_254_740_992_i64))
    );
    let deepest = "[".repeat(MAX_DEPTH) + &"]".repeat(MAX_DEPTH);
    assert!(canonicalise(&parse_strict(deepest.as_bytes()).unwrap()).is_ok());
}

#[test]
fn a_number_without_fraction_is_an_integer_for_typed_readers() {
    let value = parse_strict(b"[60.0, 6e1, -0.0, 1.5]").unwrap();
    assert_eq!(value, json!([60, 60, 0, 1.5]));
    assert_eq!(value[0].as_u64(), Some(60));
    assert_eq!(
        deserialize_strict::<Vec<u32>>(b"[60.0, 6e1]"),
        Ok(vec![60, 60])
    );
}

#[test]
fn a_value_from_inside_the_program_is_held_to_the_same_rules() {
    assert_eq!(
        canonicalise(&json!({"a": [1, u64::MAX]})),
        Err(StrictJsonError::Number {
            path: "a[1]".to_owned()
        })
    );
    assert!(canonicalise(&json!(i64::MIN)).is_err());
    assert!(canonicalise(&json!(1e17)).is_err());
    let mut deep = json!(1);
    for _ in 0..MAX_MADE_DEPTH {
        deep = json!([deep]);
    }
    let canonical = canonicalise(&deep).unwrap();
    assert_eq!(parse_made(&canonical), Ok(deep.clone()));
    assert!(matches!(
        parse_strict(&canonical),
        Err(StrictJsonError::Depth { most: 64, .. })
    ));
    deep = json!([deep]);
    assert!(matches!(
        canonicalise(&deep),
        Err(StrictJsonError::Depth { .. })
    ));
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Body {
    task_name: String,
    operations: Vec<Part>,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct Part {
    ttl: u32,
}

fn body_error(json: &str) -> String {
    deserialize_strict::<Body>(json.as_bytes())
        .unwrap_err()
        .to_string()
}

#[test]
fn a_wrong_shape_names_the_place_and_the_field() {
    let unknown = body_error(r#"{"task_name":"t","operations":[{"ttl":1},{"ttl":1,"tll":2}]}"#);
    assert!(
        unknown.starts_with("operations[1].tll: unknown field `tll`"),
        "{unknown}"
    );
    let missing = body_error(r#"{"task_name":"t","operations":[{}]}"#);
    assert_eq!(missing, "operations[0]: missing field `ttl`");
    let wrong = body_error(r#"{"task_name":"t","operations":[{"ttl":"1"}]}"#);
    assert_eq!(wrong, "operations[0].ttl: expected u32, found a string");
    let root = body_error(r#"{"operations":[]}"#);
    assert_eq!(root, "missing field `task_name`");
}

#[test]
fn what_does_not_fit_is_not_quoted() {
    for value in [
        r#""hunter2""#,
        "20231117",
        "-20231117",
        "[20231117]",
        "1.5e7",
    ] {
        for body in [
            value.to_owned(),
            format!(r#"{{"task_name":"t","operations":{value}}}"#),
            format!(r#"{{"task_name":"t","operations":[{value}]}}"#),
            format!(r#"{{"task_name":[{value}],"operations":[]}}"#),
            format!(r#"{{"task_name":"t","operations":[{{"ttl":[{value}]}}]}}"#),
            format!(r#"{{"task_name":"t","operations":[{{"ttl":{value}}}]}}"#),
        ] {
            let Err(error) = deserialize_strict::<Body>(body.as_bytes()) else {
                continue;
            };
            let error = error.to_string();
            let quoted = ["hunter2", "20231117", "15000000"];
            assert!(!quoted.iter().any(|part| error.contains(part)), "{error}");
        }
    }
    let word = deserialize_strict::<Word>(br#""hunter2""#).unwrap_err();
    assert_eq!(word.to_string(), "expected one of yes, no");
    let negative = body_error(r#"{"task_name":"t","operations":[{"ttl":-7}]}"#);
    assert_eq!(
        negative,
        "operations[0].ttl: expected u32, found another number"
    );
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum Word {
    Yes,
    No,
}

#[test]
fn an_object_is_not_read_from_an_array() {
    assert_eq!(body_error("[]"), "expected an object, found an array");
    assert_eq!(
        body_error(r#"["t",[]]"#),
        "expected an object, found an array"
    );
    assert_eq!(
        body_error(r#"{"task_name":"t","operations":[[60]]}"#),
        "operations[0]: expected an object, found an array"
    );
}

#[derive(Debug, Deserialize, PartialEq)]
struct Holder {
    name: Option<String>,
    value: Value,
    word: Word,
    pair: (u8, i64),
}

#[test]
fn every_kind_of_value_is_handed_over_as_it_is() {
    let json = br#"{"name":null,"value":{"a":[1,-2,2.5,null,true,"x"]},"word":"no","pair":[1,-1]}"#;
    let read: Holder = deserialize_strict(json).unwrap();
    let value = json!({"a": [1, -2, 2.5, null, true, "x"]});
    let (name, word, pair) = (None, Word::No, (1, -1));
    assert_eq!(
        read,
        Holder {
            name,
            value,
            word,
            pair
        }
    );
}

#[test]
fn texts_stay_short_however_long_the_request() {
    let long = "k".repeat(10_000);
    let twice = format!(r#"{{"{long}":1,"{long}":1}}"#);
    assert!(
        parse_strict(twice.as_bytes())
            .unwrap_err()
            .to_string()
            .len()
            < 200
    );
    let unknown = format!(r#"{{"task_name":"t","operations":[],"{long}":1}}"#);
    assert!(body_error(&unknown).len() < 500);
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-(1_i64 << 53)..=(1_i64 << 53)).prop_map(Value::from),
        any::<f64>()
            .prop_filter("within the exact range", |n| n.abs() < 9e15
                && n.fract() != 0.0)
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn canonical_bytes_read_back_as_the_same_value(value in any_json()) {
        let bytes = canonicalise(&value).unwrap();
        let back = parse_strict(&bytes).unwrap();
        prop_assert_eq!(&back, &value);
        prop_assert_eq!(canonicalise(&back).unwrap(), bytes);
    }

    #[test]
    fn the_short_way_writes_what_the_library_writes(value in any_json()) {
        let bytes = canonicalise(&value).unwrap();
        prop_assert_eq!(bytes, serde_json_canonicalizer::to_vec(&value).unwrap());
    }

    #[test]
    fn every_character_is_written_as_the_library_writes_it(text in "[\\x00-\\x7f\u{2028}\u{feff}é😀]{0,8}") {
        let value = json!({"operations": [text], "v": 1});
        prop_assert!(is_plain(&value));
        let bytes = canonicalise(&value).unwrap();
        prop_assert_eq!(bytes, serde_json_canonicalizer::to_vec(&value).unwrap());
    }

    #[test]
    fn spacing_does_not_matter(value in any_json()) {
        let spaced = serde_json::to_vec_pretty(&value).unwrap();
        let parsed = parse_strict(&spaced).unwrap();
        prop_assert_eq!(canonicalise(&parsed).unwrap(), canonicalise(&value).unwrap());
    }

    #[test]
    fn key_order_does_not_matter(
        map in prop::collection::btree_map("[a-z€\u{ffff}😀]{0,3}", 0..9_u8, 0..8),
    ) {
        let member = |(key, value): (&String, &u8)| format!("{}:{value}", json!(key));
        let forth: Vec<_> = map.iter().map(member).collect();
        let back: Vec<_> = map.iter().rev().map(member).collect();
        prop_assert_eq!(
            canonical_text(&format!("{{{}}}", forth.join(","))),
            canonical_text(&format!("{{{}}}", back.join(",")))
        );
    }

    #[test]
    fn different_values_have_different_bytes(one in any_json(), other in any_json()) {
        prop_assert_eq!(one == other, canonicalise(&one).unwrap() == canonicalise(&other).unwrap());
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse_strict(&bytes);
    }

    #[test]
    fn an_integer_is_taken_exactly_up_to_the_limit(
        n in prop_oneof![any::<i64>(), -(1_i64 << 54)..(1_i64 << 54)],
    ) {
        let taken = parse_strict(n.to_string().as_bytes());
        prop_assert_eq!(taken.is_ok(), n.unsigned_abs() <= MAX_INTEGER);
    }
}
