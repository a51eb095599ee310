//! `usage_hours`: what calls through the proxies used, added up for each hour.

use crate::error::Error;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::Projections;
use crate::store::{Spec, Stored, Table, row};
use crate::tables::fold::{Folding, parts};
use ledger::event::{LedgerErased, UpstreamKeyOwner, UsageCounts, UsageRecorded};
use ledger::{AgentId, Event, TaskId, Timestamp, UserId};
use sqlx::{QueryBuilder, Sqlite};

/// Seconds.
const HOUR: i64 = 3600;

const SPEC: Spec = Spec {
    name: "usage_hours",
    revision: 1,
    definition: "(
    -- What the calls of one agent or user with one model used whose time ended in one hour of UTC.
    place             TEXT PRIMARY KEY,  -- owner, task, hour and model
    agent_id          TEXT,
    user_id           TEXT,
    task_id           TEXT,
    model             TEXT NOT NULL,
    hour              INTEGER NOT NULL,  -- since 1970
    first_at          TEXT NOT NULL,
    last_at           TEXT NOT NULL,
    requests          INTEGER NOT NULL,
    interrupted       INTEGER NOT NULL,
    input_tokens      INTEGER NOT NULL,
    output_tokens     INTEGER NOT NULL,
    cache_creation_5m INTEGER NOT NULL,
    cache_creation_1h INTEGER NOT NULL,
    cache_read        INTEGER NOT NULL,
    web_searches      INTEGER NOT NULL,
    position          INTEGER NOT NULL   -- of the first event
) STRICT, WITHOUT ROWID",
    indexes: &[
        ("usage_hours_by_hour", "(hour)"),
        ("usage_hours_by_agent", "(agent_id, hour)"),
    ],
    fold_indexes: &[("usage_hours_by_task", "(task_id)")],
};

row! {
    /// What calls of one owner with one model used, in a task or without one.
    pub struct UsageView in SPEC, key (place: String = "place") {
        place: String,
        /// The agent whose calls these are; else they are the user's.
        pub agent_id: Option<AgentId>,
        pub user_id: Option<UserId>,
        pub task_id: Option<TaskId>,
        /// Empty where no answer named one.
        pub model: String,
        hour: u64,
        /// When the first of these calls ended.
        pub first_at: Timestamp,
        /// When the last of them had ended.
        pub last_at: Timestamp,
        pub requests: u64,
        pub interrupted: u64,
        pub input_tokens: u64,
        pub output_tokens: u64,
        pub cache_creation_5m: u64,
        pub cache_creation_1h: u64,
        pub cache_read: u64,
        pub web_searches: u64,
        pub position: u64,
    }
}

impl UsageView {
    fn of(recorded: &UsageRecorded, position: u64) -> Self {
        let (agent_id, user_id) = match recorded.owner {
            UpstreamKeyOwner::Agent(id) => (Some(id), None),
            UpstreamKeyOwner::User(id) => (None, Some(id)),
        };
        let hour = u64::try_from(recorded.to.as_seconds().div_euclid(HOUR)).unwrap_or(0);
        let owner = recorded.owner;
        let task = recorded.task_id.map(|id| id.to_string());
        Self {
            place: format!(
                "{} {} {} {hour} {}",
                owner.kind(),
                owner.stream(),
                task.as_deref().unwrap_or("-"),
                recorded.model
            ),
            agent_id,
            user_id,
            task_id: recorded.task_id,
            model: recorded.model.clone(),
            hour,
            first_at: recorded.from,
            last_at: recorded.to,
            requests: 0,
            interrupted: 0,
            input_tokens: 0,
            output_tokens: 0,
            cache_creation_5m: 0,
            cache_creation_1h: 0,
            cache_read: 0,
            web_searches: 0,
            position,
        }
    }

    fn add(&mut self, counts: &UsageCounts) {
        for (sum, count) in [
            (&mut self.requests, counts.requests),
            (&mut self.interrupted, counts.interrupted),
            (&mut self.input_tokens, counts.input_tokens),
            (&mut self.output_tokens, counts.output_tokens),
            (&mut self.cache_creation_5m, counts.cache_creation_5m),
            (&mut self.cache_creation_1h, counts.cache_creation_1h),
            (&mut self.cache_read, counts.cache_read),
            (&mut self.web_searches, counts.web_searches),
        ] {
            *sum = sum.saturating_add(count);
        }
    }
}

parts!(Parts: Table<UsageView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let Event::UsageRecorded(recorded) = &folding.recorded.event else {
        return Ok(());
    };
    let mut new = UsageView::of(recorded, folding.recorded.position());
    match folding.edit::<UsageView>(&new.place)? {
        Some(known) => {
            known.first_at = known.first_at.min(recorded.from);
            known.last_at = known.last_at.max(recorded.to);
            known.add(&recorded.counts);
        }
        None => {
            new.add(&recorded.counts);
            folding.insert(new);
        }
    }
    Ok(())
}

pub(crate) fn erase(stored: Stored<'_>, erased: &LedgerErased) -> Result<(), Error> {
    if let Some(task) = erased.subject.task() {
        let statement = "DELETE FROM {} WHERE task_id = ?";
        stored.erase(SPEC.name, statement, [task.to_string()])?;
    }
    Ok(())
}

/// Which use is to be added up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UsageFilter {
    pub agent: Option<AgentId>,
    pub task: Option<TaskId>,
    pub model: Option<String>,
    /// Only hours of UTC that begin then or later.
    pub from: Option<Timestamp>,
    /// Only hours of UTC that begin before.
    pub to: Option<Timestamp>,
}

/// The first hour that begins at that time or later.
fn hour_from(at: Timestamp) -> i64 {
    at.as_micros().div_euclid(HOUR * 1_000_000)
        + i64::from(at.as_micros() % (HOUR * 1_000_000) != 0)
}

/// The sums of each owner, task and model. One begins where its first event that is asked for stands, so that what is used
/// meanwhile moves none from one page to another.
pub(crate) fn listing(filter: UsageFilter, paging: Paging) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(
        "SELECT min(place) AS place, agent_id, user_id, task_id, model, min(hour) AS hour,
                min(first_at) AS first_at, max(last_at) AS last_at, sum(requests) AS requests,
                sum(interrupted) AS interrupted, sum(input_tokens) AS input_tokens,
                sum(output_tokens) AS output_tokens, sum(cache_creation_5m) AS cache_creation_5m,
                sum(cache_creation_1h) AS cache_creation_1h, sum(cache_read) AS cache_read,
                sum(web_searches) AS web_searches, min(position) AS position
         FROM usage_hours WHERE hour >= ",
    );
    query.push_bind(filter.from.map_or(0, hour_from));
    query.push(" AND hour < ");
    query.push_bind(filter.to.map_or(i64::MAX, hour_from));
    if let Some(agent) = filter.agent {
        query.push(" AND agent_id = ").push_bind(agent.to_string());
    }
    if let Some(task) = filter.task {
        query.push(" AND task_id = ").push_bind(task.to_string());
    }
    if let Some(model) = filter.model {
        query.push(" AND model = ").push_bind(model);
    }
    query.push(" GROUP BY agent_id, user_id, task_id, model HAVING min(position) < ");
    query.push_bind(paging.below());
    query.push(" ORDER BY min(position) DESC");
    query
}

impl Projections {
    /// What calls used, those that began last first.
    pub async fn usage(
        &self,
        filter: UsageFilter,
        paging: Paging,
    ) -> Result<Page<UsageView>, Error> {
        let query = listing(filter, paging);
        let position = |usage: &UsageView| usage.position;
        self.page(Projection::Agents, query, paging, position).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_asked_for_where_it_begins_in_the_time() {
        let at = |seconds| hour_from(Timestamp::from_seconds(seconds));
        assert_eq!(
            [at(0), at(1), at(3599), at(3600), at(3601)],
            [0, 1, 1, 1, 2]
        );
    }
}
