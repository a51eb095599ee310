//! The result of an approval, from the apply that used it.

use super::ended::{Ended, OutcomeShown};
use super::shown::ShownText;
use ledger::Timestamp;
use ledger::aggregate::{Apply, Approval, ApprovalState, CancelledBy, OperationState};
use ledger::event::{ApplyEnd, OperationOutcome};

/// An approval that can no longer be decided, as far as an open page follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Became {
    pub(crate) ended: Ended,
    /// When it was decided, expired or cancelled.
    pub(super) at: Timestamp,
    /// How many operations of the apply that used it have ended.
    pub(crate) progress: usize,
}

impl Became {
    /// The state at `now`, where `used_by` is the apply that used it last; `None` while it can be decided.
    pub(crate) fn of(approval: &Approval, used_by: Option<&Apply>, now: Timestamp) -> Option<Self> {
        let decided_at = approval.decided_at.unwrap_or(approval.changed_at);
        let is_decided = approval.decision.is_some();
        let (ended, at) = match approval.state_at(now) {
            ApprovalState::Pending => return None,
            ApprovalState::Approved if approval.released_by.is_some() => {
                (Ended::FailedForNow, decided_at)
            }
            ApprovalState::Approved if approval.besides().is_some() => {
                (Ended::InEffect, decided_at)
            }
            ApprovalState::Approved => (Ended::Approved, decided_at),
            ApprovalState::Consumed => (Ended::of_use(used_by), decided_at),
            ApprovalState::Denied => (Ended::Denied, decided_at),
            ApprovalState::Expired if is_decided => (Ended::Lapsed, approval.expiry()),
            ApprovalState::Expired => (Ended::Expired, approval.expires_at),
            ApprovalState::Cancelled if approval.cancelled_by == CancelledBy::Lock => {
                (Ended::LockedOut, approval.changed_at)
            }
            ApprovalState::Cancelled if approval.cancelled_by == CancelledBy::Policy => {
                (Ended::PolicyChanged, approval.changed_at)
            }
            ApprovalState::Cancelled if approval.cancelled_by == CancelledBy::Person => {
                (Ended::CancelledByPerson, approval.changed_at)
            }
            ApprovalState::Cancelled if approval.cancelled_by == CancelledBy::PreState => {
                (Ended::StateChanged, approval.changed_at)
            }
            ApprovalState::Cancelled => (Ended::Cancelled, approval.changed_at),
        };
        let operations = used_by.map_or(&[][..], |apply| &apply.operations);
        let has_ended = |state: &&OperationState| matches!(state, OperationState::Ended { .. });
        Some(Self {
            ended,
            at,
            progress: operations.iter().filter(has_ended).count(),
        })
    }
}

impl Ended {
    /// How the apply that used the approval stands; `None` for one that is no longer recorded.
    pub(super) fn of_use(apply: Option<&Apply>) -> Self {
        let Some(apply) = apply else {
            return Self::Used;
        };
        let any_done = apply.operations.iter().any(|state| is_done(state, apply));
        match apply.end {
            None => Self::Running,
            Some(ApplyEnd::Completed) if apply.operations.iter().any(is_simulated) => {
                Self::Simulated
            }
            Some(ApplyEnd::Completed) => Self::CarriedOut,
            Some(ApplyEnd::Unknown) => Self::Unknown,
            Some(ApplyEnd::Failed) if any_done => Self::InPart,
            Some(ApplyEnd::Failed) => match apply.stopped.as_deref() {
                Some("locked") => Self::StoppedByLock,
                Some("policy") => Self::StoppedByPolicy,
                Some("pre_state") => Self::StateChanged,
                Some(_) => Self::Stopped,
                None => Self::Failed,
            },
        }
    }
}

impl OutcomeShown {
    /// The outcome of the operation of that index.
    pub(super) fn of(apply: &Apply, index: usize) -> Option<Self> {
        let state = apply.operations.get(index)?;
        let (word, why, request) = match state {
            OperationState::Waiting if apply.end.is_none() => ("waiting", None, None),
            OperationState::Waiting => ("not tried", None, None),
            OperationState::Started(_) => ("being carried out", None, None),
            OperationState::Ended {
                outcome,
                simulated,
                evidence,
                ..
            } => match outcome {
                OperationOutcome::Succeeded { .. } if *simulated => ("simulated", None, None),
                OperationOutcome::Succeeded { request_id, .. } => {
                    ("carried out", None, request_id.as_ref())
                }
                OperationOutcome::Failed {
                    message,
                    request_id,
                    ..
                } => ("failed", Some(message), request_id.as_ref()),
                OperationOutcome::Unknown { why } => {
                    let (word, why) = match apply.resolved {
                        None => ("unknown", Some(why)),
                        Some(true) => ("carried out, settled by a person", None),
                        Some(false) => ("not carried out, settled by a person", None),
                    };
                    (word, why, evidence.request_id.as_ref())
                }
            },
        };
        Some(Self {
            word,
            done: is_done(state, apply),
            why: why.map(ShownText::line),
            upstream_request: request.map(ShownText::line),
        })
    }
}

fn is_done(state: &OperationState, apply: &Apply) -> bool {
    match state {
        OperationState::Waiting | OperationState::Started(_) => false,
        OperationState::Ended {
            outcome, simulated, ..
        } => match outcome {
            OperationOutcome::Succeeded { .. } => !simulated,
            OperationOutcome::Failed { .. } => false,
            OperationOutcome::Unknown { .. } => apply.resolved == Some(true),
        },
    }
}

const fn is_simulated(state: &OperationState) -> bool {
    matches!(
        state,
        OperationState::Ended {
            simulated: true,
            ..
        }
    )
}
