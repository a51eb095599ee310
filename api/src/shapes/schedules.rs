//! Schedules.

use super::applies::{OperationRequest, read_operations};
use crate::problem::ApiError;
use crate::state::AppState;
use app::schedules::{ListedSchedule, NewSchedule, ScheduleState};
use ledger::event::{Misfire, ScheduleTerms};
use ledger::{AgentName, Providers, Timestamp};
use projections::ScheduleRunView;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A schedule to be put.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScheduleRequest {
    /// Five fields: minute, hour, day of the month, month, day of the week.
    #[schema(max_length = 200, example = "30 2 * * mon-fri")]
    cron: String,
    /// The IANA name of the time zone whose wall clock they are of.
    #[schema(example = "Europe/Berlin")]
    zone: String,
    /// The treatment of instants that passed while nobody could fire: `skip`, all are missed, or `once`, the newest
    /// one fires late.
    #[schema(value_type = String, pattern = "^(skip|once)$")]
    misfire: Misfire,
    /// The agent whose operations they are; one that is known.
    #[schema(example = "ci-bot")]
    agent: String,
    /// The operations that are asked for each time, in order.
    #[schema(value_type = Vec<OperationRequest>, min_items = 1, max_items = 100)]
    operations: Vec<Value>,
    /// False: it is paused. True when left out.
    #[serde(default)]
    enabled: Option<bool>,
}

impl ScheduleRequest {
    pub(crate) fn read(self, providers: &Providers) -> Result<NewSchedule, ApiError> {
        Ok(NewSchedule {
            agent: AgentName::parse(&self.agent)?,
            operations: read_operations(&self.operations, providers)?,
            terms: ScheduleTerms {
                cron: self.cron,
                zone: self.zone,
                misfire: self.misfire,
            },
            enabled: self.enabled.unwrap_or(true),
        })
    }
}

/// A schedule.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Schedule {
    name: String,
    cron: String,
    zone: String,
    /// `skip` or `once`.
    misfire: String,
    /// Null where it was erased.
    agent: Option<String>,
    #[schema(value_type = Vec<OperationRequest>)]
    operations: Vec<Value>,
    enabled: bool,
    /// `active`, `waiting_approval`, `paused`, or `denied` where people said that it must not run.
    state: &'static str,
    /// The approval that it or its newest firing waits for, or that denied it; null where there is none.
    approval_id: Option<String>,
    /// The link for humans to that approval.
    approval_url: Option<String>,
    /// The next instant; null while it is paused.
    next: Option<String>,
    /// The outcomes of the newest instants, the newest first.
    runs: Vec<ScheduleRun>,
}

/// The outcome of an instant of a schedule, or of several that were missed together.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleRun {
    /// The instant, the last of several.
    nominal: Option<String>,
    /// `fired`; `missed`, its time had passed; `skipped`, the firing before had not ended; `refused`.
    state: String,
    /// The task that it opened.
    task_id: Option<String>,
    /// The apply that it asked for, or the one that had not ended.
    apply_id: Option<String>,
    /// The code of a refusal.
    code: Option<String>,
    /// The first of several.
    first: Option<String>,
    /// The number of instants.
    count: u64,
}

impl From<ScheduleRunView> for ScheduleRun {
    fn from(view: ScheduleRunView) -> Self {
        Self {
            nominal: view.nominal.map(|at| at.to_string()),
            state: view.state,
            task_id: view.task_id,
            apply_id: view.apply_id,
            code: view.code,
            first: view.first.map(|at| at.to_string()),
            count: view.count,
        }
    }
}

/// The word of a state.
pub(crate) const fn state(state: ScheduleState) -> &'static str {
    match state {
        ScheduleState::Active => "active",
        ScheduleState::Waiting(_) => "waiting_approval",
        ScheduleState::Denied(_) => "denied",
        ScheduleState::Paused => "paused",
    }
}

impl Schedule {
    pub(crate) fn of(app: &AppState, listed: ListedSchedule) -> Self {
        let schedule = &listed.schedule;
        let waits_for = match listed.state {
            ScheduleState::Waiting(approval) => approval,
            ScheduleState::Denied(approval) => Some(approval),
            ScheduleState::Active | ScheduleState::Paused => None,
        };
        Self {
            name: schedule.name.to_string(),
            cron: schedule.terms.cron.clone(),
            zone: schedule.terms.zone.clone(),
            misfire: schedule.terms.misfire.as_str().to_owned(),
            agent: listed.agent.map(|agent| agent.to_string()),
            operations: serde_json::from_str(&schedule.operations).unwrap_or_default(),
            enabled: schedule.enabled,
            state: state(listed.state),
            approval_id: waits_for.map(|id| id.to_string()),
            approval_url: waits_for.map(|id| app.approval_url(id)),
            next: listed.next.map(|at| at.to_string()),
            runs: listed.runs.into_iter().map(Into::into).collect(),
        }
    }
}

/// All schedules, by name.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScheduleList {
    schedules: Vec<Schedule>,
}

impl ScheduleList {
    pub(crate) fn of(app: &AppState, listed: Vec<ListedSchedule>) -> Self {
        let each = listed.into_iter();
        Self {
            schedules: each.map(|one| Schedule::of(app, one)).collect(),
        }
    }
}

/// An expression whose instants are asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SchedulePreviewRequest {
    /// Five fields: minute, hour, day of the month, month, day of the week.
    #[schema(max_length = 200, example = "30 2 * * mon-fri")]
    pub(crate) cron: String,
    /// The IANA name of a time zone.
    #[schema(example = "Europe/Berlin")]
    pub(crate) zone: String,
    /// Instants after this time, in RFC 3339; from now on when left out.
    #[serde(default)]
    #[schema(value_type = Option<String>, example = "2027-01-01T00:00:00Z")]
    pub(crate) from: Option<Timestamp>,
    /// At most so many; 10 when left out.
    #[serde(default)]
    #[schema(minimum = 1, maximum = 1000)]
    pub(crate) count: Option<usize>,
}

/// The instants of an expression.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct SchedulePreview {
    instants: Vec<String>,
}

impl From<Vec<Timestamp>> for SchedulePreview {
    fn from(instants: Vec<Timestamp>) -> Self {
        Self {
            instants: instants.iter().map(ToString::to_string).collect(),
        }
    }
}
