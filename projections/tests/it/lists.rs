//! Lists: every row once, newest first, whatever the filter and the size of a page.

use crate::step::step;
use crate::story::{APPROVERS, Story};
use crate::world;
use fixtures::{commands, people};
use ledger::event::{Assurance, Via};
use ledger::{Actor, AgentName, ApproverName, Event, Origin, Recorded, Role, Timestamp};
use projections::{
    ApprovalFilter, ApprovalStatus, Error, Page, Paging, Projections, TaskFilter, TaskStatus,
    TimelineTopic,
};
use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

/// A story in which everything happens, with its tables.
async fn told() -> (Story, Projections) {
    let mut random = TestRunner::deterministic();
    let mut story = Story::begin().await;
    for _ in 0..600 {
        let step = step().new_tree(&mut random).unwrap().current();
        story.happen(&step).await;
    }
    let (projections, mut runner) = world::open(&story.ledger).await.unwrap();
    world::catch_up(&mut runner).await;
    (story, projections)
}

/// All rows of a list, read in pages of two.
async fn all<T>(page: impl AsyncFn(Paging) -> Result<Page<T>, Error>, head: u64) -> Vec<T> {
    let mut rows = Vec::new();
    let mut after = None;
    loop {
        let read = page(Paging { after, limit: 2 }).await.unwrap();
        assert_eq!(read.as_of, head);
        assert!(read.rows.len() == 2 || read.next.is_none());
        rows.extend(read.rows);
        match read.next {
            Some(next) => after = Some(next),
            None => return rows,
        }
    }
}

async fn events(story: &Story) -> Vec<Recorded> {
    let events = story.ledger.log().events_from(0, u32::MAX).await;
    events.unwrap()
}

#[tokio::test]
async fn pages_of_tasks_and_approvals_have_what_the_filter_asks_for_once_and_in_order() {
    let (story, projections) = told().await;
    let head = *story.ledger.size().borrow();
    let now = Timestamp::from_seconds(0);
    let tasks =
        async |filter: TaskFilter| all(|page| projections.tasks(filter.clone(), page), head).await;
    let approvals = async |filter: ApprovalFilter| {
        all(
            |page| projections.approvals(filter.clone(), now, page),
            head,
        )
        .await
    };
    let every_task = tasks(TaskFilter::default()).await;
    let every_approval = approvals(ApprovalFilter::default()).await;
    let events = events(&story).await;
    let begun = |fits: fn(&Event) -> bool| -> Vec<u64> {
        let begun = events.iter().rev().filter(|recorded| fits(&recorded.event));
        begun.map(Recorded::position).collect()
    };
    let positions: Vec<_> = every_task.iter().map(|task| task.position).collect();
    assert_eq!(
        positions,
        begun(|event| matches!(event, Event::TaskCreated(_)))
    );
    let positions: Vec<_> = every_approval.iter().map(|row| row.position).collect();
    assert_eq!(
        positions,
        begun(|event| matches!(event, Event::ApprovalRequested(_) | Event::ApprovalAsked(_)))
    );
    let lengths = (every_task.len(), every_approval.len());
    assert!(lengths.0 > 3 && lengths.1 > 5, "{lengths:?}");

    let agents = [None, Some(commands::AGENT), Some("nobody")];
    let agents = agents.map(|agent| agent.map(AgentName::unchecked));
    for agent in &agents {
        for status in [None, Some(TaskStatus::Closed), Some(TaskStatus::Completed)] {
            let mut expected = every_task.clone();
            expected.retain(|task| agent.as_ref().is_none_or(|agent| *agent == task.agent));
            expected.retain(|task| status.is_none_or(|status| status == task.status));
            let agent = agent.clone();
            assert_eq!(tasks(TaskFilter { status, agent }).await, expected);
        }
    }
    let approvers = [None, Some(APPROVERS[0]), Some(APPROVERS[1]), Some("nobody")];
    let approvers = approvers.map(|approver| approver.map(ApproverName::unchecked));
    let states = [
        "pending",
        "approved",
        "denied",
        "expired",
        "cancelled",
        "consumed",
    ];
    let states = states.map(|state| Some(state.parse::<ApprovalStatus>().unwrap()));
    for approver in &approvers {
        for agent in &agents {
            for state in states.into_iter().chain([None]) {
                let mut expected = every_approval.clone();
                expected.retain(|row| {
                    let is_named = |name| row.approvers.contains(name);
                    approver.as_ref().is_none_or(is_named)
                        && agent
                            .as_ref()
                            .is_none_or(|agent| row.agent.as_ref() == Some(agent))
                        && state.is_none_or(|state| state == row.state)
                });
                let filter = ApprovalFilter {
                    state,
                    approver: approver.clone(),
                    agent: agent.clone(),
                };
                assert_eq!(approvals(filter.clone()).await, expected, "{filter:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_approval_past_its_deadline_is_not_listed_as_open() {
    let (ledger, projections, mut runner) = world::new().await;
    let token = ledger.task().await;
    let ssl = vec![commands::ssl_mode("strict")];
    let submitted = ledger.submit(&token, "key-1", ssl).await.unwrap().unwrap();
    world::catch_up(&mut runner).await;
    let deadline = submitted.approval.unwrap().expires_at;
    let filter = ApprovalFilter {
        state: Some(ApprovalStatus::Pending),
        ..ApprovalFilter::default()
    };
    let page = Paging {
        after: None,
        limit: 10,
    };
    let open = async |now| {
        let read = projections.approvals(filter.clone(), now, page).await;
        read.unwrap().rows.len()
    };
    let before = Timestamp::from_micros(deadline.as_micros() - 1);
    assert_eq!(open(before).await, 1);
    assert_eq!(open(deadline).await, 0);
    let listed = projections
        .approvals(ApprovalFilter::default(), deadline, page)
        .await;
    let state = listed.unwrap().rows[0].state_at(deadline);
    assert_eq!(state, ApprovalStatus::Expired);
}

#[tokio::test]
async fn the_timeline_of_an_agent_or_approver_has_what_concerns_them() {
    let (story, projections) = told().await;
    let head = *story.ledger.size().borrow();
    let positions = async |topic: TimelineTopic| -> Vec<u64> {
        let read = |page| projections.timeline(Some(topic.clone()), page);
        let entries = all(read, head).await;
        entries.iter().map(|entry| entry.position).collect()
    };
    let events = events(&story).await;

    // All tasks are of one agent. Keys and templates know the agent by its id alone.
    let agent = TimelineTopic::Agent(AgentName::unchecked(commands::AGENT));
    // Questions that are not about an apply are of no agent.
    let asked = events.iter();
    let asked = asked.filter(|recorded| matches!(recorded.event, Event::ApprovalAsked(_)));
    let besides: Vec<_> = asked.map(Recorded::stream_id).collect();
    let of_agent = events.iter().rev().filter(|recorded| {
        let of = recorded.event.kind().unwrap().aggregate.as_str();
        [
            "task",
            "apply",
            "approval",
            "delivery",
            "agent",
            "usage",
            "call",
            "upstream_key",
        ]
        .contains(&of)
            && !besides.contains(&recorded.stream_id())
    });
    let of_agent: Vec<_> = of_agent.map(Recorded::position).collect();
    assert_eq!(positions(agent).await, of_agent);

    let alice = ApproverName::unchecked(APPROVERS[0]);
    let streams: Vec<_> = events
        .iter()
        .filter(|recorded| matches!(&recorded.event, Event::ApproverRegistered(it) if it.principal == alice))
        .map(Recorded::stream_id)
        .collect();
    let of_alice = |recorded: &Recorded| match &recorded.event {
        Event::ApprovalRequested(asked) => asked.approvers.contains(&alice),
        Event::ApprovalNarrowed(narrowed) => narrowed.approvers.contains(&alice),
        event => {
            let decided = event.decision().map(|(_, decided)| &decided.principal);
            decided == Some(&alice) || streams.contains(&recorded.stream_id())
        }
    };
    let concerning: Vec<_> = events
        .iter()
        .rev()
        .filter(|recorded| of_alice(recorded))
        .map(Recorded::position)
        .collect();
    assert!(concerning.len() > 10);
    assert_eq!(positions(TimelineTopic::Approver(alice)).await, concerning);
}

#[tokio::test]
async fn the_timeline_of_a_user_has_what_they_did_and_what_was_done_to_them() {
    let (ledger, projections, mut runner) = world::new().await;
    let [alice, bob] = ["alice", "bob"].map(|name| people::create_user(name, Role::Admin));
    let alice = ledger.run(alice).await.unwrap();
    ledger.run(bob).await.unwrap();
    let opening = people::open_session(&ledger, alice.id, alice.epoch);
    let session = ledger.run(opening).await.unwrap().session;
    let actor = Actor::User {
        user_id: alice.id,
        via: Via::Session,
        via_id: session.id,
        assurance: Assurance::Password,
    };
    let origin = Origin {
        actor,
        request_id: None,
    };
    let granted = ledger.execute(origin, commands::grant_all()).await;
    granted.unwrap();
    world::catch_up(&mut runner).await;
    let head = *ledger.size().borrow();
    let topic = TimelineTopic::User(alice.id);
    let read = |page| projections.timeline(Some(topic.clone()), page);

    let told = all(read, head).await;

    let told: Vec<_> = told.iter().map(|entry| entry.event.as_str()).collect();
    let expected = [
        "agent.permissions_replaced",
        "agent.registered",
        "session.opened",
        "user.password_set",
        "user.created",
    ];
    assert_eq!(told, expected);
}
