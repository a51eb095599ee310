//! One command's view of the ledger inside a batch: what was committed, what earlier commands of
//! the batch decided, and what it decides itself.

use super::known::KnownKeys;
use super::proven::ProvenKeys;
use super::refusals::{Refusals, Refused};
use super::state::{Cache, Entry, State, Stored, existing};
use crate::admissions::Admissions;
use crate::aggregate::{
    Admission, Apply, Approval, ApprovalState, Clearance, Lock, PolicyVersion, Schedule, Task,
};
use crate::catalog::OperationId;
use crate::clock::{Random, Timestamp};
use crate::command::{Found, Sought};
use crate::counts::{Counts, Lately, Share, add, counted};
use crate::denials::{Denial, Denials};
use crate::error::Error;
use crate::event::{Actor, Envelope, Event, InStream, Recorded};
use crate::id::{AgentId, EventId, LedgerId, SessionId, StreamId, TaskId, UserId};
use crate::locks::Locks;
use crate::name::AgentName;
use crate::policy::{CurrentPolicy, PolicyInForce};
use crate::questions::{OpenQuestion, QuestionChanges, Questions, QuestionsNow, asked_from};
use crate::rejection::Rejection;
use crate::rules::Rules;
use crate::schedules::Schedules;
use crate::statement::Decision;
use crate::storage::{Decided, LookupKey, LookupKind, Lookups, NewEvent, Storage};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// A decision's context besides the states: time, randomness and rules come in from outside.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Never before the head's `recorded_at`.
    pub now: Timestamp,
    pub ledger_id: LedgerId,
    /// The source of ids.
    pub random: &'a dyn Random,
    /// The operator's configuration.
    pub rules: &'a Rules,
}

impl Context<'_> {
    /// A new stream or other id.
    #[must_use]
    pub fn id<T: From<StreamId>>(&self) -> T {
        T::from(StreamId::from_bytes(self.random.uuid_v7(self.now)))
    }

    /// An event with a fresh id, in a stream of its aggregate.
    ///
    /// ```
    /// # use ledger::{Context, NewEvent, TaskId, event::TaskClosed};
    /// fn closed(context: Context<'_>, id: TaskId) -> NewEvent {
    ///     context.event(id, TaskClosed { reason: None })
    /// }
    /// ```
    /// An event of another aggregate does not compile:
    /// ```compile_fail,E0308
    /// # use ledger::{ApplyId, Context, NewEvent, event::TaskClosed};
    /// fn closed(context: Context<'_>, id: ApplyId) -> NewEvent {
    ///     context.event(id, TaskClosed { reason: None })
    /// }
    /// ```
    #[must_use]
    pub fn event<F: InStream<Event>>(&self, stream: F::Id, form: F) -> NewEvent {
        NewEvent {
            stream: stream.into(),
            event_id: self.random.event_id(self.now),
            event: form.into(),
            cause: None,
        }
    }
}

/// The decisions of a batch so far.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) changed: HashMap<StreamId, Entry>,
    pub(crate) lookups: Lookups,
    pub(crate) events: Vec<Decided>,
    /// Locks that were set or lifted, each in its newest state last.
    pub(crate) locks: Vec<Arc<Lock>>,
    /// Questions that were opened or wait no more.
    pub(crate) questions: QuestionChanges,
    /// The policy that was put, if one was.
    pub(crate) policy: Option<Arc<CurrentPolicy>>,
    /// Blocks and allows that were set or lifted, each in its newest state last.
    pub(crate) admissions: Vec<Arc<Admission>>,
    /// Denials that were kept or ended, each in its newest state last.
    pub(crate) denials: Vec<Arc<Denial>>,
    /// What agents did that rules count, while a policy reads it.
    pub(crate) counted: HashMap<AgentName, Share>,
    /// Schedules that were put, fired or deleted, each in its newest state last.
    pub(crate) schedules: Vec<Arc<Schedule>>,
    /// The payloads that an event of the batch erases. The batch has no other command then.
    pub(crate) erasing: Option<Erasing>,
}

/// The payloads to be erased with a commit.
#[derive(Debug)]
pub(crate) struct Erasing {
    /// The event of the batch that says so.
    pub(crate) event_id: EventId,
    /// The positions whose payloads go.
    pub(crate) positions: Vec<u64>,
    /// The streams that they are all of.
    pub(crate) streams: Vec<StreamId>,
    /// Whether what is left in free pages and logs may wait until the next time that these are cleaned.
    pub(crate) may_wait: bool,
}

/// See the module's text.
pub struct Transaction<'w> {
    pub(super) storage: &'w mut dyn Storage,
    /// The size of the committed log.
    pub(super) size: u64,
    pub(super) cache: &'w Cache,
    pub(super) known: &'w mut KnownKeys,
    pub(super) proven: &'w mut ProvenKeys,
    pub(super) batch: &'w Batch,
    pub(super) own: Batch,
    /// The committed locks.
    pub(super) locks: &'w Arc<Locks>,
    /// The committed questions.
    pub(super) questions: &'w Questions,
    /// The committed policy.
    pub(super) policy: &'w Arc<CurrentPolicy>,
    /// The committed blocks and allows.
    pub(super) admissions: &'w Arc<Admissions>,
    /// The committed denials that are kept.
    pub(super) denials: &'w Arc<Denials>,
    /// What agents did lately, where the committed policy reads it.
    pub(super) counts: Option<&'w Mutex<Option<Counts>>>,
    /// The committed schedules.
    pub(super) schedules: &'w Arc<Schedules>,
    pub(super) envelope: Envelope,
    pub(super) context: Context<'w>,
    pub(super) refusals: &'w mut Refusals,
    pub(super) usage: &'w mut super::usage::Usage,
    pub(super) is_short_of_room: bool,
    /// The session of the user who asks was found valid, as of this batch.
    pub(super) is_user_proven: bool,
}

impl<'w> Transaction<'w> {
    /// Time, randomness and rules.
    #[must_use]
    pub const fn context(&self) -> Context<'w> {
        self.context
    }

    /// The actor, and the request.
    #[must_use]
    pub const fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// True when one more refusal of this task may be recorded by itself in this minute.
    pub(crate) fn may_record_refusal(&mut self, task: TaskId) -> bool {
        self.refusals.admit(Refused::Task(task), self.context.now)
    }

    /// True when one more refused write of this agent, with the task that was opened for it, may be recorded in this minute.
    pub(crate) fn may_record_refused_write(&mut self, agent: AgentId) -> bool {
        self.refusals
            .admit(Refused::Writes(agent), self.context.now)
    }

    /// True when one more failed login may be recorded by itself in this minute.
    pub(crate) fn may_record_failed_login(&mut self) -> bool {
        self.refusals.admit(Refused::Logins, self.context.now)
    }

    /// To be asked by what begins something new; what ends something goes on.
    ///
    /// # Errors
    /// [`crate::Rejection::InsufficientStorage`] when the disk has less room than the floor.
    pub(crate) const fn needs_room(&self) -> Result<(), Rejection> {
        if self.is_short_of_room {
            Err(Rejection::InsufficientStorage)
        } else {
            Ok(())
        }
    }

    /// The locks as of this command.
    pub(crate) fn locks(&self) -> Arc<Locks> {
        let decided = || self.batch.locks.iter().chain(&self.own.locks);
        if decided().next().is_none() {
            return Arc::clone(self.locks);
        }
        let mut locks = Locks::clone(self.locks);
        for lock in decided() {
            locks.put(Arc::clone(lock));
        }
        Arc::new(locks)
    }

    /// The newest version of the policy as of this command.
    pub(crate) fn current_policy(&self) -> &Arc<CurrentPolicy> {
        let decided = self.own.policy.as_ref().or(self.batch.policy.as_ref());
        decided.unwrap_or(self.policy)
    }

    /// The policy that this command is decided by; `None` where there is no document.
    pub(crate) fn policy(&self) -> Option<&Arc<PolicyInForce>> {
        self.current_policy().in_force.as_ref()
    }

    /// The questions that wait for a decision, as of this command.
    pub(crate) fn questions(&self) -> QuestionsNow<'_> {
        QuestionsNow {
            committed: self.questions,
            batch: &self.batch.questions,
            own: &self.own.questions,
        }
    }

    /// The blocks and allows as of this command.
    pub(crate) fn admissions(&self) -> Arc<Admissions> {
        let decided = || self.batch.admissions.iter().chain(&self.own.admissions);
        if decided().next().is_none() {
            return Arc::clone(self.admissions);
        }
        let mut admissions = Admissions::clone(self.admissions);
        for admission in decided() {
            admissions.put(Arc::clone(admission));
        }
        Arc::new(admissions)
    }

    /// The kept denials as of this command.
    pub(crate) fn denials(&self) -> Arc<Denials> {
        let decided = || self.batch.denials.iter().chain(&self.own.denials);
        if decided().next().is_none() {
            return Arc::clone(self.denials);
        }
        let mut denials = Denials::clone(self.denials);
        for denial in decided() {
            denials.put(Arc::clone(denial));
        }
        Arc::new(denials)
    }

    /// What an agent did lately, as of this command; unknown where the policy in force before its batch does not
    /// read it.
    pub(crate) fn lately(&self, agent: &AgentName) -> Lately {
        let Some(counts) = self.counts else {
            return Lately::default();
        };
        let mut more = Share::default();
        for decided in [&self.batch.counted, &self.own.counted] {
            if let Some(share) = decided.get(agent) {
                add(&mut more, share);
            }
        }
        let counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.context.now;
        let counts = counts.as_ref();
        counts.map_or_else(Lately::default, |counts| counts.lately(agent, more, now))
    }

    /// Whether the key of a kept decision was found to be that of what was decided on.
    pub(crate) fn is_proven(&mut self, clearance: &Clearance) -> bool {
        self.proven.has(clearance)
    }

    /// Notes that it was.
    pub(crate) fn note_proven(&mut self, clearance: &Clearance) {
        self.proven.take(clearance);
    }

    /// The schedules as of this command.
    pub(crate) fn schedules(&self) -> Arc<Schedules> {
        let decided = || self.batch.schedules.iter().chain(&self.own.schedules);
        if decided().next().is_none() {
            return Arc::clone(self.schedules);
        }
        let mut schedules = Schedules::clone(self.schedules);
        for schedule in decided() {
            schedules.put(Arc::clone(schedule));
        }
        Arc::new(schedules)
    }

    /// Notes that a session is valid as of this batch.
    pub(crate) fn user_acts_by(&mut self, session: SessionId) {
        if let Actor::User { via_id, .. } = self.envelope.actor {
            self.is_user_proven |= via_id == session;
        }
    }

    /// Whether a user is to have caused events, and nobody has asked whether they still may.
    pub(super) fn is_user_unproven(&self) -> bool {
        let is_user = matches!(self.envelope.actor, Actor::User { .. });
        is_user && !self.is_user_proven && !self.own.events.is_empty()
    }

    /// Admits so many bytes more to be recorded for the task.
    ///
    /// # Errors
    /// [`crate::Rejection::QuotaUsedUp`].
    pub(crate) fn admit_bytes(&mut self, task: &Task, bytes: usize) -> Result<(), Rejection> {
        let quotas = &self.context.rules.quotas;
        self.usage
            .admit(task.id, &task.agent, bytes, self.context.now, quotas)
    }

    pub(crate) async fn entry(&mut self, stream: StreamId) -> Result<Entry, Error> {
        if let Some(entry) = self.own.changed.get(&stream) {
            return Ok(entry.clone());
        }
        if let Some(entry) = self.batch.changed.get(&stream) {
            return Ok(entry.clone());
        }
        if let Some(entry) = self.cache.get(stream) {
            return Ok(entry);
        }
        // No transaction is open while commands decide, so this is the committed state.
        let entry = Entry::fold(&self.storage.stream(stream, self.size).await?);
        if entry.version > 0 {
            self.cache.put(stream, entry.clone());
        }
        Ok(entry)
    }

    /// The aggregate with that id; `None` when there is none.
    ///
    /// # Errors
    /// [`crate::Rejection::Erased`] when it was erased, besides what keeps it from being read.
    pub async fn load<A: Stored>(&mut self, id: A::Id) -> Result<Option<Arc<A>>, Error> {
        self.load_if(id.into()).await
    }

    /// The aggregate that a caller names.
    ///
    /// # Errors
    /// [`Aggregate::NOT_FOUND`] when there is none.
    pub(crate) async fn named<A: Stored>(&mut self, id: A::Id) -> Result<Arc<A>, Error> {
        Ok(self.load::<A>(id).await?.ok_or(A::NOT_FOUND)?)
    }

    /// The aggregate that an event names, of this transaction or of an earlier one.
    ///
    /// # Errors
    /// [`Error::Defect`] when there is none.
    pub(crate) async fn existing<A: Stored>(&mut self, id: A::Id) -> Result<Arc<A>, Error> {
        existing(id, self.load(id).await?)
    }

    /// The aggregate of a stream that may be of another kind; `None` when it is.
    pub(crate) async fn load_if<A: Stored>(
        &mut self,
        stream: StreamId,
    ) -> Result<Option<Arc<A>>, Error> {
        Ok(self.entry(stream).await?.state.get()?)
    }

    /// The committed events of a stream, in order.
    pub(crate) async fn read_stream(&mut self, stream: StreamId) -> Result<Vec<Recorded>, Error> {
        Ok(self.storage.stream(stream, self.size).await?)
    }

    /// The size of the committed log.
    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// The position of the next event that this command appends, once its batch is committed.
    pub(crate) fn next_position(&self) -> u64 {
        let decided = self.batch.events.len() + self.own.events.len();
        self.size
            .saturating_add(u64::try_from(decided).unwrap_or(u64::MAX))
    }

    /// Goes on looking for streams, in the committed log.
    pub(crate) async fn seek(&mut self, found: &mut Found, sought: Sought) -> Result<(), Error> {
        let from = found.size;
        let size = self
            .storage
            .first_events(from, &mut found.take(sought))
            .await?;
        found.size = size;
        Ok(())
    }

    pub(crate) async fn look_up(&mut self, key: &LookupKey) -> Result<Option<Vec<u8>>, Error> {
        let decided = self.own.lookups.get(key);
        if let Some(value) = decided.or_else(|| self.batch.lookups.get(key)) {
            return Ok(value.cloned());
        }
        Ok(self.known.get(key, self.storage).await?)
    }

    /// Reads together what is not known yet of several keys.
    pub(crate) async fn look_ahead(&mut self, keys: &[LookupKey]) -> Result<(), Error> {
        Ok(self.known.prefetch(keys.to_vec(), self.storage).await?)
    }

    /// Whether there is no row of a kind, as of this batch.
    pub(crate) async fn has_none(&mut self, kind: LookupKind) -> Result<bool, Error> {
        let is_decided = self.batch.lookups.has_any(kind) || self.own.lookups.has_any(kind);
        Ok(!is_decided && self.known.has_none(kind, self.storage).await?)
    }

    /// Every row of a kind of which there are few, as of this batch.
    pub(crate) async fn all_lookups(
        &mut self,
        kind: LookupKind,
    ) -> Result<BTreeMap<LookupKey, Vec<u8>>, Error> {
        let mut rows = self.known.all(kind, self.storage).await?.clone();
        self.batch.lookups.apply_to(&mut rows, kind);
        self.own.lookups.apply_to(&mut rows, kind);
        Ok(rows)
    }

    /// The stream that a key stands for, an erased one too.
    ///
    /// # Errors
    /// [`crate::storage::ReadError::LookupsDiffer`] where it leads to something else, besides what keeps it from being read.
    pub(crate) async fn find(&mut self, key: &LookupKey) -> Result<Option<StreamId>, Error> {
        let mut found = self.look_up(key).await?;
        if found.is_none() {
            for key in erased_names(key, self.context.rules, self.context.ledger_id) {
                found = found.or(self.look_up(&key).await?);
            }
        }
        let Some(found) = found else { return Ok(None) };
        let stream = StreamId::from_slice(&found).ok_or_else(|| key.misleads())?;
        match self.entry(stream).await?.state.answers_to(key) {
            true => Ok(Some(stream)),
            false => Err(key.misleads().into()),
        }
    }

    /// The aggregate that a key stands for.
    pub(crate) async fn find_state<A: Stored>(
        &mut self,
        key: &LookupKey,
    ) -> Result<Option<Arc<A>>, Error> {
        match self.find(key).await? {
            Some(stream) => self.load_if(stream).await,
            None => Ok(None),
        }
    }

    /// The applies and approvals of a task that have not ended.
    pub(crate) async fn open_streams(&mut self, task: TaskId) -> Result<Vec<StreamId>, Error> {
        let stored = self.storage.open_streams(task).await?;
        let stored = self.batch.lookups.open_streams(task, stored);
        Ok(self.own.lookups.open_streams(task, stored))
    }

    /// Takes in what was decided; later loads of this command and of the batch see it.
    pub async fn append(&mut self, events: Vec<NewEvent>) -> Result<(), Error> {
        for new in events {
            let mut entry = match new.event.begins() {
                // Its id was made by this decision: there is nothing to be read. Were there, the
                // table's key would refuse a second first event.
                true => Entry::default(),
                false => self.entry(new.stream).await?,
            };
            let version = entry.version;
            let held = entry.state.held();
            entry.evolve(&new.event, self.context.now);
            let task = entry.state.opened_under();
            let actor = &self.envelope.actor;
            self.own.lookups.fold(new.stream, task, actor, &new.event);
            self.own.lookups.replace(held, entry.state.held());
            if let State::Lock(lock) = &entry.state {
                self.own.locks.push(Arc::clone(lock));
            }
            if let State::Clearance(clearance) = &entry.state
                && clearance.decision == Decision::Deny
            {
                self.note_denial(Arc::clone(clearance)).await?;
            }
            self.note_question(new.stream, &entry.state);
            if self.counts.is_some()
                && let Some((agent, kind)) = counted(&new.event, &entry.state)
            {
                kind.add_to(self.own.counted.entry(agent).or_default());
            }
            if let State::PolicyVersion(policy) = &entry.state {
                self.own.policy = Some(Arc::new(PolicyVersion::current(policy)));
            }
            if let State::Admission(admission) = &entry.state {
                self.own.admissions.push(Arc::clone(admission));
            }
            if let State::Schedule(schedule) = &entry.state {
                self.own.schedules.push(Arc::clone(schedule));
            }
            self.own.changed.insert(new.stream, entry);
            self.own.events.push(Decided {
                new,
                version,
                envelope: self.envelope.clone(),
            });
        }
        Ok(())
    }

    /// Keeps account of the kept denials: with what was asked in the question of each.
    async fn note_denial(&mut self, clearance: Arc<Clearance>) -> Result<(), Error> {
        let denial = match clearance.ended {
            Some(_) => Denial::ended(clearance),
            None => {
                let asked = self.existing::<Approval>(clearance.approval_id).await?;
                let apply_id = asked.of_apply()?.apply_id;
                let apply = self.existing::<Apply>(apply_id).await?;
                Denial::of(clearance, &apply)?
            }
        };
        self.own.denials.push(Arc::new(denial));
        Ok(())
    }

    /// Keeps account of the questions that wait: one is opened by the apply that asks it, and waits no more
    /// once it is anything else than pending.
    fn note_question(&mut self, stream: StreamId, state: &State) {
        match state {
            State::Apply(apply) => {
                let Some(id) = apply.approval_id else { return };
                let asked = self.own.changed.get(&id.into());
                let Some(State::Approval(asked)) = asked.map(|entry| &entry.state) else {
                    return;
                };
                let about = asked.apply().filter(|about| about.apply_id == apply.id);
                if let Some(about) = about
                    && asked.state == ApprovalState::Pending
                {
                    let question = OpenQuestion {
                        agent: about.agent.clone(),
                        operations: operations_of(apply),
                        address: asked_from(apply.evaluation.as_deref()),
                        expires_at: asked.expires_at,
                    };
                    let changed = self.questions().changed(id, Some(question));
                    self.own.questions.absorb(changed);
                }
            }
            State::Approval(question) if question.state != ApprovalState::Pending => {
                let changed = self.questions().changed(stream.into(), None);
                self.own.questions.absorb(changed);
            }
            _ => {}
        }
    }

    /// Takes in an erasure. The event that says so has been appended. Each key leads to that user afterwards,
    /// or nowhere.
    pub(crate) fn erase(
        &mut self,
        erasing: Erasing,
        keys: impl IntoIterator<Item = (LookupKey, Option<UserId>)>,
    ) {
        for (key, user) in keys {
            self.own.lookups.set(key, user);
        }
        self.own.erasing = Some(erasing);
    }

    /// Drops the running count of a task's refusals.
    pub(crate) fn forget_refusals(&mut self, task: TaskId) {
        self.refusals.forget(task);
    }

    pub(super) fn into_decided(self) -> Batch {
        self.own
    }
}

impl Batch {
    /// Takes over what a command decided; later entries win.
    pub(crate) fn absorb(&mut self, decided: Self) {
        self.changed.extend(decided.changed);
        self.lookups.extend(decided.lookups);
        self.events.extend(decided.events);
        self.locks.extend(decided.locks);
        self.questions.absorb(decided.questions);
        self.policy = decided.policy.or(self.policy.take());
        self.admissions.extend(decided.admissions);
        self.denials.extend(decided.denials);
        for (agent, share) in decided.counted {
            add(self.counted.entry(agent).or_default(), &share);
        }
        self.schedules.extend(decided.schedules);
        self.erasing = decided.erasing.or(self.erasing.take());
    }
}

/// What an apply asks for, each once.
pub(crate) fn operations_of(apply: &Apply) -> HashSet<OperationId> {
    let asked = apply.check.requested.iter();
    asked.map(|asked| asked.operation).collect()
}

/// The keys under which a name is still known after what had it was erased.
pub(crate) fn erased_names(key: &LookupKey, rules: &Rules, ledger_id: LedgerId) -> Vec<LookupKey> {
    match key.name() {
        Some((kind, name)) => rules
            .master_keys
            .name_digests(ledger_id, kind, name)
            .map(|digest| LookupKey::erased_name(kind, &digest))
            .collect(),
        None => Vec::new(),
    }
}
