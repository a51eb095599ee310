//! Schedules.

use super::{Asked, on_scope, path_part};
use crate::pages::views::{Frame, ScheduleRow, ScheduleRunRow, SchedulesPage, View};
use crate::pages::{Beside, Short};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::state::AppState;
use app::schedules::{ListedSchedule, ScheduleState};
use app::{action, schedules};
use axum::extract::State;
use axum::response::Response;
use ledger::Timestamp;
use projections::ScheduleRunView;
use serde_json::Value;

const TEXT: usize = 300;
/// Operations that are named; more are counted.
const OPERATIONS: usize = 5;
/// Runs that are shown.
const RUNS: usize = 5;

pub(super) async fn list(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ReadSchedules>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let as_of = *state.app.ledger.size().borrow();
        let listed = schedules::list(&state.app, &who).await?;
        let now = state.app.ledger.now();
        Ok(SchedulesPage {
            frame: Frame::of(&who, asked.path(), View::Schedules, as_of),
            rows: listed.into_iter().map(|one| row(one, now)).collect(),
        })
    };
    asked.page(made.await)
}

fn row(listed: ListedSchedule, now: Timestamp) -> ScheduleRow {
    let schedule = &listed.schedule;
    let operations: Vec<Value> = serde_json::from_str(&schedule.operations).unwrap_or_default();
    let named = operations.iter().take(OPERATIONS).map(|operation| {
        let word = |name| {
            operation
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let text = on_scope(word("operation_id"), word("scope_type"), word("scope_id"));
        Short::line(text, TEXT)
    });
    let agent = listed.agent.as_ref();
    let agent = agent.map_or("an agent that was erased", |agent| agent.as_str());
    let runs = listed.runs.iter().take(RUNS);
    ScheduleRow {
        name: Short::line(schedule.name.as_str(), TEXT),
        is_active: listed.state == ScheduleState::Active,
        state: match listed.state {
            ScheduleState::Active => "Active",
            ScheduleState::Waiting(_) => "Waits for approval",
            ScheduleState::Denied(_) => "Denied",
            ScheduleState::Paused => "Paused",
        },
        terms: Short::line(
            format!("{} {}", schedule.terms.cron, schedule.terms.zone),
            TEXT,
        ),
        agent: Short::line(agent, TEXT),
        operations: named.collect(),
        more: operations.len().saturating_sub(OPERATIONS),
        waits_for: match listed.state {
            ScheduleState::Waiting(approval) => approval.map(|id| id.to_string()),
            ScheduleState::Denied(approval) => Some(approval.to_string()),
            ScheduleState::Active | ScheduleState::Paused => None,
        },
        next: listed.next.map(|next| Beside::ahead(next, now)),
        runs: runs.map(|run| run_row(run, now)).collect(),
        delete: format!("schedules/{}", path_part(&schedule.name)),
    }
}

fn run_row(run: &ScheduleRunView, now: Timestamp) -> ScheduleRunRow {
    let what = match (run.state.as_str(), run.count, &run.code) {
        ("fired", ..) => "Fired".to_owned(),
        ("skipped", ..) => "Skipped, the one before had not ended".to_owned(),
        ("refused", _, Some(code)) => format!("Refused: {code}"),
        (_, 0 | 1, _) => "Missed".to_owned(),
        (_, count, _) => format!("Missed {count} of them, the last"),
    };
    ScheduleRunRow {
        what,
        at: run.nominal.map(|at| Beside::past(at, now)),
        task: run.task_id.clone(),
    }
}
