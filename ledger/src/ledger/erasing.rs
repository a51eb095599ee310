//! Erasing through the handle.

use super::{Ledger, Origin};
use crate::command::{Erase, EraseTarget, Erasure, Found, Sought};
use crate::error::Error;
use crate::storage::LookupKey;
use tokio::sync::watch;

impl Ledger {
    /// Erases what has ended, and everything of it. What it finds to erase is sought before the
    /// writer's turn, so that commands wait for no more than the erasing itself.
    ///
    /// The answer comes when the payloads are gone from the tables; [`Ledger::scrubbed`] tells when
    /// the files hold nothing of them. `reason` stays for good and must not repeat what is erased.
    ///
    /// # Errors
    /// [`crate::Rejection::NotErasable`] with what stands in the way, and what keeps the log from being
    /// read or written.
    pub async fn erase(
        &self,
        origin: Origin,
        target: EraseTarget,
        reason: String,
    ) -> Result<Erasure, Error> {
        let sought = match &target {
            EraseTarget::Task(id) => Some(Sought::Task(*id)),
            EraseTarget::User(id) => Some(Sought::User(*id)),
            EraseTarget::Agent(name) => {
                let agent = self.stream_of(LookupKey::agent(name)).await?;
                agent.map(|stream| Sought::Agent(stream.into()))
            }
            EraseTarget::Approver(_) => None,
        };
        let mut found = Found::default();
        if let Some(sought) = sought {
            let size = self.log.first_events(0, &mut found.take(sought)).await?;
            found.size = size;
        }
        let command = Erase {
            target,
            reason,
            found,
        };
        self.execute(origin, command).await
    }

    /// True when the ledger's files hold nothing of what was erased, and its changes. It takes a moment
    /// after an erasure, and longer while somebody reads the file.
    #[must_use]
    pub fn scrubbed(&self) -> watch::Receiver<bool> {
        self.shared.is_clean.subscribe()
    }
}
