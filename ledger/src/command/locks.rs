//! Locks: set and lifted, and what they end recorded.

use super::acting::{acting_session, still_acts};
use super::approvals::approval_and_task;
use super::authority::owner;
use super::descriptions::owned_by;
use super::keys::{minted_by, revoke_all};
use super::locked::cancel;
use super::users::living;
use super::{Command, roster};
use crate::aggregate::{Agent, Approver, Key, Lock, Task, User};
use crate::error::Error;
use crate::event::{Actor, LockLifted, LockSet, LockTarget, Role};
use crate::id::{AgentId, ApprovalId, KeyId, LockId};
use crate::name::CredentialId;
use crate::rejection::Rejection;
use crate::storage::{LookupKey, LookupKind};
use crate::writer::Transaction;
use std::sync::Arc;
use std::time::Duration;

/// Locks a target. From its commit on nothing of it begins, is decided or goes on.
#[derive(Debug, Clone)]
pub struct SetLock {
    /// What it stops.
    pub target: LockTarget,
    /// The reason, 1..=1000 characters.
    pub reason: String,
    /// How long it lasts; `None`: until it is lifted.
    pub duration: Option<Duration>,
}

/// A lock that was set.
#[derive(Debug, Clone)]
pub struct Locked {
    /// The lock.
    pub lock: Arc<Lock>,
    /// The position of its event: no later one begins anything of its target.
    pub position: u64,
}

impl Command for SetLock {
    type Answer = Locked;

    const IS_URGENT: bool = true;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Locked, Error> {
        let least = match self.target.is_of_people() {
            true => Role::Admin,
            false => Role::Operator,
        };
        still_acts(tx, least).await?;
        if !(1..=1000).contains(&self.reason.trim().chars().count()) {
            return Err(Rejection::Invalid {
                code: "invalid_reason",
                detail: "reason: 1 to 1000 characters, for those who find the lock".to_owned(),
            }
            .into());
        }
        exists(tx, &self.target).await?;
        leaves_an_admin(tx, &self.target).await?;
        let context = tx.context();
        let lock_id: LockId = context.id();
        let set = LockSet {
            lock_id,
            target: self.target,
            reason: self.reason,
            until: self.duration.map(|time| context.now.plus(time)),
        };
        let position = tx.next_position();
        tx.append(vec![context.event(lock_id, set)]).await?;
        let lock = tx.existing::<Lock>(lock_id).await?;
        Ok(Locked { lock, position })
    }
}

/// Whether there is such a thing to be locked.
async fn exists(tx: &mut Transaction<'_>, target: &LockTarget) -> Result<(), Error> {
    match target {
        LockTarget::All => {}
        LockTarget::Agent(id) => drop(tx.named::<Agent>(*id).await?),
        LockTarget::Owner(id) => drop(tx.named::<User>(*id).await?),
        LockTarget::User(id) => drop(living(tx, *id).await?),
        LockTarget::Task(id) => drop(tx.named::<Task>(*id).await?),
        LockTarget::Key(id) => drop(tx.named::<Key>(*id).await?),
        LockTarget::Credential(id) => {
            let holder = tx.find(&LookupKey::credential(id)).await?;
            holder.ok_or(Rejection::CredentialNotFound)?;
        }
        LockTarget::Operation(id) => {
            if tx.context().rules.providers.entry(id.as_str()).is_err() {
                return Err(Rejection::Invalid {
                    code: "unknown_operation",
                    detail: format!("there is no operation {:?}", id.as_str()),
                }
                .into());
            }
        }
    }
    Ok(())
}

/// Nobody locks out the last administrator who can log in: a lock on people is lifted by one.
async fn leaves_an_admin(tx: &mut Transaction<'_>, target: &LockTarget) -> Result<(), Error> {
    let is_last = match target {
        LockTarget::User(id) => {
            let user = living(tx, *id).await?;
            roster::is_usable_now(tx, &user).await?
                && !roster::is_other_usable(tx, Some(user.id)).await?
        }
        LockTarget::Credential(id) => match holder(tx, id).await? {
            Some(user) => {
                !roster::is_usable_without(tx, &user, Some(id)).await?
                    && roster::is_usable_now(tx, &user).await?
                    && !roster::is_other_usable(tx, Some(user.id)).await?
            }
            None => false,
        },
        _ => false,
    };
    match is_last {
        true => Err(Rejection::LastAdmin.into()),
        false => Ok(()),
    }
}

/// The user whose passkey it is.
async fn holder(
    tx: &mut Transaction<'_>,
    credential: &CredentialId,
) -> Result<Option<Arc<User>>, Error> {
    let key = LookupKey::credential(credential);
    let approver = tx.find_state::<Approver>(&key).await;
    match Error::none_if_erased(approver)? {
        Some(approver) => Error::none_if_erased(owner(tx, &approver.principal).await),
        None => Ok(None),
    }
}

/// Lifts a lock. One that has ended stays as it is.
#[derive(Debug, Clone, Copy)]
pub struct LiftLock {
    /// The lock.
    pub lock_id: LockId,
    /// Whether the agent keys of its target are revoked in the same step, so that none of them counts again.
    pub revoke_keys: bool,
}

/// A lock that was lifted.
#[derive(Debug, Clone)]
pub struct Lifted {
    /// The lock.
    pub lock: Arc<Lock>,
    /// The keys that were revoked with it.
    pub revoked: Vec<Arc<Key>>,
}

impl Command for LiftLock {
    type Answer = Lifted;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Lifted, Error> {
        still_acts(tx, Role::Admin).await?;
        let lock = tx.named::<Lock>(self.lock_id).await?;
        match tx.envelope().actor {
            Actor::User {
                user_id, via_id, ..
            } => {
                let user = tx.existing::<User>(user_id).await?;
                let session = acting_session(tx, &user, via_id).await?;
                if !session.is_stepped_up(tx.context().now) {
                    return Err(Rejection::StepUpRequired.into());
                }
            }
            Actor::Service { .. } if lock.target.is_of_people() => {
                return Err(Rejection::PersonRequired.into());
            }
            _ => {}
        }
        // The keys go while the lock still stops them.
        let revoked = match self.revoke_keys {
            true => {
                let keys = keys_of(tx, &lock.target).await?;
                revoke_all(tx, keys, Some(&lock.reason)).await?
            }
            false => Vec::new(),
        };
        if lock.is_in_force(tx.context().now) {
            let lifted = tx.context().event(lock.id, LockLifted {});
            tx.append(vec![lifted]).await?;
        }
        let lock = tx.existing::<Lock>(lock.id).await?;
        Ok(Lifted { lock, revoked })
    }
}

/// The keys in force of a target: those of its agents, or those that its user made or confirmed.
///
/// # Errors
/// [`Rejection::Invalid`] for a target that has no keys of its own.
async fn keys_of(tx: &mut Transaction<'_>, target: &LockTarget) -> Result<Vec<Arc<Key>>, Error> {
    let mut keys = match target {
        LockTarget::Key(id) => vec![tx.existing::<Key>(*id).await?],
        LockTarget::User(id) => minted_by(tx, *id).await?,
        LockTarget::Agent(id) => of_agents(tx, &[*id]).await?,
        LockTarget::Owner(id) => {
            let agents = owned_by(tx, *id).await?;
            let agents: Vec<AgentId> = agents.iter().map(|agent| agent.id).collect();
            of_agents(tx, &agents).await?
        }
        LockTarget::All
        | LockTarget::Task(_)
        | LockTarget::Operation(_)
        | LockTarget::Credential(_) => {
            return Err(Rejection::Invalid {
                code: "bad_request",
                detail:
                    "revoke: keys are revoked with a lock on an agent, an owner, a key or a user"
                        .to_owned(),
            }
            .into());
        }
    };
    keys.retain(|key| key.revoked_at.is_none());
    Ok(keys)
}

/// Every key of these agents. What was decided before in this batch counts.
async fn of_agents(tx: &mut Transaction<'_>, agents: &[AgentId]) -> Result<Vec<Arc<Key>>, Error> {
    let mut keys = Vec::new();
    for (row, stream) in tx.all_lookups(LookupKind::AgentKey).await? {
        let id = KeyId::from_slice(&stream).ok_or_else(|| row.misleads())?;
        let key = Error::none_if_erased(tx.load::<Key>(id).await)?;
        keys.extend(key.filter(|key| agents.contains(&key.agent_id)));
    }
    Ok(keys)
}

/// Records that a lock ended a question. Answers whether it was this that recorded it.
#[derive(Debug, Clone, Copy)]
pub struct CancelLocked {
    /// The question.
    pub approval_id: ApprovalId,
}

impl Command for CancelLocked {
    type Answer = bool;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<bool, Error> {
        let (approval, task) = approval_and_task(tx, self.approval_id).await?;
        let events = cancel(tx, task.as_deref(), &approval).await?;
        let was_open = !events.is_empty();
        tx.append(events).await?;
        Ok(was_open)
    }
}
