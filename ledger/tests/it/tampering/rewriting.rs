//! The operator, who has the key, writes another history and signs it again: only somebody who
//! remembers can tell.

use super::{Log, first, options, signer};
use fixtures::random::SeededRandom;
use fixtures::test_ledger::{ORIGIN, Setup};
use ledger::Timestamp;
use ledger::audit::{Check, VerifyOptions};
use ledger::tlog::{Checkpoint, LogOrigin, Note, PolicyWitness, WitnessPolicy, WitnessSigner};
use std::sync::Arc;

/// The same story in a ledger of its own.
pub(super) async fn freshly_made(seed: u64) -> Log {
    let setup = Setup {
        random: Arc::new(SeededRandom::new(seed)),
        ..Setup::signed()
    };
    Log::recorded_with(setup).await
}

fn remembering(note: Note) -> VerifyOptions {
    VerifyOptions {
        since: vec![note],
        ..options()
    }
}

fn witness() -> WitnessSigner {
    WitnessSigner::from_seed("witness.example.com/w".parse().unwrap(), &[3; 32])
}

fn cosigned(note: &Note) -> Note {
    let origin: LogOrigin = ORIGIN.parse().unwrap();
    let checkpoint = Checkpoint::open(note, &signer().public(), &origin).unwrap();
    let cosignature = witness().cosign(&checkpoint, Timestamp::from_seconds(1_800_000_000));
    note.clone().with_signature(cosignature)
}

fn witnessed() -> VerifyOptions {
    let witness = PolicyWitness {
        key: witness().public(),
        url: None,
    };
    VerifyOptions {
        policy: Some(WitnessPolicy::k_of(1, vec![witness]).unwrap()),
        ..options()
    }
}

/// The last record is another one, and everything is computed and signed anew.
fn rewritten(log: &Log) -> Log {
    let last = log.len() - 1;
    let changed = ledger::EventId::from_bytes([5; 16]);
    let altered = log.altered(|records| records[last].header.event_id = changed);
    Log::of(altered.relinked().records)
}

#[tokio::test]
async fn a_rewritten_ledger_signed_again_passes_only_without_an_anchor_and_the_report_says_so() {
    let log = Log::recorded().await;
    let rewritten = rewritten(&log);
    let report = rewritten.verified(options(), std::slice::from_ref(&rewritten.signed));
    assert!(report.verified, "{:?}", report.findings);
    assert!(!report.anchored);
    let text = report.to_string();
    assert!(text.contains("somebody who remembers"), "{text}");
}

#[tokio::test]
async fn a_rewritten_ledger_is_found_by_whoever_kept_a_checkpoint() {
    let log = Log::recorded().await;
    let rewritten = rewritten(&log);
    let report = rewritten.verified(
        remembering(log.signed.clone()),
        std::slice::from_ref(&rewritten.signed),
    );
    assert!(
        matches!(first(&report), Some(Check::Consistency | Check::TreeRoot)),
        "{:?}",
        report.findings
    );
}

#[tokio::test]
async fn a_rewritten_ledger_is_found_by_its_missing_cosignature() {
    let log = Log::recorded().await;
    let good = log.verified(witnessed(), &[cosigned(&log.signed)]);
    assert!(good.verified && good.anchored, "{:?}", good.findings);
    let rewritten = rewritten(&log);
    let report = rewritten.verified(witnessed(), std::slice::from_ref(&rewritten.signed));
    assert_eq!(first(&report), Some(Check::WitnessPolicy));
    // The cosignature of the true history is worth nothing under another checkpoint.
    let borrowed = cosigned(&log.signed).signatures()[1].clone();
    let note = rewritten.signed.clone().with_signature(borrowed);
    let report = rewritten.verified(witnessed(), &[note]);
    assert_eq!(first(&report), Some(Check::Cosignature));
}

#[tokio::test]
async fn a_freshly_made_ledger_under_the_same_key_is_found() {
    let log = Log::recorded().await;
    let fresh = freshly_made(77).await;
    assert!(
        fresh
            .verified(options(), std::slice::from_ref(&fresh.signed))
            .verified
    );
    let report = fresh.verified(
        remembering(log.signed.clone()),
        std::slice::from_ref(&fresh.signed),
    );
    assert!(
        matches!(first(&report), Some(Check::Consistency | Check::TreeRoot)),
        "{:?}",
        report.findings
    );
}

#[tokio::test]
async fn an_old_copy_is_found_by_whoever_kept_a_newer_checkpoint() {
    let log = Log::recorded().await;
    let old = log.beginning(log.len() - 3);
    assert!(
        old.verified(options(), std::slice::from_ref(&old.signed))
            .verified
    );
    let report = old.verified(
        remembering(log.signed.clone()),
        std::slice::from_ref(&old.signed),
    );
    assert_eq!(first(&report), Some(Check::Coverage));
}

#[tokio::test]
async fn two_histories_cannot_both_be_presented() {
    let log = Log::recorded().await;
    let other = rewritten(&log);
    for (shown, kept) in [(&log, &other), (&other, &log)] {
        let notes = [shown.signed.clone(), kept.signed.clone()];
        let report = shown.verified(options(), &notes);
        assert!(
            matches!(first(&report), Some(Check::Consistency | Check::TreeRoot)),
            "{:?}",
            report.findings
        );
    }
}
