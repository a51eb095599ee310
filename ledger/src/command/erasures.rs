//! Erasing what has ended: the payloads of a task and everything of it, of an agent, of an approver, or of a user
//! with their sessions.
//!
//! The event that says so, the rows that let the payloads go, and their removal are one commit.

mod found;
mod gathered;

use super::Command;
use super::upstream_keys::keys_of;
use crate::aggregate::{Agent, Approver, Task, User};
use crate::blob::Blob;
use crate::error::Error;
use crate::event::{ErasedName, ErasedSubject, Event, KeptCounter, LedgerErased, UpstreamKeyOwner};
use crate::id::{AgentId, ApproverId, StreamId, TaskId, UserId};
use crate::name::{AgentName, ApproverName, CredentialId};
use crate::rejection::Rejection;
use crate::storage::{LookupKey, ReadError, credential_counter};
use crate::writer::{Erasing, State, Transaction};
pub(crate) use found::{Found, Sought};
use gathered::Gathered;
pub(super) use gathered::ranges;
use std::collections::{BTreeMap, BTreeSet};

/// The longest reason, in characters.
const MAX_REASON: usize = 1000;
/// A name shorter than this may stand in a reason by chance.
const TELLING: usize = 4;

/// The subject of an erasure, as a person names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EraseTarget {
    /// A task with its applies, approvals, deliveries and refusals.
    Task(TaskId),
    /// The agent of that name.
    Agent(AgentName),
    /// The approver of that principal.
    Approver(ApproverName),
    /// A user who was deleted, with the sessions and failed logins.
    User(UserId),
}

impl EraseTarget {
    async fn stream(&self, tx: &mut Transaction<'_>) -> Result<StreamId, Error> {
        Ok(match self {
            Self::Task(id) => StreamId::from(*id),
            Self::User(id) => StreamId::from(*id),
            Self::Agent(name) => tx
                .find(&LookupKey::agent(name))
                .await?
                .ok_or(Rejection::AgentNotFound)?,
            Self::Approver(principal) => tx
                .find(&LookupKey::approver(principal))
                .await?
                .ok_or(Rejection::ApproverNotFound)?,
        })
    }
}

/// An erasure that was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erasure {
    /// The subject that was named.
    pub subject: ErasedSubject,
    /// The position of the event that says so.
    pub position: u64,
    /// The number of payloads that are gone.
    pub payloads: u64,
    /// Of how many streams.
    pub streams: usize,
    /// `false` when it had been erased before; nothing was recorded then.
    pub is_new: bool,
}

impl Erasure {
    fn of(erased: &LedgerErased, position: u64, is_new: bool) -> Self {
        Self {
            subject: erased.subject,
            position,
            payloads: erased.count(),
            streams: erased.streams.len(),
            is_new,
        }
    }
}

/// Erases what has ended. Only [`crate::Ledger::erase`] makes one.
#[derive(Debug, Clone)]
pub(crate) struct Erase {
    pub(crate) target: EraseTarget,
    /// The reason, without a word of what is erased.
    pub(crate) reason: String,
    /// The streams found before the writer's turn; it looks through what came since.
    pub(crate) found: Found,
}

impl Command for Erase {
    type Answer = Erasure;

    const IS_ALONE: bool = true;

    async fn run(mut self, tx: &mut Transaction<'_>) -> Result<Erasure, Error> {
        let stream = self.target.stream(tx).await?;
        if let State::Erased(by) = tx.entry(stream).await?.state {
            return erased_before(tx, by).await;
        }
        let subject = self.ended(tx, stream).await?;
        let mut gathered = Gathered::default();
        let others = match subject {
            ErasedSubject::Task(_) | ErasedSubject::User(_) => {
                std::mem::take(&mut self.found.streams)
            }
            _ => BTreeSet::new(),
        };
        for stream in std::iter::once(stream).chain(others) {
            let events = tx.read_stream(stream).await?;
            gathered.take(stream, &events, subject)?;
        }
        let mut keys: BTreeMap<LookupKey, Option<UserId>> = BTreeMap::new();
        for key in std::mem::take(&mut gathered.held) {
            // Where it leads elsewhere it is another's by now.
            if tx.find(&key).await? == Some(stream) {
                let before = held_before(tx, &self.found.users, stream, &key).await?;
                keys.insert(key, before);
            }
        }
        keys.extend(gathered.keys.into_iter().map(|key| (key, None)));
        let counters = kept_counters(tx, &gathered.decided_with).await?;
        let context = tx.context();
        let master_keys = &context.rules.master_keys;
        let gone = keys.iter().filter(|(_, before)| before.is_none());
        let names: Vec<ErasedName> = gone
            .filter_map(|(key, _)| key.name())
            .filter_map(|(kind, name)| {
                let digest = master_keys
                    .name_digests(context.ledger_id, kind, name)
                    .next()?;
                Some(ErasedName {
                    kind,
                    digest: Blob::from(digest.as_slice()),
                })
            })
            .collect();
        let erased = LedgerErased {
            subject,
            reason: self.reason.trim().to_owned(),
            positions: ranges(&gathered.positions),
            streams: gathered.streams,
            name_key: (!names.is_empty())
                .then(|| Blob::from(master_keys.current().as_bytes().as_slice())),
            names,
            counters,
            keys: gathered.thumbprints.into_iter().collect(),
        };
        // Alone in its batch, it is the next event.
        let done = Erasure::of(&erased, tx.size(), true);
        record(tx, erased, (gathered.positions, keys), false).await?;
        if let ErasedSubject::Task(task) = subject {
            tx.forget_refusals(task);
        }
        Ok(done)
    }
}

/// Records an erasure, and has the payloads at these positions erased with its commit and these lookups set. `may_wait`
/// as in [`Erasing`].
pub(super) async fn record(
    tx: &mut Transaction<'_>,
    erased: LedgerErased,
    (positions, keys): (BTreeSet<u64>, BTreeMap<LookupKey, Option<UserId>>),
    may_wait: bool,
) -> Result<(), Error> {
    let context = tx.context();
    let streams = erased.streams.iter().map(|erased| erased.stream_id);
    let erasing = Erasing {
        event_id: context.random.event_id(context.now),
        positions: positions.into_iter().collect(),
        streams: streams.collect(),
        may_wait,
    };
    let mut event = context.event(context.ledger_id, erased);
    event.event_id = erasing.event_id;
    tx.append(vec![event]).await?;
    tx.erase(erasing, keys);
    Ok(())
}

impl Erase {
    /// Checks that it has ended and that nobody waits for anything of it.
    async fn ended(
        &mut self,
        tx: &mut Transaction<'_>,
        stream: StreamId,
    ) -> Result<ErasedSubject, Error> {
        match &self.target {
            EraseTarget::Task(id) => {
                let task = tx.named::<Task>(*id).await?;
                check_reason(&self.reason, &task.name)?;
                if !has_ended(tx, &task).await? {
                    return Err(not_yet(
                        "the task is open, or an apply or approval of it is: close it with `task close`, and wait for what is under way to end",
                    ));
                }
                tx.seek(&mut self.found, Sought::Task(*id)).await?;
                Ok(ErasedSubject::Task(*id))
            }
            EraseTarget::Agent(name) => {
                check_reason(&self.reason, name)?;
                let id = AgentId::from(stream);
                let agent = tx.existing::<Agent>(id).await?;
                if !agent.grants.is_empty() {
                    return Err(not_yet(
                        "the agent has grants: take them away with `grant revoke --all`",
                    ));
                }
                let stored = keys_of(tx, UpstreamKeyOwner::Agent(id)).await?;
                if let Some(key) = stored.first() {
                    return Err(not_yet(format!(
                        "a key of {} is stored for the agent: remove it on the agent's page, or with DELETE \
                         /v1/agents/NAME/upstream-keys/{}",
                        key.upstream, key.upstream
                    )));
                }
                tx.seek(&mut self.found, Sought::Agent(id)).await?;
                for stream in self.found.streams.clone() {
                    match tx.entry(stream).await?.state {
                        State::Task(task) if !has_ended(tx, &task).await? => {
                            return Err(not_yet(format!(
                                "task {} of the agent is open: close it with `task close`",
                                task.id
                            )));
                        }
                        State::Key(key) if key.agent_id == id && key.revoked_at.is_none() => {
                            return Err(not_yet(format!(
                                "key {} of the agent is in force: take it away with `key revoke`",
                                key.id
                            )));
                        }
                        _ => {}
                    }
                }
                Ok(ErasedSubject::Agent(id))
            }
            EraseTarget::Approver(principal) => {
                check_reason(&self.reason, principal)?;
                let id = ApproverId::from(stream);
                let approver = tx.existing::<Approver>(id).await?;
                let is_gone = is_owner_gone(tx, principal).await?;
                if !is_gone && approver.active_credentials().next().is_some() {
                    return Err(not_yet(
                        "the approver has active passkeys: take them away with `credential revoke`",
                    ));
                }
                Ok(ErasedSubject::Approver(id))
            }
            EraseTarget::User(id) => {
                let user = tx.named::<User>(*id).await?;
                check_reason(&self.reason, &user.name)?;
                if !user.deleted {
                    return Err(not_yet("the user is there: delete it with `user delete`"));
                }
                tx.seek(&mut self.found, Sought::User(*id)).await?;
                Ok(ErasedSubject::User(*id))
            }
        }
    }
}

/// The user who held a key last before the one who is erased: a deleted one, as it was free again. A log without
/// the erased one says that it leads there.
async fn held_before(
    tx: &mut Transaction<'_>,
    users: &BTreeSet<StreamId>,
    erased: StreamId,
    key: &LookupKey,
) -> Result<Option<UserId>, Error> {
    let mut newest = None;
    for stream in users.iter().filter(|stream| **stream != erased) {
        let state = tx.entry(*stream).await?.state;
        if !matches!(&state, State::User(_)) || !state.answers_to(key) {
            continue;
        }
        for recorded in tx.read_stream(*stream).await? {
            let linked = User::linked_by(&recorded.event);
            if linked.is_some_and(|principal| LookupKey::linked(principal) == *key) {
                newest = newest.max(Some((recorded.position(), UserId::from(*stream))));
            }
        }
    }
    Ok(newest.map(|(_, user)| user))
}

/// Whether the principal is that of a user's own passkeys, and the user was deleted: nobody takes those away any
/// more.
async fn is_owner_gone(tx: &mut Transaction<'_>, principal: &ApproverName) -> Result<bool, Error> {
    let Some(id) = User::named_by(principal) else {
        return Ok(false);
    };
    match tx.load::<User>(id).await {
        Err(Error::Rejected(Rejection::Erased)) => Ok(true),
        user => Ok(user?.is_some_and(|user| user.deleted)),
    }
}

/// Closed, or so old that no token of it can be good any more; and nothing of it is open.
async fn has_ended(tx: &mut Transaction<'_>, task: &Task) -> Result<bool, Error> {
    let over = task.closed_at.is_some() || tx.context().now >= task.end_of_life();
    Ok(over && tx.open_streams(task.id).await?.is_empty())
}

fn not_yet(why: impl Into<String>) -> Error {
    Rejection::NotErasable { why: why.into() }.into()
}

/// The reason stays for good, so it must be one and must not repeat the name that goes.
fn check_reason(reason: &str, name: &str) -> Result<(), Rejection> {
    let invalid = |code, detail: String| Err(Rejection::Invalid { code, detail });
    if reason.trim().is_empty() {
        let detail = "reason must say why, without repeating what is erased".to_owned();
        return invalid("reason_missing", detail);
    }
    if reason.chars().count() > MAX_REASON {
        let detail = format!("reason must be at most {MAX_REASON} characters");
        return invalid("reason_too_long", detail);
    }
    let telling = name.chars().count() >= TELLING;
    if telling && reason.to_lowercase().contains(&name.to_lowercase()) {
        let detail =
            "reason stays in the ledger for good: it must not repeat the name that is erased";
        return invalid("reason_repeats_name", detail.to_owned());
    }
    Ok(())
}

/// The same answer as the first time.
async fn erased_before(tx: &mut Transaction<'_>, by: u64) -> Result<Erasure, Error> {
    let own = StreamId::from(tx.context().ledger_id);
    let events = tx.read_stream(own).await?;
    let said = events.iter().find(|recorded| recorded.position() == by);
    match said.map(|recorded| &recorded.event) {
        Some(Event::LedgerErased(erased)) => Ok(Erasure::of(erased, by, false)),
        _ => {
            let what = "payloads were erased by it, and it does not say so".to_owned();
            Err(ReadError::Damaged { position: by, what }.into())
        }
    }
}

/// The counters as they stand, of credentials whose approver still does.
async fn kept_counters(
    tx: &mut Transaction<'_>,
    decided_with: &BTreeSet<CredentialId>,
) -> Result<Vec<KeptCounter>, Error> {
    let mut kept = Vec::new();
    for credential in decided_with {
        let Some(holder) = tx.find(&LookupKey::credential(credential)).await? else {
            continue;
        };
        let State::Approver(approver) = tx.entry(holder).await?.state else {
            continue;
        };
        let index = approver
            .credentials
            .iter()
            .position(|known| known.credential_id == *credential)
            .and_then(|index| u32::try_from(index).ok());
        let (key, read) = credential_counter(credential);
        let counted = tx.look_up(&key).await?;
        if let (Some(credential), Some(value)) = (index, counted) {
            kept.push(KeptCounter {
                approver_id: approver.id,
                credential,
                sign_count: read(&value),
            });
        }
    }
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_and_does_not_repeat_the_name() {
        let code = |reason: &str, name| match check_reason(reason, name) {
            Err(Rejection::Invalid { code, .. }) => code,
            Err(other) => panic!("{other}"),
            Ok(()) => "fine",
        };
        assert_eq!(code(" ", "alice"), "reason_missing");
        assert_eq!(code(&"x".repeat(1001), "alice"), "reason_too_long");
        assert_eq!(code("Alice has left", "alice"), "reason_repeats_name");
        assert_eq!(code("request 2026-114", "alice"), "fine");
        // Two letters stand in many words.
        assert_eq!(code("asked to be forgotten", "be"), "fine");
    }
}
