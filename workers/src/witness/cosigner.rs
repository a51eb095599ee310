//! The worker that collects cosignatures.

use super::asking::{AskFailure, Asking, AskingEnd, Cosigning};
use super::kept::{keep, set_gauges};
use super::round::Round;
use super::schedule::Schedule;
use super::settings::{AskedWitness, WitnessSettings};
use crate::error::{Error, chain_of};
use crate::worker::{Signals, Worker};
use ledger::tlog::NoteSignature;
use ledger::{Checkpoints, Ledger, SignedCheckpoint};
use projections::Projection;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Before a note that could not be written is written again.
const DISK_REST: Duration = Duration::from_secs(5);

/// Owes nothing to the log: what it has not finished, the next start begins anew.
pub(crate) struct Cosigner {
    settings: WitnessSettings,
    ledger: Ledger,
    checkpoints: Checkpoints,
    newest: watch::Receiver<Option<Arc<SignedCheckpoint>>>,
    /// In the order of the settings' witnesses.
    schedules: Vec<Schedule>,
    round: Option<Round>,
    asking: JoinSet<(usize, Arc<SignedCheckpoint>, AskingEnd)>,
}

impl Cosigner {
    /// `None` where the ledger signs no checkpoints.
    pub(crate) fn new(settings: WitnessSettings, ledger: &Ledger) -> Option<Self> {
        let checkpoints = ledger.checkpoints()?.clone();
        Some(Self {
            schedules: vec![Schedule::default(); settings.witnesses().len()],
            settings,
            ledger: ledger.clone(),
            newest: checkpoints.subscribe(),
            checkpoints,
            round: None,
            asking: JoinSet::new(),
        })
    }

    /// Takes up the newest checkpoint where the one before is dealt with.
    fn turn(&mut self) {
        let Some(newest) = self.newest.borrow_and_update().clone() else {
            return;
        };
        match &self.round {
            None => self.round = Some(self.first_round(newest)),
            Some(round) if round.gives_way_to(&newest) => self.round = Some(Round::new(newest)),
            Some(_) => {}
        }
    }

    /// A restart goes on with the note that it has kept where that is of the newest checkpoint.
    fn first_round(&self, newest: Arc<SignedCheckpoint>) -> Round {
        let kept = self.checkpoints.witnessed();
        match kept.filter(|kept| kept.checkpoint() == newest.checkpoint()) {
            Some(kept) => {
                let mut round = Round::new(kept);
                round.witnessed();
                round
            }
            None => Round::new(newest),
        }
    }

    /// Asks everybody who has not cosigned and may be asked now.
    fn ask(&mut self) {
        let Some(round) = &self.round else {
            return;
        };
        let now = Instant::now();
        let witnesses = self.settings.witnesses().iter().enumerate();
        for ((at, witness), schedule) in witnesses.zip(&mut self.schedules) {
            // One that has gone on from this checkpoint will not go back to it.
            let is_past = schedule.known > round.target().size();
            if is_past || !schedule.is_due(now) || round.has(&witness.key) {
                continue;
            }
            schedule.is_asked = true;
            let target = Arc::clone(round.target());
            let asking = Asking {
                client: self.settings.client().clone(),
                log: Arc::clone(self.ledger.log()),
                witness: witness.clone(),
                target: Arc::clone(&target),
                known: schedule.known,
            };
            self.asking
                .spawn(async move { (at, target, asking.run().await) });
        }
    }

    async fn take_in(&mut self, at: usize, target: &SignedCheckpoint, asked: AskingEnd) {
        let (Some(schedule), Some(witness)) = (
            self.schedules.get_mut(at),
            self.settings.witnesses().get(at).cloned(),
        ) else {
            return;
        };
        schedule.is_asked = false;
        schedule.known = asked.known;
        let outcome = match asked.outcome {
            Cosigning::Cosigned(cosignature) => {
                schedule.answered();
                self.add(&witness, target, cosignature).await;
                "cosigned"
            }
            Cosigning::IsAhead => self.ahead(at, &witness, asked.known),
            Cosigning::Failed(failure) => self.failed(at, &witness, &failure),
        };
        let witness = witness.key.id().to_string();
        metrics::counter!("witness_requests_total", "witness" => witness, "outcome" => outcome)
            .increment(1);
    }

    /// A cosignature on a checkpoint that is not looked at any more is of no use.
    async fn add(
        &mut self,
        witness: &AskedWitness,
        target: &SignedCheckpoint,
        cosignature: NoteSignature,
    ) {
        let of_target = |round: &&mut Round| round.target().checkpoint() == target.checkpoint();
        let Some(round) = self.round.as_mut().filter(of_target) else {
            return;
        };
        let note = match round.add(cosignature, self.settings.policy()) {
            Ok(Some(note)) => note,
            Ok(None) => return,
            Err(error) => {
                let witness = witness.key.name();
                tracing::error!(%witness, %error, "a cosignature does not hold");
                return;
            }
        };
        self.keep(note, target.size()).await;
    }

    /// Until it is on disk nothing is witnessed, and nothing else is of use either.
    async fn keep(&mut self, note: ledger::tlog::Note, size: u64) {
        while let Err(error) = keep(self.settings.file(), note.clone(), &self.checkpoints).await {
            tracing::error!(
                error = chain_of(&error),
                size,
                "a witnessed checkpoint could not be kept, so it is not published"
            );
            tokio::time::sleep(DISK_REST).await;
        }
        if let Some(round) = &mut self.round {
            round.witnessed();
        }
        tracing::debug!(size, "witnessed");
        set_gauges(size, self.ledger.clock().now());
    }

    /// Somebody else has shown it a newer checkpoint of this log: the one before this process ended,
    /// or, where this ledger has none so large, another ledger.
    fn ahead(&mut self, at: usize, witness: &AskedWitness, known: u64) -> &'static str {
        let newest = self.newest.borrow().as_ref().map_or(0, |it| it.size());
        if known > newest {
            return self.failed(at, witness, &AskFailure::OtherHistory { known });
        }
        if let Some(round) = &mut self.round {
            round.passed();
        }
        "ahead"
    }

    fn failed(&mut self, at: usize, witness: &AskedWitness, failure: &AskFailure) -> &'static str {
        let random = self.ledger.random();
        if let Some(schedule) = self.schedules.get_mut(at) {
            schedule.failed(Instant::now(), &self.settings.backoff, &**random);
            // What it has said it has seen may be mistaken, or mended: it is asked anew.
            schedule.known = 0;
        }
        let name = witness.key.name();
        let error = chain_of(failure);
        if matches!(failure, AskFailure::OtherHistory { .. }) {
            tracing::error!(witness = %name, error, "a witness refuses this ledger's history");
        } else {
            tracing::warn!(witness = %name, error, "no cosignature");
        }
        failure.word()
    }

    /// When somebody may be asked again who may not be asked now.
    fn rested_at(&self) -> Option<Instant> {
        let now = Instant::now();
        let rests = self.schedules.iter();
        rests
            .filter_map(|schedule| schedule.paused_until(now))
            .min()
    }
}

impl Worker for Cosigner {
    const NAME: &'static str = "cosigner";
    const READS: &'static [Projection] = &[];

    async fn run(&mut self, signals: &Signals) -> Result<(), Error> {
        // What a run before this one has asked is answered to nobody.
        self.asking.shutdown().await;
        for schedule in &mut self.schedules {
            schedule.is_asked = false;
        }
        loop {
            self.turn();
            self.ask();
            signals.pulse.beat();
            let mut newest = self.newest.clone();
            let rested_at = self.rested_at();
            let answered = tokio::select! {
                () = signals.stop.cancelled() => break,
                // This holds the checkpoints, so somebody can always publish one.
                Ok(()) = newest.changed() => None,
                Some(answered) = self.asking.join_next() => Some(answered),
                () = until(rested_at) => None,
            };
            match answered {
                None => {}
                Some(Ok((at, target, asked))) => {
                    let taken = self.take_in(at, &target, asked);
                    if signals.stop.run_until_cancelled(taken).await.is_none() {
                        break;
                    }
                }
                // Nobody aborts them while this runs, so it is a panic.
                Some(Err(ended)) => {
                    if let Ok(payload) = ended.try_into_panic() {
                        return Err(Error::of_panic(&*payload));
                    }
                }
            }
        }
        self.asking.shutdown().await;
        Ok(())
    }
}

async fn until(moment: Option<Instant>) {
    match moment {
        Some(moment) => tokio::time::sleep_until(moment).await,
        None => pending().await,
    }
}
