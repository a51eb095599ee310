//! How many refusals of a task are recorded one by one: ten in a minute, the rest is counted.
//!
//! The counts live in memory. A crash forgets those of the running minute: what it loses is the
//! number of refusals beyond the tenth, never a refusal that was recorded or an acknowledged fact.

use crate::clock::Timestamp;
use crate::id::TaskId;
use std::collections::HashMap;

/// How many are recorded by themselves for each task and minute.
const EACH_MINUTE: u64 = 10;
/// How many tasks are counted at once. Beyond it nothing is recorded one by one but counted.
const MAX_TASKS: usize = 10_000;

/// The running counts.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    tasks: HashMap<TaskId, (i64, u64)>,
}

impl Refusals {
    /// Counts one more; `true` when it is to be recorded by itself.
    pub(crate) fn admit(&mut self, task: TaskId, now: Timestamp) -> bool {
        if !self.tasks.contains_key(&task) && self.tasks.len() >= MAX_TASKS {
            return false;
        }
        let minute = minute_of(now);
        let entry = self.tasks.entry(task).or_insert((minute, 0));
        if entry.0 != minute && entry.1 <= EACH_MINUTE {
            *entry = (minute, 0);
        }
        entry.1 += 1;
        entry.1 <= EACH_MINUTE
    }

    /// Takes out the minutes that are over: (task, minute in seconds, refusals beyond the tenth).
    pub(crate) fn take_ended(&mut self, now: Timestamp) -> Vec<(TaskId, i64, u64)> {
        let current = minute_of(now);
        let mut ended = Vec::new();
        self.tasks.retain(|task, (minute, count)| {
            if *minute == current {
                return true;
            }
            if *count > EACH_MINUTE {
                ended.push((*task, *minute, *count - EACH_MINUTE));
            }
            false
        });
        ended
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(60) * 60
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    #[test]
    fn ten_refusals_a_minute_are_recorded_and_the_rest_is_counted_once() {
        let task = TaskId::from_bytes([1; 16]);
        let mut refusals = Refusals::default();
        let admitted = (0..25).filter(|_| refusals.admit(task, at(60))).count();
        assert_eq!(admitted, 10);
        assert_eq!(refusals.take_ended(at(119)), vec![]);
        assert_eq!(refusals.take_ended(at(120)), vec![(task, 60, 15)]);
        assert_eq!(refusals.take_ended(at(180)), vec![]);
        assert!(refusals.admit(task, at(180)));
    }
}
