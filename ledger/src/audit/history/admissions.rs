//! Blocks and allows: nothing of a blocked client is accepted, and nothing that is allowed is blocked.

use super::streams::State;
use super::{History, Now};
use crate::admissions::Client;
use crate::aggregate::{Admission, Aggregate as _};
use crate::audit::check::Check;
use crate::audit::finding::{Findings, Obstacle};
use crate::event::{Actor, AggregateKind, AskedFrom, BlockSet, ClientTarget, Event, Network};
use crate::id::{AdmissionId, AgentId, ApprovalId, CommandId};
use crate::statement::{Decision, SignedBlock};
use std::sync::Arc;

/// A block that a decision signs.
#[derive(Debug)]
pub(super) struct Blocking {
    position: u64,
    command_id: CommandId,
    approval_id: ApprovalId,
    block: SignedBlock,
}

impl History {
    /// Takes note of a block that a decision signs, and holds it to what asked.
    pub(super) fn blocks(&mut self, now: &mut Now<'_>, decision: Decision, block: SignedBlock) {
        let approval_id = ApprovalId::from(now.header.stream_id);
        let (task_id, from) = match self.streams.state(approval_id) {
            Some(State::Approval(question)) => (question.task_id(), question.from.clone()),
            _ => (None, None),
        };
        // Questions of before did not say it; rules may have read it.
        let is_from = |of: fn(&AskedFrom) -> Option<ClientTarget>| {
            let asked = from.as_ref().and_then(of);
            asked.is_none_or(|asked| block.value == asked.value())
        };
        let task = task_id.and_then(|task_id| match self.streams.state(task_id) {
            Some(State::Task(task)) => Some((task.agent_id, task.subject.clone())),
            _ => None,
        });
        let is_who_asked = task.is_none_or(|(agent_id, subject)| match block.kind.as_str() {
            "agent" => block.value == agent_id.to_string(),
            "subject" => block.value == subject.to_string(),
            "address" => is_from(|from| {
                let network = Network::parse(from.address.as_ref()?)?;
                Some(ClientTarget::Address(network))
            }),
            "asn" => is_from(|from| from.asn.map(ClientTarget::Asn)),
            _ => false,
        });
        now.expect(
            is_who_asked && decision == Decision::Deny,
            Check::Admission,
            || "it blocks something else than what asked, or does not deny it".to_owned(),
        );
        self.blocking = Some(Blocking {
            position: now.position(),
            command_id: now.envelope.command_id,
            approval_id,
            block,
        });
    }

    /// A block of a decision is the one that it signs, and none is without one.
    fn is_signed(&mut self, now: &mut Now<'_>, set: &BlockSet) {
        let command_id = now.envelope.command_id;
        let is_of = |blocking: &mut Blocking| {
            blocking.command_id == command_id && Some(blocking.approval_id) == set.approval_id
        };
        let signed = self.blocking.take_if(is_of).map(|blocking| blocking.block);
        let as_set = SignedBlock {
            kind: set.target.kind().to_owned(),
            value: set.target.value(),
            until: set.until,
        };
        let by_approver = matches!(now.envelope.actor, Actor::Approver { .. });
        let is_of_decision = by_approver || set.approval_id.is_some();
        if signed.is_none()
            && let Some(approval_id) = set.approval_id
            && let Some(why) = self.question_unseen(approval_id)
        {
            return now.cannot(Check::Admission, why);
        }
        now.expect(
            !is_of_decision || signed == Some(as_set),
            Check::Admission,
            || "it is not what its decision says that is blocked".to_owned(),
        );
    }

    /// Before each event, and at the end (`None`): what another command has signed was blocked.
    pub(super) fn settle_blocking(&mut self, next: Option<CommandId>, findings: &mut Findings) {
        let over = |blocking: &mut Blocking| next != Some(blocking.command_id);
        let Some(blocking) = self.blocking.take_if(over) else {
            return;
        };
        if self.is_excerpt || next.is_none() && self.ends_with(blocking.command_id) {
            return findings.cannot(blocking.position, Check::Admission, Obstacle::AfterRange);
        }
        findings.add(
            Some(blocking.position),
            Check::Admission,
            "what it signs to be blocked was not blocked".to_owned(),
        );
    }

    pub(super) fn admission_event(&mut self, now: &mut Now<'_>, event: &Event) {
        let stream = now.header.stream_id;
        let (id, target): (Option<AdmissionId>, Option<&ClientTarget>) = match event {
            Event::BlockSet(set) => (Some(set.admission_id), Some(&set.target)),
            Event::AllowSet(set) => (Some(set.admission_id), Some(&set.target)),
            _ => (None, None),
        };
        if let Some(id) = id {
            now.expect(
                id.as_bytes() == stream.as_bytes(),
                Check::StreamIdentity,
                || format!("it begins {id} in stream {stream}"),
            );
        }
        if let Some(ClientTarget::Agent(agent)) = target {
            let found = self.streams.find(*agent, |state| {
                (state.kind() == Some(AggregateKind::Agent)).then_some(())
            });
            found.or_tell(now, Check::Reference, || {
                format!("agent {agent}, which it is about, was not there")
            });
        }
        if let Event::BlockSet(set) = event {
            self.is_signed(now, set);
            let allow = self.admissions.allow_over(&set.target, now.at());
            let allow = allow.map(|allow| allow.id);
            now.expect(allow.is_none(), Check::Admission, || {
                format!("it blocks what an allow covers that stands: {allow:?}")
            });
        }
        let mut admission = match self.streams.state(stream) {
            Some(State::Admission(admission)) => Some(Admission::clone(admission)),
            _ => None,
        };
        if let (Event::BlockLifted(_) | Event::AllowLifted(_), Some(admission)) =
            (event, &admission)
        {
            now.expect(admission.is_in_force(now.at()), Check::Admission, || {
                "it is lifted and had ended before".to_owned()
            });
        }
        Admission::evolve(&mut admission, event, now.at());
        let Some(admission) = admission.map(Arc::new) else {
            return;
        };
        self.admissions.put(Arc::clone(&admission));
        let state = match admission.lifted_at {
            Some(_) => State::Ended(AggregateKind::Admission),
            None => State::Admission(admission),
        };
        self.streams.put(stream, state);
    }

    /// Nothing is accepted of who is blocked, as far as the record says who that is and where it came from.
    pub(super) fn client_admitted(
        &self,
        now: &mut Now<'_>,
        agent_id: AgentId,
        from: Option<&AskedFrom>,
    ) {
        if self.admissions.is_empty() {
            return;
        }
        let actor = now.envelope.actor.clone();
        let client = Client::of(agent_id, &actor);
        let client = match from {
            Some(from) => client.asked_from(from),
            None => client,
        };
        self.admitted(now, &client);
    }

    /// A client is in no block.
    pub(super) fn admitted(&self, now: &mut Now<'_>, client: &Client<'_>) {
        let block = self.admissions.block_on(client, now.at());
        let block = block.map(|block| (block.target.kind(), block.id));
        now.expect(block.is_none(), Check::Admission, || {
            let (kind, id) = block.unwrap_or(("client", AdmissionId::from_bytes([0; 16])));
            format!("its {kind} had been blocked by {id}")
        });
    }
}
