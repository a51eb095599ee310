//! Parameters of path and query.

use crate::problem::ApiError;
use axum::extract::{FromRequestParts, MatchedPath, Path, Query};
use http::request::Parts;
use ledger::Rejection;
use serde::de::DeserializeOwned;

/// Path parameters. A path whose parameter has not the right form names nothing that exists, so the
/// refusal is that of a thing of its kind that does not exist.
#[derive(Debug, Clone)]
pub struct PathParams<T>(pub T);

impl<S, T> FromRequestParts<S> for PathParams<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(value)) => Ok(Self(value)),
            Err(rejection) if rejection.status().is_server_error() => {
                Err(ApiError::internal(rejection))
            }
            Err(_) => Err(nothing_there(parts)),
        }
    }
}

/// The refusal of a path whose last parameter names nothing that could exist.
fn nothing_there(parts: &Parts) -> ApiError {
    let template = parts.extensions.get::<MatchedPath>();
    let named = template.and_then(|template| not_found(template.as_str()));
    let unnamed = ApiError::NotFound {
        what: "thing at this path",
    };
    named.map_or(unnamed, ApiError::from)
}

/// The refusal of a thing that does not exist, by the collection that the last parameter of a route stands in.
fn not_found(template: &str) -> Option<Rejection> {
    let (before, _) = template.rsplit_once("/{")?;
    let collection = before.rsplit('/').next()?;
    Some(match collection {
        "tasks" => Rejection::TaskNotFound,
        "applies" => Rejection::ApplyNotFound,
        "approvals" | "requests" => Rejection::ApprovalNotFound,
        "agents" => Rejection::AgentNotFound,
        "keys" => Rejection::KeyNotFound,
        "upstreams" | "upstream-keys" => Rejection::UpstreamNotFound,
        "pairing" => Rejection::PairingNotFound,
        "task-templates" => Rejection::TemplateNotFound,
        "clearances" => Rejection::ClearanceNotFound,
        "locks" => Rejection::LockNotFound,
        "blocks" | "allows" => Rejection::AdmissionNotFound,
        "schedules" => Rejection::ScheduleNotFound,
        "versions" => Rejection::PolicyVersionNotFound,
        "approvers" => Rejection::ApproverNotFound,
        "credentials" | "passkeys" | "software-keys" => Rejection::CredentialNotFound,
        "callbacks" => Rejection::DeliveryNotFound,
        "sessions" => Rejection::SessionNotFound,
        "devices" => Rejection::DeviceNotFound,
        "users" => Rejection::UserNotFound,
        "groups" => Rejection::GroupNotFound,
        _ => return None,
    })
}

/// The longest word of the caller's that a refusal repeats, in characters: a longer one may be a token in
/// the wrong place.
const LONGEST_WORD: usize = 31;

/// The text with long words left out.
fn told(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.chars().count() {
        0..=LONGEST_WORD => word,
        _ => "…",
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Query parameters; what does not fit is refused with its name.
#[derive(Debug, Clone)]
pub struct QueryParams<T>(pub T);

impl<S, T> FromRequestParts<S> for QueryParams<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(value)) => Ok(Self(value)),
            Err(rejection) => {
                let text = rejection.body_text();
                let why = text
                    .rsplit_once("query string: ")
                    .map_or(&*text, |(_, why)| why);
                Err(ApiError::bad_request(format!("query: {}", told(why))))
            }
        }
    }
}
