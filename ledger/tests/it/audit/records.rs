//! Headers, hashes, chain and payloads.

use super::{altered, is_first, is_found, told};
use fixtures::history::{History, trusting};
use ledger::audit::{AuditRecord, Check, NoteSource, Report, Verifier};
use ledger::event::Event;
use ledger::{LedgerId, RecordHash, Timestamp, genesis_hash};

fn broken(history: &History, change: impl FnOnce(&mut History)) -> Report {
    let mut history = history.clone();
    change(&mut history);
    history.verify()
}

#[tokio::test]
async fn a_stored_hash_that_is_not_the_headers_is_named() {
    let history = told().await;
    let mut verifier = Verifier::new(trusting());
    verifier.checkpoint(NoteSource::Stored, &history.sign().to_string(), None);
    for record in history.audit_records() {
        let wrong = record.header.position == 5;
        verifier.record(&AuditRecord {
            record_hash: if wrong {
                Some(RecordHash::from_bytes([1; 32]))
            } else {
                record.record_hash
            },
            ..record
        });
    }
    let report = verifier.finish();
    is_first(&report, Check::RecordHash, Some(5));
    assert_eq!(report.findings.len(), 1);
}

#[tokio::test]
async fn a_record_that_is_missing_is_named_by_its_position() {
    let history = told().await;
    let report = broken(&history, |history| drop(history.records.remove(4)));
    is_first(&report, Check::Position, Some(4));
}

#[tokio::test]
async fn a_record_that_comes_twice_is_named_by_its_position() {
    let history = told().await;
    let report = broken(&history, |history| {
        let twice = history.records[4].clone();
        history.records.insert(5, twice);
    });
    is_first(&report, Check::Position, Some(4));
}

#[tokio::test]
async fn a_header_that_was_changed_breaks_the_chain_at_the_next_record() {
    let history = told().await;
    let report = broken(&history, |history| {
        history.record(4).header.recorded_at = history.records[3].header.recorded_at;
        history.record(4).header.event_id = history.records[9].header.event_id;
    });
    is_first(&report, Check::Chain, Some(5));
}

#[tokio::test]
async fn a_chain_that_does_not_begin_at_its_ledger_is_named() {
    let history = told().await;
    let report = broken(&history, |history| {
        history.relink(genesis_hash(LedgerId::from_bytes([9; 16])));
    });
    is_first(&report, Check::Genesis, Some(0));
    let report = altered(&history, |history| drop(history.remove(0)));
    is_first(&report, Check::Genesis, Some(0));
}

#[tokio::test]
async fn a_time_that_goes_back_is_named() {
    let history = told().await;
    let at = history.size() - 1;
    let report = altered(&history, |history| {
        history.record(at).header.recorded_at = Timestamp::from_seconds(1);
    });
    is_first(&report, Check::RecordedAt, Some(at));
}

#[tokio::test]
async fn a_payload_that_was_changed_is_named_by_its_digest_or_length() {
    let history = told().await;
    for at in 0..history.size() {
        let report = broken(&history, |history| {
            history.record(at).content.as_mut().unwrap().1[3] ^= 0x40;
        });
        is_first(&report, Check::PayloadDigest, Some(at));
        let report = broken(&history, |history| {
            history.record(at).content.as_mut().unwrap().0[0] ^= 1;
        });
        is_first(&report, Check::PayloadDigest, Some(at));
        let report = broken(&history, |history| {
            history.record(at).content.as_mut().unwrap().1.push(0);
        });
        is_first(&report, Check::PayloadLength, Some(at));
    }
}

#[tokio::test]
async fn a_payload_with_something_after_its_end_is_named() {
    let history = told().await;
    for at in 0..history.size() {
        let report = altered(&history, |history| {
            history.record(at).content.as_mut().unwrap().1.push(0);
        });
        is_first(&report, Check::PayloadForm, Some(at));
    }
}

#[tokio::test]
async fn a_form_that_nobody_knows_is_named() {
    let history = told().await;
    let report = altered(&history, |history| {
        history.record(8).header.schema_version = 99;
    });
    is_first(&report, Check::PayloadForm, Some(8));
}

#[tokio::test]
async fn a_payload_that_is_gone_is_named_where_no_event_says_that_it_was_erased() {
    let history = told().await;
    for at in 0..history.size() {
        let report = broken(&history, |history| history.record(at).content = None);
        is_found(&report, Check::PayloadMissing, at);
        assert!(!report.verified);
    }
}

#[tokio::test]
async fn an_event_that_was_caused_by_a_later_one_is_named() {
    let history = told().await;
    let at = history.first("delivery.owed");
    let report = altered(&history, |history| {
        history.alter_all(at, |envelope, _| envelope.cause = Some(at));
    });
    is_first(&report, Check::Envelope, Some(at));
}

#[tokio::test]
async fn another_ledgers_id_is_named() {
    let history = told().await;
    let report = altered(&history, |history| {
        history.alter(0, |event| {
            if let Event::LedgerCreated(created) = event {
                created.ledger_id = LedgerId::from_bytes([9; 16]);
            }
        });
    });
    is_first(&report, Check::StreamIdentity, Some(0));
    is_found(
        &report,
        Check::LedgerIdentity,
        history.first("apply.accepted"),
    );
}
