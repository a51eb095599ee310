//! From what the ledger knows of an approval to the page that its link shows.

use super::approval::{ApprovalPage, OperationCard, UpstreamState};
use super::ended::{Ended, EndedOperation, EndedPage, OutcomeShown};
use super::headline::headline;
use super::moment::Moment;
use super::shown::ShownText;
use crate::problem::ApiError;
use ledger::aggregate::{Apply, Approval, ApprovalState, Task};
use ledger::event::{PreState, ZoneNameRead};
use ledger::operation::{Before, Operation};
use ledger::{Providers, Timestamp, operations_of};
use serde_json::Value;

/// An approval with everything that its page needs besides.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) approval: &'a Approval,
    pub(crate) task: &'a Task,
    /// The apply that asked first; what it submitted is what is approved.
    pub(crate) apply: &'a Apply,
    /// The apply that used the approval last, where one did and is still recorded.
    pub(crate) used_by: Option<&'a Apply>,
    pub(crate) now: Timestamp,
    pub(crate) providers: &'a Providers,
}

impl Question<'_> {
    /// The page while it can be decided.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when the submission in the ledger cannot be read.
    pub(crate) fn page(&self, simulated: bool) -> Result<ApprovalPage, ApiError> {
        let approval = self.approval;
        let operations = self.operations()?;
        let cards = operations.iter().enumerate().map(|(index, operation)| {
            let allowed = self.task.allows(operation.entry.id, &operation.scope);
            let read = approval.pre_state.as_ref().map(|read| {
                // One for each operation; where there is none, nothing was read.
                read.get(index).unwrap_or(&PreState::NotApplicable)
            });
            let mut card = OperationCard::of(operation, UpstreamState::of(operation, read));
            card.name(headline(operation, read), &operation.scope);
            let found = found(read);
            let before = Before {
                state: found.as_ref(),
                name: match approval.zone(operation.scope.id.as_str()) {
                    Some(ZoneNameRead::Known(name)) => Some(name.as_str()),
                    Some(ZoneNameRead::Unavailable(_)) | None => None,
                },
            };
            card.weigh(operation, &before);
            card.place = approval.place(operation).map(ShownText::line);
            // The task's allowlist may have raised what the catalog says.
            card.risk = allowed.map_or(card.risk, |(_, risk)| card.risk.max(risk));
            card
        });
        Ok(ApprovalPage {
            agent: ShownText::line(approval.agent.as_str()),
            task_name: ShownText::line(&self.task.name),
            task_id: approval.task_id.to_string(),
            approval_id: approval.id.to_string(),
            operations: cards.collect(),
            approvers: approval
                .approvers
                .iter()
                .map(|name| ShownText::line(name.as_str()))
                .collect(),
            fingerprint: approval.fingerprint.to_string(),
            asked_at: Moment::new(approval.created_at),
            expires_at: Moment::new(approval.expires_at),
            now: Moment::new(self.now),
            simulated,
        })
    }

    /// The page once it cannot; `None` while it can.
    ///
    /// # Errors
    /// As for [`Self::page`].
    pub(crate) fn ended(&self) -> Result<Option<EndedPage>, ApiError> {
        let approval = self.approval;
        let decision = approval.decision.as_ref();
        let deadline = approval.expiry();
        let decided_at = approval.decided_at.unwrap_or(approval.changed_at);
        let (ended, at) = match approval.state_at(self.now) {
            ApprovalState::Pending => return Ok(None),
            ApprovalState::Approved if approval.released_by.is_some() => {
                (Ended::FailedForNow, decided_at)
            }
            ApprovalState::Approved => (Ended::Approved, decided_at),
            ApprovalState::Consumed => (Ended::of_use(self.used_by), decided_at),
            ApprovalState::Denied => (Ended::Denied, decided_at),
            ApprovalState::Expired if decision.is_some() => (Ended::Lapsed, deadline),
            ApprovalState::Expired => (Ended::Expired, approval.expires_at),
            ApprovalState::Cancelled => (Ended::Cancelled, approval.changed_at),
        };
        let operations = self.operations()?;
        Ok(Some(EndedPage {
            ended,
            at: Moment::new(at),
            apply_ended_at: self
                .used_by
                .and_then(|apply| apply.ended_at)
                .map(Moment::new),
            by: decision.map(|decision| ShownText::line(decision.principal.as_str())),
            reason: decision
                .and_then(|decision| decision.reason.as_ref())
                .filter(|reason| !reason.is_empty())
                .map(ShownText::block),
            agent: ShownText::line(approval.agent.as_str()),
            task_name: ShownText::line(&self.task.name),
            task_id: approval.task_id.to_string(),
            operations: operations
                .iter()
                .enumerate()
                .map(|(index, operation)| self.ended_operation(index, operation))
                .collect(),
        }))
    }

    fn ended_operation(&self, index: usize, operation: &Operation) -> EndedOperation {
        let read = self.approval.pre_state.as_ref();
        let read = read.and_then(|read| read.get(index));
        EndedOperation {
            summary: ShownText::line(headline(operation, read)),
            outcome: self
                .used_by
                .and_then(|apply| OutcomeShown::of(apply, index)),
        }
    }

    fn operations(&self) -> Result<Vec<Operation>, ApiError> {
        let submitted =
            operations_of(self.apply.submission.as_bytes()).map_err(ApiError::internal)?;
        submitted
            .iter()
            .map(|operation| self.providers.read(operation).map_err(ApiError::internal))
            .collect()
    }
}

/// The state that a worker found upstream for one operation.
fn found(read: Option<&PreState>) -> Option<Value> {
    match read? {
        PreState::Found(text) => serde_json::from_str(text).ok(),
        PreState::NotApplicable | PreState::Unavailable(_) => None,
    }
}
