//! The handle on an open ledger: commands go in, committed states and events come out.

mod callbacks;
mod erasing;
mod measuring;
mod policies;
mod starting;
mod voters_at;
mod votes;

pub use policies::policy_at;
pub use starting::{Opened, Surroundings, Unprovable};
pub use voters_at::can_meet_at;
pub use votes::Voter;

use crate::admissions::Admissions;
use crate::agent_key::AgentKeyHash;
use crate::aggregate::{
    Agent, Apply, Approval, Approver, Credential, Group, Key, Session, Task, Upstream, UpstreamKey,
    UpstreamSecret, User,
};
use crate::checkpoints::Checkpoints;
use crate::clock::{Clock, Random, Timestamp};
use crate::command::Command;
use crate::counts::Lately;
use crate::denials::Denials;
use crate::error::Error;
use crate::event::{
    Actor, Envelope, FileDigest, LockTarget, Recorded, SessionTokenHash, UpstreamKeyOwner,
};
use crate::id::{AgentId, CommandId, LedgerId, RequestId, StreamId, TaskId, UserId};
use crate::label::UserName;
use crate::locks::Locks;
use crate::name::{AgentName, ApproverName, CredentialId, UpstreamName};
use crate::operation::ScopeId;
use crate::password_hash::PasswordHash;
use crate::rules::Rules;
use crate::schedules::Schedules;
use crate::seal::{SealContext, SealError, Sealed};
use crate::storage::{Log, LookupKey, LookupKind, ReadError};
use crate::tlog::Frontier;
use crate::upstream_key::{self, UpstreamApiKey};
use crate::writer::{Entry, Found, Job, Shared, Stored, TypedJob, Urgent, erased_names, existing};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

/// The number of commands that may wait for the writer before callers wait to be let in.
const QUEUE: usize = 1024;
/// How often a name is looked up again that has moved meanwhile.
const TRIES: usize = 4;
/// What the payloads of events that are read together may come to, in bytes: one can have several
/// megabytes, and whoever follows the log asks for thousands.
const MOST_BYTES_READ: u64 = 16 * 1024 * 1024;

/// The actor of a command, and the request that it is for.
#[derive(Debug, Clone)]
pub struct Origin {
    /// The actor.
    pub actor: Actor,
    /// The request it is for.
    pub request_id: Option<RequestId>,
}

impl Origin {
    /// A worker of the service.
    #[must_use]
    pub fn system(component: &str) -> Self {
        Self {
            actor: Actor::system(component),
            request_id: None,
        }
    }
}

/// An open ledger. Clones share the one writer; the last one to go lets the writer finish.
#[derive(Clone)]
pub struct Ledger {
    jobs: mpsc::Sender<Box<dyn Job>>,
    urgent: Urgent,
    shared: Arc<Shared>,
    log: Arc<dyn Log>,
    rules: Arc<Rules>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    checkpoints: Option<Checkpoints>,
    unprovable: Option<Unprovable>,
}

/// The writer's task. It ends when every [`Ledger`] handle is gone, or with the error that keeps
/// it from writing: then the process must end too.
pub type WriterTask = tokio::task::JoinHandle<Result<(), Error>>;

impl Ledger {
    /// Runs a command on the writer. The answer comes when its events are durable. Dropping the
    /// future takes nothing back.
    pub async fn execute<C: Command>(
        &self,
        origin: Origin,
        command: C,
    ) -> Result<C::Answer, Error> {
        let (reply, answer) = oneshot::channel();
        let envelope = Envelope {
            actor: origin.actor,
            request_id: origin.request_id,
            cause: None,
            command_id: CommandId::from_bytes(self.random.uuid_v7(self.clock.now())),
        };
        let job = TypedJob {
            command: Some(command),
            envelope,
            decision: None,
            reply,
        };
        if C::IS_URGENT {
            if !self.urgent.push(Box::new(job), &self.jobs) {
                return Err(Error::Stopped);
            }
        } else {
            let sent = self.jobs.send(Box::new(job)).await;
            sent.map_err(|_| Error::Stopped)?;
        }
        let answer = answer.await.map_err(|_| Error::Stopped)?;
        self.note_damage(answer.as_ref().is_err_and(Error::is_damage));
        answer
    }

    /// The newest committed state of an aggregate; `None` when there is none with that id.
    ///
    /// ```
    /// # use ledger::{ApplyId, Error, Ledger, TaskId, aggregate::{Apply, Task}};
    /// async fn task(ledger: &Ledger, id: TaskId) -> Result<bool, Error> {
    ///     Ok(ledger.load::<Task>(id).await?.is_some())
    /// }
    /// ```
    /// The id of another aggregate does not compile, nor does that of any stream:
    /// ```compile_fail,E0308
    /// # use ledger::{ApplyId, Error, Ledger, TaskId, aggregate::{Apply, Task}};
    /// async fn task(ledger: &Ledger, id: ApplyId) -> Result<bool, Error> {
    ///     Ok(ledger.load::<Task>(id).await?.is_some())
    /// }
    /// ```
    /// ```compile_fail,E0308
    /// # use ledger::{Error, Ledger, StreamId, aggregate::Task};
    /// async fn task(ledger: &Ledger, id: StreamId) -> Result<bool, Error> {
    ///     Ok(ledger.load::<Task>(id).await?.is_some())
    /// }
    /// ```
    ///
    /// # Errors
    /// [`crate::Rejection::Erased`] when it was erased, besides what keeps it from being read.
    pub async fn load<A: Stored>(&self, id: A::Id) -> Result<Option<Arc<A>>, Error> {
        Ok(self.entry(id.into()).await?.state.get()?)
    }

    /// The newest committed state of an aggregate that an event or another aggregate names.
    ///
    /// # Errors
    /// [`Error::Defect`] when there is none, besides what keeps it from being read.
    pub async fn existing<A: Stored>(&self, id: A::Id) -> Result<Arc<A>, Error> {
        existing(id, self.load(id).await?)
    }

    async fn entry(&self, stream: StreamId) -> Result<Entry, Error> {
        let size = match self.shared.cache.find(stream) {
            Found::Kept(entry) => return Ok(entry),
            Found::UpTo(size) => size,
        };
        let events = self.noted(self.log.stream(stream, size).await)?;
        let entry = Entry::fold(&events);
        self.shared.cache.offer(size, stream, &entry);
        Ok(entry)
    }

    /// The approver of that principal, in its newest committed state; `None` when nobody has heard
    /// of it.
    pub async fn approver(&self, principal: &ApproverName) -> Result<Option<Arc<Approver>>, Error> {
        self.find(LookupKey::approver(principal)).await
    }

    /// The agent of that name, in its newest committed state; `None` when nobody has heard of it.
    pub async fn agent(&self, name: &AgentName) -> Result<Option<Arc<Agent>>, Error> {
        self.find(LookupKey::agent(name)).await
    }

    /// The agent key with that hash, in its newest committed state; `None` when there is none.
    pub async fn agent_key(&self, hash: &AgentKeyHash) -> Result<Option<Arc<Key>>, Error> {
        self.find(LookupKey::agent_key(hash)).await
    }

    /// The approval that was asked last for a task, in its newest committed state.
    pub async fn newest_approval(&self, task: TaskId) -> Result<Option<Arc<Approval>>, Error> {
        self.find(LookupKey::newest_approval(task)).await
    }

    /// The living user of that name, in its newest committed state.
    pub async fn user_named(&self, name: &UserName) -> Result<Option<Arc<User>>, Error> {
        self.find(LookupKey::user(name)).await
    }

    /// The session whose token has that hash, in its newest committed state, also where it has ended; `None`
    /// where there is none, or it was erased with its user.
    pub async fn session_of(&self, hash: &SessionTokenHash) -> Result<Option<Arc<Session>>, Error> {
        Error::none_if_erased(self.find(LookupKey::session(hash)).await)
    }

    /// The approver that has that credential, in its newest committed state; `None` where none has.
    pub async fn approver_of(&self, id: &CredentialId) -> Result<Option<Arc<Approver>>, Error> {
        self.find(LookupKey::credential(id)).await
    }

    /// The user who logs in by that passkey; `None` where nobody does.
    pub async fn user_of_passkey(&self, id: &CredentialId) -> Result<Option<Arc<User>>, Error> {
        let approver = self.approver_of(id).await?;
        let Some(principal) = approver.map(|approver| approver.principal.clone()) else {
            return Ok(None);
        };
        // Nobody logs in as one who was erased.
        let user = Error::none_if_erased(self.owner(&principal).await)?;
        Ok(user.filter(|user| user.logs_in_by(&principal, id)))
    }

    /// The user whose principal it is: by its name, or because the user has shown a passkey of it.
    pub async fn owner(&self, principal: &ApproverName) -> Result<Option<Arc<User>>, Error> {
        match User::named_by(principal) {
            Some(user) => self.load::<User>(user).await,
            None => self.find::<User>(LookupKey::linked(principal)).await,
        }
    }

    /// The approver of that principal, where its passkeys decide; `None` where it was erased, and where the
    /// user whose principal it is was disabled, deleted or erased.
    pub async fn decider(&self, principal: &ApproverName) -> Result<Option<Arc<Approver>>, Error> {
        let is_enabled = match self.owner(principal).await {
            Err(Error::Rejected(crate::Rejection::Erased)) => false,
            owner => owner?.map_or(User::named_by(principal).is_none(), |user| {
                user.is_enabled()
            }),
        };
        if is_enabled {
            Error::none_if_erased(self.approver(principal).await)
        } else {
            Ok(None)
        }
    }

    /// The passkeys by which a user logs in.
    pub async fn passkeys_of(&self, user: &User) -> Result<Vec<Credential>, Error> {
        let mut passkeys = Vec::new();
        for principal in user.principals() {
            let approver = Error::none_if_erased(self.approver(&principal).await)?;
            if let Some(approver) = approver {
                let active = approver.active_passkeys().cloned();
                passkeys.extend(
                    active.filter(|passkey| user.logs_in_by(&principal, &passkey.credential_id)),
                );
            }
        }
        Ok(passkeys)
    }

    /// The locks as of the last commit.
    #[must_use]
    pub fn locks(&self) -> Arc<Locks> {
        Arc::clone(&self.shared.locks.borrow())
    }

    /// The blocks and allows as of the last commit.
    #[must_use]
    pub fn admissions(&self) -> Arc<Admissions> {
        Arc::clone(&self.shared.admissions.borrow())
    }

    /// The blocks and allows, for who waits until they change.
    #[must_use]
    pub fn watch_admissions(&self) -> watch::Receiver<Arc<Admissions>> {
        self.shared.admissions.subscribe()
    }

    /// The kept denials as of the last commit.
    #[must_use]
    pub fn denials(&self) -> Arc<Denials> {
        Arc::clone(&self.shared.denials.borrow())
    }

    /// The kept denials, for who waits until they change.
    #[must_use]
    pub fn watch_denials(&self) -> watch::Receiver<Arc<Denials>> {
        self.shared.denials.subscribe()
    }

    /// What an agent did lately, as of the last commit; unknown where the policy in force does not read it.
    #[must_use]
    pub fn lately(&self, agent: &AgentName) -> Lately {
        let counts = self.shared.counts();
        let now = self.now();
        counts.as_ref().map_or_else(Lately::default, |counts| {
            counts.lately(agent, Default::default(), now)
        })
    }

    /// The schedules as of the last commit.
    #[must_use]
    pub fn schedules(&self) -> Arc<Schedules> {
        Arc::clone(&self.shared.schedules.borrow())
    }

    /// Tells of each commit that changes a schedule.
    #[must_use]
    pub fn watch_schedules(&self) -> watch::Receiver<Arc<Schedules>> {
        self.shared.schedules.subscribe()
    }

    /// What of an apply can be locked; empty where no lock was ever set.
    ///
    /// # Errors
    /// As [`Self::existing`].
    pub async fn lock_targets(&self, apply: &Apply) -> Result<Vec<LockTarget>, Error> {
        if self.locks().is_empty() {
            return Ok(Vec::new());
        }
        let task = self.existing::<Task>(apply.task_id).await?;
        let agent = Error::none_if_erased(self.load::<Agent>(task.agent_id).await)?;
        Ok(Locks::targets(&task, agent.as_deref(), apply))
    }

    /// Holds an agent, and what else is named, to the locks as of the last commit.
    ///
    /// # Errors
    /// [`crate::Rejection::Locked`].
    pub async fn admit_agent(&self, agent: AgentId, besides: &[LockTarget]) -> Result<(), Error> {
        let locks = self.locks();
        if locks.is_empty() {
            return Ok(());
        }
        let known = Error::none_if_erased(self.load::<Agent>(agent).await)?;
        let mut targets = Locks::targets_of_agent(known.as_deref());
        targets.push(LockTarget::Agent(agent));
        targets.extend_from_slice(besides);
        Ok(locks.admit(&targets, self.now())?)
    }

    /// Whether the command-line key that opened a session was taken away since.
    pub async fn is_session_key_gone(&self, session: &Session) -> Result<bool, Error> {
        let Some(key) = &session.key else {
            return Ok(false);
        };
        let holder = Error::none_if_erased(self.approver_of(key).await)?;
        Ok(holder.is_none_or(|holder| holder.active_credential(key).is_none()))
    }

    /// The command-line keys of a user's own that are in force, in the order in which they were added.
    pub async fn software_keys_of(&self, user: &User) -> Result<Vec<Credential>, Error> {
        let own = Error::none_if_erased(self.approver(&user.principal()).await)?;
        let active = own.iter().flat_map(|own| own.active_credentials());
        Ok(active
            .filter(|known| !known.is_passkey())
            .cloned()
            .collect())
    }

    /// Whether a lock on its user, or on a passkey by which the user logs in, ended a session.
    pub async fn is_session_locked(&self, user: &User, session: &Session) -> Result<bool, Error> {
        let locks = self.locks();
        if locks.is_empty() {
            return Ok(false);
        }
        let mut holders = Vec::new();
        for principal in user.principals() {
            holders.extend(Error::none_if_erased(self.approver(&principal).await)?);
        }
        Ok(locks.end_session((user, session), &holders, self.now()))
    }

    /// The locks, for who waits until they change.
    #[must_use]
    pub fn watch_locks(&self) -> watch::Receiver<Arc<Locks>> {
        self.shared.locks.subscribe()
    }

    /// Every living user, in no order.
    pub async fn users(&self) -> Result<Vec<Arc<User>>, Error> {
        let rows = self.noted(self.log.all_lookups(LookupKind::Roster).await)?;
        let ids = rows.iter().map(|(key, _)| key.parts().1);
        let mut users = Vec::with_capacity(rows.len());
        for id in ids.filter_map(UserId::from_slice) {
            users.extend(self.load::<User>(id).await?);
        }
        users.retain(|user| !user.deleted);
        Ok(users)
    }

    /// Every group, in no order.
    pub async fn groups(&self) -> Result<Vec<Arc<Group>>, Error> {
        let rows = self.noted(self.log.all_lookups(LookupKind::Group).await)?;
        let mut groups = Vec::with_capacity(rows.len());
        for id in rows.iter().filter_map(|(_, id)| StreamId::from_slice(id)) {
            groups.extend(self.load::<Group>(id.into()).await?);
        }
        groups.retain(|group| !group.deleted);
        Ok(groups)
    }

    /// The hash of a user's password, to be verified; `None` where it has none.
    ///
    /// # Errors
    /// Where it cannot be opened: its master key is not configured, or the file was changed.
    pub fn password_hash(&self, user: &User) -> Result<Option<PasswordHash>, SealError> {
        let Some(password) = &user.password else {
            return Ok(None);
        };
        let place = SealContext {
            ledger_id: self.id(),
            stream: user.id.into(),
            field: PasswordHash::FIELD,
        };
        let sealed = Sealed::from_bytes(password.sealed_hash.as_slice().to_vec());
        let opened = self.rules.master_keys.open(&place, &sealed)?;
        let text = std::str::from_utf8(&opened).map_err(|_| SealError::Damaged)?;
        let hash = PasswordHash::parse(text).map_err(|_| SealError::Damaged)?;
        Ok(Some(hash))
    }

    /// The API that is open under a name, as of the last commit.
    pub async fn upstream(&self, name: &UpstreamName) -> Result<Option<Arc<Upstream>>, Error> {
        self.find(LookupKey::upstream(name)).await
    }

    /// Every API that is open, by its name.
    pub async fn upstreams(&self) -> Result<Vec<Arc<Upstream>>, Error> {
        let rows = self.log.all_lookups(LookupKind::Upstream).await?;
        let mut upstreams = Vec::with_capacity(rows.len());
        for (row, _) in rows {
            upstreams.extend(self.find::<Upstream>(row).await?);
        }
        upstreams.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(upstreams)
    }

    /// The files of an account that went up under these hashes, by their hashes.
    pub async fn asset_files(
        &self,
        account: &ScopeId,
        hashes: impl Iterator<Item = &str>,
    ) -> Result<HashMap<String, FileDigest>, Error> {
        let keys: HashMap<LookupKey, &str> = hashes
            .map(|hash| (LookupKey::asset_file(account, hash), hash))
            .collect();
        let wanted: Vec<LookupKey> = keys.keys().cloned().collect();
        let found = self.noted(self.log.lookups(&wanted).await)?;
        let known = found.iter().filter_map(|(key, digest)| {
            let hash = keys.get(key)?;
            Some(((*hash).to_owned(), FileDigest::from_slice(digest)?))
        });
        Ok(known.collect())
    }

    /// The key that is stored for a user or an agent and an upstream; `None` where none is.
    pub async fn upstream_key(
        &self,
        owner: UpstreamKeyOwner,
        upstream: &UpstreamName,
    ) -> Result<Option<Arc<UpstreamKey>>, Error> {
        self.find(LookupKey::upstream_key(owner, upstream)).await
    }

    /// A stored key, opened; `None` where none is stored.
    ///
    /// # Errors
    /// The inner one where it cannot be opened: its master key is not configured, or the file was changed.
    pub async fn upstream_api_key(
        &self,
        owner: UpstreamKeyOwner,
        upstream: &UpstreamName,
    ) -> Result<Option<Result<UpstreamApiKey, SealError>>, Error> {
        let mut gone = None;
        loop {
            let Some(key) = self.upstream_key(owner, upstream).await? else {
                return Ok(None);
            };
            match self.existing::<UpstreamSecret>(key.secret_id).await {
                // It was replaced or removed since.
                Err(Error::Rejected(crate::Rejection::Erased)) if gone != Some(key.id) => {
                    gone = Some(key.id);
                }
                secret => {
                    let sealed = secret?;
                    let (keys, id) = (&self.rules.master_keys, self.id());
                    let sealed = sealed.sealed.as_slice();
                    let field = upstream_key::field(owner, upstream);
                    let place = upstream_key::place(id, owner, &field);
                    return Ok(Some(UpstreamApiKey::open(keys, &place, sealed)));
                }
            }
        }
    }

    /// The key that agents share for an upstream, opened; `None` where none is stored.
    ///
    /// # Errors
    /// The inner one where it cannot be opened: its master key is not configured, the file was changed, or the
    /// upstream is at another address than the key was stored for.
    pub async fn shared_api_key(
        &self,
        upstream: &UpstreamName,
    ) -> Result<Option<Result<UpstreamApiKey, SealError>>, Error> {
        let mut gone = None;
        loop {
            let Some(known) = self.upstream(upstream).await? else {
                return Ok(None);
            };
            let (Some(key), Some(base_url)) = (&known.key, known.base_url()) else {
                return Ok(None);
            };
            match self.existing::<UpstreamSecret>(key.secret_id).await {
                // It was replaced or removed since.
                Err(Error::Rejected(crate::Rejection::Erased)) if gone != Some(key.secret_id) => {
                    gone = Some(key.secret_id);
                }
                secret => {
                    let sealed = secret?;
                    let (keys, id) = (&self.rules.master_keys, self.id());
                    let field = upstream_key::shared_field(upstream, base_url);
                    let place = upstream_key::shared_place(id, key.secret_id, &field);
                    let opened = UpstreamApiKey::open(keys, &place, sealed.sealed.as_slice());
                    return Ok(Some(opened));
                }
            }
        }
    }

    /// The stream that a key stands for, an erased one too.
    async fn stream_of(&self, key: LookupKey) -> Result<Option<StreamId>, ReadError> {
        let size = match self.shared.cache.lead(&key) {
            Found::Kept(stream) => return Ok(stream),
            Found::UpTo(size) => size,
        };
        let mut found = self.log.lookups(std::slice::from_ref(&key)).await?;
        if found.is_empty() {
            let names = erased_names(&key, &self.rules, self.shared.ledger_id);
            found = self.log.lookups(&names).await?;
        }
        let found = found.into_iter().next();
        let stream = found.and_then(|(_, value)| StreamId::from_slice(&value));
        self.shared.cache.offer_lead(size, key, stream);
        Ok(stream)
    }

    async fn find<A: Stored>(&self, key: LookupKey) -> Result<Option<Arc<A>>, Error> {
        for _ in 0..TRIES {
            let size = *self.shared.size.borrow();
            let Some(stream) = self.noted(self.stream_of(key.clone()).await)? else {
                return Ok(None);
            };
            let state = self.entry(stream).await?.state;
            if state.answers_to(&key) {
                return Ok(state.get()?);
            }
            // Names move: the row may be of a commit that is not published yet, or of one before.
            if !self.moves_on(size).await? {
                break;
            }
        }
        Ok(self.noted(Err(key.misleads()))?)
    }

    /// Whether more is stored than that size; waits a moment until it is published.
    async fn moves_on(&self, size: u64) -> Result<bool, Error> {
        let head = self.noted(self.log.head().await)?;
        let stored = head.map_or(0, |head| head.size);
        let mut published = self.shared.size.subscribe();
        let published = published.wait_for(|published| *published >= stored);
        drop(tokio::time::timeout(Duration::from_secs(1), published).await);
        Ok(stored > size)
    }

    /// Waits until the state of an aggregate that there is satisfies `until`, at most for `patience`;
    /// gives the state as it is then.
    ///
    /// # Errors
    /// As [`Self::existing`].
    pub async fn wait_for<A: Stored>(
        &self,
        id: A::Id,
        patience: Duration,
        until: impl Fn(&A) -> bool,
    ) -> Result<Arc<A>, Error> {
        let watch = self.shared.watchers.watch(id.into());
        let deadline = tokio::time::sleep(patience);
        tokio::pin!(deadline);
        loop {
            let changed = watch.notify.notified();
            tokio::pin!(changed);
            // Registered before the look, so that no change in between is missed.
            changed.as_mut().enable();
            let state = self.existing::<A>(id).await?;
            if until(&state) {
                return Ok(state);
            }
            tokio::select! {
                () = changed => {}
                () = &mut deadline => return Ok(state),
            }
        }
    }

    /// Up to `limit` committed events from a position on.
    pub async fn events_from(
        &self,
        position: u64,
        limit: u32,
    ) -> Result<Vec<Arc<Recorded>>, ReadError> {
        let most = usize::try_from(limit).unwrap_or(usize::MAX);
        if let Some(events) = self.shared.recent.from(position, most) {
            return Ok(events);
        }
        // What stands beyond the size that this process knows, it has not written.
        let size = *self.shared.size.borrow();
        let left = u32::try_from(size.saturating_sub(position)).unwrap_or(u32::MAX);
        let limit = limit.min(left);
        let read = self.log.events_within(position, limit, MOST_BYTES_READ);
        let events = self.noted(read.await)?;
        Ok(events.into_iter().map(Arc::new).collect())
    }

    /// The log's size (the next position), and its changes.
    #[must_use]
    pub fn size(&self) -> watch::Receiver<u64> {
        self.shared.size.subscribe()
    }

    /// The tree over the whole log and its growth; `None` while that of a ledger from an earlier
    /// version is still being filled.
    #[must_use]
    pub fn tree(&self) -> watch::Receiver<Option<Frontier>> {
        self.shared.tree.subscribe()
    }

    /// The ledger's checkpoints; `None` when it was opened without a key.
    #[must_use]
    pub const fn checkpoints(&self) -> Option<&Checkpoints> {
        self.checkpoints.as_ref()
    }

    /// The doubt that was accepted when this was opened; `None` where the ledger was proven.
    #[must_use]
    pub const fn unprovable(&self) -> Option<&Unprovable> {
        self.unprovable.as_ref()
    }

    /// The reason for which commits fail at the moment; `None` while they do not.
    #[must_use]
    pub fn failing(&self) -> Option<String> {
        self.shared.failing.borrow().clone()
    }

    /// True when something was read, since the start, that is not what was written: the file must be
    /// replaced by a sound copy. What was recorded before stays readable as far as it can be read.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.shared.damaged.load(Ordering::Relaxed)
    }

    fn noted<T>(&self, read: Result<T, ReadError>) -> Result<T, ReadError> {
        self.note_damage(read.as_ref().is_err_and(ReadError::is_damage));
        read
    }

    fn note_damage(&self, is_damaged: bool) {
        if is_damaged {
            self.shared.damaged.store(true, Ordering::Relaxed);
        }
    }

    /// True while the writer takes commands.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// The lag of the clock behind the newest event; zero when there is none.
    #[must_use]
    pub fn clock_behind(&self) -> Duration {
        Timestamp::from_micros(self.shared.newest.load(Ordering::Acquire)).since(self.clock.now())
    }

    /// `now` as decisions see it: never before the newest event.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.clock.now().max(Timestamp::from_micros(
            self.shared.newest.load(Ordering::Acquire),
        ))
    }

    /// This ledger's id.
    #[must_use]
    pub fn id(&self) -> LedgerId {
        self.shared.ledger_id
    }

    /// The rules that decisions follow.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The wall clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The source of ids and nonces.
    #[must_use]
    pub fn random(&self) -> &Arc<dyn Random> {
        &self.random
    }

    /// The log as it is stored.
    #[must_use]
    pub fn log(&self) -> &Arc<dyn Log> {
        &self.log
    }
}
