//! The entry of each stream, and what may be asked of it.

use super::Now;
use super::agents::AgentState;
use super::applies::ApplyState;
use super::approvals::QuestionState;
use super::approvers::ApproverState;
use super::asset_uploads::KnownUpload;
use super::clearances::KnownClearance;
use super::deliveries::DeliveryEntry;
use super::keys::{KeyState, TemplateState};
use super::schedules::KnownSchedule;
use super::tasks::{ClosedTask, TaskState};
use super::upstream_keys::KnownUpstreamKey;
use crate::aggregate::{Admission, Group, Lock, Session, User};
use crate::audit::check::Check;
use crate::audit::finding::{Findings, Obstacle};
use crate::event::{AggregateKind, CallSubject, ErasedStream, Event, StreamKind};
use crate::id::StreamId;
use crate::name::UpstreamName;
use crate::record::Header;
use std::collections::HashMap;
use std::sync::Arc;

/// The aggregate of a stream that was erased.
pub(super) const fn erased_kind(kind: StreamKind) -> AggregateKind {
    match kind {
        StreamKind::Task => AggregateKind::Task,
        StreamKind::Apply | StreamKind::Refusal => AggregateKind::Apply,
        StreamKind::Approval => AggregateKind::Approval,
        StreamKind::Delivery => AggregateKind::Delivery,
        StreamKind::Agent => AggregateKind::Agent,
        StreamKind::Approver => AggregateKind::Approver,
        StreamKind::User => AggregateKind::User,
        StreamKind::Session | StreamKind::FailedLogin => AggregateKind::Session,
        StreamKind::UpstreamSecret => AggregateKind::UpstreamSecret,
        StreamKind::Call => AggregateKind::Call,
        StreamKind::Usage => AggregateKind::Usage,
    }
}

/// The knowledge of a stream.
#[derive(Debug)]
pub(super) enum State {
    /// Its first event is being looked at.
    Beginning,
    Ledger,
    Task(Box<TaskState>),
    ClosedTask(Box<ClosedTask>),
    Apply(Box<ApplyState>),
    Approval(Box<QuestionState>),
    Agent(Box<AgentState>),
    Approver(Box<ApproverState>),
    Delivery(Box<DeliveryEntry>),
    User(Box<User>),
    Group(Box<Group>),
    Session(Box<Session>),
    Key(Box<KeyState>),
    Template(Box<TemplateState>),
    Lock(Arc<Lock>),
    Clearance(Box<KnownClearance>),
    Admission(Arc<Admission>),
    Schedule(Box<KnownSchedule>),
    UpstreamKey(Box<KnownUpstreamKey>),
    /// A call that has begun.
    Call(Box<CallSubject>),
    /// By its name.
    Upstream(UpstreamName),
    AssetUpload(Box<KnownUpload>),
    /// Nothing more may happen in it.
    Ended(AggregateKind),
    /// An approval that was consumed and whose apply was authorised.
    Consumed,
    /// Its beginning is not to be had.
    Hidden(AggregateKind, Obstacle),
    /// It was erased: nothing more may happen in it, and nothing can be said about it.
    Erased(AggregateKind),
}

impl State {
    pub(super) const fn kind(&self) -> Option<AggregateKind> {
        Some(match self {
            Self::Beginning => return None,
            Self::Ledger => AggregateKind::Ledger,
            Self::Task(_) | Self::ClosedTask(_) => AggregateKind::Task,
            Self::Apply(_) => AggregateKind::Apply,
            Self::Approval(_) | Self::Consumed => AggregateKind::Approval,
            Self::Agent(_) => AggregateKind::Agent,
            Self::Approver(_) => AggregateKind::Approver,
            Self::Delivery(_) => AggregateKind::Delivery,
            Self::User(_) => AggregateKind::User,
            Self::Group(_) => AggregateKind::Group,
            Self::Session(_) => AggregateKind::Session,
            Self::Key(_) => AggregateKind::Key,
            Self::Template(_) => AggregateKind::Template,
            Self::Lock(_) => AggregateKind::Lock,
            Self::Clearance(_) => AggregateKind::Clearance,
            Self::Admission(_) => AggregateKind::Admission,
            Self::Schedule(_) => AggregateKind::Schedule,
            Self::UpstreamKey(_) => AggregateKind::UpstreamKey,
            Self::Call(_) => AggregateKind::Call,
            Self::Upstream(_) => AggregateKind::Upstream,
            Self::AssetUpload(_) => AggregateKind::AssetUpload,
            Self::Ended(kind) | Self::Hidden(kind, _) | Self::Erased(kind) => *kind,
        })
    }
}

#[derive(Debug)]
struct StreamEntry {
    next_version: u64,
    /// How many events of it were seen.
    seen: u64,
    /// How many of them have no payload any more.
    gone: u64,
    state: State,
}

/// All streams.
#[derive(Debug)]
pub(super) struct Streams {
    entries: HashMap<StreamId, StreamEntry>,
    /// There are records before the first one here.
    partial: bool,
    /// A payload could not be read.
    unreadable: bool,
}

/// The result of a search.
pub(super) enum Seen<T> {
    /// It is there.
    Here(T),
    /// It may be, but cannot be looked at.
    Hidden(Obstacle),
    /// It was erased before, so that nothing can refer to it any more.
    Erased,
    /// It was never recorded, or has ended.
    Never,
}

impl Streams {
    pub(super) fn new(partial: bool) -> Self {
        Self {
            entries: HashMap::new(),
            partial,
            unreadable: false,
        }
    }

    /// The reason why a recorded event may not be known here: it cannot be read.
    pub(super) fn unreadable(&self) -> Option<Obstacle> {
        self.unreadable.then_some(Obstacle::Unreadable)
    }

    pub(super) fn len(&self) -> u64 {
        u64::try_from(self.entries.len()).unwrap_or(u64::MAX)
    }

    /// Counts one more event of the stream, by its header. `false` when it cannot be of the aggregate
    /// that the stream holds, so that the event says nothing about it.
    pub(super) fn advance(
        &mut self,
        header: &Header,
        kind: Option<AggregateKind>,
        findings: &mut Findings,
    ) -> bool {
        let partial = self.partial;
        let entry = self.entries.entry(header.stream_id).or_insert_with(|| {
            let before = partial && header.stream_version > 0;
            StreamEntry {
                next_version: if before { header.stream_version } else { 0 },
                seen: 0,
                gone: 0,
                state: match kind {
                    Some(kind) if before => State::Hidden(kind, Obstacle::BeforeRange),
                    _ => State::Beginning,
                },
            }
        });
        let expected = entry.next_version;
        entry.next_version = header.stream_version.saturating_add(1);
        entry.seen = entry.seen.saturating_add(1);
        let at = Some(header.position);
        if header.stream_version != expected {
            let reason = format!(
                "it has version {} in stream {}, which is at {expected}",
                header.stream_version, header.stream_id
            );
            findings.add(at, Check::StreamVersion, reason);
        }
        match (entry.state.kind(), kind) {
            (Some(known), Some(kind)) if known != kind => {
                let reason = format!(
                    "an event of kind {} stands in the stream of one of kind {}",
                    kind.as_str(),
                    known.as_str()
                );
                findings.add(at, Check::StreamStart, reason);
                false
            }
            (_, None) => true,
            _ => true,
        }
    }

    /// True when an event may be looked at further: a stream begins with the event that makes its
    /// aggregate, that one comes nowhere else, and nothing comes after the end.
    pub(super) fn may_go_on(&mut self, now: &mut Now<'_>, event: &Event) -> bool {
        let begins = event.begins();
        let stream = now.header.stream_id;
        let Some(entry) = self.entries.get_mut(&stream) else {
            return false;
        };
        match &entry.state {
            State::Beginning if begins => true,
            State::Beginning => {
                let name = event.name();
                now.wrong(
                    Check::StreamStart,
                    format!("a stream cannot begin with {name}"),
                );
                if let Some(kind) = AggregateKind::of(event.event_type()) {
                    entry.state = State::Hidden(kind, Obstacle::Unreadable);
                }
                false
            }
            // What happened to the ledger, and a credential, stand for themselves, even where the
            // beginning of their stream is not here.
            State::Hidden(kind, why) => {
                let alone = *kind == AggregateKind::Ledger
                    || event.kind().is_some_and(|kind| kind.traits.registers_key);
                if !alone {
                    now.cannot(rule_of(event.event_type()), *why);
                }
                alone
            }
            State::Consumed if matches!(event, Event::ApprovalConsumed(_)) => {
                let reason = "the approval was consumed before".to_owned();
                now.wrong(Check::ExecutionOnce, reason);
                false
            }
            State::Ended(_) | State::Erased(_) | State::Consumed | State::ClosedTask(_) => {
                let kind = entry.state.kind().map_or("stream", AggregateKind::as_str);
                let reason = format!("{} comes after the end of its {kind}", event.name());
                now.wrong(Check::AfterEnd, reason);
                false
            }
            _ if begins => {
                let reason = format!("{} comes again in its stream", event.name());
                now.wrong(Check::StreamStart, reason);
                false
            }
            _ => true,
        }
    }

    /// How many events of the stream were seen; `None` where it began before the range, or never.
    pub(super) fn next_version(&self, stream: StreamId) -> Option<u64> {
        self.entries.get(&stream).map(|entry| entry.next_version)
    }

    /// Counts an event whose payload is gone. What was erased has ended: nothing comes after it, not
    /// even what would be erased in its turn.
    pub(super) fn lost(&mut self, header: &Header, findings: &mut Findings) {
        let Some(entry) = self.entries.get_mut(&header.stream_id) else {
            return;
        };
        entry.gone = entry.gone.saturating_add(1);
        if matches!(entry.state, State::Erased(_)) {
            let reason = "it stands in a stream that was erased before";
            findings.add(Some(header.position), Check::AfterEnd, reason);
        }
    }

    /// True when payloads of the stream are still there.
    pub(super) fn is_left(&self, stream: StreamId) -> bool {
        let entry = self.entries.get(&stream);
        entry.is_some_and(|entry| entry.gone < entry.seen)
    }

    /// The stream was erased; it may lie before the range as a whole.
    pub(super) fn erase(&mut self, erased: &ErasedStream) {
        let entry = self.entries.entry(erased.stream_id).or_insert(StreamEntry {
            next_version: erased.events,
            seen: 0,
            gone: 0,
            state: State::Beginning,
        });
        let kind = entry.state.kind();
        entry.state = State::Erased(kind.unwrap_or(erased_kind(erased.kind)));
    }

    /// Payloads of the stream are gone, and no event has said why so far.
    pub(super) fn is_gone(&self, stream: StreamId) -> bool {
        let entry = self.entries.get(&stream);
        matches!(
            entry.map(|entry| &entry.state),
            Some(State::Hidden(_, Obstacle::Erased))
        )
    }

    pub(super) fn put(&mut self, stream: StreamId, state: State) {
        if let State::Hidden(_, Obstacle::Unreadable) = state {
            self.unreadable = true;
        }
        if let Some(entry) = self.entries.get_mut(&stream) {
            entry.state = state;
        }
    }

    pub(super) fn state(&mut self, stream: impl Into<StreamId>) -> Option<&mut State> {
        self.entries
            .get_mut(&stream.into())
            .map(|entry| &mut entry.state)
    }

    /// Looks up a state that `pick` recognises.
    pub(super) fn find<'a, T>(
        &'a mut self,
        stream: impl Into<StreamId>,
        pick: impl FnOnce(&'a mut State) -> Option<T>,
    ) -> Seen<T> {
        let partial = self.partial;
        match self.entries.get_mut(&stream.into()) {
            None if partial => Seen::Hidden(Obstacle::BeforeRange),
            None => Seen::Never,
            Some(entry) => match &entry.state {
                State::Hidden(_, why) => Seen::Hidden(*why),
                State::Erased(_) => Seen::Erased,
                _ => pick(&mut entry.state).map_or(Seen::Never, Seen::Here),
            },
        }
    }
}

impl<T> Seen<T> {
    pub(super) fn map<U>(self, with: impl FnOnce(T) -> U) -> Seen<U> {
        match self {
            Self::Here(value) => Seen::Here(with(value)),
            Self::Hidden(why) => Seen::Hidden(why),
            Self::Erased => Seen::Erased,
            Self::Never => Seen::Never,
        }
    }

    /// The obstacle to looking at it, where there is one.
    pub(super) fn hidden(self) -> Option<Obstacle> {
        match self {
            Self::Hidden(why) => Some(why),
            Self::Here(_) | Self::Erased | Self::Never => None,
        }
    }

    pub(super) fn here(self) -> Option<T> {
        match self {
            Self::Here(value) => Some(value),
            Self::Hidden(_) | Self::Erased | Self::Never => None,
        }
    }

    /// The value; where it is hidden, `check` could not be made, and where it is not there, that is
    /// wrong.
    pub(super) fn or_tell(
        self,
        now: &mut Now<'_>,
        check: Check,
        reason: impl FnOnce() -> String,
    ) -> Option<T> {
        match self {
            Self::Here(value) => Some(value),
            Self::Hidden(why) => {
                now.cannot(check, why);
                None
            }
            Self::Erased => {
                now.wrong(Check::AfterEnd, "what it refers to was erased before");
                None
            }
            Self::Never => {
                now.wrong(check, reason());
                None
            }
        }
    }
}

/// The rule that cannot be checked where an event of this number, or its stream before it, is not there
/// to read.
pub(super) const fn rule_of(event_type: u16) -> Check {
    match Event::kind_of(event_type) {
        Some(kind) => kind.rule,
        None => Check::PayloadForm,
    }
}
