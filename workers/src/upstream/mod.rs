//! The way to a provider's API, with the real credential: sending with defined ends, and reading back what is
//! not known to have happened.
//!
//! | file | holds |
//! |---|---|
//! | `client` | sending within limits of time and size |
//! | `redaction` | what upstream says, without our token |
//! | `scope_names` | what upstream calls what operations act on |
//! | `names_for_plans` | the same for agents that ask what an apply would do |
//! | `equal_requests` | which requests are under way twice |
//! | `pre_state` | what an operation would change, for the approval page |
//! | `reconcile` | what became of a request whose answer was lost |
//! | `simulate` | what is answered without a token |

mod client;
mod equal_requests;
mod names_for_plans;
mod pre_state;
mod reconcile;
mod redaction;
mod scope_names;
mod simulate;

pub use client::{UpstreamClient, UpstreamConfig, UpstreamSetupError};
pub use names_for_plans::NamesForPlans;
pub(crate) use pre_state::bounded;
pub use reconcile::{Before, ReadBack, Reconciled};
pub use simulate::simulate;

use ledger::Providers;
use ledger::aggregate::Apply;
use ledger::operation::Operation;
use std::sync::Arc;

/// Why nothing is read for an operation whose provider has no client.
pub(crate) fn unread(operation: &Operation) -> String {
    let title = operation.provider().names().title;
    if operation.forwarded().is_some() {
        return format!(
            "this service has no {title} token of its own to read with; the request is sent with its agent's key"
        );
    }
    format!("no {title} token is configured; operations are simulated")
}

/// The providers, and the clients of those whose credential is configured. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Upstreams {
    providers: Providers,
    clients: Arc<[UpstreamClient]>,
}

impl Upstreams {
    /// At most one client for each provider.
    #[must_use]
    pub fn new(providers: Providers, clients: Vec<UpstreamClient>) -> Self {
        Self {
            providers,
            clients: clients.into(),
        }
    }

    /// Nothing is sent anywhere.
    #[must_use]
    pub fn are_simulated(&self) -> bool {
        self.clients.is_empty()
    }

    /// True when all operations of an apply would be sent. One that is simulated in part would have results
    /// that are partly true, so all of it is simulated, and every result and event says so.
    pub(crate) fn carry(&self, apply: &Apply) -> bool {
        let mut asked = apply.check.requested.iter();
        !self.are_simulated()
            && asked.all(|asked| {
                let found = self.providers.find(asked.operation.as_str());
                found.is_none_or(|(provider, _)| self.client(provider.names().title).is_some())
            })
    }

    pub(crate) fn of(&self, operation: &Operation) -> Option<&UpstreamClient> {
        self.client(operation.provider().names().title)
    }

    fn client(&self, title: &str) -> Option<&UpstreamClient> {
        let mut clients = self.clients.iter();
        clients.find(|client| client.names().title == title)
    }

    /// The operations in the submission that was fingerprinted; all of them or none.
    pub(crate) fn read_operations(&self, apply: &Apply) -> Result<Vec<Operation>, String> {
        let read = self.providers.read_submission(apply.submission.as_bytes());
        read.map_err(|error| error.to_string())
    }
}
