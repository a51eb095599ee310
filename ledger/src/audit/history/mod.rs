//! Holds the events against the rules that they must have been decided by.
//!
//! One entry for each stream; those that have ended keep only what later events may be held against.
//! A stream whose beginning is not there (it lies before the range, was erased, or cannot be read) is
//! hidden: rules that need it are counted as impossible, not as broken.

mod actors;
mod admissions;
mod agents;
mod applies;
mod approvals;
mod approvers;
mod asset_uploads;
mod backtest;
mod besides;
mod call_facts;
mod calls;
mod carried_out;
mod clearances;
mod closings;
mod covered;
mod decisions;
mod deliveries;
mod devices;
mod electorate;
mod emergencies;
mod erasures;
mod evaluations;
mod follow_ups;
mod groups;
mod keys;
mod ledger_events;
mod locks;
mod passkeys;
mod policies;
mod questions;
mod reports;
mod requests;
mod ruled_calls;
mod schedules;
mod sessions;
mod streams;
mod submission;
mod tasks;
mod upstream_keys;
mod upstreams;
mod users;
mod votes;

use super::backtest::Compared;
use super::check::Check;
use super::finding::{Findings, Obstacle};
use super::log::AuditRecord;
use super::options::{Depth, PinnedApprovers, VerifyOptions};
use super::report::{DecidingKey, HistoryReport, Range};
use crate::admissions::Admissions;
use crate::agent_key::AgentKeyHash;
use crate::assertion::KeyThumbprint;
use crate::clock::Timestamp;
use crate::event::{Actor, AggregateKind, Envelope, Event, Role, SessionTokenHash};
use crate::id::{CommandId, DeviceId, LedgerId, RequestId, ScheduleId, StreamId, UserId};
use crate::label::{GroupName, UserName};
use crate::locks::Locks;
use crate::name::{
    AgentName, ApproverName, CredentialId, ScheduleName, TemplateName, UpstreamName,
};
use crate::provider::Providers;
use crate::questions::Questions;
use crate::record::Header;
use crate::schedules::ScheduleClock;
use crate::used::UsedOnRecord;
use admissions::Blocking;
use approvers::KnownCredential;
use asset_uploads::Uploads;
use backtest::Backtesting;
use besides::Changing;
use call_facts::Descriptions;
use calls::Usages;
use carried_out::Promise;
use clearances::Keeping;
use closings::Closing;
use emergencies::Reviews;
use erasures::Unproven;
use follow_ups::FollowUps;
use policies::Policies;
use reports::{Owing, Reports};
use schedules::Firing;
use std::collections::{BTreeMap, HashMap, HashSet};
use streams::{State, Streams, rule_of};
use upstream_keys::UpstreamKeys;
use upstreams::{KnownUpstream, OpenedOperations};
use users::Departure;

/// The fold over events.
#[derive(Debug)]
pub(super) struct History {
    depth: Depth,
    pinned: Option<PinnedApprovers>,
    providers: Providers,
    ledger_id: Option<LedgerId>,
    streams: Streams,
    /// Agents' names and approvers' principals that are taken.
    agents: HashMap<AgentName, StreamId>,
    principals: HashMap<ApproverName, StreamId>,
    /// Names of living users and of groups.
    users: HashMap<UserName, StreamId>,
    groups: HashMap<GroupName, StreamId>,
    /// Principals that users have shown a passkey of.
    linked: HashMap<ApproverName, StreamId>,
    /// Devices that were ever added, with their users.
    devices: HashMap<DeviceId, UserId>,
    /// Tokens that sessions were opened with.
    session_tokens: HashSet<SessionTokenHash>,
    /// The administrator whom a command makes while no other can log in.
    first_admin: Option<(CommandId, UserId)>,
    /// A user who was disabled or deleted by the newest command, and the keys of each user.
    departure: Option<Departure>,
    minted: HashMap<UserId, Vec<StreamId>>,
    /// The hashes of agent keys, and the names of task templates that stand.
    agent_keys: HashSet<AgentKeyHash>,
    templates: HashSet<TemplateName>,
    locks: Locks,
    policies: Policies,
    /// The questions that wait for a decision, as far as they can be seen.
    questions: Questions,
    admissions: Admissions,
    /// The newest put of each schedule that was not deleted.
    schedules: HashMap<ScheduleName, ScheduleId>,
    schedule_clock: ScheduleClock,
    /// A task that the newest command opened for a schedule.
    firing: Option<Firing>,
    upstream_keys: UpstreamKeys,
    usages: Usages,
    /// What calls used, for what was read of it.
    used: UsedOnRecord,
    descriptions: Descriptions,
    uploads: Uploads,
    follow_ups: FollowUps,
    /// The APIs that are open.
    upstreams: HashMap<UpstreamName, KnownUpstream>,
    opened: OpenedOperations,
    credentials: HashMap<CredentialId, KnownCredential>,
    /// Approvers whose payloads cannot be read, up to where they were erased, with the first position at
    /// which one of them has a credential: these are not known.
    hidden_approvers: BTreeMap<StreamId, HiddenApprover>,
    /// Users whose payloads cannot be read and who are not known to be deleted.
    hidden_users: HashSet<StreamId>,
    /// Decisions with credentials that are not known, which a later erasure must account for.
    unproven: Vec<Unproven>,
    /// An erasure has named the keys that it takes away: later ones do so too.
    keys_are_named: bool,
    /// Where something that can still be read speaks of a stream whose own payloads are gone. An erasure
    /// leaves nothing of a task behind.
    left_behind: HashMap<StreamId, u64>,
    /// The position of the first record.
    from: u64,
    /// There are records before that one.
    partial: bool,
    /// There are streams that were left out, each as a whole.
    is_excerpt: bool,
    /// Events that a delivery may be owed for.
    reports: Reports,
    /// Deliveries that the newest command has still to owe.
    owing: Vec<Owing>,
    /// Ends whose task must be closed by the same command.
    closings: Vec<Closing>,
    /// An approval that the newest command has still to use.
    promise: Option<Promise>,
    /// A decision that the newest command has still to keep.
    keeping: Option<Keeping>,
    /// A change of the policy that the newest command has still to make.
    changing: Option<Changing>,
    reviews: Reviews,
    /// The block that a decision signs, until it is set.
    blocking: Option<Blocking>,
    /// A decision signed the state upstream, or the key of a kept one said whom it excludes. Services did neither
    /// at first; from here on what is bound must sign it, and every key says it.
    binds: bool,
    /// The command of the last event that could be read.
    command: Option<Commanded>,
    /// That of the first one, of which events may stand before the range.
    first_command: Option<CommandId>,
    /// The newest command of which an event stands in a hidden stream, and why that is hidden.
    unseen: Option<(CommandId, Obstacle)>,
    /// The event that is looked at is the first of its command.
    is_command_new: bool,
    /// The role of the user who acts, when its command began; `None` where that cannot be seen.
    acting: Option<Role>,
    keys: BTreeMap<KeyThumbprint, DecidingKey>,
    /// Positions whose payload is gone, with their streams, and nobody has said why yet.
    missing: BTreeMap<u64, StreamId>,
    counts: HistoryReport,
    /// A policy that is tried on the applies.
    backtest: Option<Box<Backtesting>>,
}

/// The number of `user.deleted`.
const USER_DELETED: u16 = 73;

/// An approver whose payloads cannot be read.
#[derive(Debug)]
struct HiddenApprover {
    why: Obstacle,
    /// The first position at which a credential of it was put.
    credential_at: Option<u64>,
}

/// The part that all events of one command share.
#[derive(Debug, PartialEq, Eq)]
struct Commanded {
    command_id: CommandId,
    actor: Actor,
    request_id: Option<RequestId>,
    at: Timestamp,
}

/// One event, as rules see it.
struct Now<'a> {
    header: &'a Header,
    envelope: &'a Envelope,
    findings: &'a mut Findings,
}

impl Now<'_> {
    const fn position(&self) -> u64 {
        self.header.position
    }

    const fn at(&self) -> Timestamp {
        self.header.recorded_at
    }

    fn wrong(&mut self, check: Check, reason: impl Into<String>) {
        self.findings.add(Some(self.header.position), check, reason);
    }

    /// A rule that holds unless told otherwise.
    fn expect(&mut self, holds: bool, check: Check, reason: impl FnOnce() -> String) {
        if !holds {
            self.findings
                .add_with(Some(self.header.position), check, reason);
        }
    }

    fn cannot(&mut self, check: Check, why: Obstacle) {
        self.findings.cannot(self.header.position, check, why);
    }
}

impl History {
    pub(super) fn new(from: u64, depth: Depth, options: &VerifyOptions) -> Self {
        Self {
            depth,
            pinned: options.approvers.clone(),
            providers: options.providers.clone(),
            ledger_id: None,
            streams: Streams::new(from > 0),
            agents: HashMap::new(),
            principals: HashMap::new(),
            users: HashMap::new(),
            groups: HashMap::new(),
            linked: HashMap::new(),
            devices: HashMap::new(),
            session_tokens: HashSet::new(),
            first_admin: None,
            departure: None,
            minted: HashMap::new(),
            agent_keys: HashSet::new(),
            templates: HashSet::new(),
            locks: Locks::default(),
            policies: Policies::default(),
            questions: Questions::default(),
            admissions: Admissions::default(),
            schedules: HashMap::new(),
            schedule_clock: options.schedules.clone(),
            firing: None,
            upstream_keys: UpstreamKeys::default(),
            usages: Usages::default(),
            used: UsedOnRecord::default(),
            descriptions: Descriptions::default(),
            uploads: Uploads::default(),
            follow_ups: FollowUps::default(),
            upstreams: HashMap::new(),
            opened: OpenedOperations::default(),
            credentials: HashMap::new(),
            hidden_approvers: BTreeMap::new(),
            hidden_users: HashSet::new(),
            unproven: Vec::new(),
            keys_are_named: false,
            left_behind: HashMap::new(),
            from,
            partial: from > 0,
            is_excerpt: false,
            reports: Reports::default(),
            owing: Vec::new(),
            closings: Vec::new(),
            promise: None,
            keeping: None,
            changing: None,
            reviews: Reviews::default(),
            blocking: None,
            binds: false,
            command: None,
            first_command: None,
            unseen: None,
            is_command_new: true,
            acting: None,
            keys: BTreeMap::new(),
            missing: BTreeMap::new(),
            counts: HistoryReport::default(),
            backtest: options
                .backtest
                .clone()
                .map(|candidate| Box::new(Backtesting::new(candidate))),
        }
    }

    /// Of the records of some streams, from the beginning of each.
    pub(super) fn of_some_streams(options: &VerifyOptions) -> Self {
        Self {
            is_excerpt: true,
            ..Self::new(0, Depth::Everything, options)
        }
    }

    pub(super) fn take(&mut self, record: &AuditRecord<'_>, findings: &mut Findings) {
        let header = &record.header;
        let kind = AggregateKind::of(header.event_type);
        if record.content.is_none() {
            self.gone(header, kind, findings);
            self.try_on_erased(header);
        }
        if !self.depth.reads_payloads() {
            self.erasure_only(record, findings);
            return;
        }
        let fits = self.streams.advance(header, kind, findings);
        let Some(content) = record.content else {
            self.streams.lost(header, findings);
            // A sealed key is there to be erased: nothing rests on what it says.
            if kind != Some(AggregateKind::UpstreamSecret) {
                findings.cannot(
                    header.position,
                    rule_of(header.event_type),
                    Obstacle::Erased,
                );
            }
            self.hide(header, kind, Obstacle::Erased);
            self.owed_unseen(header, Obstacle::Erased, findings);
            return;
        };
        match Event::decode(header.event_type, header.schema_version, content.payload) {
            Ok((envelope, event)) => {
                let mut now = Now {
                    header,
                    envelope: &envelope,
                    findings,
                };
                self.settle_closings(Some(envelope.command_id), now.findings);
                self.settle_promise(Some(envelope.command_id), now.findings);
                self.settle_keeping(Some(envelope.command_id), now.findings);
                self.settle_changing(Some(envelope.command_id), now.findings);
                self.settle_review(Some(envelope.command_id), now.findings);
                self.settle_blocking(Some(envelope.command_id), now.findings);
                self.settle_departure(Some(envelope.command_id), now.findings);
                self.settle_firing(Some(envelope.command_id), now.findings);
                self.settle_owing(Some(header.position), now.findings);
                check_cause(&mut now);
                self.check_command(&mut now);
                if fits {
                    self.event(&mut now, event);
                }
            }
            Err(error) => {
                let reason = match std::error::Error::source(&error) {
                    Some(source) => format!("{error}: {source}"),
                    None => error.to_string(),
                };
                findings.add(Some(header.position), Check::PayloadForm, reason);
                self.hide(header, kind, Obstacle::Unreadable);
                self.owed_unseen(header, Obstacle::Unreadable, findings);
            }
        }
    }

    /// A payload that is not there must be accounted for by a later event. What happened to the ledger
    /// itself is never erased.
    fn gone(&mut self, header: &Header, kind: Option<AggregateKind>, findings: &mut Findings) {
        if kind == Some(AggregateKind::Ledger) {
            let reason = "its payload is missing, and is of a kind that is never erased";
            findings.add(Some(header.position), Check::PayloadMissing, reason);
        } else {
            self.missing.insert(header.position, header.stream_id);
        }
    }

    /// Where payloads are not read, those are that account for missing ones.
    fn erasure_only(&mut self, record: &AuditRecord<'_>, findings: &mut Findings) {
        let (header, Some(content)) = (&record.header, record.content) else {
            return;
        };
        if self.missing.is_empty()
            || AggregateKind::of(header.event_type) != Some(AggregateKind::Ledger)
        {
            return;
        }
        let read = Event::decode(header.event_type, header.schema_version, content.payload);
        if let Ok((envelope, Event::LedgerErased(erased))) = read {
            let mut now = Now {
                header,
                envelope: &envelope,
                findings,
            };
            self.account(&mut now, &erased);
        }
    }

    /// From here on nothing can be said about the stream.
    fn hide(&mut self, header: &Header, kind: Option<AggregateKind>, why: Obstacle) {
        if kind == Some(AggregateKind::Approver) {
            let hidden = self.hidden_approvers.entry(header.stream_id);
            let hidden = hidden.or_insert(HiddenApprover {
                why,
                credential_at: None,
            });
            hidden.why = why;
            if Event::kind_of(header.event_type).is_some_and(|kind| kind.traits.registers_key) {
                hidden.credential_at.get_or_insert(header.position);
            }
        }
        if kind == Some(AggregateKind::User) {
            match header.event_type {
                USER_DELETED => self.hidden_users.remove(&header.stream_id),
                _ => self.hidden_users.insert(header.stream_id),
            };
        }
        if let Some(kind) = kind {
            self.streams.put(header.stream_id, State::Hidden(kind, why));
        }
    }

    /// Events of one command stand together and say the same of who asked, for which request, and when.
    fn check_command(&mut self, now: &mut Now<'_>) {
        let (envelope, at) = (now.envelope, now.at());
        self.first_command.get_or_insert(envelope.command_id);
        self.is_command_new = !self.ends_with(envelope.command_id);
        match &self.command {
            Some(known) if known.command_id == envelope.command_id => {
                let same = known.actor == envelope.actor
                    && known.request_id == envelope.request_id
                    && known.at == at;
                now.expect(same, Check::Envelope, || {
                    "another actor, request or time is named than by the event of the same command before it".to_owned()
                });
            }
            _ => {
                self.acting = None;
                self.command = Some(Commanded {
                    command_id: envelope.command_id,
                    actor: envelope.actor.clone(),
                    request_id: envelope.request_id,
                    at,
                });
            }
        }
    }

    /// Why events of the same command before this one may not have been looked at: their stream is hidden or was left
    /// out, or the range begins inside of the command.
    fn unseen_before(&self, now: &Now<'_>) -> Option<Obstacle> {
        let command_id = now.envelope.command_id;
        let hidden = self.unseen.filter(|(command, _)| *command == command_id);
        let is_cut = self.partial && self.first_command == Some(command_id);
        let is_elsewhere = (is_cut || self.is_excerpt).then_some(Obstacle::BeforeRange);
        hidden.map(|(_, why)| why).or(is_elsewhere)
    }

    /// Takes note of an event in a hidden stream: of its command less can be said.
    fn note_unseen(&mut self, now: &Now<'_>, event: &Event) {
        let Some(State::Hidden(_, why)) = self.streams.state(now.header.stream_id) else {
            return;
        };
        self.unseen = Some((now.envelope.command_id, *why));
        // Its schedule says that it fired, or why not.
        if AggregateKind::of(event.event_type()) == Some(AggregateKind::Schedule) {
            self.firing = None;
        }
    }

    /// True when the last event that could be read is of this command.
    fn ends_with(&self, command: CommandId) -> bool {
        self.command
            .as_ref()
            .is_some_and(|known| known.command_id == command)
    }

    /// Tells of what a command began and did not finish before the next one; at the end (`next` is `None`) the commit may
    /// go on behind the last record.
    fn unfinished(
        &self,
        (position, command): (u64, CommandId),
        next: Option<CommandId>,
        (check, reason): (Check, &str),
        findings: &mut Findings,
    ) {
        match next.is_none() && self.ends_with(command) {
            true => findings.cannot(position, check, Obstacle::AfterRange),
            false => findings.add(Some(position), check, reason),
        }
    }

    /// Remembers what can be read of a stream whose payloads are gone, until it is known why.
    fn leaves_behind(&mut self, stream: StreamId, position: u64) {
        if self.streams.is_gone(stream) {
            self.left_behind.entry(stream).or_insert(position);
        }
    }

    fn event(&mut self, now: &mut Now<'_>, event: Event) {
        self.counts.events += 1;
        self.leaves_behind(now.header.stream_id, now.position());
        self.report(now, &event);
        if let Some(backtest) = &mut self.backtest {
            backtest.see(now.header, &event);
        }
        if !self.streams.may_go_on(now, &event) {
            return self.note_unseen(now, &event);
        }
        self.check_actor(now, &event);
        match event {
            Event::LedgerCreated(created) => self.ledger_created(now, created),
            Event::LedgerErased(erased) => self.ledger_erased(now, &erased),
            Event::LedgerForked(forked) => self.ledger_forked(now, forked),
            Event::LedgerAccepted(accepted) => ledger_events::ledger_accepted(now, &accepted),
            event => self.aggregate_event(now, event),
        }
    }

    fn aggregate_event(&mut self, now: &mut Now<'_>, event: Event) {
        match AggregateKind::of(event.event_type()) {
            Some(AggregateKind::Task) => self.task_event(now, &event),
            Some(AggregateKind::Apply) => self.apply_event(now, event),
            Some(AggregateKind::Approval) => self.approval_event(now, event),
            Some(AggregateKind::Agent) => self.agent_event(now, &event),
            Some(AggregateKind::Approver) => self.approver_event(now, &event),
            Some(AggregateKind::Delivery) => self.delivery_event(now, event),
            Some(AggregateKind::User) => self.user_event(now, &event),
            Some(AggregateKind::Group) => self.group_event(now, &event),
            Some(AggregateKind::Session) => self.session_event(now, &event),
            Some(AggregateKind::Key) => self.key_event(now, &event),
            Some(AggregateKind::Template) => self.template_event(now, &event),
            Some(AggregateKind::Lock) => self.lock_event(now, &event),
            Some(AggregateKind::Policy) => self.policy_event(now, event),
            Some(AggregateKind::Clearance) => self.clearance_event(now, &event),
            Some(AggregateKind::Admission) => self.admission_event(now, &event),
            Some(AggregateKind::Schedule) => self.schedule_event(now, &event),
            Some(AggregateKind::UpstreamKey | AggregateKind::UpstreamSecret) => {
                self.upstream_key_event(now, &event);
            }
            Some(AggregateKind::Call | AggregateKind::Usage) => self.call_event(now, event),
            Some(AggregateKind::Upstream) => self.upstream_event(now, &event),
            Some(AggregateKind::AssetUpload) => self.asset_upload_event(now, event),
            Some(AggregateKind::Ledger) | None => {}
        }
    }

    /// A name is taken once. What took one before the range cannot be seen.
    fn is_first(&self, now: &mut Now<'_>, holds: bool, reason: impl FnOnce() -> String) {
        if holds && self.partial {
            return now.cannot(Check::Unique, Obstacle::BeforeRange);
        }
        now.expect(holds, Check::Unique, reason);
    }

    /// Whatever names a ledger must name the same one.
    fn is_this_ledger(&mut self, now: &mut Now<'_>, named: LedgerId) {
        let known = *self.ledger_id.get_or_insert(named);
        now.expect(known == named, Check::LedgerIdentity, || {
            format!("it names ledger {named}, this is {known}")
        });
    }

    /// The result of a backtest.
    pub(super) fn compared(&mut self) -> Option<Compared> {
        self.backtest.take().map(|backtest| backtest.finish())
    }

    pub(super) fn finish(mut self, findings: &mut Findings) -> HistoryReport {
        self.settle_closings(None, findings);
        self.settle_promise(None, findings);
        self.settle_keeping(None, findings);
        self.settle_changing(None, findings);
        self.settle_review(None, findings);
        self.settle_blocking(None, findings);
        self.settle_departure(None, findings);
        self.settle_firing(None, findings);
        self.settle_owing(None, findings);
        self.settle_unproven(findings);
        let mut missing = Vec::new();
        for position in self.missing.keys() {
            Range::push(&mut missing, *position);
        }
        for range in &missing {
            let reason = match range.last - range.first {
                0 => "its payload is missing".to_owned(),
                _ => format!(
                    "the payloads from here to position {} are missing",
                    range.last
                ),
            };
            let reason = format!("{reason}, and no later event says that they were erased");
            findings.add(Some(range.first), Check::PayloadMissing, reason);
        }
        self.counts.ledger_id = self.ledger_id;
        self.counts.streams = self.streams.len();
        self.counts.deciding_keys = self.keys.into_values().collect();
        self.counts
    }
}

/// Only an event whose row says that it answers another one names a cause, and an earlier one.
fn check_cause(now: &mut Now<'_>) {
    let (position, cause) = (now.position(), now.envelope.cause);
    let answers = Event::kind_of(now.header.event_type).is_some_and(|kind| kind.traits.answers);
    now.expect(answers || cause.is_none(), Check::Envelope, || {
        "it says that another event caused it, which is not so for its kind".to_owned()
    });
    now.expect(
        cause.is_none_or(|cause| cause < position),
        Check::Envelope,
        || {
            format!(
                "it says that it was caused by position {}",
                cause.unwrap_or_default()
            )
        },
    );
}
