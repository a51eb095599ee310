//! Task templates.

use super::lists::next;
use super::mistakes::both;
use super::tasks::{AllowedOperation, operations};
use crate::problem::ApiError;
use app::templates::{ListedTemplates, NewTemplate};
use ledger::{AgentName, Providers, QuestionTime, TemplateName};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use utoipa::ToSchema;

const LIFE: std::ops::RangeInclusive<u64> = 60..=86_400;

/// A template to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TemplateRequest {
    /// Names the template in paths and requests: 1 to 200 characters.
    #[schema(example = "deploy")]
    name: String,
    /// The agents that may open tasks from it.
    agents: Vec<String>,
    /// What a task from it may do; at least one entry.
    operations: Vec<AllowedOperation>,
    /// How long an agent key opens a task from it: 60 to 86400.
    #[schema(minimum = 60, maximum = 86400)]
    expires_in_seconds: u64,
    /// Whether every apply waits for a human, whatever is granted; no when left out.
    #[serde(default)]
    needs_approval: bool,
    /// The time for which each question of a task from it waits for people, and an approval to be continued, in
    /// seconds: 60 to 604800. When left out, APPROVAL_TTL_SECONDS of the moment in which a task is opened.
    #[serde(default)]
    #[schema(minimum = 60, maximum = 604_800)]
    approval_ttl_seconds: Option<u64>,
}

impl TemplateRequest {
    pub(crate) fn read(self, providers: &Providers) -> Result<NewTemplate, ApiError> {
        let life = match LIFE.contains(&self.expires_in_seconds) {
            true => Ok(Duration::from_secs(self.expires_in_seconds)),
            false => Err(ApiError::bad_request("expires_in_seconds: 60 to 86400")),
        };
        let question = self.approval_ttl_seconds;
        let question = question.map(QuestionTime::from_seconds).transpose();
        let question = question.map_err(ApiError::bad_request);
        let operations = operations(&self.operations, providers);
        let ((expires_in, question), operations) = both(both(life, question), operations)?;
        let agents = self.agents.iter();
        let agents = agents.map(|name| AgentName::parse(name));
        Ok(NewTemplate {
            name: TemplateName::parse(&self.name)?,
            agents: agents.collect::<Result<_, _>>()?,
            operations,
            expires_in,
            needs_approval: self.needs_approval,
            question,
        })
    }
}

/// A template that stands.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskTemplate {
    name: String,
    /// The agents that may open tasks from it.
    agents: Vec<String>,
    /// What a task from it may do.
    operations: Vec<TemplateOperation>,
    /// How long an agent key opens a task from it.
    expires_in_seconds: u32,
    /// Whether every apply waits for a human, whatever is granted.
    needs_approval: bool,
    /// How long each question of a task from it waits, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval_ttl_seconds: Option<u64>,
}

/// One (operation, scope) pair of a template.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TemplateOperation {
    operation_id: String,
    scope_type: String,
    scope_id: String,
    required_level: String,
    risk_tier: String,
}

impl From<&ledger::event::AllowedOperation> for TemplateOperation {
    fn from(allowed: &ledger::event::AllowedOperation) -> Self {
        Self {
            operation_id: allowed.operation.to_string(),
            scope_type: allowed.scope_type.to_string(),
            scope_id: allowed.scope_id.to_string(),
            required_level: allowed.required_level.to_string(),
            risk_tier: allowed.risk_tier.to_string(),
        }
    }
}

impl TaskTemplate {
    pub(crate) fn of(template: &ledger::aggregate::Template, agents: Vec<String>) -> Self {
        Self {
            name: template.name.to_string(),
            agents,
            operations: template.allowed.iter().map(Into::into).collect(),
            expires_in_seconds: template.expires_in_seconds,
            needs_approval: template.needs_approval,
            approval_ttl_seconds: template.question.map(|time| time.as_secs()),
        }
    }
}

/// Templates that stand, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TaskTemplates {
    templates: Vec<TaskTemplate>,
    /// The size of the ledger that the list stands for.
    as_of: u64,
    /// The `after` of the next page; null after the last one.
    next: Option<String>,
}

impl TaskTemplates {
    pub(crate) fn of(listed: &ListedTemplates) -> Self {
        let templates = listed.page.rows.iter().map(|view| TaskTemplate {
            name: view.name.to_string(),
            agents: view
                .agents
                .iter()
                .filter_map(|agent| listed.names.get(agent))
                .map(AgentName::to_string)
                .collect(),
            operations: view.allowed.iter().map(Into::into).collect(),
            expires_in_seconds: view.expires_in_seconds,
            needs_approval: view.needs_approval,
            approval_ttl_seconds: view.question_seconds,
        });
        Self {
            templates: templates.collect(),
            as_of: listed.page.as_of,
            next: next(listed.page.next),
        }
    }
}
