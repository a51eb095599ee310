//! Approvals, as the agent that waits for them sees them.

use crate::app::App;
use crate::approvers::known_principal;
use crate::principal::{Acting, TaskAccess, TaskReading};
use crate::refusal::Error;
use ledger::aggregate::{Approval, ApprovalState};
use ledger::command::{CancelApproval, NarrowApproval};
use ledger::{ApprovalId, Rejection};
use std::sync::Arc;
use std::time::Duration;

/// The task's newest approval, held back for as long as it is pending and the caller waits.
pub async fn newest(
    app: &App,
    who: &TaskReading,
    wait: Option<Duration>,
) -> Result<Arc<Approval>, Error> {
    let newest = app.ledger.newest_approval(who.task().id).await?;
    let newest = newest.ok_or(Rejection::ApprovalNotFound)?;
    Ok(match wait {
        Some(wait) => {
            let waiting = app.wait_for_decision(newest.id, wait);
            app.while_in_force(who, waiting).await?
        }
        None => newest,
    })
}

/// The task's pending approval, narrowed to one of those who may decide where one is named.
pub async fn narrow(
    app: &App,
    who: &TaskAccess,
    principal: Option<String>,
) -> Result<Arc<Approval>, Error> {
    let principal = match principal {
        Some(principal) => Some(known_principal(&app.ledger, principal).await?),
        None => None,
    };
    let command = NarrowApproval {
        token: who.presented(),
        principal,
    };
    Ok(app.ledger.execute(who.origin(), command).await?)
}

/// Cancels a question, or an approval that nothing has used.
///
/// # Errors
/// [`Rejection::AlreadyDecided`].
pub async fn cancel(
    app: &App,
    who: Acting,
    approval_id: ApprovalId,
    comment: Option<String>,
) -> Result<Arc<Approval>, Error> {
    let cancel = CancelApproval {
        approval_id,
        comment,
    };
    Ok(app.ledger.execute(who.origin, cancel).await?)
}

/// The task's newest approval while it is pending.
///
/// # Errors
/// [`Error::NotFound`] when nothing is pending.
pub async fn pending(app: &App, who: &TaskAccess) -> Result<Arc<Approval>, Error> {
    let approval = newest(app, who.reading(), None).await?;
    if approval.state_at(app.ledger.now()) != ApprovalState::Pending {
        return Err(Error::NotFound {
            what: "pending approval",
        });
    }
    Ok(approval)
}
