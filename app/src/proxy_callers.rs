//! Callers of the proxies: an agent with a key of its own, or a person with the token of a session. Their
//! programs send one credential and no signed subject.

use crate::action::{Access, Admitted, CallUpstream};
use crate::app::App;
use crate::authorize::{Request, authorize};
use crate::identity::session::SessionCredential;
use crate::key_holder::{KeyHolder, PresentedProof};
use crate::principal::Principal;
use crate::refusal::{Error, Unauthorized};
use crate::token::agent_key::AgentKey;
use crate::token::capability::OpenedToken;
use ledger::Ledger;
use std::time::Duration;

/// How long the end of a credential is waited for before it is asked for again.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A caller whose credential was in force a moment ago.
#[derive(Debug, Clone)]
pub struct ProxyCaller {
    principal: Principal,
}

impl Access for ProxyCaller {
    fn of(admitted: Admitted) -> Option<Self> {
        let principal = admitted.principal;
        matches!(principal, Principal::AgentKey(_) | Principal::User(_))
            .then_some(Self { principal })
    }
}

impl ProxyCaller {
    /// The caller that a credential proves, as the ledger has it at this moment.
    ///
    /// # Errors
    /// [`Error::Unauthorized`] and refusals of the ledger for a credential that does not count or is locked.
    pub async fn identify(app: &App, credential: &str) -> Result<Self, Error> {
        let ledger = &app.ledger;
        let principal = if AgentKey::is_meant(credential) {
            let key = AgentKey::parse(credential).ok_or(Unauthorized::TokenInvalid)?;
            let proof = PresentedProof::Own(key.hash());
            Principal::AgentKey(KeyHolder::find(ledger, proof, None).await?)
        } else if let Ok(pointer) = app.keys.session.open(credential) {
            let shown = SessionCredential::Bearer(pointer);
            Principal::User(shown.session(ledger).await?)
        } else if OpenedToken::open(&app.keys.capability, credential).is_ok() {
            return Err(Unauthorized::NoProxyToken.into());
        } else {
            return Err(Unauthorized::TokenInvalid.into());
        };
        authorize::<CallUpstream>(ledger, principal, Request::default()).await
    }

    #[must_use]
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Waits until the credential is taken away, runs out or is locked. Gives the refusal that it meets from
    /// then on.
    pub async fn ended(self, ledger: Ledger) -> Error {
        loop {
            let ended = self.principal.ended(&ledger, PATIENCE).await;
            let again =
                authorize::<CallUpstream>(&ledger, self.principal.clone(), Request::default());
            match again.await {
                // Only the wait was over.
                Ok(_) => {}
                // What it meets now says more than what woke it.
                Err(refused @ (Error::Unauthorized(_) | Error::Forbidden(_))) => return refused,
                Err(refused @ Error::Ledger(ledger::Error::Rejected(_))) => return refused,
                Err(_) => return ended,
            }
        }
    }
}
