//! Lists: pages of rows, the newest first, each with the size of the ledger that it is as of.

use super::approvals::ApprovalStatus;
use super::approvers::CredentialView;
use super::tasks::TaskView;
use super::word;
use crate::pages::Acts;
use crate::problem::ApiError;
use crate::state::AppState;
use ledger::{AgentName, ApproverName, CredentialId, Rejection, Timestamp};
use projections::{
    ApprovalFilter, ApprovalView, ApproverView, Paging, TaskFilter, TimelineEntry, TimelineTopic,
};
use serde::{Deserialize, Serialize};
use std::ops::RangeInclusive;
use utoipa::{IntoParams, ToSchema};

/// Rows in one answer when nothing is said.
const USUAL: u32 = 50;
const LIMITS: RangeInclusive<u32> = 1..=200;

/// The part of a list that a query asks for.
///
/// # Errors
/// [`ApiError::BadRequest`] for an `after` that no list has given, and a limit that none takes.
pub(crate) fn paging(after: Option<&str>, limit: Option<u32>) -> Result<Paging, ApiError> {
    let limit = limit.unwrap_or(USUAL);
    if !LIMITS.contains(&limit) {
        return Err(ApiError::bad_request("query: limit must be 1 to 200"));
    }
    let after = after.map(str::parse).transpose();
    let after = after.map_err(|_| {
        ApiError::bad_request("query: after must be the next of an answer of this list")
    })?;
    Ok(Paging { after, limit })
}

/// What a page says of the next one.
pub(crate) fn next(next: Option<u64>) -> Option<String> {
    next.map(|next| next.to_string())
}

/// A name that a filter gives.
pub(crate) fn name<T>(
    of: &str,
    text: Option<&str>,
    parse: fn(&str) -> Result<T, Rejection>,
) -> Result<Option<T>, ApiError> {
    let parsed = text.map(parse).transpose();
    parsed.map_err(|why| ApiError::bad_request(format!("query: {of}: {why}")))
}

/// Which tasks.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TasksQuery {
    /// Only those with this `status`; `unknown` finds every task with an apply whose outcome is to be settled.
    state: Option<String>,
    /// Only those of this agent.
    agent: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// At most so many, 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl TasksQuery {
    pub(crate) fn read(self) -> Result<(TaskFilter, Paging), ApiError> {
        let status = self.state.map(|text| word("query: state", &text));
        let filter = TaskFilter {
            status: status.transpose()?,
            agent: name("agent", self.agent.as_deref(), AgentName::parse)?,
        };
        Ok((filter, paging(self.after.as_deref(), self.limit)?))
    }
}

/// Tasks, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskList {
    pub(crate) tasks: Vec<TaskRow>,
    /// The ledger's size that this is as of.
    pub(crate) as_of: u64,
    /// `after` of the next page; null at the end.
    pub(crate) next: Option<String>,
}

/// A task in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskRow {
    #[serde(flatten)]
    task: TaskView,
    /// The agent that it belongs to.
    agent: String,
    /// Its applies whose outcome a person has to settle; left out where there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    unknown_applies: Vec<String>,
    /// What its newest apply asks for, as the page of its question says it, within 400 bytes or so; null where there is
    /// none. Text: escape it where it is shown.
    #[schema(example = "Switch TLS off")]
    act: Option<String>,
    /// `safe`, `elevated` or `sensitive`: the highest risk of what that apply asks for; null where there is none.
    risk: Option<&'static str>,
}

impl TaskRow {
    /// A task, with those of these applies that are of it, and what its newest one asks for.
    pub(crate) fn of(
        view: projections::TaskView,
        unknown: &[projections::ApplyView],
        acts: Option<&Acts>,
    ) -> Self {
        let own = unknown.iter().filter(|apply| apply.task_id == view.id);
        Self {
            agent: view.agent.clone().into(),
            unknown_applies: own.map(|apply| apply.id.to_string()).collect(),
            act: acts.map(|acts| acts.act.spelled_out()),
            risk: acts.map(|acts| acts.risk.as_str()),
            task: view.into(),
        }
    }
}

/// Which approvals.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ApprovalsQuery {
    /// Only those in this state.
    state: Option<String>,
    /// Only those that this principal may decide, or could.
    approver: Option<String>,
    /// Only those of this agent.
    agent: Option<String>,
    /// Of those that are pending only the ones that this credential, in base64url, may answer now. A page has fewer rows
    /// then.
    credential: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// At most so many, 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl ApprovalsQuery {
    /// The credential whose questions are wanted.
    pub(crate) fn credential(&self) -> Result<Option<CredentialId>, ApiError> {
        let text = self.credential.as_deref();
        text.map(super::approvers::credential_id).transpose()
    }

    pub(crate) fn read(self) -> Result<(ApprovalFilter, Paging), ApiError> {
        let state = self.state.map(|text| word("query: state", &text));
        let filter = ApprovalFilter {
            state: state.transpose()?,
            approver: name("approver", self.approver.as_deref(), ApproverName::parse)?,
            agent: name("agent", self.agent.as_deref(), AgentName::parse)?,
        };
        Ok((filter, paging(self.after.as_deref(), self.limit)?))
    }
}

/// Approvals, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalList {
    pub(crate) approvals: Vec<ApprovalRow>,
    /// The ledger's size that this is as of.
    pub(crate) as_of: u64,
    /// `after` of the next page; null at the end.
    pub(crate) next: Option<String>,
}

/// An approval in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalRow {
    #[serde(flatten)]
    approval: ApprovalStatus,
    /// The kind of its subject: `apply`, `policy_change`, `schedule` or `review`.
    #[schema(example = "apply")]
    kind: String,
    /// The agent that waits for it; null where it is not about an apply.
    agent: Option<String>,
    /// What is asked for, as the heading of its page says it, within 400 bytes or so; null where it cannot be read any
    /// more. Text: escape it where it is shown.
    #[schema(example = "Switch TLS off")]
    act: Option<String>,
    /// `safe`, `elevated` or `sensitive`: the highest of its operations; null as `act` is.
    #[schema(example = "sensitive")]
    risk: Option<&'static str>,
    /// For a human, while it is pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_url: Option<String>,
}

impl ApprovalRow {
    /// As it stands at `now`.
    pub(crate) fn of(
        state: &AppState,
        view: ApprovalView,
        acts: Option<&Acts>,
        now: Timestamp,
    ) -> Self {
        let is_pending = view.state_at(now) == projections::ApprovalStatus::Pending;
        Self {
            approval_url: is_pending.then(|| state.approval_url(view.id)),
            kind: view.kind.clone(),
            act: acts.map(|acts| acts.act.spelled_out()),
            risk: acts.map(|acts| acts.risk.as_str()),
            agent: view.agent.clone().map(String::from),
            approval: ApprovalStatus::listed(view, now),
        }
    }
}

/// Which part of a list that has no filter.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageQuery {
    /// The `next` of the page before.
    after: Option<String>,
    /// At most so many, 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl PageQuery {
    pub(crate) fn read(&self) -> Result<Paging, ApiError> {
        paging(self.after.as_deref(), self.limit)
    }
}

/// Approvers, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApproverList {
    pub(crate) approvers: Vec<ApproverRow>,
    /// The ledger's size that this is as of.
    pub(crate) as_of: u64,
    /// `after` of the next page; null at the end.
    pub(crate) next: Option<String>,
}

/// An approver in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApproverRow {
    /// Who.
    principal: String,
    /// The user that it belongs to; null when to none, and once one who had shown a passkey of it was deleted.
    user_id: Option<String>,
    /// All of them, revoked ones included.
    credentials: Vec<CredentialView>,
}

impl ApproverRow {
    pub(crate) fn of(approver: ApproverView, credentials: &[projections::CredentialView]) -> Self {
        Self {
            principal: approver.principal.into(),
            user_id: approver.user_id.map(|id| id.to_string()),
            credentials: credentials.iter().map(CredentialView::from).collect(),
        }
    }
}

/// What to read of the timeline.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TimelineQuery {
    /// `task:ID`, `agent:NAME`, `approver:NAME` or `user:ID`; everything when left out.
    topic: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// At most so many, 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl TimelineQuery {
    pub(crate) fn read(self) -> Result<(Option<TimelineTopic>, Paging), ApiError> {
        let topic = self.topic.as_deref().map(topic).transpose()?;
        Ok((topic, paging(self.after.as_deref(), self.limit)?))
    }
}

fn topic(text: &str) -> Result<TimelineTopic, ApiError> {
    let unknown = || {
        ApiError::bad_request("query: topic must be task:ID, agent:NAME, approver:NAME or user:ID")
    };
    let (kind, of) = text.split_once(':').ok_or_else(unknown)?;
    let topic = match kind {
        "task" => of.parse().map(TimelineTopic::Task).ok(),
        "agent" => AgentName::parse(of).map(TimelineTopic::Agent).ok(),
        "approver" => ApproverName::parse(of).map(TimelineTopic::Approver).ok(),
        "user" => of.parse().map(TimelineTopic::User).ok(),
        _ => None,
    };
    topic.ok_or_else(unknown)
}

/// What happened, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineList {
    pub(crate) timeline: Vec<TimelineRow>,
    /// The ledger's size that this is as of.
    pub(crate) as_of: u64,
    /// `after` of the next page; null at the end.
    pub(crate) next: Option<String>,
}

/// One event, for people.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TimelineRow {
    /// The event's position in the ledger.
    position: u64,
    /// RFC 3339, UTC.
    at: String,
    /// The event's name.
    #[schema(example = "apply.accepted")]
    event: String,
    /// Who acted.
    #[schema(example = "agent ci-bot")]
    who: String,
    /// What happened, in one line. Text: escape it where it is shown.
    summary: String,
    /// The task that it concerns; null when it concerns none.
    task_id: Option<String>,
}

impl From<TimelineEntry> for TimelineRow {
    fn from(entry: TimelineEntry) -> Self {
        Self {
            position: entry.position,
            at: entry.at.to_string(),
            event: entry.event,
            who: entry.who,
            summary: entry.summary,
            task_id: entry.task_id.map(|id| id.to_string()),
        }
    }
}
