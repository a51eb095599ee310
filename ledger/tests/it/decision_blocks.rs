//! Blocks in a decision: a denial blocks what asked, in the same commit, and nothing else.

use crate::audit::{altered, is_found};
use crate::scene::{Scene, refused};
use fixtures::commands::{agent, dns_create, submit};
use fixtures::history::History;
use ledger::aggregate::AdmissionKind::Allow;
use ledger::aggregate::{Admission, ApprovalState};
use ledger::audit::Check;
use ledger::command::{DecideApproval, SetAdmission, Submitted};
use ledger::event::{ClientTarget, Event};
use ledger::policy::{Fact, Value};
use ledger::statement::SignedBlock;
use ledger::{AdmissionId, AgentId, Choice, Decision, Rejection};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn of_agent(scene: &Scene, asked: &Submitted) -> SignedBlock {
    SignedBlock {
        kind: "agent".to_owned(),
        value: asked.task.agent_id.to_string(),
        until: Some(scene.now().plus(MINUTE)),
    }
}

fn decide(
    scene: &Scene,
    asked: &Submitted,
    decision: Decision,
    block: SignedBlock,
) -> DecideApproval {
    let choice = Choice {
        block: Some(block),
        ..Choice::default()
    };
    let approval = asked.approval.as_ref().unwrap();
    scene
        .alice
        .choose(&scene.ledger, approval, decision, Some("no"), choice)
}

async fn refusal_of_the_next(scene: &Scene, key: &str) -> Option<Rejection> {
    let next = submit(&scene.token, key, vec![dns_create("a.example.com")]);
    let ruling = scene.execute(agent(&scene.token), next).await.unwrap();
    ruling.accepted().err()
}

async fn audited(scene: Scene) -> History {
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    history.assert_verified();
    history
}

#[tokio::test]
async fn a_denial_blocks_what_asked_in_its_own_commit() {
    let scene = Scene::granted().await;
    let asked = scene.asked("k1").await;
    let before = scene.size_now();
    let block = of_agent(&scene, &asked);
    let denial = decide(&scene, &asked, Decision::Deny, block);
    let denied = scene.run(denial).await.unwrap().accepted().unwrap();
    assert_eq!(denied.state, ApprovalState::Denied);
    let names = scene.names_since(before).await;
    assert!(
        names.ends_with(&["approval.denied", "block.set"]),
        "{names:?}"
    );
    let set = scene.since(before).await.pop().unwrap();
    let Event::BlockSet(said) = &set.event else {
        panic!("{set:?}");
    };
    assert_eq!(said.approval_id, Some(denied.id));
    let id = AdmissionId::from(set.stream_id());
    let block = scene.load::<Admission>(id).await.unwrap().unwrap();
    assert_eq!(block.target, ClientTarget::Agent(asked.task.agent_id));
    let refused = refusal_of_the_next(&scene, "k2").await.unwrap();
    assert_eq!(refused.code(), "blocked");
    scene.clock.advance(MINUTE);
    assert_eq!(refusal_of_the_next(&scene, "k2").await, None);
    audited(scene).await;
}

#[tokio::test]
async fn a_decision_blocks_nothing_but_what_asked() {
    let scene = Scene::granted().await;
    let asked = scene.asked("k1").await;
    let own = of_agent(&scene, &asked);
    let another = SignedBlock {
        value: AgentId::from_bytes([9; 16]).to_string(),
        ..own.clone()
    };
    let denial = decide(&scene, &asked, Decision::Deny, another);
    assert_eq!(refused(&scene, denial).await, Rejection::QuestionChanged);
    let unknown = |kind: &str, value: &str| SignedBlock {
        kind: kind.to_owned(),
        value: value.to_owned(),
        until: None,
    };
    let too_long = SignedBlock {
        until: Some(scene.now().plus(MINUTE * 60 * 24 * 366 * 11)),
        ..own.clone()
    };
    for block in [
        unknown("address", "192.0.2.1/32"),
        unknown("asn", "64496"),
        unknown("task", "x"),
        too_long,
    ] {
        let denial = decide(&scene, &asked, Decision::Deny, block);
        assert_eq!(refused(&scene, denial).await.code(), "bad_request");
    }
    let approval = decide(&scene, &asked, Decision::Approve, own);
    assert_eq!(refused(&scene, approval).await.code(), "bad_request");
    audited(scene).await;
}

/// A denial of what is asked from somewhere that is known, with a block of that.
async fn blocked_from(kind: &str, value: &str) -> (Scene, Submitted) {
    let scene = Scene::granted().await;
    let asked = scene.asked_from("k1", "CN=ci").await;
    let of = |value: &str| SignedBlock {
        kind: kind.to_owned(),
        value: value.to_owned(),
        until: None,
    };
    let another = decide(&scene, &asked, Decision::Deny, of("64511"));
    assert_eq!(refused(&scene, another).await, Rejection::QuestionChanged);
    let denial = decide(&scene, &asked, Decision::Deny, of(value));
    scene.run(denial).await.unwrap().accepted().unwrap();
    (scene, asked)
}

#[tokio::test]
async fn without_a_policy_a_denial_blocks_the_address_or_network_that_asked() {
    for (kind, value) in [("address", "192.0.2.7/32"), ("asn", "64496")] {
        let (scene, _) = blocked_from(kind, value).await;
        let mut next = submit(&scene.token, "k2", vec![dns_create("a.example.com")]);
        let fact = |value| Fact::Known(value);
        next.edge
            .say("address", fact(Value::Text("192.0.2.7".to_owned())));
        next.edge.say("asn", fact(Value::Int(64496)));
        let ruling = scene.execute(agent(&scene.token), next).await.unwrap();
        assert_eq!(ruling.accepted().unwrap_err().code(), "blocked");
        // From elsewhere the same agent is not blocked.
        assert_eq!(refusal_of_the_next(&scene, "k3").await, None);
        let history = audited(scene).await;
        let (at, denied) = (
            history.first("approval.requested"),
            history.first("approval.denied"),
        );
        let report = altered(&history, |history| {
            history.alter(at, |event| {
                if let Event::ApprovalRequested(asked) = event {
                    let from = asked.from.as_mut().unwrap();
                    from.address = Some("198.51.100.7".to_owned());
                    from.asn = Some(64497);
                }
            });
        });
        is_found(&report, Check::Admission, denied);
    }
}

#[tokio::test]
async fn what_an_allow_covers_is_not_blocked_and_its_denial_is_not_recorded() {
    let scene = Scene::granted().await;
    let asked = scene.asked("k1").await;
    let allow = SetAdmission {
        kind: Allow,
        target: ClientTarget::Agent(asked.task.agent_id),
        reason: None,
        duration: None,
    };
    scene.run(allow).await.unwrap();
    let block = of_agent(&scene, &asked);
    let denial = decide(&scene, &asked, Decision::Deny, block);
    assert_eq!(refused(&scene, denial).await, Rejection::Allowed);
    let subject = SignedBlock {
        kind: "subject".to_owned(),
        value: asked.task.subject.to_string(),
        until: None,
    };
    let denial = decide(&scene, &asked, Decision::Deny, subject);
    scene.run(denial).await.unwrap().accepted().unwrap();
    assert!(refusal_of_the_next(&scene, "k2").await.is_some());
    audited(scene).await;
}

#[tokio::test]
async fn a_block_that_its_decision_does_not_sign_is_found() {
    let scene = Scene::granted().await;
    let asked = scene.asked("k1").await;
    let block = of_agent(&scene, &asked);
    let denial = decide(&scene, &asked, Decision::Deny, block);
    scene.run(denial).await.unwrap().accepted().unwrap();
    let history = audited(scene).await;
    let at = history.first("block.set");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::BlockSet(set) = event {
                set.until = None;
            }
        });
    });
    is_found(&report, Check::Admission, at);
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::BlockSet(set) = event {
                set.approval_id = None;
            }
        });
    });
    is_found(&report, Check::Admission, at);
}
