//! Task templates: which tasks agents open with their keys.

use crate::app::App;
use crate::principal::Acting;
use crate::refusal::Error;
use ledger::aggregate::Template;
use ledger::command::{AllowedEntry, CreateTemplate, DeleteTemplate};
use ledger::{AgentId, AgentName, Ledger, QuestionTime, TemplateName};
use projections::{Page, Paging, Projection, TemplateView};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

#[derive(Debug)]
pub struct NewTemplate {
    pub name: TemplateName,
    pub agents: Vec<AgentName>,
    pub operations: Vec<AllowedEntry>,
    /// How long an agent key opens a task from it.
    pub expires_in: Duration,
    /// Whether every apply waits for a human, whatever is granted.
    pub needs_approval: bool,
    /// How long each question of a task from it waits, where it says so.
    pub question: Option<QuestionTime>,
}

/// Lets agents open tasks of a kind with their keys.
pub async fn create(
    ledger: &Ledger,
    who: Acting,
    template: NewTemplate,
) -> Result<Arc<Template>, Error> {
    let command = CreateTemplate {
        name: template.name,
        agents: template.agents,
        operations: template.operations,
        expires_in: template.expires_in,
        needs_approval: template.needs_approval,
        question: template.question,
    };
    Ok(ledger.execute(who.origin, command).await?)
}

/// Templates that stand, with the names of their agents that were not erased.
#[derive(Debug)]
pub struct ListedTemplates {
    pub page: Page<TemplateView>,
    pub names: HashMap<AgentId, AgentName>,
}

/// Templates that stand, the newest first.
pub async fn list(app: &App, _: &Acting, paging: Paging) -> Result<ListedTemplates, Error> {
    let views = app.current_views(&[Projection::Agents]).await?;
    let page = views.task_templates(paging).await?;
    let agents = page.rows.iter().flat_map(|template| &template.agents);
    let agents: Vec<AgentId> = agents.copied().collect();
    let names = views.agent_names(&agents).await?;
    Ok(ListedTemplates { page, names })
}

/// Takes a template away. Tasks that were opened from it go on.
pub async fn delete(ledger: &Ledger, who: Acting, name: TemplateName) -> Result<(), Error> {
    Ok(ledger.execute(who.origin, DeleteTemplate { name }).await?)
}
