//! The standing of an apply, its approval included: the answer to a repeated request.

use crate::aggregate::{Apply, Approval, ApprovalState, CancelledBy};
use crate::clock::Timestamp;
use crate::event::ApplyEnd;
use crate::id::ApplyId;
use crate::rejection::Rejection;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    Waiting,
    /// Approved; `continue` executes it.
    Approved,
    /// Authorised, not ended.
    Running,
    Ended(ApplyEnd),
    Denied {
        /// The reason that they wrote.
        reason: Option<String>,
    },
    Expired {
        at: Timestamp,
    },
    /// Its task was closed while it waited, or something else ended it.
    Cancelled {
        by: CancelledBy,
    },
    ConsumedElsewhere {
        by: ApplyId,
    },
}

impl Standing {
    /// The refusal that a caller gets, where the standing is one.
    #[must_use]
    pub fn refusal(&self) -> Option<Rejection> {
        match self {
            Self::Waiting | Self::Approved | Self::Running | Self::Ended(_) => None,
            Self::Denied { reason } => Some(Rejection::ApprovalDenied {
                reason: reason.clone(),
            }),
            Self::Expired { at } => Some(Rejection::ApprovalExpired { at: *at }),
            Self::Cancelled { by } => Some(by.refusal()),
            Self::ConsumedElsewhere { by } => Some(Rejection::ApprovalConsumed { by: *by }),
        }
    }
}

/// The standing of an apply at `now`.
#[must_use]
pub fn standing(apply: &Apply, approval: Option<&Approval>, now: Timestamp) -> Standing {
    if let Some(end) = apply.end {
        return Standing::Ended(end);
    }
    if apply.authorised {
        return Standing::Running;
    }
    let Some(approval) = approval else {
        return Standing::Waiting;
    };
    approval_standing(apply.id, approval, now)
}

/// The standing of an apply that is not authorised, by its approval.
pub(super) fn approval_standing(apply: ApplyId, approval: &Approval, now: Timestamp) -> Standing {
    match approval.state_at(now) {
        ApprovalState::Pending => Standing::Waiting,
        ApprovalState::Approved => Standing::Approved,
        ApprovalState::Denied => Standing::Denied {
            reason: approval
                .decision
                .as_ref()
                .and_then(|decision| decision.reason.clone()),
        },
        ApprovalState::Expired => Standing::Expired {
            at: approval.expiry(),
        },
        ApprovalState::Cancelled => Standing::Cancelled {
            by: approval.cancelled_by,
        },
        ApprovalState::Consumed => match approval.consumed_by {
            Some(by) if by != apply => Standing::ConsumedElsewhere { by },
            _ => Standing::Running,
        },
    }
}
