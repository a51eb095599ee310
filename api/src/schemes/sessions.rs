//! Sessions of people: a browser's cookie, or a bearer token that points to one. Neither needs a signed
//! subject.

use super::cookie::SessionCookie;
use super::{Head, Identity, Scheme};
use crate::limits::counted_for::CountedFor;
use crate::problem::ApiError;
use app::Principal;
use app::identity::session::SessionCredential;
use http::header;
use ledger::Rejection;

pub(super) struct Sessions;

impl Scheme for Sessions {
    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        // One credential a request: a browser's cookie does not stand in for a token that is none.
        if head.parts.headers.contains_key(header::AUTHORIZATION) {
            let pointer = head.bearer().map(|it| head.state.app.keys.session.open(it));
            return Ok(match pointer {
                Some(Ok(pointer)) => Identity::Session(SessionCredential::Bearer(pointer)),
                Some(Err(_)) | None => Identity::NotOfThis,
            });
        }
        match SessionCookie::of(&head.parts.headers) {
            SessionCookie::Absent => Ok(Identity::NotOfThis),
            SessionCookie::One(token) => {
                let credential = SessionCredential::cookie(token);
                head.is_by_cookie = true;
                Ok(Identity::Session(credential))
            }
            SessionCookie::Ambiguous => Err(ApiError::DeadCookie(Rejection::SessionEnded)),
        }
    }
}

/// Somebody without any credential, while authentication is disabled.
pub(super) struct AuthDisabled;

impl Scheme for AuthDisabled {
    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let headers = &head.parts.headers;
        let has_credential = headers.contains_key(header::AUTHORIZATION)
            || SessionCookie::of(headers) != SessionCookie::Absent;
        if !head.state.config.is_open || has_credential {
            return Ok(Identity::NotOfThis);
        }
        head.count_for(CountedFor::all())?;
        Ok(Identity::Proven(Principal::AuthDisabled))
    }
}

impl Head<'_> {
    /// The user of a session that is in force, counted for them. Those whose session is none are counted
    /// with strangers.
    pub(super) async fn user(&mut self, shown: &SessionCredential) -> Result<Principal, ApiError> {
        let ledger = &self.state.app.ledger;
        let session = match shown.session(ledger).await {
            Ok(session) => session,
            Err(app::Error::Ledger(ledger::Error::Rejected(ended))) => {
                self.state.admit_stranger(self.parts)?;
                return Err(match shown {
                    SessionCredential::Cookie(_) if !shown.may_go_on(ledger).await? => {
                        ApiError::DeadCookie(ended)
                    }
                    SessionCredential::Cookie(_) | SessionCredential::Bearer(_) => ended.into(),
                });
            }
            Err(error) => return Err(error.into()),
        };
        self.count_for(CountedFor::user(session.user.id))?;
        Ok(Principal::User(session))
    }
}
