//! `audit_timeline`: one line for each event, for people.

use crate::error::Error;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::Projections;
use crate::store::{Appended, Spec, Stored, Table, row};
use crate::tables::fold::{Folding, parts};
use crate::tables::timeline_mentions::{of_approver, of_user};
use crate::tables::timeline_topics::{self, TopicRow};
use ledger::describe::{Topic, line};
use ledger::event::{ErasedPayload, ErasedSubject, LedgerErased};
use ledger::{
    AgentName, ApproverName, Envelope, Event, EventId, Recorded, RequestId, StreamId, TaskId,
    Timestamp, UserId,
};
use sqlx::{QueryBuilder, Sqlite};

/// The most characters of a summary; the ledger has everything in full.
const MOST: usize = 400;

const SPEC: Spec = Spec {
    name: "audit_timeline",
    revision: 4,
    definition: "(
    -- What happened, one row for each event of the ledger. The ledger is the proof; this is its index.
    position   INTEGER PRIMARY KEY,
    at         TEXT NOT NULL,
    event      TEXT NOT NULL,
    who        TEXT NOT NULL,
    summary    TEXT NOT NULL,
    task_id    TEXT,     -- the task that it concerns, where it concerns one
    agent      TEXT,     -- the agent that it concerns, by its task or itself
    subject_id TEXT NOT NULL,  -- the task, apply, approval, agent, approver or delivery itself
    request_id TEXT,     -- as in the service's log
    cause      INTEGER,  -- the position of the event that it answers
    event_id   TEXT NOT NULL
) STRICT",
    indexes: &[
        ("audit_timeline_by_task", "(task_id, position) WHERE task_id IS NOT NULL"),
        ("audit_timeline_by_agent", "(agent, position) WHERE agent IS NOT NULL"),
    ],
    fold_indexes: &[],
};

row! {
    /// One event of the ledger, for people.
    pub struct TimelineEntry in SPEC, key (position: u64 = "position") {
        /// The event's position.
        pub position: u64,
        pub at: Timestamp,
        /// Its name: `apply.accepted`.
        pub event: String,
        /// The actor: `agent ci-bot`.
        pub who: String,
        /// What happened, in one line; control characters in what people and agents wrote are made
        /// visible. Still to be escaped where it is shown.
        pub summary: String,
        /// The task that it concerns, where it concerns one.
        pub task_id: Option<TaskId>,
        /// The agent that it concerns, by its task or itself.
        pub agent: Option<AgentName>,
        /// The task, apply, approval, agent, approver or delivery itself.
        pub subject_id: StreamId,
        /// The request that it was for, as in the service's log.
        pub request_id: Option<RequestId>,
        /// The position of the event that it answers.
        pub cause: Option<u64>,
        /// The event's name for good.
        pub event_id: EventId,
    }
}

/// The subject of a part of the timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimelineTopic {
    Task(TaskId),
    /// The agent and its tasks.
    Agent(AgentName),
    /// What was asked of an approver, what they decided, and their credentials.
    Approver(ApproverName),
    /// What a user did, and what was done to it.
    User(UserId),
}

parts!(Parts: Table<TopicRow>, Appended<TimelineEntry>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let topic = timeline_topics::topic(folding)?;
    let recorded = folding.recorded;
    folding
        .part::<Appended<TimelineEntry>>()
        .push(TimelineEntry {
            position: recorded.position(),
            at: recorded.recorded_at(),
            event: recorded.event.name().to_owned(),
            who: recorded.envelope.actor.to_string(),
            summary: line(&recorded.event, &Topic::default(), MOST),
            task_id: topic.task_id,
            agent: topic.agent,
            subject_id: recorded.stream_id(),
            request_id: recorded.envelope.request_id,
            cause: recorded.envelope.cause,
            event_id: recorded.event_id(),
        });
    Ok(())
}

/// Takes the name of an erased agent out of rows whose event knows the agent by its id, as a fold after
/// the erasure finds no name for it. The agent's own topic must still stand.
pub(crate) fn forget_agent(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    const KNOWN_BY_ID: &str = "event IN ('upstream_key.stored', 'upstream_key.removed',
         'call.begun', 'call.ended', 'usage.recorded')";
    let ErasedSubject::Agent(agent_id) = erased.subject else {
        return Ok(());
    };
    let agent_id = StreamId::from(agent_id).to_string();
    let name = timeline_topics::agent_named(stored);
    let timeline = stored.set.table(SPEC.name);
    stored.erase(
        timeline_topics::SPEC.name,
        &format!(
            "UPDATE {{}} SET agent = NULL WHERE subject_id IN
             (SELECT subject_id FROM {timeline} WHERE agent = {name} AND {KNOWN_BY_ID})"
        ),
        [&agent_id],
    )?;
    stored.erase(
        SPEC.name,
        &format!("UPDATE {{}} SET agent = NULL WHERE agent = {name} AND {KNOWN_BY_ID}"),
        [&agent_id],
    )
}

/// Makes the rows of erased events what a fold after the erasure makes them, and says whose they were.
pub(crate) fn erase(
    stored: Stored<'_>,
    recorded: &Recorded,
    erased: &LedgerErased,
) -> Result<(), Error> {
    let by = recorded.position();
    let task = erased.subject.task().map(|task| task.to_string());
    let nobody = Envelope::erased().actor.to_string();
    let gone = Event::Erased(ErasedPayload {
        event_type: 0,
        schema_version: 0,
        erased_by: by,
    });
    let gone = line(&gone, &Topic::default(), MOST);
    for range in &erased.positions {
        let (from, until) = (signed(range.from), signed(range.until));
        stored.erase(
            SPEC.name,
            "UPDATE {} SET who = ?1, summary = ?2, request_id = NULL, cause = NULL
             WHERE position >= ?3 AND position < ?4 AND summary <> ?2",
            (&nobody, &gone, from, until),
        )?;
        let table = stored.set.table(SPEC.name);
        let sql = format!(
            "UPDATE {table} SET task_id = ?1, agent = NULL WHERE position >= ?2 AND position < ?3"
        );
        let moved = stored.db.execute(&sql, (&task, from, until));
        moved.map_err(Error::sqlite("erasing rows"))?;
    }
    Ok(())
}

fn signed(position: u64) -> i64 {
    i64::try_from(position).unwrap_or(i64::MAX)
}

pub(crate) fn listing(topic: Option<TimelineTopic>, paging: Paging) -> QueryBuilder<Sqlite> {
    const OF_ALL: &str = "SELECT * FROM audit_timeline WHERE ";
    const MENTIONING: &str = "SELECT audit_timeline.* FROM timeline_mentions AS mentions
         CROSS JOIN audit_timeline ON audit_timeline.position = mentions.position WHERE ";
    let (rows, column, value) = match topic {
        None => (OF_ALL, None, String::new()),
        Some(TimelineTopic::Task(task)) => (OF_ALL, Some("task_id"), task.to_string()),
        Some(TimelineTopic::Agent(agent)) => (OF_ALL, Some("agent"), agent.into()),
        Some(TimelineTopic::Approver(name)) => (MENTIONING, Some("topic"), of_approver(&name)),
        Some(TimelineTopic::User(user)) => (MENTIONING, Some("topic"), of_user(user)),
    };
    let mut query = QueryBuilder::new(rows);
    if let Some(column) = column {
        query.push(column).push(" = ").push_bind(value);
        query.push(" AND ");
    }
    // The position of the table that the rows are found by, whose order is theirs.
    let position = match rows {
        MENTIONING => "mentions.position",
        _ => "position",
    };
    query.push(position).push(" < ").push_bind(paging.below());
    query.push(" ORDER BY ").push(position).push(" DESC");
    query
}

impl Projections {
    /// The timeline, the newest entry first; all of it when no topic is named.
    pub async fn timeline(
        &self,
        topic: Option<TimelineTopic>,
        paging: Paging,
    ) -> Result<Page<TimelineEntry>, Error> {
        let query = listing(topic, paging);
        let position = |entry: &TimelineEntry| entry.position;
        self.page(Projection::Timeline, query, paging, position)
            .await
    }
}
