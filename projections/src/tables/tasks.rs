//! `tasks`: bounded pieces of work, each standing where its newest apply stands.

use crate::error::Error;
use crate::paging::{Page, Paging};
use crate::projection::Projection;
use crate::projections::{Projections, read_one};
use crate::status::{ApplyState, TaskStatus};
use crate::store::{Spec, Table, json_column, row};
use crate::tables::applies::ApplyView;
use crate::tables::approvals::ApprovalView;
use crate::tables::fold::{Folding, parts};
use ledger::event::{AllowedOperation, CallbackOwner, TaskCreated};
use ledger::{AgentName, ApplyId, CallbackId, ClientSubject, Event, TaskId, Timestamp};
use sqlx::{QueryBuilder, Sqlite};

const SPEC: Spec = Spec {
    name: "tasks",
    revision: 3,
    definition: "(
    -- Tasks. Status and apply state are those of the newest apply, until the task is closed.
    task_id            TEXT PRIMARY KEY,
    task_name          TEXT NOT NULL,
    agent              TEXT NOT NULL,
    subject            TEXT NOT NULL,     -- the client that its tokens are bound to
    status             TEXT NOT NULL,     -- open, requires_approval, approved, applying, completed,
                                          -- failed, unknown, denied, expired, closed
    apply_state        TEXT NOT NULL,     -- idle, waiting_approval, ready, applying, completed,
                                          -- failed, unknown, closed
    allowed_operations TEXT NOT NULL,     -- JSON list; scope_id '*' is every one of that type
    token_ttl_seconds  INTEGER NOT NULL,
    newest_apply_id    TEXT,
    callback_id        TEXT,              -- the orchestrator's
    agent_callback_id  TEXT,              -- the agent's, beside it
    created_at         TEXT NOT NULL,
    updated_at         TEXT NOT NULL,
    closed_at          TEXT,
    close_reason       TEXT,
    position           INTEGER NOT NULL   -- of the event that opened it
) STRICT, WITHOUT ROWID",
    indexes: &[
        ("tasks_in_order", "(position)"),
        ("tasks_by_status", "(status, position)"),
        ("tasks_by_agent", "(agent, position)"),
        ("tasks_by_agent_and_status", "(agent, status, position)"),
    ],
    fold_indexes: &[],
};

json_column!(Vec<AllowedOperation>);

row! {
    pub struct TaskView in SPEC, key (id: TaskId = "task_id") {
        pub id: TaskId = "task_id",
        /// The orchestrator's name for it.
        pub name: String = "task_name",
        pub agent: AgentName,
        /// The subject that its tokens are bound to.
        pub subject: ClientSubject,
        pub status: TaskStatus,
        /// The state of its newest apply.
        pub apply_state: ApplyState,
        pub allowed: Vec<AllowedOperation> = "allowed_operations",
        /// How long its tokens live.
        pub token_ttl_seconds: u32,
        /// The apply that it stands where it stands for.
        pub newest_apply_id: Option<ApplyId>,
        /// The orchestrator's callback.
        pub callback_id: Option<CallbackId>,
        /// The agent's callback, which stands beside it.
        pub agent_callback_id: Option<CallbackId>,
        pub created_at: Timestamp,
        /// When it last changed.
        pub updated_at: Timestamp,
        pub closed_at: Option<Timestamp>,
        /// Why it was closed, where somebody said so.
        pub close_reason: Option<String>,
        /// The position of the event that opened it.
        pub position: u64,
    }
}

/// Which tasks to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// [`TaskStatus::Unknown`] finds every task with an outcome to settle, also where its newest apply stands
    /// elsewhere, or the task is closed.
    pub status: Option<TaskStatus>,
    pub agent: Option<AgentName>,
}

parts!(Parts: Table<ApplyView>, Table<ApprovalView>, Table<TaskView>);

pub(crate) fn fold(folding: &mut Folding<'_, impl Parts>) -> Result<(), Error> {
    let stream = folding.recorded.stream_id();
    match &folding.recorded.event {
        Event::TaskCreated(created) => {
            create(folding, created);
            Ok(())
        }
        Event::CallbackSet(set) => {
            let task = edit(folding, stream.into())?;
            let id = Some(set.callback.callback_id);
            match set.owner {
                CallbackOwner::Unsaid => (task.callback_id, task.agent_callback_id) = (id, None),
                CallbackOwner::Orchestrator => task.callback_id = id,
                CallbackOwner::Agent => task.agent_callback_id = id,
            }
            Ok(())
        }
        Event::TaskClosed(closed) => {
            let at = folding.recorded.recorded_at();
            let task = edit(folding, stream.into())?;
            task.status = TaskStatus::Closed;
            task.apply_state = ApplyState::Closed;
            task.closed_at = Some(at);
            task.close_reason.clone_from(&closed.reason);
            Ok(())
        }
        Event::ApplyAccepted(accepted) => {
            let task = edit(folding, accepted.task_id)?;
            task.newest_apply_id = Some(accepted.apply_id);
            follow(folding, accepted.task_id)
        }
        Event::ApplyAuthorised(_)
        | Event::ApplyAskedAnew(_)
        | Event::ApplyEnded(_)
        | Event::ApplyResolved(_) => {
            let id = ApplyId::from(stream);
            let apply = folding.known::<ApplyView>("apply", &id)?;
            let task_id = apply.task_id;
            follow(folding, task_id)
        }
        Event::ApprovalApproved(_)
        | Event::ApprovalDenied(_)
        | Event::ApprovalExpired(_)
        | Event::ApprovalCancelled(_)
        | Event::ApprovalReleased(_)
        | Event::ApprovalConsumed(_) => {
            let id = stream.into();
            let approval = folding.known::<ApprovalView>("approval", &id)?;
            match approval.task_id {
                Some(task_id) => follow(folding, task_id),
                None => Ok(()),
            }
        }
        _ => Ok(()),
    }
}

fn create(folding: &mut Folding<'_, impl Parts>, created: &TaskCreated) {
    let at = folding.recorded.recorded_at();
    folding.insert(TaskView {
        id: created.task_id,
        name: created.name.clone(),
        agent: created.agent.clone(),
        subject: created.subject.clone(),
        status: TaskStatus::Open,
        apply_state: ApplyState::Idle,
        allowed: created.allowed.clone(),
        token_ttl_seconds: created.token_ttl_seconds,
        newest_apply_id: None,
        callback_id: None,
        agent_callback_id: None,
        created_at: at,
        updated_at: at,
        closed_at: None,
        close_reason: None,
        position: folding.recorded.position(),
    });
}

fn edit<'t>(
    folding: &'t mut Folding<'_, impl Parts>,
    id: TaskId,
) -> Result<&'t mut TaskView, Error> {
    let at = folding.recorded.recorded_at();
    let task = folding.edit_known::<TaskView>("task", &id)?;
    task.updated_at = at;
    Ok(task)
}

/// Takes over where the newest apply stands, unless the task is closed or already stands there.
fn follow(folding: &mut Folding<'_, impl Parts>, id: TaskId) -> Result<(), Error> {
    let task = folding.known::<TaskView>("task", &id)?;
    let Some(apply_id) = task.newest_apply_id else {
        return Ok(());
    };
    let stands = task.status;
    let apply = folding.known::<ApplyView>("apply", &apply_id)?;
    let status = apply.status;
    if stands != TaskStatus::Closed && stands != status {
        let task = edit(folding, id)?;
        task.status = status;
        task.apply_state = status.apply_state();
    }
    Ok(())
}

pub(crate) fn listing(filter: TaskFilter, paging: Paging) -> QueryBuilder<Sqlite> {
    // Unknown outcomes are few: they lead to their tasks, and not the tasks' order to them.
    let mut query = QueryBuilder::new(match filter.status {
        Some(TaskStatus::Unknown) => "SELECT * FROM tasks WHERE +position < ",
        _ => "SELECT * FROM tasks WHERE position < ",
    });
    query.push_bind(paging.below());
    match filter.status {
        Some(TaskStatus::Unknown) => {
            query.push(" AND task_id IN (SELECT task_id FROM applies WHERE status = 'unknown')");
        }
        Some(status) => {
            query.push(" AND status = ").push_bind(status.as_str());
        }
        None => {}
    }
    if let Some(agent) = filter.agent {
        query.push(" AND agent = ").push_bind(String::from(agent));
    }
    query.push(" ORDER BY position DESC");
    query
}

impl Projections {
    pub async fn task(&self, id: TaskId) -> Result<Option<TaskView>, Error> {
        read_one(self.readers(), &id).await
    }

    /// Tasks, the newest first.
    pub async fn tasks(&self, filter: TaskFilter, paging: Paging) -> Result<Page<TaskView>, Error> {
        let query = listing(filter, paging);
        let position = |task: &TaskView| task.position;
        self.page(Projection::Tasks, query, paging, position).await
    }
}
