//! Every form becomes an object that the schema takes.

use super::event;
use crate::stories::{Entry, Subject, Teller};
use ledger::{Event, EventId, Header, PayloadDigest, RecordHash, Recorded, StreamId, Timestamp};
use serde_json::Value;
use std::collections::BTreeSet;

const DOCS: &str = include_str!("../../docs/siem.md");

/// The attributes that every event must have, and those of each class.
const BASE: &[&str] = &[
    "activity_id",
    "category_uid",
    "class_uid",
    "metadata",
    "severity_id",
    "time",
    "type_uid",
];

fn required(class: u64) -> &'static [&'static str] {
    match class {
        3001 => &["user"],
        3003 | 3005 => &["user", "privileges"],
        3004 => &["entity"],
        6003 => &["actor", "api", "src_endpoint"],
        class => panic!("class {class} is not one of ours"),
    }
}

fn activities(class: u64) -> &'static [u64] {
    match class {
        3001 => &[1, 10, 11],
        3003 => &[1, 99],
        3004 => &[0, 1, 3, 4],
        3005 => &[1, 2],
        _ => &[0, 2, 3, 99],
    }
}

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
            let mut teller = Teller::new(Subject::Everything);
            let entry = Entry::from(recorded.clone());
            let (line, topic) = teller.tell(&entry, &()).unwrap();
            objects.push((
                *name,
                recorded.event.clone(),
                event(&recorded, &line, &topic),
            ));
        }
    }
    objects
}

#[test]
fn every_form_has_what_its_class_requires() {
    for (name, _, object) in objects() {
        let class = object["class_uid"].as_u64().unwrap();
        let activity = object["activity_id"].as_u64().unwrap();
        for attribute in BASE.iter().chain(required(class)) {
            assert!(
                !object[*attribute].is_null(),
                "{name}: {attribute}: {object}"
            );
        }
        assert!(activities(class).contains(&activity), "{name}: {activity}");
        assert_eq!(object["type_uid"], class * 100 + activity, "{name}");
        assert_eq!(object["category_uid"], class / 1000, "{name}");
        assert_eq!(object["time"], 1_763_769_600_123_u64, "{name}");
        let metadata = &object["metadata"];
        assert_eq!(metadata["sequence"], 7);
        assert_eq!(metadata["event_code"], name);
        for part in ["version", "uid", "product"] {
            assert!(!metadata[part].is_null(), "{name}: {part}");
        }
        assert!((1..=6).contains(&object["severity_id"].as_u64().unwrap()));
        if class == 6003 {
            assert!(object["api"]["operation"].is_string(), "{name}");
            assert!(!object["src_endpoint"].as_object().unwrap().is_empty());
        }
        if class == 3004 {
            let entity = &object["entity"];
            assert!(
                entity["uid"].is_string() && entity["type"].is_string(),
                "{name}"
            );
        }
        if let Some(privileges) = object["privileges"].as_array() {
            assert!(!privileges.is_empty(), "{name}");
        }
    }
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
                assert!(!text.contains(&issued.claims_hash.to_base64url()), "{name}");
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
