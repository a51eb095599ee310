//! Votes on a question that several people answer: what one does, and how it is taken back.

use super::Command;
use super::acting::still_acts;
use super::approvals::is_open;
use super::authority::{owner, scheduled};
use crate::agent_key::SHARED_KEY;
use crate::aggregate::{Agent, Approval, ApprovalState, Approver, Group, Schedule, Task, User};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Actor, ApprovalDecided, Event, Role, VoteLoss, VoteVoided, VoteWithdrawn};
use crate::id::{ApprovalId, GroupId, KeyId, StreamId, UserId};
use crate::locks::Locks;
use crate::name::{ApproverName, CredentialId};
use crate::policy::{Excluded, Exclusion, are_met};
use crate::rejection::Rejection;
use crate::retention::Retention;
use crate::statement::Decision;
use crate::storage::{LookupKey, NewEvent};
use crate::voters::{
    Counted, Electorate, People, candidates, counted, is_locked_since, narrowest, retention_of,
};
use crate::writer::{Context, Transaction};
use std::sync::Arc;

impl People for Transaction<'_> {
    async fn user(&mut self, id: UserId) -> Result<Option<Arc<User>>, Error> {
        self.load::<User>(id).await
    }

    async fn owner(&mut self, principal: &ApproverName) -> Result<Option<Arc<User>>, Error> {
        owner(self, principal).await
    }

    async fn approver(&mut self, principal: &ApproverName) -> Result<Option<Arc<Approver>>, Error> {
        self.find_state::<Approver>(&LookupKey::approver(principal))
            .await
    }

    async fn group(&mut self, id: GroupId) -> Result<Option<Arc<Group>>, Error> {
        self.load::<Group>(id).await
    }

    fn locks(&self) -> (Arc<Locks>, Timestamp) {
        (Self::locks(self), self.context().now)
    }
}

/// What an answer to a question of a policy comes to.
#[derive(Debug)]
pub(super) struct Tally {
    /// The votes that are void from here on.
    lost: Vec<(ApproverName, VoteLoss)>,
    /// Whether the question needs nobody else.
    pub(super) is_enough: bool,
}

impl Tally {
    /// One who needs nobody else.
    pub(super) const fn enough() -> Self {
        Self {
            lost: Vec::new(),
            is_enough: true,
        }
    }

    /// What is kept of an approval that is given now, by what who gives it chose: as all whose votes count say, and
    /// nothing where the time of one of them is over.
    pub(super) fn keeps(
        &self,
        approval: &Approval,
        own: Retention,
        now: Timestamp,
    ) -> Option<Retention> {
        let votes = approval.standing_votes().filter(|vote| {
            let mut lost = self.lost.iter();
            !lost.any(|(principal, _)| *principal == vote.cast.principal)
        });
        narrowest(
            Some(own),
            votes.map(|vote| retention_of(&vote.cast.statement)),
        )
        .filter(|kept| kept.lasts_at(now))
    }

    /// The events that void votes.
    pub(super) fn voids(&self, approval: &Approval, context: &Context<'_>) -> Vec<NewEvent> {
        let lost = self.lost.iter().map(|(principal, why)| VoteVoided {
            principal: principal.clone(),
            why: *why,
        });
        lost.map(|voided| context.event(approval.id, voided))
            .collect()
    }
}

/// Holds an answer to who may give it, and counts it with the votes that still count. `None` for a question that
/// no policy asked.
///
/// # Errors
/// [`Rejection::VoterNotEligible`], [`Rejection::VoterExcluded`], [`Rejection::AlreadyVoted`].
pub(super) async fn tally(
    tx: &mut Transaction<'_>,
    approval: &Approval,
    decision: Decision,
    approver: Option<&Approver>,
    credential_id: &CredentialId,
) -> Result<Option<Tally>, Error> {
    if approval.policy.is_none() {
        return Ok(None);
    }
    let of = approval.electorate();
    let principal = approver.map(|approver| &approver.principal);
    let principal = principal.ok_or(Rejection::VoterNotEligible)?;
    let own = match counted(tx, &of, principal, credential_id).await? {
        Ok(own) => own,
        Err(VoteLoss::Excluded) => return Err(Rejection::VoterExcluded.into()),
        Err(_) => return Err(Rejection::VoterNotEligible.into()),
    };
    if decision == Decision::Deny {
        return Ok(Some(Tally {
            lost: Vec::new(),
            is_enough: true,
        }));
    }
    let (mut counts, lost) = standing(tx, approval, &of).await?;
    if counts.iter().any(|vote| vote.person == own.person) {
        return Err(Rejection::AlreadyVoted.into());
    }
    counts.push(own);
    Ok(Some(Tally {
        lost,
        is_enough: are_met(&candidates(of.needs, &counts)),
    }))
}

/// The votes that still count, and those that are lost.
async fn standing(
    tx: &mut Transaction<'_>,
    approval: &Approval,
    of: &Electorate<'_>,
) -> Result<(Vec<Counted>, Vec<(ApproverName, VoteLoss)>), Error> {
    let (mut counts, mut lost) = (Vec::new(), Vec::new());
    for vote in approval.standing_votes() {
        let (principal, credential_id) = (&vote.cast.principal, &vote.cast.credential_id);
        let vote = match is_locked_since(tx, vote.at, principal, credential_id).await? {
            true => Err(VoteLoss::Lock),
            false => counted(tx, of, principal, credential_id).await?,
        };
        match vote {
            Ok(vote) => counts.push(vote),
            Err(why) => lost.push((principal.clone(), why)),
        }
    }
    Ok((counts, lost))
}

/// Whether all who answered a question of a policy could answer it today.
pub(super) async fn may_all_answer(
    tx: &mut Transaction<'_>,
    approval: &Approval,
    decided: &ApprovalDecided,
) -> Result<bool, Error> {
    let of = approval.electorate();
    // A denial is one person's.
    let is_denied = approval.state == ApprovalState::Denied;
    let votes = approval.standing_votes().filter(|_| !is_denied);
    for signed in votes.map(|vote| &vote.cast).chain([decided]) {
        let (principal, credential_id) = (&signed.principal, &signed.credential_id);
        if counted(tx, &of, principal, credential_id).await?.is_err() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The users who may not answer what is asked now: those whose wish it is, by what they did before.
pub(super) async fn excluded(
    tx: &mut Transaction<'_>,
    task: &Task,
    agent: Option<&Agent>,
    key: Option<KeyId>,
) -> Result<Vec<Excluded>, Error> {
    if tx.policy().is_none_or(|known| known.policy.self_approval) {
        return Ok(Vec::new());
    }
    let mut excluded = Vec::new();
    let mut add = |user_id: Option<UserId>, why| {
        excluded.extend(user_id.map(|user_id| Excluded { user_id, why }));
    };
    let owner = agent.and_then(|agent| agent.described.owner);
    add(owner, Exclusion::AgentOwner);
    if let Some(key) = key {
        add(minter(tx, key).await?, Exclusion::KeyMinter);
    }
    if let Some(schedule) = scheduled(&task.subject) {
        let schedule = tx.load::<Schedule>(schedule).await?;
        for put in schedule.iter().flat_map(|known| [known.id, known.origin]) {
            let by = first_actor(tx, put.into()).await?;
            // One that is not committed is put by the command that asks.
            let by = by.unwrap_or_else(|| tx.envelope().actor.clone());
            if let Actor::User { user_id, .. } = by {
                add(Some(user_id), Exclusion::TaskOpener);
            }
        }
    }
    let opener = match first_actor(tx, task.id.into()).await? {
        Some(Actor::AgentKey { key_id, .. }) => minter(tx, key_id).await?,
        Some(Actor::User { user_id, .. }) => Some(user_id),
        _ => None,
    };
    add(opener, Exclusion::TaskOpener);
    excluded.sort_unstable();
    excluded.dedup();
    Ok(excluded)
}

/// The user who made or confirmed a key, also one that was revoked since.
async fn minter(tx: &mut Transaction<'_>, key: KeyId) -> Result<Option<UserId>, Error> {
    if key == SHARED_KEY {
        return Ok(None);
    }
    Ok(match first_actor(tx, key.into()).await? {
        Some(Actor::User { user_id, .. }) => Some(user_id),
        _ => None,
    })
}

/// Who began a stream. What is acted in was begun before, so that it is committed.
async fn first_actor(tx: &mut Transaction<'_>, stream: StreamId) -> Result<Option<Actor>, Error> {
    let events = tx.read_stream(stream).await?;
    let first = events.into_iter().next();
    let first = first.filter(|recorded| !matches!(recorded.event, Event::Erased(_)));
    Ok(first.map(|recorded| recorded.envelope.actor))
}

/// Takes a vote of the user who acts back, while its question is open.
#[derive(Debug, Clone, Copy)]
pub struct WithdrawVote {
    /// The question.
    pub approval_id: ApprovalId,
}

impl Command for WithdrawVote {
    type Answer = Arc<Approval>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Approval>, Error> {
        still_acts(tx, Role::Viewer).await?;
        let approval = tx.named::<Approval>(self.approval_id).await?;
        is_open(&approval, tx.context().now)?;
        let Actor::User { user_id, .. } = tx.envelope().actor else {
            return Err(Rejection::VoteNotFound.into());
        };
        let user = tx.existing::<User>(user_id).await?;
        let own = approval.standing_votes().map(|vote| &vote.cast.principal);
        let own: Vec<_> = own
            .filter(|voter| user.principals().any(|principal| principal == **voter))
            .cloned()
            .collect();
        if own.is_empty() {
            return Err(Rejection::VoteNotFound.into());
        }
        let context = tx.context();
        let withdrawn = own.into_iter().map(|principal| VoteWithdrawn { principal });
        let events = withdrawn.map(|event| context.event(approval.id, event));
        let events = events.collect();
        tx.append(events).await?;
        tx.existing::<Approval>(approval.id).await
    }
}
