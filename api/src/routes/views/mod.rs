//! Views: pages of people who are logged in, at addresses of their own. Each is made whole by the service,
//! and reads without scripts. Who may see one stands in the table of actions, as for every other route.

mod admissions;
mod agent_usage;
mod agents;
mod clearances;
mod events;
mod glances;
mod history;
mod inbox;
mod people;
mod policy;
mod proxy;
mod schedules;
mod system;
mod tasks;

pub(crate) use glances::Glances;

use crate::limits::request_id::ThisRequest;
use crate::pages::{self, NoticePage, WantsPage, assets};
use crate::problem::ApiError;
use crate::routes::names::{actor_name, principal_name, user_name};
use crate::state::AppState;
use askama::Template;
use axum::Router;
use axum::extract::FromRequestParts;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use http::request::Parts;
use http::{HeaderValue, StatusCode, header};
use ledger::RequestId;
use std::fmt::Display;
use url::form_urlencoded;

macro_rules! views {
    ($($path:literal => $handler:path,)+) => {
        /// The addresses of the views.
        #[cfg(test)]
        pub(crate) const PATHS: &[&str] = &[$($path),+];

        /// The routes of the views, which the description does not have.
        pub(crate) fn router() -> Router<AppState> {
            Router::new()$(.route($path, get($handler)))+
        }
    };
}

views! {
    "/inbox" => inbox::show,
    "/requests/{approval_id}" => inbox::open,
    "/tasks" => tasks::list,
    "/tasks/{task_id}" => tasks::show,
    "/agents" => agents::list,
    "/agents/{agent}" => agents::show,
    "/pairing/{code}" => agents::pairing,
    "/approvers" => people::approvers,
    "/history" => history::show,
    "/clearances" => clearances::list,
    "/blocks" => admissions::blocks,
    "/allows" => admissions::allows,
    "/schedules" => schedules::list,
    "/callbacks" => people::callbacks,
    "/ledger" => events::show,
    "/users" => people::users,
    "/policy" => policy::show,
    "/system" => system::show,
    "/me/proxy" => proxy::show,
}

/// A request for a view.
pub(crate) struct Asked {
    wants: WantsPage,
    request_id: RequestId,
}

impl FromRequestParts<AppState> for Asked {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let ThisRequest(request_id) = ThisRequest::from_request_parts(parts, state).await?;
        let Ok(wants) = WantsPage::from_request_parts(parts, state).await;
        Ok(Self { wants, request_id })
    }
}

impl Asked {
    /// The address of the view.
    fn path(&self) -> &str {
        &self.wants.path
    }

    /// The view, or what stands in its place.
    fn page<T: Template>(&self, made: Result<T, ApiError>) -> Response {
        match made {
            Ok(page) => pages::respond(StatusCode::OK, &page),
            Err(error) => self.refuse(error),
        }
    }

    /// Programs read problem details. A browser that is not logged in goes to where one logs in, which leads
    /// back here.
    fn refuse(&self, error: ApiError) -> Response {
        if !self.wants.page {
            return error.into_response();
        }
        let (status, _, code) = error.status_and_code();
        let root = assets::root_from(self.path());
        let to = match (status, code) {
            (StatusCode::UNAUTHORIZED, _) => {
                Some(format!("{root}#{}", self.path().trim_start_matches('/')))
            }
            (_, "password_change_required") => Some(root),
            _ => None,
        };
        let at = |page: NoticePage| page.at(self.path());
        let mut response = pages::refused(error, |status| {
            at(match status {
                StatusCode::BAD_REQUEST => NoticePage::not_understood(),
                status => pages::notice(status, NoticePage::not_for_this_role, self.request_id),
            })
        });
        if let Some(to) = to.and_then(|to| HeaderValue::from_str(&to).ok()) {
            *response.status_mut() = StatusCode::SEE_OTHER;
            response.headers_mut().insert(header::LOCATION, to);
        }
        response
    }
}

/// The address of the next page of a list at that path: its last part, so that it holds wherever the list
/// stands.
fn older(asked: &Asked, kept: &[(&str, &str)], next: Option<impl ToString>) -> Option<String> {
    let next = next?.to_string();
    let here = asked.path().rsplit('/').next().unwrap_or_default();
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(kept).append_pair("after", &next);
    Some(format!("{here}?{}", query.finish()))
}

/// An operation and the objects that it may change, in words: `dns.record.write on zone z1`, or `on any zone`.
fn on_scope(operation: impl Display, scope_type: impl Display, scope_id: impl ToString) -> String {
    match scope_id.to_string().as_str() {
        "*" => format!("{operation} on any {scope_type}"),
        id => format!("{operation} on {scope_type} {id}"),
    }
}

/// A name as a part of a path.
fn path_part(name: &str) -> String {
    // Bytes that a path can have as they are stay; `+` is a space in queries only.
    let encoded: String = form_urlencoded::byte_serialize(name.as_bytes()).collect();
    encoded.replace('+', "%20").replace('.', "%2E")
}
