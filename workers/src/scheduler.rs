//! Fires schedules when their time comes. Which instant is due, and that it is fired once, is decided by the ledger; so
//! whatever ends this worker, the next start neither fires twice nor forgets.

use crate::error::Error;
use crate::recording::Recorder;
use crate::worker::{Signals, Worker};
use ledger::Ledger;
use ledger::Timestamp;
use ledger::aggregate::Schedule;
use ledger::command::{RunSchedule, SCHEDULER};
use projections::Projection;
use std::time::Duration;

/// The longest sleep, so that a wall clock that was set forward is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(15);

/// Before the next look at a schedule that could not be fired.
const SHORTEST_SLEEP: Duration = Duration::from_secs(1);

/// Wakes at the next instant of a schedule, and when one is put.
pub(crate) struct Scheduler {
    recorder: Recorder,
}

impl Scheduler {
    pub(crate) fn new(ledger: &Ledger) -> Self {
        Self {
            recorder: Recorder::new(ledger.clone(), Self::NAME),
        }
    }

    /// The next instant that nobody has dealt with.
    fn next(&self, schedule: &Schedule) -> Option<Timestamp> {
        let clock = &self.recorder.ledger().rules().schedules;
        match schedule.is_active() {
            true => clock.next(&schedule.terms, schedule.settled),
            false => None,
        }
    }

    /// Fires what is due; the next instant after that.
    async fn look(&self) -> Result<Option<Timestamp>, Error> {
        let ledger = self.recorder.ledger();
        for schedule in ledger.schedules().all() {
            if self.next(schedule).is_none_or(|next| ledger.now() < next) {
                continue;
            }
            while self.run(schedule).await? {}
        }
        let schedules = ledger.schedules();
        Ok(schedules.all().filter_map(|it| self.next(it)).min())
    }

    /// Fires one; whether there is more to be dealt with.
    async fn run(&self, schedule: &Schedule) -> Result<bool, Error> {
        let schedule_id = schedule.id;
        match self.recorder.record(RunSchedule { schedule_id }).await {
            Ok(ran) => {
                if let Some(run) = ran.fired {
                    tracing::info!(
                        schedule = %schedule.name,
                        task.id = %run.task_id,
                        apply.id = %run.apply_id,
                        "schedule fired"
                    );
                }
                Ok(ran.has_more)
            }
            // The disk has no room for something new; the instants stay due.
            Err(ledger::Error::Rejected(refused)) => {
                tracing::warn!(schedule = %schedule.name, why = %refused, "schedule not fired");
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

impl Worker for Scheduler {
    const NAME: &'static str = SCHEDULER;
    const READS: &'static [Projection] = &[];

    async fn run(&mut self, signals: &Signals) -> Result<(), Error> {
        let mut wake = signals.wake.clone();
        let mut schedules = self.recorder.ledger().watch_schedules();
        let mut is_changed = true;
        let mut next: Option<Timestamp> = None;
        loop {
            wake.borrow_and_update();
            let now = self.recorder.ledger().now();
            // Expressions are read only where one may be due.
            if is_changed || next.is_some_and(|next| next <= now) {
                is_changed = false;
                schedules.mark_unchanged();
                let looked = signals.stop.run_until_cancelled(self.look()).await;
                let Some(looked) = looked else { return Ok(()) };
                next = looked?;
            }
            signals.pulse.beat();
            let now = self.recorder.ledger().now();
            let sleep = next.map_or(LONGEST_SLEEP, |next| next.since(now));
            let sleep = match sleep.is_zero() {
                // One that stays due could not be fired.
                true => SHORTEST_SLEEP,
                false => sleep.min(LONGEST_SLEEP),
            };
            tokio::select! {
                () = signals.stop.cancelled() => return Ok(()),
                // The supervisor is gone only together with this task.
                Ok(()) = wake.changed() => {}
                Ok(()) = schedules.changed() => is_changed = true,
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }
}
