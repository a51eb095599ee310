//! Nothing is found in what the ledger itself wrote.

use super::told;
use crate::scene::Scene;
use fixtures::approver::SoftApprover;
use fixtures::commands::{administrator, callback, create_task, operation};
use fixtures::history::{History, log_signer, trusting};
use fixtures::rules::APPROVER;
use ledger::audit::{Check, Depth, Obstacle, VerifyOptions};
use ledger::command::{CloseTask, CreateTask};
use ledger::operation::Operation;
use providers::cloudflare;
use serde_json::json;

#[tokio::test]
async fn an_honest_history_is_verified_and_told() {
    let history = told().await;
    let report = history.verify();
    assert!(report.verified && report.everything, "{report}");
    assert!(report.impossible.is_empty(), "{report}");
    assert_eq!((report.from, report.to), (0, history.size()));
    assert_eq!(report.signed_size, history.size());
    let told = &report.history;
    assert_eq!((told.approved, told.denied, told.continued), (1, 1, 1));
    assert_eq!((told.tasks, told.tasks_closed, told.refused), (2, 1, 1));
    assert_eq!(
        (told.applies, told.approvals, told.operations_started),
        (7, 4, 5)
    );
    assert_eq!((told.delivery_attempts, told.delivered), (2, 1));
}

#[tokio::test]
async fn the_report_names_the_deciding_keys_and_who_registered_them() {
    let history = told().await;
    let report = history.verify();
    let [key] = report.history.deciding_keys.as_slice() else {
        panic!("one key decided");
    };
    assert_eq!(
        key.registered_at_position,
        history.first("approver.credential_put")
    );
    assert_eq!(key.registered_by, "administrator agent:orchestrator");
    assert_eq!((key.principal.as_str(), key.decisions), (APPROVER, 2));
    let text = report.to_string();
    // As the approver was shown it.
    let thumbprint = SoftApprover::new(APPROVER).public_key().thumbprint();
    assert!(text.contains(&thumbprint.to_base64url()), "{text}");
    assert_eq!(key.thumbprint, thumbprint.to_string());
    assert!(text.contains("VERIFIED: nothing is wrong"), "{text}");
}

#[tokio::test]
async fn without_an_anchor_the_report_says_what_is_not_proven() {
    let history = told().await;
    let report = history.verify();
    assert!(!report.anchored);
    let text = report.to_string();
    for words in [
        "Nothing here was witnessed",
        "rewrites everything and signs again",
        "only caught by somebody who remembers",
    ] {
        assert!(text.contains(words), "{text}");
    }
    let mut options = trusting();
    options.since = vec![history.sign_at(10, &log_signer())];
    let report = history.verify_with(&options);
    assert!(report.verified && report.anchored, "{report}");
    assert_eq!(report.remembered_size, 10);
    assert!(!report.to_string().contains("no anchor"));
}

#[tokio::test]
async fn hashes_alone_are_verified_without_reading_payloads() {
    let mut history = told().await;
    let mut options = VerifyOptions::new(log_signer().public(), providers::all());
    options.depth = Depth::Hashes;
    let report = history.verify_with(&options);
    assert!(report.verified && !report.everything);
    assert_eq!(report.history.events, 0);
    history.record(7).content.as_mut().unwrap().1[0] ^= 1;
    let report = history.verify_with(&options);
    super::is_first(&report, Check::PayloadDigest, Some(7));
}

#[tokio::test]
async fn a_range_is_verified_as_far_as_it_can_be_and_says_so() {
    let history = told().await;
    for from in 1..history.size() {
        let frontier = history.frontier(from).subtrees().to_vec();
        let bundle = history.bundle_from(from, frontier, &[history.sign()]);
        let report = ledger::audit::verify_bundle(bundle.as_slice(), &trusting()).unwrap();
        assert!(report.verified, "from {from}: {report}");
        assert_eq!((report.from, report.to), (from, history.size()));
        let honest = report
            .impossible
            .iter()
            .all(|limit| limit.why == Obstacle::BeforeRange);
        assert!(honest, "{report}");
        if from > 2 && from <= history.first("approval.approved") {
            assert!(!report.impossible.is_empty(), "from {from}: {report}");
        }
    }
}

#[tokio::test]
async fn a_bundle_without_a_checkpoint_is_not_verified_but_by_one_that_was_kept() {
    let history: History = told().await;
    let bundle = history.bundle(&[]);
    let report = ledger::audit::verify_bundle(bundle.as_slice(), &trusting()).unwrap();
    super::is_first(&report, Check::CheckpointMissing, None);
    let mut options = trusting();
    options.since = vec![history.sign()];
    let report = ledger::audit::verify_bundle(bundle.as_slice(), &options).unwrap();
    assert!(report.verified && report.anchored, "{report}");
}

#[tokio::test]
async fn a_task_that_is_closed_with_a_hundred_questions_open_is_verified() {
    let scene = Scene::new().await;
    let command = CreateTask {
        callback: Some(callback(9, "secret")),
        ..create_task()
    };
    let task = scene.execute(administrator(), command).await.unwrap();
    for number in 0..100 {
        let key = format!("k{number}");
        let asked = scene.submit(&task, &key, vec![ssl_mode_in(number)]);
        assert!(asked.await.unwrap().unwrap().approval.is_some());
    }
    let close = CloseTask {
        task_id: task.task.id,
        token: None,
        reason: None,
    };
    scene.run(close).await.unwrap();
    let history = History::read(scene.ledger.close().await.path());
    assert_eq!(history.all("approval.cancelled").len(), 100);
    let report = history.verify();
    assert!(report.verified && report.everything, "{report}");
}

fn ssl_mode_in(zone: usize) -> Operation {
    let params = json!({"value": "strict"});
    operation(cloudflare::SSL_MODE, &format!("z{zone}"), &params)
}
