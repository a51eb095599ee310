//! Votes: each is of a person who may answer the question and has not voted yet, and a question is approved by as
//! many distinct people as it needs.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::agent_key::SHARED_KEY;
use crate::aggregate::User;
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::clock::Timestamp;
use crate::event::{Actor, ApprovalDecided, CredentialStatus, VoteVoided, VoteWithdrawn};
use crate::id::{AgentId, GroupId, KeyId, StreamId, TaskId, UserId};
use crate::name::{ApproverName, CredentialId};
use crate::policy::{Assurance, Excluded, Exclusion, Need, NeedGroup, are_met};
use crate::retention::Retention;
use crate::statement::{Choice, Decision};
use crate::voters::{Counted, Person, candidates, narrowest};
use std::collections::BTreeSet;

/// The number of `approval.vote_withdrawn`, which a user causes of a vote of their own.
pub(super) const VOTE_WITHDRAWN: u16 = 161;
/// The number of `approval.vote_voided`, which who votes next causes.
pub(super) const VOTE_VOIDED: u16 = 162;

/// A vote that counts.
#[derive(Debug, Clone)]
pub(super) struct KnownVote {
    principal: ApproverName,
    credential_id: CredentialId,
    at: Timestamp,
    retention: Option<Retention>,
    use_until: Option<Timestamp>,
}

impl KnownVote {
    /// Who cast it, and with which credential.
    pub(super) fn signed_by(&self) -> (ApproverName, CredentialId) {
        (self.principal.clone(), self.credential_id.clone())
    }

    /// The time before which the approval is to be used, where its voter shortens that.
    pub(super) const fn use_until(&self) -> Option<Timestamp> {
        self.use_until
    }
}

/// What a vote counts for.
pub(super) enum Count {
    For(Counted),
    /// For nothing, and why.
    Nothing(&'static str),
    /// That cannot be seen here.
    Unknown(Obstacle),
}

impl History {
    /// Checks the answer to a question of a policy, and what it makes of the question.
    pub(super) fn counted(
        &mut self,
        now: &mut Now<'_>,
        signed: &ApprovalDecided,
        decision: Decision,
        ends: bool,
    ) {
        let stream = now.header.stream_id;
        let own = match self.count(stream, &signed.principal, &signed.credential_id) {
            Count::For(own) => own,
            Count::Nothing(why) => {
                return now.wrong(Check::Vote, format!("{:?} {why}", signed.principal));
            }
            Count::Unknown(why) => return now.cannot(Check::Vote, why),
        };
        if decision == Decision::Deny {
            return;
        }
        let Some(State::Approval(question)) = self.streams.state(stream) else {
            return;
        };
        let votes = question.votes.clone();
        let needs = question.needs().to_vec();
        let mut counts = Vec::with_capacity(votes.len() + 1);
        for vote in &votes {
            match self.count(stream, &vote.principal, &vote.credential_id) {
                Count::For(vote) => counts.push(vote),
                Count::Nothing(why) => {
                    let reason = format!(
                        "it is counted with the vote of {:?}, who {why}",
                        vote.principal
                    );
                    return now.wrong(Check::Vote, reason);
                }
                Count::Unknown(why) => return now.cannot(Check::Vote, why),
            }
        }
        let is_new = counts.iter().all(|vote| vote.person != own.person);
        now.expect(is_new, Check::Vote, || {
            format!(
                "{:?} has voted before, or the same person",
                signed.principal
            )
        });
        counts.push(own);
        let is_enough = are_met(&candidates(&needs, &counts));
        now.expect(is_enough == ends, Check::Vote, || match ends {
            true => "it is approved by fewer people than it needs".to_owned(),
            false => "its needs are met with this vote, and it is not approved".to_owned(),
        });
    }

    /// Takes in a vote that did not end its question.
    pub(super) fn voted(&mut self, now: &mut Now<'_>, vote: &ApprovalDecided) {
        let stream = now.header.stream_id;
        let at = now.at();
        let Some(State::Approval(question)) = self.streams.state(stream) else {
            return;
        };
        now.expect(question.policy.is_some(), Check::Vote, || {
            "no policy asked it, so that it needs no votes".to_owned()
        });
        question
            .votes
            .retain(|known| known.principal != vote.principal);
        let choice = Choice::of_statement(&vote.statement).unwrap_or_default();
        question.votes.push(KnownVote {
            principal: vote.principal.clone(),
            credential_id: vote.credential_id.clone(),
            at,
            retention: choice.retention,
            use_until: choice.use_until,
        });
    }

    /// What of an approval is kept, by what who gave it chose: as all whose votes count say, and nothing where the time
    /// of one of them was over.
    pub(super) fn all_keep(
        &mut self,
        stream: StreamId,
        own: Option<Retention>,
        at: Timestamp,
    ) -> Option<Retention> {
        match self.streams.state(stream) {
            Some(State::Approval(question)) if !question.votes.is_empty() => {
                let votes = question.votes.iter();
                let kept = narrowest(own, votes.map(|vote| vote.retention));
                kept.filter(|kept| kept.lasts_at(at))
            }
            _ => own,
        }
    }

    pub(super) fn vote_withdrawn(&mut self, now: &mut Now<'_>, withdrawn: &VoteWithdrawn) {
        let principal = &withdrawn.principal;
        let Some(_) = self.take_vote(now, principal) else {
            return;
        };
        let Actor::User { user_id, .. } = now.envelope.actor else {
            return;
        };
        let is_own = match self.owner_of_principal(principal) {
            Ok(owner) => owner.is_some_and(|owner| owner == user_id),
            Err(why) => return now.cannot(Check::Vote, why),
        };
        now.expect(is_own, Check::Vote, || {
            format!("the vote of {principal:?} is taken back by another, user {user_id}")
        });
    }

    pub(super) fn vote_voided(&mut self, now: &mut Now<'_>, voided: &VoteVoided) {
        let stream = now.header.stream_id;
        let Some(vote) = self.take_vote(now, &voided.principal) else {
            return;
        };
        let targets = self.of_passkey(&vote.principal, &vote.credential_id);
        let is_locked = self.locks.end(&targets, vote.at, now.at())
            || self.locks.in_force(&targets, now.at()).is_some();
        if is_locked {
            return;
        }
        match self.count(stream, &vote.principal, &vote.credential_id) {
            Count::Nothing(_) => {}
            Count::For(_) => {
                // Its passkey may have been revoked where that cannot be seen.
                if !self.credentials.contains_key(&vote.credential_id) {
                    match self.partial || self.is_excerpt {
                        true => return now.cannot(Check::Vote, Obstacle::BeforeRange),
                        false if !self.hidden_approvers.is_empty() => {
                            return now.cannot(Check::Vote, Obstacle::Erased);
                        }
                        false => {}
                    }
                }
                let reason = format!("the vote of {:?}, who may vote, is void", vote.principal);
                now.wrong(Check::Vote, reason);
            }
            Count::Unknown(why) => now.cannot(Check::Vote, why),
        }
    }

    /// Takes a vote off its question, which waits for people.
    fn take_vote(&mut self, now: &mut Now<'_>, principal: &ApproverName) -> Option<KnownVote> {
        let Some(State::Approval(question)) = self.streams.state(now.header.stream_id) else {
            return None;
        };
        let is_pending = question.is_pending();
        let found = question
            .votes
            .iter()
            .position(|vote| vote.principal == *principal);
        let vote = found.map(|index| question.votes.remove(index));
        now.expect(is_pending, Check::ApprovalState, || {
            "one of its votes ends, and it is decided".to_owned()
        });
        now.expect(vote.is_some(), Check::Vote, || {
            format!("there is no vote of {principal:?}")
        });
        vote
    }

    /// What a passkey counts for in a question of a policy.
    fn count(
        &mut self,
        stream: StreamId,
        principal: &ApproverName,
        credential_id: &CredentialId,
    ) -> Count {
        let Some(State::Approval(question)) = self.streams.state(stream) else {
            return Count::Unknown(Obstacle::BeforeRange);
        };
        let needs = question.needs().to_vec();
        self.count_for(stream, &needs, principal, credential_id)
    }

    /// What a passkey counts for among these needs, in a question.
    pub(super) fn count_for(
        &mut self,
        stream: StreamId,
        needs: &[Need],
        principal: &ApproverName,
        credential_id: &CredentialId,
    ) -> Count {
        let Some(State::Approval(question)) = self.streams.state(stream) else {
            return Count::Unknown(Obstacle::BeforeRange);
        };
        let exclude = question.excluded().to_vec();
        let is_approver = question.approvers.contains(principal);
        self.count_among(needs, &exclude, is_approver, (principal, credential_id))
    }

    /// What a credential counts for among these needs, of whom the configuration names or not.
    pub(super) fn count_among(
        &mut self,
        needs: &[Need],
        exclude: &[Excluded],
        is_approver: bool,
        (principal, credential_id): (&ApproverName, &CredentialId),
    ) -> Count {
        let status = self
            .credentials
            .get(credential_id)
            .map(|known| known.put.status);
        if status == Some(CredentialStatus::Revoked) {
            return Count::Nothing("signs with a passkey that was revoked");
        }
        let known = self.credentials.get(credential_id);
        let is_passkey = known.is_none_or(|known| known.put.is_passkey());
        let owner = match self.owner_of_principal(principal) {
            Ok(owner) => owner,
            Err(why) => return Count::Unknown(why),
        };
        let user = match owner {
            None => None,
            Some(id) => match self.voting_user(id) {
                Seen::Here(user) => Some(user),
                Seen::Hidden(why) => return Count::Unknown(why),
                Seen::Erased | Seen::Never => {
                    return Count::Nothing("is a user who is disabled or deleted");
                }
            },
        };
        let person = match &user {
            Some(user) => Person::User(user.id),
            None => Person::Principal(principal.clone()),
        };
        if owner.is_some_and(|id| exclude.iter().any(|one| one.user_id == id)) {
            return Count::Nothing("may not answer it: it is their own wish");
        }
        let mut counted = BTreeSet::new();
        for (index, need) in needs.iter().enumerate() {
            let is_of_group = match need.group {
                NeedGroup::Default => is_approver,
                NeedGroup::Group(id) => match &user {
                    Some(user) if user.logs_in_by(principal, credential_id) => {
                        match self.is_member(id, user.id) {
                            Ok(is_member) => is_member,
                            Err(why) => return Count::Unknown(why),
                        }
                    }
                    _ => false,
                },
            };
            // A command-line key is never as good as a passkey.
            if is_of_group && (is_passkey || need.assurance == Assurance::Any) {
                counted.insert(index);
            }
        }
        match counted.is_empty() {
            true => Count::Nothing("is in no group that is needed"),
            false => Count::For(Counted {
                person,
                needs: counted,
            }),
        }
    }

    /// The user whose principal it is.
    pub(super) fn owner_of_principal(
        &self,
        principal: &ApproverName,
    ) -> Result<Option<UserId>, Obstacle> {
        if let Some(named) = User::named_by(principal) {
            return Ok(Some(named));
        }
        match self.linked.get(principal) {
            Some(owner) => Ok(Some((*owner).into())),
            None if self.partial || self.is_excerpt => Err(Obstacle::BeforeRange),
            None => Ok(None),
        }
    }

    pub(super) fn voting_user(&mut self, id: UserId) -> Seen<User> {
        if self.is_excerpt {
            return Seen::Hidden(Obstacle::BeforeRange);
        }
        self.streams.find(id, |state| match state {
            State::User(user) if user.is_enabled() => Some(User::clone(user)),
            _ => None,
        })
    }

    pub(super) fn is_member(&mut self, group: GroupId, user: UserId) -> Result<bool, Obstacle> {
        let found = self.streams.find(group, |state| match state {
            State::Group(group) => Some(group.members.contains(&user)),
            _ => None,
        });
        match found {
            Seen::Here(is_member) => Ok(is_member),
            Seen::Hidden(why) => Err(why),
            Seen::Erased | Seen::Never => Ok(false),
        }
    }

    /// The user who made or confirmed a key that is in force.
    pub(super) fn minter(&mut self, key: KeyId) -> Result<Option<UserId>, Obstacle> {
        if key == SHARED_KEY {
            return Ok(None);
        }
        let found = self.streams.find(key, |state| match state {
            State::Key(key) => Some(key.minted_by),
            _ => None,
        });
        match found {
            Seen::Here(minter) => Ok(minter),
            Seen::Hidden(why) => Err(why),
            Seen::Erased | Seen::Never => Ok(None),
        }
    }

    /// Whom a question excludes is whose wish it is.
    pub(super) fn check_excluded(
        &mut self,
        now: &mut Now<'_>,
        of: (TaskId, AgentId),
        recorded: &[Excluded],
    ) {
        match self.wished_by(&now.envelope.actor, of) {
            Ok(expected) => now.expect(expected == recorded, Check::Vote, || {
                "its question excludes others from its answer than those whose wish it is"
                    .to_owned()
            }),
            Err(why) => now.cannot(Check::Vote, why),
        }
    }

    /// Those whose wish an apply is that this actor asks for, unless the policy lets them answer.
    pub(super) fn wished_by(
        &mut self,
        actor: &Actor,
        (task_id, agent_id): (TaskId, AgentId),
    ) -> Result<Vec<Excluded>, Obstacle> {
        if self.is_policy_unseen() {
            return Err(Obstacle::BeforeRange);
        }
        let may = self
            .policies
            .in_force
            .as_ref()
            .is_some_and(|known| known.policy.self_approval);
        let mut expected = Vec::new();
        if !may {
            let mut add = |user: Option<UserId>, why| {
                expected.extend(user.map(|user_id| Excluded { user_id, why }));
            };
            let owner = self.streams.find(agent_id, |state| match state {
                State::Agent(agent) => Some(agent.owner),
                _ => None,
            });
            match owner {
                Seen::Here(owner) => add(owner, Exclusion::AgentOwner),
                Seen::Hidden(why) => return Err(why),
                Seen::Erased | Seen::Never => {}
            }
            if let Actor::AgentKey { key_id, .. } = actor {
                add(self.minter(*key_id)?, Exclusion::KeyMinter);
            }
            let opener = match self.streams.state(task_id) {
                Some(State::Task(task)) => task.opened_by.clone(),
                _ => Err(Obstacle::BeforeRange),
            };
            for opener in opener? {
                add(Some(opener), Exclusion::TaskOpener);
            }
            expected.sort_unstable();
            expected.dedup();
        }
        Ok(expected)
    }
}
