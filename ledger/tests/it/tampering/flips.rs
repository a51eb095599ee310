//! One byte is changed, at every place there is.

use super::{Log, audited, first, hashes_only, options};
use ledger::audit::{Check, NoteSource, Verifier, verify_bundle};
use ledger::{Header, RecordHash, StoredRecord};
use std::collections::{BTreeMap, BTreeSet};

/// The columns of a stored record, as the bytes that the canonical header takes from them, and those
/// that stand beside the header.
const COLUMNS: &[(&str, std::ops::Range<usize>)] = &[
    ("position", 5..13),
    ("event_id", 13..29),
    ("stream_id", 29..45),
    ("stream_version", 45..53),
    ("event_type", 53..55),
    ("schema_version", 55..57),
    ("recorded_at", 57..65),
    ("prev_hash", 65..97),
    ("payload_len", 97..101),
    ("payload_digest", 101..133),
];

fn verdict(log: &Log, at: usize, header: &Header, record: &StoredRecord) -> Option<Check> {
    verdict_of(log, at, header, record.record_hash, record)
}

fn verdict_of(
    log: &Log,
    at: usize,
    header: &Header,
    hash: RecordHash,
    record: &StoredRecord,
) -> Option<Check> {
    let mut verifier = Verifier::new(hashes_only());
    verifier.checkpoint(NoteSource::Stored, &log.signed.to_string(), None);
    for untouched in &log.records[..at] {
        let hash = Some(untouched.record_hash);
        verifier.record(&audited(&untouched.header, hash, untouched));
    }
    verifier.record(&audited(header, Some(hash), record));
    // What comes next is looked at too, but what is further on adds nothing.
    for untouched in log.records[at + 1..].iter().take(1) {
        let hash = Some(untouched.record_hash);
        verifier.record(&audited(&untouched.header, hash, untouched));
    }
    first(&verifier.finish())
}

#[tokio::test]
async fn every_byte_of_every_column_of_every_record_is_held_by_a_rule() {
    let log = Log::recorded().await;
    let mut found: BTreeMap<&str, BTreeSet<Check>> = BTreeMap::new();
    for (at, record) in log.records.iter().enumerate() {
        let canonical = record.header.encode();
        for (column, bytes) in COLUMNS {
            for byte in bytes.clone() {
                let mut changed = canonical;
                changed[byte] ^= 0x01;
                let header = Header::decode(&changed).unwrap();
                let check = verdict(&log, at, &header, record);
                let check = check.unwrap_or_else(|| panic!("{column} of {at}, byte {byte}"));
                found.entry(column).or_default().insert(check);
            }
        }
        for byte in 0..32 {
            let mut hash = *record.record_hash.as_bytes();
            hash[byte] ^= 0x80;
            let hash = RecordHash::from_bytes(hash);
            let check = verdict_of(&log, at, &record.header, hash, record).unwrap();
            found.entry("record_hash").or_default().insert(check);
        }
        let (salt, payload) = record.payload.clone().unwrap();
        for byte in 0..salt.len() {
            let mut changed = record.clone();
            let mut salt = salt;
            salt[byte] ^= 0x01;
            changed.payload = Some((salt, payload.clone()));
            let check = verdict(&log, at, &record.header, &changed).unwrap();
            found.entry("salt").or_default().insert(check);
        }
        for byte in 0..payload.len() {
            let mut changed = record.clone();
            let mut payload = payload.clone();
            payload[byte] ^= 0x01;
            changed.payload = Some((salt, payload));
            let check = verdict(&log, at, &record.header, &changed).unwrap();
            found.entry("payload").or_default().insert(check);
        }
    }
    // The stored hash is the first to disagree with a header; the place and the payload are looked
    // at beside it.
    let by = |column: &str| found[column].iter().copied().collect::<Vec<_>>();
    for (column, _) in COLUMNS {
        let expected: &[Check] = match *column {
            "position" => &[Check::Position],
            _ => &[Check::RecordHash],
        };
        assert_eq!(by(column), expected, "{column}");
    }
    assert_eq!(by("record_hash"), [Check::RecordHash]);
    assert_eq!(by("salt"), [Check::PayloadDigest]);
    assert_eq!(by("payload"), [Check::PayloadDigest]);
}

#[tokio::test]
async fn a_record_changed_together_with_its_hash_breaks_the_chain_or_the_signed_tree() {
    let log = Log::recorded().await;
    let last = log.len() - 1;
    for (at, record) in log.records.iter().enumerate() {
        let mut header = record.header;
        header.event_id = ledger::EventId::from_bytes([9; 16]);
        let check = verdict_of(&log, at, &header, header.record_hash(), record);
        let expected = if at == last {
            Check::TreeRoot
        } else {
            Check::Chain
        };
        assert_eq!(check, Some(expected), "{at}");
    }
}

#[tokio::test]
async fn every_byte_of_a_bundle_is_held_by_a_rule() {
    let log = Log::recorded().await.beginning(10);
    let bundle = log.bundle(&log.signed);
    let untouched = verify_bundle(bundle.as_slice(), &options()).unwrap();
    assert_eq!(first(&untouched), None);
    let mut found = BTreeSet::new();
    for at in 0..bundle.len() {
        let mut changed = bundle.clone();
        changed[at] ^= 0x01;
        let report = verify_bundle(changed.as_slice(), &hashes_only()).unwrap();
        assert!(!report.verified, "byte {at} is held by nothing");
        found.extend(report.findings.iter().map(|finding| finding.check));
    }
    // The digest holds every byte; beside it, each kind of byte has a rule of its own, which holds
    // where somebody computes the digest anew.
    for expected in [
        Check::BundleForm,
        Check::BundleEnd,
        Check::BundleDigest,
        Check::HeaderForm,
        Check::Position,
        Check::Chain,
        Check::PayloadDigest,
        Check::PayloadLength,
        Check::CheckpointForm,
        Check::CheckpointSignature,
        Check::TreeRoot,
    ] {
        assert!(
            found.contains(&expected),
            "{expected} is not among {found:?}"
        );
    }
}

#[tokio::test]
async fn a_bundle_that_is_cut_off_anywhere_or_goes_on_is_no_bundle() {
    let log = Log::recorded().await.beginning(10);
    let bundle = log.bundle(&log.signed);
    for length in 0..bundle.len() {
        let report = verify_bundle(&bundle[..length], &hashes_only()).unwrap();
        assert!(first(&report).is_some(), "{length} bytes");
    }
    let longer = [bundle.as_slice(), b"\0"].concat();
    let report = verify_bundle(longer.as_slice(), &options()).unwrap();
    assert_eq!(first(&report), Some(Check::BundleEnd));
}
