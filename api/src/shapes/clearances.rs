//! Clearances.

use super::lists::next;
use app::clearances::Kept;
use ledger::Timestamp;
use projections::{OperationSummary, Page};
use serde::Serialize;
use utoipa::ToSchema;

/// A decision that is kept beyond its question.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Clearance {
    id: String,
    /// `approve` or `deny`.
    decision: String,
    agent: String,
    /// `task`: it answers applies of its task and ends with it; `agent`: of any task of the agent under the same
    /// subject.
    binding: String,
    /// The task of the question.
    task_id: String,
    /// The subject of that task; null where the task was erased.
    subject: Option<String>,
    /// The rules for which it answers; none of a denial, and where no rule asked.
    rules: Vec<String>,
    /// `cache` or `permanent`.
    mode: String,
    /// `exact`: exactly these operations; `scope`: the same operations on the same scopes, whatever their params.
    breadth: String,
    operations: Vec<ClearedOperation>,
    /// The question whose decision it is.
    approval_id: String,
    /// The approver who decided.
    by: String,
    made_at: String,
    /// When it ends by itself; null where nothing but its task or a person ends it.
    until: Option<String>,
    /// When it ended; null while it lasts. What took the right to decide from its maker, and a lock, end it without
    /// being told here.
    ended_at: Option<String>,
    /// `ended` (by a person), `expired` or `task_closed`.
    end_reason: Option<String>,
    /// How many applies it answered, without those of tasks that were erased since.
    uses: u64,
    /// When the last of these was accepted.
    last_used_at: Option<String>,
    /// The applies that it authorised and that have not ended, which end with it.
    active: Vec<ActiveApply>,
}

/// An apply that a clearance has authorised.
#[derive(Debug, Serialize, ToSchema)]
struct ActiveApply {
    apply_id: String,
    task_id: String,
}

/// An operation that was decided on.
#[derive(Debug, Serialize, ToSchema)]
struct ClearedOperation {
    operation_id: String,
    scope_type: String,
    scope_id: String,
}

impl From<&OperationSummary> for ClearedOperation {
    fn from(operation: &OperationSummary) -> Self {
        Self {
            operation_id: operation.operation_id.to_string(),
            scope_type: operation.scope_type.to_string(),
            scope_id: operation.scope_id.to_string(),
        }
    }
}

impl Clearance {
    pub(crate) fn of(kept: Kept, now: Timestamp) -> Self {
        let Kept {
            view,
            used,
            subject,
            rules,
            active,
        } = kept;
        let ended = view.ended_by(now);
        let active = active.into_iter().map(|(task_id, apply_id)| ActiveApply {
            apply_id: apply_id.to_string(),
            task_id: task_id.to_string(),
        });
        Self {
            subject: subject.map(|subject| subject.to_string()),
            rules: rules.iter().map(ToString::to_string).collect(),
            active: active.collect(),
            ended_at: ended.map(|(at, _)| at.to_string()),
            end_reason: ended.map(|(_, why)| why.to_owned()),
            id: view.clearance_id.to_string(),
            agent: view.agent.to_string(),
            task_id: view.task_id.to_string(),
            operations: view.operations.iter().map(Into::into).collect(),
            approval_id: view.approval_id.to_string(),
            made_at: view.made_at.to_string(),
            until: view.until.map(|at| at.to_string()),
            uses: used.map_or(0, |used| used.uses),
            last_used_at: used.map(|used| used.last_used_at.to_string()),
            decision: view.decision,
            binding: view.binding,
            mode: view.mode,
            breadth: view.breadth,
            by: view.made_by,
        }
    }
}

/// Clearances, those that have ended too, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ClearanceList {
    clearances: Vec<Clearance>,
    /// The size of the ledger that the list stands for.
    as_of: u64,
    /// The `after` of the next page; null after the last one.
    next: Option<String>,
}

impl ClearanceList {
    pub(crate) fn of(page: Page<Kept>, now: Timestamp) -> Self {
        let rows = page.rows.into_iter();
        Self {
            clearances: rows.map(|kept| Clearance::of(kept, now)).collect(),
            as_of: page.as_of,
            next: next(page.next),
        }
    }
}
