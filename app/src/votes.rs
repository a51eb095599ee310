//! Votes: how far a question is answered that one approver alone does not answer, and how a vote is taken back.

use crate::app::App;
use crate::principal::SessionAccess;
use crate::refusal::Error;
use ledger::aggregate::{Approval, ApprovalState, Group, User, VoteEnd};
use ledger::command::WithdrawVote;
use ledger::event::{ApprovalDecided, VoteLoss};
use ledger::policy::{Need, NeedGroup};
use ledger::{ApprovalId, Decision, Ledger, Person, Timestamp, UserId};
use std::sync::Arc;

/// How far the needs of a question are met.
#[derive(Debug, Clone)]
pub struct Votes {
    pub needs: Vec<NeedMet>,
    /// Every vote, the newest of each principal, and last the one that ended the question.
    pub votes: Vec<VoteCast>,
    sums: (usize, usize),
}

/// A need, and how far it is met.
#[derive(Debug, Clone)]
pub struct NeedMet {
    pub need: Need,
    /// The name of its group; `None` where that was deleted.
    pub group: Option<String>,
    pub have: usize,
}

/// One vote.
#[derive(Debug, Clone)]
pub struct VoteCast {
    pub cast: ApprovalDecided,
    pub decision: Decision,
    /// The user whose it is, with the name that it has now; `None` for a principal that no user owns, and where the
    /// user was erased.
    pub user: Option<(UserId, String)>,
    /// The algorithm of the key that signed it; `None` where its principal was erased.
    pub algorithm: Option<String>,
    pub at: Timestamp,
    /// The person who is counted; `None` where the vote counts no more.
    pub person: Option<Person>,
    /// Why it counts no more, as far as that is recorded.
    pub end: Option<VoteEnd>,
}

impl Votes {
    /// How far the needs are met now, where a question has others than one approver of the configuration.
    pub async fn told(ledger: &Ledger, approval: &Approval) -> Result<Option<Self>, Error> {
        let one = approval.needs().iter().all(Need::is_one_approver);
        match one && approval.votes.is_empty() {
            true => Ok(None),
            false => Self::of(ledger, approval).await.map(Some),
        }
    }

    /// How far the needs are met now.
    pub async fn of(ledger: &Ledger, approval: &Approval) -> Result<Self, Error> {
        let progress = ledger.progress(approval).await?;
        let sums = progress.sums();
        let mut needs = Vec::with_capacity(progress.needs.len());
        for (need, have) in progress.needs {
            let group = match need.group {
                NeedGroup::Default => Some("default".to_owned()),
                NeedGroup::Group(id) => {
                    let group = ledger.load::<Group>(id).await?;
                    group
                        .filter(|group| !group.deleted)
                        .map(|group| group.name.to_string())
                }
            };
            needs.push(NeedMet { need, group, have });
        }
        let counted = |principal| {
            let mut counted = progress.votes.iter();
            counted
                .find(|(voter, _)| voter == principal)
                .map(|(_, person)| person.clone())
        };
        let mut votes = Vec::with_capacity(approval.votes.len() + 1);
        for vote in &approval.votes {
            let person = counted(&vote.cast.principal).filter(|_| vote.end.is_none());
            let count = (person, vote.end);
            let cast = (&vote.cast, Decision::Approve, vote.at);
            votes.push(VoteCast::of(ledger, cast, count).await?);
        }
        if let Some((cast, at)) = approval.decision.as_ref().zip(approval.decided_at) {
            let decision = match approval.state {
                ApprovalState::Denied => Decision::Deny,
                _ => Decision::Approve,
            };
            let mut last = VoteCast::of(ledger, (cast, decision, at), (None, None)).await?;
            last.person = Some(match &last.user {
                Some((id, _)) => Person::User(*id),
                None => Person::Principal(cast.principal.clone()),
            });
            votes.push(last);
        }
        Ok(Self { needs, votes, sums })
    }

    /// The number of people who are counted, and the number that is needed.
    #[must_use]
    pub const fn sums(&self) -> (usize, usize) {
        self.sums
    }

    /// Whether a vote of a user is counted.
    #[must_use]
    pub fn has_voted(&self, user: &User) -> bool {
        let person = Some(Person::User(user.id));
        self.votes.iter().any(|vote| vote.person == person)
    }

    /// Whether the question waits for a user: one who is in a group that is needed, may answer and has not.
    pub async fn wait_for(
        &self,
        ledger: &Ledger,
        approval: &Approval,
        user: &User,
    ) -> Result<bool, Error> {
        let asked = approval.policy.as_ref();
        let is_excluded = asked.is_some_and(|asked| asked.requirement.get().excludes(user.id));
        if self.has_voted(user) || is_excluded {
            return Ok(false);
        }
        for met in &self.needs {
            let is_needed = match met.need.group {
                NeedGroup::Default => {
                    let mut own = user.principals();
                    own.any(|own| approval.approvers.contains(&own))
                }
                NeedGroup::Group(id) => {
                    let group = ledger.load::<Group>(id).await?;
                    group.is_some_and(|group| group.members.contains(&user.id))
                }
            };
            if is_needed {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// `1 of 2 so far; waits for 1 of security`
    #[must_use]
    pub fn in_words(&self) -> String {
        let (have, all) = self.sums();
        let missing = self.needs.iter().filter_map(NeedMet::missing);
        let missing: Vec<_> = missing.collect();
        match missing.as_slice() {
            [] => format!("{have} of {all} so far"),
            missing => format!(
                "{have} of {all} so far; waits for {}",
                missing.join(" and ")
            ),
        }
    }
}

impl NeedMet {
    /// `1 of security`, where it is not met.
    fn missing(&self) -> Option<String> {
        let needed = usize::try_from(self.need.n).unwrap_or(usize::MAX);
        let missing = needed.saturating_sub(self.have);
        (missing > 0).then(|| format!("{missing} of {}", self.name()))
    }

    /// The name of its group, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        match (&self.group, self.need.group) {
            (_, NeedGroup::Default) => "the approvers",
            (Some(name), _) => name,
            (None, _) => "a group that was deleted",
        }
    }
}

impl VoteCast {
    async fn of(
        ledger: &Ledger,
        (cast, decision, at): (&ApprovalDecided, Decision, Timestamp),
        (person, end): (Option<Person>, Option<VoteEnd>),
    ) -> Result<Self, Error> {
        let user = ledger::Error::none_if_erased(ledger.owner(&cast.principal).await)?;
        let approver = ledger::Error::none_if_erased(ledger.approver(&cast.principal).await)?;
        let credential = approver
            .as_ref()
            .and_then(|known| known.credential(&cast.credential_id));
        Ok(Self {
            user: user.map(|user| (user.id, user.name.to_string())),
            algorithm: credential.map(|known| known.algorithm.clone()),
            cast: cast.clone(),
            decision,
            at,
            person,
            end,
        })
    }

    /// Why it counts no more, in a word; `None` while it counts.
    #[must_use]
    pub const fn void(&self) -> Option<&'static str> {
        match (&self.end, &self.person) {
            (Some(VoteEnd::Withdrawn), _) => Some("withdrawn"),
            (Some(VoteEnd::Void(why)), _) => Some(match why {
                VoteLoss::User => "user",
                VoteLoss::Passkey => "passkey",
                VoteLoss::Group => "group",
                VoteLoss::Excluded => "excluded",
                VoteLoss::Lock => "locked",
            }),
            // Nothing has looked at it since it was lost.
            (None, None) => Some("lost"),
            (None, Some(_)) => None,
        }
    }
}

/// Takes one's own vote back.
///
/// # Errors
/// [`ledger::Rejection::VoteNotFound`], and what became of the question where it is over.
pub async fn withdraw(
    app: &App,
    who: SessionAccess,
    approval_id: ApprovalId,
) -> Result<Arc<Approval>, Error> {
    let withdraw = WithdrawVote { approval_id };
    Ok(app.ledger.execute(who.origin, withdraw).await?)
}

/// Whether whoever opened a task may approve what its agent asks in that question, as far as the policy in force is
/// the one that asked.
#[must_use]
pub fn may_approve_own(ledger: &Ledger, approval: &Approval) -> bool {
    let in_force = ledger.policy().in_force.clone();
    let asked = approval.policy.as_ref().zip(in_force);
    approval.state == ApprovalState::Pending
        && asked.is_some_and(|(asked, known)| {
            asked.version == known.version && known.policy.self_approval
        })
}
