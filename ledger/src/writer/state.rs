//! The aggregates that the writer keeps: one state for each stream, shared once committed.

use crate::aggregate::{
    Admission, Agent, Aggregate, Apply, Approval, Approver, AssetUpload, Call, Clearance, Delivery,
    Group, Key, Lock, PolicyVersion, Schedule, Session, Task, Template, Upstream, UpstreamKey,
    UpstreamSecret, User,
};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{AggregateKind, Event, Recorded, StreamKind};
use crate::id::{StreamId, TaskId};
use crate::name::CredentialId;
use crate::rejection::Rejection;
use crate::storage::{Held, LookupKey, LookupKind, Lookups, NO_TASK, RowClass, of_group, of_user};
use lru::LruCache;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The folded state of a stream of any kind.
#[derive(Debug, Clone, Default)]
pub(crate) enum State {
    /// No event yet, or a stream that nothing is decided on.
    #[default]
    None,
    Task(Arc<Task>),
    Apply(Arc<Apply>),
    Approval(Arc<Approval>),
    Agent(Arc<Agent>),
    Approver(Arc<Approver>),
    Delivery(Arc<Delivery>),
    User(Arc<User>),
    Group(Arc<Group>),
    Session(Arc<Session>),
    Key(Arc<Key>),
    Template(Arc<Template>),
    Lock(Arc<Lock>),
    PolicyVersion(Arc<PolicyVersion>),
    Clearance(Arc<Clearance>),
    Admission(Arc<Admission>),
    Schedule(Arc<Schedule>),
    UpstreamKey(Arc<UpstreamKey>),
    Upstream(Arc<Upstream>),
    UpstreamSecret(Arc<UpstreamSecret>),
    Call(Arc<Call>),
    AssetUpload(Arc<AssetUpload>),
    /// Its payloads were erased, by the event at that position.
    Erased(u64),
}

/// An aggregate that the writer keeps.
pub trait Stored: Aggregate {
    #[doc(hidden)]
    fn from_state(state: &StateRef<'_>) -> Option<Arc<Self>>;
}

/// The loaded aggregate that an event names.
///
/// # Errors
/// [`Error::Defect`] when it has given none.
pub(crate) fn existing<A: Stored>(id: A::Id, loaded: Option<Arc<A>>) -> Result<Arc<A>, Error> {
    loaded.ok_or_else(|| Error::defect(format!("an event names {id}: {}", A::NOT_FOUND)))
}

/// A look at a kept state; opaque outside the writer.
#[derive(Debug)]
pub struct StateRef<'a>(&'a State);

macro_rules! stored {
    ($($kind:ident),+) => {$(
        impl Stored for $kind {
            fn from_state(state: &StateRef<'_>) -> Option<Arc<Self>> {
                match state.0 {
                    State::$kind(state) => Some(Arc::clone(state)),
                    _ => None,
                }
            }
        }
    )+};
}
stored!(
    Task,
    Apply,
    Approval,
    Agent,
    Approver,
    Delivery,
    User,
    Group,
    Session,
    Key,
    Template,
    Lock,
    PolicyVersion,
    Clearance,
    Admission,
    Schedule,
    UpstreamKey,
    Upstream,
    UpstreamSecret,
    Call,
    AssetUpload
);

impl State {
    /// The aggregate, where it is of that kind.
    ///
    /// # Errors
    /// [`Rejection::Erased`], whatever kind it was of.
    pub(crate) fn get<A: Stored>(&self) -> Result<Option<Arc<A>>, Rejection> {
        match self {
            Self::Erased(_) => Err(Rejection::Erased),
            _ => Ok(A::from_state(&StateRef(self))),
        }
    }

    /// The task that the stream belongs to.
    pub(crate) fn task_id(&self) -> Option<TaskId> {
        match self {
            Self::Task(task) => Some(task.id),
            Self::Apply(apply) => Some(apply.task_id),
            Self::Approval(approval) => approval.task_id(),
            Self::Delivery(delivery) => delivery.owed.of_task(),
            Self::Call(call) => call.subject.task_id,
            Self::None
            | Self::Agent(_)
            | Self::Approver(_)
            | Self::User(_)
            | Self::Group(_)
            | Self::Session(_)
            | Self::Key(_)
            | Self::Template(_)
            | Self::Lock(_)
            | Self::PolicyVersion(_)
            | Self::Clearance(_)
            | Self::Admission(_)
            | Self::Schedule(_)
            | Self::UpstreamKey(_)
            | Self::Upstream(_)
            | Self::UpstreamSecret(_)
            | Self::AssetUpload(_)
            | Self::Erased(_) => None,
        }
    }

    /// Under which task the stream stands while it is open.
    pub(crate) fn opened_under(&self) -> Option<TaskId> {
        match self {
            Self::Approval(approval) => Some(approval.task_id().unwrap_or(NO_TASK)),
            _ => self.task_id(),
        }
    }

    /// The word of an erasure for a stream of this kind.
    pub(crate) const fn stream_kind(&self) -> Option<StreamKind> {
        Some(match self {
            Self::Task(_) => StreamKind::Task,
            Self::Apply(_) => StreamKind::Apply,
            Self::Approval(_) => StreamKind::Approval,
            Self::Agent(_) => StreamKind::Agent,
            Self::Approver(_) => StreamKind::Approver,
            Self::Delivery(_) => StreamKind::Delivery,
            Self::User(_) => StreamKind::User,
            Self::Session(_) => StreamKind::Session,
            Self::UpstreamSecret(_) => StreamKind::UpstreamSecret,
            Self::Call(_) => StreamKind::Call,
            Self::None
            | Self::Group(_)
            | Self::Key(_)
            | Self::Template(_)
            | Self::Lock(_)
            | Self::PolicyVersion(_)
            | Self::Clearance(_)
            | Self::Admission(_)
            | Self::Schedule(_)
            | Self::UpstreamKey(_)
            | Self::Upstream(_)
            | Self::AssetUpload(_)
            | Self::Erased(_) => {
                return None;
            }
        })
    }

    fn weight(&self) -> usize {
        match self {
            Self::None | Self::Erased(_) => 64,
            Self::Task(state) => state.weight(),
            Self::Apply(state) => state.weight(),
            Self::Approval(state) => state.weight(),
            Self::Agent(state) => state.weight(),
            Self::Approver(state) => state.weight(),
            Self::Delivery(state) => state.weight(),
            Self::User(state) => state.weight(),
            Self::Group(state) => state.weight(),
            Self::Session(state) => state.weight(),
            Self::Key(state) => state.weight(),
            Self::Template(state) => state.weight(),
            Self::Lock(state) => state.weight(),
            Self::PolicyVersion(state) => state.weight(),
            Self::Clearance(state) => state.weight(),
            Self::Admission(state) => state.weight(),
            Self::Schedule(state) => state.weight(),
            Self::UpstreamKey(state) => state.weight(),
            Self::Upstream(state) => state.weight(),
            Self::UpstreamSecret(state) => state.weight(),
            Self::Call(state) => state.weight(),
            Self::AssetUpload(state) => state.weight(),
        }
    }

    /// The lookup rows that follow from it as a whole.
    pub(crate) fn held(&self) -> Held {
        match self {
            Self::User(user) => of_user(user),
            Self::Group(group) => of_group(group),
            _ => Held::new(),
        }
    }

    /// True when this is what a key names. Lookups are under no hash: one that leads elsewhere would give
    /// a stream what is another's.
    pub(crate) fn answers_to(&self, key: &LookupKey) -> bool {
        let (kind, key) = key.parts();
        let of_task =
            |task: TaskId, rest: &[u8]| [task.as_bytes().as_slice(), rest].concat() == key;
        match (self, kind) {
            // Whoever looks learns that it was erased, and nothing else.
            (Self::Erased(_), _) => true,
            (Self::Agent(agent), LookupKind::Agent) => agent.name.as_bytes() == key,
            (Self::Approver(approver), LookupKind::Approver) => {
                approver.principal.as_bytes() == key
            }
            (Self::Approver(approver), LookupKind::Credential) => {
                approver.credential(&CredentialId::unchecked(key)).is_some()
            }
            (Self::Approver(approver), LookupKind::Enrolment) => {
                approver.enrolments.iter().any(|e| e.id.as_bytes() == key)
            }
            (Self::Key(state), LookupKind::AgentKey) => state.hash.as_bytes() == key,
            (Self::Template(template), LookupKind::Template) => template.name.as_bytes() == key,
            (Self::Lock(lock), LookupKind::Lock) => lock.id.as_bytes() == key,
            (Self::PolicyVersion(policy), LookupKind::Policy) => {
                policy.version.to_be_bytes() == key
            }
            (Self::Clearance(clearance), LookupKind::Clearance) => clearance.key.as_bytes() == key,
            (Self::Admission(state), LookupKind::Admission) => state.id.as_bytes() == key,
            (Self::Schedule(state), LookupKind::Schedule) => state.name.as_bytes() == key,
            (Self::Upstream(state), LookupKind::Upstream) => state.name.as_bytes() == key,
            (Self::AssetUpload(state), LookupKind::UploadToken) => {
                let mut tokens = state.tokens.iter();
                tokens.any(|token| token.digest.as_bytes() == key)
            }
            (Self::Apply(apply), LookupKind::Follower) => {
                let follows = apply.follows.as_ref();
                follows.is_some_and(|follows| follows.first.as_bytes() == key)
            }
            (Self::UpstreamKey(state), LookupKind::UpstreamKey) => {
                let own = LookupKey::upstream_key(state.owner, &state.upstream);
                state.removed_at.is_none() && own.parts().1 == key
            }
            (Self::Task(task), LookupKind::Token) => {
                task.tokens.iter().any(|token| token.id.as_bytes() == key)
            }
            (Self::Task(task), LookupKind::Write) => task
                .write
                .is_some_and(|digest| LookupKey::write(task.agent_id, &digest).parts().1 == key),
            (Self::Apply(apply), LookupKind::ApplyKey) => {
                of_task(apply.task_id, apply.idempotency_key.as_bytes())
            }
            (Self::Approval(approval), LookupKind::Fingerprint) => approval
                .task_id()
                .is_some_and(|task| of_task(task, approval.fingerprint.as_bytes())),
            (Self::User(user), LookupKind::User) => !user.deleted && user.name.as_bytes() == key,
            (Self::User(user), LookupKind::Linked) => {
                user.linked.iter().any(|l| l.principal.as_bytes() == key)
            }
            (Self::Group(group), LookupKind::Group) => {
                !group.deleted && group.name.as_bytes() == key
            }
            (Self::Session(session), LookupKind::Session) => session.token_hash.as_bytes() == key,
            (Self::Approval(approval), LookupKind::NewestApproval) => {
                approval.task_id().is_some_and(|task| of_task(task, &[]))
            }
            _ => false,
        }
    }

    fn evolve(&mut self, event: &Event, at: Timestamp) {
        fn step<A: Aggregate>(
            state: &mut State,
            current: Option<Arc<A>>,
            wrap: fn(Arc<A>) -> State,
            event: &Event,
            at: Timestamp,
        ) {
            let mut next = current.map(Arc::unwrap_or_clone);
            A::evolve(&mut next, event, at);
            *state = next.map_or(State::None, |next| wrap(Arc::new(next)));
        }
        // A stream is erased as a whole, and nothing is appended to it afterwards.
        if let Event::Erased(erased) = event {
            *self = Self::Erased(erased.erased_by);
            return;
        }
        match std::mem::take(self) {
            Self::Erased(by) => *self = Self::Erased(by),
            Self::None => match event.kind().map(|kind| kind.aggregate) {
                Some(AggregateKind::Task) => step(self, None, State::Task, event, at),
                Some(AggregateKind::Apply) => step(self, None, State::Apply, event, at),
                Some(AggregateKind::Approval) => step(self, None, State::Approval, event, at),
                Some(AggregateKind::Agent) => step(self, None, State::Agent, event, at),
                Some(AggregateKind::Approver) => step(self, None, State::Approver, event, at),
                Some(AggregateKind::Delivery) => step(self, None, State::Delivery, event, at),
                Some(AggregateKind::User) => step(self, None, State::User, event, at),
                Some(AggregateKind::Group) => step(self, None, State::Group, event, at),
                Some(AggregateKind::Session) => step(self, None, State::Session, event, at),
                Some(AggregateKind::Key) => step(self, None, State::Key, event, at),
                Some(AggregateKind::Template) => step(self, None, State::Template, event, at),
                Some(AggregateKind::Lock) => step(self, None, State::Lock, event, at),
                Some(AggregateKind::Policy) => {
                    step(self, None, State::PolicyVersion, event, at);
                }
                Some(AggregateKind::Clearance) => {
                    step(self, None, State::Clearance, event, at);
                }
                Some(AggregateKind::Admission) => step(self, None, State::Admission, event, at),
                Some(AggregateKind::Schedule) => step(self, None, State::Schedule, event, at),
                Some(AggregateKind::Upstream) => step(self, None, State::Upstream, event, at),
                Some(AggregateKind::UpstreamKey) => {
                    step(self, None, State::UpstreamKey, event, at);
                }
                Some(AggregateKind::UpstreamSecret) => {
                    step(self, None, State::UpstreamSecret, event, at);
                }
                Some(AggregateKind::Call) => step(self, None, State::Call, event, at),
                Some(AggregateKind::AssetUpload) => {
                    step(self, None, State::AssetUpload, event, at);
                }
                Some(AggregateKind::Ledger | AggregateKind::Usage) | None => {}
            },
            Self::Task(state) => step(self, Some(state), State::Task, event, at),
            Self::Apply(state) => step(self, Some(state), State::Apply, event, at),
            Self::Approval(state) => step(self, Some(state), State::Approval, event, at),
            Self::Agent(state) => step(self, Some(state), State::Agent, event, at),
            Self::Approver(state) => step(self, Some(state), State::Approver, event, at),
            Self::Delivery(state) => step(self, Some(state), State::Delivery, event, at),
            Self::User(state) => step(self, Some(state), State::User, event, at),
            Self::Group(state) => step(self, Some(state), State::Group, event, at),
            Self::Session(state) => step(self, Some(state), State::Session, event, at),
            Self::Key(state) => step(self, Some(state), State::Key, event, at),
            Self::Template(state) => step(self, Some(state), State::Template, event, at),
            Self::Lock(state) => step(self, Some(state), State::Lock, event, at),
            Self::PolicyVersion(state) => {
                step(self, Some(state), State::PolicyVersion, event, at);
            }
            Self::Clearance(state) => step(self, Some(state), State::Clearance, event, at),
            Self::Admission(state) => step(self, Some(state), State::Admission, event, at),
            Self::Schedule(state) => step(self, Some(state), State::Schedule, event, at),
            Self::UpstreamKey(state) => step(self, Some(state), State::UpstreamKey, event, at),
            Self::Upstream(state) => step(self, Some(state), State::Upstream, event, at),
            Self::UpstreamSecret(state) => {
                step(self, Some(state), State::UpstreamSecret, event, at);
            }
            Self::Call(state) => step(self, Some(state), State::Call, event, at),
            Self::AssetUpload(state) => step(self, Some(state), State::AssetUpload, event, at),
        }
    }
}

/// A stream's state and its version, which is the number of its events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Entry {
    pub(crate) version: u64,
    pub(crate) state: State,
}

impl Entry {
    pub(crate) fn fold(events: &[Recorded]) -> Self {
        let mut entry = Self::default();
        for recorded in events {
            entry.evolve(&recorded.event, recorded.recorded_at());
        }
        entry
    }

    pub(crate) fn evolve(&mut self, event: &Event, at: Timestamp) {
        self.state.evolve(event, at);
        self.version += 1;
    }
}

/// The newest committed states, bounded by bytes, and the streams that some lookups lead to. The writer puts
/// in what it committed; a reader adds what it read only while nothing was committed since, so what stands
/// here is never behind an answer.
#[derive(Debug)]
pub(crate) struct Cache(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    entries: LruCache<StreamId, Entry>,
    bytes: usize,
    /// Rows of the lookup table that readers found; `None`: there is none.
    leads: LruCache<LookupKey, Option<StreamId>>,
    /// The log's size that the states and rows stand for.
    size: u64,
}

/// Something that is kept, or the size of the log for which it may be offered once it is read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<T> {
    Kept(T),
    UpTo(u64),
}

/// The most lookups that are kept.
const MAX_LEADS: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// The most bytes that all kept states may weigh.
const MAX_BYTES: usize = 24 * 1024 * 1024;
/// A heavier state is read again each time.
const MAX_ENTRY_BYTES: usize = 256 * 1024;

impl Inner {
    fn put(&mut self, stream: StreamId, entry: Entry) {
        self.forget(stream);
        let weight = entry.state.weight();
        if weight > MAX_ENTRY_BYTES {
            return;
        }
        self.bytes += weight;
        self.entries.put(stream, entry);
        while self.bytes > MAX_BYTES {
            let Some((_, old)) = self.entries.pop_lru() else {
                break;
            };
            self.bytes = self.bytes.saturating_sub(old.state.weight());
        }
    }

    fn forget(&mut self, stream: StreamId) {
        if let Some(old) = self.entries.pop(&stream) {
            self.bytes = self.bytes.saturating_sub(old.state.weight());
        }
    }
}

/// Whether where a row leads is kept: there are few of its kind, or it is asked for with each request.
const fn leads_stay(key: &LookupKey) -> bool {
    let kind = key.kind();
    matches!(kind, LookupKind::Session) || matches!(RowClass::of(kind as i64), RowClass::Kept)
}

impl Cache {
    /// An empty one of a log of that size.
    pub(crate) fn new(size: u64) -> Self {
        Self(Mutex::new(Inner {
            entries: LruCache::unbounded(),
            bytes: 0,
            leads: LruCache::new(MAX_LEADS),
            size,
        }))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From here on the states and rows stand for a log of that size, whose last commit wrote these rows; to be
    /// called before the states of that commit are put.
    pub(crate) fn moves_to(&self, size: u64, rows: &Lookups) {
        let mut inner = self.inner();
        inner.size = size;
        for key in rows.written().filter(|key| leads_stay(key)) {
            inner.leads.pop(key);
        }
    }

    /// The state of a stream for a reader, which may [`Self::offer`] what it reads instead.
    pub(crate) fn find(&self, stream: StreamId) -> Found<Entry> {
        let mut inner = self.inner();
        let size = inner.size;
        let kept = inner.entries.get(&stream).cloned();
        kept.map_or(Found::UpTo(size), Found::Kept)
    }

    /// Keeps the state that a reader read up to that size, unless something was committed since.
    pub(crate) fn offer(&self, size: u64, stream: StreamId, entry: &Entry) {
        let mut inner = self.inner();
        if inner.size == size && entry.version > 0 {
            inner.put(stream, entry.clone());
        }
    }

    /// The stream that a row leads to, for a reader, which may [`Self::offer_lead`] what it reads instead.
    pub(crate) fn lead(&self, key: &LookupKey) -> Found<Option<StreamId>> {
        let mut inner = self.inner();
        let size = inner.size;
        let kept = inner.leads.get(key).copied();
        kept.map_or(Found::UpTo(size), Found::Kept)
    }

    /// Keeps where a row leads that a reader read after the log had that size, unless something was committed since.
    pub(crate) fn offer_lead(&self, size: u64, key: LookupKey, stream: Option<StreamId>) {
        let is_kept = match stream {
            Some(_) => leads_stay(&key),
            // Others look for names that strangers make up.
            None => key.parts().0 == LookupKind::UpstreamKey,
        };
        let mut inner = self.inner();
        if is_kept && inner.size == size {
            inner.leads.put(key, stream);
        }
    }

    pub(crate) fn get(&self, stream: StreamId) -> Option<Entry> {
        let mut inner = self.inner();
        inner.entries.get(&stream).cloned()
    }

    pub(crate) fn put(&self, stream: StreamId, entry: Entry) {
        // A stream that leaves no state is not asked for again, and there are many of them: each call is one.
        if matches!(entry.state, State::None) {
            return;
        }
        let mut inner = self.inner();
        inner.put(stream, entry);
    }

    /// How many states are kept, and what they weigh in bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let inner = self.inner();
        (inner.entries.len(), inner.bytes)
    }

    pub(crate) fn clear(&self) {
        let mut inner = self.inner();
        inner.entries.clear();
        inner.bytes = 0;
        inner.leads.clear();
    }

    /// Forgets streams that were erased, and every row.
    pub(crate) fn forget_erased(&self, streams: &[StreamId]) {
        let mut inner = self.inner();
        for stream in streams {
            inner.forget(*stream);
        }
        inner.leads.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{Cache, Entry, Found};
    use crate::event::UpstreamKeyOwner;
    use crate::id::{StreamId, UserId};
    use crate::name::UpstreamName;
    use crate::storage::{LookupKey, Lookups};

    #[test]
    fn what_was_read_before_a_commit_is_not_kept_after_it() {
        let cache = Cache::new(7);
        let stream = StreamId::from_slice(&[1; 16]).unwrap();
        let read = Entry {
            version: 1,
            ..Entry::default()
        };
        let Found::UpTo(size) = cache.find(stream) else {
            panic!("nothing was put");
        };
        cache.moves_to(size + 1, &Lookups::default());
        cache.offer(size, stream, &read);
        assert!(matches!(cache.find(stream), Found::UpTo(8)));
        cache.offer(size + 1, stream, &read);
        assert!(matches!(cache.find(stream), Found::Kept(_)));
    }

    #[test]
    fn a_row_is_read_again_once_a_commit_has_written_it() {
        let cache = Cache::new(7);
        let [first, second] = [1, 2].map(|number| StreamId::from_slice(&[number; 16]).unwrap());
        let of_user = |user: StreamId| {
            let owner = UpstreamKeyOwner::User(UserId::from(user));
            LookupKey::upstream_key(owner, &UpstreamName::cloudflare())
        };
        let (key, other) = (of_user(first), of_user(second));
        cache.offer_lead(7, key.clone(), None);
        cache.offer_lead(7, other.clone(), Some(second));
        assert_eq!(cache.lead(&key), Found::Kept(None));
        for (size, stays) in [(8, true), (9, false)] {
            let mut rows = Lookups::default();
            rows.remove(if stays {
                of_user(StreamId::from_slice(&[3; 16]).unwrap())
            } else {
                key.clone()
            });
            cache.moves_to(size, &rows);
            let expected = if stays {
                Found::Kept(None)
            } else {
                Found::UpTo(size)
            };
            assert_eq!(cache.lead(&key), expected);
        }
        // A reader that read before the commit comes too late.
        cache.offer_lead(8, key.clone(), Some(first));
        assert_eq!(cache.lead(&key), Found::UpTo(9));
        cache.offer_lead(9, key.clone(), Some(first));
        assert_eq!(cache.lead(&key), Found::Kept(Some(first)));
        assert_eq!(cache.lead(&other), Found::Kept(Some(second)));
        cache.forget_erased(&[]);
        assert_eq!(cache.lead(&other), Found::UpTo(9));
    }
}
