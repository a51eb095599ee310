//! How far a question is answered, and who could answer it, as of the last commit.

use super::Ledger;
use crate::aggregate::{Approval, Approver, Credential, Group, User};
use crate::clock::Timestamp;
use crate::command::{break_glass_of, one_of};
use crate::error::Error;
use crate::id::{GroupId, UserId};
use crate::locks::Locks;
use crate::name::ApproverName;
use crate::voters::{self, Electorate, People, Person, Progress};
use std::sync::Arc;

impl People for &Ledger {
    async fn user(&mut self, id: UserId) -> Result<Option<Arc<User>>, Error> {
        self.load::<User>(id).await
    }

    async fn owner(&mut self, principal: &ApproverName) -> Result<Option<Arc<User>>, Error> {
        Ledger::owner(self, principal).await
    }

    async fn approver(&mut self, principal: &ApproverName) -> Result<Option<Arc<Approver>>, Error> {
        Ledger::approver(self, principal).await
    }

    async fn group(&mut self, id: GroupId) -> Result<Option<Arc<Group>>, Error> {
        self.load::<Group>(id).await
    }

    fn locks(&self) -> (Arc<Locks>, Timestamp) {
        (Ledger::locks(self), self.now())
    }
}

/// A passkey that could answer a question.
#[derive(Debug, Clone)]
pub struct Voter {
    /// The person whose it is.
    pub person: Person,
    /// The principal under which it is registered.
    pub principal: ApproverName,
    /// The passkey.
    pub credential: Credential,
}

impl Ledger {
    /// The passkeys that could answer a question now, each once. Those who have voted are among them: they may
    /// still deny.
    ///
    /// # Errors
    /// What keeps the log from being read.
    pub async fn voters(&self, approval: &Approval) -> Result<Vec<Voter>, Error> {
        let mut people = self;
        let able = voters::all_able(&mut people, &approval.electorate()).await?;
        let voter = |one: voters::Able| Voter {
            person: one.person,
            principal: one.principal,
            credential: one.credential,
        };
        Ok(able.into_iter().map(voter).collect())
    }

    /// The passkeys of those who may approve a question alone in an emergency.
    ///
    /// # Errors
    /// [`crate::Rejection::EmergencyNotAllowed`], and what keeps the log from being read.
    pub async fn emergency_voters(&self, approval: &Approval) -> Result<Vec<Voter>, Error> {
        let in_force = self.policy().in_force.clone();
        let glass = break_glass_of(approval, in_force.as_deref())?;
        let needs = one_of(glass);
        let of = Electorate {
            needs: &needs,
            ..approval.electorate()
        };
        let mut people = self;
        let able = voters::all_able(&mut people, &of).await?.into_iter();
        let voter = |one: voters::Able| Voter {
            person: one.person,
            principal: one.principal,
            credential: one.credential,
        };
        Ok(able.map(voter).collect())
    }

    /// How far the needs of a question are met by the votes that count now.
    ///
    /// # Errors
    /// What keeps the log from being read.
    pub async fn progress(&self, approval: &Approval) -> Result<Progress, Error> {
        let mut people = self;
        voters::progress(&mut people, approval).await
    }
}
