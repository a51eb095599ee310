//! What calls through the proxies used.

use super::lists::{name, next, paging};
use super::time;
use crate::problem::ApiError;
use app::usage::{ListedUsage, UsageSought};
use ledger::AgentName;
use projections::{Page, Paging};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which use.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UsageQuery {
    /// Only that of this agent.
    agent: Option<String>,
    /// Only that of this task.
    task: Option<String>,
    /// Only that of this model, as upstream named it.
    model: Option<String>,
    /// Only whole hours of UTC that begin then or later: RFC 3339 with an offset.
    from: Option<String>,
    /// Only whole hours of UTC that begin before.
    to: Option<String>,
    /// The `next` of the page before.
    after: Option<String>,
    /// At most so many, 50 when left out.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<u32>,
}

impl UsageQuery {
    pub(crate) fn read(self) -> Result<(UsageSought, Paging), ApiError> {
        let moment = |of, text: &Option<String>| match text {
            Some(text) => time(of, text).map(Some),
            None => Ok(None),
        };
        let task = self.task.as_deref().map(str::parse).transpose();
        let sought = UsageSought {
            agent: name("agent", self.agent.as_deref(), AgentName::parse)?,
            task: task.map_err(|why| ApiError::bad_request(format!("query: task: {why}")))?,
            from: moment("query: from", &self.from)?,
            to: moment("query: to", &self.to)?,
            model: self.model,
        };
        Ok((sought, paging(self.after.as_deref(), self.limit)?))
    }
}

/// What calls used, added up for each agent or user, task and model; what began last first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageList {
    /// The ledger's size that this is as of. Calls that ended in the last seconds may not be in it yet.
    pub(crate) as_of: u64,
    pub(crate) items: Vec<UsageItem>,
    /// `after` of the next page; null at the end.
    pub(crate) next: Option<String>,
}

/// Sums of what calls used.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsageItem {
    /// The agent; null where a user called, or the agent was erased.
    agent: Option<String>,
    agent_id: Option<String>,
    /// The user, where one called with a session.
    user_id: Option<String>,
    /// The task, where its token was used.
    task_id: Option<String>,
    /// As upstream named it; empty where no answer did.
    #[schema(example = "claude-sonnet-4-5-20250929")]
    model: String,
    /// When the first of these calls ended.
    from: String,
    /// When the last of them had ended.
    to: String,
    requests: u64,
    /// Calls whose answers did not come to their end, counted as far as they were seen.
    interrupted: u64,
    /// Tokens read, without those of caches.
    input_tokens: u64,
    output_tokens: u64,
    /// Tokens written to caches for five minutes.
    cache_creation_5m: u64,
    /// Tokens written to caches for an hour.
    cache_creation_1h: u64,
    /// Tokens read from caches.
    cache_read: u64,
    /// Searches that upstream made on the web.
    web_searches: u64,
}

impl From<ListedUsage> for UsageItem {
    fn from(listed: ListedUsage) -> Self {
        let view = listed.view;
        Self {
            agent: listed.agent.map(Into::into),
            agent_id: view.agent_id.map(|id| id.to_string()),
            user_id: view.user_id.map(|id| id.to_string()),
            task_id: view.task_id.map(|id| id.to_string()),
            model: view.model,
            from: view.first_at.to_string(),
            to: view.last_at.to_string(),
            requests: view.requests,
            interrupted: view.interrupted,
            input_tokens: view.input_tokens,
            output_tokens: view.output_tokens,
            cache_creation_5m: view.cache_creation_5m,
            cache_creation_1h: view.cache_creation_1h,
            cache_read: view.cache_read,
            web_searches: view.web_searches,
        }
    }
}

impl From<Page<ListedUsage>> for UsageList {
    fn from(page: Page<ListedUsage>) -> Self {
        Self {
            as_of: page.as_of,
            next: next(page.next),
            items: page.rows.into_iter().map(Into::into).collect(),
        }
    }
}
