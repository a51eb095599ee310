//! How many refusals of a task, and how many failed logins, are recorded one by one: ten in a minute, the
//! rest is counted. Of the refused writes of an agent that would each have a task of their own the rest is not
//! recorded at all: there is no task of which to say it.
//!
//! The counts live in memory. A crash forgets those of the running minute: what it loses is the
//! number of refusals beyond the tenth, never a refusal that was recorded or an acknowledged fact.

use crate::clock::Timestamp;
use crate::id::{AgentId, TaskId};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// What is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refused {
    /// Applies of a task.
    Task(TaskId),
    /// Writes of an agent, each in a task that would be opened for it.
    Writes(AgentId),
    /// Logins of anybody.
    Logins,
}

impl Refused {
    /// Whether the log says how many were more than are recorded by themselves.
    const fn is_counted(self) -> bool {
        matches!(self, Self::Task(_) | Self::Logins)
    }
}

/// How many are recorded by themselves in each minute.
const EACH_MINUTE: u64 = 10;
/// How many tasks are counted at once. Those beyond are recorded one by one: more events than there
/// should be, and none lost.
const MAX_TASKS: usize = 10_000;

/// Refusals of a minute beyond those recorded one by one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) refused: Refused,
    /// The minute, as seconds since 1970.
    pub(crate) minute: i64,
    pub(crate) count: u64,
}

/// The running counts, and what the batch under way has done to them.
#[derive(Debug, Default)]
pub(crate) struct Refusals {
    counts: HashMap<Refused, (i64, u64)>,
    admitted: Vec<Refused>,
    taken: Vec<Ended>,
}

impl Refusals {
    /// Counts one more; `true` when it is to be recorded by itself. The minutes that are over have
    /// been taken out before.
    pub(crate) fn admit(&mut self, refused: Refused, now: Timestamp) -> bool {
        let full = self.counts.len() >= MAX_TASKS && refused != Refused::Logins;
        let count = match self.counts.entry(refused) {
            Entry::Occupied(counted) => &mut counted.into_mut().1,
            Entry::Vacant(_) if full => return true,
            Entry::Vacant(free) => &mut free.insert((minute_of(now), 0)).1,
        };
        *count += 1;
        self.admitted.push(refused);
        *count <= EACH_MINUTE
    }

    /// Takes out the minutes that are over and had more than are recorded one by one.
    pub(crate) fn take_ended(&mut self, now: Timestamp) -> Vec<Ended> {
        let current = minute_of(now);
        self.take(|minute| minute != current)
    }

    /// Takes out all of them: nothing will be counted any more.
    pub(crate) fn take_all(&mut self) -> Vec<Ended> {
        self.take(|_| true)
    }

    fn take(&mut self, over: impl Fn(i64) -> bool) -> Vec<Ended> {
        let mut ended = Vec::new();
        self.counts.retain(|refused, (minute, count)| {
            if !over(*minute) {
                return true;
            }
            if *count > EACH_MINUTE && refused.is_counted() {
                ended.push(Ended {
                    refused: *refused,
                    minute: *minute,
                    count: *count - EACH_MINUTE,
                });
            }
            false
        });
        self.taken.extend(&ended);
        ended
    }

    /// How many tasks are counted.
    pub(crate) fn count(&self) -> usize {
        self.counts.len()
    }

    /// True when there is something that only a later minute will record.
    pub(crate) fn is_counting(&self) -> bool {
        let mut counts = self.counts.iter();
        counts.any(|(refused, (_, count))| refused.is_counted() && *count > EACH_MINUTE)
    }

    /// Drops what was counted for a task: it was erased.
    pub(crate) fn forget(&mut self, task: TaskId) {
        let task = Refused::Task(task);
        self.counts.remove(&task);
        self.admitted.retain(|admitted| *admitted != task);
        self.taken.retain(|ended| ended.refused != task);
    }

    /// The batch is in the log.
    pub(crate) fn keep(&mut self) {
        self.admitted.clear();
        self.taken.clear();
    }

    /// Nothing of the batch is in the log, and its callers were told so: they will ask again.
    pub(crate) fn undo(&mut self) {
        for refused in self.admitted.drain(..) {
            if let Entry::Occupied(mut counted) = self.counts.entry(refused) {
                counted.get_mut().1 = counted.get().1.saturating_sub(1);
                if counted.get().1 == 0 {
                    counted.remove();
                }
            }
        }
        for ended in self.taken.drain(..) {
            let count = ended.count.saturating_add(EACH_MINUTE);
            self.counts.insert(ended.refused, (ended.minute, count));
        }
    }
}

fn minute_of(at: Timestamp) -> i64 {
    at.as_seconds().div_euclid(60) * 60
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: Refused = Refused::Task(TaskId::from_bytes([1; 16]));

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn ended(minute: i64, count: u64) -> Ended {
        Ended {
            refused: TASK,
            minute,
            count,
        }
    }

    fn admitted(refusals: &mut Refusals, times: usize, now: Timestamp) -> usize {
        (0..times).filter(|_| refusals.admit(TASK, now)).count()
    }

    #[test]
    fn ten_refusals_a_minute_are_recorded_and_the_rest_is_counted_once() {
        let mut refusals = Refusals::default();
        assert_eq!(admitted(&mut refusals, 25, at(60)), 10);
        assert!(refusals.is_counting());
        assert_eq!(refusals.take_ended(at(119)), vec![]);
        assert_eq!(refusals.take_ended(at(120)), vec![ended(60, 15)]);
        assert_eq!(refusals.take_ended(at(180)), vec![]);
        assert!(refusals.admit(TASK, at(180)));
    }

    #[test]
    fn of_an_agents_writes_beyond_ten_a_minute_no_count_is_left() {
        let mut refusals = Refusals::default();
        let writes = Refused::Writes(AgentId::from_bytes([1; 16]));
        let admitted = (0..25).filter(|_| refusals.admit(writes, at(60)));
        assert_eq!(admitted.count(), 10);
        assert!(!refusals.is_counting());
        assert_eq!(refusals.take_ended(at(120)), vec![]);
        assert!(refusals.admit(writes, at(120)));
    }

    #[test]
    fn what_a_lost_batch_counted_is_as_if_it_had_not_been_asked() {
        let mut refusals = Refusals::default();
        admitted(&mut refusals, 8, at(60));
        refusals.keep();
        assert_eq!(admitted(&mut refusals, 5, at(60)), 2);
        refusals.undo();
        assert!(!refusals.is_counting());
        assert_eq!(admitted(&mut refusals, 5, at(60)), 2);
    }

    #[test]
    fn a_count_that_a_lost_batch_took_out_is_taken_out_again() {
        let mut refusals = Refusals::default();
        admitted(&mut refusals, 12, at(60));
        refusals.keep();
        assert_eq!(refusals.take_ended(at(120)), vec![ended(60, 2)]);
        assert_eq!(admitted(&mut refusals, 1, at(120)), 1);
        refusals.undo();
        assert_eq!(refusals.take_ended(at(120)), vec![ended(60, 2)]);
        refusals.keep();
        assert_eq!(admitted(&mut refusals, 11, at(120)), 10);
        assert_eq!(refusals.take_all(), vec![ended(120, 1)]);
    }

    #[test]
    fn tasks_beyond_the_bound_are_recorded_one_by_one() {
        let mut refusals = Refusals::default();
        for number in 0..u64::try_from(MAX_TASKS).unwrap() {
            let mut id = [0; 16];
            id[..8].copy_from_slice(&number.to_le_bytes());
            assert!(refusals.admit(Refused::Task(TaskId::from_bytes(id)), at(0)));
        }
        let beyond = Refused::Task(TaskId::from_bytes([0xFF; 16]));
        assert!((0..50).all(|_| refusals.admit(beyond, at(0))));
        let logins = (0..50).filter(|_| refusals.admit(Refused::Logins, at(0)));
        assert_eq!(logins.count(), 10, "however many tasks there are");
    }
}
