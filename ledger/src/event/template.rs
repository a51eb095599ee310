//! Events of a task template's stream. Frozen forms.

use super::AllowedOperation;
use crate::id::{AgentId, TemplateId};
use crate::name::TemplateName;
use serde::{Deserialize, Serialize};

/// `template.created` 2: from here on these agents open tasks of this kind with their keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateCreated {
    /// The template, which is also its stream.
    pub template_id: TemplateId,
    /// Its name, which no other template has while this one stands.
    pub name: TemplateName,
    /// The agents that may open tasks from it, by their ids alone, so that their names can be erased
    /// without this.
    pub agents: Vec<AgentId>,
    /// What a task from it may do.
    pub allowed: Vec<AllowedOperation>,
    /// How long an agent key opens a task from it, in seconds.
    pub expires_in_seconds: u32,
    /// Whether every apply waits for a human, whatever is granted.
    pub needs_approval: bool,
    /// How long each question of a task from it waits for people, and an approval to be continued, in seconds. `None`
    /// where the setting of the moment in which a task is opened says so.
    pub question_seconds: Option<u32>,
}

/// `template.created` 1: questions of its tasks took their time from the setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateCreatedV1 {
    /// The template, which is also its stream.
    pub template_id: TemplateId,
    /// Its name, which no other template has while this one stands.
    pub name: TemplateName,
    /// The agents that may open tasks from it, by their ids alone, so that their names can be erased
    /// without this.
    pub agents: Vec<AgentId>,
    /// What a task from it may do.
    pub allowed: Vec<AllowedOperation>,
    /// How long an agent key opens a task from it, in seconds.
    pub expires_in_seconds: u32,
    /// Whether every apply waits for a human, whatever is granted.
    pub needs_approval: bool,
}

impl From<TemplateCreatedV1> for TemplateCreated {
    fn from(old: TemplateCreatedV1) -> Self {
        Self {
            template_id: old.template_id,
            name: old.name,
            agents: old.agents,
            allowed: old.allowed,
            expires_in_seconds: old.expires_in_seconds,
            needs_approval: old.needs_approval,
            question_seconds: None,
        }
    }
}

/// `template.deleted` 1: no task is opened from it any more. Those that were opened go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateDeleted {}
