//! Approvals that are bound to the state upstream: it is read again before anything is sent.

use super::*;
use crate::cloudflare::operation;
use fixtures::commands::{agent, continue_apply};
use fixtures::policies::{policy, put, rule};
use fixtures::upstream::Fault;
use ledger::command::PutPolicy;
use ledger::event::PreState as Read;
use ledger::policy::{Policy, PreState, Rule, RuleAction};
use serde_json::json;

fn bound() -> PutPolicy {
    let asks = Rule {
        pre_state: Some(PreState::Bind),
        ..rule("bound".parse().unwrap(), RuleAction::Ask)
    };
    put(
        Policy {
            rules: vec![asks],
            ..policy()
        },
        0,
    )
}

fn strict() -> Operation {
    operation("ssl.mode.write", json!({"value": "strict"}))
}

/// A question about the mode of a zone, of which it was read what it is.
async fn asked(service: &Service, token: &IssuedToken) -> Submitted {
    let approver = SoftApprover::new("default").registration();
    service.ledger.run(approver).await.unwrap();
    service.ledger.run(bound()).await.unwrap();
    let submitted = service.submit(token, "key", vec![strict()]).await;
    let id = submitted.approval.as_ref().unwrap().id;
    let was_read = |approval: &Approval| approval.pre_state.is_some();
    let read = service.ledger.wait_for::<Approval>(id, PATIENCE, was_read);
    Submitted {
        approval: Some(read.await.unwrap()),
        ..submitted
    }
}

async fn go_on(service: &Service, token: &IssuedToken, asked: &Submitted) {
    let ruling = service
        .ledger
        .execute(agent(token), continue_apply(token, asked))
        .await;
    ruling.unwrap().accepted().unwrap();
}

/// Waits for the apply to be asked about anew, and gives the new question.
async fn asked_anew(service: &Service, asked: &Submitted) -> Arc<Approval> {
    let is_anew = |apply: &Apply| apply.replaces.is_some();
    let waiting = service
        .ledger
        .wait_for::<Apply>(asked.apply.id, PATIENCE, is_anew);
    let waiting = waiting.await.unwrap();
    assert!(!waiting.authorised && waiting.end.is_none());
    let question = waiting.approval_id.unwrap();
    service.ledger.load(question).await.unwrap().unwrap()
}

fn writes(upstream: &FakeUpstream) -> usize {
    let requests = upstream.requests();
    requests.iter().filter(|one| one.method != "GET").count()
}

#[tokio::test]
async fn what_was_approved_is_sent_while_upstream_is_as_it_was() {
    let upstream = FakeUpstream::start().await.unwrap();
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let asked = asked(&service, &token).await;
    approve(&service.ledger, &asked).await;
    go_on(&service, &token, &asked).await;
    let apply = ended(&service.ledger, asked.apply.id).await;
    assert_eq!(apply.end, COMPLETED);
    assert_eq!(writes(&upstream), 1);
    service.end().await;
}

#[tokio::test]
async fn nothing_is_sent_where_upstream_has_changed_since_and_the_new_question_shows_it() {
    let upstream = FakeUpstream::start().await.unwrap();
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let asked = asked(&service, &token).await;
    approve(&service.ledger, &asked).await;
    upstream.set_ssl_mode("z1", "off");
    go_on(&service, &token, &asked).await;
    let anew = asked_anew(&service, &asked).await;
    assert_eq!(writes(&upstream), 0);
    let Some([Read::Found(text)]) = anew.pre_state.as_deref() else {
        panic!("{:?}", anew.pre_state);
    };
    assert!(text.contains(r#""off""#), "{text}");
    assert_ne!(
        anew.state_digest(),
        asked.approval.as_ref().unwrap().state_digest()
    );

    let again = Submitted {
        approval: Some(anew),
        ..asked.clone()
    };
    // A passkey of its own: `approve` begins its counter anew.
    let other = SoftApprover::with_credential("default", "other");
    service.ledger.run(other.registration()).await.unwrap();
    let question = again.approval.as_ref().unwrap();
    let decision = other.decide(&service.ledger.ledger, question, Decision::Approve, None);
    let decided = service.ledger.run(decision).await.unwrap();
    decided.accepted().unwrap();
    go_on(&service, &token, &asked).await;
    let apply = ended(&service.ledger, asked.apply.id).await;
    assert_eq!(apply.end, COMPLETED);
    assert_eq!(writes(&upstream), 1);
    service.end().await;
}

#[tokio::test]
async fn nothing_is_sent_where_upstream_cannot_be_read_again() {
    let upstream = FakeUpstream::start().await.unwrap();
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let asked = asked(&service, &token).await;
    approve(&service.ledger, &asked).await;
    upstream.on_next_of("GET", "/settings/ssl", Fault::Status(500));
    go_on(&service, &token, &asked).await;
    let anew = asked_anew(&service, &asked).await;
    let read = anew.pre_state.as_deref();
    assert!(matches!(read, Some([Read::Unavailable(_)])), "{read:?}");
    assert_eq!(writes(&upstream), 0);
    service.end().await;
}
