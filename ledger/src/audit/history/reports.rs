//! The messages to callbacks, made anew from each event and its stream.

use super::applies::ApplyState;
use super::streams::State;
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::{Findings, Obstacle};
use crate::callback_event::CallbackEvent;
use crate::callback_report::{self as told, Message};
use crate::event::{
    AggregateKind, ApplyEnd, ApplyEnded, ApplyResolved, ApprovalAsked, ApprovalDecided,
    ApprovalRequested, Approved, DeliveryOwed, Denied, Event,
};
use crate::id::{ApplyId, ApprovalId, CallbackId, CommandId, EventId, TaskId};
use crate::name::IdempotencyKey;
use crate::record::Header;
use std::collections::VecDeque;

/// A delivery is owed in the commit of its event, a few positions after it.
const REACH: usize = 64;

/// An event that callbacks are told of.
#[derive(Debug)]
pub(super) struct Reported {
    pub(super) position: u64,
    pub(super) event_id: EventId,
    pub(super) command_id: CommandId,
    pub(super) at: crate::clock::Timestamp,
    /// `None` where what it is about cannot be seen.
    pub(super) about: Option<About>,
    /// The callbacks that were owed a delivery of it.
    owed: Vec<CallbackId>,
}

/// The message and its subject.
#[derive(Debug)]
pub(super) struct About {
    pub(super) message: Message,
    pub(super) task_id: TaskId,
    /// Nothing of a question that is about no apply.
    pub(super) apply_id: Option<ApplyId>,
    pub(super) approval_id: Option<ApprovalId>,
    pub(super) key: Key,
}

/// The idempotency key that is told.
#[derive(Debug)]
pub(super) enum Key {
    /// None.
    Absent,
    /// This one.
    Named(IdempotencyKey),
    /// That of the apply that asks, which is accepted just after.
    OfTheNext,
}

/// The newest events that are reported.
#[derive(Debug, Default)]
pub(super) struct Reports(VecDeque<Reported>);

impl Reports {
    pub(super) fn find(&self, position: u64) -> Option<&Reported> {
        self.0.iter().find(|known| known.position == position)
    }
}

/// The callbacks that are still owed a delivery for one event.
#[derive(Debug)]
pub(super) struct Owing {
    position: u64,
    command_id: CommandId,
    name: CallbackEvent,
    callbacks: Vec<CallbackId>,
}

impl History {
    /// Each callback of the task that wants the event is to be owed a delivery by the same command. Those of a
    /// task that cannot be seen are not known.
    fn will_owe(&mut self, now: &Now<'_>, about: &About) {
        let wanting: Vec<_> = match self.streams.state(about.task_id) {
            Some(State::Task(task)) => task.callbacks.wanting(about.message.name).collect(),
            Some(State::ClosedTask(task)) => task.callbacks.wanting(about.message.name).collect(),
            _ => return,
        };
        if !wanting.is_empty() {
            self.owing.push(Owing {
                position: now.position(),
                command_id: now.envelope.command_id,
                name: about.message.name,
                callbacks: wanting,
            });
        }
    }

    /// Takes note of a delivery that is owed for the event at that position; `false` when that callback was owed
    /// one already.
    pub(super) fn is_owed_once(&mut self, position: u64, callback: CallbackId) -> bool {
        for owing in self
            .owing
            .iter_mut()
            .filter(|owing| owing.position == position)
        {
            owing.callbacks.retain(|wanting| *wanting != callback);
        }
        let Reports(newest) = &mut self.reports;
        let Some(reported) = newest.iter_mut().find(|known| known.position == position) else {
            return true;
        };
        let is_new = !reported.owed.contains(&callback);
        reported.owed.push(callback);
        is_new
    }

    /// A delivery that cannot be read may be the one that is still to be owed.
    pub(super) fn owed_unseen(&mut self, header: &Header, why: Obstacle, findings: &mut Findings) {
        let mut newest = self.owing.iter_mut().rev();
        let is_owed = Event::kind_of(header.event_type)
            .is_some_and(|kind| kind.aggregate == AggregateKind::Delivery && kind.traits.begins);
        if is_owed && let Some(owing) = newest.find(|owing| !owing.callbacks.is_empty()) {
            owing.callbacks.pop();
            findings.cannot(owing.position, Check::DeliveryEvent, why);
        }
    }

    /// One of the command's deliveries does not say what it is owed for, which is told where it stands.
    pub(super) fn owed_for_another(&mut self, command: CommandId) {
        self.owing.retain(|owing| owing.command_id != command);
    }

    /// Before the event at that position, and at the end (`None`): what was not owed by then is owed no more.
    pub(super) fn settle_owing(&mut self, next: Option<u64>, findings: &mut Findings) {
        let reach = u64::try_from(REACH).unwrap_or(u64::MAX);
        let is_over =
            |owing: &Owing| next.is_none_or(|next| owing.position.saturating_add(reach) < next);
        if !self.owing.first().is_some_and(is_over) {
            return;
        }
        let (over, open): (Vec<_>, Vec<_>) = std::mem::take(&mut self.owing)
            .into_iter()
            .partition(is_over);
        self.owing = open;
        for owing in over {
            // The commit may go on behind the last record.
            let goes_on = next.is_none() && self.ends_with(owing.command_id);
            for callback in owing.callbacks {
                if goes_on {
                    let why = Obstacle::AfterRange;
                    findings.cannot(owing.position, Check::DeliveryEvent, why);
                    continue;
                }
                let name = owing.name;
                let reason =
                    format!("callback {callback} wants {name}, and is owed no delivery of it");
                findings.add(Some(owing.position), Check::DeliveryEvent, reason);
            }
        }
    }

    /// Remembers the event if deliveries may be owed for it; before its stream takes it in.
    pub(super) fn report(&mut self, now: &Now<'_>, event: &Event) {
        if event.kind().is_none_or(|kind| kind.told.is_empty()) {
            return;
        }
        let about = match event {
            Event::ApprovalRequested(asked) => Some(requested(asked)),
            Event::ApprovalAsked(asked) => Some(asked_besides(asked)),
            Event::ApprovalApproved(Approved(decided)) => self.decided_about(now, decided, true),
            Event::ApprovalDenied(Denied(decided)) => self.decided_about(now, decided, false),
            Event::ApprovalExpired(e) => {
                self.question_about(now, told::expired(e.deadline, e.was_approved))
            }
            Event::ApprovalCancelled(e) => self.question_about(now, told::cancelled(&e.reason)),
            Event::ApplyEnded(e) => self.apply_about(now, |id, apply| ended(id, apply, e)),
            Event::ApplyResolved(e) => self.apply_about(now, |id, apply| resolved(id, apply, e)),
            _ => None,
        };
        if let Some(about) = &about {
            self.will_owe(now, about);
        }
        let Reports(newest) = &mut self.reports;
        if newest.len() >= REACH {
            newest.pop_front();
        }
        newest.push_back(Reported {
            position: now.position(),
            event_id: now.header.event_id,
            command_id: now.envelope.command_id,
            at: now.at(),
            about,
            owed: Vec::new(),
        });
    }

    fn question_about(&mut self, now: &Now<'_>, message: Message) -> Option<About> {
        let stream = now.header.stream_id;
        match self.streams.state(stream) {
            Some(State::Approval(question)) => {
                let (task_id, apply_id) = question.apply()?;
                Some(About {
                    message,
                    task_id,
                    apply_id: Some(apply_id),
                    approval_id: Some(ApprovalId::from_bytes(*stream.as_bytes())),
                    key: Key::Absent,
                })
            }
            _ => None,
        }
    }

    fn decided_about(
        &mut self,
        now: &Now<'_>,
        decided: &ApprovalDecided,
        approved: bool,
    ) -> Option<About> {
        let (fingerprint, until) = match self.streams.state(now.header.stream_id) {
            Some(State::Approval(question)) => (
                question.fingerprint,
                question.continue_until(decided, now.at()),
            ),
            _ => return None,
        };
        let reason = decided.reason.as_deref();
        let until = approved.then_some(until);
        let message = told::decided(&decided.principal, reason, fingerprint, until);
        self.question_about(now, message)
    }

    fn apply_about(
        &mut self,
        now: &Now<'_>,
        message: impl FnOnce(ApplyId, &ApplyState) -> Message,
    ) -> Option<About> {
        let stream = now.header.stream_id;
        let Some(State::Apply(apply)) = self.streams.state(stream) else {
            return None;
        };
        let apply_id = ApplyId::from_bytes(*stream.as_bytes());
        Some(About {
            message: message(apply_id, apply),
            task_id: apply.task_id,
            apply_id: Some(apply_id),
            approval_id: apply.approval,
            key: Key::Named(apply.idempotency_key.clone()),
        })
    }
}

fn ended(apply_id: ApplyId, apply: &ApplyState, ended: &ApplyEnded) -> Message {
    let simulated = apply.simulated == Some(true);
    match &ended.stopped {
        Some(reason) => told::stopped(apply_id, reason),
        None => told::ended(apply_id, apply.execution_id, ended.end, simulated),
    }
}

fn resolved(apply_id: ApplyId, apply: &ApplyState, resolved: &ApplyResolved) -> Message {
    let end = if resolved.executed && apply.all_tried() {
        ApplyEnd::Completed
    } else {
        ApplyEnd::Failed
    };
    told::ended(apply_id, apply.execution_id, end, false)
}

fn requested(asked: &ApprovalRequested) -> About {
    About {
        message: told::pending(asked.apply_id, asked.fingerprint, asked.expires_at),
        task_id: asked.task_id,
        apply_id: Some(asked.apply_id),
        approval_id: Some(asked.approval_id),
        key: Key::OfTheNext,
    }
}

fn asked_besides(asked: &ApprovalAsked) -> About {
    let kind = asked.subject.kind();
    About {
        message: told::pending_besides(kind, asked.fingerprint, asked.expires_at),
        task_id: DeliveryOwed::place_of(asked.approval_id),
        apply_id: None,
        approval_id: Some(asked.approval_id),
        key: Key::Absent,
    }
}
