//! A schedule: which operations are asked for when, and what was fired last.

use super::Aggregate;
use crate::clock::Timestamp;
use crate::event::{Event, ScheduleTerms};
use crate::id::{AgentId, ApplyId, ApprovalId, ScheduleId, TaskId};
use crate::name::ScheduleName;
use crate::rejection::Rejection;

/// The questions about a schedule that are looked at: people may be asked again where the policy has changed.
const MOST_ASKED: usize = 8;

/// A firing that took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScheduleRun {
    /// The task that it opened.
    pub task_id: TaskId,
    /// The apply that it asked for.
    pub apply_id: ApplyId,
}

/// The state of one put of a schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// Its name.
    pub name: ScheduleName,
    /// The agent whose operations they are.
    pub agent_id: AgentId,
    /// The times at which it fires.
    pub terms: ScheduleTerms,
    /// The canonical JSON of its operations, as a list.
    pub operations: String,
    /// False while it is paused.
    pub enabled: bool,
    /// The put in whose place it stands.
    pub replaces: Option<ScheduleId>,
    /// The put with which its agent and operations came.
    pub origin: ScheduleId,
    /// The time of its event.
    pub put_at: Timestamp,
    /// Instants up to here are dealt with, or were before it.
    pub settled: Timestamp,
    /// The firing that took place last.
    pub last: Option<ScheduleRun>,
    /// The newest questions about it as a whole, the newest last.
    pub asked: Vec<ApprovalId>,
    /// The time from which on it never fires again.
    pub deleted_at: Option<Timestamp>,
}

impl Schedule {
    /// Whether it fires.
    #[must_use]
    pub const fn is_active(&self) -> bool {
        self.enabled && self.deleted_at.is_none()
    }
}

impl Aggregate for Schedule {
    type Id = ScheduleId;

    const NOT_FOUND: Rejection = Rejection::ScheduleNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        match (event, state) {
            (Event::SchedulePut(put), state) => {
                *state = Some(Self {
                    id: put.schedule_id,
                    name: put.name.clone(),
                    agent_id: put.agent_id,
                    terms: put.terms.clone(),
                    operations: put.operations.clone(),
                    enabled: put.enabled,
                    replaces: put.replaces,
                    origin: put.origin,
                    put_at: at,
                    settled: at,
                    last: None,
                    asked: Vec::new(),
                    deleted_at: None,
                });
            }
            (Event::ScheduleFired(fired), Some(schedule)) => {
                schedule.settled = schedule.settled.max(fired.nominal);
                schedule.last = Some(ScheduleRun {
                    task_id: fired.task_id,
                    apply_id: fired.apply_id,
                });
            }
            (Event::ScheduleMissed(missed), Some(schedule)) => {
                schedule.settled = schedule.settled.max(missed.last);
            }
            (Event::ScheduleAsked(asked), Some(schedule)) => {
                if schedule.asked.len() >= MOST_ASKED {
                    schedule.asked.remove(0);
                }
                schedule.asked.push(asked.approval_id);
            }
            (Event::ScheduleDeleted(_), Some(schedule)) => {
                schedule.deleted_at.get_or_insert(at);
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        512 + self.operations.len()
    }
}
