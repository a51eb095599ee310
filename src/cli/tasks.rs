//! `task …`, `approval …` and `grant …`.

use super::access::{ACCESS_HELP, ApiRead, Page};
use super::agents::{AllowedOperation, parse_operation};
use super::anchors::read_token;
use super::duration::parse_ttl;
use super::name::{parse_agent, parse_subject};
use super::operate::{EFFECT_HELP, Reason, parse_reason};
use super::people::given;
use crate::api_client::{ApiRequest, Shown};
use crate::operator::Action;
use clap::{Args, Subcommand, ValueEnum};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use std::time::Duration;

const OPEN_HELP: &str = "\
Examples:
  llm-permission-proxy task open \"release 42\" --agent deployer --operation 'dns.record.write:zone:*'
  eval \"$(llm-permission-proxy task open \"release 42\" --agent deployer \\
       --operation workers.deploy.write:account:0123 --shell)\"

Asks as `task list` does. The token is printed once, on standard output; --shell prints
TASK=… and TOKEN=… for the shell to read. The agent signs its requests as its subject
(`subject-headers`). More can be asked for by POST /v1/tasks.";

/// `task …`
#[derive(Debug, Subcommand)]
pub(crate) enum TaskCommand {
    /// Print the tasks, the newest first
    #[command(after_help = ACCESS_HELP)]
    List(ApiRead<ListTasks>),
    /// Print a task
    #[command(after_help = ACCESS_HELP)]
    Show(ApiRead<ShowTask>),
    /// Open a task for an agent, and print the token with which the agent asks
    #[command(after_help = OPEN_HELP)]
    Open(Box<ApiRead<OpenTask>>),
    /// Close a task for good: revoke its tokens, cancel what is pending
    #[command(after_help = EFFECT_HELP)]
    Close(CloseTask),
}

#[derive(Debug, Args)]
pub(crate) struct ListTasks {
    /// Only those in this state, such as open or requires_approval; unknown: those with outcomes to settle
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
pub(crate) struct OpenTask {
    /// The task's name, for those who decide: 1 to 200 characters
    name: String,
    /// The agent that it is for
    #[arg(long, value_name = "NAME", value_parser = parse_agent)]
    agent: String,
    /// The client subject that the token is bound to; the agent's name where this is not given
    #[arg(long, value_parser = parse_subject)]
    subject: Option<String>,
    /// What it may ask for, such as dns.record.write:zone:*; again for more
    #[arg(
        long = "operation",
        value_name = "OPERATION:SCOPE:ID",
        required = true,
        value_parser = parse_operation
    )]
    operations: Vec<AllowedOperation>,
    /// How long its tokens are good: a number of s, m, h or d, from 60s to 1h. Without it 1h, or as long
    /// as its questions wait where --approval-ttl says that
    #[arg(long, value_name = "TIME", value_parser = parse_ttl)]
    expires_in: Option<Duration>,
    /// How long its questions wait for people: from 60s to 7d
    #[arg(long, value_name = "TIME", value_parser = parse_ttl)]
    approval_ttl: Option<Duration>,
    /// Have its tokens call through the proxies too what its operations name
    #[arg(long)]
    proxy: bool,
    /// Why, which people are shown as the words of who opened it
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Where they can read more, an https URL
    #[arg(long, value_name = "URL")]
    link: Option<String>,
    /// Where its events go, by signed callbacks
    #[arg(long, value_name = "URL", requires = "callback_secret")]
    callback: Option<String>,
    /// The secret that signs them; - reads it from standard input, @ and a file from there
    #[arg(long, value_name = "SECRET", requires = "callback", value_parser = read_token)]
    callback_secret: Option<SecretString>,
    /// Print TASK=… and TOKEN=… for a shell to read
    #[arg(long, conflicts_with = "json")]
    shell: bool,
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
    /// Print what a question needs, how many people are counted, and their votes
    #[command(after_help = ACCESS_HELP)]
    Votes(ApiRead<ShowVotes>),
    /// Cancel a question, or an approval that nothing has used yet
    #[command(after_help = ACCESS_HELP)]
    Cancel(ApiRead<CancelApproval>),
    /// Print each question as it comes up, and its end, one line each, until interrupted
    #[command(after_help = ACCESS_HELP)]
    Watch(ApiRead<WatchApprovals>),
    /// Print the address of a question's page, and on a terminal open it in a browser
    #[command(after_help = ACCESS_HELP)]
    Open(ApiRead<OpenApproval>),
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

#[derive(Debug, Args)]
pub(crate) struct ShowVotes {
    /// The approval's id, as `approval list` prints it
    approval: String,
}

#[derive(Debug, Args)]
pub(crate) struct CancelApproval {
    /// The approval's id, as `approval list` prints it
    approval: String,
    /// Why; it stands in the log
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WatchApprovals {}

#[derive(Debug, Args)]
pub(crate) struct OpenApproval {
    /// The task's id; where this is not given, the question that ends first
    pub(crate) task: Option<String>,
    /// Open no browser
    #[arg(long)]
    pub(crate) print: bool,
}

/// `grant …`
#[derive(Debug, Subcommand)]
pub(crate) enum GrantCommand {
    /// Print the pre-approved permissions of an agent
    #[command(after_help = ACCESS_HELP)]
    List(ApiRead<ListGrants>),
    /// Add a pre-approved permission of an agent; its tokens become stale
    #[command(after_help = ACCESS_HELP)]
    Add(ApiRead<AddGrant>),
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
pub(crate) struct AddGrant {
    /// The agent's name
    #[arg(long, value_name = "NAME", value_parser = parse_agent)]
    pub(crate) agent: String,
    /// What it may do from then on, such as dns.record.write:zone:0123
    #[arg(long, value_name = "OPERATION:SCOPE:ID", value_parser = parse_operation)]
    pub(crate) operation: AllowedOperation,
    /// Up to which level
    #[arg(long)]
    pub(crate) level: Level,
    /// For how long: a number of s, m, h or d, from 60s to 30d; for good where this is not given
    #[arg(long, value_name = "TIME", value_parser = parse_ttl)]
    pub(crate) expires_in: Option<Duration>,
    /// Why, for the ledger
    #[arg(long, value_name = "TEXT", value_parser = parse_reason)]
    pub(crate) why: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Level {
    Read,
    Write,
    Admin,
}

impl Level {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

/// The permissions of an agent.
pub(crate) fn grants_of(agent: &str) -> ApiRequest {
    let form = Shown::Rows("permissions", GRANT_COLUMNS);
    ApiRequest::get(&["agents", agent, "permissions"], form)
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

/// The life of a task's tokens that is asked for where nobody says a time.
const HOUR: Duration = Duration::from_secs(3600);

const TASK_COLUMNS: &[&str] = &[
    "task_name",
    "act",
    "risk",
    "agent",
    "status",
    "updated_at",
    "task_id",
];
/// With the applies that `apply resolve` takes.
const UNKNOWN_COLUMNS: &[&str] = &[
    "task_name",
    "act",
    "agent",
    "status",
    "unknown_applies",
    "task_id",
];
const APPROVAL_COLUMNS: &[&str] = &[
    "act",
    "risk",
    "agent",
    "state",
    "expires_at",
    "approval_id",
    "task_id",
    "approval_url",
];
const GRANT_COLUMNS: &[&str] = &[
    "operation_id",
    "scope_type",
    "scope_id",
    "granted_level",
    "expires_at",
];

impl From<ListTasks> for ApiRequest {
    fn from(asked: ListTasks) -> Self {
        let columns = match asked.state.as_deref() {
            Some("unknown") => UNKNOWN_COLUMNS,
            _ => TASK_COLUMNS,
        };
        Self::get(&["tasks"], Shown::Rows("tasks", columns))
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

impl From<OpenTask> for ApiRequest {
    fn from(asked: OpenTask) -> Self {
        let form = match asked.shell {
            true => Shown::Shell(&[("TASK", "task_id"), ("TOKEN", "capability_token")]),
            false => Shown::Secret("capability_token"),
        };
        let operations: Vec<Value> = asked.operations.into_iter().map(Value::from).collect();
        let subject = asked.subject.unwrap_or_else(|| asked.agent.clone());
        let secret = asked.callback_secret;
        let callback = asked
            .callback
            .zip(secret)
            .map(|(url, secret)| json!({"url": url, "secret": secret.expose_secret()}));
        let life = match (asked.expires_in, asked.approval_ttl) {
            (None, None) => Some(HOUR),
            (life, _) => life,
        };
        let seconds = |time: Duration| Value::from(time.as_secs());
        let body = given([
            ("task_name", Some(asked.name.into())),
            ("agent", Some(asked.agent.into())),
            ("subject", Some(subject.into())),
            ("operations", Some(operations.into())),
            ("expires_in_seconds", life.map(seconds)),
            ("approval_ttl_seconds", asked.approval_ttl.map(seconds)),
            ("proxy", asked.proxy.then_some(true.into())),
            ("reason", asked.why.map(Value::from)),
            ("link", asked.link.map(Value::from)),
            ("callback", callback),
        ]);
        Self::post(&["tasks"], body, form)
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

impl From<ShowVotes> for ApiRequest {
    fn from(ShowVotes { approval }: ShowVotes) -> Self {
        Self::get(&["approvals", &approval], Shown::Members)
    }
}

impl From<CancelApproval> for ApiRequest {
    fn from(CancelApproval { approval, why }: CancelApproval) -> Self {
        let body = json!({"reason": why});
        Self::post(&["approvals", &approval, "cancel"], body, Shown::Members)
    }
}

impl From<ListGrants> for ApiRequest {
    fn from(ListGrants { agent }: ListGrants) -> Self {
        grants_of(&agent)
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
