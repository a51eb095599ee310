//! Schedules: each instant once and in order, and nothing by the scheduler but what a schedule fires.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::aggregate::{Aggregate as _, Schedule};
use crate::audit::check::Check;
use crate::audit::finding::{Findings, Obstacle};
use crate::clock::Timestamp;
use crate::command::{GRACE, SCHEDULER, definition, scheduled};
use crate::event::{
    Actor, AggregateKind, ApplyAccepted, ApprovalAsked, Event, LockTarget, Misfire, MissReason,
    ScheduleFired, ScheduleMissed, ScheduleProposal, SchedulePut, TaskCreated,
};
use crate::fingerprint::operations_of;
use crate::id::{AgentId, ApplyId, ApprovalId, CommandId, ScheduleId, TaskId, TokenId, UserId};
use crate::name::ClientSubject;
use crate::policy::{Excluded, Exclusion, PreState, Requirement};
use serde_json::Value;

/// A schedule that was not deleted.
#[derive(Debug)]
pub(super) struct KnownSchedule {
    schedule: Schedule,
    /// The user who put it.
    put_by: Option<UserId>,
}

impl KnownSchedule {
    /// Its agent and operations, as locks name them.
    pub(super) fn asks_for(&self) -> (AgentId, Vec<LockTarget>) {
        let schedule = &self.schedule;
        let operations = LockTarget::operations_of(&schedule.operations);
        (schedule.agent_id, operations)
    }
}

/// A task that the scheduler opened, and what it asked for in it, before the schedule says that it fired.
#[derive(Debug)]
pub(super) struct Firing {
    position: u64,
    command_id: CommandId,
    task_id: TaskId,
    agent_id: AgentId,
    subject: ClientSubject,
    apply: Option<AskedFor>,
}

/// The apply that the scheduler asked for.
#[derive(Debug)]
struct AskedFor {
    apply_id: ApplyId,
    by: TokenId,
    /// Absent where they cannot be read.
    operations: Option<Vec<Value>>,
}

fn asks_the_same(before: &Schedule, put: &SchedulePut) -> bool {
    before.agent_id == put.agent_id && before.operations == put.operations
}

fn is_scheduler(now: &Now<'_>) -> bool {
    matches!(&now.envelope.actor, Actor::System { component } if component == SCHEDULER)
}

impl History {
    /// Takes note of a task that the scheduler opens.
    pub(super) fn opened_by_schedule(&mut self, now: &mut Now<'_>, created: &TaskCreated) {
        if !is_scheduler(now) {
            let own = scheduled(&created.subject).is_none();
            return now.expect(own, Check::Schedule, || {
                "its subject is that of a schedule, which did not open it".to_owned()
            });
        }
        self.firing = Some(Firing {
            position: now.position(),
            command_id: now.envelope.command_id,
            task_id: created.task_id,
            agent_id: created.agent_id,
            subject: created.subject.clone(),
            apply: None,
        });
    }

    /// Takes note of what the scheduler asks for, which it does in the task that it has just opened.
    pub(super) fn asked_by_schedule(&mut self, now: &mut Now<'_>, accepted: &ApplyAccepted) {
        if !is_scheduler(now) {
            return;
        }
        let operations = operations_of(accepted.submission.as_bytes()).ok();
        let opened = match &mut self.firing {
            Some(firing) if firing.task_id == accepted.task_id && firing.apply.is_none() => {
                firing.apply = Some(AskedFor {
                    apply_id: accepted.apply_id,
                    by: accepted.token_id,
                    operations,
                });
                true
            }
            _ => false,
        };
        if !opened && let Some(why) = self.is_task_hidden(accepted.task_id) {
            return now.cannot(Check::Schedule, why);
        }
        now.expect(opened, Check::Schedule, || {
            "the scheduler asks for it in a task that it has not just opened".to_owned()
        });
    }

    /// The users whose wish a task of the scheduler is: who put its schedule, and who put its operations.
    pub(super) fn putters(&mut self, created: &TaskCreated) -> Result<Vec<UserId>, Obstacle> {
        // What is wrong with the subject is told where the schedule says that it fired.
        match scheduled(&created.subject) {
            Some(schedule_id) => self.putters_of(schedule_id),
            None => Ok(Vec::new()),
        }
    }

    /// The users who put a schedule, and its operations.
    fn putters_of(&mut self, schedule_id: ScheduleId) -> Result<Vec<UserId>, Obstacle> {
        let Some((origin, put_by)) = self.put_by(schedule_id)? else {
            return Ok(Vec::new());
        };
        let first = match origin == schedule_id {
            true => None,
            false => self.put_by(origin)?,
        };
        let first = first.and_then(|(_, put_by)| put_by);
        Ok(put_by.into_iter().chain(first).collect())
    }

    /// The origin of a put of a schedule, and its user.
    fn put_by(&mut self, id: ScheduleId) -> Result<Option<(ScheduleId, Option<UserId>)>, Obstacle> {
        let found = self.streams.find(id, |state| match state {
            State::Schedule(known) => Some((known.schedule.origin, known.put_by)),
            _ => None,
        });
        match found {
            Seen::Here(found) => Ok(Some(found)),
            Seen::Hidden(why) => Err(why),
            Seen::Erased | Seen::Never if self.is_excerpt => Err(Obstacle::BeforeRange),
            Seen::Erased | Seen::Never => Ok(None),
        }
    }

    /// The scheduler closes only what it opened.
    pub(super) fn closed_by_schedule(&mut self, now: &mut Now<'_>) {
        if !is_scheduler(now) {
            return;
        }
        let own = match self.streams.state(now.header.stream_id) {
            Some(State::Task(task)) => scheduled(&task.subject).is_some(),
            _ => return,
        };
        now.expect(own, Check::Schedule, || {
            "the scheduler closes a task that no schedule opened".to_owned()
        });
    }

    /// The obstacle to looking at the beginning of a task, where there is one.
    fn is_task_hidden(&mut self, task_id: TaskId) -> Option<Obstacle> {
        match self.streams.find(task_id, |_| Some(())) {
            Seen::Hidden(why) => Some(why),
            Seen::Erased => Some(Obstacle::Erased),
            Seen::Here(()) | Seen::Never => None,
        }
    }

    /// What the scheduler has opened was fired by a schedule, in the same command.
    pub(super) fn settle_firing(&mut self, next: Option<CommandId>, findings: &mut Findings) {
        let left = self
            .firing
            .take_if(|firing| next != Some(firing.command_id));
        let Some(firing) = left else { return };
        // The commit may go on behind the last record.
        if next.is_none() && self.ends_with(firing.command_id) {
            let why = Obstacle::AfterRange;
            return findings.cannot(firing.position, Check::Schedule, why);
        }
        // The schedule is not among the records that are here.
        if self.is_excerpt {
            let why = Obstacle::BeforeRange;
            return findings.cannot(firing.position, Check::Schedule, why);
        }
        let reason = "the scheduler opened it, and no schedule fired";
        findings.add(Some(firing.position), Check::Schedule, reason);
    }

    pub(super) fn schedule_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        let (mut schedule, mut put_by) = match self.streams.state(stream) {
            Some(State::Schedule(known)) => (Some(known.schedule.clone()), known.put_by),
            _ => (None, None),
        };
        if let (Event::SchedulePut(_), Actor::User { user_id, .. }) = (event, &now.envelope.actor) {
            put_by = Some(*user_id);
        }
        match (event, &schedule) {
            (Event::SchedulePut(put), _) => self.schedule_put(now, put),
            (Event::ScheduleFired(fired), Some(schedule)) => self.fired(now, schedule, fired),
            (Event::ScheduleMissed(missed), Some(schedule)) => self.missed(now, schedule, missed),
            (Event::ScheduleAsked(asked), Some(schedule)) => {
                self.is_newest(now, schedule);
                let id = schedule.id;
                let is_about = self
                    .question(asked.approval_id)
                    .map(|question| question.schedule() == Some(id));
                let missing = || format!("approval {} is not open", asked.approval_id);
                let is_about = is_about.or_tell(now, Check::Schedule, missing);
                now.expect(is_about != Some(false), Check::Schedule, || {
                    format!("approval {} is about something else", asked.approval_id)
                });
            }
            (Event::ScheduleDeleted(_), Some(schedule)) => {
                self.is_newest(now, schedule);
                self.schedules.remove(&schedule.name);
            }
            _ => {}
        }
        Schedule::evolve(&mut schedule, event, now.at());
        let Some(schedule) = schedule else { return };
        let state = match schedule.deleted_at {
            Some(_) => State::Ended(AggregateKind::Schedule),
            None => State::Schedule(Box::new(KnownSchedule { schedule, put_by })),
        };
        self.streams.put(stream, state);
    }

    /// People are asked about a schedule that stands, as it was put, and not those whose wish it is.
    pub(super) fn asked_about_schedule(
        &mut self,
        now: &mut Now<'_>,
        asked: &ApprovalAsked,
        proposal: &ScheduleProposal,
    ) {
        let id: ScheduleId = proposal.schedule_id.into();
        let known = self.streams.find(id, |state| match state {
            State::Schedule(known) => Some(known.schedule.clone()),
            _ => None,
        });
        if self.is_excerpt && matches!(known, Seen::Never) {
            return now.cannot(Check::Schedule, Obstacle::BeforeRange);
        }
        let missing = || format!("schedule {id} was not put before, or was deleted");
        let Some(schedule) = known.or_tell(now, Check::Schedule, missing) else {
            return;
        };
        self.is_newest(now, &schedule);
        let same = definition(&schedule).is_ok_and(|said| said == proposal.definition);
        now.expect(same, Check::Schedule, || {
            "what is asked about is not the schedule as it was put".to_owned()
        });
        let Some(policy) = &asked.policy else { return };
        match self.schedule_wished_by(&schedule) {
            Ok(expected) => {
                let recorded = &policy.requirement.get().exclude;
                now.expect(*recorded == expected, Check::Vote, || {
                    "its question excludes others from its answer than those whose wish it is"
                        .to_owned()
                });
            }
            Err(why) => now.cannot(Check::Vote, why),
        }
    }

    /// Those whose wish a schedule is, unless the policy lets them answer.
    fn schedule_wished_by(&mut self, schedule: &Schedule) -> Result<Vec<Excluded>, Obstacle> {
        let in_force = self.policies.in_force.as_ref();
        if in_force.is_some_and(|known| known.policy.self_approval) {
            return Ok(Vec::new());
        }
        let excluded = |user_id, why| Excluded { user_id, why };
        let mut expected = Vec::new();
        if let Some(State::Agent(agent)) = self.streams.state(schedule.agent_id) {
            let owner = agent.owner;
            expected.extend(owner.map(|owner| excluded(owner, Exclusion::AgentOwner)));
        }
        let putters = self.putters_of(schedule.id)?.into_iter();
        expected.extend(putters.map(|user| excluded(user, Exclusion::TaskOpener)));
        expected.sort_unstable();
        expected.dedup();
        Ok(expected)
    }

    /// What the approval of its schedule as a whole authorised: a firing of that schedule, after people approved it.
    pub(super) fn approved_with_schedule(
        &mut self,
        now: &mut Now<'_>,
        accepted: &ApplyAccepted,
        whole: ApprovalId,
    ) {
        now.expect(is_scheduler(now), Check::Schedule, || {
            "the approval of a schedule authorises what no schedule asks for".to_owned()
        });
        let own = match self.streams.state(accepted.task_id) {
            Some(State::Task(task)) => scheduled(&task.subject),
            _ => None,
        };
        let found = self.question(whole).map(|question| {
            let is_own = own.is_some() && question.schedule() == own;
            let required = question.answered();
            let by = question.approved_by.clone();
            (is_own, by, required, question.asked_at)
        });
        if self.is_excerpt && matches!(found, Seen::Never) {
            return now.cannot(Check::Schedule, Obstacle::BeforeRange);
        }
        let missing = || format!("approval {whole}, which authorises it, was not asked or is over");
        let Some((is_own, by, answered, asked_at)) = found.or_tell(now, Check::Schedule, missing)
        else {
            return;
        };
        now.expect(is_own, Check::Schedule, || {
            format!("approval {whole}, which authorises it, is not about its schedule")
        });
        match by {
            Some(principal) => self.check_owner(now, &principal),
            None => now.wrong(
                Check::Schedule,
                format!("nobody had given approval {whole}, which authorises it"),
            ),
        }
        if accepted.evaluation.is_none() {
            let needed = Requirement::without_policy();
            now.expect(answered.needs_as_much_as(&needed), Check::Schedule, || {
                format!("approval {whole}, which authorises it, is not enough for it")
            });
        }
        self.unlocked_since(now, asked_at, &[], accepted.task_id);
    }

    /// Those who approved a schedule as a whole are enough for what the policy asks of a firing.
    pub(super) fn whole_is_enough(
        &mut self,
        now: &mut Now<'_>,
        whole: ApprovalId,
        required: &Requirement,
        of: (TaskId, AgentId),
    ) {
        let answered = self.question(whole).map(|question| question.answered());
        // What is wrong with the question is told where it is looked at.
        let Seen::Here(answered) = answered else {
            return;
        };
        let is_enough =
            answered.needs_as_much_as(required) && required.pre_state == PreState::Shown;
        now.expect(is_enough, Check::Schedule, || {
            format!("the policy asks for more than approval {whole} of its schedule")
        });
        match self.wished_by(&now.envelope.actor, of) {
            Ok(expected) => {
                let mut whose = expected.iter();
                let excludes = whose.all(|one| answered.excludes(one.user_id));
                now.expect(excludes, Check::Vote, || {
                    "somebody whose wish it is could approve its schedule".to_owned()
                });
            }
            Err(why) => now.cannot(Check::Vote, why),
        }
    }

    fn schedule_put(&mut self, now: &mut Now<'_>, put: &SchedulePut) {
        let stream = now.header.stream_id;
        let id = put.schedule_id;
        now.expect(
            id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins schedule {id} in stream {stream}"),
        );
        let missing = || format!("agent {} was not registered before", put.agent_id);
        self.agent(put.agent_id)
            .or_tell(now, Check::Reference, missing);
        self.agent_unlocked(now, put.agent_id);
        let before = self.schedules.insert(put.name.clone(), id);
        if before.is_none() && (self.partial || self.is_excerpt) {
            now.cannot(Check::Schedule, Obstacle::BeforeRange);
        } else {
            now.expect(before == put.replaces, Check::Schedule, || {
                format!("it replaces {:?}, and {before:?} stood", put.replaces)
            });
        }
        if put.origin == id {
            return;
        }
        let before = put.replaces.map(|before| {
            self.streams.find(before, |state| match state {
                State::Schedule(before) => {
                    let before = &before.schedule;
                    Some(before.origin == put.origin && asks_the_same(before, put))
                }
                _ => None,
            })
        });
        match before {
            Some(Seen::Hidden(why)) => now.cannot(Check::Schedule, why),
            Some(Seen::Erased | Seen::Never) if self.is_excerpt => {
                now.cannot(Check::Schedule, Obstacle::BeforeRange);
            }
            Some(Seen::Here(true)) => {}
            _ => now.wrong(
                Check::Schedule,
                "it says that another put had asked for the same, which is not so",
            ),
        }
    }

    fn is_newest(&self, now: &mut Now<'_>, schedule: &Schedule) {
        let newest = self.schedules.get(&schedule.name) == Some(&schedule.id);
        now.expect(newest, Check::Schedule, || {
            "another one had taken its place".to_owned()
        });
    }

    /// Instants come in order, none is in the time to come, and its terms name each.
    fn is_due(&self, now: &mut Now<'_>, schedule: &Schedule, instants: &[Timestamp], tzdata: &str) {
        self.is_newest(now, schedule);
        now.expect(schedule.is_active(), Check::Schedule, || {
            "it was paused".to_owned()
        });
        let settled = schedule.settled;
        let in_order = instants
            .iter()
            .all(|instant| settled < *instant && *instant <= now.at());
        now.expect(in_order, Check::Schedule, || {
            format!("its instants up to {settled} were dealt with, or it had not come")
        });
        let clock = &self.schedule_clock;
        if clock.tzdata() != tzdata {
            return now.cannot(Check::Schedule, Obstacle::OtherVersion);
        }
        for instant in instants {
            now.expect(
                clock.fires_at(&schedule.terms, *instant),
                Check::Schedule,
                || format!("its terms do not name {instant}"),
            );
        }
    }

    fn fired(&mut self, now: &mut Now<'_>, schedule: &Schedule, fired: &ScheduleFired) {
        self.is_due(now, schedule, &[fired.nominal], &fired.tzdata);
        let in_time = now.at().since(fired.nominal) <= GRACE;
        let may_be_late = schedule.terms.misfire == Misfire::Once;
        now.expect(in_time || may_be_late, Check::Schedule, || {
            "its time had passed, and it is to be missed then".to_owned()
        });
        let firing = self.firing.take();
        let firing = firing.filter(|firing| {
            firing.command_id == now.envelope.command_id && firing.task_id == fired.task_id
        });
        let Some(firing) = firing else {
            if let Some(why) = self.is_task_hidden(fired.task_id) {
                return now.cannot(Check::Schedule, why);
            }
            let reason = "it opened no task in the same command";
            return now.wrong(Check::Schedule, reason);
        };
        now.expect(
            firing.agent_id == schedule.agent_id,
            Check::Schedule,
            || "its task is of another agent".to_owned(),
        );
        let asked = firing.apply;
        let asked = asked.filter(|asked| asked.apply_id == fired.apply_id);
        let Some(asked) = asked else {
            let reason = "it asked for no such apply in the same command";
            return now.wrong(Check::Schedule, reason);
        };
        let own = TokenId::from_bytes(*schedule.id.as_bytes());
        let in_its_name = asked.by == own && scheduled(&firing.subject) == Some(schedule.id);
        now.expect(in_its_name, Check::Schedule, || {
            "what it asked for was asked in the name of something else".to_owned()
        });
        let put: Option<Vec<Value>> = serde_json::from_str(&schedule.operations).ok();
        now.expect(asked.operations == put, Check::Schedule, || {
            "it asked for other operations than it was put with".to_owned()
        });
    }

    fn missed(&mut self, now: &mut Now<'_>, schedule: &Schedule, missed: &ScheduleMissed) {
        let (first, last) = (missed.first, missed.last);
        let is_range = match missed.count {
            0 => false,
            1 => first == last,
            _ => first < last && missed.why == MissReason::Late,
        };
        now.expect(is_range, Check::Schedule, || {
            format!("{} firings from {first} to {last} cannot be", missed.count)
        });
        let instants = [first, last];
        let once = instants.get(..usize::from(first != last) + 1);
        self.is_due(now, schedule, once.unwrap_or(&instants), &missed.tzdata);
        if let MissReason::Refused {
            task_id: Some(task_id),
            ..
        } = missed.why
        {
            let firing = self.firing.take();
            if firing.is_none()
                && let Some(why) = self.is_task_hidden(task_id)
            {
                return now.cannot(Check::Schedule, why);
            }
            let fits = firing.is_some_and(|firing| {
                let same = firing.command_id == now.envelope.command_id;
                same && firing.task_id == task_id && firing.apply.is_none()
            });
            now.expect(fits, Check::Schedule, || {
                "it opened no such task in the same command, or what it asked for was accepted"
                    .to_owned()
            });
        }
    }
}
