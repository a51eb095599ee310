//! Blocks, and allows.

use super::{Asked, actor_name, older};
use crate::extract::params::QueryParams;
use crate::pages::views::{AdmissionRow, AdmissionsPage, Frame, View};
use crate::pages::{Beside, Short};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::shapes::lists::PageQuery;
use crate::state::AppState;
use app::action;
use app::admissions::{self, ListedAdmission};
use axum::extract::State;
use axum::response::Response;
use ledger::Timestamp;
use ledger::aggregate::AdmissionKind;

const TEXT: usize = 300;

type Reader = Result<By<action::ReadAdmissions>, ApiError>;
type Query = Result<QueryParams<PageQuery>, ApiError>;

pub(super) async fn blocks(
    State(state): State<AppState>,
    asked: Asked,
    by: Reader,
    query: Query,
) -> Response {
    list(&state, &asked, by, query, AdmissionKind::Block).await
}

pub(super) async fn allows(
    State(state): State<AppState>,
    asked: Asked,
    by: Reader,
    query: Query,
) -> Response {
    list(&state, &asked, by, query, AdmissionKind::Allow).await
}

async fn list(
    state: &AppState,
    asked: &Asked,
    by: Reader,
    query: Query,
    list: AdmissionKind,
) -> Response {
    let made = async {
        let By(who) = by?;
        let QueryParams(query) = query?;
        let page = admissions::list(&state.app, &who, list, query.read()?).await?;
        let now = state.app.ledger.now();
        let mut rows = Vec::with_capacity(page.rows.len());
        for one in page.rows {
            let by = actor_name(state, &one.view.set_by).await?;
            rows.push(row(one, &by, now));
        }
        Ok(AdmissionsPage {
            frame: Frame::of(&who, asked.path(), View::Admissions, page.as_of),
            list,
            older: older(asked, &[], page.next),
            rows,
        })
    };
    asked.page(made.await)
}

fn row(listed: ListedAdmission, by: &str, now: Timestamp) -> AdmissionRow {
    let value = listed.value().map(|value| Short::line(value, TEXT));
    let view = listed.view;
    let ended = match (view.lifted_at, view.until) {
        (Some(at), _) => Some((at, "lifted")),
        (None, Some(until)) if until <= now => Some((until, "its time is over")),
        _ => None,
    };
    AdmissionRow {
        id: view.admission_id.to_string(),
        kind: match view.kind.as_str() {
            "agent" => "Agent",
            "subject" => "Subject",
            "address" => "Address",
            _ => "Autonomous system",
        },
        value,
        reason: view.reason.map(|reason| Short::line(reason, TEXT)),
        by: Short::line(by, TEXT),
        made: Beside::past(view.set_at, now),
        until: view.until.map(|until| Beside::ahead(until, now)),
        ended: ended.map(|(at, why)| (Beside::past(at, now), why)),
        question: view.approval_id,
    }
}
