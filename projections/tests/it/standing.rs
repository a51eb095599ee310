//! Where tasks and applies stand, by what happened to them.

use crate::world::{self, catch_up};
use fixtures::approver::SoftApprover;
use fixtures::commands;
use fixtures::rules::APPROVER;
use fixtures::test_ledger::TestLedger;
use ledger::aggregate::Apply;
use ledger::command::{
    CloseTask, Command, ContinueApply, EndOperation, ExpireApproval, IssuedToken, ResolveApply,
    StartOperation, Submitted,
};
use ledger::event::OperationOutcome;
use ledger::operation::Operation;
use ledger::policy::{Assurance, RuleAction};
use ledger::{ApplyId, Decision};
use projections::{
    ApplyState, ApplyView, ApprovalStatus, Paging, Projections, ReadyApply, Runner, TaskFilter,
    TaskStatus,
};
use std::time::Duration;

/// A task whose agent is granted everything, and the read tables.
struct Scene {
    ledger: TestLedger,
    projections: Projections,
    runner: Runner,
    approver: SoftApprover,
    token: IssuedToken,
}

impl Scene {
    async fn begin() -> Self {
        let (ledger, projections, runner) = world::new().await;
        ledger.grant_all().await;
        let approver = SoftApprover::new(APPROVER);
        ledger.run(approver.registration()).await.unwrap();
        let token = ledger.task().await;
        Self {
            ledger,
            projections,
            runner,
            approver,
            token,
        }
    }

    /// The applies whose outcome is to be settled, as an operator finds them from the list of tasks.
    async fn to_settle(&self) -> Vec<ApplyId> {
        let filter = TaskFilter {
            status: Some(TaskStatus::Unknown),
            agent: None,
        };
        let paging = Paging {
            after: None,
            limit: 50,
        };
        let page = self.projections.tasks(filter, paging).await.unwrap();
        let tasks: Vec<_> = page.rows.iter().map(|task| task.id).collect();
        let unknown = self.projections.unknown_applies(&tasks).await.unwrap();
        unknown.iter().map(|apply| apply.id).collect()
    }

    async fn submit(&self, key: &str, operations: Vec<Operation>) -> Submitted {
        let submitted = self.ledger.submit(&self.token, key, operations).await;
        submitted.unwrap().unwrap()
    }

    async fn run<C: Command>(&self, command: C) -> C::Answer {
        self.ledger.run(command).await.unwrap()
    }

    async fn decide(&self, submitted: &Submitted, decision: Decision) {
        let approval = submitted.approval.as_ref().unwrap();
        let command =
            self.approver
                .decide(&self.ledger.ledger, approval, decision, Some("as agreed"));
        self.run(command).await.accepted().unwrap();
    }

    async fn start(&self, apply_id: ApplyId, index: usize) {
        let command = StartOperation {
            apply_id,
            index,
            simulated: true,
            method: "POST".to_owned(),
            path: "/zones/zone-1/purge_cache".to_owned(),
            body_digest: None,
            read_before: Default::default(),
            read_again: None,
        };
        self.run(command).await;
    }

    async fn end(&self, apply_id: ApplyId, index: usize, outcome: OperationOutcome) {
        let command = EndOperation {
            apply_id,
            index,
            outcome,
            reconciled: false,
            duration: Duration::from_millis(3),
            evidence: Default::default(),
        };
        self.run(command).await;
    }

    /// The apply and its task once everything is folded. Both say what can be done about them in
    /// the word that belongs to where they stand.
    async fn stands(&mut self, apply: ApplyId) -> (ApplyView, TaskStatus) {
        catch_up(&mut self.runner).await;
        let view = self.projections.apply(apply).await.unwrap().unwrap();
        assert_eq!(view.state, view.status.apply_state());
        let task = self.projections.task(self.token.task.id).await;
        let task = task.unwrap().unwrap();
        assert_eq!(task.apply_state, task.status.apply_state());
        (view, task.status)
    }
}

fn succeeded() -> OperationOutcome {
    OperationOutcome::Succeeded {
        http_status: Some(200),
        request_id: Some("ray-7".to_owned()),
        result: "{}".to_owned(),
    }
}

fn unknown() -> OperationOutcome {
    OperationOutcome::Unknown {
        why: "the connection broke".to_owned(),
    }
}

#[tokio::test]
async fn a_new_task_is_open_and_idle() {
    let mut scene = Scene::begin().await;
    catch_up(&mut scene.runner).await;
    let task = scene.projections.task(scene.token.task.id).await;
    let task = task.unwrap().unwrap();
    assert_eq!(task.status, TaskStatus::Open);
    assert_eq!(task.apply_state, ApplyState::Idle);
    assert_eq!(task.name, "rotate the records");
}

#[tokio::test]
async fn a_granted_apply_is_applying_until_it_ends() {
    let mut scene = Scene::begin().await;
    let apply = scene.submit("k", vec![commands::purge()]).await.apply.id;
    assert_eq!(scene.stands(apply).await.1, TaskStatus::Applying);
    scene.start(apply, 0).await;
    assert_eq!(scene.stands(apply).await.0.simulated, Some(true));
    scene.end(apply, 0, succeeded()).await;

    let (view, task) = scene.stands(apply).await;

    assert_eq!(
        (view.status, task),
        (TaskStatus::Completed, TaskStatus::Completed)
    );
    let operation = &view.operations[0];
    assert_eq!(operation.upstream_request_id.as_deref(), Some("ray-7"));
    assert_eq!(view.ended_at, Some(scene.ledger.now()));
    assert!(scene.projections.ready_applies(9).await.unwrap().is_empty());
}

#[tokio::test]
async fn an_apply_follows_its_approval_until_it_is_continued() {
    let mut scene = Scene::begin().await;
    let submitted = scene.submit("k", vec![commands::ssl_mode("full")]).await;
    let apply = submitted.apply.id;
    assert_eq!(scene.stands(apply).await.1, TaskStatus::RequiresApproval);
    scene.decide(&submitted, Decision::Approve).await;
    assert_eq!(scene.stands(apply).await.1, TaskStatus::Approved);
    assert!(scene.projections.ready_applies(9).await.unwrap().is_empty());
    let command = commands::continue_apply(&scene.token, &submitted);
    scene.run(command).await.accepted().unwrap();

    let (view, task) = scene.stands(apply).await;

    assert_eq!(
        (view.status, task),
        (TaskStatus::Applying, TaskStatus::Applying)
    );
    assert_eq!(scene.projections.ready_applies(9).await.unwrap(), [apply]);
    let approval = scene.projections.newest_approval(scene.token.task.id).await;
    let approval = approval.unwrap().unwrap();
    assert_eq!(approval.state, ApprovalStatus::Consumed);
    assert_eq!(approval.consumed_by, Some(apply));
    assert_eq!(approval.decided_by.as_deref(), Some(APPROVER));
    assert_eq!(approval.approved_at(), Some(scene.ledger.now()));
    assert_eq!(approval.denied_reason(), None);
}

#[tokio::test]
async fn an_apply_that_is_asked_anew_waits_for_the_new_question() {
    let mut scene = Scene::begin().await;
    let mut policy = fixtures::policies::policy();
    policy.rules = vec![fixtures::policies::rule(
        "ask".parse().unwrap(),
        RuleAction::Ask,
    )];
    let put = fixtures::policies::put(policy.clone(), 0);
    scene.ledger.run(put).await.unwrap();
    let submitted = scene.submit("k", vec![commands::purge()]).await;
    let apply = submitted.apply.id;
    scene.decide(&submitted, Decision::Approve).await;
    assert_eq!(scene.stands(apply).await.1, TaskStatus::Approved);
    policy.rules[0].needs[0].assurance = Assurance::Passkey;
    let stricter = fixtures::policies::put(policy, 1);
    scene.ledger.run(stricter).await.unwrap();

    let command = commands::continue_apply(&scene.token, &submitted);
    let anew = scene.run(command).await.accepted().unwrap();

    let asked = [&submitted, &anew].map(|it| it.approval.as_ref().unwrap().id);
    assert_ne!(asked[0], asked[1]);
    assert_eq!(scene.stands(apply).await.1, TaskStatus::RequiresApproval);
    for (id, state) in asked
        .into_iter()
        .zip([ApprovalStatus::Cancelled, ApprovalStatus::Pending])
    {
        let approval = scene.projections.approval(id).await.unwrap().unwrap();
        assert_eq!(approval.state, state);
    }
    scene.decide(&anew, Decision::Approve).await;
    assert_eq!(scene.stands(apply).await.1, TaskStatus::Approved);
    let command = commands::continue_apply(&scene.token, &anew);
    scene.run(command).await.accepted().unwrap();
    assert_eq!(scene.stands(apply).await.1, TaskStatus::Applying);
}

async fn ready_before(scene: &Scene, size: u64) -> Vec<ApplyId> {
    let ready = scene.projections.ready_applies_besides(&[], Some(size), 9);
    let ready = ready.await.unwrap();
    ready.into_iter().map(|ready| ready.apply_id).collect()
}

#[tokio::test]
async fn what_is_ready_of_an_agent_that_has_its_share_is_left_out() {
    let mut scene = Scene::begin().await;
    let apply = scene.submit("k", vec![commands::purge()]).await.apply.id;
    catch_up(&mut scene.runner).await;
    let agent = scene.ledger.load::<Apply>(apply).await.unwrap().unwrap();
    let agent = agent.agent.clone();
    for before in [None, Some(0)] {
        let ready = scene.projections.ready_applies_besides(&[], before, 9);
        let expected = ReadyApply {
            apply_id: apply,
            agent: agent.clone(),
        };
        assert_eq!(ready.await.unwrap(), [expected], "{before:?}");
        let full = [agent.clone()];
        let ready = scene.projections.ready_applies_besides(&full, before, 9);
        assert_eq!(ready.await.unwrap(), [], "{before:?}");
    }
}

#[tokio::test]
async fn what_was_approved_is_ready_before_a_size_only_below_it_or_once_it_has_begun() {
    let mut scene = Scene::begin().await;
    let approved = scene.submit("k", vec![commands::ssl_mode("full")]).await;
    scene.decide(&approved, Decision::Approve).await;
    let command = commands::continue_apply(&scene.token, &approved);
    scene.run(command).await.accepted().unwrap();
    let granted = scene.submit("g", vec![commands::purge()]).await.apply.id;
    let approved = approved.apply.id;
    catch_up(&mut scene.runner).await;
    let events = scene.ledger.events_from(0, 1_000).await.unwrap();
    let authorised = events
        .iter()
        .find(|event| event.event.name() == "apply.authorised");
    let position = authorised.unwrap().position();
    for (size, ready, waiting) in [
        (0, vec![granted], 1),
        (position, vec![granted], 1),
        (position + 1, vec![approved, granted], 0),
    ] {
        assert_eq!(ready_before(&scene, size).await, ready, "{size}");
        let found = scene.projections.applies_approved_from(size);
        assert_eq!(found.await.unwrap(), waiting, "{size}");
    }

    scene.start(approved, 0).await;
    catch_up(&mut scene.runner).await;

    let begun = ready_before(&scene, 0).await;
    assert_eq!(begun, [approved, granted], "it is to be ended");
    let waiting = scene.projections.applies_approved_from(0);
    assert_eq!(waiting.await.unwrap(), 0);
}

#[tokio::test]
async fn every_apply_that_waits_hears_that_the_approval_was_denied() {
    let mut scene = Scene::begin().await;
    let first = scene.submit("k1", vec![commands::ssl_mode("full")]).await;
    let second = scene.submit("k2", vec![commands::ssl_mode("full")]).await;
    assert_eq!(first.approval, second.approval);
    scene.decide(&first, Decision::Deny).await;

    for apply in [first.apply.id, second.apply.id] {
        let (view, task) = scene.stands(apply).await;
        assert_eq!(
            (view.status, task),
            (TaskStatus::Denied, TaskStatus::Denied)
        );
        assert_eq!(view.state, ApplyState::Failed);
        assert_eq!(view.end_reason.as_deref(), Some("approval_denied"));
    }
    let approval = scene.projections.newest_approval(scene.token.task.id).await;
    assert_eq!(
        approval.unwrap().unwrap().denied_reason(),
        Some("as agreed")
    );
}

#[tokio::test]
async fn the_key_that_lost_the_approval_has_failed_and_its_row_says_to_whom() {
    let mut scene = Scene::begin().await;
    let winner = scene.submit("k1", vec![commands::ssl_mode("full")]).await;
    let loser = scene.submit("k2", vec![commands::ssl_mode("full")]).await;
    scene.decide(&winner, Decision::Approve).await;
    let command = commands::continue_apply(&scene.token, &winner);
    scene.run(command).await.accepted().unwrap();

    let (view, task) = scene.stands(loser.apply.id).await;

    // The task's newest apply is the one that lost.
    assert_eq!(
        (view.status, task),
        (TaskStatus::Failed, TaskStatus::Failed)
    );
    let reason = format!("approval_used_by {}", winner.apply.id);
    assert_eq!(view.end_reason, Some(reason));
    let (view, _) = scene.stands(winner.apply.id).await;
    assert_eq!(view.status, TaskStatus::Applying);
}

#[tokio::test]
async fn a_new_key_that_continues_is_the_tasks_newest_apply() {
    let mut scene = Scene::begin().await;
    let first = scene.submit("k1", vec![commands::ssl_mode("full")]).await;
    scene.decide(&first, Decision::Approve).await;
    let command = ContinueApply {
        edge: ledger::policy::Edge::default(),
        key: commands::key("k2"),
        ..commands::continue_apply(&scene.token, &first)
    };
    let second = scene.run(command).await.accepted().unwrap();

    let (view, task) = scene.stands(second.apply.id).await;
    assert_eq!(
        (view.status, task),
        (TaskStatus::Applying, TaskStatus::Applying)
    );
    let (view, _) = scene.stands(first.apply.id).await;
    assert_eq!(view.status, TaskStatus::Failed);
    let task = scene.token.task.id;
    let newest_first = [second.apply.id, first.apply.id];
    let applies = scene.projections.applies(task, 9, None).await.unwrap();
    assert_eq!(
        applies.iter().map(|apply| apply.id).collect::<Vec<_>>(),
        newest_first
    );
    let before = Some(second.apply.id);
    let older = scene.projections.applies(task, 9, before).await.unwrap();
    assert_eq!(older.len(), 1);
    assert_eq!(older[0].id, first.apply.id);
}

#[tokio::test]
async fn a_passed_deadline_is_seen_when_it_is_recorded() {
    let mut scene = Scene::begin().await;
    let submitted = scene.submit("k", vec![commands::ssl_mode("full")]).await;
    let approval_id = submitted.approval.as_ref().unwrap().id;
    scene.ledger.clock.advance(Duration::from_secs(600));
    assert_eq!(
        scene.stands(submitted.apply.id).await.1,
        TaskStatus::RequiresApproval
    );
    let now = scene.ledger.now();
    let projections = scene.projections.clone();
    assert_eq!(
        projections.overdue_approvals(now, 9).await.unwrap(),
        [approval_id]
    );
    assert_eq!(
        projections.next_approval_deadline().await.unwrap(),
        Some(now)
    );
    let just_before = now.minus(Duration::from_micros(1));
    assert!(
        projections
            .overdue_approvals(just_before, 9)
            .await
            .unwrap()
            .is_empty()
    );
    scene.run(ExpireApproval { approval_id }).await;

    let (view, task) = scene.stands(submitted.apply.id).await;

    assert_eq!(
        (view.status, task),
        (TaskStatus::Expired, TaskStatus::Expired)
    );
    assert!(
        projections
            .overdue_approvals(now, 9)
            .await
            .unwrap()
            .is_empty()
    );
    assert_eq!(projections.next_approval_deadline().await.unwrap(), None);
}

#[tokio::test]
async fn closing_is_final_for_the_task_and_withdraws_what_waits() {
    let mut scene = Scene::begin().await;
    let running = scene
        .submit("k1", vec![commands::purge(), commands::dns_read()])
        .await;
    scene.start(running.apply.id, 0).await;
    let waiting = scene.submit("k2", vec![commands::ssl_mode("full")]).await;
    let task_id = scene.token.task.id;
    scene
        .run(CloseTask {
            task_id,
            token: None,
            reason: None,
        })
        .await;

    let (view, task) = scene.stands(waiting.apply.id).await;
    assert_eq!(
        (view.status, task),
        (TaskStatus::Closed, TaskStatus::Closed)
    );
    assert_eq!(view.state, ApplyState::Closed);
    // What had begun comes to its own end, and the task stays closed.
    scene.end(running.apply.id, 0, unknown()).await;
    let (view, task) = scene.stands(running.apply.id).await;
    assert_eq!(
        (view.status, task),
        (TaskStatus::Unknown, TaskStatus::Closed)
    );
    assert_eq!(scene.projections.depths().await.unwrap().unknown_applies, 1);
    assert_eq!(scene.to_settle().await, [running.apply.id]);
}

#[tokio::test]
async fn an_unknown_outcome_is_listed_until_it_is_settled_whatever_came_after_it() {
    let mut scene = Scene::begin().await;
    let apply_id = scene.submit("k1", vec![commands::purge()]).await.apply.id;
    scene.start(apply_id, 0).await;
    scene.end(apply_id, 0, unknown()).await;
    let later = scene.submit("k2", vec![commands::ssl_mode("full")]).await;
    let (_, task) = scene.stands(later.apply.id).await;
    assert_eq!(task, TaskStatus::RequiresApproval);
    assert_eq!(scene.to_settle().await, [apply_id]);
    let settle = ResolveApply {
        apply_id,
        executed: true,
        reason: "looked at the dashboard".to_owned(),
    };
    scene.run(settle).await;
    scene.stands(apply_id).await;
    assert_eq!(scene.to_settle().await, []);
}

#[tokio::test]
async fn a_settled_unknown_is_completed_only_when_nothing_was_left() {
    for (operations, executed, expected) in [
        (vec![commands::purge()], true, TaskStatus::Completed),
        (vec![commands::purge()], false, TaskStatus::Failed),
        (
            vec![commands::purge(), commands::dns_read()],
            true,
            TaskStatus::Failed,
        ),
    ] {
        let mut scene = Scene::begin().await;
        let apply_id = scene.submit("k", operations).await.apply.id;
        scene.start(apply_id, 0).await;
        scene.end(apply_id, 0, unknown()).await;
        assert_eq!(scene.stands(apply_id).await.1, TaskStatus::Unknown);
        let reason = "looked at the dashboard".to_owned();
        scene
            .run(ResolveApply {
                apply_id,
                executed,
                reason,
            })
            .await;

        let (view, task) = scene.stands(apply_id).await;

        assert_eq!((view.status, task), (expected, expected));
        assert_eq!(
            view.resolved_reason.as_deref(),
            Some("looked at the dashboard")
        );
    }
}
