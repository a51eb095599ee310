//! Answers to questions: the history of them, and what is known of an agent from it. The rows are those of
//! `approvals` and `applies`.

use crate::error::Error;
use crate::moment;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::{Projections, read_all};
use crate::status::{ApprovalStatus, OperationProgress};
use crate::store::Columns;
use crate::tables::approvals::ApprovalView;
use ledger::{AgentName, ApplyId, ApprovalId, ApproverName, Fingerprint, TaskId, Timestamp};
use sqlx::{QueryBuilder, Sqlite};

/// Rows that are looked at, at most, to say what somebody did before.
const MOST: u32 = 1000;

/// An operation on a scope, and how often people have decided about it and approved it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecidedKind {
    pub operation: String,
    pub scope_type: String,
    pub scope_id: String,
    pub decided: u64,
    pub approved: u64,
}

/// An operation on an object, and how many applies have had it carried out without a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoneUnasked {
    pub operation: String,
    pub scope_type: String,
    pub scope_id: String,
    pub times: u64,
    /// When the newest of them was accepted.
    pub newest: Timestamp,
}

/// Which answers to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryFilter {
    pub agent: Option<AgentName>,
    /// One of the principals whose answers ended it: who decided, or whose vote stood then.
    pub approver: Option<ApproverName>,
    /// Approved, denied, expired or cancelled; no question is answered in another way.
    pub answer: Option<ApprovalStatus>,
    /// Only those that were answered then or later.
    pub from: Option<Timestamp>,
    /// Only those that were answered before.
    pub to: Option<Timestamp>,
}

/// Operations of applies that were accepted, by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Carried {
    /// Upstream has taken them.
    pub out: u64,
    /// They succeeded, and nothing was sent.
    pub simulated: u64,
    pub failed: u64,
    /// Nobody knows whether upstream has taken them.
    pub unknown: u64,
    /// True where there are more applies than were looked at: these are the newest thousand.
    pub is_cut: bool,
}

pub(crate) fn listing(filter: HistoryFilter, paging: Paging) -> QueryBuilder<Sqlite> {
    let (from, answered) = match filter.approver {
        Some(_) => (
            "approval_answers AS own CROSS JOIN approvals USING (approval_id)",
            "own.answered",
        ),
        None => ("approvals", "answered"),
    };
    let mut query = QueryBuilder::new(format!(
        "SELECT approvals.* FROM {from} WHERE {answered} < "
    ));
    query.push_bind(paging.below());
    // Times follow the positions, so a time is a position in the index.
    for (side, at) in [(">=", filter.from), ("<", filter.to)] {
        let Some(at) = at else { continue };
        query.push(format!(" AND {answered} {side} ")).push(
            "coalesce((SELECT answered FROM approvals WHERE answered IS NOT NULL AND answered_at >= ",
        );
        query.push_bind(moment::to_text(at));
        query.push(" ORDER BY answered_at, answered LIMIT 1), 9223372036854775807)");
    }
    if let Some(agent) = filter.agent {
        query.push(" AND agent = ").push_bind(String::from(agent));
    }
    if let Some(approver) = filter.approver {
        query
            .push(" AND own.approver_principal = ")
            .push_bind(String::from(approver));
    }
    if let Some(answer) = filter.answer {
        query.push(" AND answer = ").push_bind(answer.as_str());
    }
    query.push(format!(" ORDER BY {answered} DESC"));
    query
}

impl Projections {
    /// Questions that were answered, the newest answer first, each as it is now.
    pub async fn history(
        &self,
        filter: HistoryFilter,
        paging: Paging,
    ) -> Result<Page<ApprovalView>, Error> {
        let query = listing(filter, paging);
        let position = |approval: &ApprovalView| approval.answered.unwrap_or(approval.position);
        self.page(Projection::Tasks, query, paging, position).await
    }

    /// The newest answer of a person to the same operations of the same task, besides the one to this question.
    pub async fn last_answer(
        &self,
        fingerprint: Fingerprint,
        besides: ApprovalId,
    ) -> Result<Option<ApprovalView>, Error> {
        let query = sqlx::query(
            "SELECT * FROM approvals WHERE operation_fingerprint = ? AND answered IS NOT NULL
                 AND decided_at IS NOT NULL AND approval_id <> ? ORDER BY answered DESC LIMIT 1",
        );
        let query = query
            .bind(fingerprint.to_string())
            .bind(besides.to_string());
        let newest = read_all(self.readers(), query).await?;
        Ok(newest.into_iter().next())
    }

    /// The newest answers of persons to questions of an agent, besides the one to this question; at most so many.
    pub async fn newest_answers_to_agent(
        &self,
        agent: &AgentName,
        besides: ApprovalId,
        at_most: u32,
    ) -> Result<Vec<ApprovalView>, Error> {
        let query = sqlx::query(
            "SELECT * FROM approvals WHERE agent = ? AND answered IS NOT NULL AND decided_at IS NOT NULL
                 AND approval_id <> ? ORDER BY answered DESC LIMIT ?",
        );
        let query = query
            .bind(agent.to_string())
            .bind(besides.to_string())
            .bind(i64::from(at_most));
        read_all(self.readers(), query).await
    }

    /// The answers to the same operations of the same task, besides the one to this question; the newest first, and at
    /// most so many.
    pub async fn answers_to(
        &self,
        fingerprint: Fingerprint,
        besides: ApprovalId,
        at_most: u32,
    ) -> Result<Vec<ApprovalView>, Error> {
        let query = sqlx::query(
            "SELECT * FROM approvals WHERE operation_fingerprint = ? AND answered IS NOT NULL
                 AND approval_id <> ? ORDER BY answered DESC LIMIT ?",
        );
        let query = query
            .bind(fingerprint.to_string())
            .bind(besides.to_string())
            .bind(i64::from(at_most));
        read_all(self.readers(), query).await
    }

    /// The operations that a task has asked for, besides those of one apply, by what became of them.
    pub async fn carried_in_task(&self, task: TaskId, besides: ApplyId) -> Result<Carried, Error> {
        let query = sqlx::query(
            "SELECT operations, simulated FROM applies
             WHERE task_id = ? AND apply_id <> ? ORDER BY position DESC LIMIT ?",
        );
        let query = query.bind(task.to_string()).bind(besides.to_string());
        self.carried(query.bind(i64::from(MOST) + 1)).await
    }

    /// The operations that an agent has asked for since then, by what became of them.
    pub async fn carried_by(&self, agent: &AgentName, since: Timestamp) -> Result<Carried, Error> {
        let query = sqlx::query(
            "SELECT operations, simulated FROM (
                 SELECT operations, simulated, accepted_at FROM applies
                 WHERE agent = ? ORDER BY position DESC LIMIT ?)
             WHERE accepted_at >= ?",
        );
        let query = query.bind(agent.as_str().to_owned());
        let query = query.bind(i64::from(MOST) + 1);
        self.carried(query.bind(moment::to_text(since))).await
    }

    async fn carried(&self, query: crate::projections::Query) -> Result<Carried, Error> {
        let rows = query
            .fetch_all(self.readers())
            .await
            .map_err(Error::database("counting operations"))?;
        let most = usize::try_from(MOST).unwrap_or(usize::MAX);
        let mut carried = Carried {
            is_cut: rows.len() > most,
            ..Carried::default()
        };
        for row in rows.iter().take(most) {
            let columns = Columns::new(row, "applies");
            let operations: Vec<crate::OperationSummary> = columns.get("operations")?;
            let simulated: Option<bool> = columns.get("simulated")?;
            for operation in &operations {
                let of = match operation.progress {
                    OperationProgress::Succeeded if simulated == Some(true) => {
                        &mut carried.simulated
                    }
                    OperationProgress::Succeeded => &mut carried.out,
                    OperationProgress::Failed => &mut carried.failed,
                    OperationProgress::Unknown => &mut carried.unknown,
                    OperationProgress::Waiting | OperationProgress::Started => continue,
                };
                *of += 1;
            }
        }
        Ok(carried)
    }

    /// The operations that an agent has had carried out without a question, by operation and object, of its newest
    /// thousand applies.
    pub async fn done_unasked(&self, agent: &AgentName) -> Result<Vec<DoneUnasked>, Error> {
        let query = sqlx::query(
            "SELECT kind.value ->> 'operation_id' AS operation, kind.value ->> 'scope_type' AS scope_type,
                    kind.value ->> 'scope_id' AS scope_id, count(DISTINCT done.apply_id) AS times,
                    max(done.accepted_at) AS newest
             FROM (SELECT apply_id, approval_id, accepted_at, operations FROM applies
                   WHERE agent = ? ORDER BY position DESC LIMIT ?) AS done,
                  json_each(done.operations) AS kind
             WHERE done.approval_id IS NULL GROUP BY 1, 2, 3",
        );
        let query = query.bind(agent.as_str().to_owned()).bind(MOST);
        let rows = query
            .fetch_all(self.readers())
            .await
            .map_err(Error::database("counting what was done without a question"))?;
        rows.iter()
            .map(|row| {
                let columns = Columns::new(row, "applies");
                Ok(DoneUnasked {
                    operation: columns.get("operation")?,
                    scope_type: columns.get("scope_type")?,
                    scope_id: columns.get("scope_id")?,
                    times: columns.get("times")?,
                    newest: columns.get("newest")?,
                })
            })
            .collect()
    }

    /// The newest thousand questions that an agent has asked since then, counted by their state and by whether a
    /// person has decided.
    pub async fn asked_by(
        &self,
        agent: &AgentName,
        since: Timestamp,
    ) -> Result<Vec<(ApprovalStatus, bool, u64)>, Error> {
        let query = sqlx::query(
            "SELECT state, decided_at IS NOT NULL AS decided, count(*) AS number FROM (
                 SELECT state, decided_at, created_at FROM approvals
                 WHERE agent = ? ORDER BY position DESC LIMIT ?)
             WHERE created_at >= ? GROUP BY 1, 2",
        );
        let query = query.bind(agent.as_str().to_owned()).bind(MOST);
        let rows = query.bind(moment::to_text(since)).fetch_all(self.readers());
        let rows = rows
            .await
            .map_err(Error::database("counting the questions of an agent"))?;
        rows.iter()
            .map(|row| {
                let columns = Columns::new(row, "approvals");
                let is_decided = columns.integer("decided")? != 0;
                Ok((columns.get("state")?, is_decided, columns.get("number")?))
            })
            .collect()
    }

    /// The decisions of people on each kind of operation that an agent has asked for since then, of its newest
    /// thousand questions: the most often asked first.
    pub async fn decided_kinds(
        &self,
        agent: &AgentName,
        since: Timestamp,
    ) -> Result<Vec<DecidedKind>, Error> {
        let query = sqlx::query(
            "SELECT kind.value ->> 'operation_id' AS operation, kind.value ->> 'scope_type' AS scope_type,
                    kind.value ->> 'scope_id' AS scope_id, count(DISTINCT asked.approval_id) AS decided,
                    count(DISTINCT asked.approval_id) FILTER (WHERE asked.state <> 'denied') AS approved
             FROM (SELECT approval_id, apply_id, state FROM (
                       SELECT approval_id, apply_id, state, created_at, decided_at FROM approvals
                       WHERE agent = ? ORDER BY position DESC LIMIT ?)
                   WHERE created_at >= ? AND decided_at IS NOT NULL) AS asked
             JOIN applies ON applies.apply_id = asked.apply_id, json_each(applies.operations) AS kind
             GROUP BY 1, 2, 3 ORDER BY decided DESC, 1, 2, 3 LIMIT 100",
        );
        let query = query.bind(agent.as_str().to_owned()).bind(MOST);
        let rows = query.bind(moment::to_text(since)).fetch_all(self.readers());
        let rows = rows
            .await
            .map_err(Error::database("counting what was decided of an agent"))?;
        rows.iter()
            .map(|row| {
                let columns = Columns::new(row, "applies");
                Ok(DecidedKind {
                    operation: columns.get("operation")?,
                    scope_type: columns.get("scope_type")?,
                    scope_id: columns.get("scope_id")?,
                    decided: columns.get("decided")?,
                    approved: columns.get("approved")?,
                })
            })
            .collect()
    }
}
