//! What became of questions, page by page.

use super::{Asked, older, on_scope, principal_name};
use crate::extract::params::QueryParams;
use crate::pages::views::{AnswerRow, AnswerWord, Frame, HistoryPage, Kept, View};
use crate::pages::{Beside, Short};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::shapes::history::{ANSWERS, HistoryQuery};
use crate::state::AppState;
use app::history::Answered;
use app::{action, history};
use axum::extract::State;
use axum::response::Response;
use ledger::Timestamp;

/// Operations that a row names.
const OPERATIONS: usize = 5;

const TEXT: usize = 300;

pub(super) async fn show(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ListApprovals>, ApiError>,
    query: Result<QueryParams<HistoryQuery>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let QueryParams(query) = query?;
        let (filter, paging) = query.read()?;
        let answer = filter.answer;
        let page = history::page(&state.app, &who, filter, paging).await?;
        let now = state.app.ledger.now();
        let words = ANSWERS.iter().map(|(one, word)| AnswerWord {
            action: word,
            answer: *one,
            is_here: answer == Some(*one),
        });
        let mut rows = Vec::with_capacity(page.rows.len());
        for one in page.rows {
            let mut by = Vec::with_capacity(one.by.len());
            for principal in &one.by {
                by.push(principal_name(&state, principal).await?);
            }
            rows.push(row(one, &by, now));
        }
        let short = |name: &str| {
            let mut kept = query.kept().into_iter();
            kept.find(|(kept, _)| *kept == name)
                .map(|(_, value)| Short::line(value, TEXT))
        };
        Ok(HistoryPage {
            frame: Frame::of(&who, asked.path(), View::History, page.as_of),
            older: older(&asked, &query.kept(), page.next),
            table: query.table(),
            words: words.collect(),
            is_all: answer.is_none(),
            agent: short("agent"),
            approver: short("approver"),
            rows,
        })
    };
    asked.page(made.await)
}

/// The subject of a question that was about no apply.
fn about(kind: &str) -> Option<&'static str> {
    match kind {
        "policy_change" => Some("A change of the policy"),
        "schedule" => Some("A schedule"),
        "review" => Some("A review of an emergency"),
        _ => None,
    }
}

fn row(answered: Answered, by: &[String], now: Timestamp) -> AnswerRow {
    let (approval, apply) = (answered.approval, answered.apply);
    let operations = apply.map(|apply| apply.operations).unwrap_or_default();
    let told = operations.iter().take(OPERATIONS).map(|it| {
        let what = on_scope(it.operation_id, it.scope_type, &it.scope_id);
        Short::line(what, TEXT)
    });
    let is_decided = approval.decided_at.is_some();
    AnswerRow {
        id: approval.id.to_string(),
        task: approval.task_id.map(|task| task.to_string()),
        about: about(&approval.kind),
        answer: approval.answer.unwrap_or(approval.state),
        agent: approval
            .agent
            .as_ref()
            .map(|agent| Short::line(agent.as_str(), TEXT)),
        operations: told.collect(),
        more: operations.len().saturating_sub(OPERATIONS),
        by: (!by.is_empty()).then(|| Short::line(by.join(", "), TEXT)),
        reason: approval
            .decision_reason
            .filter(|reason| is_decided && !reason.is_empty())
            .map(|reason| Short::line(reason, TEXT)),
        at: Beside::past(approval.answered_at.unwrap_or(approval.updated_at), now),
        is_used: approval.consumed_by.is_some(),
        is_emergency: approval.break_glass,
        rules: approval
            .rules
            .iter()
            .map(|rule| Short::line(rule, TEXT))
            .collect(),
        kept: answered.kept.as_ref().map(|kept| Kept::of(kept, now)),
        block: answered.block.map(|block| {
            let value = block.value().unwrap_or_else(|| "(erased)".to_owned());
            Short::line(format!("{} {value}", block.view.kind), TEXT)
        }),
    }
}
