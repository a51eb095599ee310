//! One apply from task to end, as a reader's first look at the ledger.

use fixtures::approver::SoftApprover;
use fixtures::commands::{agent, continue_apply, ssl_mode};
use fixtures::test_ledger::TestLedger;
use ledger::Decision;
use ledger::aggregate::ApprovalState;
use ledger::command::{Standing, standing};

#[tokio::test]
async fn a_sensitive_apply_is_asked_approved_continued_and_runs() {
    let ledger = TestLedger::open().await;
    let alice = SoftApprover::new("default");
    ledger.run(alice.registration()).await.unwrap();
    let token = ledger.task().await;
    let asked = ledger
        .submit(&token, "k1", vec![ssl_mode("strict")])
        .await
        .unwrap()
        .unwrap();
    let approval = asked.approval.clone().unwrap();
    assert_eq!(
        standing(&asked.apply, Some(&approval), ledger.now()),
        Standing::Waiting
    );

    let decision = alice.decide(&ledger, &approval, Decision::Approve, Some("go on"));
    let approved = ledger.run(decision).await.unwrap().accepted().unwrap();
    assert_eq!(approved.state, ApprovalState::Approved);

    let continued = ledger
        .execute(agent(&token), continue_apply(&token, &asked))
        .await
        .unwrap()
        .accepted()
        .unwrap();
    assert!(continued.apply.is_running());
    assert_eq!(
        continued.approval.unwrap().consumed_by,
        Some(asked.apply.id)
    );
}
