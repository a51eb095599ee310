//! The versions of the policy, as they are recorded.

use super::Ledger;
use crate::aggregate::PolicyVersion;
use crate::error::Error;
use crate::event::Recorded;
use crate::id::StreamId;
use crate::policy::{CurrentPolicy, PolicyInForce};
use crate::storage::{Log, LookupKey, LookupKind, ReadError};
use crate::writer::{Entry, State};
use std::sync::Arc;
use tokio::sync::watch;

impl Ledger {
    /// The policy as of the last commit.
    #[must_use]
    pub fn policy(&self) -> Arc<CurrentPolicy> {
        Arc::clone(&self.shared.policy.borrow())
    }

    /// The policy, for who waits until it changes.
    #[must_use]
    pub fn watch_policy(&self) -> watch::Receiver<Arc<CurrentPolicy>> {
        self.shared.policy.subscribe()
    }

    /// What decisions went by while that version was the newest; `None` where there is none of that number, or none with
    /// a document.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what was written.
    pub async fn policy_of(&self, version: u64) -> Result<Option<Arc<PolicyInForce>>, Error> {
        let newest = self.policy();
        if newest.version == version {
            return Ok(newest.in_force.clone());
        }
        let found = self
            .find::<PolicyVersion>(LookupKey::policy(version))
            .await?;
        Ok(found.and_then(|found| found.current().in_force))
    }

    /// The change that made a version of the policy; `None` where there is none of that number.
    ///
    /// # Errors
    /// When the file cannot be read, or is not what was written.
    pub async fn policy_version(&self, version: u64) -> Result<Option<Recorded>, Error> {
        let wanted = LookupKey::policy(version);
        let rows = self.noted(self.log.all_lookups(LookupKind::Policy).await)?;
        let Some((key, stream)) = rows.into_iter().find(|(key, _)| *key == wanted) else {
            return Ok(None);
        };
        let stream = StreamId::from_slice(&stream).ok_or_else(|| key.misleads())?;
        let size = *self.shared.size.borrow();
        let events = self.noted(self.log.stream(stream, size).await)?;
        Ok(events.into_iter().next())
    }
}

/// The newest version of the policy in a log. Without it nothing may be decided.
///
/// # Errors
/// When it cannot be read, or is not what was written.
pub async fn policy_at(log: &dyn Log, size: u64) -> Result<CurrentPolicy, ReadError> {
    // Keys are versions in big-endian: the greatest is the newest.
    let versions = log.all_lookups(LookupKind::Policy).await?;
    let Some((key, value)) = versions.iter().max() else {
        return Ok(CurrentPolicy::default());
    };
    let stream = StreamId::from_slice(value).ok_or_else(|| key.misleads())?;
    let state = Entry::fold(&log.stream(stream, size).await?).state;
    match &state {
        State::PolicyVersion(policy) if state.answers_to(key) => Ok(policy.current()),
        _ => Err(key.misleads()),
    }
}
