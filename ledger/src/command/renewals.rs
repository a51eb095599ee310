//! Renewing a capability token that a human kept waiting, or that a permission change made stale.

use super::approvals::is_pending;
use super::authority::check_locks;
use super::tasks::{IssuedToken, issue, issued};
use super::{Command, Presented, PresentedToken, check_token};
use crate::aggregate::{Agent, Approval, ApprovalState, Task, Token, whole_seconds};
use crate::claims::CapabilityClaims;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::TokenRevoked;
use crate::rejection::Rejection;
use crate::storage::{LookupKey, NewEvent};
use crate::writer::{Context, Transaction};
use std::sync::Arc;
use std::time::Duration;

/// Asked again within this time, the same new token is given.
const REPEAT: Duration = Duration::from_secs(60);

/// Revokes the old token and issues a new one in the same commit.
#[derive(Debug, Clone)]
pub struct RenewToken {
    /// The old token; its signature is checked, its time need not be.
    pub token: PresentedToken,
}

impl Command for RenewToken {
    type Answer = IssuedToken;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<IssuedToken, Error> {
        let task = tx
            .load::<Task>(self.token.task_id)
            .await?
            .ok_or(Rejection::TokenUnknown)?;
        let agent = tx.load::<Agent>(task.agent_id).await?;
        let presented = Presented::Token(self.token.clone());
        let (locks, now) = (tx.locks(), tx.context().now);
        check_locks(&locks, &task, agent.as_deref(), &presented, now)?;
        if let Some(token) = replacement(&self.token, &task, &tx.context()) {
            let claims = CapabilityClaims::of(&task, token, tx.context().rules);
            return Ok(IssuedToken { claims, task });
        }
        let old = renewable(&self.token, &task, agent.as_deref(), now)?;
        let approvals = open_approvals(tx, &task, old).await?;
        let events = decide_renew(
            &self.token,
            &task,
            agent.as_deref(),
            &approvals,
            &tx.context(),
        )?;
        tx.append(events).await?;
        issued(tx, task.id).await
    }
}

/// The approvals that may have kept the token waiting. The question that was asked last waits longest: while
/// it is open the others, of which there can be very many, need not be looked through.
async fn open_approvals(
    tx: &mut Transaction<'_>,
    task: &Task,
    old: &Token,
) -> Result<Vec<Arc<Approval>>, Error> {
    let last = LookupKey::newest_approval(task.id);
    let last = tx.find_state::<Approval>(&last).await?;
    let now = tx.context().now;
    if let Some(last) = last
        && is_pending(&last, task.id, now)
        && last.created_at < old.expires_at
    {
        return Ok(vec![last]);
    }
    let mut approvals = Vec::new();
    for stream in tx.open_streams(task.id).await? {
        approvals.extend(tx.load_if::<Approval>(stream).await?);
    }
    Ok(approvals)
}

/// The token, where it is of the kind that is renewed: its task's, unaltered, and past its time or stale.
fn renewable<'t>(
    presented: &PresentedToken,
    task: &'t Task,
    agent: Option<&Agent>,
    now: Timestamp,
) -> Result<&'t Token, Rejection> {
    match check_token(presented, Some(task), agent, now) {
        Err(Rejection::TokenStale | Rejection::TokenExpired) => {}
        Err(other) => return Err(other),
        Ok(()) => {
            return Err(Rejection::NotRenewable {
                why: "it is still valid, use it",
            });
        }
    }
    task.token(presented.token_id)
        .ok_or(Rejection::TokenUnknown)
}

/// The token that replaced this one a moment ago, while it still stands.
fn replacement<'t>(
    presented: &PresentedToken,
    task: &'t Task,
    context: &Context<'_>,
) -> Option<&'t Token> {
    let old = task.token(presented.token_id)?;
    let revoked_at = old.revoked_at?;
    let same = old.subject == presented.subject
        && old.claims_hash == presented.claims_hash
        && context.now.since(revoked_at) <= REPEAT;
    task.token(old.replaced_by?)
        .filter(|new| same && new.revoked_at.is_none() && task.closed_at.is_none())
}

fn decide_renew(
    presented: &PresentedToken,
    task: &Task,
    agent: Option<&Agent>,
    approvals: &[Arc<Approval>],
    context: &Context<'_>,
) -> Result<Vec<NewEvent>, Rejection> {
    let old = renewable(presented, task, agent, context.now)?;
    let revision = agent.map_or(0, |agent| agent.permission_revision);
    let stale = old.permission_revision < revision;
    let waiting = approvals
        .iter()
        // One that was asked after the token had ended did not keep it waiting.
        .filter(|approval| approval.created_at < old.expires_at)
        .filter_map(|approval| waits_until(approval, context.now))
        .max();
    let limit = match waiting {
        Some(until) => until,
        None if stale && context.now < old.expires_at => old.expires_at,
        None => {
            return Err(Rejection::NotRenewable {
                why: "it has expired and no approval of its task is open; make a new task",
            });
        }
    };
    let until = context
        .now
        .plus(whole_seconds(task.token_ttl_seconds))
        .min(limit)
        .min(task.end_of_life());
    if until.as_seconds() <= context.now.as_seconds() {
        return Err(Rejection::NotRenewable {
            why: "its task has reached the end of its life; make a new one",
        });
    }
    let revoked = context.event(
        task.id,
        TokenRevoked {
            token_id: old.id,
            reason: "renewed".to_owned(),
        },
    );
    Ok(vec![
        revoked,
        issue(context, task, revision, until, Some(old.id)).0,
    ])
}

/// Until when an approval may still be decided or continued.
fn waits_until(approval: &Approval, now: Timestamp) -> Option<Timestamp> {
    match approval.state_at(now) {
        ApprovalState::Pending => Some(approval.expires_at.plus(approval.continuation)),
        ApprovalState::Approved => approval.continue_until(),
        ApprovalState::Denied
        | ApprovalState::Expired
        | ApprovalState::Cancelled
        | ApprovalState::Consumed => None,
    }
}
