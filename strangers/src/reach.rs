//! Seeds that are refused at the door would let every property hold of nothing.

use crate::{audit, callbacks, documents, notes, operations, passkeys, requests, tokens, trees};
use fixtures::history::trusting;
use fixtures::log_history::LogHistory;
use ledger::audit::{Dossier, verify_bundle, verify_dossier};
use ledger::operation::Operation;
use ledger::tlog::{TilePath, WitnessPolicy, WitnessRequest};
use ledger::{PublicKey, Submission, parse_strict};
use std::collections::BTreeSet;

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn every_operation_and_submission_is_taken() {
    let mut kinds = BTreeSet::new();
    let mut refused = Vec::new();
    for seed in operations::seeds() {
        let value = parse_strict(&seed).unwrap();
        match Operation::from_json(&value) {
            Ok(operation) => drop(kinds.insert(operation.entry.id)),
            Err(why) => refused.push(format!("{why}: {}", text(&seed))),
        }
    }
    assert!(refused.is_empty(), "{refused:#?}");
    assert_eq!(kinds.len(), fixtures::cloudflare::CATALOG.len());
    for seed in operations::submission_seeds() {
        Submission::read(&seed).unwrap();
    }
}

#[test]
fn what_is_signed_verifies() {
    let bundle = audit::bundle_seeds().remove(0);
    let report = verify_bundle(bundle.as_slice(), &trusting()).unwrap();
    assert!(report.verified, "{report}");
    let dossier = documents::dossier_seeds().remove(0);
    let dossier = Dossier::read(&dossier).unwrap();
    let report = verify_dossier(&dossier, &trusting());
    assert!(report.verified, "{:?}", report.findings);
    let callbacks = documents::callback_proof_seeds();
    assert!(callbacks.len() > 2);
    assert!(callbacks.iter().all(|body| documents::is_proven(body)));
}

#[test]
fn what_passkeys_make_is_taken() {
    assert!(
        passkeys::cose_key_seeds()
            .iter()
            .all(|key| PublicKey::from_cose(key).is_ok())
    );
    assert!(passkeys::is_verified(&passkeys::assertion_seeds()[0]));
    for seed in passkeys::registration_seeds() {
        passkeys::registered(&seed).unwrap();
    }
}

#[test]
fn what_logs_publish_is_taken() {
    let log: &LogHistory = &notes::LOG;
    for seed in notes::policy_seeds() {
        text(&seed).parse::<WitnessPolicy>().unwrap();
    }
    for seed in notes::witness_request_seeds() {
        let request: WitnessRequest = text(&seed).parse().unwrap();
        assert_eq!(request.to_string().into_bytes(), seed);
        let checkpoint = ledger::tlog::Checkpoint::of_unverified(request.note()).unwrap();
        assert_eq!(checkpoint, log.checkpoint(checkpoint.size()));
    }
    for seed in trees::tile_seeds() {
        let line = seed.split(|byte| *byte == b'\n').next().unwrap();
        text(line).parse::<TilePath>().unwrap();
    }
}

#[test]
fn tokens_and_urls_are_taken() {
    assert_eq!(
        tokens::seeds()
            .iter()
            .filter(|token| tokens::opens(token))
            .count(),
        3
    );
    let taken = callbacks::seeds();
    let taken = taken.iter().filter(|url| callbacks::is_taken(text(url)));
    assert!(taken.count() >= 5);
}

/// Each body is taken by some route, and each route takes something or answers a link's holder.
#[test]
fn requests_get_past_their_doors() {
    let answers = requests::statuses();
    // Whoever may not (403) has been recognised.
    let is_refusal = |status: &u16| [400, 401, 405].contains(status);
    let stopped: Vec<_> = answers
        .iter()
        .filter(|(_, statuses)| statuses.iter().all(is_refusal))
        .collect();
    assert!(stopped.is_empty(), "{stopped:?}");
    let taken = answers
        .values()
        .filter(|statuses| statuses.iter().any(|status| *status < 300));
    assert!(taken.count() * 5 > answers.len() * 3, "{answers:?}");
}
