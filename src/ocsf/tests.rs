//! Every form becomes an object that the schema takes.

use super::event;
use crate::narrative::{Narrative, StoryRecord, Subject};
use ledger::{Event, EventId, Header, PayloadDigest, RecordHash, Recorded, StreamId, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::LazyLock;

const DOCS: &str = include_str!("../../docs/siem.md");

/// Of the schema as it was published: attributes, types and activities of the classes and objects that
/// are written here.
static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../fixtures/data/ocsf-1.3.0.json")).unwrap()
});

/// Attributes that the published schema calls required and has by a profile that is not used here.
const OF_OTHER_PROFILES: [&str; 2] = ["cloud", "osint"];

fn objects() -> Vec<(&'static str, Event, Value)> {
    let mut objects = Vec::new();
    for (number, schema, name) in Event::FORMS {
        let golden = fixtures::golden_events::read(name, *schema).unwrap();
        for case in golden.cases {
            let recorded = Recorded {
                header: Header {
                    position: 7,
                    event_id: EventId::from_bytes([1; 16]),
                    stream_id: StreamId::from_bytes([2; 16]),
                    stream_version: 0,
                    event_type: *number,
                    schema_version: *schema,
                    recorded_at: Timestamp::from_micros(1_763_769_600_123_456),
                    prev_hash: RecordHash::from_bytes([3; 32]),
                    payload_len: 0,
                    payload_digest: PayloadDigest::from_bytes([4; 32]),
                },
                envelope: case.envelope(),
                event: case.event(*number, *schema),
            };
            let mut narrative = Narrative::new(Subject::Everything);
            let entry = StoryRecord::from(recorded.clone());
            let told = narrative.tell(&entry, &()).unwrap();
            objects.push((*name, recorded.event.clone(), event(&recorded, &told)));
        }
    }
    objects
}

/// Holds an object against what the schema says of its kind, and everything in it.
fn check(place: &str, object: &Value, kind: &Value, profiles: &[&str]) {
    let object = object
        .as_object()
        .unwrap_or_else(|| panic!("{place}: {object}"));
    for (name, value) in object {
        let place = format!("{place}.{name}");
        let attribute = &kind["attributes"][name];
        assert!(
            attribute.is_object(),
            "{place} is not in the schema: {value}"
        );
        if let Some(profile) = attribute["profile"].as_str() {
            assert!(
                profiles.contains(&profile),
                "{place} needs profile {profile}"
            );
        }
        let values = match attribute["array"].as_bool() {
            Some(true) => value
                .as_array()
                .unwrap_or_else(|| panic!("{place}: {value}"))
                .as_slice(),
            _ => std::slice::from_ref(value),
        };
        for value in values {
            if let Some(inner) = attribute["object"].as_str() {
                match inner {
                    // Anything at all.
                    "object" => assert!(value.is_object(), "{place}"),
                    inner => check(&place, value, &SCHEMA["objects"][inner], profiles),
                }
                continue;
            }
            let fits = match attribute["type"].as_str().unwrap() {
                "string_t" => value.is_string(),
                "integer_t" | "long_t" => value.is_i64() || value.is_u64(),
                "boolean_t" => value.is_boolean(),
                "json_t" => true,
                other => panic!("{place}: type {other}"),
            };
            assert!(fits, "{place}: {value}");
        }
    }
    for (name, attribute) in kind["attributes"].as_object().unwrap() {
        let required = attribute["required"] == true && !OF_OTHER_PROFILES.contains(&name.as_str());
        assert!(
            !required || object.contains_key(name),
            "{place}.{name} is required"
        );
    }
    if let Some(some) = kind["at_least_one"].as_array() {
        let has = some
            .iter()
            .any(|name| object.contains_key(name.as_str().unwrap()));
        assert!(has, "{place} has none of {some:?}");
    }
}

#[test]
fn every_form_is_an_event_of_the_published_schema() {
    for (name, _, object) in objects() {
        let (class, activity) = (&object["class_uid"], &object["activity_id"]);
        let kind = &SCHEMA["classes"][class.to_string()];
        assert_eq!(object["class_name"], kind["caption"], "{name}");
        let profiles: Vec<&str> = object["metadata"]["profiles"]
            .as_array()
            .unwrap()
            .iter()
            .map(|profile| profile.as_str().unwrap())
            .collect();
        let known = kind["profiles"].as_array().unwrap();
        assert!(
            profiles
                .iter()
                .all(|profile| known.contains(&Value::from(*profile))),
            "{name}"
        );
        check(name, &object, kind, &profiles);
        let caption = &kind["activities"][activity.to_string()];
        assert!(caption.is_string(), "{name}: activity {activity}");
        // Of *other*, the source has its own word.
        assert!(
            activity == 99 || object["activity_name"] == *caption,
            "{name}"
        );
    }
}

#[test]
fn every_form_has_the_numbers_of_its_class() {
    for (name, _, object) in objects() {
        let class = object["class_uid"].as_u64().unwrap();
        let activity = object["activity_id"].as_u64().unwrap();
        assert_eq!(object["type_uid"], class * 100 + activity, "{name}");
        assert_eq!(object["category_uid"], class / 1000, "{name}");
        assert_eq!(object["time"], 1_763_769_600_123_u64, "{name}");
        let metadata = &object["metadata"];
        assert_eq!(metadata["sequence"], 7);
        assert_eq!(metadata["event_code"], name);
        assert_eq!(metadata["version"], SCHEMA["version"]);
        assert!((1..=6).contains(&object["severity_id"].as_u64().unwrap()));
        if let Some(privileges) = object["privileges"].as_array() {
            assert!(!privileges.is_empty(), "{name}");
        }
    }
}

#[test]
fn what_somebody_wrote_is_told_where_the_class_has_a_place_for_it() {
    let mut places = BTreeSet::new();
    for (_, form, object) in objects() {
        let written = match &form {
            Event::TaskClosed(closed) => closed.reason.as_deref(),
            Event::PermissionsReplaced(replaced) => replaced.reason.as_deref(),
            Event::CredentialPut(put) => put.reason.as_deref(),
            _ => continue,
        };
        let Some(written) = written else { continue };
        let place = if object["class_uid"] == 3004 {
            &object
        } else {
            &object["unmapped"]
        };
        assert_eq!(place["comment"], written, "{object}");
        places.insert(object["class_uid"].as_u64().unwrap());
    }
    assert!(places.len() > 1, "{places:?}");
}

#[test]
fn nothing_secret_is_told() {
    for (name, form, object) in objects() {
        let text = object.to_string();
        match form {
            Event::CallbackSet(set) => {
                assert!(
                    !text.contains(&set.callback.sealed_secret.to_base64url()),
                    "{name}"
                );
                assert!(!text.contains(&set.callback.url), "{name}");
            }
            Event::TokenIssued(issued) => {
                assert!(
                    !text.contains(
                        &ledger::Blob::from(issued.claims_hash.as_slice()).to_base64url()
                    ),
                    "{name}"
                );
            }
            Event::ApprovalApproved(decided) => {
                assert!(
                    !text.contains(&decided.0.signature.to_base64url()),
                    "{name}"
                );
            }
            _ => {}
        }
    }
}

#[test]
fn the_documentation_has_every_event_with_its_classes() {
    let mut seen = BTreeSet::new();
    for (name, _, object) in objects() {
        seen.insert((name, object["class_uid"].as_u64().unwrap()));
    }
    for (name, class) in seen {
        let row = DOCS
            .lines()
            .find(|line| line.contains(&format!("`{name}`")));
        let row = row.unwrap_or_else(|| panic!("{name} is not in docs/siem.md"));
        assert!(row.contains(&class.to_string()), "{name}: {class}: {row}");
    }
}
