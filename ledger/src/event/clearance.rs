//! Events of a clearance's stream. Frozen forms.

use crate::clearance_key::ClearanceKey;
use crate::clock::Timestamp;
use crate::id::{AgentId, ApprovalId, ClearanceId, TaskId};
use crate::retention::{Binding, Breadth, KeptMode, Retention};
use crate::statement::Decision;
use serde::{Deserialize, Serialize};

/// `clearance.made` 1: a decision is kept, in the commit that records it. It names agent, task and question by
/// their ids alone, so that their names can be erased without this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearanceMade {
    /// The clearance, which is also its stream.
    pub clearance_id: ClearanceId,
    /// The question whose decision it is.
    pub approval_id: ApprovalId,
    /// The question's task.
    pub task_id: TaskId,
    /// The agent that asked.
    pub agent_id: AgentId,
    /// The decision.
    pub decision: Decision,
    /// With an end, or without one.
    pub mode: KeptMode,
    /// The applies that it answers.
    pub breadth: Breadth,
    /// Whose.
    pub binding: Binding,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
    /// Stands for everything that an apply must be for this to answer it.
    pub key: ClearanceKey,
}

impl ClearanceMade {
    /// What its maker signed.
    #[must_use]
    pub const fn retention(&self) -> Retention {
        Retention {
            mode: self.mode,
            breadth: self.breadth,
            binding: self.binding,
            until: self.until,
        }
    }
}

/// Why a clearance ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClearanceEnd {
    /// An operator ended it.
    Ended,
}

/// `clearance.ended` 1: it answers nothing any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearanceEnded {
    /// Why.
    pub reason: ClearanceEnd,
}
