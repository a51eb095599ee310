//! Who could change the policy, by a log that nobody writes to.

use super::starting::locks_at;
use crate::aggregate::{Approver, Group, User};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::id::{GroupId, StreamId, UserId};
use crate::locks::Locks;
use crate::name::ApproverName;
use crate::policy::Need;
use crate::storage::{Log, LookupKey};
use crate::voters::{Electorate, People, can_be_met};
use crate::writer::{Entry, Stored};
use std::sync::Arc;

/// People as a log has them.
struct Recorded<'l> {
    log: &'l dyn Log,
    size: u64,
    locks: Arc<Locks>,
    now: Timestamp,
}

impl Recorded<'_> {
    async fn load<A: Stored>(&self, stream: StreamId) -> Result<Option<Arc<A>>, Error> {
        let events = self.log.stream(stream, self.size).await?;
        Ok(Entry::fold(&events).state.get::<A>()?)
    }

    async fn find<A: Stored>(&self, key: LookupKey) -> Result<Option<Arc<A>>, Error> {
        let found = self.log.lookups(&[key]).await?;
        let stream = found
            .first()
            .and_then(|(_, value)| StreamId::from_slice(value));
        match stream {
            Some(stream) => self.load(stream).await,
            None => Ok(None),
        }
    }
}

impl People for Recorded<'_> {
    async fn user(&mut self, id: UserId) -> Result<Option<Arc<User>>, Error> {
        self.load(id.into()).await
    }

    async fn owner(&mut self, principal: &ApproverName) -> Result<Option<Arc<User>>, Error> {
        match User::named_by(principal) {
            Some(id) => self.load(id.into()).await,
            None => self.find(LookupKey::linked(principal)).await,
        }
    }

    async fn approver(&mut self, principal: &ApproverName) -> Result<Option<Arc<Approver>>, Error> {
        self.find(LookupKey::approver(principal)).await
    }

    async fn group(&mut self, id: GroupId) -> Result<Option<Arc<Group>>, Error> {
        self.load(id.into()).await
    }

    fn locks(&self) -> (Arc<Locks>, Timestamp) {
        (Arc::clone(&self.locks), self.now)
    }
}

/// Whether enough people could meet needs now, as a log has them; `approvers` are those of the configuration.
///
/// # Errors
/// When it cannot be read, or is not what was written.
pub async fn can_meet_at(
    (log, size): (&dyn Log, u64),
    (needs, approvers): (&[Need], &[ApproverName]),
    now: Timestamp,
) -> Result<bool, Error> {
    let locks = Arc::new(locks_at(log, size).await?);
    let mut people = Recorded {
        log,
        size,
        locks,
        now,
    };
    let asked = Electorate {
        approvers,
        needs,
        exclude: &[],
    };
    can_be_met(&mut people, &asked).await
}
