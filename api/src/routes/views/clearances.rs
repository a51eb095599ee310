//! Decisions that are kept.

use super::{Asked, older, on_scope, principal_name};
use crate::extract::params::QueryParams;
use crate::pages::views::{ClearanceRow, ClearancesPage, Frame, Kept, View};
use crate::pages::{Beside, Short};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::shapes::lists::PageQuery;
use crate::state::AppState;
use app::{action, clearances};
use axum::extract::State;
use axum::response::Response;
use ledger::policy::RuleId;
use ledger::{ApproverName, Role, Timestamp};

const TEXT: usize = 300;
/// Operations that are named; more are counted.
const OPERATIONS: usize = 5;

pub(super) async fn list(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ReadClearances>, ApiError>,
    query: Result<QueryParams<PageQuery>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let QueryParams(query) = query?;
        let page = clearances::list(&state.app, &who, query.read()?).await?;
        let now = state.app.ledger.now();
        let frame = Frame::of(&who, asked.path(), View::Clearances, page.as_of);
        let may_end = frame.is_of(Role::Operator);
        let mut rows = Vec::with_capacity(page.rows.len());
        for kept in page.rows {
            let by = ApproverName::unchecked(&kept.view.made_by);
            let by = principal_name(&state, &by).await?;
            rows.push(row(&kept, &by, may_end, now));
        }
        Ok(ClearancesPage {
            older: older(&asked, &[], page.next),
            rows,
            frame,
        })
    };
    asked.page(made.await)
}

fn row(told: &clearances::Kept, by: &str, may_end: bool, now: Timestamp) -> ClearanceRow {
    let view = &told.view;
    let kept = Kept::of(view, now);
    let rules: Vec<&str> = told.rules.iter().map(RuleId::as_str).collect();
    let operations = view.operations.iter().take(OPERATIONS).map(|one| {
        let text = on_scope(one.operation_id, one.scope_type, &one.scope_id);
        Short::line(text, TEXT)
    });
    ClearanceRow {
        is_denial: view.decision == "deny",
        agent: Short::line(view.agent.as_str(), TEXT),
        operations: operations.collect(),
        more: view.operations.len().saturating_sub(OPERATIONS),
        rules: (!rules.is_empty()).then(|| Short::line(rules.join(", "), TEXT)),
        active: told.active.len(),
        by: Short::line(by, TEXT),
        made: Beside::past(view.made_at, now),
        end: (may_end && kept.ended.is_none()).then(|| format!("clearances/{}", view.clearance_id)),
        kept,
        uses: told.used.map_or(0, |used| used.uses),
        last_used: told.used.map(|used| Beside::past(used.last_used_at, now)),
        question: view.approval_id.to_string(),
    }
}
