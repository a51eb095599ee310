//! A task template: which tasks agents open with their keys.

use super::Aggregate;
use super::task::whole_seconds;
use crate::clock::Timestamp;
use crate::event::{AllowedOperation, Event};
use crate::id::{AgentId, TemplateId};
use crate::name::TemplateName;
use crate::rejection::Rejection;
use std::time::Duration;

/// The state of a task template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    /// Its id.
    pub id: TemplateId,
    /// Its name.
    pub name: TemplateName,
    /// The agents that may open tasks from it.
    pub agents: Vec<AgentId>,
    /// What a task from it may do.
    pub allowed: Vec<AllowedOperation>,
    /// How long an agent key opens a task from it, in seconds.
    pub expires_in_seconds: u32,
    /// Whether every apply waits for a human, whatever is granted.
    pub needs_approval: bool,
    /// How long each question of a task from it waits, where it says so.
    pub question: Option<Duration>,
    /// The time from which on no task is opened from it.
    pub deleted_at: Option<Timestamp>,
}

impl Aggregate for Template {
    type Id = TemplateId;

    const NOT_FOUND: Rejection = Rejection::TemplateNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        match (event, state) {
            (Event::TemplateCreated(created), state) => {
                *state = Some(Self {
                    id: created.template_id,
                    name: created.name.clone(),
                    agents: created.agents.clone(),
                    allowed: created.allowed.clone(),
                    expires_in_seconds: created.expires_in_seconds,
                    needs_approval: created.needs_approval,
                    question: created.question_seconds.map(whole_seconds),
                    deleted_at: None,
                });
            }
            (Event::TemplateDeleted(_), Some(template)) => {
                template.deleted_at.get_or_insert(at);
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        256 + self.agents.len() * 16 + self.allowed.len() * 96
    }
}
