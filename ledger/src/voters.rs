//! The people of a question's needs: who they are, and what each can be counted for.
//!
//! A person is a user, whichever of their passkeys they use, or a principal that no user owns. Groups, users and
//! passkeys are looked at as they are now: a vote counts while the person could cast it again.

use crate::aggregate::{Approval, ApprovalState, Approver, Credential, Group, User};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{LockTarget, VoteLoss};
use crate::id::{GroupId, UserId};
use crate::locks::Locks;
use crate::name::{ApproverName, CredentialId};
use crate::policy::{
    Assurance, Candidates, Excluded, Exclusion, Need, NeedGroup, are_met, assigned,
};
use crate::rejection::Rejection;
use crate::retention::Retention;
use crate::statement::Choice;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;

/// One who votes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Person {
    /// A user.
    User(UserId),
    /// A principal that no user owns.
    Principal(ApproverName),
}

/// Where people are read from: a command's transaction, or the last commit.
pub(crate) trait People: Send {
    /// A user.
    fn user(&mut self, id: UserId)
    -> impl Future<Output = Result<Option<Arc<User>>, Error>> + Send;

    /// The user whose principal it is.
    fn owner(
        &mut self,
        principal: &ApproverName,
    ) -> impl Future<Output = Result<Option<Arc<User>>, Error>> + Send;

    /// The passkeys of a principal.
    fn approver(
        &mut self,
        principal: &ApproverName,
    ) -> impl Future<Output = Result<Option<Arc<Approver>>, Error>> + Send;

    /// A group.
    fn group(
        &mut self,
        id: GroupId,
    ) -> impl Future<Output = Result<Option<Arc<Group>>, Error>> + Send;

    /// The locks, and the time.
    fn locks(&self) -> (Arc<Locks>, Timestamp);
}

/// Who answers a question: the approvers that it names, what it needs, and whom it excludes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Electorate<'a> {
    pub(crate) approvers: &'a [ApproverName],
    pub(crate) needs: &'a [Need],
    pub(crate) exclude: &'a [Excluded],
}

/// A question that no policy asked.
const ONE_APPROVER: &[Need] = &[Need {
    group: NeedGroup::Default,
    n: 1,
    assurance: Assurance::Any,
}];

impl Approval {
    /// What an answer needs.
    #[must_use]
    pub fn needs(&self) -> &[Need] {
        match &self.policy {
            Some(asked) => &asked.requirement.get().needs,
            None => ONE_APPROVER,
        }
    }

    /// What its answer keeps beyond the question: of an approval the narrowest that all who approved it have signed,
    /// so nothing where one of them approved for once, or where the time of one was over when the last approved it.
    #[must_use]
    pub fn kept(&self) -> Option<Retention> {
        let decided = self.decision.as_ref()?;
        let own = retention_of(&decided.statement);
        match self.state {
            ApprovalState::Denied => own,
            _ => {
                let votes = self.standing_votes();
                let kept = narrowest(own, votes.map(|vote| retention_of(&vote.cast.statement)));
                let decided_at = self.decided_at?;
                kept.filter(|kept| kept.lasts_at(decided_at))
            }
        }
    }

    /// What holds where an approval is given now with that choice: of each part the narrowest of the choice and of the
    /// votes that stand. Whoever votes later can make it narrower still.
    #[must_use]
    pub fn held_choice(&self, choice: &Choice, now: Timestamp) -> Choice {
        let votes = || {
            let votes = self.standing_votes();
            votes.map(|vote| Choice::of_statement(&vote.cast.statement).unwrap_or_default())
        };
        let retentions = votes().map(|vote| vote.retention);
        let untils = votes().filter_map(|vote| vote.use_until);
        Choice {
            retention: narrowest(choice.retention, retentions).filter(|kept| kept.lasts_at(now)),
            use_until: untils.chain(choice.use_until).min(),
            ..choice.clone()
        }
    }

    /// The users whose wish a question is that is not about an apply.
    pub(crate) fn wanted_by(&self) -> impl Iterator<Item = UserId> {
        let exclude = self.electorate().exclude.iter();
        let authors = exclude.filter(|one| one.why == Exclusion::Author);
        authors.map(|one| one.user_id)
    }

    pub(crate) fn electorate(&self) -> Electorate<'_> {
        Electorate {
            approvers: &self.approvers,
            needs: self.needs(),
            exclude: match &self.policy {
                Some(asked) => &asked.requirement.get().exclude,
                None => &[],
            },
        }
    }
}

/// What a statement keeps.
pub(crate) fn retention_of(statement: &str) -> Option<Retention> {
    Choice::of_statement(statement).ok()?.retention
}

/// What all of them keep.
pub(crate) fn narrowest(
    own: Option<Retention>,
    mut others: impl Iterator<Item = Option<Retention>>,
) -> Option<Retention> {
    others.try_fold(own?, |kept, other| Some(kept.narrowest(other?)))
}

impl Electorate<'_> {
    pub(crate) fn excludes(&self, person: &Person) -> bool {
        match person {
            Person::User(id) => self.exclude.iter().any(|one| one.user_id == *id),
            Person::Principal(_) => false,
        }
    }
}

/// What a passkey counts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) person: Person,
    /// The needs that its person meets, by index.
    pub(crate) needs: BTreeSet<usize>,
}

/// What a passkey counts for among those who answer; why for nothing.
pub(crate) async fn counted<P: People>(
    people: &mut P,
    of: &Electorate<'_>,
    principal: &ApproverName,
    credential_id: &CredentialId,
) -> Result<Result<Counted, VoteLoss>, Error> {
    let (locks, now) = people.locks();
    let is_locked = |target| locks.in_force(&[target], now).is_some();
    if is_locked(LockTarget::Credential(credential_id.clone())) {
        return Ok(Err(VoteLoss::Lock));
    }
    let user = match people.owner(principal).await {
        Err(Error::Rejected(Rejection::Erased)) => return Ok(Err(VoteLoss::User)),
        user => user?,
    };
    let person = match &user {
        Some(user) if !user.is_enabled() => return Ok(Err(VoteLoss::User)),
        Some(user) if is_locked(LockTarget::User(user.id)) => return Ok(Err(VoteLoss::Lock)),
        Some(user) => Person::User(user.id),
        None if User::named_by(principal).is_some() => return Ok(Err(VoteLoss::User)),
        None => Person::Principal(principal.clone()),
    };
    let approver = Error::none_if_erased(people.approver(principal).await)?;
    let credential = approver
        .as_ref()
        .and_then(|known| known.active_credential(credential_id));
    let Some(credential) = credential else {
        return Ok(Err(VoteLoss::Passkey));
    };
    if of.excludes(&person) {
        return Ok(Err(VoteLoss::Excluded));
    }
    let mut needs = BTreeSet::new();
    for (index, need) in of.needs.iter().enumerate() {
        let is_of_group = match need.group {
            NeedGroup::Default => of.approvers.contains(principal),
            NeedGroup::Group(id) => match &user {
                Some(user) if user.logs_in_by(principal, credential_id) => {
                    let group = people.group(id).await?;
                    group.is_some_and(|group| group.members.contains(&user.id))
                }
                _ => false,
            },
        };
        if is_of_group && shows(credential) >= need.assurance {
            needs.insert(index);
        }
    }
    Ok(match needs.is_empty() {
        true => Err(VoteLoss::Group),
        false => Ok(Counted { person, needs }),
    })
}

/// What somebody shows who signs with that credential.
fn shows(credential: &Credential) -> Assurance {
    match credential.is_passkey() {
        true => Assurance::Passkey,
        false => Assurance::Any,
    }
}

/// The needs with those who can be counted for each.
pub(crate) fn candidates<'a>(
    needs: &[Need],
    votes: impl IntoIterator<Item = &'a Counted>,
) -> Vec<Candidates<Person>> {
    let mut candidates: Vec<_> = needs
        .iter()
        .map(|need| Candidates {
            n: need.n,
            people: BTreeSet::new(),
        })
        .collect();
    for vote in votes {
        for index in &vote.needs {
            if let Some(need) = candidates.get_mut(*index) {
                need.people.insert(vote.person.clone());
            }
        }
    }
    candidates
}

/// A passkey that could answer, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Able {
    pub(crate) person: Person,
    pub(crate) principal: ApproverName,
    pub(crate) credential: Credential,
}

/// The passkeys that could answer for a need now, of so many people at most.
async fn able<P: People>(
    people: &mut P,
    of: &Electorate<'_>,
    need: &Need,
    most: usize,
) -> Result<Vec<Able>, Error> {
    let principals = match need.group {
        NeedGroup::Default => of.approvers.to_vec(),
        NeedGroup::Group(id) => {
            let members = people.group(id).await?;
            let members = members.map_or_else(Vec::new, |group| group.members.clone());
            return able_members(people, of, (need, &members), most).await;
        }
    };
    let mut found = Vec::new();
    let mut persons = BTreeSet::new();
    for principal in principals {
        if persons.len() >= most {
            break;
        }
        let approver = Error::none_if_erased(people.approver(&principal).await)?;
        for credential in approver.iter().flat_map(|known| known.active_credentials()) {
            let counts = counted(people, of, &principal, &credential.credential_id).await?;
            // What it counts for besides does not matter here.
            if let Ok(counts) = counts
                && shows(credential) >= need.assurance
            {
                persons.insert(counts.person.clone());
                found.push(Able {
                    person: counts.person,
                    principal: principal.clone(),
                    credential: credential.clone(),
                });
            }
        }
    }
    Ok(found)
}

async fn able_members<P: People>(
    people: &mut P,
    of: &Electorate<'_>,
    (need, members): (&Need, &[UserId]),
    most: usize,
) -> Result<Vec<Able>, Error> {
    let (locks, now) = people.locks();
    let is_locked = |target| locks.in_force(&[target], now).is_some();
    let mut found = Vec::new();
    let mut persons = 0_usize;
    for member in members {
        if persons >= most {
            break;
        }
        let person = Person::User(*member);
        let user = Error::none_if_erased(people.user(*member).await)?;
        let Some(user) = user.filter(|user| user.is_enabled()) else {
            continue;
        };
        if of.excludes(&person) || is_locked(LockTarget::User(user.id)) {
            continue;
        }
        let before = found.len();
        for principal in user.principals() {
            let approver = Error::none_if_erased(people.approver(&principal).await)?;
            for credential in approver.iter().flat_map(|known| known.active_credentials()) {
                let id = &credential.credential_id;
                if user.logs_in_by(&principal, id)
                    && shows(credential) >= need.assurance
                    && !is_locked(LockTarget::Credential(id.clone()))
                {
                    found.push(Able {
                        person: person.clone(),
                        principal: principal.clone(),
                        credential: credential.clone(),
                    });
                }
            }
        }
        persons += usize::from(found.len() > before);
    }
    Ok(found)
}

/// Every passkey that could answer now, each once.
pub(crate) async fn all_able<P: People>(
    people: &mut P,
    of: &Electorate<'_>,
) -> Result<Vec<Able>, Error> {
    let mut all = BTreeMap::new();
    for need in of.needs {
        for one in able(people, of, need, usize::MAX).await? {
            all.insert(one.credential.credential_id.as_slice().to_vec(), one);
        }
    }
    Ok(all.into_values().collect())
}

/// Whether distinct people who could answer now are enough.
pub(crate) async fn can_be_met<P: People>(
    people: &mut P,
    of: &Electorate<'_>,
) -> Result<bool, Error> {
    // More than all needs together take does not help any of them.
    let most = of.needs.iter().fold(0_usize, |most, need| {
        most.saturating_add(usize::try_from(need.n).unwrap_or(usize::MAX))
    });
    let mut candidates = Vec::with_capacity(of.needs.len());
    for need in of.needs {
        let able = able(people, of, need, most).await?;
        candidates.push(Candidates {
            n: need.n,
            people: able.into_iter().map(|one| one.person).collect(),
        });
    }
    Ok(are_met(&candidates))
}

/// How far the needs of a question are met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// Each need, with how many people are counted for it.
    pub needs: Vec<(Need, usize)>,
    /// The standing votes by their principals, with the people who cast them; without those that count no more.
    pub votes: Vec<(ApproverName, Person)>,
}

impl Progress {
    /// The number of people who are counted, and the number that is needed.
    #[must_use]
    pub fn sums(&self) -> (usize, usize) {
        let needed = |need: &Need| usize::try_from(need.n).unwrap_or(usize::MAX);
        let has = self.needs.iter().map(|(_, has)| has).sum();
        let of = self.needs.iter().map(|(need, _)| needed(need));
        (has, of.fold(0, usize::saturating_add))
    }
}

/// How far the needs of a question are met as people are now, by its votes and, once it is decided, by its
/// decision.
pub(crate) async fn progress<P: People>(
    people: &mut P,
    approval: &Approval,
) -> Result<Progress, Error> {
    let of = approval.electorate();
    let mut votes = Vec::new();
    for vote in approval.standing_votes() {
        if is_locked_since(
            people,
            vote.at,
            &vote.cast.principal,
            &vote.cast.credential_id,
        )
        .await?
        {
            continue;
        }
        let cast = &vote.cast;
        let counts = counted(people, &of, &cast.principal, &cast.credential_id).await?;
        votes.extend(counts.ok().map(|counts| (cast.principal.clone(), counts)));
    }
    let candidates = candidates(of.needs, votes.iter().map(|(_, counts)| counts));
    let has = assigned(&candidates);
    Ok(Progress {
        needs: of.needs.iter().copied().zip(has).collect(),
        votes: votes
            .into_iter()
            .map(|(principal, counts)| (principal, counts.person))
            .collect(),
    })
}

/// Whether a lock was set on a voter since the vote.
pub(crate) async fn is_locked_since<P: People>(
    people: &mut P,
    voted_at: Timestamp,
    principal: &ApproverName,
    credential_id: &CredentialId,
) -> Result<bool, Error> {
    let (locks, now) = people.locks();
    if locks.is_empty() {
        return Ok(false);
    }
    let user = Error::none_if_erased(people.owner(principal).await)?;
    let mut targets = vec![LockTarget::Credential(credential_id.clone())];
    targets.extend(user.map(|user| LockTarget::User(user.id)));
    Ok(locks.end(&targets, voted_at, now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retention::{Binding, Breadth, KeptMode};
    use proptest::prelude::*;

    fn retentions() -> impl Strategy<Value = Retention> {
        let parts = (
            any::<bool>(),
            any::<bool>(),
            any::<bool>(),
            prop::option::of(1_i64..9),
        );
        parts.prop_map(|(permanent, scope, agent, until)| {
            let until = until.map(Timestamp::from_micros);
            Retention {
                mode: if permanent {
                    KeptMode::Permanent
                } else {
                    KeptMode::Cache
                },
                breadth: if scope {
                    Breadth::Scope
                } else {
                    Breadth::Exact
                },
                binding: if agent { Binding::Agent } else { Binding::Task },
                until,
            }
        })
    }

    proptest! {
        #[test]
        fn what_several_people_keep_is_kept_by_each_of_them(
            all in prop::collection::vec(retentions(), 1..5),
        ) {
            let all: Vec<_> = all.into_iter().filter(Retention::is_sound).collect();
            let Some((own, others)) = all.split_first() else {
                return Ok(());
            };
            let kept = narrowest(Some(*own), others.iter().copied().map(Some)).unwrap();
            prop_assert!(kept.is_sound());
            for one in &all {
                prop_assert!(kept.mode <= one.mode && kept.breadth <= one.breadth);
                prop_assert!(kept.binding <= one.binding);
                let lasts = |at| kept.lasts_at(Timestamp::from_micros(at));
                for at in 0..10 {
                    prop_assert!(!lasts(at) || one.lasts_at(Timestamp::from_micros(at)));
                }
            }
            let with_once = others.iter().copied().map(Some).chain([None]);
            prop_assert_eq!(narrowest(Some(*own), with_once), None);
        }
    }
}
