//! Carries out applies that may run: several at a time, the operations of each one after another.
//!
//! | file | holds |
//! |---|---|
//! | `execution` | one apply, from where the log says it stands to its end |
//! | `conclusion` | what became of an operation, in the words of the log |
//! | `shares` | which agent may take one more place |

mod conclusion;
mod execution;
mod shares;
#[cfg(test)]
mod tests;

use crate::error::Error;
use crate::forwarding::Forwarder;
use crate::in_flight::InFlight;
use crate::recording::Recorder;
use crate::supervisor::WorkersConfig;
use crate::tail_queue::TailQueue;
use crate::upstream::Upstreams;
use crate::witness::Gate;
use crate::worker::{Signals, Worker};
use execution::Execution;
use ledger::aggregate::Apply;
use ledger::{AgentName, ApplyId, Event, Ledger, Recorded};
use projections::{Projection, Projections, ReadyApply};
use shares::Shares;
use std::sync::Arc;
use std::time::Duration;

/// Takes authorised applies: the newest as the log tells of them, what stood there before, what failed
/// and what was too much at a time from the execution queue in the read tables.
pub(crate) struct Executor {
    recorder: Recorder,
    projections: Projections,
    upstreams: Upstreams,
    forwarder: Option<Arc<dyn Forwarder>>,
    applies: InFlight<ApplyId>,
    shares: Shares,
    drain: Duration,
    /// Approved operations wait until this covers their approval; `None` where they do not wait.
    gate: Option<Gate>,
}

impl Executor {
    pub(crate) fn new(config: &WorkersConfig, ledger: &Ledger, projections: &Projections) -> Self {
        Self {
            recorder: Recorder::new(ledger.clone(), Self::NAME),
            projections: projections.clone(),
            upstreams: config.upstreams.clone(),
            forwarder: config.forwarder.clone(),
            applies: InFlight::new(config.applies_at_a_time),
            shares: Shares::default(),
            drain: config.drain,
            gate: Gate::new(config, ledger),
        }
    }

    /// Takes what is ready and nobody works on from the read table, which holds the log up to `cursor`; whether there may
    /// be more than could be taken.
    ///
    /// The read table may be behind and show applies that have ended: an [`Execution`] asks the
    /// ledger first. What was started by an earlier process and has no outcome is found here too,
    /// and settled instead of started.
    async fn take(&mut self, cursor: u64, signals: &Signals) -> Result<bool, Error> {
        let approved_before = self.gate.as_mut().map(Gate::size);
        let mut asked_of_all = true;
        loop {
            let room = self.applies.room();
            if room == 0 {
                return Ok(true);
            }
            let full = self.shares.full(room);
            let limit = self.applies.held() + 2 * room;
            let limit = u32::try_from(limit).unwrap_or(u32::MAX);
            let ready = self
                .projections
                .ready_applies_besides(&full, approved_before, limit)
                .await?;
            // Which of them have more is asked for once they have room.
            if std::mem::take(&mut asked_of_all) {
                self.shares.was_asked(cursor, &full);
            }
            let is_whole = u32::try_from(ready.len()).is_ok_and(|found| found < limit);
            let mut has_filled = false;
            for ReadyApply { apply_id, agent } in ready {
                let room = self.applies.room();
                if room == 0 {
                    return Ok(true);
                }
                match self.shares.has_room(&agent, room) {
                    true => self.spawn(apply_id, &agent, signals),
                    false => {
                        self.shares.pass_over(&agent, cursor);
                        has_filled = true;
                    }
                }
            }
            // Applies of an agent that has its share now may stand before those of others.
            if is_whole || !has_filled {
                return Ok(!is_whole);
            }
        }
    }

    /// Takes what waits for a place of its agent and then what the log tells of, as far as there is room.
    async fn take_newest(&mut self, newest: &mut TailQueue<ApplyId>, signals: &Signals) {
        newest.take_in().await;
        loop {
            let room = self.applies.room();
            if room == 0 {
                return;
            }
            if let Some((agent, apply_id)) = self.shares.next(room) {
                self.spawn(apply_id, &agent, signals);
                continue;
            }
            let Some(apply_id) = newest.pop() else {
                return;
            };
            let ledger = self.recorder.ledger();
            let Ok(Some(apply)) = ledger.load::<Apply>(apply_id).await else {
                // Who takes it from the read table tells why it cannot be read.
                newest.gives_back();
                continue;
            };
            match self.shares.has_room(&apply.agent, room) {
                true => self.spawn(apply_id, &apply.agent, signals),
                false => self.shares.wait(&apply.agent, apply_id, newest.taken_in()),
            }
        }
    }

    /// Begins, unless somebody works on it or it rests after a failure.
    fn spawn(&mut self, apply_id: ApplyId, agent: &AgentName, signals: &Signals) {
        if self.applies.is_free(&apply_id) {
            let execution = Execution {
                recorder: self.recorder.clone(),
                upstreams: self.upstreams.clone(),
                forwarder: self.forwarder.clone(),
                stop: signals.stop.clone(),
                apply_id,
                failures: self.applies.failures(&apply_id),
            };
            let place = self.shares.take(agent);
            let work = async move {
                let _place = place;
                execution.run().await
            };
            self.applies.spawn(apply_id, work);
        }
    }
}

fn may_run(recorded: &Recorded) -> Option<ApplyId> {
    let may_run = match &recorded.event {
        Event::ApplyAccepted(accepted) => accepted.authorisation.runs_at_once(),
        Event::ApplyAuthorised(_) => true,
        _ => false,
    };
    may_run.then(|| ApplyId::from(recorded.stream_id()))
}

impl Worker for Executor {
    const NAME: &'static str = "executor";
    const READS: &'static [Projection] = &[Projection::Tasks];

    async fn run(&mut self, signals: &Signals) -> Result<(), Error> {
        // What a run before this one left in flight must be at rest before it is settled.
        self.applies.abort().await;
        self.shares = Shares::default();
        let mut progress = self.projections.progress(Projection::Tasks);
        // Taken before the table is asked: from there on the log tells.
        let mut newest = TailQueue::from(self.recorder.ledger(), *progress.borrow(), may_run);
        let mut look = true;
        let mut backlog = false;
        loop {
            if look {
                let cursor = *progress.borrow_and_update();
                backlog = self.take(cursor, signals).await?;
                if !backlog {
                    newest.was_asked(cursor);
                }
            }
            // Where approvals wait for witnesses, only the table knows what may run.
            let follows_log = self.gate.is_none();
            if follows_log {
                self.take_newest(&mut newest, signals).await;
            }
            signals.pulse.beat();
            let in_flight = u32::try_from(self.applies.len()).unwrap_or(u32::MAX);
            metrics::gauge!("executor_applies_in_flight").set(f64::from(in_flight));
            self.applies.measure(Self::NAME);
            newest.measure(Self::NAME);
            let room = self.applies.room();
            let has_room = room > 0;
            let is_asked_for = newest.has_gap() || self.shares.ask_table(room);
            let asks_table = has_room && (!follows_log || is_asked_for);
            look = tokio::select! {
                biased;
                () = signals.stop.cancelled() => break,
                changed = progress.changed(), if asks_table => {
                    changed.map_err(|_| Error::ReadTablesStopped)?;
                    true
                }
                () = Gate::moved(&mut self.gate), if has_room => true,
                change = self.applies.changed() => {
                    let retry = change.has_rested;
                    if !change.failed.is_empty() {
                        newest.gives_back();
                    }
                    signals.note(Self::NAME, change.failed)?;
                    // What was passed over is older than what waits.
                    let room = self.applies.room();
                    backlog || retry || newest.has_gap() || self.shares.ask_table(room)
                }
                () = newest.grown(), if follows_log => false,
            };
        }
        let left = self.applies.drain(self.drain).await;
        if left > 0 {
            tracing::warn!(
                applies = left,
                "still in flight at the end; the next start settles them"
            );
        }
        Ok(())
    }
}
