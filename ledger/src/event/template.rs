//! Events of a task template's stream. Frozen forms.

use super::AllowedOperation;
use crate::id::{AgentId, TemplateId};
use crate::name::TemplateName;
use serde::{Deserialize, Serialize};

/// `template.created` 1: from here on these agents open tasks of this kind with their keys.
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
}

/// `template.deleted` 1: no task is opened from it any more. Those that were opened go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TemplateDeleted {}
