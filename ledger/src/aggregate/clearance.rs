//! A decision that is kept beyond its question.

use super::Aggregate;
use crate::clearance_key::ClearanceKey;
use crate::clock::Timestamp;
use crate::event::{ClearanceEnd, Event};
use crate::id::{AgentId, ApprovalId, ClearanceId, TaskId};
use crate::rejection::Rejection;
use crate::retention::Retention;
use crate::statement::Decision;

/// The state of a clearance. Whether it answers depends besides on its task, its maker and the locks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clearance {
    pub id: ClearanceId,
    /// The question whose decision it is.
    pub approval_id: ApprovalId,
    /// The question's task.
    pub task_id: TaskId,
    pub agent_id: AgentId,
    pub decision: Decision,
    /// What its maker signed.
    pub retention: Retention,
    /// Stands for what an apply must be.
    pub key: ClearanceKey,
    pub made_at: Timestamp,
    /// The time at which somebody ended it, and why.
    pub ended: Option<(Timestamp, ClearanceEnd)>,
}

impl Clearance {
    /// Whether neither its time is over nor somebody has ended it.
    #[must_use]
    pub fn lasts_at(&self, now: Timestamp) -> bool {
        self.ended.is_none() && self.retention.lasts_at(now)
    }
}

impl Aggregate for Clearance {
    type Id = ClearanceId;

    const NOT_FOUND: Rejection = Rejection::ClearanceNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        match (event, state) {
            (Event::ClearanceMade(made), state) => {
                *state = Some(Self {
                    id: made.clearance_id,
                    approval_id: made.approval_id,
                    task_id: made.task_id,
                    agent_id: made.agent_id,
                    decision: made.decision,
                    retention: made.retention(),
                    key: made.key,
                    made_at: at,
                    ended: None,
                });
            }
            (Event::ClearanceEnded(ended), Some(clearance)) => {
                clearance.ended.get_or_insert((at, ended.reason));
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        256
    }
}
