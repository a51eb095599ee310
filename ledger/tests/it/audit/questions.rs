//! Limits of open questions: one that is asked beyond them is found.

use super::{altered, is_found};
use crate::scene::Scene;
use fixtures::commands::{agent, deploy, submit};
use fixtures::history::History;
use fixtures::people::create_user;
use fixtures::policies::{policy, put};
use ledger::audit::Check;
use ledger::command::{AgentChanges, CancelApproval, DescribeAgent};
use ledger::event::{Event, StoredTree};
use ledger::policy::{Limits, Policy};
use ledger::{Actor, AgentName, Decision, Origin, Role};

const WIDE: Limits = Limits {
    open: 2,
    per_agent: 2,
    per_owner: 2,
    per_operation: 2,
    per_address: 0,
};

/// Two questions as the limits allow, one of them decided, and a third.
async fn told() -> History {
    let scene = Scene::new().await;
    let owner = scene.run(create_user("zoe", Role::Viewer)).await.unwrap();
    let owned = DescribeAgent {
        agent: AgentName::unchecked(fixtures::commands::AGENT),
        changes: AgentChanges {
            owner: Some(Some(owner.id)),
            ..AgentChanges::default()
        },
    };
    scene.run(owned).await.unwrap();
    let limited = Policy {
        limits: WIDE,
        ..policy()
    };
    scene.ledger.run(put(limited, 0)).await.unwrap();
    for key in ["k1", "k2", "k3"] {
        let script = format!("export default {{ key: {key:?} }};");
        let command = submit(&scene.token, key, vec![deploy("site", &script)]);
        let ledger = &scene.ledger.ledger;
        let asked = ledger.execute(agent(&scene.token), command).await.unwrap();
        let asked = asked.accepted().unwrap();
        if key == "k1" {
            scene.decided(&asked, Decision::Deny).await;
        }
    }
    let closed = scene.ledger.close().await;
    History::read(closed.path())
}

#[tokio::test]
async fn questions_within_their_limits_are_honest() {
    let report = told().await.verify();
    assert!(report.verified && report.everything, "{report}");
}

#[tokio::test]
async fn a_question_beyond_each_limit_is_found() {
    let history = told().await;
    let (saved, last) = (
        history.first("policy.changed"),
        history.last("apply.accepted"),
    );
    let tight: [fn(&mut Limits); 4] = [
        |limits| limits.open = 1,
        |limits| limits.per_agent = 1,
        |limits| limits.per_owner = 1,
        |limits| limits.per_operation = 1,
    ];
    for tighten in tight {
        let report = altered(&history, |history| {
            history.alter(saved, |event| {
                let Event::PolicyChanged(changed) = event else {
                    return;
                };
                let document = changed.document.as_mut().unwrap();
                let mut policy = Policy::clone(document.tree.policy());
                tighten(&mut policy.limits);
                document.digest = policy.digest();
                document.tree = StoredTree::from(policy);
            });
        });
        is_found(&report, Check::QuestionLimit, last);
    }
}

#[tokio::test]
async fn only_a_person_or_the_service_token_cancels_for_a_person() {
    let scene = Scene::new().await;
    let command = submit(
        &scene.token,
        "k1",
        vec![deploy("site", "export default {};")],
    );
    let ledger = &scene.ledger.ledger;
    let asked = ledger.execute(agent(&scene.token), command).await.unwrap();
    let cancel = CancelApproval {
        approval_id: asked.accepted().unwrap().apply.approval_id.unwrap(),
        comment: Some("called off".to_owned()),
    };
    let operator = Origin {
        actor: Actor::Operator {
            name: "root".to_owned(),
        },
        request_id: None,
    };
    ledger.execute(operator, cancel).await.unwrap();
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    let report = history.verify();
    assert!(report.verified && report.everything, "{report}");

    let cancelled = history.last("approval.cancelled");
    let (by_agent, _) = history.event(history.last("apply.accepted"));
    let report = altered(&history, |history| {
        history.alter_all(cancelled, |envelope, _| envelope.actor = by_agent.actor);
    });
    is_found(&report, Check::Actor, cancelled);
}
