//! Approvers, users, and callbacks that were given up.

use super::{Asked, older, path_part, principal_name, user_name};
use crate::extract::params::QueryParams;
use crate::pages::views::{
    AboutLink, ApproverRow, ApproversPage, CallbackRow, CallbacksPage, Frame, UserRow, UsersPage,
    View,
};
use crate::pages::{Beside, Short};
use crate::problem::ApiError;
use crate::schemes::By;
use crate::shapes::lists::PageQuery;
use crate::shapes::users::Listed;
use crate::state::AppState;
use app::{action, decisions, users};
use axum::extract::State;
use axum::response::Response;
use ledger::{ApproverName, Role};
use projections::{Projection, Validity};

/// Deliveries on a page.
const DELIVERIES: u32 = 50;

const TEXT: usize = 300;

pub(super) async fn approvers(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ListApprovers>, ApiError>,
    query: Result<QueryParams<PageQuery>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let QueryParams(query) = query?;
        let views = state.app.current_views(&[Projection::Approvers]).await?;
        let page = views.approvers(query.read()?).await?;
        let now = state.app.ledger.now();
        let frame = Frame::of(&who, asked.path(), View::Approvers, page.as_of);
        let mut rows = Vec::with_capacity(page.rows.len());
        for approver in page.rows {
            let all = views.credentials(&approver.principal).await?;
            let active = all.iter().filter(|it| it.status == Validity::Active);
            let passkeys = active.count();
            let principal = approver.principal.as_str();
            // Users invite themselves, or are invited as users.
            let is_own = principal.starts_with(ApproverName::OF_USERS);
            let user = match is_own {
                true => None,
                false => user_name(&state, approver.user_id).await?,
            };
            // Another approver may be registered under the name of a user.
            let name = principal_name(&state, &approver.principal).await?;
            let name = match is_own {
                true => format!("user {name}"),
                false => name,
            };
            let may = frame.is_of(Role::Admin) && !is_own;
            let is_free = approver.user_id.is_none() && !is_own && passkeys > 0;
            let links = is_free && who.session().is_some();
            let principals = std::slice::from_ref(&approver.principal);
            let credentials = decisions::credentials(&state.app.ledger, principals).await?;
            rows.push(ApproverRow {
                links: links.then(|| path_part(principal)),
                invite: may.then(|| format!("approvers/{}/enrolment", path_part(principal))),
                name: Short::line(name, TEXT),
                user: user.map(|name| Short::line(name, TEXT)),
                revoked: all.len() - passkeys,
                passkeys,
                command_line_keys: credentials.iter().map(|of| of.command_line_keys).sum(),
                since: Beside::past(approver.registered_at, now),
            });
        }
        Ok(ApproversPage {
            older: older(&asked, &[], page.next),
            frame,
            rows,
        })
    };
    asked.page(made.await)
}

pub(super) async fn callbacks(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ReadEvents>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let views = state.app.current_views(&[Projection::Callbacks]).await?;
        let as_of = *views.progress(Projection::Callbacks).borrow();
        let now = state.app.ledger.now();
        let depths = views.depths().await?;
        let mut rows = Vec::new();
        for id in views.given_up_deliveries(None, DELIVERIES).await? {
            let Some(delivery) = views.delivery(id).await? else {
                continue;
            };
            let about = match delivery.of_task() {
                Some(task) => AboutLink {
                    path: format!("tasks/{task}"),
                    words: "its task",
                },
                None => AboutLink {
                    path: format!("requests/{}", delivery.task_id),
                    words: "its question",
                },
            };
            let text = delivery.last_error_text.or(delivery.last_error);
            rows.push(CallbackRow {
                id: delivery.id.to_string(),
                event: Short::line(delivery.event_type, TEXT),
                endpoint: Short::line(delivery.endpoint, TEXT),
                about,
                tries: delivery.attempts,
                status: delivery.last_http_status,
                error: text.map(|text| Short::line(text, TEXT)),
                since: Beside::past(delivery.updated_at, now),
            });
        }
        Ok(CallbacksPage {
            frame: Frame::of(&who, asked.path(), View::Callbacks, as_of),
            rows,
            given_up: depths.given_up_deliveries,
            owed: depths.due_deliveries,
        })
    };
    asked.page(made.await)
}

pub(super) async fn users(
    State(state): State<AppState>,
    asked: Asked,
    by: Result<By<action::ReadUsers>, ApiError>,
    query: Result<QueryParams<Listed>, ApiError>,
) -> Response {
    let made = async {
        let By(who) = by?;
        let QueryParams(query) = query?;
        let (limit, before) = (query.limit()?, query.after()?);
        let ledger = &state.app.ledger;
        let as_of = *ledger.size().borrow();
        let now = ledger.now();
        let mut found = users::list(ledger, &who, before, limit + 1).await?;
        let is_last = found.len() <= limit;
        found.truncate(limit);
        let last = found.last().filter(|_| !is_last).map(|it| it.user.id);
        let rows = found.into_iter().map(|it| UserRow {
            id: it.user.id.to_string(),
            name: Short::line(it.user.name.as_str(), TEXT),
            role: it.user.role.as_str(),
            can_audit: it.user.can_audit,
            disabled: it.user.disabled,
            has_password: it.user.password.is_some(),
            passkeys: it.passkeys,
            groups: it.groups.len(),
            since: Beside::past(it.user.created_at, now),
        });
        Ok(UsersPage {
            frame: Frame::of(&who, asked.path(), View::Users, as_of),
            rows: rows.collect(),
            older: older(&asked, &[], last),
        })
    };
    asked.page(made.await)
}
