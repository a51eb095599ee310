//! The policy: saved, and rolled back.

use super::Command;
use super::acting::{acting_session, still_acts};
use super::questions::{ask, asked_by, withdraw};
use crate::aggregate::{Approval, Group, PolicyVersion, User};
use crate::error::Error;
use crate::event::{
    Actor, AskedSubject, PolicyChanged, PolicyDocument, PolicyFormat, PolicyProposal, Role,
};
use crate::id::PolicyId;
use crate::policy::{Excluded, Exclusion, MAX_SOURCE_BYTES, Need, NeedGroup, Policy};
use crate::rejection::Rejection;
use crate::statement::QuestionKind;
use crate::storage::LookupKey;
use crate::voters::{Electorate, can_be_met};
use crate::writer::Transaction;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Saves a document: from its commit on it is in force.
#[derive(Debug, Clone)]
pub struct PutPolicy {
    /// The text that a person wrote.
    pub source: String,
    /// Its format.
    pub format: PolicyFormat,
    /// What the text was lowered to.
    pub policy: Arc<Policy>,
    /// The version that it is to follow.
    pub follows: u64,
    /// Why it is made without the people who would decide about it, of whom not enough are left. Heard from the
    /// operator of the machine alone.
    pub overrides: Option<String>,
}

/// The longest reason of one that is made without people, in bytes.
const MAX_REASON_BYTES: usize = 1000;

/// Brings back the document of an earlier version, or none.
#[derive(Debug, Clone, Copy)]
pub struct RollbackPolicy {
    /// That version; 0: no document.
    pub version: u64,
    /// The version that it is to follow.
    pub follows: u64,
}

/// What became of a change.
#[derive(Debug, Clone)]
pub enum PolicyChanging {
    /// It is in force.
    Changed(Arc<PolicyVersion>),
    /// The policy in force has people decide about it.
    Asked(Arc<Approval>),
}

impl PolicyChanging {
    /// The version that is in force by it.
    #[must_use]
    pub const fn changed(&self) -> Option<&Arc<PolicyVersion>> {
        match self {
            Self::Changed(version) => Some(version),
            Self::Asked(_) => None,
        }
    }

    /// The question that people are asked.
    #[must_use]
    pub const fn asked(&self) -> Option<&Arc<Approval>> {
        match self {
            Self::Changed(_) => None,
            Self::Asked(approval) => Some(approval),
        }
    }
}

impl Command for PutPolicy {
    type Answer = PolicyChanging;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<PolicyChanging, Error> {
        may_change(tx, self.follows).await?;
        if self.source.len() > MAX_SOURCE_BYTES {
            let most = MAX_SOURCE_BYTES;
            return Err(invalid(format!("a policy has at most {most} bytes")).into());
        }
        can_hold(tx, &self.policy).await?;
        let document = PolicyDocument {
            digest: self.policy.digest(),
            format: self.format,
            source: self.source,
            tree: self.policy.into(),
        };
        let overrides = self.overrides.as_deref().map(str::trim);
        if overrides.is_some_and(|why| why.is_empty() || why.len() > MAX_REASON_BYTES) {
            return Err(invalid(format!("reason: 1 to {MAX_REASON_BYTES} bytes")).into());
        }
        change_or_ask(tx, Some(document), None, overrides).await
    }
}

impl Command for RollbackPolicy {
    type Answer = PolicyChanging;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<PolicyChanging, Error> {
        may_change(tx, self.follows).await?;
        let document = match self.version {
            0 => None,
            version => {
                let earlier = tx
                    .find_state::<PolicyVersion>(&LookupKey::policy(version))
                    .await?;
                let earlier = earlier.ok_or(Rejection::PolicyVersionNotFound)?;
                earlier.document.as_deref().cloned()
            }
        };
        if let Some(document) = &document {
            can_hold(tx, document.tree.policy()).await?;
        }
        change_or_ask(tx, document, Some(self.version), None).await
    }
}

/// Who asks may change the policy, and has seen the version that is the newest.
async fn may_change(tx: &mut Transaction<'_>, follows: u64) -> Result<(), Error> {
    still_acts(tx, Role::Admin).await?;
    if let Actor::User {
        user_id, via_id, ..
    } = tx.envelope().actor
    {
        let user = tx.existing::<User>(user_id).await?;
        let session = acting_session(tx, &user, via_id).await?;
        if !session.is_stepped_up(tx.context().now) {
            return Err(Rejection::StepUpRequired.into());
        }
    }
    let newest = tx.current_policy().version;
    match newest == follows {
        true => Ok(()),
        false => Err(Rejection::PolicyVersionMismatch { newest }.into()),
    }
}

/// The document is sound, and its groups are there.
async fn can_hold(tx: &mut Transaction<'_>, policy: &Policy) -> Result<(), Error> {
    if let Err(error) = policy.validate() {
        return Err(invalid(error.to_string()).into());
    }
    for group in groups_of(policy) {
        let NeedGroup::Group(id) = group else {
            continue;
        };
        let known = tx.load::<Group>(id).await?;
        if known.is_none_or(|group| group.deleted) {
            return Err(invalid(format!("there is no group {id}")).into());
        }
    }
    for rule in policy.rules.iter().filter(|rule| !rule.needs.is_empty()) {
        if !can_meet(tx, &rule.needs).await? {
            let id = rule.id;
            let few = format!("rule {id}: not enough people could approve what it asks about");
            return Err(invalid(few).into());
        }
    }
    if let Some(change) = &policy.policy_change
        && !can_meet(tx, &change.needs).await?
    {
        let few = "policy_change: not enough people could approve a change";
        return Err(invalid(few.to_owned()).into());
    }
    if let Some(glass) = &policy.break_glass
        && !can_meet(tx, &glass.review).await?
    {
        let few = "break_glass: not enough people could look at it afterwards";
        return Err(invalid(few.to_owned()).into());
    }
    Ok(())
}

/// Whether enough people could meet needs.
async fn can_meet(tx: &mut Transaction<'_>, needs: &[Need]) -> Result<bool, Error> {
    let approvers = &tx.context().rules.approvers;
    let asked = Electorate {
        approvers,
        needs,
        exclude: &[],
    };
    can_be_met(tx, &asked).await
}

fn groups_of(policy: &Policy) -> BTreeSet<NeedGroup> {
    let of_rules = policy.rules.iter().flat_map(|rule| &rule.needs);
    let of_changes = policy.policy_change.iter().flat_map(|change| &change.needs);
    let of_reviews = policy.break_glass.iter().flat_map(|glass| &glass.review);
    let needs = of_rules.chain(of_changes).chain(of_reviews);
    let groups = needs.map(|need| need.group);
    groups
        .chain(policy.break_glass.iter().map(|glass| glass.group))
        .collect()
}

/// Makes a change, or asks those whom the policy in force wants for it. Its author does not answer, whatever the
/// policy says of approving one's own.
async fn change_or_ask(
    tx: &mut Transaction<'_>,
    document: Option<PolicyDocument>,
    restores: Option<u64>,
    overrides: Option<&str>,
) -> Result<PolicyChanging, Error> {
    let in_force = tx.policy().cloned();
    let wanted = in_force.as_deref();
    let wanted = wanted.and_then(|known| Some((known, known.policy.policy_change.as_ref()?)));
    if let Some(why) = overrides {
        let is_operator = matches!(tx.envelope().actor, Actor::Operator { .. });
        let is_locked = match wanted {
            Some((_, wanted)) => !can_meet(tx, &wanted.needs).await?,
            None => false,
        };
        // Who has the machine waits for those who are left, while they are enough.
        if !is_operator || !is_locked {
            return Err(Rejection::PolicyNotLocked.into());
        }
        let changed = change(tx, document, restores, Some(why)).await?;
        return Ok(PolicyChanging::Changed(changed));
    }
    let Some((known, wanted)) = wanted else {
        let changed = change(tx, document, restores, None).await?;
        return Ok(PolicyChanging::Changed(changed));
    };
    let author = match tx.envelope().actor {
        Actor::User { user_id, .. } => Some(Excluded {
            user_id,
            why: Exclusion::Author,
        }),
        _ => None,
    };
    let asked_by = asked_by(known, &wanted.needs, author.into_iter().collect(), None);
    let proposal = PolicyProposal {
        follows: known.version,
        replaces: Some(known.digest),
        document,
        restores,
    };
    let asked = ask(
        tx,
        AskedSubject::PolicyChange(proposal),
        Some(asked_by),
        None,
    )
    .await?;
    Ok(PolicyChanging::Asked(asked))
}

/// Makes a change that was just approved.
///
/// # Errors
/// Where its document could not be saved any more.
pub(super) async fn take_effect(
    tx: &mut Transaction<'_>,
    proposal: &PolicyProposal,
) -> Result<(), Error> {
    let newest = tx.current_policy().version;
    if newest != proposal.follows {
        return Err(Rejection::PolicyVersionMismatch { newest }.into());
    }
    if let Some(document) = &proposal.document {
        can_hold(tx, document.tree.policy()).await?;
    }
    change(tx, proposal.document.clone(), proposal.restores, None).await?;
    Ok(())
}

async fn change(
    tx: &mut Transaction<'_>,
    document: Option<PolicyDocument>,
    restores: Option<u64>,
    overrides: Option<&str>,
) -> Result<Arc<PolicyVersion>, Error> {
    tx.needs_room()?;
    // Other changes follow a version that is not the newest any more.
    withdraw(tx, QuestionKind::PolicyChange).await?;
    let context = tx.context();
    let policy_id: PolicyId = context.id();
    let changed = PolicyChanged {
        policy_id,
        version: tx.current_policy().version.saturating_add(1),
        document,
        restores,
        overrides: overrides.map(ToOwned::to_owned),
    };
    tx.append(vec![context.event(policy_id, changed)]).await?;
    tx.existing::<PolicyVersion>(policy_id).await
}

const fn invalid(detail: String) -> Rejection {
    Rejection::Invalid {
        code: "policy_invalid",
        detail,
    }
}
