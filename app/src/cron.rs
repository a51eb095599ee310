//! Cron: the instants of five fields on the wall clock of a zone.
//!
//! One fixed minute and hour fire once a day: in a gap of the clock at the first instant after it, in an hour that the
//! clock shows twice at the first. Anything else fires at every real minute that matches.

use crate::locks::invalid;
use crate::zones::{ZONES, tzdata};
use croner::parser::{CronParser, Seconds, Year};
use croner::{Cron, JobType};
use jiff::Zoned;
use jiff::tz::TimeZone;
use ledger::event::ScheduleTerms;
use ledger::{Rejection, ScheduleClock, Timestamp};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// The longest expression.
const LONGEST: usize = 200;

/// The search walks over a gap of the clock that is shorter than this; over a longer one it is led.
const LONG_GAP_SECONDS: i32 = 2 * 60 * 60;

/// The most changes of a zone's offset that are looked through for a long gap.
const MOST_TRANSITIONS: usize = 100;

/// An expression in a zone, as it can be evaluated.
#[derive(Debug)]
pub struct CronInZone {
    cron: Cron,
    zone: TimeZone,
    is_fixed: bool,
}

impl CronInZone {
    /// # Errors
    /// [`Rejection::Invalid`] for another form than five fields, and for a zone that is not known.
    pub fn parse(cron: &str, zone: &str) -> Result<Self, Rejection> {
        if cron.len() > LONGEST || cron.split_whitespace().count() != 5 {
            let form = "cron: five fields, as in \"30 2 * * mon-fri\"";
            return Err(invalid(form.to_owned()));
        }
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(cron)
            .map_err(|error| invalid(format!("cron: {error}")))?;
        let zone = ZONES.get(zone).map_err(|_| {
            let form = "zone: a name of the IANA time zone database, as in \"Europe/Berlin\"";
            invalid(form.to_owned())
        })?;
        Ok(Self {
            is_fixed: matches!(cron.determine_job_type(), JobType::FixedTime),
            cron,
            zone,
        })
    }

    /// Its times in words: `At 02:30, on Monday to Friday.`
    #[must_use]
    pub fn in_words(&self) -> String {
        self.cron.describe()
    }

    /// The first instant after that time; `None` where there is none.
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = jiff::Timestamp::from_microsecond(after.as_micros()).ok()?;
        let from = after.to_zoned(self.zone.clone());
        let found = match self.cron.find_next_occurrence(&from, false) {
            Ok(found) => found,
            Err(_) => self.over_a_long_gap(&from)?,
        };
        let found = found.timestamp().as_microsecond();
        Some(Timestamp::from_micros(found))
    }

    /// The first instant after a gap that is so long that the search ends in it: a zone that changes its date skips a
    /// day.
    fn over_a_long_gap(&self, from: &Zoned) -> Option<Zoned> {
        let transitions = self.zone.following(from.timestamp());
        for transition in transitions.take(MOST_TRANSITIONS) {
            let at = transition.timestamp();
            let just_before = at.checked_sub(jiff::SignedDuration::from_secs(1)).ok()?;
            let before = self.zone.to_offset(just_before);
            let skipped = transition.offset().seconds() - before.seconds();
            if skipped <= LONG_GAP_SECONDS {
                continue;
            }
            let first_after = at.to_zoned(self.zone.clone());
            let (begin, end) = (before.to_datetime(at), first_after.datetime());
            let in_gap = self.cron.find_next_occurrence(&begin, true);
            if self.is_fixed && in_gap.is_ok_and(|found| found < end) {
                return Some(first_after);
            }
            if let Ok(found) = self.cron.find_next_occurrence(&first_after, true) {
                return Some(found);
            }
        }
        None
    }
}

/// The expressions that were read, by expression and zone; `None` for what cannot be read.
type Read = HashMap<(String, String), Option<Arc<CronInZone>>>;

/// The most expressions that are kept once they were read: as many as there are schedules.
const MOST_READ: usize = 512;

/// The clock of schedules. A schedule that cannot be read never fires.
#[must_use]
pub fn schedule_clock() -> ScheduleClock {
    let read = Mutex::new(Read::new());
    ScheduleClock::new(tzdata(), move |terms: &ScheduleTerms, after| {
        let cron = {
            let mut read = read.lock().unwrap_or_else(PoisonError::into_inner);
            if read.len() >= MOST_READ {
                read.clear();
            }
            let of = (terms.cron.clone(), terms.zone.clone());
            let parse = || CronInZone::parse(&terms.cron, &terms.zone).ok();
            let known = read.entry(of);
            known.or_insert_with(|| parse().map(Arc::new)).clone()
        };
        cron?.next(after)
    })
}

#[cfg(test)]
mod tests;
