//! Signatures, witnesses, roots, and checkpoints against one another.

use super::{is_first, told};
use fixtures::history::{History, log_signer, signer, trusting};
use ledger::Timestamp;
use ledger::audit::{Check, Report, VerifyOptions, verify_bundle};
use ledger::tlog::{
    Checkpoint, LogOrigin, Note, PolicyWitness, TreeHash, WitnessPolicy, WitnessSigner,
};

fn verified(history: &History, notes: &[Note], options: &VerifyOptions) -> Report {
    verify_bundle(history.bundle(notes).as_slice(), options).unwrap()
}

fn witness(name: &str, seed: u8) -> WitnessSigner {
    WitnessSigner::from_seed(name.parse().unwrap(), &[seed; 32])
}

fn policy(threshold: usize, witnesses: &[&WitnessSigner]) -> WitnessPolicy {
    let witnesses = witnesses.iter().map(|witness| PolicyWitness {
        key: witness.public(),
        url: None,
    });
    WitnessPolicy::k_of(threshold, witnesses.collect()).unwrap()
}

fn cosigned(note: &Note, by: &[&WitnessSigner]) -> Note {
    let checkpoint = Checkpoint::of_unverified(note).unwrap();
    by.iter().fold(note.clone(), |note, witness| {
        note.with_signature(witness.cosign(&checkpoint, Timestamp::from_seconds(1_800_000_000)))
    })
}

#[tokio::test]
async fn a_root_that_is_not_the_trees_is_named() {
    let history = told().await;
    let origin = LogOrigin::from(log_signer().public().name());
    let wrong = Checkpoint::new(origin, 20, TreeHash::from_bytes([1; 32]));
    let note = log_signer().sign_checkpoint(&wrong);
    let report = verified(&history, &[history.sign(), note], &trusting());
    is_first(&report, Check::TreeRoot, Some(19));
}

#[tokio::test]
async fn a_checkpoint_of_another_key_or_log_does_not_count() {
    let history = told().await;
    let name = log_signer().public().name().as_str().to_owned();
    let report = verified(
        &history,
        &[history.sign_at(history.size(), &signer(&name, 8))],
        &trusting(),
    );
    is_first(&report, Check::CheckpointSignature, None);
    let report = verified(
        &history,
        &[history.sign_at(history.size(), &signer("other.example", 7))],
        &trusting(),
    );
    is_first(&report, Check::CheckpointOrigin, None);
}

#[tokio::test]
async fn a_note_that_is_no_checkpoint_is_named() {
    let history = told().await;
    let mut verifier = ledger::audit::Verifier::new(trusting());
    verifier.checkpoint(ledger::audit::NoteSource::Stored, "nothing", None);
    for record in history.audit_records() {
        verifier.record(&record);
    }
    is_first(&verifier.finish(), Check::CheckpointForm, None);
}

#[tokio::test]
async fn another_history_than_the_one_that_was_kept_is_named() {
    let history = told().await;
    let kept = history.sign();
    let mut rewritten = history.clone();
    // Nothing else speaks of it, so that it is the service's word.
    let at = history.first("apply.operation_started");
    rewritten.alter_all(at, |envelope, _| {
        envelope.request_id = Some(ledger::RequestId::from_bytes([1; 16]));
    });
    rewritten.reseal();
    assert!(
        rewritten.verify().verified,
        "nobody who does not remember can tell"
    );
    let mut options = trusting();
    options.since = vec![kept];
    let report = rewritten.verify_with(&options);
    is_first(&report, Check::Consistency, Some(history.size() - 1));
}

#[tokio::test]
async fn two_histories_that_one_key_signed_are_named_from_their_checkpoints_alone() {
    let history = told().await;
    let mut other = history.clone();
    other.alter_all(3, |envelope, _| {
        envelope.actor = ledger::Actor::system("else")
    });
    other.reseal();
    let report = verified(&history, &[history.sign(), other.sign()], &trusting());
    is_first(&report, Check::Consistency, Some(history.size() - 1));
}

#[tokio::test]
async fn records_that_end_before_a_checkpoint_are_named() {
    let history = told().await;
    let mut options = trusting();
    options.since = vec![history.sign()];
    let mut shorter = history.clone();
    shorter.records.truncate(15);
    let report = shorter.verify_with(&options);
    is_first(&report, Check::Coverage, Some(15));
}

#[tokio::test]
async fn a_range_that_begins_after_the_checkpoint_that_was_kept_is_not_taken_for_proven() {
    let history = told().await;
    let mut options = trusting();
    options.since = vec![history.sign_at(5, &log_signer())];
    let bundle = history.bundle_from(
        9,
        history.frontier(9).subtrees().to_vec(),
        &[history.sign()],
    );
    let report = verify_bundle(bundle.as_slice(), &options).unwrap();
    is_first(&report, Check::Consistency, None);
    assert!(!report.anchored);
}

#[tokio::test]
async fn enough_witnesses_are_an_anchor_and_too_few_are_named() {
    let history = told().await;
    let (one, two) = (witness("one.example", 1), witness("two.example", 2));
    let mut options = trusting();
    options.policy = Some(policy(2, &[&one, &two]));
    let note = cosigned(&history.sign(), &[&one, &two]);
    let report = verified(&history, std::slice::from_ref(&note), &options);
    assert!(report.verified && report.anchored, "{report}");
    assert_eq!(report.witnessed_size, history.size());
    let note = cosigned(&history.sign(), &[&two]);
    let report = verified(&history, &[note], &options);
    is_first(&report, Check::WitnessPolicy, None);
    assert!(!report.anchored);
}

#[tokio::test]
async fn an_older_witnessed_checkpoint_anchors_what_it_covers() {
    let history = told().await;
    let one = witness("one.example", 1);
    let mut options = trusting();
    options.policy = Some(policy(1, &[&one]));
    let older = cosigned(&history.sign_at(12, &log_signer()), &[&one]);
    let report = verified(&history, &[history.sign(), older], &options);
    assert!(report.verified && report.anchored, "{report}");
    assert_eq!(
        (report.signed_size, report.witnessed_size),
        (history.size(), 12)
    );
}

#[tokio::test]
async fn a_witnessed_checkpoint_that_covers_none_of_the_records_is_not_enough() {
    let history = told().await;
    let one = witness("one.example", 1);
    let mut options = trusting();
    options.policy = Some(policy(1, &[&one]));
    let nothing = cosigned(&history.sign_at(0, &log_signer()), &[&one]);
    let report = verified(&history, &[history.sign(), nothing], &options);
    is_first(&report, Check::WitnessPolicy, None);
    let before = cosigned(&history.sign_at(9, &log_signer()), &[&one]);
    let frontier = history.frontier(9).subtrees().to_vec();
    let bundle = history.bundle_from(9, frontier, &[history.sign(), before]);
    let report = verify_bundle(bundle.as_slice(), &options).unwrap();
    is_first(&report, Check::WitnessPolicy, None);
}

#[tokio::test]
async fn the_verdict_on_a_ledger_that_goes_on_says_how_much_nobody_has_signed() {
    let history = told().await;
    let note = history.sign_at(history.size() - 5, &log_signer());
    let mut verifier = ledger::audit::Verifier::new(trusting());
    verifier.checkpoint(ledger::audit::NoteSource::Stored, &note.to_string(), None);
    for record in history.audit_records() {
        verifier.record(&record);
    }
    let report = verifier.finish();
    assert!(report.verified, "{report}");
    let verdict = "VERIFIED: nothing is wrong with these records. Nobody has signed the last 5 of them yet.\n";
    assert!(report.to_string().starts_with(verdict), "{report}");
}

#[tokio::test]
async fn a_forged_cosignature_is_named() {
    let history = told().await;
    let (real, forged) = (witness("one.example", 1), witness("one.example", 2));
    let mut options = trusting();
    options.policy = Some(policy(1, &[&real]));
    let text = cosigned(&history.sign(), &[&forged]).to_string();
    // The forger's key has another id; a line under the real one is what must be caught.
    let honest = cosigned(&history.sign_at(4, &log_signer()), &[&real]).to_string();
    let line = honest.lines().last().unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    *lines.last_mut().unwrap() = line;
    let note: Note = format!("{}\n", lines.join("\n")).parse().unwrap();
    let report = verified(&history, &[note], &options);
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.check == Check::Cosignature),
        "{report}"
    );
}
