//! The policy: saved, and rolled back.

use super::Command;
use super::acting::{acting_session, still_acts};
use crate::aggregate::{Group, PolicyVersion, User};
use crate::error::Error;
use crate::event::{Actor, PolicyChanged, PolicyDocument, PolicyFormat, Role};
use crate::id::PolicyId;
use crate::policy::{MAX_SOURCE_BYTES, NeedGroup, Policy, not_carried_out};
use crate::rejection::Rejection;
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
}

/// Brings back the document of an earlier version, or none.
#[derive(Debug, Clone, Copy)]
pub struct RollbackPolicy {
    /// That version; 0: no document.
    pub version: u64,
    /// The version that it is to follow.
    pub follows: u64,
}

impl Command for PutPolicy {
    type Answer = Arc<PolicyVersion>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<PolicyVersion>, Error> {
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
        change(tx, Some(document), None).await
    }
}

impl Command for RollbackPolicy {
    type Answer = Arc<PolicyVersion>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<PolicyVersion>, Error> {
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
        change(tx, document, Some(self.version)).await
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

/// Everything of the document is carried out, and its groups are there.
async fn can_hold(tx: &mut Transaction<'_>, policy: &Policy) -> Result<(), Error> {
    if let Err(error) = policy.validate() {
        return Err(invalid(error.to_string()).into());
    }
    let missing = not_carried_out(policy, &tx.context().rules.providers);
    if let Some(part) = missing.first() {
        let detail = match part.rule {
            Some(rule) => format!("rule {rule}: {part}"),
            None => part.to_string(),
        };
        return Err(invalid(detail).into());
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
        let approvers = &tx.context().rules.approvers;
        let asked = Electorate {
            approvers,
            needs: &rule.needs,
            exclude: &[],
        };
        if !can_be_met(tx, &asked).await? {
            let id = rule.id;
            let few = format!("rule {id}: not enough people could approve what it asks about");
            return Err(invalid(few).into());
        }
    }
    Ok(())
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

async fn change(
    tx: &mut Transaction<'_>,
    document: Option<PolicyDocument>,
    restores: Option<u64>,
) -> Result<Arc<PolicyVersion>, Error> {
    tx.needs_room()?;
    let context = tx.context();
    let policy_id: PolicyId = context.id();
    let changed = PolicyChanged {
        policy_id,
        version: tx.current_policy().version.saturating_add(1),
        document,
        restores,
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
