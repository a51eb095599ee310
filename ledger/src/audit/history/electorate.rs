//! Who could answer a question as of an event: for a change of the policy that says that not enough people are left
//! to approve one.

use super::streams::{Seen, State};
use super::{History, Now};
use crate::aggregate::User;
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::event::{CredentialStatus, LockTarget};
use crate::id::GroupId;
use crate::name::{ApproverName, CredentialId};
use crate::policy::{Assurance, Candidates, Need, NeedGroup, are_met};
use crate::voters::Person;
use std::collections::BTreeSet;

/// Those who could answer for a need, as far as the record says.
#[derive(Debug, Default)]
struct Able {
    people: BTreeSet<Person>,
    /// Why others may be able who cannot be seen here.
    hidden: Option<Obstacle>,
}

impl History {
    /// A change that was made without people was made while not enough of them could have approved one. Who the
    /// approvers of the configuration are is not on record: where it rests on them, nobody can tell.
    pub(super) fn too_few_are_left(&mut self, now: &mut Now<'_>, needs: &[Need]) {
        let mut hidden = None;
        let mut surely = Vec::with_capacity(needs.len());
        let mut perhaps = Vec::with_capacity(needs.len());
        for need in needs {
            let able = match need.group {
                NeedGroup::Group(id) => self.able_members(now, id, need.assurance),
                NeedGroup::Default => self.able_principals(now, need.assurance),
            };
            hidden = hidden.or(able.hidden);
            let is_known = matches!(need.group, NeedGroup::Group(_));
            surely.push(Candidates {
                n: need.n,
                people: match is_known {
                    true => able.people.clone(),
                    false => BTreeSet::new(),
                },
            });
            perhaps.push(Candidates {
                n: need.n,
                people: able.people,
            });
        }
        if are_met(&surely) {
            now.wrong(
                Check::Policy,
                "it says that too few people are left to approve it, and enough are",
            );
        } else if let Some(why) = hidden {
            now.cannot(Check::Policy, why);
        } else if are_met(&perhaps) {
            now.cannot(Check::Policy, Obstacle::Configuration);
        }
    }

    fn able_members(&mut self, now: &Now<'_>, group: GroupId, assurance: Assurance) -> Able {
        let mut able = Able::default();
        let members = self.streams.find(group, |state| match state {
            State::Group(group) => Some(group.members.clone()),
            _ => None,
        });
        let members = match members {
            Seen::Here(members) => members,
            Seen::Hidden(why) => {
                able.hidden = Some(why);
                return able;
            }
            Seen::Erased | Seen::Never => return able,
        };
        for member in members {
            let user = match self.voting_user(member) {
                Seen::Here(user) => user,
                Seen::Hidden(why) => {
                    able.hidden = Some(why);
                    continue;
                }
                Seen::Erased | Seen::Never => continue,
            };
            for principal in user.principals() {
                let shows = |id: &CredentialId| user.logs_in_by(&principal, id);
                self.add_able(now, &mut able, (&principal, assurance), &shows);
            }
        }
        able
    }

    /// Everybody who may stand in the configuration.
    fn able_principals(&mut self, now: &Now<'_>, assurance: Assurance) -> Able {
        let mut able = Able::default();
        let principals: Vec<_> = self.principals.keys().cloned().collect();
        for principal in principals {
            self.add_able(now, &mut able, (&principal, assurance), &|_| true);
        }
        able
    }

    /// Adds who answers by a principal, where one of its credentials could.
    fn add_able(
        &mut self,
        now: &Now<'_>,
        able: &mut Able,
        (principal, assurance): (&ApproverName, Assurance),
        shows: &dyn Fn(&CredentialId) -> bool,
    ) {
        let answers = self.answers_by(now, (principal, assurance), shows);
        let person = answers.and_then(|answers| match answers {
            true => self.person(now, principal),
            false => Ok(None),
        });
        match person {
            Ok(person) => able.people.extend(person),
            Err(why) => able.hidden = Some(why),
        }
    }

    /// Whether a credential of the principal could answer: active, not locked, and one that shows enough.
    fn answers_by(
        &mut self,
        now: &Now<'_>,
        (principal, assurance): (&ApproverName, Assurance),
        shows: &dyn Fn(&CredentialId) -> bool,
    ) -> Result<bool, Obstacle> {
        let Some(stream) = self.principals.get(principal).copied() else {
            let is_hidden = self.partial || self.is_excerpt || !self.hidden_approvers.is_empty();
            return match is_hidden {
                true => Err(Obstacle::BeforeRange),
                false => Ok(false),
            };
        };
        let credentials = self.streams.find(stream, |state| match state {
            State::Approver(approver) => Some(approver.credentials().to_vec()),
            _ => None,
        });
        let credentials = match credentials {
            Seen::Here(credentials) => credentials,
            Seen::Hidden(why) => return Err(why),
            Seen::Erased | Seen::Never => return Ok(false),
        };
        let mut theirs = credentials.into_iter().filter(|id| shows(id));
        Ok(theirs.any(|id| {
            let is_enough = self.credentials.get(&id).is_some_and(|known| {
                let is_active = known.put.status == CredentialStatus::Active;
                is_active && (assurance == Assurance::Any || known.put.is_passkey())
            });
            let target = [LockTarget::Credential(id)];
            is_enough && self.locks.in_force(&target, now.at()).is_none()
        }))
    }

    /// Whose the principal is, where that person could answer.
    fn person(
        &mut self,
        now: &Now<'_>,
        principal: &ApproverName,
    ) -> Result<Option<Person>, Obstacle> {
        let Some(id) = self.owner_of_principal(principal)? else {
            return Ok(Some(Person::Principal(principal.clone())));
        };
        let target = [LockTarget::User(id)];
        let is_locked = self.locks.in_force(&target, now.at()).is_some();
        match self.voting_user(id) {
            Seen::Here(User { id, .. }) => Ok((!is_locked).then_some(Person::User(id))),
            Seen::Hidden(why) => Err(why),
            Seen::Erased | Seen::Never => Ok(None),
        }
    }
}
