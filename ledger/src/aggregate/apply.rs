//! One attempt to carry out a list of operations.

use super::{Aggregate, Task};
use crate::clock::Timestamp;
use crate::event::{
    ApplyEnd, ApplyFollows, Authorisation, Event, Evidence, OnApproval, OperationOutcome,
    OperationStarted, PermissionCheck, PolicyEvaluation,
};
use crate::fingerprint::Fingerprint;
use crate::id::{
    ApplyId, ApprovalId, CallbackId, ClearanceId, ExecutionId, KeyId, TaskId, TokenId,
};
use crate::name::{AgentName, IdempotencyKey};
use crate::purpose::Purpose;
use crate::rejection::Rejection;
use std::sync::Arc;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OperationState {
    /// Not tried.
    Waiting,
    /// It may have had an effect; how it ended is not recorded yet.
    Started(OperationStarted),
    Ended {
        outcome: OperationOutcome,
        /// Found by reading back.
        reconciled: bool,
        /// Nothing was sent.
        simulated: bool,
        /// What upstream said and showed beside it.
        evidence: Evidence,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Apply {
    pub id: ApplyId,
    pub task_id: TaskId,
    pub agent: AgentName,
    /// The key that names it within its task.
    pub idempotency_key: IdempotencyKey,
    pub fingerprint: Fingerprint,
    /// Its operations, in canonical JSON.
    pub submission: String,
    /// The reason and the link that came with it.
    pub purpose: Purpose,
    /// How it goes on once it is approved.
    pub on_approval: OnApproval,
    /// The check against the grants.
    pub check: PermissionCheck,
    /// What the policy said of it, where one was in force.
    pub evaluation: Option<Arc<PolicyEvaluation>>,
    /// The approval that it waits or waited for.
    pub approval_id: Option<ApprovalId>,
    /// The question in the place of which that one was asked, because the policy had changed.
    pub replaces: Option<ApprovalId>,
    /// The kept decision that authorised it.
    pub clearance_id: Option<ClearanceId>,
    /// The approval of its schedule as a whole, which authorised it.
    pub scheduled_by: Option<ApprovalId>,
    /// The write that its request follows.
    pub follows: Option<ApplyFollows>,
    /// It may run: granted, cleared or approved with its schedule from the start, or an approval was consumed for it.
    pub authorised: bool,
    /// The token that asked.
    pub token_id: TokenId,
    /// The task's callback when it was accepted.
    pub callback_id: Option<CallbackId>,
    pub accepted_at: Timestamp,
    pub operations: Vec<OperationState>,
    /// Names what was sent upstream for it, from its first operation on.
    pub execution_id: Option<ExecutionId>,
    /// The time of the newest intent.
    pub started_at: Option<Timestamp>,
    /// Its end; a settled unknown counts as settled.
    pub end: Option<ApplyEnd>,
    /// The reason for which it was stopped before its operations were tried.
    pub stopped: Option<String>,
    /// The settlement of an unknown outcome: carried out or not.
    pub resolved: Option<bool>,
    /// The time of its end or settlement.
    pub ended_at: Option<Timestamp>,
}

impl Apply {
    /// The question in the place of which this one was asked for it.
    #[must_use]
    pub fn replaced_by(&self, question: ApprovalId) -> Option<ApprovalId> {
        self.replaces.filter(|_| self.approval_id == Some(question))
    }

    /// The first operation that was not tried or has not ended, while the apply runs.
    #[must_use]
    pub fn next_operation(&self) -> Option<usize> {
        self.operations
            .iter()
            .position(|state| !matches!(state, OperationState::Ended { .. }))
    }

    /// The key of the agent that it was asked with; `None` where that was a token of its task.
    #[must_use]
    pub fn asked_by_key(&self, task: &Task) -> Option<KeyId> {
        let key = KeyId::from_bytes(*self.token_id.as_bytes());
        task.is_opened_by_key().then_some(key)
    }

    /// The write whose approval allowed it, where one did.
    #[must_use]
    pub fn allowed_by(&self) -> Option<ApplyId> {
        let follows = self.follows.as_ref()?;
        follows.allowed_as.as_ref().map(|_| follows.first)
    }

    /// Authorised and not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.authorised && self.end.is_none()
    }
}

impl Aggregate for Apply {
    type Id = ApplyId;

    const NOT_FOUND: Rejection = Rejection::ApplyNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        if let Event::ApplyAccepted(accepted) = event {
            let (approval_id, clearance_id, scheduled_by) = match accepted.authorisation {
                Authorisation::Granted => (None, None, None),
                Authorisation::Awaiting(approval_id) => (Some(approval_id), None, None),
                Authorisation::Cleared(clearance_id) => (None, Some(clearance_id), None),
                Authorisation::Scheduled(approval_id) => (None, None, Some(approval_id)),
                // Said by the event that comes with it.
                Authorisation::Follows(_) => (None, None, None),
            };
            *state = Some(Self {
                id: accepted.apply_id,
                task_id: accepted.task_id,
                agent: accepted.agent.clone(),
                idempotency_key: accepted.idempotency_key.clone(),
                fingerprint: accepted.fingerprint,
                submission: accepted.submission.clone(),
                purpose: accepted.purpose.clone(),
                on_approval: accepted.on_approval,
                check: accepted.check.clone(),
                evaluation: accepted.evaluation.clone().map(Arc::new),
                approval_id,
                replaces: None,
                clearance_id,
                scheduled_by,
                follows: None,
                authorised: accepted.authorisation.runs_at_once(),
                token_id: accepted.token_id,
                callback_id: accepted.callback_id,
                accepted_at: at,
                operations: vec![OperationState::Waiting; accepted.check.requested.len()],
                execution_id: None,
                started_at: None,
                end: None,
                stopped: None,
                resolved: None,
                ended_at: None,
            });
            return;
        }
        let Some(apply) = state else { return };
        match event {
            Event::ApplyAuthorised(_) => apply.authorised = true,
            Event::ApplyFollows(follows) => apply.follows = Some(follows.clone()),
            Event::ApplyAskedAnew(anew) => {
                apply.authorised = false;
                apply.approval_id = Some(anew.approval_id);
                apply.replaces = Some(anew.replaces);
                apply.evaluation = Some(Arc::new(anew.evaluation.clone()));
            }
            Event::OperationStarted(started) => {
                apply.execution_id = Some(started.execution_id);
                apply.started_at = Some(at);
                if let Some(operation) = slot(&mut apply.operations, started.index) {
                    *operation = OperationState::Started(started.clone());
                }
            }
            Event::OperationEnded(ended) => {
                if let Some(operation) = slot(&mut apply.operations, ended.index) {
                    *operation = OperationState::Ended {
                        outcome: ended.outcome.clone(),
                        reconciled: ended.reconciled,
                        simulated: ended.simulated,
                        evidence: ended.evidence.clone(),
                    };
                }
            }
            Event::ApplyEnded(ended) => {
                apply.end = Some(ended.end);
                apply.stopped.clone_from(&ended.stopped);
                apply.ended_at = Some(at);
            }
            Event::ApplyResolved(resolved) => {
                apply.resolved = Some(resolved.executed);
                // Carried out in full only when nothing after the settled operation was left.
                let all_tried = apply.next_operation().is_none();
                let done = resolved.executed && all_tried;
                apply.end = Some(if done {
                    ApplyEnd::Completed
                } else {
                    ApplyEnd::Failed
                });
                apply.ended_at = Some(at);
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        let outcomes: usize = self
            .operations
            .iter()
            .map(|operation| match operation {
                OperationState::Ended {
                    outcome, evidence, ..
                } => evidence.len() + weight_of(outcome),
                _ => 64,
            })
            .sum();
        let policy = self.evaluation.as_ref().map_or(0, |said| said.weight());
        768 + policy
            + self.submission.len()
            + self.purpose.len()
            + outcomes
            + self.check.requested.len() * 192
    }
}

fn weight_of(outcome: &OperationOutcome) -> usize {
    match outcome {
        OperationOutcome::Succeeded { result, .. } => result.len(),
        OperationOutcome::Failed {
            errors, message, ..
        } => errors.len() + message.len(),
        OperationOutcome::Unknown { why } => why.len(),
    }
}

fn slot(operations: &mut [OperationState], index: u32) -> Option<&mut OperationState> {
    usize::try_from(index)
        .ok()
        .and_then(|index| operations.get_mut(index))
}
