//! `task …`, `approval …` and `grant …`.

use super::access::{ACCESS_HELP, ApiRead, Page};
use super::operate::{EFFECT_HELP, Reason};
use crate::api_client::{ApiRequest, Shown};
use crate::operator::Action;
use clap::{Args, Subcommand};

/// `task …`
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Print the tasks, the newest first
    #[command(after_help = ACCESS_HELP)]
    List(ApiRead<ListTasks>),
    /// Print a task
    #[command(after_help = ACCESS_HELP)]
    Show(ApiRead<ShowTask>),
    /// Close a task for good: revoke its tokens, cancel what is pending
    #[command(after_help = EFFECT_HELP)]
    Close(CloseTask),
}

#[derive(Debug, Args)]
pub(crate) struct ListTasks {
    /// Only those in this state, such as open or requires_approval
    #[arg(long)]
    state: Option<String>,
    /// Only those of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct ShowTask {
    /// The task's id
    task: String,
}

#[derive(Debug, Args)]
pub(crate) struct CloseTask {
    /// The task's id
    task: String,
    #[command(flatten)]
    reason: Reason,
}

/// `approval …`
#[derive(Debug, Subcommand)]
pub(crate) enum ApprovalCommand {
    /// Print the approvals, the newest first, with the link of each that is pending
    #[command(after_help = ACCESS_HELP)]
    List(ApiRead<ListApprovals>),
    /// Print the approval of a task
    #[command(after_help = ACCESS_HELP)]
    Show(ApiRead<ShowApproval>),
}

#[derive(Debug, Args)]
pub(crate) struct ListApprovals {
    /// Only those in this state: pending, approved, denied, expired, cancelled or consumed
    #[arg(long)]
    state: Option<String>,
    /// Only those that this principal may decide, or could
    #[arg(long, value_name = "NAME")]
    approver: Option<String>,
    /// Only those of this agent
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    #[command(flatten)]
    page: Page,
}

#[derive(Debug, Args)]
pub(crate) struct ShowApproval {
    /// The task's id
    task: String,
}

/// `grant …`
#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Print the pre-approved permissions of an agent
    #[command(after_help = ACCESS_HELP)]
    List(ApiRead<ListGrants>),
    /// Revoke pre-approved permissions of an agent; its tokens become stale
    #[command(after_help = EFFECT_HELP)]
    Revoke(RevokeGrants),
}

#[derive(Debug, Args)]
pub(crate) struct ListGrants {
    /// The agent's name
    #[arg(long, value_name = "NAME")]
    agent: String,
}

#[derive(Debug, Args)]
pub(crate) struct RevokeGrants {
    /// The agent's name
    #[arg(long, value_name = "NAME")]
    agent: String,
    #[command(flatten)]
    which: WhichGrants,
    #[command(flatten)]
    reason: Reason,
}

/// One operation's grants or all of them, never neither.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(crate) struct WhichGrants {
    /// The grants for this operation, such as dns.record.write
    #[arg(long, value_name = "OPERATION")]
    operation: Option<String>,
    /// Every grant of the agent
    #[arg(long)]
    all: bool,
}

const TASK_COLUMNS: &[&str] = &["task_id", "task_name", "agent", "status", "updated_at"];
const APPROVAL_COLUMNS: &[&str] = &["task_id", "agent", "state", "expires_at", "approval_url"];
const GRANT_COLUMNS: &[&str] = &[
    "operation_id",
    "scope_type",
    "scope_id",
    "granted_level",
    "expires_at",
];

impl From<ListTasks> for ApiRequest {
    fn from(asked: ListTasks) -> Self {
        Self::get(&["tasks"], Shown::Rows("tasks", TASK_COLUMNS))
            .with_page(asked.page)
            .with_query("state", asked.state)
            .with_query("agent", asked.agent)
    }
}

impl From<ShowTask> for ApiRequest {
    fn from(ShowTask { task }: ShowTask) -> Self {
        Self::get(&["tasks", &task], Shown::Members)
    }
}

impl From<ListApprovals> for ApiRequest {
    fn from(asked: ListApprovals) -> Self {
        Self::get(&["approvals"], Shown::Rows("approvals", APPROVAL_COLUMNS))
            .with_page(asked.page)
            .with_query("state", asked.state)
            .with_query("approver", asked.approver)
            .with_query("agent", asked.agent)
    }
}

impl From<ShowApproval> for ApiRequest {
    fn from(ShowApproval { task }: ShowApproval) -> Self {
        Self::get(&["tasks", &task, "approval-status"], Shown::Members)
    }
}

impl From<ListGrants> for ApiRequest {
    fn from(ListGrants { agent }: ListGrants) -> Self {
        let form = Shown::Rows("permissions", GRANT_COLUMNS);
        Self::get(&["agents", &agent, "permissions"], form)
    }
}

impl From<CloseTask> for Action {
    fn from(CloseTask { task, reason }: CloseTask) -> Self {
        Self::CloseTask {
            task,
            reason: reason.text,
        }
    }
}

impl From<RevokeGrants> for Action {
    fn from(asked: RevokeGrants) -> Self {
        Self::RevokeGrants {
            agent: asked.agent,
            operation: asked.which.operation,
            reason: asked.reason.text,
        }
    }
}
