//! `applies`: every attempt to carry out operations that was accepted, and what became of it.

use super::operation_summary::OperationSummary;
use crate::error::Error;
use crate::projections::{Projections, read_all, read_ids, read_one};
use crate::status::{ApplyState, ApprovalStatus, OperationProgress, TaskStatus};
use crate::store::{Columns, Spec, Stored, Table, row};
use crate::tables::approvals::ApprovalView;
use crate::tables::fold::{Folding, parts, unfoldable};
use ledger::event::{ApplyAccepted, ApplyEnd, Authorisation, OperationEnded, OperationStarted};
use ledger::{
    AgentName, ApplyId, ApprovalId, CallbackId, Event, ExecutionId, Fingerprint, IdempotencyKey,
    Recorded, TaskId, Timestamp, TokenId,
};
use lru::LruCache;

const SPEC: Spec = Spec {
    name: "applies",
    revision: 2,
    definition: "(
    -- Applies that were accepted. Refused attempts stand in the audit timeline only.
    apply_id              TEXT PRIMARY KEY,
    task_id               TEXT NOT NULL,
    agent                 TEXT NOT NULL,
    idempotency_key       TEXT NOT NULL,
    operation_fingerprint TEXT NOT NULL,
    status                TEXT NOT NULL,   -- as in tasks; 'failed' also when another apply used the
                                           -- approval, 'closed' when the task's end withdrew it
    apply_state           TEXT NOT NULL,   -- as in tasks
    approval_id           TEXT,            -- the approval that it waits or waited for
    execution_id          TEXT,            -- from its first operation on
    token_id              TEXT NOT NULL,   -- the token that asked
    callback_id           TEXT,            -- the task's callback when it was accepted
    operations            TEXT NOT NULL,   -- JSON list: each operation and how far it is
    simulated             TEXT,            -- yes: nothing was sent; empty before its first operation
    accepted_at           TEXT NOT NULL,
    authorised_at         TEXT,
    ended_at              TEXT,
    end_reason            TEXT,            -- why it ended without trying all operations
    resolved_as           TEXT,            -- executed, not_executed: how a person settled 'unknown'
    resolved_reason       TEXT,
    position              INTEGER NOT NULL -- of the event that accepted it
) STRICT, WITHOUT ROWID",
    indexes: &[
        ("applies_by_task", "(task_id, position)"),
        ("applies_by_agent", "(agent, position)"),
        ("applies_unknown", "(position) WHERE status = 'unknown'"),
    ],
    fold_indexes: &[("applies_by_approval", "(approval_id) WHERE approval_id IS NOT NULL")],
};

row! {
    pub struct ApplyView in SPEC, key (id: ApplyId = "apply_id") {
        pub id: ApplyId = "apply_id",
        pub task_id: TaskId,
        pub agent: AgentName,
        /// The key that names it within its task.
        pub idempotency_key: IdempotencyKey,
        pub fingerprint: Fingerprint = "operation_fingerprint",
        /// Where it stands, never `open`. `failed` also when another apply used the approval that it
        /// waited for; `closed` when its task was closed while it waited.
        pub status: TaskStatus,
        /// Its state, by what can be done about it.
        pub state: ApplyState = "apply_state",
        /// The approval that it waits or waited for.
        pub approval_id: Option<ApprovalId>,
        /// Names what was sent upstream for it, from its first operation on.
        pub execution_id: Option<ExecutionId>,
        pub token_id: TokenId,
        /// The task's callback when it was accepted.
        pub callback_id: Option<CallbackId>,
        pub operations: Vec<OperationSummary>,
        /// True when nothing was sent; absent before its first operation.
        pub simulated: Option<bool>,
        pub accepted_at: Timestamp,
        /// When it could run: granted from the start, or an approval was used for it.
        pub authorised_at: Option<Timestamp>,
        /// When it ended, was settled, or lost what it waited for.
        pub ended_at: Option<Timestamp>,
        /// Why it ended without trying all its operations: `task_closed`, `approval_denied`,
        /// `approval_expired`, or `approval_used_by` and the apply that used it.
        pub end_reason: Option<String>,
        /// How a person settled its unknown outcome: `executed` or `not_executed`.
        pub resolved_as: Option<String>,
        /// The person's finding.
        pub resolved_reason: Option<String>,
        /// The position of the event that accepted it; applies of a task are ordered by it.
        pub position: u64,
    }
}

/// How the reason begins of an apply whose approval another one has used.
const USED_BY: &str = "approval_used_by ";

impl ApplyView {
    fn set_status(&mut self, status: TaskStatus) {
        self.status = status;
        self.state = status.apply_state();
    }

    /// Another apply used the approval that it waited for, and may give it back.
    fn lost_it_to_another(&self) -> bool {
        let reason = self.end_reason.as_deref();
        self.authorised_at.is_none() && reason.is_some_and(|why| why.starts_with(USED_BY))
    }

    /// Takes over what became of the approval that it waits for. A lock, the policy and a person leave the task open.
    fn apply_approval(
        &mut self,
        approval: ApprovalStatus,
        stopped_by: Option<&str>,
        consumed_by: Option<ApplyId>,
        at: Timestamp,
    ) {
        let (status, reason) = match approval {
            ApprovalStatus::Pending => (TaskStatus::RequiresApproval, None),
            ApprovalStatus::Approved => (TaskStatus::Approved, None),
            ApprovalStatus::Denied => (TaskStatus::Denied, Some("approval_denied".to_owned())),
            ApprovalStatus::Expired => (TaskStatus::Expired, Some("approval_expired".to_owned())),
            ApprovalStatus::Cancelled => match stopped_by {
                Some(reason) => (TaskStatus::Failed, Some(reason.to_owned())),
                None => (TaskStatus::Closed, Some("task_closed".to_owned())),
            },
            // The event that authorises its user comes next.
            ApprovalStatus::Consumed if consumed_by == Some(self.id) => return,
            ApprovalStatus::Consumed => {
                let by = consumed_by.map(|by| by.to_string()).unwrap_or_default();
                (TaskStatus::Failed, Some(format!("{USED_BY}{by}")))
            }
        };
        self.set_status(status);
        self.ended_at = reason.is_some().then_some(at);
        self.end_reason = reason;
    }

    fn operation(
        &mut self,
        recorded: &Recorded,
        index: u32,
    ) -> Result<&mut OperationSummary, Error> {
        usize::try_from(index)
            .ok()
            .and_then(|index| self.operations.get_mut(index))
            .ok_or_else(|| unfoldable(recorded, format!("the apply has no operation {index}")))
    }
}

/// Every apply that waits for an approval; complete for the approvals that are here.
pub(crate) type Waiting = LruCache<ApprovalId, Vec<ApplyId>>;

parts!(Parts: Table<ApplyView>, Table<ApprovalView>, Waiting);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    match &folding.recorded.event {
        Event::ApplyAccepted(accepted) => accept(folding, accepted),
        Event::ApplyAuthorised(_) => {
            let apply = edit(folding)?;
            apply.authorised_at = Some(at);
            apply.set_status(TaskStatus::Applying);
            Ok(())
        }
        Event::ApplyAskedAnew(anew) => wait_for(folding, anew.approval_id),
        Event::OperationStarted(started) => start(folding, started),
        Event::OperationEnded(ended) => end_operation(folding, ended),
        Event::ApplyEnded(ended) => {
            let apply = edit(folding)?;
            apply.ended_at = Some(at);
            apply.end_reason.clone_from(&ended.stopped);
            apply.set_status(match ended.end {
                ApplyEnd::Completed => TaskStatus::Completed,
                ApplyEnd::Failed => TaskStatus::Failed,
                ApplyEnd::Unknown => TaskStatus::Unknown,
            });
            Ok(())
        }
        Event::ApplyResolved(resolved) => {
            let apply = edit(folding)?;
            // Carried out in full only when nothing after the settled operation was left.
            let complete =
                resolved.executed && apply.operations.iter().all(OperationSummary::has_ended);
            apply.set_status(if complete {
                TaskStatus::Completed
            } else {
                TaskStatus::Failed
            });
            let word = if resolved.executed {
                "executed"
            } else {
                "not_executed"
            };
            apply.resolved_as = Some(word.to_owned());
            apply.resolved_reason = Some(resolved.reason.clone());
            apply.ended_at = Some(at);
            Ok(())
        }
        Event::ApprovalRequested(requested) => {
            folding
                .part::<Waiting>()
                .put(requested.approval_id, Vec::new());
            Ok(())
        }
        Event::ApprovalApproved(_)
        | Event::ApprovalDenied(_)
        | Event::ApprovalExpired(_)
        | Event::ApprovalCancelled(_)
        | Event::ApprovalReleased(_)
        | Event::ApprovalConsumed(_) => update_waiting(folding),
        _ => Ok(()),
    }
}

fn accept(folding: &mut Folding<'_, impl Parts>, accepted: &ApplyAccepted) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    let operations = accepted.check.requested.iter();
    let mut apply = ApplyView {
        id: accepted.apply_id,
        task_id: accepted.task_id,
        agent: accepted.agent.clone(),
        idempotency_key: accepted.idempotency_key.clone(),
        fingerprint: accepted.fingerprint,
        status: TaskStatus::Applying,
        state: ApplyState::Applying,
        approval_id: None,
        execution_id: None,
        token_id: accepted.token_id,
        callback_id: accepted.callback_id,
        operations: operations.map(OperationSummary::waiting).collect(),
        simulated: None,
        accepted_at: at,
        authorised_at: Some(at),
        ended_at: None,
        end_reason: None,
        resolved_as: None,
        resolved_reason: None,
        position: folding.recorded.position(),
    };
    if let Authorisation::Awaiting(id) = accepted.authorisation {
        let approval = folding.known::<ApprovalView>("approval", &id)?;
        apply.approval_id = Some(id);
        apply.authorised_at = None;
        // A late key hears what became of the approval before it came.
        apply.apply_approval(
            approval.state,
            approval.stopped_by(),
            approval.consumed_by,
            at,
        );
        if let Some(waiting) = folding.part::<Waiting>().get_mut(&id) {
            waiting.push(apply.id);
        }
    }
    folding.insert(apply);
    Ok(())
}

/// The apply waits for another question from here on.
fn wait_for(folding: &mut Folding<'_, impl Parts>, id: ApprovalId) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    let approval = folding.known::<ApprovalView>("approval", &id)?;
    let (state, stopped_by) = (approval.state, approval.stopped_by());
    let consumed_by = approval.consumed_by;
    // Those that are stored already are read before it is among them.
    let mut waiting = waiting_for(folding, id)?;
    let apply = edit(folding)?;
    apply.approval_id = Some(id);
    apply.authorised_at = None;
    apply.ended_at = None;
    apply.end_reason = None;
    apply.apply_approval(state, stopped_by, consumed_by, at);
    let apply_id = apply.id;
    if !waiting.contains(&apply_id) {
        waiting.push(apply_id);
    }
    folding.part::<Waiting>().put(id, waiting);
    Ok(())
}

fn start(folding: &mut Folding<'_, impl Parts>, started: &OperationStarted) -> Result<(), Error> {
    let recorded = folding.recorded;
    let apply = edit(folding)?;
    apply.execution_id = Some(started.execution_id);
    apply.simulated = Some(started.simulated);
    let operation = apply.operation(recorded, started.index)?;
    operation.progress = OperationProgress::Started;
    Ok(())
}

fn end_operation(
    folding: &mut Folding<'_, impl Parts>,
    ended: &OperationEnded,
) -> Result<(), Error> {
    let recorded = folding.recorded;
    let apply = edit(folding)?;
    apply.operation(recorded, ended.index)?.end(ended);
    Ok(())
}

fn edit<'t>(folding: &'t mut Folding<'_, impl Parts>) -> Result<&'t mut ApplyView, Error> {
    let id = ApplyId::from(folding.recorded.stream_id());
    folding.edit_known("apply", &id)
}

/// Updates every apply that waits for the event's approval.
fn update_waiting(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let at = folding.recorded.recorded_at();
    let id = ApprovalId::from(folding.recorded.stream_id());
    let approval = folding.known::<ApprovalView>("approval", &id)?;
    let (state, consumed_by) = (approval.state, approval.consumed_by);
    let stopped_by = approval.stopped_by();
    for apply_id in waiting_for(folding, id)? {
        let apply = folding.edit_known::<ApplyView>("apply", &apply_id)?;
        if apply.status.is_waiting() || apply.lost_it_to_another() {
            apply.apply_approval(state, stopped_by, consumed_by, at);
        }
    }
    Ok(())
}

fn waiting_for(
    folding: &mut Folding<'_, impl Parts>,
    approval: ApprovalId,
) -> Result<Vec<ApplyId>, Error> {
    if let Some(waiting) = folding.part::<Waiting>().get(&approval) {
        return Ok(waiting.clone());
    }
    let mut waiting = stored_waiting(folding.stored, approval)?;
    for apply in folding.part::<Table<ApplyView>>().unwritten() {
        if apply.approval_id == Some(approval) && !waiting.contains(&apply.id) {
            waiting.push(apply.id);
        }
    }
    folding.part::<Waiting>().put(approval, waiting.clone());
    Ok(waiting)
}

fn stored_waiting(stored: Stored<'_>, approval: ApprovalId) -> Result<Vec<ApplyId>, Error> {
    let failed = || Error::sqlite("reading the applies of an approval");
    let table = stored.set.table(SPEC.name);
    let sql = format!("SELECT apply_id FROM {table} WHERE approval_id = ? ORDER BY position");
    let mut query = stored.db.prepare_cached(&sql).map_err(failed())?;
    let mut rows = query.query([approval.to_string()]).map_err(failed())?;
    let mut waiting = Vec::new();
    while let Some(row) = rows.next().map_err(failed())? {
        waiting.push(Columns::folded(row, SPEC.name).get("apply_id")?);
    }
    Ok(waiting)
}

impl Projections {
    pub async fn apply(&self, id: ApplyId) -> Result<Option<ApplyView>, Error> {
        read_one(self.readers(), &id).await
    }

    /// The applies of these tasks whose outcome a person has to settle, newest first.
    pub async fn unknown_applies(&self, tasks: &[TaskId]) -> Result<Vec<ApplyView>, Error> {
        let tasks: Vec<String> = tasks.iter().map(ToString::to_string).collect();
        let query = sqlx::query(
            "SELECT * FROM applies
             WHERE status = 'unknown' AND task_id IN (SELECT value FROM json_each(?))
             ORDER BY position DESC",
        );
        let query = query.bind(serde_json::to_string(&tasks).unwrap_or_default());
        read_all(self.readers(), query).await
    }

    /// The newest applies of an agent that people approved and that were carried out, newest first, of its newest
    /// thousand.
    pub async fn approved_and_done(
        &self,
        agent: &AgentName,
        limit: u32,
    ) -> Result<Vec<ApplyId>, Error> {
        let query = sqlx::query(
            "SELECT apply_id FROM (SELECT apply_id, approval_id, status, position FROM applies
                                   WHERE agent = ? ORDER BY position DESC LIMIT 1000)
             WHERE approval_id IS NOT NULL AND status = 'completed' ORDER BY position DESC LIMIT ?",
        );
        let query = query.bind(agent.as_str().to_owned()).bind(limit);
        read_ids(self.readers(), query, SPEC.name, "apply_id").await
    }

    /// The applies of a task, newest first; those before a given one, when one is given (none when
    /// that is not one of this task's).
    pub async fn applies(
        &self,
        task: TaskId,
        limit: u32,
        before: Option<ApplyId>,
    ) -> Result<Vec<ApplyView>, Error> {
        let query = match before {
            None => sqlx::query(
                "SELECT * FROM applies WHERE task_id = ? ORDER BY position DESC LIMIT ?",
            )
            .bind(task.to_string()),
            Some(before) => sqlx::query(
                "SELECT * FROM applies WHERE task_id = ?1 AND position <
                     (SELECT position FROM applies WHERE apply_id = ?2 AND task_id = ?1)
                 ORDER BY position DESC LIMIT ?3",
            )
            .bind(task.to_string())
            .bind(before.to_string()),
        };
        read_all(self.readers(), query.bind(i64::from(limit))).await
    }
}
