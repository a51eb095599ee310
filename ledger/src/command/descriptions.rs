//! Agents as their operators describe them: an owner, an organization, a site, tags.

use super::Command;
use super::acting::still_acts;
use super::agents::{find, register_agent};
use crate::aggregate::{Agent, User};
use crate::error::Error;
use crate::event::{AgentDescribed, Role};
use crate::id::{AgentId, UserId};
use crate::name::AgentName;
use crate::rejection::Rejection;
use crate::storage::LookupKind;
use crate::writer::Transaction;
use std::sync::Arc;

/// The longest organization or site, in characters.
const MAX_TEXT: usize = 200;
/// The longest tag, in characters.
const MAX_TAG: usize = 64;
/// The most tags of an agent.
const MAX_TAGS: usize = 32;

/// What is to be another than before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentChanges {
    /// The owner, or none.
    pub owner: Option<Option<UserId>>,
    /// The organization, or none.
    pub organization: Option<Option<String>>,
    /// The site, or none.
    pub site: Option<Option<String>>,
    /// The whole set of tags.
    pub tags: Option<Vec<String>>,
}

impl AgentChanges {
    /// The description with the changes in it.
    fn of(self, mut described: AgentDescribed) -> Result<AgentDescribed, Rejection> {
        if let Some(owner) = self.owner {
            described.owner = owner;
        }
        if let Some(organization) = self.organization {
            described.organization = checked("organization", MAX_TEXT, organization)?;
        }
        if let Some(site) = self.site {
            described.site = checked("site", MAX_TEXT, site)?;
        }
        if let Some(mut tags) = self.tags {
            tags.sort_unstable();
            tags.dedup();
            if tags.len() > MAX_TAGS {
                return Err(Rejection::Invalid {
                    code: "too_many_tags",
                    detail: format!("an agent has at most {MAX_TAGS} tags"),
                });
            }
            let tags = tags.into_iter();
            let tags = tags.map(|tag| checked("tag", MAX_TAG, Some(tag)));
            described.tags = tags
                .filter_map(Result::transpose)
                .collect::<Result<_, _>>()?;
        }
        Ok(described)
    }
}

fn checked(
    what: &'static str,
    limit: usize,
    text: Option<String>,
) -> Result<Option<String>, Rejection> {
    let fits = text.as_ref().is_none_or(|text| {
        (1..=limit).contains(&text.chars().count()) && !text.chars().any(char::is_control)
    });
    match fits {
        true => Ok(text),
        false => Err(Rejection::InvalidName { what, limit }),
    }
}

/// Checks that the owner to be is a user who was not deleted.
async fn check_owner(tx: &mut Transaction<'_>, changes: &AgentChanges) -> Result<(), Error> {
    if let Some(Some(owner)) = changes.owner {
        let user = tx.load::<User>(owner).await?;
        user.filter(|user| !user.deleted)
            .ok_or(Rejection::UserNotFound)?;
    }
    Ok(())
}

/// The agents for which a user answers, oldest first. What was decided before in this batch counts.
pub(super) async fn owned_by(
    tx: &mut Transaction<'_>,
    user: UserId,
) -> Result<Vec<Arc<Agent>>, Error> {
    let mut agents = Vec::new();
    for (row, owner) in tx.all_lookups(LookupKind::OwnedAgent).await? {
        if owner != user.as_bytes() {
            continue;
        }
        let agent = match AgentId::from_slice(row.parts().1) {
            Some(id) => tx.load::<Agent>(id).await?,
            None => None,
        };
        let agent = agent.filter(|agent| agent.described.owner == Some(user));
        agents.push(agent.ok_or_else(|| row.misleads())?);
    }
    Ok(agents)
}

/// Makes an agent that nobody has heard of.
#[derive(Debug, Clone)]
pub struct CreateAgent {
    /// Its name.
    pub agent: AgentName,
    /// Its description.
    pub described: AgentChanges,
}

impl Command for CreateAgent {
    type Answer = Arc<Agent>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Agent>, Error> {
        still_acts(tx, Role::Admin).await?;
        if find(tx, &self.agent).await?.is_some() {
            return Err(Rejection::AgentExists.into());
        }
        check_owner(tx, &self.described).await?;
        let context = tx.context();
        let (agent_id, registered) = register_agent(&context, &self.agent);
        let mut events = vec![registered];
        let described = self.described.of(AgentDescribed::default())?;
        if described != AgentDescribed::default() {
            events.push(context.event(agent_id, described));
        }
        tx.append(events).await?;
        tx.existing::<Agent>(agent_id).await
    }
}

/// Changes how an agent is described.
#[derive(Debug, Clone)]
pub struct DescribeAgent {
    /// Its name.
    pub agent: AgentName,
    /// What is to be another.
    pub changes: AgentChanges,
}

impl Command for DescribeAgent {
    type Answer = Arc<Agent>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Agent>, Error> {
        still_acts(tx, Role::Admin).await?;
        let agent = find(tx, &self.agent).await?;
        let agent = agent.ok_or(Rejection::AgentNotFound)?;
        check_owner(tx, &self.changes).await?;
        let described = self.changes.of(agent.described.clone())?;
        if described == agent.described {
            return Ok(agent);
        }
        let event = tx.context().event(agent.id, described);
        tx.append(vec![event]).await?;
        tx.existing::<Agent>(agent.id).await
    }
}
