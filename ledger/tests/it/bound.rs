//! Questions that are bound to the state upstream: what their people saw is what is sent on, or nothing is.

use crate::ruled::{always, policy, put, rule};
use crate::scene::{Scene, refused, start};
use fixtures::commands::{purge, ssl_mode};
use fixtures::history::History;
use ledger::aggregate::{Apply, Approval, ApprovalState, CancelledBy};
use ledger::audit::Check;
use ledger::command::{
    DecideApproval, OperationStart, ReadAgain, RecordPreState, StartOperation, Submitted,
};
use ledger::event::{Approved, Event, PreState as Read};
use ledger::policy::{Assurance, Need, NeedGroup, PreState, RetentionMode, Rule, RuleAction};
use ledger::{Binding, Blob, Breadth, Decision, KeptMode, Rejection, Retention};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn asks() -> Rule {
    Rule {
        pre_state: Some(PreState::Bind),
        retention: BTreeSet::from([RetentionMode::Once, RetentionMode::Cache]),
        sensitive: true,
        ..rule("bound", RuleAction::Ask, always())
    }
}

fn found(value: &str) -> Vec<Read> {
    vec![Read::Found(format!(r#"{{"ssl":{{"value":"{value}"}}}}"#))]
}

fn read_again(operations: Vec<Read>) -> Option<ReadAgain> {
    Some(ReadAgain {
        operations,
        zones: Vec::new(),
    })
}

async fn record(scene: &Scene, asked: &Submitted, operations: Vec<Read>) {
    let read = RecordPreState {
        approval_id: asked.apply.approval_id.unwrap(),
        operations,
        zones: Vec::new(),
    };
    scene.run(read).await.unwrap();
}

/// A question that is bound, with its state read.
async fn bound(scene: &Scene, key: &str) -> Submitted {
    let asked = scene.submitted(key, vec![ssl_mode("strict")]).await;
    record(scene, &asked, found("full")).await;
    asked
}

async fn approve(scene: &Scene, asked: &Submitted) -> Arc<Approval> {
    let approval = scene.approval(asked).await;
    let command = scene
        .alice
        .decide(&scene.ledger, &approval, Decision::Approve, None);
    scene.run(command).await.unwrap().accepted().unwrap()
}

async fn ready() -> (Scene, Submitted) {
    let scene = Scene::granted().await;
    put(&scene, 1, Some(policy([asks()]))).await;
    let asked = bound(&scene, "k1").await;
    approve(&scene, &asked).await;
    scene.continued(&asked).await.unwrap();
    (scene, asked)
}

async fn begin(scene: &Scene, asked: &Submitted, read: Option<ReadAgain>) -> OperationStart {
    let start = StartOperation {
        read_again: read,
        ..start(asked.apply.id, 0)
    };
    scene.run(start).await.unwrap()
}

async fn apply(scene: &Scene, asked: &Submitted) -> Arc<Apply> {
    scene.load::<Apply>(asked.apply.id).await.unwrap().unwrap()
}

async fn audited(scene: Scene) -> History {
    let closed = scene.ledger.close().await;
    let history = History::read(closed.path());
    history.assert_verified();
    history
}

#[tokio::test]
async fn nobody_approves_a_state_that_was_not_read_and_anybody_may_deny() {
    let scene = Scene::granted().await;
    put(&scene, 1, Some(policy([asks()]))).await;
    let asked = scene.submitted("k1", vec![ssl_mode("strict")]).await;
    let approval = scene.approval(&asked).await;
    let early = scene
        .alice
        .decide(&scene.ledger, &approval, Decision::Approve, None);
    assert_eq!(refused(&scene, early).await, Rejection::PreStatePending);
    let denied = scene.decided(&asked, Decision::Deny).await;
    assert_eq!(denied.state, ApprovalState::Denied);
    audited(scene).await;
}

#[tokio::test]
async fn an_approval_signs_the_state_and_one_that_does_not_is_refused() {
    let scene = Scene::granted().await;
    put(&scene, 1, Some(policy([asks()]))).await;
    let asked = scene.submitted("k1", vec![ssl_mode("strict")]).await;
    let before = scene.approval(&asked).await;
    let unread = scene
        .alice
        .decide(&scene.ledger, &before, Decision::Approve, None);
    record(&scene, &asked, found("full")).await;
    assert_eq!(refused(&scene, unread).await, Rejection::QuestionChanged);
    let approved = approve(&scene, &asked).await;
    let statement = &approved.decision.as_ref().unwrap().statement;
    let said: serde_json::Value = serde_json::from_str(statement).unwrap();
    assert_eq!(said["v"], 2);
    let digest = approved.state_digest().unwrap().to_string();
    assert_eq!(said["pre_state_digest"], digest);
    audited(scene).await;
}

#[tokio::test]
async fn the_state_that_was_approved_is_acted_on() {
    let (scene, asked) = ready().await;
    let go = begin(&scene, &asked, read_again(found("full"))).await;
    assert_eq!(go, OperationStart::Go);
    audited(scene).await;
}

#[tokio::test]
async fn another_state_sends_nothing_and_asks_anew_with_what_is_there_now() {
    let (scene, asked) = ready().await;
    let before = scene.size_now();
    let stopped = begin(&scene, &asked, read_again(found("off"))).await;
    assert_eq!(stopped, OperationStart::Stopped);
    assert_eq!(
        scene.names_since(before).await,
        [
            "approval.cancelled",
            "approval.requested",
            "approval.pre_state_recorded",
            "apply.asked_anew"
        ]
    );
    let replaced = scene.approval(&asked).await;
    assert_eq!(replaced.state, ApprovalState::Cancelled);
    assert_eq!(replaced.cancelled_by, CancelledBy::PreState);
    assert_eq!(replaced.consumed_by, None);
    let waiting = apply(&scene, &asked).await;
    assert!(!waiting.authorised && waiting.end.is_none());
    assert_eq!(waiting.replaces, Some(replaced.id));

    // The token of the question that was cancelled goes on with the new one.
    let anew = scene.continued(&asked).await.unwrap();
    let question = anew.approval.clone().unwrap();
    assert_eq!(question.state, ApprovalState::Pending);
    assert_eq!(question.pre_state, Some(found("off")));
    approve(&scene, &anew).await;
    assert!(scene.continued(&asked).await.unwrap().apply.authorised);
    let go = begin(&scene, &asked, read_again(found("off"))).await;
    assert_eq!(go, OperationStart::Go);
    audited(scene).await;
}

/// What nobody could read again is not what was seen.
#[tokio::test]
async fn a_state_that_is_not_read_again_is_another_one() {
    for read in [
        None,
        read_again(vec![Read::Unavailable("late".to_owned())]),
        read_again(vec![Read::NotApplicable]),
    ] {
        let (scene, asked) = ready().await;
        let stopped = begin(&scene, &asked, read).await;
        assert_eq!(stopped, OperationStart::Stopped);
        assert!(!apply(&scene, &asked).await.authorised);
        audited(scene).await;
    }
}

#[tokio::test]
async fn a_state_that_could_not_be_read_before_is_bound_as_such() {
    let scene = Scene::granted().await;
    put(&scene, 1, Some(policy([asks()]))).await;
    let asked = scene.submitted("k1", vec![ssl_mode("strict")]).await;
    record(&scene, &asked, vec![Read::Unavailable("late".to_owned())]).await;
    approve(&scene, &asked).await;
    scene.continued(&asked).await.unwrap();
    let stopped = begin(&scene, &asked, read_again(found("full"))).await;
    assert_eq!(stopped, OperationStart::Stopped);
    audited(scene).await;
}

#[tokio::test]
async fn what_is_simulated_is_held_to_no_state() {
    let (scene, asked) = ready().await;
    let start = StartOperation {
        simulated: true,
        ..start(asked.apply.id, 0)
    };
    let go = scene.run(start).await.unwrap();
    assert_eq!(go, OperationStart::Go);
    audited(scene).await;
}

#[tokio::test]
async fn a_question_that_only_shows_the_state_is_held_to_none() {
    let scene = Scene::granted().await;
    let shows = Rule {
        pre_state: Some(PreState::Shown),
        ..asks()
    };
    put(&scene, 1, Some(policy([shows]))).await;
    let asked = scene.submitted("k1", vec![ssl_mode("strict")]).await;
    let approved = approve(&scene, &asked).await;
    assert!(
        approved
            .decision
            .as_ref()
            .unwrap()
            .statement
            .contains(r#""v":1"#)
    );
    scene.continued(&asked).await.unwrap();
    let go = begin(&scene, &asked, None).await;
    assert_eq!(go, OperationStart::Go);
    audited(scene).await;
}

/// The default for what is sensitive, where a rule says nothing and where none asks.
#[tokio::test]
async fn what_is_sensitive_is_bound_where_nothing_is_said() {
    let scene = Scene::granted().await;
    let says_nothing = Rule {
        pre_state: None,
        ..asks()
    };
    for (version, rules) in [(1, vec![says_nothing]), (2, vec![])] {
        put(&scene, version, Some(policy(rules))).await;
        let sensitive = scene
            .submitted(&format!("s{version}"), vec![ssl_mode("strict")])
            .await;
        assert!(scene.approval(&sensitive).await.binds_pre_state());
    }
    put(
        &scene,
        3,
        Some(policy([Rule {
            pre_state: None,
            ..asks()
        }])),
    )
    .await;
    let elevated = scene.submitted("e", vec![purge()]).await;
    assert!(!scene.approval(&elevated).await.binds_pre_state());
    put(&scene, 4, None).await;
    let without = scene.submitted("w", vec![ssl_mode("off")]).await;
    assert!(!scene.approval(&without).await.binds_pre_state());
    audited(scene).await;
}

#[tokio::test]
async fn an_approval_of_a_bound_state_is_not_kept() {
    let scene = Scene::granted().await;
    put(&scene, 1, Some(policy([asks()]))).await;
    let asked = bound(&scene, "k1").await;
    let retention = Retention {
        mode: KeptMode::Cache,
        breadth: Breadth::Exact,
        binding: Binding::Task,
        until: Some(scene.now().plus(Duration::from_secs(60))),
    };
    let approval = scene.approval(&asked).await;
    let keep = scene
        .alice
        .keep(&scene.ledger, &approval, Decision::Approve, retention);
    let refused = refused(&scene, keep).await;
    assert_eq!(refused.code(), "retention_not_allowed");
    audited(scene).await;
}

/// Where nobody can be asked, nothing is sent either.
#[tokio::test]
async fn without_anybody_to_ask_another_state_ends_the_apply() {
    let (scene, asked) = ready().await;
    put(&scene, 2, None).await;
    let stopped = begin(&scene, &asked, read_again(found("off"))).await;
    assert_eq!(stopped, OperationStart::Stopped);
    let ended = apply(&scene, &asked).await;
    assert_eq!(ended.stopped.as_deref(), Some("pre_state"));
    audited(scene).await;

    let (scene, asked) = ready().await;
    let mut limited = policy([asks()]);
    limited.limits.open = 1;
    put(&scene, 2, Some(limited)).await;
    scene.submitted("k2", vec![purge()]).await;
    let stopped = begin(&scene, &asked, read_again(found("off"))).await;
    assert_eq!(stopped, OperationStart::Stopped);
    let ended = apply(&scene, &asked).await;
    assert_eq!(ended.stopped.as_deref(), Some("pre_state"));
    assert_eq!(scene.approval(&asked).await.state, ApprovalState::Cancelled);
    audited(scene).await;
}

/// What was approved under a policy that asked for less is asked about anew before it begins.
#[tokio::test]
async fn a_stricter_policy_asks_anew_before_an_operation() {
    let scene = Scene::granted().await;
    let asks = rule("ask", RuleAction::Ask, always());
    put(&scene, 1, Some(policy([asks.clone()]))).await;
    let asked = scene.submitted("k1", vec![purge()]).await;
    scene.decided(&asked, Decision::Approve).await;
    scene.continued(&asked).await.unwrap();
    let passkey = Need {
        group: NeedGroup::Default,
        n: 1,
        assurance: Assurance::Passkey,
    };
    let stricter = Rule {
        needs: vec![passkey],
        ..asks
    };
    put(&scene, 2, Some(policy([stricter]))).await;
    let stopped = begin(&scene, &asked, None).await;
    assert_eq!(stopped, OperationStart::Stopped);
    let waiting = apply(&scene, &asked).await;
    assert!(!waiting.authorised && waiting.end.is_none());
    let anew = scene.continued(&asked).await.unwrap();
    approve(&scene, &anew).await;
    assert!(scene.continued(&asked).await.unwrap().apply.authorised);
    let go = begin(&scene, &asked, None).await;
    assert_eq!(go, OperationStart::Go);
    audited(scene).await;
}

/// A history in which a bound approval was used, and asked about anew for another state.
async fn drifted() -> History {
    let (scene, asked) = ready().await;
    begin(&scene, &asked, read_again(found("off"))).await;
    audited(scene).await
}

#[track_caller]
fn is_found_at(history: &History, at: u64, check: Check, change: impl Fn(&mut Event)) {
    let report = crate::audit::altered(history, |history| history.alter(at, &change));
    crate::audit::is_found(&report, check, at);
}

#[tokio::test]
async fn an_approval_of_another_state_than_the_recorded_one_is_found() {
    let history = drifted().await;
    let (read, approved) = (
        history.first("approval.pre_state_recorded"),
        history.first("approval.approved"),
    );
    let report = crate::audit::altered(&history, |history| {
        history.alter(read, |event| {
            if let Event::PreStateRecorded(recorded) = event {
                recorded.operations = found("another");
            }
        });
    });
    crate::audit::is_found(&report, Check::DecisionStatement, approved);
}

#[tokio::test]
async fn a_question_that_is_asked_anew_for_the_same_state_is_found() {
    let history = drifted().await;
    let (read, anew) = (
        history.last("approval.pre_state_recorded"),
        history.last("apply.asked_anew"),
    );
    let report = crate::audit::altered(&history, |history| {
        history.alter(read, |event| {
            if let Event::PreStateRecorded(recorded) = event {
                recorded.operations = found("full");
            }
        });
    });
    crate::audit::is_found(&report, Check::ApprovalState, anew);
}

#[tokio::test]
async fn a_question_that_ends_for_a_state_and_is_bound_to_none_is_found() {
    let scene = Scene::granted().await;
    put(
        &scene,
        1,
        Some(policy([rule("ask", RuleAction::Ask, always())])),
    )
    .await;
    let asked = scene.submitted("k1", vec![purge()]).await;
    scene.decided(&asked, Decision::Approve).await;
    let denies = rule("no", RuleAction::Deny, always());
    put(&scene, 2, Some(policy([denies]))).await;
    scene.continued(&asked).await.unwrap_err();
    let history = audited(scene).await;
    let at = history.first("approval.cancelled");
    is_found_at(&history, at, Check::ApprovalState, |event| {
        if let Event::ApprovalCancelled(cancelled) = event {
            cancelled.reason = "pre_state".to_owned();
        }
    });
}

/// An approval of the first form, as services took one of a bound question before they bound any.
struct OfBefore {
    decide: DecideApproval,
    statement: String,
}

impl OfBefore {
    /// Signed for a question whose state was not read yet, and so without it.
    async fn sign(scene: &Scene, asked: &Submitted) -> Self {
        let approval = scene.approval(asked).await;
        assert!(approval.waits_for_pre_state());
        let decide = scene
            .alice
            .decide(&scene.ledger, &approval, Decision::Approve, None);
        let statement = approval.statement(scene.ledger.id(), Decision::Approve, None);
        Self {
            decide,
            statement: String::from_utf8(statement.canonical_bytes()).unwrap(),
        }
    }

    /// In the place of an approval that was recorded.
    fn put(self, history: &mut History, at: u64) {
        let signed = self.decide.proof.passkey().unwrap().clone();
        history.alter(at, |event| {
            let Event::ApprovalApproved(Approved(decided)) = event else {
                panic!("{event:?}");
            };
            let count = *signed.authenticator_data.last().unwrap();
            decided.statement = self.statement;
            decided.client_data_json = Blob::from(signed.client_data_json);
            decided.authenticator_data = Blob::from(signed.authenticator_data);
            decided.signature = Blob::from(signed.signature);
            decided.sign_count = u32::from(count);
        });
    }
}

/// A bound question that is approved and used, beside an approval of it as services took one before.
async fn answered(scene: &Scene, key: &str) -> OfBefore {
    let asked = scene.submitted(key, vec![ssl_mode("strict")]).await;
    let before = OfBefore::sign(scene, &asked).await;
    record(scene, &asked, found("full")).await;
    approve(scene, &asked).await;
    before
}

#[tokio::test]
async fn an_approval_that_signed_no_state_holds_where_none_had_signed_one_yet() {
    let scene = Scene::granted().await;
    put(&scene, 1, Some(policy([asks()]))).await;
    let before = answered(&scene, "k1").await;
    let history = audited(scene).await;
    let at = history.first("approval.approved");
    let report = crate::audit::altered(&history, |history| before.put(history, at));
    assert_eq!(report.findings, []);
}

#[tokio::test]
async fn an_approval_that_signed_no_state_is_found_once_another_has_signed_one() {
    let scene = Scene::granted().await;
    put(&scene, 1, Some(policy([asks()]))).await;
    let first = bound(&scene, "k1").await;
    approve(&scene, &first).await;
    scene.continued(&first).await.unwrap();
    let before = answered(&scene, "k2").await;
    let history = audited(scene).await;
    let at = history.last("approval.approved");
    let report = crate::audit::altered(&history, |history| before.put(history, at));
    crate::audit::is_found(&report, Check::DecisionStatement, at);
}
