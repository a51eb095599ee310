//! The limits of open questions: none is asked beyond them while a document is in force.

use super::streams::State;
use super::{History, Now};
use crate::audit::check::Check;
use crate::event::{ApplyAccepted, Authorisation};
use crate::id::{ApprovalId, UserId};
use crate::name::AgentName;
use crate::questions::{Counted, OpenQuestion, asked_from};

impl History {
    /// Takes in an apply, which may have asked a new question.
    pub(super) fn question_opened(&mut self, now: &mut Now<'_>, accepted: &ApplyAccepted) {
        let Authorisation::Awaiting(approval) = accepted.authorisation else {
            return;
        };
        let Some(State::Approval(question)) = self.streams.state(approval) else {
            return;
        };
        if !question.is_first(accepted.apply_id) || !question.is_pending() {
            return;
        }
        let asked = OpenQuestion {
            agent: accepted.agent.clone(),
            operations: accepted
                .check
                .requested
                .iter()
                .map(|one| one.operation)
                .collect(),
            address: asked_from(accepted.evaluation.as_ref()),
            expires_at: question.expires_at,
        };
        self.questions.end(now.at());
        self.within_limits(now, &asked);
        self.questions.take(approval, Some(asked));
    }

    /// A question waits no more for a decision.
    pub(super) fn question_closed(&mut self, approval: ApprovalId) {
        self.questions.take(approval, None);
        self.reviews.close(approval);
    }

    /// Without a document there was no limit in earlier releases, so that nothing is held to one.
    fn within_limits(&mut self, now: &mut Now<'_>, asked: &OpenQuestion) {
        let Some(limits) = self
            .policies
            .in_force
            .as_ref()
            .map(|known| known.policy.limits)
        else {
            return;
        };
        let questions = &self.questions;
        let of_one = |operation| questions.count(&Counted::Operation(operation));
        let most_of_one = asked.operations.iter().copied().map(of_one).max();
        let of_agent = |agent: &AgentName| questions.count(&Counted::Agent(agent.clone()));
        let mut counts = vec![
            ("open", limits.open, questions.count(&Counted::All)),
            ("per_agent", limits.per_agent, of_agent(&asked.agent)),
            (
                "per_operation",
                limits.per_operation,
                most_of_one.unwrap_or(0),
            ),
            (
                "per_address",
                limits.per_address,
                questions.count(&Counted::Address(asked.address)),
            ),
        ];
        let asking = questions.agents();
        let asking: Vec<_> = asking
            .map(|agent| (agent.clone(), of_agent(agent)))
            .collect();
        if let Some(owner) = self.owner_of(&asked.agent) {
            let of_owner = asking
                .into_iter()
                .filter(|(agent, _)| self.owner_of(agent) == Some(owner));
            let count = of_owner.map(|(_, count)| count).sum();
            counts.push(("per_owner", limits.per_owner, count));
        }
        for (limit, most, count) in counts {
            let is_within = most == 0 || count < usize::try_from(most).unwrap_or(usize::MAX);
            now.expect(is_within, Check::QuestionLimit, || {
                format!("{count} questions were open, and limits.{limit} is {most}")
            });
        }
    }

    fn owner_of(&mut self, agent: &AgentName) -> Option<UserId> {
        let stream = *self.agents.get(agent)?;
        match self.streams.state(stream) {
            Some(State::Agent(agent)) => agent.owner,
            _ => None,
        }
    }
}
