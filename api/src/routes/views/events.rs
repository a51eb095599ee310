//! Events as views show them, and the ledger's newest ones.

use super::{Asked, older, user_name};
use crate::extract::params::QueryParams;
use crate::pages::views::{EventRow, Frame, LedgerPage, View};
use crate::pages::{Beside, Short};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::shapes::lists::PageQuery;
use crate::state::AppState;
use app::action;
use axum::extract::State;
use axum::response::Response;
use ledger::UserId;
use projections::{Page, Projection, TimelineEntry};

/// Room for what happened and for who it was, in bytes of HTML.
const SUMMARY: usize = 1000;
const WHO: usize = 300;

pub(super) async fn show(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ReadEvents>, ApiError>,
    query: Result<QueryParams<PageQuery>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let QueryParams(query) = query?;
        let views = state.app.current_views(&[Projection::Timeline]).await?;
        let page = views.timeline(None, query.read()?).await?;
        let frame = Frame::of(&who, &asked.path, View::Ledger, page.as_of);
        let checkpoints = state.app.ledger.checkpoints();
        Ok(LedgerPage {
            frame,
            recorded: page.as_of,
            signed: checkpoints.map(|it| it.newest().map_or(0, |newest| newest.size())),
            witnessed: checkpoints.and_then(|it| it.witnessed().map(|it| it.size())),
            older: older(&asked, &[], page.next),
            events: rows(&state, page).await?,
        })
    };
    asked.page(made.await)
}

/// The rows of a part of the timeline.
pub(super) async fn rows(
    state: &AppState,
    page: Page<TimelineEntry>,
) -> Result<Vec<EventRow>, ApiError> {
    let ledger = &state.app.ledger;
    let now = ledger.now();
    let checkpoints = ledger.checkpoints();
    let signed = checkpoints.and_then(|it| it.newest().map(|it| it.size()));
    let witnessed = checkpoints.and_then(|it| it.witnessed().map(|it| it.size()));
    let mut rows = Vec::with_capacity(page.rows.len());
    for entry in page.rows {
        rows.push(EventRow {
            position: entry.position,
            at: Beside::past(entry.at, now),
            event: Short::line(entry.event, WHO),
            who: Short::line(named(state, &entry.who).await?, WHO),
            summary: Short::line(entry.summary, SUMMARY),
            task: entry.task_id.map(|id| id.to_string()),
            signed: signed.is_some_and(|size| entry.position < size),
            witnessed: witnessed.is_some_and(|size| entry.position < size),
        });
    }
    Ok(rows)
}

/// Who acted; a user by the name that they have now.
async fn named(state: &AppState, who: &str) -> Result<String, ApiError> {
    let id = who.strip_prefix("user ");
    let Some(id) = id.and_then(|id| id.parse::<UserId>().ok()) else {
        return Ok(who.to_owned());
    };
    let name = user_name(state, id).await?;
    Ok(name.map_or_else(|| who.to_owned(), |name| format!("user {name}")))
}
