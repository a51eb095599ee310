//! Somebody who can write the ledger's file changes a column, and everything that reads the file to
//! verify it finds out.

use super::{first, options};
use crate::store::{tamper, written};
use ledger::audit::{Check, Report, Verifier};
use ledger::{Scan as _, Scanned};
use ledger_sqlite::RecordScan;
use std::ops::ControlFlow;
use std::path::Path;

fn scanned(path: &Path) -> Report {
    let scan = RecordScan::open(path).unwrap();
    let mut verifier = Verifier::new(options());
    let size = scan.size().unwrap();
    scan.for_each(0, size, &mut |scanned| {
        match scanned {
            Scanned::Record(record) => verifier.record(&record),
            Scanned::Malformed { position, what } => {
                verifier.unreadable(Some(position), Check::HeaderForm, what);
            }
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    verifier.finish()
}

#[tokio::test]
async fn every_column_of_the_file_is_held_by_a_rule() {
    let zeros = "zeroblob(16)";
    let cases = [
        ("events", "event_id", zeros, Check::RecordHash),
        ("events", "stream_id", zeros, Check::RecordHash),
        (
            "events",
            "stream_version",
            "stream_version + 7",
            Check::RecordHash,
        ),
        ("events", "event_type", "event_type + 1", Check::RecordHash),
        (
            "events",
            "schema_version",
            "schema_version + 1",
            Check::RecordHash,
        ),
        (
            "events",
            "recorded_at",
            "recorded_at + 1",
            Check::RecordHash,
        ),
        ("events", "prev_hash", "zeroblob(32)", Check::RecordHash),
        (
            "events",
            "payload_len",
            "payload_len + 1",
            Check::RecordHash,
        ),
        (
            "events",
            "payload_digest",
            "zeroblob(32)",
            Check::RecordHash,
        ),
        ("events", "record_hash", "zeroblob(32)", Check::RecordHash),
        ("payloads", "salt", zeros, Check::PayloadDigest),
        (
            "payloads",
            "payload",
            "zeroblob(length(payload))",
            Check::PayloadDigest,
        ),
        (
            "payloads",
            "payload",
            "zeroblob(length(payload) + 1)",
            Check::PayloadLength,
        ),
        // Numbers that a header has no room for, and a payload that is left without its header.
        ("events", "event_type", "70000", Check::HeaderForm),
        ("events", "stream_version", "-1", Check::HeaderForm),
        ("events", "position", "position + 1000", Check::HeaderForm),
    ];
    for (table, column, value, expected) in cases {
        let (closed, size) = written().await;
        let position = size - 2;
        let sql = format!("UPDATE {table} SET {column} = {value} WHERE position = {position}");
        tamper(closed.path(), &sql).await;
        let report = scanned(closed.path());
        assert_eq!(
            first(&report),
            Some(expected),
            "{sql}: {:?}",
            report.findings
        );
        assert!(
            closed.try_open().await.is_err(),
            "{sql}: the ledger is served"
        );
    }
}
