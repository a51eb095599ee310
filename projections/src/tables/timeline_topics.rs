//! `timeline_topics`: what a stream is about, so that the timeline needs no other projection.

use crate::error::Error;
use crate::store::{Spec, Stored, Table, row};
use crate::tables::fold::{Folding, missing, parts};
use ledger::event::{AggregateKind, LedgerErased, UpstreamKeyOwner};
use ledger::{AgentName, ApproverName, Event, StreamId, TaskId, UserId};

pub(super) const SPEC: Spec = Spec {
    name: "timeline_topics",
    revision: 3,
    definition: "(
    -- The task, agent, approver and user that each stream is about, known from its first event.
    subject_id         TEXT PRIMARY KEY,
    task_id            TEXT,
    agent              TEXT,
    approver_principal TEXT,
    user_id            TEXT
) STRICT, WITHOUT ROWID",
    indexes: &[],
    fold_indexes: &[],
};

row! {
    pub(crate) struct TopicRow in SPEC, key (subject_id: StreamId = "subject_id") {
        subject_id: StreamId,
        pub(super) task_id: Option<TaskId>,
        pub(super) agent: Option<AgentName>,
        pub(super) approver: Option<ApproverName> = "approver_principal",
        pub(super) user_id: Option<UserId>,
    }
}

impl TopicRow {
    const fn about_nothing(subject_id: StreamId) -> Self {
        Self {
            subject_id,
            task_id: None,
            agent: None,
            approver: None,
            user_id: None,
        }
    }
}

parts!(Parts: Table<TopicRow>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let event = &folding.recorded.event;
    // Nothing follows a refusal.
    let goes_on = event.kind().is_some_and(|kind| !kind.traits.alone);
    if event.begins() && goes_on {
        let topic = said(folding)?;
        folding.insert(topic);
    }
    Ok(())
}

/// SQL for the name of the agent whose id is the first parameter.
pub(super) fn agent_named(stored: Stored<'_>) -> String {
    let table = stored.set.table(SPEC.name);
    format!("(SELECT agent FROM {table} WHERE subject_id = ?1)")
}

pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    for stream in &erased.streams {
        let statement = "DELETE FROM {} WHERE subject_id = ?";
        stored.erase(SPEC.name, statement, [stream.stream_id.to_string()])?;
    }
    Ok(())
}

/// What the event is about, by its own words or by those of the first event of its stream.
pub(super) fn topic(folding: &mut Folding<'_, impl Parts>) -> Result<TopicRow, Error> {
    let recorded = folding.recorded;
    let (Some(kind), false) = (recorded.event.kind(), recorded.is_erased()) else {
        return Ok(TopicRow::about_nothing(recorded.stream_id()));
    };
    if recorded.event.begins() || kind.aggregate == AggregateKind::Ledger {
        return said(folding);
    }
    let stream = recorded.stream_id();
    match folding.get::<TopicRow>(&stream)? {
        Some(topic) => Ok(topic.clone()),
        None => Err(missing(recorded, kind.aggregate.as_str(), stream)),
    }
}

/// What the event says that it is about. The agent of a task is known from the task.
fn said(folding: &mut Folding<'_, impl Parts>) -> Result<TopicRow, Error> {
    let recorded = folding.recorded;
    let mut topic = TopicRow::about_nothing(recorded.stream_id());
    match &recorded.event {
        Event::AgentRegistered(registered) => topic.agent = Some(registered.name.clone()),
        Event::ApproverRegistered(registered) => {
            topic.approver = Some(registered.principal.clone());
        }
        Event::UserCreated(created) => topic.user_id = Some(created.user_id),
        event => {
            topic.user_id = event.logs_in();
            topic.task_id = event.task_id();
            topic.agent = match (event.agent(), topic.task_id) {
                (Some(agent), _) => Some(AgentName::unchecked(agent)),
                (None, Some(task)) => {
                    let task = folding.get::<TopicRow>(&task.into())?;
                    task.and_then(|task| task.agent.clone())
                }
                (None, None) => None,
            };
            match event.key_owner() {
                Some(UpstreamKeyOwner::User(user_id)) => topic.user_id = Some(user_id),
                Some(UpstreamKeyOwner::Agent(agent_id)) => {
                    let agent = folding.get::<TopicRow>(&agent_id.into())?;
                    topic.agent = agent.and_then(|agent| agent.agent.clone());
                }
                None => {}
            }
        }
    }
    Ok(topic)
}
