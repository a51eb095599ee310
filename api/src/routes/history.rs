//! The history of answers to questions.

use crate::extract::params::QueryParams;
use crate::problem::{ApiError, Problem};
use crate::schemes::By;
use crate::shapes::history::{HistoryList, HistoryQuery, HistoryRow, csv};
use crate::state::AppState;
use app::{action, history};
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, HeaderValue, header};
use url::form_urlencoded;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The routes of this file.
pub(crate) fn router() -> OpenApiRouter<AppState> {
    OpenApiRouter::new().routes(routes!(read_history))
}

/// What became of questions, the newest answer first
///
/// Approved and denied by people, and what expired or was cancelled without an answer. Nothing of it is ever cut
/// away but by an erasure. With `Accept: text/csv` a table with a line of names, and the next page in `Link`.
#[utoipa::path(
    get, path = "/v1/history", tag = "approvals",
    params(HistoryQuery),
    security(("session" = []), ("service" = [])),
    responses(
        (status = 200, content((HistoryList = "application/json"), (String = "text/csv"))),
        (status = "4XX", body = Problem, content_type = "application/problem+json"),
    ),
)]
async fn read_history(
    State(state): State<AppState>,
    By(who): By<action::ListApprovals>,
    headers: HeaderMap,
    QueryParams(query): QueryParams<HistoryQuery>,
) -> Result<Response, ApiError> {
    let (filter, paging) = query.read()?;
    let mut page = history::page(&state.app, &who, filter, paging).await?;
    let mut rows = Vec::new();
    for answered in std::mem::take(&mut page.rows) {
        let acts = match query.wants_acts() {
            true => state.glances.acts_of(&state, &answered.approval).await?,
            false => None,
        };
        rows.push(HistoryRow::of(answered, acts.as_deref()));
    }
    let page = page.with(rows);
    if !wants_csv(&headers) {
        let list = HistoryList::of(page.rows, page.as_of, page.next);
        return Ok(Json(list).into_response());
    }
    let mut response = csv(&page.rows, query.wants_acts())?.into_response();
    let answer = response.headers_mut();
    let table = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
    answer.insert(header::CONTENT_TYPE, table);
    let file = HeaderValue::from_static("attachment; filename=\"history.csv\"");
    answer.insert(header::CONTENT_DISPOSITION, file);
    if let Some(next) = page.next {
        let mut address = form_urlencoded::Serializer::new(String::new());
        address.extend_pairs(query.kept());
        address.append_pair("limit", &paging.limit.to_string());
        address.append_pair("after", &next.to_string());
        let link = format!("<history?{}>; rel=\"next\"", address.finish());
        let link = HeaderValue::try_from(link).map_err(ApiError::internal)?;
        answer.insert(header::LINK, link);
    }
    Ok(response)
}

/// Whether `Accept` names tables and not JSON before them.
fn wants_csv(headers: &HeaderMap) -> bool {
    let accepts = headers.get_all(header::ACCEPT).iter();
    let mut named = accepts
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|one| one.split(';').next().unwrap_or_default().trim());
    let first = named.find(|one| {
        let known = ["text/csv", "application/json"];
        known.iter().any(|known| one.eq_ignore_ascii_case(known))
    });
    first.is_some_and(|first| first.eq_ignore_ascii_case("text/csv"))
}
