//! Applies that are carried out once they are approved, without their agent.

use crate::scene::{Scene, end, failed, refusal, start, succeeded};
use fixtures::commands::{
    AGENT, agent_with_key, continue_apply, create_key, create_template, open_task, presented,
    presented_key, ssl_mode, submit,
};
use fixtures::faults::{FULL, Faults};
use fixtures::test_ledger::Setup;
use ledger::aggregate::{ApprovalState, Key, Task};
use ledger::command::{
    CloseTask, ContinueApply, CreateTemplate, Resume, RevokeKey, Standing, SubmitApply, Submitted,
    standing,
};
use ledger::event::{ApplyEnd, OnApproval};
use ledger::{Actor, AgentName, CommitPoint, Decision, Error, IdempotencyKey, Rejection};
use std::sync::Arc;
use std::time::Duration;

fn at_once(command: SubmitApply) -> SubmitApply {
    SubmitApply {
        on_approval: OnApproval::Execute,
        ..command
    }
}

impl Scene {
    /// A sensitive apply that is to be carried out once it is approved.
    async fn asked_at_once(&self, key: &str) -> Submitted {
        let command = at_once(submit(&self.token, key, vec![ssl_mode("strict")]));
        self.run(command).await.unwrap().accepted().unwrap()
    }

    async fn stands(&self, asked: &Submitted) -> Standing {
        let apply = self.load(asked.apply.id).await.unwrap().unwrap();
        let approval = self.approval(asked).await;
        standing(&apply, Some(&approval), self.now())
    }
}

#[tokio::test]
async fn the_commit_of_the_decision_authorises_it() {
    let scene = Scene::new().await;
    let asked = scene.asked_at_once("k").await;
    let before = scene.size_now();
    let approval = scene.decided(&asked, Decision::Approve).await;
    assert_eq!(approval.state, ApprovalState::Consumed);
    assert_eq!(approval.consumed_by, Some(asked.apply.id));
    assert!(approval.used_at_once);
    let events = scene.since(before).await;
    let names: Vec<_> = events.iter().map(|event| event.event.name()).collect();
    assert_eq!(
        names,
        [
            "approver.backup_eligibility_learnt",
            "approval.approved",
            "approval.consumed",
            "apply.authorised"
        ]
    );
    let one = &events[0].envelope;
    for event in &events {
        assert!(matches!(event.envelope.actor, Actor::Approver { .. }));
        assert_eq!(event.envelope.command_id, one.command_id);
    }
    assert_eq!(scene.stands(&asked).await, Standing::Running);
    scene.run(start(asked.apply.id, 0)).await.unwrap();
    scene
        .run(end(asked.apply.id, 0, succeeded()))
        .await
        .unwrap();
    // A later continue, and a repetition, get the stored answer and change nothing.
    let before = scene.size_now();
    let continued = scene.continued(&asked).await.unwrap();
    assert_eq!(continued.apply.end, Some(ApplyEnd::Completed));
    let again = scene.asked_at_once("k").await;
    assert_eq!(again.apply.end, Some(ApplyEnd::Completed));
    assert_eq!(scene.size_now(), before);
}

#[tokio::test]
async fn what_is_denied_or_expired_is_not_carried_out() {
    let scene = Scene::new().await;
    let asked = scene.asked_at_once("k").await;
    scene.decided(&asked, Decision::Deny).await;
    assert!(matches!(
        scene.stands(&asked).await,
        Standing::Denied { .. }
    ));
    let scene = Scene::new().await;
    let asked = scene.asked_at_once("k").await;
    let approval = scene.approval(&asked).await;
    let late = scene
        .alice
        .decide(&scene.ledger, &approval, Decision::Approve, None);
    scene.clock.set(approval.expires_at);
    assert!(scene.run(late).await.unwrap().accepted().is_err());
    assert!(matches!(
        scene.stands(&asked).await,
        Standing::Expired { .. }
    ));
}

#[tokio::test]
async fn it_belongs_to_the_request_that_the_key_names() {
    let scene = Scene::new().await;
    scene.asked_at_once("k").await;
    let other = refusal_of(&scene, submit(&scene.token, "k", vec![ssl_mode("strict")])).await;
    assert_eq!(other, Rejection::KeyReusedForAnotherEnding);
    assert_eq!(other.code(), "idempotency_key_reused");
    let scene = Scene::new().await;
    scene.asked("k").await;
    let other = at_once(submit(&scene.token, "k", vec![ssl_mode("strict")]));
    let other = refusal_of(&scene, other).await;
    assert_eq!(other, Rejection::KeyReusedForAnotherEnding);
}

async fn refusal_of(scene: &Scene, command: SubmitApply) -> Rejection {
    scene.run(command).await.unwrap().accepted().unwrap_err()
}

#[tokio::test]
async fn of_two_that_share_a_question_the_one_that_asked_is_carried_out() {
    let scene = Scene::new().await;
    let first = scene.asked_at_once("k1").await;
    let same = scene.asked_at_once("k2").await;
    let waits = scene.asked("k3").await;
    for other in [&same, &waits] {
        assert_eq!(other.apply.approval_id, first.apply.approval_id);
    }
    scene.decided(&first, Decision::Approve).await;
    assert_eq!(scene.stands(&first).await, Standing::Running);
    let by = first.apply.id;
    for other in [&same, &waits] {
        let lost = Standing::ConsumedElsewhere { by };
        assert_eq!(scene.stands(other).await, lost);
        assert_eq!(lost.refusal().unwrap().code(), "approval_consumed");
        let continued = scene.continued(other).await.unwrap();
        assert!(!continued.apply.authorised);
    }
}

#[tokio::test]
async fn a_question_that_was_asked_to_wait_is_not_made_to_execute() {
    let scene = Scene::new().await;
    let asked = scene.asked("k1").await;
    let later = at_once(submit(&scene.token, "k2", vec![ssl_mode("strict")]));
    let before = scene.size_now();
    let refused = refusal_of(&scene, later.clone()).await;
    assert_eq!(refused, Rejection::AskedToWait);
    assert_eq!(scene.names_since(before).await, ["apply.refused"]);
    let approval = scene.decided(&asked, Decision::Approve).await;
    assert_eq!(approval.state, ApprovalState::Approved);
    // Nor does what people approved in that belief.
    assert_eq!(refusal_of(&scene, later).await, Rejection::AskedToWait);
    assert_eq!(scene.stands(&asked).await, Standing::Approved);
}

#[tokio::test]
async fn an_approval_that_was_given_back_is_used_by_the_next_one_that_asks() {
    let scene = Scene::new().await;
    let first = scene.asked_at_once("k1").await;
    scene.decided(&first, Decision::Approve).await;
    scene.run(start(first.apply.id, 0)).await.unwrap();
    scene.run(end(first.apply.id, 0, failed())).await.unwrap();
    let approval = scene.approval(&first).await;
    assert_eq!(approval.released_by, Some(first.apply.id));
    assert_eq!(approval.state, ApprovalState::Approved);
    let before = scene.size_now();
    let second = scene.asked_at_once("k2").await;
    assert!(second.apply.authorised);
    assert_eq!(
        scene.names_since(before).await,
        ["apply.accepted", "approval.consumed", "apply.authorised"]
    );
    assert_eq!(
        scene.approval(&first).await.consumed_by,
        Some(second.apply.id)
    );
}

#[tokio::test]
async fn a_change_of_permissions_strands_nothing() {
    let scene = Scene::granted().await;
    let asked = scene.asked_at_once("k").await;
    // The revision goes up, and the token that asked is stale.
    scene.grant_all().await;
    scene.decided(&asked, Decision::Approve).await;
    assert_eq!(scene.stands(&asked).await, Standing::Running);
}

#[tokio::test]
async fn the_end_of_the_token_strands_nothing() {
    let scene = Scene::new().await;
    let asked = scene.asked_at_once("k").await;
    scene.clock.advance(Duration::from_secs(599));
    let late = presented(&scene.token);
    let submitted = SubmitApply {
        token: late.into(),
        ..submit(&scene.token, "k", vec![ssl_mode("strict")])
    };
    assert_eq!(refusal(scene.run(submitted).await), Rejection::TokenExpired);
    scene.decided(&asked, Decision::Approve).await;
    assert_eq!(scene.stands(&asked).await, Standing::Running);
}

#[tokio::test]
async fn with_its_task_it_is_cancelled_and_one_that_has_begun_to_be_carried_out_is_stopped() {
    let close = |scene: &Scene| CloseTask {
        task_id: scene.token.task.id,
        token: None,
        reason: None,
    };
    let scene = Scene::new().await;
    let asked = scene.asked_at_once("k").await;
    let approval = scene.approval(&asked).await;
    scene.run(close(&scene)).await.unwrap();
    let late = scene
        .alice
        .decide(&scene.ledger, &approval, Decision::Approve, None);
    assert_eq!(refusal(scene.run(late).await), Rejection::ApprovalCancelled);
    let scene = Scene::new().await;
    let asked = scene.asked_at_once("k").await;
    scene.decided(&asked, Decision::Approve).await;
    scene.run(close(&scene)).await.unwrap();
    assert_eq!(
        scene.stands(&asked).await,
        Standing::Ended(ApplyEnd::Failed)
    );
}

/// A task that a key of the agent opened, with the apply that the key asked for in it.
async fn by_key(scene: &Scene) -> (Arc<Key>, Arc<Task>, Submitted) {
    let key = scene.run(create_key("cak_one")).await.unwrap();
    let template = CreateTemplate {
        expires_in: Duration::from_secs(120),
        ..create_template("deploy")
    };
    scene.run(template).await.unwrap();
    let opened = scene.execute(agent_with_key(&key), open_task(&key, "deploy"));
    let task = opened.await.unwrap();
    let command = SubmitApply {
        token: presented_key(&key, &task).into(),
        ..at_once(submit(&scene.token, "k", vec![ssl_mode("strict")]))
    };
    let asked = scene.execute(agent_with_key(&key), command).await;
    let asked = asked.unwrap().accepted().unwrap();
    (key, task, asked)
}

#[tokio::test]
async fn the_end_of_the_tasks_time_for_keys_strands_nothing() {
    let scene = Scene::new().await;
    let (_, task, asked) = by_key(&scene).await;
    scene.clock.set(task.end_for_keys().unwrap());
    scene.decided(&asked, Decision::Approve).await;
    assert_eq!(scene.stands(&asked).await, Standing::Running);
}

#[tokio::test]
async fn what_a_key_asked_that_was_taken_away_waits_for_another_key() {
    let scene = Scene::new().await;
    let (key, task, asked) = by_key(&scene).await;
    let revoke = RevokeKey {
        agent: AgentName::unchecked(AGENT),
        key_id: key.id,
        reason: None,
    };
    scene.run(revoke).await.unwrap();
    let approval = scene.decided(&asked, Decision::Approve).await;
    assert_eq!(approval.state, ApprovalState::Approved);
    assert_eq!(scene.stands(&asked).await, Standing::Approved);
    let other = scene.run(create_key("cak_two")).await.unwrap();
    let continued = ContinueApply {
        edge: ledger::policy::Edge::default(),
        token: presented_key(&other, &task).into(),
        key: IdempotencyKey::unchecked("k"),
        resume: Resume {
            task_id: task.id,
            approval_id: approval.id,
            fingerprint: approval.fingerprint,
        },
    };
    scene.clock.advance(Duration::from_secs(1));
    let continued = scene.execute(agent_with_key(&other), continued).await;
    assert!(continued.unwrap().accepted().unwrap().apply.authorised);
    assert!(!scene.approval(&asked).await.used_at_once);
}

#[tokio::test]
async fn a_decision_that_races_a_continue_uses_the_approval_once() {
    let scene = Scene::new().await;
    let asked = scene.asked_at_once("k").await;
    let approval = scene.approval(&asked).await;
    let decide = scene
        .alice
        .decide(&scene.ledger, &approval, Decision::Approve, None);
    let before = scene.size_now();
    let (decided, continued) = tokio::join!(
        scene.run(decide),
        scene.run(continue_apply(&scene.token, &asked))
    );
    decided.unwrap().accepted().unwrap();
    continued.unwrap().accepted().unwrap();
    let names = scene.names_since(before).await;
    let uses = names.iter().filter(|name| **name == "approval.consumed");
    assert_eq!(uses.count(), 1);
}

/// The decision and the use of it are one commit: whatever becomes of that, there are both or neither.
#[tokio::test]
async fn a_commit_that_fails_leaves_both_or_neither() {
    for point in [
        CommitPoint::Write,
        CommitPoint::Commit,
        CommitPoint::Committed,
    ] {
        let faults = Arc::new(Faults::default());
        let scene = Scene::with(Setup {
            faults: Some(Arc::clone(&faults) as _),
            ..Setup::default()
        })
        .await;
        let asked = scene.asked_at_once("k").await;
        let approval = scene.approval(&asked).await;
        let decide = || {
            scene
                .alice
                .decide(&scene.ledger, &approval, Decision::Approve, None)
        };
        faults.plan(point, FULL);
        let decided = scene.run(decide()).await;
        assert!(
            matches!(decided, Ok(_) | Err(Error::NotRecorded)),
            "{decided:?}"
        );
        match scene.approval(&asked).await.state {
            ApprovalState::Pending => {
                scene.run(decide()).await.unwrap().accepted().unwrap();
            }
            ApprovalState::Consumed => {}
            other => panic!("{point:?}: {other:?}"),
        }
        assert_eq!(scene.stands(&asked).await, Standing::Running);
    }
}
