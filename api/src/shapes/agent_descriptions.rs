//! Agents as they are described.

use super::lists::{next, paging};
use crate::problem::ApiError;
use ledger::UserId;
use ledger::aggregate::Agent;
use ledger::command::AgentChanges;
use projections::{AgentFilter, AgentView, Page, Paging};
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

/// An agent to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentRequest {
    /// Its name: 1 to 200 characters.
    #[schema(example = "ci-bot")]
    pub(crate) agent: String,
    /// The id of the user who answers for it.
    #[serde(default)]
    owner: Option<String>,
    /// The organization that it works for: 1 to 200 characters.
    #[serde(default)]
    organization: Option<String>,
    /// The place where it runs: 1 to 200 characters.
    #[serde(default)]
    site: Option<String>,
    /// Words to find it by: at most 32, of 1 to 64 characters each.
    #[serde(default)]
    tags: Vec<String>,
}

impl AgentRequest {
    pub(crate) fn read(self) -> Result<(String, AgentChanges), ApiError> {
        let changes = AgentChanges {
            owner: Some(self.owner.as_deref().map(owner).transpose()?),
            organization: Some(self.organization),
            site: Some(self.site),
            tags: Some(self.tags),
        };
        Ok((self.agent, changes))
    }
}

/// What is to be another of an agent. What is left out stays, null takes away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AgentPatch {
    /// The id of the user who answers for it.
    #[serde(default, deserialize_with = "given")]
    owner: Option<Option<String>>,
    /// The organization that it works for: 1 to 200 characters.
    #[serde(default, deserialize_with = "given")]
    organization: Option<Option<String>>,
    /// The place where it runs: 1 to 200 characters.
    #[serde(default, deserialize_with = "given")]
    site: Option<Option<String>>,
    /// The whole set of words to find it by.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// A field that is there, be it null.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Option<String>>, D::Error> {
    Option::deserialize(from).map(Some)
}

impl AgentPatch {
    pub(crate) fn read(self) -> Result<AgentChanges, ApiError> {
        let changed = self
            .owner
            .map(|owned| owned.as_deref().map(owner).transpose());
        Ok(AgentChanges {
            owner: changed.transpose()?,
            organization: self.organization,
            site: self.site,
            tags: self.tags,
        })
    }
}

fn owner(text: &str) -> Result<UserId, ApiError> {
    text.parse()
        .map_err(|_| ApiError::bad_request("owner: the id of a user, or null"))
}

/// An agent.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DescribedAgent {
    /// Its name.
    agent: String,
    /// The id of the user who answers for it.
    owner: Option<String>,
    organization: Option<String>,
    site: Option<String>,
    tags: Vec<String>,
    created_at: String,
}

impl From<&Agent> for DescribedAgent {
    fn from(agent: &Agent) -> Self {
        let described = &agent.described;
        Self {
            agent: agent.name.to_string(),
            owner: described.owner.map(|owner| owner.to_string()),
            organization: described.organization.clone(),
            site: described.site.clone(),
            tags: described.tags.clone(),
            created_at: agent.created_at.to_string(),
        }
    }
}

impl From<AgentView> for DescribedAgent {
    fn from(view: AgentView) -> Self {
        Self {
            agent: view.agent.into(),
            owner: view.owner.map(|owner| owner.to_string()),
            organization: view.organization,
            site: view.site,
            tags: view.tags,
            created_at: view.registered_at.to_string(),
        }
    }
}

/// Agents, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DescribedAgents {
    agents: Vec<DescribedAgent>,
    /// The size of the ledger that the list stands for.
    as_of: u64,
    /// The `after` of the next page; null after the last one.
    next: Option<String>,
}

impl From<Page<AgentView>> for DescribedAgents {
    fn from(page: Page<AgentView>) -> Self {
        Self {
            agents: page.rows.into_iter().map(Into::into).collect(),
            as_of: page.as_of,
            next: next(page.next),
        }
    }
}

/// Which agents, and which page of them.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AgentsQuery {
    /// Only those of this user.
    owner: Option<String>,
    /// Only those that work for this organization.
    organization: Option<String>,
    /// Only those that run there.
    site: Option<String>,
    /// Only those with this word.
    tag: Option<String>,
    /// How many at most: 1 to 200, 50 when left out.
    #[param(minimum = 1, maximum = 200, default = 50)]
    limit: Option<u32>,
    /// The `next` of the page before this one.
    after: Option<String>,
}

impl AgentsQuery {
    pub(crate) fn read(self) -> Result<(AgentFilter, Paging), ApiError> {
        let paging = paging(self.after.as_deref(), self.limit)?;
        let filter = AgentFilter {
            owner: self.owner.as_deref().map(owner).transpose()?,
            organization: self.organization,
            site: self.site,
            tag: self.tag,
        };
        Ok((filter, paging))
    }
}
