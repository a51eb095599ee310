//! The auditor's side: bundles, and histories that were made up.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use crate::cut::{Cut, joined};
use crate::story::STORY;
use fixtures::history::trusting;
use ledger::audit::{AuditRecord, Content, Report, Verifier, verify_bundle};
use ledger::record::SALT_LEN;
use ledger::{
    Event, EventId, Header, LedgerId, RecordHash, StreamId, Timestamp, genesis_hash, payload_digest,
};

/// Nothing but what was signed is found right.
pub(crate) fn bundle(bytes: &[u8]) {
    let report = verify_bundle(bytes, &trusting()).expect("memory can be read");
    is_told(&report);
    let honest = || bundle_seeds().iter().any(|honest| honest == bytes);
    assert!(!report.verified || honest(), "{report}");
}

/// A report can be printed and read, whatever it is of.
fn is_told(report: &Report) {
    let _ = report.to_string();
    serde_json::to_value(report).expect("a report is JSON");
    assert_eq!(report.verified, report.findings.is_empty());
}

const FORMS: usize = Event::FORMS.len();

/// A history with headers that fit: `form u8 · stream u8 · seconds u8 · payload`, again and again. What
/// stands in it is held against every rule of decisions.
pub(crate) fn history(bytes: &[u8]) {
    let mut cut = Cut::new(bytes);
    let mut verifier = Verifier::new(trusting());
    let mut versions = [0_u64; 256];
    let ledger = LedgerId::from_bytes([0; 16]);
    let (mut prev_hash, mut position, mut at) = (genesis_hash(ledger), 0, 1_800_000_000);
    while !cut.is_empty() {
        let [form, stream, seconds] = cut.array();
        let payload = cut.piece();
        at += i64::from(seconds);
        let version = versions.get_mut(usize::from(stream));
        let stream_version = version.map_or(0, |next| std::mem::replace(next, *next + 1));
        let header = header(
            form,
            stream,
            payload,
            Place {
                position,
                stream_version,
                at,
                prev_hash,
            },
        );
        let erased = form >= 0x80;
        let content = Content {
            salt: &SALT,
            payload,
        };
        prev_hash = header.record_hash();
        position += 1;
        verifier.record(&AuditRecord {
            header,
            record_hash: Some(prev_hash),
            content: (!erased).then_some(content),
        });
    }
    is_told(&verifier.finish());
}

const SALT: [u8; SALT_LEN] = [5; SALT_LEN];

struct Place {
    position: u64,
    stream_version: u64,
    at: i64,
    prev_hash: RecordHash,
}

/// Streams are named by the byte with which they begin in the seeds.
fn header(form: u8, stream: u8, payload: &[u8], place: Place) -> Header {
    let form = usize::from(form & 0x7f) % (FORMS + 1);
    let (event_type, schema_version, _) = Event::FORMS.get(form).copied().unwrap_or((999, 1, ""));
    Header {
        position: place.position,
        event_id: EventId::from_bytes([stream; 16]),
        stream_id: stream_of(stream),
        stream_version: place.stream_version,
        event_type,
        schema_version,
        recorded_at: Timestamp::from_seconds(place.at),
        prev_hash: place.prev_hash,
        payload_len: u32::try_from(payload.len()).unwrap_or(0),
        payload_digest: payload_digest(&SALT, payload),
    }
}

fn stream_of(stream: u8) -> StreamId {
    let known = streams().get(usize::from(stream)).copied();
    known.unwrap_or(StreamId::from_bytes([stream; 16]))
}

/// The streams of the story, in the order in which they begin.
fn streams() -> Vec<StreamId> {
    let mut streams = Vec::new();
    for record in &STORY.history.records {
        if !streams.contains(&record.header.stream_id) {
            streams.push(record.header.stream_id);
        }
    }
    streams
}

/// The story as a bundle, whole and without its beginning.
pub(crate) fn bundle_seeds() -> Vec<Vec<u8>> {
    let history = &STORY.history;
    let frontier = history.frontier(3).subtrees().to_vec();
    vec![
        history.bundle(&[history.sign()]),
        history.bundle_from(3, frontier, &[history.sign()]),
        hex::decode(include_str!("../../fixtures/data/bundle.hex").trim()).expect("golden data"),
    ]
}

/// The story.
pub(crate) fn history_seeds() -> Vec<Vec<u8>> {
    let streams = streams();
    let mut bytes = Vec::new();
    for record in &STORY.history.records {
        let of = |form: &(u16, u16, &str)| {
            (form.0, form.1) == (record.header.event_type, record.header.schema_version)
        };
        let form = Event::FORMS.iter().position(of).unwrap_or(FORMS);
        let stream = streams
            .iter()
            .position(|known| *known == record.header.stream_id);
        bytes.push(u8::try_from(form).unwrap_or(0));
        bytes.push(stream.and_then(|at| u8::try_from(at).ok()).unwrap_or(0));
        bytes.push(0);
        bytes.extend(joined(record.content.iter().map(|(_, payload)| payload)));
    }
    vec![bytes]
}
