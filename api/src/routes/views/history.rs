//! What became of questions, page by page.

use super::{Asked, older, principal_name};
use crate::extract::params::QueryParams;
use crate::pages::views::{AnswerRow, AnswerWord, Frame, HistoryPage, Kept, View};
use crate::pages::{Acts, Beside, Short};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::shapes::history::{ANSWERS, HistoryQuery};
use crate::state::AppState;
use app::history::Answered;
use app::{action, history};
use axum::extract::State;
use axum::response::Response;
use ledger::Timestamp;
use std::sync::Arc;

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
            let acts = state.glances.acts_of(&state, &one.approval).await?;
            rows.push(row(one, acts, &by, now));
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

fn row(answered: Answered, acts: Option<Arc<Acts>>, by: &[String], now: Timestamp) -> AnswerRow {
    let (approval, apply) = (answered.approval, answered.apply);
    let operations = apply.map_or(0, |apply| apply.operations.len());
    let is_decided = approval.decided_at.is_some();
    AnswerRow {
        id: approval.id.to_string(),
        task: approval.task_id.map(|task| task.to_string()),
        acts,
        answer: approval.answer.unwrap_or(approval.state),
        agent: approval
            .agent
            .as_ref()
            .map(|agent| Short::line(agent.as_str(), TEXT)),
        more: operations.saturating_sub(AnswerRow::NAMED),
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
