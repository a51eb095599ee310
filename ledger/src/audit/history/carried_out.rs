//! Applies that are to be carried out once they are approved: the command of the decision uses the approval for
//! them, and no other decision does.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::agent_key::SHARED_KEY;
use crate::audit::check::Check;
use crate::audit::finding::Findings;
use crate::event::{Actor, AggregateKind};
use crate::id::{ApplyId, CommandId, KeyId, StreamId, TaskId, TokenId};
use crate::name::ApproverName;

/// An approval that the command of its decision is to use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Promise {
    position: u64,
    command_id: CommandId,
    approval: StreamId,
}

impl History {
    /// Takes note of an approval, where what asked for it is to be carried out at once.
    pub(super) fn will_carry_out(&mut self, now: &Now<'_>) {
        let approval = now.header.stream_id;
        let Some(State::Approval(question)) = self.streams.state(approval) else {
            return;
        };
        let asked = question.executes_for.zip(question.task_id());
        let Some((asker, task_id)) = asked else {
            return;
        };
        if self.is_asker_in_force(task_id, asker) == Some(true) {
            self.promise = Some(Promise {
                position: now.position(),
                command_id: now.envelope.command_id,
                approval,
            });
        }
    }

    /// True when the key that asked is in force; a token is, until its task is closed. `None` where that cannot be
    /// seen.
    fn is_asker_in_force(&mut self, task_id: TaskId, asker: TokenId) -> Option<bool> {
        let by_key = self.streams.find(task_id, |state| match state {
            State::Task(task) => Some(task.end_for_keys().is_some()),
            _ => None,
        });
        let key_id = KeyId::from_bytes(*asker.as_bytes());
        match by_key {
            Seen::Here(false) => return Some(true),
            Seen::Here(true) if key_id == SHARED_KEY => return Some(true),
            Seen::Here(true) => {}
            _ => return None,
        }
        match self.streams.state(key_id) {
            Some(State::Key(_)) => Some(true),
            Some(State::Ended(AggregateKind::Key)) => Some(false),
            _ => None,
        }
    }

    /// What is cancelled by the policy is not carried out.
    pub(super) fn takes_back_promise(&mut self, approval: StreamId) {
        self.promise.take_if(|promise| promise.approval == approval);
    }

    /// Keeps the promise, and holds a use for an apply that no agent asked for against it.
    pub(super) fn is_carried_out(&mut self, now: &mut Now<'_>, apply: ApplyId) {
        let approval = now.header.stream_id;
        let kept = self.promise.take_if(|promise| promise.approval == approval);
        if !matches!(now.envelope.actor, Actor::Approver { .. }) {
            return;
        }
        let Some(State::Approval(question)) = self.streams.state(approval) else {
            return;
        };
        let (asker, task_id) = (question.executes_for, question.task_id());
        now.expect(question.is_first(apply), Check::Authorisation, || {
            "it is used by its decision for another apply than the one that asked".to_owned()
        });
        let Some((asker, task_id)) = asker.zip(task_id) else {
            return now.wrong(
                Check::Authorisation,
                "it is used by its decision, and what asked waits for its agent",
            );
        };
        // What cannot be seen of the key is told where it asked.
        let in_force = kept.is_some() || self.is_asker_in_force(task_id, asker) != Some(false);
        now.expect(in_force, Check::AgentKey, || {
            "it is used by its decision, and the key that asked had been taken away".to_owned()
        });
    }

    /// True when the approver can cause the use of an approval, by an event of its stream or of the apply's: only
    /// where the same command approved it.
    pub(super) fn is_use_by(&mut self, now: &Now<'_>, principal: &ApproverName) -> bool {
        let stream = now.header.stream_id;
        let approval = match self.streams.state(stream) {
            Some(State::Apply(apply)) => apply.approval.map(StreamId::from),
            _ => Some(stream),
        };
        let Some(approval) = approval else {
            return false;
        };
        match self.streams.state(approval) {
            Some(State::Approval(question)) => {
                question.approved_by.as_ref() == Some(principal)
                    && question.approved_in == Some(now.envelope.command_id)
            }
            // What is wrong with the stream is told where the event is looked at.
            _ => true,
        }
    }

    /// Before each event, and at the end (`None`): what another command has approved was carried out.
    pub(super) fn settle_promise(&mut self, next: Option<CommandId>, findings: &mut Findings) {
        let over = |promise: &mut Promise| next != Some(promise.command_id);
        let Some(promise) = self.promise.take_if(over) else {
            return;
        };
        let begun = (promise.position, promise.command_id);
        let reason = "what it approves was to be carried out at once, and was not";
        self.unfinished(begun, next, (Check::Authorisation, reason), findings);
    }
}
