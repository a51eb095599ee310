//! Task templates, and the tasks that agents open from them with their keys.

use super::acting::still_acts;
use super::agents::find;
use super::authority::{admit_key, admit_subject};
use super::locked::admit_agent_of;
use super::tasks::{allowlist, question_time, seconds};
use super::{AllowedEntry, Command};
use crate::aggregate::{Agent, Task, Template};
use crate::error::Error;
use crate::event::{FromTemplate, LockTarget, Role, TaskCreated, TemplateCreated, TemplateDeleted};
use crate::id::{AgentId, KeyId, TaskId, TemplateId};
use crate::name::{AgentName, ClientSubject, TemplateName};
use crate::purpose::Purpose;
use crate::question_time::QuestionTime;
use crate::rejection::Rejection;
use crate::storage::LookupKey;
use crate::writer::Transaction;
use std::sync::Arc;
use std::time::Duration;

/// The most agents of a template.
const MAX_AGENTS: usize = 200;

/// Lets agents open tasks of a kind with their keys.
#[derive(Debug, Clone)]
pub struct CreateTemplate {
    /// Its name.
    pub name: TemplateName,
    /// Which agents; at least one, each known.
    pub agents: Vec<AgentName>,
    /// What a task from it may do; at least one operation.
    pub operations: Vec<AllowedEntry>,
    /// How long an agent key opens a task from it, 60..=86400 s.
    pub expires_in: Duration,
    /// Whether every apply waits for a human, whatever is granted.
    pub needs_approval: bool,
    /// How long each question of a task from it waits; where it is not said, as the rules say when the task is opened.
    pub question: Option<QuestionTime>,
}

impl Command for CreateTemplate {
    type Answer = Arc<Template>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Template>, Error> {
        still_acts(tx, Role::Operator).await?;
        if standing(tx, &self.name).await?.is_some() {
            return Err(Rejection::NameTaken.into());
        }
        if !(1..=MAX_AGENTS).contains(&self.agents.len()) {
            return Err(Rejection::Invalid {
                code: "invalid_agents",
                detail: format!("agents must name 1 to {MAX_AGENTS} agents"),
            }
            .into());
        }
        let allowed = allowlist(&self.operations)?;
        let mut agents = Vec::with_capacity(self.agents.len());
        for name in &self.agents {
            let agent = find(tx, name).await?.ok_or(Rejection::AgentNotFound)?;
            if !agents.contains(&agent.id) {
                agents.push(agent.id);
            }
        }
        let context = tx.context();
        let template_id: TemplateId = context.id();
        let created = TemplateCreated {
            template_id,
            name: self.name,
            agents,
            allowed,
            expires_in_seconds: seconds(self.expires_in),
            needs_approval: self.needs_approval,
            question_seconds: self.question.map(QuestionTime::get).map(seconds),
        };
        tx.append(vec![context.event(template_id, created)]).await?;
        tx.existing::<Template>(template_id).await
    }
}

/// The template that has the name now.
async fn standing(
    tx: &mut Transaction<'_>,
    name: &TemplateName,
) -> Result<Option<Arc<Template>>, Error> {
    let newest = tx
        .find_state::<Template>(&LookupKey::template(name))
        .await?;
    Ok(newest.filter(|template| template.deleted_at.is_none()))
}

/// Takes a template away: no task is opened from it any more. Those that were opened go on.
#[derive(Debug, Clone)]
pub struct DeleteTemplate {
    /// Its name.
    pub name: TemplateName,
}

impl Command for DeleteTemplate {
    type Answer = ();

    async fn run(self, tx: &mut Transaction<'_>) -> Result<(), Error> {
        still_acts(tx, Role::Operator).await?;
        let template = standing(tx, &self.name).await?;
        let template = template.ok_or(Rejection::TemplateNotFound)?;
        let event = tx.context().event(template.id, TemplateDeleted {});
        tx.append(vec![event]).await
    }
}

/// Opens a task of an agent from a template, by a key of the agent. It has no capability token: the
/// agent's keys open it, until the template's time is over.
#[derive(Debug, Clone)]
pub struct OpenTask {
    /// The key.
    pub key_id: KeyId,
    /// The agent that it proves.
    pub agent_id: AgentId,
    /// The client that presents it, where it is signed.
    pub subject: Option<ClientSubject>,
    /// 1..=200 characters.
    pub name: String,
    /// The template.
    pub template: TemplateName,
}

impl Command for OpenTask {
    type Answer = Arc<Task>;

    async fn run(self, tx: &mut Transaction<'_>) -> Result<Arc<Task>, Error> {
        admit_key(tx, self.key_id, self.agent_id).await?;
        admit_agent_of(tx, self.agent_id, &[LockTarget::Key(self.key_id)]).await?;
        tx.needs_room()?;
        super::tasks::check_name(&self.name)?;
        self.subject.as_ref().map_or(Ok(()), admit_subject)?;
        let agent = tx.existing::<Agent>(self.agent_id).await?;
        // Whether there is such a template is not for an agent to know that may not use it.
        let template = standing(tx, &self.template).await?;
        let template = template
            .filter(|template| template.agents.contains(&agent.id))
            .ok_or(Rejection::TemplateNotAllowed)?;
        let context = tx.context();
        let task_id: TaskId = context.id();
        let key_id = self.key_id;
        let created = TaskCreated {
            task_id,
            agent_id: agent.id,
            agent: agent.name.clone(),
            name: self.name,
            subject: self
                .subject
                .unwrap_or_else(|| ClientSubject::unchecked(format!("agent-key:{key_id}"))),
            allowed: template.allowed.clone(),
            token_ttl_seconds: template.expires_in_seconds,
            agent_callbacks: true,
            template: Some(FromTemplate {
                template_id: template.id,
                needs_approval: template.needs_approval,
            }),
            question_seconds: Some(seconds(question_time(template.question, &context))),
            purpose: Purpose::default(),
            write: None,
        };
        tx.append(vec![context.event(task_id, created)]).await?;
        tx.existing::<Task>(task_id).await
    }
}
