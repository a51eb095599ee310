//! Events of a schedule's stream. Frozen forms.

use crate::clock::Timestamp;
use crate::id::{AgentId, ApplyId, ApprovalId, ScheduleId, TaskId};
use crate::name::ScheduleName;
use serde::{Deserialize, Serialize};

/// What becomes of firings that passed while nobody could fire them. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Misfire {
    /// They are missed.
    Skip,
    /// The newest one fires late, the others are missed.
    Once,
}

impl Misfire {
    /// The word on the surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
        }
    }
}

/// When a schedule fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleTerms {
    /// Five fields: minute, hour, day of the month, month, day of the week.
    pub cron: String,
    /// The IANA name of the time zone whose wall clock they are of.
    pub zone: String,
    /// What becomes of firings that passed.
    pub misfire: Misfire,
}

/// `schedule.put` 1: a schedule is made, or takes the place of the one that has its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchedulePut {
    /// This put of it, which is also its stream.
    pub schedule_id: ScheduleId,
    /// Its name.
    pub name: ScheduleName,
    /// The agent whose operations they are. It stands by its id, so that its name can be erased without this.
    pub agent_id: AgentId,
    /// The times at which it fires.
    pub terms: ScheduleTerms,
    /// The canonical JSON of its operations, as a list.
    pub operations: String,
    /// False while it is paused.
    pub enabled: bool,
    /// The put in whose place it stands, where the name had one.
    pub replaces: Option<ScheduleId>,
    /// The put with which its agent and operations came: this one where they are new.
    pub origin: ScheduleId,
}

/// `schedule.fired` 1: its operations were asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleFired {
    /// The instant that the schedule names.
    pub nominal: Timestamp,
    /// The task that it opened.
    pub task_id: TaskId,
    /// The apply that it asked for.
    pub apply_id: ApplyId,
    /// The version of the time zone database that the instant was found with.
    pub tzdata: String,
}

/// Why a firing did not take place. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissReason {
    /// Its time passed while nobody fired it.
    Late,
    /// What was fired before had not ended.
    Overlap {
        /// The apply that had not.
        apply_id: ApplyId,
    },
    /// Its operations were refused.
    Refused {
        /// The stable code of the refusal.
        code: String,
        /// The task in which they were refused, where that was opened.
        task_id: Option<TaskId>,
    },
}

/// `schedule.missed` 1: firings that did not take place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleMissed {
    /// The first instant.
    pub first: Timestamp,
    /// The last instant, the first where it is one.
    pub last: Timestamp,
    /// The number of instants.
    pub count: u32,
    /// Why.
    pub why: MissReason,
    /// The version of the time zone database that the instants were found with.
    pub tzdata: String,
}

/// `schedule.asked` 1: people are asked about it as a whole. The newest such question is the one that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleAsked {
    /// The question.
    pub approval_id: ApprovalId,
}

/// `schedule.deleted` 1: it never fires again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleDeleted {}
