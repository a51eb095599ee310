//! The events themselves, and the leaves that they are in the tree.

use super::{immutable, newest};
use crate::extract::params::{PathParams, QueryParams};
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::Octets;
use crate::shapes::audit::{Events, States};
use crate::state::AppState;
use app::action;
use axum::Json;
use axum::extract::State;
use axum::response::Response;
use ledger::tlog::{MAX_TREE_SIZE, TilePath};
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(super) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new()
        .routes(routes!(list_events))
        .routes(routes!(entries))
}

/// Events in one answer when nothing is said.
const USUAL: u32 = 100;
/// The most events in one answer.
const MOST: u32 = 1000;
/// An answer ends with the event that brings its payloads to so many bytes.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// Which events.
#[derive(Debug, Clone, Copy, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct EventsQuery {
    /// The first position; 0 when left out.
    #[serde(default)]
    from: u64,
    /// At most so many, 1 to 1000; 100 when left out. Large payloads make it fewer.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// The events from a position on
///
/// Each with its header, salt and stored payload, which hashes and proofs are about, and with what
/// they say as JSON beside it, which is there to be read and proves nothing.
#[utoipa::path(
    get, path = "/v1/ledger/events", tag = "audit",
    params(EventsQuery),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, body = Events),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn list_events(
    State(state): State<AppState>,
    _: By<action::Audit>,
    QueryParams(query): QueryParams<EventsQuery>,
) -> Result<Json<Events>, ApiError> {
    let limit = query.limit.unwrap_or(USUAL);
    if !(1..=MOST).contains(&limit) {
        let detail = format!("query: limit must be 1 to {MOST}");
        return Err(ApiError::bad_request(detail));
    }
    if query.from > MAX_TREE_SIZE {
        let detail = "query: from is beyond any position";
        return Err(ApiError::bad_request(detail));
    }
    let ledger = &state.app.ledger;
    // Before the events are read: none of them may count as less than it was.
    let states = States::of(ledger);
    let records = ledger.log();
    let records = records
        .records_within(query.from, limit, MOST_BYTES)
        .await?;
    let size = *ledger.size().borrow();
    Ok(Json(Events::new(query.from, size, &records, states)))
}

/// A bundle of the log's entries
///
/// `<N>[.p/<W>]` as C2SP tlog-tiles has it, within the size of the newest checkpoint: the headers of
/// up to 256 events, each behind its length. Headers name streams and times, so they are not public.
#[utoipa::path(
    get, path = "/v1/ledger/tile/entries/{*path}", tag = "audit",
    params(("path" = String, Path, description = "Index in threes, and width where partial: \
                                                  `x001/234.p/5`")),
    security(("subject" = [], "subject_ts" = [], "subject_sig" = [], "bootstrap" = [])),
    responses(
        (status = 200, description = "Up to 256 headers", body = inline(Octets),
         content_type = "application/octet-stream"),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
        (status = 503, description = "No checkpoint is signed yet", body = Problem,
         content_type = "application/problem+json"),
    ),
)]
async fn entries(
    State(state): State<AppState>,
    _: By<action::Audit>,
    PathParams(path): PathParams<String>,
) -> Result<Response, ApiError> {
    let none = ApiError::NotFound {
        what: "bundle in the tree of the newest checkpoint",
    };
    let Ok(TilePath::Entries(bundle)) = format!("tile/entries/{path}").parse() else {
        return Err(none);
    };
    let Ok(positions) = bundle.positions(newest(&state)?.size()) else {
        return Err(none);
    };
    let records = state.app.ledger.log();
    let width = u32::from(bundle.width());
    let headers = records.headers_from(positions.start, width).await?;
    let bytes = bundle.encode(&headers).map_err(ApiError::internal)?;
    Ok(immutable(bytes, "private"))
}
