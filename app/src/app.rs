//! What use cases stand on.

use crate::edge::Places;
use crate::feed::Feed;
use crate::identity::password::PasswordHasher;
use crate::identity::session::SessionPointer;
use crate::identity::throttle::Throttle;
use crate::pairing::Pairings;
use crate::passkey::{DecoyKey, RegistrationKey, RelyingParty};
use crate::principal::TaskReading;
use crate::proxied_calls::UsedHere;
use crate::refusal::Error;
use crate::token::jwt::TokenKey;
use crate::token::link::{ApprovalLink, EnrolmentLink, LinkKey, Resume, ShortLinkKey};
use crate::token::setup::Setup;
use crate::token::viewer::ViewerToken;
use ledger::aggregate::{Approval, ApprovalState};
use ledger::provider::ScopeNames;
use ledger::{ApprovalId, Ledger};
use projections::{Projection, Projections};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Nobody is kept waiting for as long as this.
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// How long a read waits for the read tables.
const PATIENCE: Duration = Duration::from_secs(5);

/// The keys of what use cases sign, prepared once.
#[derive(Debug)]
pub struct Keys {
    pub capability: TokenKey,
    /// Approval links as they are handed out.
    pub short_link: ShortLinkKey,
    /// Approval links as they were handed out before those.
    pub approval_link: LinkKey<ApprovalLink>,
    pub enrolment_link: LinkKey<EnrolmentLink>,
    pub resume: LinkKey<Resume>,
    /// Bearer tokens of sessions.
    pub session: LinkKey<SessionPointer>,
    pub viewer: LinkKey<ViewerToken>,
    /// Challenges of registrations.
    pub registration: RegistrationKey,
    /// Passkeys of names that have none.
    pub decoys: DecoyKey,
}

/// The ledger, its read tables and the keys of one service.
pub struct App {
    /// Commands go in here, and time and ids come from it.
    pub ledger: Ledger,
    /// What is listed and shown comes from here.
    pub projections: Projections,
    /// What plans call zones.
    pub scope_names: Arc<dyn ScopeNames>,
    /// Where addresses are.
    pub places: Places,
    /// What changes, for those who watch.
    pub feed: Feed,
    pub keys: Keys,
    /// As whom passkeys know this service; the ledger's rules name the same id and origin.
    pub relying_party: RelyingParty,
    /// How long a challenge can be answered.
    pub challenge_ttl: Duration,
    /// How long a session of a person lasts.
    pub session_ttl: Duration,
    pub passwords: PasswordHasher,
    /// Logins that failed.
    pub logins: Throttle,
    /// The link by which the first admin is made.
    pub setup: Setup,
    /// Machines that ask for a key.
    pub pairings: Arc<Pairings>,
    /// What calls through the proxies used lately.
    pub used: UsedHere,
    /// The service is to end: nobody is kept waiting for a human any longer.
    pub ending: CancellationToken,
}

impl App {
    /// The read tables, once the projections that are to be read hold everything that the ledger
    /// holds now: a read never goes back in time.
    ///
    /// # Errors
    /// [`Error::Tables`] with the lag when that takes longer than five seconds.
    pub async fn current_views(&self, read: &[Projection]) -> Result<&Projections, Error> {
        self.projections.caught_up(read, PATIENCE).await?;
        Ok(&self.projections)
    }

    /// Waits until an approval is no longer pending, at most for `patience`, and not beyond the
    /// service's end; gives it as it is then.
    pub(crate) async fn wait_for_decision(
        &self,
        approval: ApprovalId,
        patience: Duration,
    ) -> Result<Arc<Approval>, ledger::Error> {
        let decided = |approval: &Approval| approval.state != ApprovalState::Pending;
        let waiting = self.ledger.wait_for(approval, patience, decided);
        match self.ending.run_until_cancelled(waiting).await {
            Some(waited) => waited,
            None => self.ledger.existing(approval).await,
        }
    }

    /// Waits as long as the caller may be answered.
    ///
    /// # Errors
    /// The refusal that the caller would meet now, as soon as what it has shown is taken away or runs out.
    pub(crate) async fn while_in_force<T, E>(
        &self,
        caller: &TaskReading,
        waiting: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error>
    where
        Error: From<E>,
    {
        tokio::select! {
            // Whatever else has come about meanwhile is not for somebody who has nothing to show.
            biased;
            refused = caller.ended(&self.ledger, LONGEST_WAIT) => Err(refused),
            waited = waiting => Ok(waited?),
        }
    }
}
