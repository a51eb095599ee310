//! What the workers do for approvals: read what would change, and record that time is over.

use super::*;
use crate::cloudflare::operation;
use fixtures::receiver::Answer;
use fixtures::upstream::Fault;
use ledger::TaskId;
use ledger::aggregate::ApprovalState;
use ledger::command::SetLock;
use ledger::event::{LockTarget, PreState};
use serde_json::{Value, json};

async fn pre_state(ledger: &TestLedger, submitted: &Submitted) -> Vec<PreState> {
    let id = submitted.approval.as_ref().unwrap().id;
    let was_read = |approval: &Approval| approval.pre_state.is_some();
    let approval = ledger.wait_for::<Approval>(id, PATIENCE, was_read).await;
    approval.unwrap().pre_state.clone().unwrap()
}

async fn state(ledger: &TestLedger, submitted: &Submitted, is: ApprovalState) {
    let id = submitted.approval.as_ref().unwrap().id;
    let holds = |approval: &Approval| approval.state == is;
    let approval = ledger.wait_for::<Approval>(id, PATIENCE, holds).await;
    assert_eq!(approval.unwrap().state, is);
}

fn strict() -> Operation {
    operation("ssl.mode.write", json!({"value": "strict"}))
}

#[tokio::test]
async fn what_would_change_is_read_once_for_each_approval() {
    let upstream = FakeUpstream::start().await.unwrap();
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let operations = vec![strict(), commands::dns_read()];
    let first = service.submit(&token, "first", operations.clone()).await;
    let states = pre_state(&service.ledger, &first).await;
    let second = service.submit(&token, "second", operations).await;

    let [PreState::Found(text), PreState::NotApplicable] = states.as_slice() else {
        panic!("{states:?}");
    };
    let found: Value = serde_json::from_str(text).unwrap();
    assert_eq!(found["ssl"]["value"], upstream.ssl_mode("z1"));
    assert_eq!(second.approval.unwrap().id, first.approval.unwrap().id);
    assert_eq!(
        count(&service.ledger, "approval.pre_state_recorded").await,
        1
    );
    service.end().await;
}

#[tokio::test]
async fn without_a_token_there_is_nothing_to_read() {
    let service = Service::start(Outside::simulated()).await;
    let token = service.ledger.task().await;
    let operations = vec![strict(), commands::purge()];
    let submitted = service.submit(&token, "key", operations).await;
    let states = pre_state(&service.ledger, &submitted).await;
    let why = "no Cloudflare token is configured; operations are simulated".to_owned();
    assert_eq!(
        states,
        [PreState::Unavailable(why), PreState::NotApplicable]
    );
    service.end().await;
}

#[tokio::test]
async fn an_upstream_that_fails_is_said_and_one_that_hangs_holds_up_no_apply() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.on_next_of("GET", "/settings/ssl", Fault::Status(500));
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let failing = service.submit(&token, "failing", vec![strict()]).await;
    let states = pre_state(&service.ledger, &failing).await;
    assert!(
        matches!(states.as_slice(), [PreState::Unavailable(_)]),
        "{states:?}"
    );

    upstream.on_next_of("GET", "/settings/ssl", Fault::Hold);
    let full = operation("ssl.mode.write", json!({"value": "full"}));
    let before = upstream.requests().len();
    service.submit(&token, "hanging", vec![full]).await;
    soon("the reading hangs", upstream.wait_for(before + 1))
        .await
        .unwrap();
    let apply = service.apply(vec![commands::dns_read()]).await;
    assert_eq!(apply.end, COMPLETED);
    service.end().await;
}

#[tokio::test]
async fn a_deadline_that_passes_is_recorded_once_while_callbacks_hang() {
    let receiver = Receiver::start().await.unwrap();
    receiver.answer_afterwards(Answer::hanging());
    let service = Service::start(Outside::simulated().trusting(&receiver)).await;
    let token = service.task_with_callback(&receiver).await;
    let submitted = service.submit(&token, "key", vec![strict()]).await;
    soon("the callback hangs", receiver.wait_for(1))
        .await
        .unwrap();

    service.advance(Duration::from_secs(599));
    service.advance(Duration::from_secs(1));
    state(&service.ledger, &submitted, ApprovalState::Expired).await;
    soon("the callback for it", receiver.wait_for(2))
        .await
        .unwrap();
    assert_eq!(count(&service.ledger, "approval.expired").await, 1);
    receiver.release();
    for id in deliveries(&service.ledger).await {
        delivery(&service.ledger, id, is_delivered).await;
    }
    let received = receiver.received();
    let types: Vec<_> = received
        .iter()
        .map(|request| request.json()["event"]["event_type"].clone())
        .collect();
    assert_eq!(types, ["approval.pending", "approval.expired"]);
    service.end().await;
}

#[tokio::test]
async fn an_approval_that_nobody_continues_expires() {
    let service = Service::start(Outside::simulated()).await;
    let token = service.ledger.task().await;
    let submitted = service.submit(&token, "key", vec![strict()]).await;
    service.advance(Duration::from_secs(300));
    approve(&service.ledger, &submitted).await;
    service.advance(Duration::from_secs(599));
    state(&service.ledger, &submitted, ApprovalState::Approved).await;
    service.advance(Duration::from_secs(1));
    state(&service.ledger, &submitted, ApprovalState::Expired).await;
    service.end().await;
}

#[tokio::test]
async fn a_deadline_that_passed_while_the_service_was_down_is_recorded_at_its_start() {
    let ledger = TestLedger::open().await;
    let token = ledger.task().await;
    let submitted = ledger.submit(&token, "key", vec![strict()]).await;
    let submitted = submitted.unwrap().unwrap();
    ledger.clock.advance(Duration::from_secs(3600));
    let service = Service::over(ledger.restart().await, Outside::simulated()).await;
    state(&service.ledger, &submitted, ApprovalState::Expired).await;
    service.end().await;
}

#[tokio::test]
async fn a_lock_cancels_what_was_asked_and_what_was_approved_before_it() {
    let service = Service::start(Outside::simulated()).await;
    let token = service.ledger.task().await;
    let asked = service.submit(&token, "k1", vec![strict()]).await;
    let full = operation("ssl.mode.write", json!({"value": "full"}));
    let approved = service.submit(&token, "k2", vec![full]).await;
    approve(&service.ledger, &approved).await;
    let other = service.ledger.task().await;
    let stays = service.submit(&other, "k1", vec![strict()]).await;
    service.advance(Duration::from_secs(1));
    service.ledger.run(lock(token.task.id)).await.unwrap();
    state(&service.ledger, &asked, ApprovalState::Cancelled).await;
    state(&service.ledger, &approved, ApprovalState::Cancelled).await;
    state(&service.ledger, &stays, ApprovalState::Pending).await;
    service.end().await;
}

#[tokio::test]
async fn a_lock_before_the_service_was_killed_cancels_at_the_next_start() {
    let ledger = TestLedger::open().await;
    let token = ledger.task().await;
    let submitted = ledger.submit(&token, "key", vec![strict()]).await;
    let submitted = submitted.unwrap().unwrap();
    ledger.clock.advance(Duration::from_secs(1));
    ledger.run(lock(token.task.id)).await.unwrap();
    let service = Service::over(ledger.restart().await, Outside::simulated()).await;
    state(&service.ledger, &submitted, ApprovalState::Cancelled).await;
    service.end().await;
}

fn lock(task: TaskId) -> SetLock {
    SetLock {
        target: LockTarget::Task(task),
        reason: "drill".to_owned(),
        duration: None,
    }
}
