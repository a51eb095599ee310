//! The result of an approval, from the apply that used it.

use super::ended::{Ended, OutcomeShown};
use super::shown::ShownText;
use ledger::aggregate::{Apply, OperationState};
use ledger::event::{ApplyEnd, OperationOutcome};

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
            Some(ApplyEnd::Failed) if apply.stopped.is_some() => Self::Stopped,
            Some(ApplyEnd::Failed) => Self::Failed,
        }
    }
}

impl OutcomeShown {
    /// The outcome of the operation of that index.
    pub(super) fn of(apply: &Apply, index: usize) -> Option<Self> {
        let state = apply.operations.get(index)?;
        let (word, why) = match state {
            OperationState::Waiting if apply.end.is_none() => ("waiting", None),
            OperationState::Waiting => ("not tried", None),
            OperationState::Started(_) => ("being carried out", None),
            OperationState::Ended {
                outcome, simulated, ..
            } => match outcome {
                OperationOutcome::Succeeded { .. } if *simulated => ("simulated", None),
                OperationOutcome::Succeeded { .. } => ("carried out", None),
                OperationOutcome::Failed { message, .. } => ("failed", Some(message)),
                OperationOutcome::Unknown { why } => match apply.resolved {
                    None => ("unknown", Some(why)),
                    Some(true) => ("carried out, settled by a person", None),
                    Some(false) => ("not carried out, settled by a person", None),
                },
            },
        };
        Some(Self {
            word,
            done: is_done(state, apply),
            why: why.map(ShownText::line),
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
