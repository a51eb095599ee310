//! The schedules of a ledger, and the clock that says when they fire.

use crate::aggregate::Schedule;
use crate::clock::Timestamp;
use crate::event::ScheduleTerms;
use crate::name::ScheduleName;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Every schedule that stands, by its name, as the writer and who fires them ask for it.
#[derive(Debug, Clone, Default)]
pub struct Schedules(BTreeMap<ScheduleName, Arc<Schedule>>);

impl Schedules {
    /// The newest put of that name.
    #[must_use]
    pub fn get(&self, name: &ScheduleName) -> Option<&Arc<Schedule>> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Schedule>> {
        self.0.values()
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one in, in its newest state. One that another put has replaced stays out.
    pub(crate) fn put(&mut self, schedule: Arc<Schedule>) {
        let known = self.0.get(&schedule.name);
        let is_same = known.is_some_and(|known| known.id == schedule.id);
        match schedule.deleted_at {
            Some(_) if is_same => drop(self.0.remove(&schedule.name)),
            Some(_) => {}
            None => drop(self.0.insert(schedule.name.clone(), schedule)),
        }
    }
}

type Next = dyn Fn(&ScheduleTerms, Timestamp) -> Option<Timestamp> + Send + Sync;

/// Says when a schedule fires. Cron and the data of time zones stand outside of the ledger, which records the
/// instants, and the version of the data that they were found with.
#[derive(Clone)]
pub struct ScheduleClock {
    next: Arc<Next>,
    tzdata: Arc<str>,
}

impl ScheduleClock {
    /// One that finds by that function the first instant after a time, with time zones of that version. The same
    /// terms and time have the same answer.
    #[must_use]
    pub fn new(
        tzdata: &str,
        next: impl Fn(&ScheduleTerms, Timestamp) -> Option<Timestamp> + Send + Sync + 'static,
    ) -> Self {
        Self {
            next: Arc::new(next),
            tzdata: tzdata.into(),
        }
    }

    /// The version of its time zones.
    #[must_use]
    pub fn tzdata(&self) -> &str {
        &self.tzdata
    }

    /// The first instant after that time; `None` where there is none.
    #[must_use]
    pub fn next(&self, terms: &ScheduleTerms, after: Timestamp) -> Option<Timestamp> {
        // An instant that is not later would be found for ever.
        (self.next)(terms, after).filter(|found| *found > after)
    }

    /// Whether a schedule fires at that instant.
    #[must_use]
    pub fn fires_at(&self, terms: &ScheduleTerms, instant: Timestamp) -> bool {
        let before = instant.minus(Duration::from_micros(1));
        self.next(terms, before) == Some(instant)
    }
}

/// One by which nothing ever fires.
impl Default for ScheduleClock {
    fn default() -> Self {
        Self::new("none", |_, _| None)
    }
}

impl fmt::Debug for ScheduleClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScheduleClock({})", self.tzdata)
    }
}
