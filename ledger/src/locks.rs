//! The locks of a ledger, as decisions and requests ask for them: a small map in memory, so that nothing is
//! read where no lock was ever set.

use crate::aggregate::{Agent, Apply, Approver, Lock, Session, Task, User};
use crate::clock::Timestamp;
use crate::event::LockTarget;
use crate::rejection::{LockEnd, Rejection};
use std::collections::HashMap;
use std::sync::Arc;

/// Every lock that was ever set, by target: one that was lifted still tells what was made before it.
#[derive(Debug, Clone, Default)]
pub struct Locks(HashMap<LockTarget, Vec<Arc<Lock>>>);

impl Locks {
    /// Whether none was ever set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes in a lock in its newest state.
    pub(crate) fn put(&mut self, lock: Arc<Lock>) {
        let of_target = self.0.entry(lock.target.clone()).or_default();
        match of_target.iter_mut().find(|known| known.id == lock.id) {
            Some(known) => *known = lock,
            None => of_target.push(lock),
        }
    }

    /// The targets of an agent, or of one that nobody has heard of.
    #[must_use]
    pub fn targets_of_agent(agent: Option<&Agent>) -> Vec<LockTarget> {
        let mut targets = vec![LockTarget::All];
        if let Some(agent) = agent {
            targets.push(LockTarget::Agent(agent.id));
            targets.extend(agent.described.owner.map(LockTarget::Owner));
        }
        targets
    }

    /// The targets of an apply of that task; of an agent that was erased only its id is known.
    #[must_use]
    pub fn targets(task: &Task, agent: Option<&Agent>, apply: &Apply) -> Vec<LockTarget> {
        let mut targets = Self::targets_of_agent(agent);
        targets.push(LockTarget::Agent(task.agent_id));
        targets.push(LockTarget::Task(task.id));
        targets.extend(apply.asked_by_key(task).map(LockTarget::Key));
        let operations = apply.check.requested.iter();
        targets.extend(operations.map(|asked| LockTarget::Operation(asked.operation.into())));
        targets
    }

    /// A lock in force on one of the targets.
    #[must_use]
    pub fn in_force(&self, targets: &[LockTarget], now: Timestamp) -> Option<&Lock> {
        self.on(targets).find(|lock| lock.is_in_force(now))
    }

    /// Whether something of these targets that was made then is dead: a lock stops one of them, or was set
    /// since. What was made at the very time of a lock counts as made before it.
    #[must_use]
    pub fn end(&self, targets: &[LockTarget], made: Timestamp, now: Timestamp) -> bool {
        self.on(targets)
            .any(|lock| made <= lock.set_at || lock.is_in_force(now))
    }

    /// Holds something of these targets to the locks in force.
    ///
    /// # Errors
    /// [`Rejection::Locked`].
    pub fn admit(&self, targets: &[LockTarget], now: Timestamp) -> Result<(), Rejection> {
        match self.in_force(targets, now) {
            Some(lock) => Err(refusal(lock)),
            None => Ok(()),
        }
    }

    /// Whether a lock on its user, or on a passkey by which the user logs in, ended a session. `holders` are
    /// the approvers of the user's principals.
    #[must_use]
    pub fn end_session(
        &self,
        (user, session): (&User, &Session),
        holders: &[Arc<Approver>],
        now: Timestamp,
    ) -> bool {
        let mut targets = vec![LockTarget::User(user.id)];
        for holder in holders {
            let passkeys = holder.credentials.iter().map(|known| &known.credential_id);
            let own = passkeys.filter(|id| user.logs_in_by(&holder.principal, id));
            targets.extend(own.cloned().map(LockTarget::Credential));
        }
        self.end(&targets, session.opened_at, now)
    }

    /// Whether one was ever set of which this holds.
    pub(crate) fn any(&self, holds: impl Fn(&Lock) -> bool) -> bool {
        self.0.values().flatten().any(|lock| holds(lock))
    }

    /// Every lock in force, in no order.
    pub fn all_in_force(&self, now: Timestamp) -> impl Iterator<Item = &Lock> {
        let all = self.0.values().flatten().map(AsRef::as_ref);
        all.filter(move |lock: &&Lock| lock.is_in_force(now))
    }

    fn on<'a, 't>(
        &'a self,
        targets: &'t [LockTarget],
    ) -> impl Iterator<Item = &'a Lock> + use<'a, 't> {
        let of_targets = targets.iter().filter_map(|target| self.0.get(target));
        of_targets.flatten().map(AsRef::as_ref)
    }
}

/// The refusal of what a lock stops.
pub(crate) fn refusal(lock: &Lock) -> Rejection {
    Rejection::Locked {
        kind: lock.target.named(),
        since: lock.set_at,
        until: LockEnd(lock.until),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::LockId;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn lock(id: u8, set_at: i64, until: Option<i64>, lifted_at: Option<i64>) -> Arc<Lock> {
        Arc::new(Lock {
            id: LockId::from_bytes([id; 16]),
            target: LockTarget::All,
            reason: "drill".to_owned(),
            set_at: at(set_at),
            until: until.map(at),
            lifted_at: lifted_at.map(at),
        })
    }

    #[test]
    fn locks_that_overlap_stop_until_the_last_of_them_is_lifted_whichever_that_is() {
        let mut locks = Locks::default();
        locks.put(lock(1, 10, None, None));
        locks.put(lock(2, 20, None, None));
        locks.put(lock(1, 10, None, Some(30)));
        assert!(locks.in_force(&[LockTarget::All], at(31)).is_some());
        locks.put(lock(2, 20, None, Some(40)));
        assert!(locks.in_force(&[LockTarget::All], at(41)).is_none());
        assert!(locks.end(&[LockTarget::All], at(20), at(41)));
        assert!(!locks.end(&[LockTarget::All], at(21), at(41)));
    }

    #[test]
    fn a_lock_with_an_end_stops_up_to_it_and_what_was_made_before_stays_dead() {
        let mut locks = Locks::default();
        locks.put(lock(1, 10, Some(20), None));
        assert!(locks.in_force(&[LockTarget::All], at(19)).is_some());
        assert!(locks.in_force(&[LockTarget::All], at(20)).is_none());
        assert!(locks.end(&[LockTarget::All], at(10), at(20)));
        assert!(!locks.end(&[LockTarget::All], at(11), at(20)));
    }
}
