//! The signed link that a path carries.

use super::params::PathParams;
use crate::auth::link::{ApprovalLink, EnrolmentLink, LinkKey, Said};
use crate::problem::ApiError;
use crate::state::{AppState, Keys};
use axum::extract::FromRequestParts;
use http::request::Parts;

/// A kind of token that stands in paths as `{link}`.
pub(crate) trait InPath: Said + Send {
    /// What opens it.
    fn key(keys: &Keys) -> &LinkKey<Self>;

    /// What it leads to; all links to the same share one rate.
    fn leads_to(&self) -> String;
}

impl InPath for ApprovalLink {
    fn key(keys: &Keys) -> &LinkKey<Self> {
        &keys.approval_link
    }

    fn leads_to(&self) -> String {
        self.approval_id.to_string()
    }
}

impl InPath for EnrolmentLink {
    fn key(keys: &Keys) -> &LinkKey<Self> {
        &keys.enrolment_link
    }

    fn leads_to(&self) -> String {
        self.enrolment_id.to_string()
    }
}

/// What the path's link says. Comes before the body, so that a stranger's body is not even read.
#[derive(Debug, Clone)]
pub(crate) struct Link<T>(pub(crate) T);

impl<T: InPath> FromRequestParts<AppState> for Link<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let PathParams(link) = PathParams::<String>::from_request_parts(parts, state).await?;
        let link = T::key(&state.keys).open(&link)?;
        // After the signature, so that nobody without a link can fill the table or use a rate up.
        state
            .links
            .admit(&link.leads_to())
            .map_err(|retry_after| ApiError::RateLimited { retry_after })?;
        Ok(Self(link))
    }
}
