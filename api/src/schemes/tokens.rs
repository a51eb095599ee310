//! A signed subject with a bearer token.

use super::{Head, Identity, Scheme};
use crate::problem::{ApiError, Unauthorized};
use app::token::bootstrap::BootstrapClaims;
use app::token::capability::OpenedToken;
use app::{Administrator, Principal, TokenHolder, Who};
use ledger::ClientSubject;
use std::sync::Arc;

/// A capability token that was opened before. No other scheme's key opens it, so none need try.
pub(super) struct KnownCapability;

impl Scheme for KnownCapability {
    fn proves(&self, who: Who) -> bool {
        Capability.proves(who)
    }

    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let opened = &head.state.opened_tokens;
        let Some(token) = head.bearer().and_then(|token| opened.known(token)) else {
            return Ok(Identity::NotOfThis);
        };
        Ok(match head.subject()? {
            Ok(subject) => held(token, &subject),
            Err(absent) => Identity::Absent(absent),
        })
    }
}

/// A capability token: an agent, for one task.
pub(super) struct Capability;

fn held(token: Arc<OpenedToken>, subject: &ClientSubject) -> Identity {
    let holder = Box::new(TokenHolder::new(token, subject));
    Identity::Proven(Principal::Agent(holder))
}

impl Scheme for Capability {
    fn proves(&self, who: Who) -> bool {
        matches!(who, Who::Agent | Who::AgentWithOldToken | Who::Identity)
    }

    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let subject = match head.subject()? {
            Ok(subject) => subject,
            Err(absent) => return Ok(Identity::Absent(absent)),
        };
        let Some(token) = head.bearer() else {
            return Ok(Identity::Absent(Unauthorized::TokenMissing));
        };
        // Secrets and audiences differ, so a token opens with one key at most.
        let state = head.state;
        Ok(
            match state.opened_tokens.open(&state.app.keys.capability, token) {
                Ok(token) => held(token, &subject),
                Err(absent) => Identity::Absent(absent),
            },
        )
    }
}

pub(super) struct Bootstrap;

impl Scheme for Bootstrap {
    fn proves(&self, who: Who) -> bool {
        matches!(who, Who::Administrator(_) | Who::Identity)
    }

    fn identify(&self, head: &mut Head<'_>) -> Result<Identity, ApiError> {
        let subject = match head.subject()? {
            Ok(subject) => subject,
            Err(absent) => return Ok(Identity::Absent(absent)),
        };
        let Some(token) = head.bearer() else {
            return Ok(Identity::Absent(Unauthorized::TokenMissing));
        };
        let claims = match BootstrapClaims::open(&head.state.keys.bootstrap, token, head.now()) {
            Ok(claims) => claims,
            Err(absent @ Unauthorized::TokenInvalid) => return Ok(Identity::Absent(absent)),
            Err(refused) => {
                if let Unauthorized::TokenClaim { claim, .. } = refused {
                    tracing::warn!(token.claim = claim, "a bootstrap token does not fit");
                }
                return Err(refused.into());
            }
        };
        let administrator = Administrator::presenting(claims, subject)?;
        Ok(Identity::Proven(Principal::Administrator(administrator)))
    }
}
