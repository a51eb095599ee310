//! The same events give the same rows, however they are folded, and the rows say what the
//! aggregates say.

use crate::dump::dump;
use crate::step::step;
use crate::story::Story;
use crate::world::url_of;
use ledger::aggregate::{Agent, Apply, Approval, CancelledBy, Delivery, DeliveryState};
use ledger::command::{Standing, standing};
use ledger::event::ApplyEnd;
use ledger::{Event, Ledger, StreamId, TaskId, Timestamp};
use projections::{DeliveryStatus, ProjectionOptions, Projections, Runner, TaskStatus};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use std::collections::BTreeSet;
use std::path::Path;

async fn open(path: &Path, ledger: &Ledger) -> (Projections, Runner) {
    Projections::open(ProjectionOptions {
        url: url_of(path),
        ledger: ledger.clone(),
    })
    .await
    .unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn live_restarted_and_rebuilt_tables_are_the_same(
        steps in prop::collection::vec((step(), 0..10_u8), 20..120),
    ) {
        runtime().block_on(async {
            let mut story = Story::begin().await;
            let ledger = story.ledger.ledger.clone();
            let dir = story.ledger.dir().to_owned();
            let live = dir.join("live.db");
            let restarted = dir.join("restarted.db");
            let (projections, mut live_runner) = open(&live, &ledger).await;
            for (step, chance) in &steps {
                story.happen(step).await;
                // One file follows every step; the other is opened now and then.
                live_runner.catch_up(|_| {}).await.unwrap();
                if *chance == 0 {
                    let (_, mut runner) = open(&restarted, &ledger).await;
                    runner.catch_up(|_| {}).await.unwrap();
                }
            }
            let (_, mut runner) = open(&restarted, &ledger).await;
            runner.catch_up(|_| {}).await.unwrap();
            let rebuilt = dir.join("rebuilt.db");
            let report = projections::rebuild(&url_of(&rebuilt), ledger.log(), &[], |_| {})
                .await
                .unwrap();

            assert_eq!(report.events, *ledger.size().borrow());
            let expected = dump(&live).await;
            assert!(!expected.is_empty());
            assert_eq!(dump(&restarted).await, expected);
            assert_eq!(dump(&rebuilt).await, expected);
            agrees_with_aggregates(&ledger, &projections).await;
        });
    }
}

#[tokio::test]
async fn stories_tell_of_everything_that_can_happen() {
    let apart = [
        "ledger.erased",
        "ledger.forked",
        "ledger.accepted",
        // Needs a passkey of the user.
        "session.stepped_up",
        // Need documents whose rules want more than one person, and no read table has a row of them.
        "approval.voted",
        "approval.vote_withdrawn",
        "approval.vote_voided",
        // Needs a document that became stricter: standing.rs has the way there.
        "apply.asked_anew",
        // To store a key erases the one before it, and stories erase nothing.
        "upstream_key.stored",
        "upstream_key.removed",
        "upstream_secret.sealed",
        // No read table has a row of an API that is opened: the routes ask the ledger.
        "upstream.defined",
        "upstream.ended",
        "upstream.key_stored",
        "upstream.key_removed",
        // No read table has a row of a call by itself, or of a task's right to make some.
        "call.begun",
        "call.ended",
        "task.proxies_opened",
        // No read table has a row of an upload, or of what a write follows.
        "asset_upload.opened",
        "asset_upload.files_sent",
        "asset_upload.completed",
        "apply.follows",
    ];
    // What happens to a ledger as a whole has tests of its own.
    let forms = Event::FORMS.iter().map(|(_, _, name)| *name);
    let mut untold: BTreeSet<_> = forms.filter(|name| !apart.contains(name)).collect();
    let mut random = TestRunner::deterministic();
    for _ in 0..200 {
        let mut story = Story::begin().await;
        for _ in 0..220 {
            let step = step().new_tree(&mut random).unwrap().current();
            story.happen(&step).await;
        }
        let events = story.ledger.log().events_from(0, u32::MAX).await;
        for recorded in events.unwrap() {
            untold.remove(recorded.event.name());
        }
        if untold.is_empty() {
            return;
        }
    }
    panic!("{untold:?}");
}

/// The rows against the states that decisions are made from.
async fn agrees_with_aggregates(ledger: &Ledger, projections: &Projections) {
    let events = ledger.log().events_from(0, u32::MAX).await.unwrap();
    let mut queued = Vec::new();
    for recorded in &events {
        let stream = recorded.stream_id();
        match &recorded.event {
            Event::ApplyAccepted(_) => {
                let running = apply_agrees(ledger, projections, stream).await;
                queued.extend(running.then(|| ledger::ApplyId::from(stream)));
            }
            Event::ApprovalRequested(_) | Event::ApprovalAsked(_) => {
                approval_agrees(ledger, projections, stream).await;
            }
            Event::DeliveryOwed(_) => delivery_agrees(ledger, projections, stream).await,
            Event::TaskCreated(_) => task_agrees(projections, stream.into()).await,
            Event::AgentRegistered(registered) => {
                let agent = ledger.load::<Agent>(stream.into()).await.unwrap().unwrap();
                let rows = projections.permissions(&registered.name).await.unwrap();
                assert_eq!(rows.len(), agent.grants.len());
                for (row, grant) in rows.iter().zip(&agent.grants) {
                    assert_eq!(row.operation, grant.operation);
                    assert_eq!(row.scope_id, grant.scope_id);
                    assert_eq!(row.granted_level, grant.granted_level);
                }
            }
            _ => {}
        }
    }
    let mut ready = projections.ready_applies(10_000).await.unwrap();
    ready.sort_unstable();
    queued.sort_unstable();
    assert_eq!(ready, queued);
}

/// Compares an apply; whether it is running.
async fn apply_agrees(ledger: &Ledger, projections: &Projections, stream: StreamId) -> bool {
    let apply = ledger.load::<Apply>(stream.into()).await.unwrap().unwrap();
    let approval = match apply.approval_id {
        Some(id) => ledger.load::<Approval>(id).await.unwrap(),
        None => None,
    };
    let row = projections.apply(apply.id).await.unwrap().unwrap();
    // Deadlines that are not recorded yet are not seen by the rows: look at a time before them all.
    let stands = standing(&apply, approval.as_deref(), Timestamp::from_seconds(0));
    let expected = match stands {
        Standing::Waiting => TaskStatus::RequiresApproval,
        Standing::Approved => TaskStatus::Approved,
        Standing::Running => TaskStatus::Applying,
        Standing::Ended(ApplyEnd::Completed) => TaskStatus::Completed,
        Standing::Ended(ApplyEnd::Failed)
        | Standing::Cancelled {
            by:
                CancelledBy::Lock | CancelledBy::Policy | CancelledBy::Person | CancelledBy::PreState,
        }
        | Standing::ConsumedElsewhere { .. } => TaskStatus::Failed,
        Standing::Ended(ApplyEnd::Unknown) => TaskStatus::Unknown,
        Standing::Denied { .. } => TaskStatus::Denied,
        Standing::Expired { .. } => TaskStatus::Expired,
        Standing::Cancelled {
            by: CancelledBy::Task,
        } => TaskStatus::Closed,
    };
    assert_eq!(row.status, expected);
    assert_eq!(row.state, expected.apply_state());
    assert_eq!(row.execution_id, apply.execution_id);
    assert_eq!(
        row.ended_at.is_some(),
        stands.refusal().is_some() || apply.end.is_some()
    );
    assert_eq!(row.operations.len(), apply.operations.len());
    apply.is_running()
}

async fn approval_agrees(ledger: &Ledger, projections: &Projections, stream: StreamId) {
    let approval = ledger
        .load::<Approval>(stream.into())
        .await
        .unwrap()
        .unwrap();
    let row = projections.approval(approval.id).await.unwrap().unwrap();
    assert_eq!(row.state.as_str(), approval.state.as_str());
    assert_eq!(row.approvers, approval.approvers);
    assert_eq!(row.expires_at, approval.expires_at);
    assert_eq!(row.deadline, approval.deadline());
    assert_eq!(row.decided_at, approval.decided_at);
    assert_eq!(row.consumed_by, approval.consumed_by);
    assert_eq!(row.pre_state_at.is_some(), approval.pre_state.is_some());
}

async fn delivery_agrees(ledger: &Ledger, projections: &Projections, stream: StreamId) {
    let delivery = ledger
        .load::<Delivery>(stream.into())
        .await
        .unwrap()
        .unwrap();
    let row = projections
        .delivery(delivery.owed.delivery_id)
        .await
        .unwrap()
        .unwrap();
    let (state, due_at) = match delivery.state {
        DeliveryState::Due(due) => (DeliveryStatus::Owed, Some(due)),
        DeliveryState::UnderWay => (DeliveryStatus::UnderWay, None),
        DeliveryState::Delivered => (DeliveryStatus::Delivered, None),
        DeliveryState::GivenUp => (DeliveryStatus::GivenUp, None),
    };
    assert_eq!((row.state, row.due_at), (state, due_at));
    assert_eq!(row.attempts, delivery.attempts);
    assert_eq!(row.attempts_in_round, delivery.attempts_in_round);
    let attempts = projections.attempts(row.id).await.unwrap();
    assert_eq!(attempts.len(), usize::try_from(row.attempts).unwrap());
}

/// A task stands where its newest apply stands.
async fn task_agrees(projections: &Projections, id: TaskId) {
    let task = projections.task(id).await.unwrap().unwrap();
    let newest = projections.applies(id, 1, None).await.unwrap();
    let newest = newest.first();
    assert_eq!(task.newest_apply_id, newest.map(|apply| apply.id));
    let expected = match newest {
        _ if task.closed_at.is_some() => TaskStatus::Closed,
        None => TaskStatus::Open,
        Some(apply) => apply.status,
    };
    assert_eq!(task.status, expected);
    assert_eq!(task.apply_state, expected.apply_state());
}
