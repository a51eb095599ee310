//! Callers of the proxies: an agent with a key of its own or with the capability token of a task that opens them, or
//! a person with the token of a session. Their programs send one credential and no signed subject.

use crate::action::{Access, Admitted, CallUpstream};
use crate::app::App;
use crate::authorize::{NamedTask, Request, authorize};
use crate::identity::session::SessionCredential;
use crate::key_holder::{KeyHolder, PresentedProof};
use crate::principal::{Principal, TokenHolder};
use crate::refusal::{Error, Unauthorized};
use crate::token::agent_key::AgentKey;
use crate::token::capability::OpenedToken;
use ledger::Ledger;
use ledger::aggregate::Task;
use std::sync::Arc;
use std::time::Duration;

/// How long the end of a credential is waited for before it is asked for again.
const PATIENCE: Duration = Duration::from_secs(3600);

/// A caller whose credential was in force a moment ago.
#[derive(Debug, Clone)]
pub struct ProxyCaller {
    principal: Principal,
    /// The task, where its token is shown.
    task: Option<Arc<Task>>,
}

impl Access for ProxyCaller {
    fn of(admitted: Admitted) -> Option<Self> {
        let principal = admitted.principal;
        let task = match &principal {
            Principal::Agent(_) => Some(admitted.task?),
            Principal::AgentKey(_) | Principal::User(_) => None,
            _ => return None,
        };
        Some(Self { principal, task })
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
        } else if let Ok(token) = OpenedToken::open(&app.keys.capability, credential) {
            token.counts_at(ledger.now())?;
            // Whoever shows it here says nothing of their client.
            let subject = token.bound_to().clone();
            Principal::Agent(Box::new(TokenHolder::new(token, &subject)))
        } else {
            return Err(Unauthorized::TokenInvalid.into());
        };
        let caller = standing(ledger, principal).await?;
        match &caller.task {
            Some(task) if !task.opens_proxies => Err(Unauthorized::NoProxyToken.into()),
            _ => Ok(caller),
        }
    }

    /// The task, where its token is shown.
    #[must_use]
    pub const fn task(&self) -> Option<&Arc<Task>> {
        self.task.as_ref()
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
            match standing(&ledger, self.principal.clone()).await {
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

/// What a principal may at this moment.
async fn standing(ledger: &Ledger, principal: Principal) -> Result<ProxyCaller, Error> {
    let task = match &principal {
        Principal::Agent(holder) => NamedTask::Id(holder.task_id()),
        _ => NamedTask::None,
    };
    let request = Request {
        task,
        ..Request::default()
    };
    authorize::<CallUpstream>(ledger, principal, request).await
}
