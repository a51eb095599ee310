//! One line of a narrative.

use ledger::{EventId, RequestId, StreamId, TaskId, Timestamp};
use serde::{Deserialize, Serialize};

/// One event. Field names are stable; new ones may be added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// The event's position.
    pub(crate) position: u64,
    pub(crate) at: Timestamp,
    /// How far it is indented: 0 for what concerns a task as a whole, more for what it led to.
    pub(crate) depth: u8,
    /// The event's name.
    pub(crate) event: String,
    /// Who acted; absent once that was erased.
    pub(crate) who: Option<String>,
    /// Who acted, and what happened. Control and invisible characters are spelled out; still
    /// to be escaped where it is shown.
    pub(crate) text: String,
    pub(crate) task_id: Option<TaskId>,
    pub(crate) agent: Option<String>,
    /// The task, apply, approval, agent, approver or delivery itself.
    pub(crate) subject_id: StreamId,
    /// The position of the event that it answers.
    pub(crate) cause: Option<u64>,
    /// The request that it was for, as in the service's log.
    pub(crate) request_id: Option<RequestId>,
    /// The event's name for good.
    pub(crate) event_id: EventId,
    pub(crate) erased: bool,
}

/// `2026-11-22 09:00:00.123`, in UTC, always as long.
pub(crate) fn clock(at: Timestamp) -> String {
    let at = at.to_string();
    let (date, time) = at
        .trim_end_matches('Z')
        .split_once('T')
        .unwrap_or((&at, ""));
    let (seconds, fraction) = time.split_once('.').unwrap_or((time, ""));
    let millis: String = fraction.chars().chain("000".chars()).take(3).collect();
    format!("{date} {seconds}.{millis}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_all_of_one_length() {
        let at = |micros: i64| clock(Timestamp::from_micros(1_763_769_600_000_000 + micros));
        assert_eq!(at(0), "2025-11-22 00:00:00.000");
        assert_eq!(at(500_000), "2025-11-22 00:00:00.500");
        assert_eq!(at(123_456), "2025-11-22 00:00:00.123");
    }
}
