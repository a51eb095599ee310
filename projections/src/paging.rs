//! Pages of lists: newest first, each with the size of the ledger that its rows are as of.

use crate::error::Error;
use crate::projection::Projection;
use crate::projections::Projections;
use crate::store::{Columns, Row};
use sqlx::{QueryBuilder, Row as _, Sqlite};

/// The part of a list to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Paging {
    /// Only rows that began before this position; all when absent.
    pub after: Option<u64>,
    /// At most so many rows.
    pub limit: u32,
}

/// Rows of a list, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    pub rows: Vec<T>,
    /// The ledger's size that the rows are as of: all of its events are in them, and no later one.
    pub as_of: u64,
    /// [`Paging::after`] of the next page; absent at the end.
    pub next: Option<u64>,
}

impl<T> Page<T> {
    /// The same page with other rows.
    pub fn with<U>(self, rows: Vec<U>) -> Page<U> {
        Page {
            rows,
            as_of: self.as_of,
            next: self.next,
        }
    }
}

impl Paging {
    /// The position below which rows begin.
    pub(crate) fn below(self) -> i64 {
        let after = self.after.unwrap_or(u64::MAX);
        i64::try_from(after).unwrap_or(i64::MAX)
    }
}

impl Projections {
    /// A page of rows that a query gives in the order of their positions, from the newest on. Rows and
    /// cursor are read as of one moment.
    pub(crate) async fn page<R: Row>(
        &self,
        of: Projection,
        mut query: QueryBuilder<Sqlite>,
        paging: Paging,
        position: fn(&R) -> u64,
    ) -> Result<Page<R>, Error> {
        let failed = || Error::database("reading a list");
        let mut reading = self.readers().begin().await.map_err(failed())?;
        let cursor =
            sqlx::query("SELECT cursor FROM projections WHERE name = ? AND place = 'live'")
                .bind(of.as_str())
                .fetch_one(&mut *reading)
                .await
                .map_err(failed())?;
        let as_of: i64 = cursor.try_get(0).map_err(failed())?;
        // One more row than the page has says whether there is a next one.
        query.push(" LIMIT ");
        query.push_bind(i64::from(paging.limit).saturating_add(1));
        let read = query.build().fetch_all(&mut *reading).await;
        let read = read.map_err(failed())?;
        reading.commit().await.map_err(failed())?;
        let limit = usize::try_from(paging.limit).unwrap_or(usize::MAX);
        let rows = read.iter().take(limit);
        let rows: Vec<R> = rows
            .map(|row| R::read(&Columns::new(row, R::SPEC.name)))
            .collect::<Result<_, _>>()?;
        let is_last = read.len() <= limit;
        Ok(Page {
            next: rows.last().filter(|_| !is_last).map(position),
            rows,
            as_of: u64::try_from(as_of).unwrap_or(0),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::file::connect_writer;
    use crate::engine::opening::create;
    use crate::tables::{
        AgentFilter, ApprovalFilter, HistoryFilter, TaskFilter, TimelineTopic, admissions,
        agent_keys, agents, answers, approvals, approvers, audit_timeline, clearances, locks,
        schedule_runs, task_templates, tasks,
    };
    use crate::{ApprovalStatus, TaskStatus};
    use ledger::{
        AgentId, AgentName, ApproverName, LedgerId, ScheduleName, TaskId, Timestamp, UserId,
    };

    const PAGE: Paging = Paging {
        after: None,
        limit: 50,
    };

    /// Every list with every choice of filters.
    fn listings() -> Vec<QueryBuilder<Sqlite>> {
        let agents = [None, Some(AgentName::unchecked("ci"))];
        let approvers = [None, Some(ApproverName::unchecked("alice"))];
        let mut all = vec![approvers::listing(PAGE)];
        for agent in agents.clone() {
            for status in [None, Some(TaskStatus::Open)] {
                let agent = agent.clone();
                all.push(tasks::listing(TaskFilter { status, agent }, PAGE));
            }
        }
        let now = Timestamp::from_seconds(0);
        for approver in approvers {
            for state in [
                None,
                Some(ApprovalStatus::Pending),
                Some(ApprovalStatus::Denied),
            ] {
                for agent in agents.clone() {
                    let approver = approver.clone();
                    let filter = ApprovalFilter {
                        state,
                        approver,
                        agent,
                    };
                    all.push(approvals::listing(filter, now, PAGE));
                }
            }
        }
        let topics = [
            TimelineTopic::Task(TaskId::from_bytes([1; 16])),
            TimelineTopic::Agent(AgentName::unchecked("ci")),
            TimelineTopic::Approver(ApproverName::unchecked("alice")),
            TimelineTopic::User(UserId::from_bytes([1; 16])),
        ];
        let topics = topics.into_iter().map(Some).chain([None]);
        all.extend(topics.map(|topic| audit_timeline::listing(topic, PAGE)));
        all.push(agents::listing(AgentFilter::default(), PAGE));
        all.push(agent_keys::listing(AgentId::from_bytes([1; 16]), PAGE));
        all.push(task_templates::listing(PAGE));
        all.push(locks::listing(PAGE));
        all.push(clearances::listing(PAGE));
        all.push(admissions::listing("block", PAGE));
        let nightly = ScheduleName::unchecked("nightly");
        all.push(schedule_runs::puts(&nightly, 20));
        all.push(schedule_runs::newest(
            "01a3185c-5000-764c-85e2-14a6f6c74b65",
            20,
        ));
        let times = [None, Some(now)].into_iter();
        for (from, to) in times.clone().zip(times) {
            let of = |filter| HistoryFilter { from, to, ..filter };
            all.extend([
                answers::listing(of(HistoryFilter::default()), PAGE),
                answers::listing(
                    of(HistoryFilter {
                        agent: agents[1].clone(),
                        ..HistoryFilter::default()
                    }),
                    PAGE,
                ),
                answers::listing(
                    of(HistoryFilter {
                        approver: Some(ApproverName::unchecked("alice")),
                        ..HistoryFilter::default()
                    }),
                    PAGE,
                ),
                answers::listing(
                    of(HistoryFilter {
                        answer: Some(ApprovalStatus::Denied),
                        ..HistoryFilter::default()
                    }),
                    PAGE,
                ),
            ]);
        }
        all
    }

    #[test]
    fn no_list_looks_at_all_rows_or_sorts_them() {
        let folder = tempfile::tempdir().unwrap();
        let db = connect_writer(&folder.path().join("proxy.db")).unwrap();
        create(&db, LedgerId::from_bytes([3; 16]), &[]).unwrap();
        for listing in listings() {
            let sql = listing.into_string();
            let mut plan = db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let mut steps = plan.raw_query();
            while let Some(step) = steps.next().unwrap() {
                let step: String = step.get(3).unwrap();
                let is_search = ["SEARCH", "CORRELATED", "SCALAR"]
                    .iter()
                    .any(|word| step.starts_with(word));
                assert!(is_search, "{sql}: {step}");
                // Those of an approver are looked through, or those that are open; a time is looked up.
                let is_plain = |word: &&str| !sql.contains(word);
                if ["CROSS JOIN", "EXISTS", "coalesce"].iter().all(is_plain) {
                    let filters = sql.matches(" = ").count();
                    assert_eq!(step.matches("=?").count(), filters, "{sql}: {step}");
                }
            }
        }
    }
}
