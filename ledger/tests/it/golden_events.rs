//! Every event form that was ever stored stays readable, byte for byte.

use fixtures::golden_events::{SALT, directory, path_of, read, stored};
use ledger::{CallbackEvent, Event, Header, payload_digest};
use std::collections::BTreeSet;

#[test]
fn every_form_has_golden_data_and_no_golden_data_is_without_a_form() {
    let expected: BTreeSet<_> = Event::FORMS
        .iter()
        .map(|(_, schema_version, name)| path_of(name, *schema_version))
        .collect();
    let found: BTreeSet<_> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(found, expected);
}

#[test]
fn stored_events_decode_to_what_people_read() {
    for (event_type, schema_version, name) in Event::FORMS {
        let golden = read(name, *schema_version).unwrap();
        assert!(!golden.cases.is_empty(), "{name}");
        for case in &golden.cases {
            let bytes = case
                .stored
                .as_ref()
                .unwrap_or_else(|| panic!("{name}: incomplete"));
            let payload = hex::decode(&bytes.payload).unwrap();
            let (envelope, event) = Event::decode(*event_type, *schema_version, &payload).unwrap();
            assert_eq!(envelope, case.envelope(), "{name}");
            assert_eq!(event, case.event(*event_type, *schema_version), "{name}");
            assert_eq!(serde_json::to_value(&envelope).unwrap(), case.envelope);
            if event.schema_version() == *schema_version {
                assert_eq!(serde_json::to_value(&event).unwrap(), case.event, "{name}");
            }
        }
    }
}

#[test]
fn events_are_stored_in_the_bytes_that_were_frozen() {
    for (event_type, schema_version, name) in Event::FORMS {
        for case in read(name, *schema_version).unwrap().cases {
            let bytes = case.stored.as_ref().unwrap();
            let event = case.event(*event_type, *schema_version);
            // An older form is only read; what is written is the newest.
            if event.schema_version() == *schema_version {
                assert_eq!(&stored(&case.envelope(), &event), bytes, "{name}");
            }
        }
    }
}

#[test]
fn the_frozen_headers_seal_the_frozen_payloads() {
    for (event_type, schema_version, name) in Event::FORMS {
        for case in read(name, *schema_version).unwrap().cases {
            let bytes = case.stored.unwrap();
            let payload = hex::decode(&bytes.payload).unwrap();
            let header = Header::decode(&hex::decode(&bytes.header).unwrap()).unwrap();
            assert_eq!(header.event_type, *event_type, "{name}");
            assert_eq!(header.schema_version, *schema_version, "{name}");
            assert_eq!(header.payload_len as usize, payload.len(), "{name}");
            assert_eq!(
                header.payload_digest,
                payload_digest(&SALT, &payload),
                "{name}"
            );
            assert_eq!(
                header.record_hash().to_string(),
                bytes.record_hash,
                "{name}"
            );
        }
    }
}

#[test]
fn every_cut_or_prolonged_payload_is_refused() {
    for (event_type, schema_version, name) in Event::FORMS {
        for case in read(name, *schema_version).unwrap().cases {
            let mut payload = hex::decode(&case.stored.unwrap().payload).unwrap();
            for len in 0..payload.len() {
                let cut = Event::decode(*event_type, *schema_version, &payload[..len]);
                assert!(cut.is_err(), "{name} cut to {len}");
            }
            payload.push(0);
            assert!(Event::decode(*event_type, *schema_version, &payload).is_err());
        }
    }
}

#[test]
fn an_unknown_form_is_refused_by_its_numbers() {
    let error = Event::decode(999, 1, &[]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "event type 999 schema 1 is not known to this version"
    );
}

#[test]
fn every_name_that_a_callback_can_ask_for_tells_of_some_event() {
    let mut told = BTreeSet::new();
    for (event_type, ..) in Event::FORMS {
        told.extend(Event::kind_of(*event_type).unwrap().told);
    }
    assert_eq!(told, BTreeSet::from(CallbackEvent::ALL));
}
