//! Questions to humans: shared, consumed once, narrowed.

use crate::scene::{Scene, refusal};
use fixtures::commands::{continue_apply, key, presented, resume, ssl_mode};
use fixtures::rules::TestRules;
use fixtures::test_ledger::Setup;
use ledger::aggregate::{Approval, ApprovalState};
use ledger::command::{ContinueApply, NarrowApproval, RecordPreState, Resume, Standing, standing};
use ledger::event::PreState;
use ledger::{ApprovalId, ApproverName, Decision, Fingerprint, Rejection, TaskId};
use std::collections::HashSet;
use std::time::Duration;

#[tokio::test]
async fn two_keys_with_the_same_operations_share_one_pending_approval() {
    let scene = Scene::new().await;
    let (one, two) = (scene.asked("k1").await, scene.asked("k2").await);
    assert_ne!(one.apply.id, two.apply.id);
    assert_eq!(one.apply.approval_id, two.apply.approval_id);
    let other = scene.submitted("k3", vec![ssl_mode("off")]).await;
    assert_ne!(other.apply.approval_id, one.apply.approval_id);
}

#[tokio::test]
async fn keys_that_ask_at_once_share_one_question_too() {
    let scene = Scene::new().await;
    let keys = ["a", "b", "c", "d"];
    let all = futures_util::future::join_all(keys.map(|key| scene.asked(key))).await;
    let approvals: HashSet<_> = all.iter().map(|one| one.apply.approval_id).collect();
    assert_eq!(approvals.len(), 1);
}

#[tokio::test]
async fn an_approved_question_is_shared_until_it_is_consumed() {
    let scene = Scene::new().await;
    let first = scene.approved("k1").await;
    let second = scene.asked("k2").await;
    assert_eq!(second.apply.approval_id, first.apply.approval_id);
    scene.continued(&second).await.unwrap();
    let third = scene.asked("k3").await;
    assert_ne!(third.apply.approval_id, first.apply.approval_id);
}

#[tokio::test]
async fn the_approval_is_consumed_once_and_the_losing_key_is_told_by_whom() {
    let scene = Scene::new().await;
    let one = scene.approved("k1").await;
    let two = scene.asked("k2").await;
    let won = scene.continued(&two).await.unwrap();
    assert!(won.apply.is_running());
    let before = scene.size_now();
    let lost = scene.continued(&one).await.unwrap();
    assert!(!lost.apply.authorised);
    assert_eq!(
        standing(&lost.apply, lost.approval.as_deref(), scene.now()),
        Standing::ConsumedElsewhere { by: two.apply.id }
    );
    assert_eq!(scene.size_now(), before);
    // The winner asks again and finds the same.
    let again = scene.continued(&two).await.unwrap();
    assert_eq!(again.apply.id, won.apply.id);
    assert_eq!(scene.size_now(), before);
}

#[tokio::test]
async fn six_continues_at_once_with_two_keys_consume_it_once() {
    let scene = Scene::new().await;
    let one = scene.approved("k1").await;
    let two = scene.asked("k2").await;
    let before = scene.size_now();
    let all = (0..6).map(|n| scene.continued(if n % 2 == 0 { &one } else { &two }));
    for answer in futures_util::future::join_all(all).await {
        answer.unwrap();
    }
    assert_eq!(
        scene.names_since(before).await,
        ["approval.consumed", "apply.authorised"]
    );
    let events = scene.since(before).await;
    assert_eq!(events[1].envelope.cause, Some(events[0].position()));
}

#[tokio::test]
async fn continuing_before_a_decision_changes_nothing() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let before = scene.size_now();
    let waiting = scene.continued(&asked).await.unwrap();
    assert!(!waiting.apply.authorised);
    assert_eq!(scene.size_now(), before);
}

#[tokio::test]
async fn continuing_what_was_denied_executes_nothing() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    scene.decided(&asked, Decision::Deny).await;
    let denied = scene.continued(&asked).await.unwrap();
    assert!(!denied.apply.authorised);
    assert_eq!(
        standing(&denied.apply, denied.approval.as_deref(), scene.now()),
        Standing::Denied { reason: None }
    );
    // The question is closed: the same operations are asked anew.
    let again = scene.asked("k2").await;
    assert_ne!(again.apply.approval_id, asked.apply.approval_id);
}

#[tokio::test]
async fn a_new_key_can_continue_what_is_approved() {
    let scene = Scene::new().await;
    let asked = scene.approved("k1").await;
    let command = ContinueApply {
        edge: ledger::policy::Edge::default(),
        key: key("fresh"),
        ..continue_apply(&scene.token, &asked)
    };
    let continued = scene.run(command).await.unwrap().accepted().unwrap();
    assert!(continued.is_new && continued.apply.is_running());
    assert_eq!(continued.apply.submission, asked.apply.submission);
    assert_eq!(
        scene.approval(&asked).await.consumed_by,
        Some(continued.apply.id)
    );
}

#[tokio::test]
async fn a_new_key_for_what_is_over_is_refused_and_not_used_up() {
    let scene = Scene::new().await;
    let denied = scene.asked("k1").await;
    scene.decided(&denied, Decision::Deny).await;
    let consumed = scene.submitted("k2", vec![ssl_mode("full")]).await;
    scene.decided(&consumed, Decision::Approve).await;
    scene.continued(&consumed).await.unwrap();
    for asked in [&denied, &consumed] {
        let command = ContinueApply {
            edge: ledger::policy::Edge::default(),
            key: key("fresh"),
            ..continue_apply(&scene.token, asked)
        };
        assert!(scene.run(command).await.unwrap().accepted().is_err());
    }
    let used = scene.submitted("fresh", vec![ssl_mode("off")]).await;
    assert!(used.is_new);
}

#[tokio::test]
async fn a_resume_for_another_task_approval_or_fingerprint_is_refused_and_recorded() {
    let scene = Scene::new().await;
    let asked = scene.approved("k1").await;
    let other = scene.submitted("k2", vec![ssl_mode("off")]).await;
    let right = resume(&asked);
    let wrong = [
        Resume {
            task_id: TaskId::from_bytes([7; 16]),
            ..right
        },
        Resume {
            approval_id: ApprovalId::from_bytes([7; 16]),
            ..right
        },
        Resume {
            fingerprint: Fingerprint::from_bytes([7; 32]),
            ..right
        },
        resume(&other),
    ];
    for resume in wrong {
        let before = scene.size_now();
        let command = ContinueApply {
            edge: ledger::policy::Edge::default(),
            resume,
            ..continue_apply(&scene.token, &asked)
        };
        let refused = scene.run(command).await.unwrap().accepted().unwrap_err();
        assert_eq!(refused, Rejection::ResumeMismatch);
        assert_eq!(scene.names_since(before).await, ["apply.refused"]);
    }
    assert_eq!(
        scene.approval(&asked).await.state,
        ApprovalState::Approved,
        "nothing was consumed"
    );
}

#[tokio::test]
async fn another_tasks_token_cannot_continue() {
    let scene = Scene::new().await;
    let asked = scene.approved("k1").await;
    let other = scene.task().await;
    let command = ContinueApply {
        edge: ledger::policy::Edge::default(),
        token: presented(&other).into(),
        ..continue_apply(&scene.token, &asked)
    };
    let refused = scene.run(command).await.unwrap().accepted().unwrap_err();
    assert_eq!(refused, Rejection::ResumeMismatch);
}

#[tokio::test]
async fn narrowing_takes_approvers_away_and_never_adds_one() {
    let rules = TestRules {
        approvers: ["alice", "bob", "carol"]
            .map(ApproverName::unchecked)
            .to_vec(),
        ..TestRules::default()
    };
    let scene = Scene::with(Setup {
        rules: rules.build(),
        ..Setup::default()
    })
    .await;
    let asked = scene.asked("k1").await;
    let narrow = |principal: Option<&str>| NarrowApproval {
        token: presented(&scene.token).into(),
        principal: principal.map(ApproverName::unchecked),
    };
    // Without a principal it only finds the question.
    let before = scene.size_now();
    let found = scene.run(narrow(None)).await.unwrap();
    assert_eq!(found.id, asked.approval.as_ref().unwrap().id);
    assert_eq!(found.approvers.len(), 3);
    assert_eq!(
        refusal(scene.run(narrow(Some("mallory"))).await),
        Rejection::NotEligible {
            principal: ApproverName::unchecked("mallory")
        }
    );
    assert_eq!(scene.size_now(), before);
    let narrowed = scene.run(narrow(Some("bob"))).await.unwrap();
    assert_eq!(
        narrowed.approvers,
        ["bob"].map(ledger::ApproverName::unchecked)
    );
    let before = scene.size_now();
    for other in ["alice", "carol"] {
        assert_eq!(
            refusal(scene.run(narrow(Some(other))).await).code(),
            "approver_not_eligible"
        );
    }
    assert_eq!(
        scene.run(narrow(Some("bob"))).await.unwrap().approvers,
        ["bob"].map(ApproverName::unchecked)
    );
    assert_eq!(scene.size_now(), before, "the same again records nothing");
}

#[tokio::test]
async fn narrowing_needs_a_question_that_is_open() {
    let scene = Scene::new().await;
    let narrow = || {
        scene.run(NarrowApproval {
            token: presented(&scene.token).into(),
            principal: None,
        })
    };
    assert_eq!(refusal(narrow().await), Rejection::NothingPending);
    scene.approved("k1").await;
    assert_eq!(refusal(narrow().await), Rejection::NothingPending);
}

#[tokio::test]
async fn an_older_question_is_found_when_the_newest_is_decided() {
    let scene = Scene::new().await;
    let older = scene.asked("k1").await;
    scene.clock.advance(Duration::from_secs(1));
    let newer = scene.submitted("k2", vec![ssl_mode("off")]).await;
    let found = async || {
        let token = presented(&scene.token).into();
        let principal = None;
        let found = scene.run(NarrowApproval { token, principal }).await;
        found.unwrap().id
    };
    assert_eq!(found().await, newer.approval.as_ref().unwrap().id);
    scene.decided(&newer, Decision::Deny).await;
    assert_eq!(found().await, older.approval.as_ref().unwrap().id);
}

#[tokio::test]
async fn the_pre_state_is_recorded_once_and_before_the_decision_only() {
    let scene = Scene::new().await;
    let asked = scene.asked("k1").await;
    let approval_id = asked.approval.as_ref().unwrap().id;
    let record = |text: &str| {
        scene.run(RecordPreState {
            approval_id,
            operations: vec![PreState::Found(text.to_owned())],
            zones: Vec::new(),
        })
    };
    record("{\"value\":\"full\"}").await.unwrap();
    record("{\"value\":\"off\"}").await.unwrap();
    let approval = scene.load::<Approval>(approval_id).await.unwrap().unwrap();
    assert_eq!(
        approval.pre_state,
        Some(vec![PreState::Found("{\"value\":\"full\"}".to_owned())])
    );
    let other = scene.submitted("k2", vec![ssl_mode("off")]).await;
    scene.decided(&other, Decision::Deny).await;
    let before = scene.size_now();
    scene
        .run(RecordPreState {
            approval_id: other.approval.as_ref().unwrap().id,
            operations: vec![PreState::NotApplicable],
            zones: Vec::new(),
        })
        .await
        .unwrap();
    assert_eq!(scene.size_now(), before);
}

#[tokio::test]
async fn a_permission_change_does_not_strand_what_was_approved() {
    let scene = Scene::new().await;
    let asked = scene.approved("k1").await;
    scene.grant_all().await;
    assert_eq!(
        refusal(scene.run(continue_apply(&scene.token, &asked)).await),
        Rejection::TokenStale
    );
    let renewed = scene
        .run(ledger::command::RenewToken {
            token: presented(&scene.token),
        })
        .await
        .unwrap();
    let continued = scene
        .run(continue_apply(&renewed, &asked))
        .await
        .unwrap()
        .accepted()
        .unwrap();
    assert!(continued.apply.is_running());
}
