//! Starts the workers once the read tables have caught up, starts them again when they fail, and
//! lets them finish at the end.

use crate::callback::CallbackSender;
use crate::depth_gauges::DepthGauges;
use crate::dispatcher::Dispatcher;
use crate::error::Error;
use crate::executor::Executor;
use crate::expirer::Expirer;
use crate::forwarding::Forwarder;
use crate::notifier::Places;
use crate::pre_state::PreStateReader;
use crate::question::ApprovalUrls;
use crate::scheduler::Scheduler;
use crate::upstream::Upstreams;
use crate::witness::{Cosigner, Gate, WitnessSettings};
use crate::worker::{Pulse, Signals, Worker, WorkerHealth};
use futures_util::FutureExt as _;
use ledger::Ledger;
use projections::{Projection, Projections};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A worker that ran for this long before it failed is started again without a long pause.
const STEADY: Duration = Duration::from_secs(60);
/// How long one wait for the read tables lasts before health says that they are behind.
const CATCH_UP_PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Clone)]
pub struct WorkersConfig {
    /// Where operations are carried out.
    pub upstreams: Upstreams,
    /// Sends requests that are forwarded as they came; `None` where there are no proxies.
    pub forwarder: Option<Arc<dyn Forwarder>>,
    /// How many applies are executed at a time.
    pub applies_at_a_time: usize,
    pub callbacks: CallbackSender,
    /// Where questions are answered, for those who are told of them; `None` leaves it out.
    pub approval_urls: Option<ApprovalUrls>,
    /// The operator's places of the ledger's [`ledger::Rules::notifiers`].
    pub places: Places,
    /// The https address that push services may write to about this installation.
    pub push_contact: Option<String>,
    /// CALLBACK_BATCH_SIZE: how many deliveries are taken in one look.
    pub callback_batch_size: u32,
    /// CALLBACK_WORKER_INTERVAL_SECS: the longest sleep between two looks at what is owed.
    pub callback_interval: Duration,
    /// How long what is in flight may take to end once the workers are told to stop. What has not
    /// ended by then is settled by the next start.
    pub drain: Duration,
    /// Whose cosignatures the ledger's checkpoints need; `None` asks nobody.
    pub witnesses: Option<WitnessSettings>,
    /// An apply that was approved is carried out only once its authorisation is witnessed.
    pub approvals_wait_for_witness: bool,
}

impl WorkersConfig {
    /// 64 applies at a time, 50 deliveries a look, a look every 2 s at least, the default back-off,
    /// 20 s to drain.
    #[must_use]
    pub fn new(upstreams: Upstreams, callbacks: CallbackSender) -> Self {
        Self {
            upstreams,
            forwarder: None,
            applies_at_a_time: 64,
            callbacks,
            approval_urls: None,
            places: Places::default(),
            push_contact: None,
            callback_batch_size: 50,
            callback_interval: Duration::from_secs(2),
            drain: Duration::from_secs(20),
            witnesses: None,
            approvals_wait_for_witness: false,
        }
    }
}

/// The running workers. Dropping it aborts them, which is as safe as a crash: the next start settles
/// what was in flight.
#[derive(Debug)]
pub struct Supervisor {
    pulses: Vec<Pulse>,
    tasks: JoinSet<()>,
    wake: watch::Sender<()>,
}

/// Starts all workers; they begin when the read tables have caught up and end when `stop` is
/// cancelled. Must be called within a tokio runtime.
#[must_use = "dropping the supervisor aborts the workers"]
pub fn start(
    mut config: WorkersConfig,
    ledger: &Ledger,
    projections: &Projections,
    stop: &CancellationToken,
) -> Supervisor {
    let mut supervisor = Supervisor {
        pulses: Vec::new(),
        tasks: JoinSet::new(),
        wake: watch::Sender::new(()),
    };
    let mut keep = Keep {
        supervisor: &mut supervisor,
        projections,
        stop,
    };
    keep.running(Executor::new(&config, ledger, projections));
    keep.running(PreStateReader::new(&config, ledger, projections));
    keep.running(Expirer::new(ledger, projections));
    keep.running(Scheduler::new(ledger));
    let gate = Gate::new(&config, ledger);
    keep.running(DepthGauges::new(projections, gate));
    if let Some(settings) = config.witnesses.take()
        && let Some(cosigner) = Cosigner::new(settings, ledger)
    {
        keep.running(cosigner);
    }
    keep.running(Dispatcher::new(config, ledger, projections));
    supervisor
}

impl Supervisor {
    #[must_use]
    pub fn health(&self) -> Vec<WorkerHealth> {
        self.pulses.iter().map(Pulse::health).collect()
    }

    /// A handle on the health for who does not own the supervisor.
    #[must_use]
    pub fn health_reader(&self) -> HealthReader {
        HealthReader(self.pulses.clone())
    }

    /// Lets the workers look at the clock again: deadlines and due times may have come.
    pub fn wake(&self) {
        self.wake.send_replace(());
    }

    /// Waits until all workers have ended; cancel their `stop` first. Takes at most as long as
    /// [`WorkersConfig::drain`] and a little.
    pub async fn drained(mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

#[derive(Debug, Clone)]
pub struct HealthReader(Vec<Pulse>);

impl HealthReader {
    #[must_use]
    pub fn health(&self) -> Vec<WorkerHealth> {
        self.0.iter().map(Pulse::health).collect()
    }
}

struct Keep<'a> {
    supervisor: &'a mut Supervisor,
    projections: &'a Projections,
    stop: &'a CancellationToken,
}

impl Keep<'_> {
    fn running<W: Worker>(&mut self, worker: W) {
        let pulse = Pulse::new(W::NAME);
        self.supervisor.pulses.push(pulse.clone());
        let signals = Signals {
            stop: self.stop.clone(),
            wake: self.supervisor.wake.subscribe(),
            pulse,
        };
        let projections = self.projections.clone();
        self.supervisor.tasks.spawn(async move {
            if let Some(()) = until_caught_up(&projections, W::READS, &signals).await {
                keep_running(worker, &signals).await;
            }
            signals.pulse.ended();
        });
    }
}

/// `None` when the workers are to stop before.
async fn until_caught_up(
    projections: &Projections,
    reads: &[Projection],
    signals: &Signals,
) -> Option<()> {
    loop {
        let caught_up = projections.caught_up(reads, CATCH_UP_PATIENCE);
        match signals.stop.run_until_cancelled(caught_up).await? {
            Ok(()) => return Some(()),
            Err(error) => {
                signals.pulse.waits(&Error::ReadTables(error));
                let pause = tokio::time::sleep(FIRST_PAUSE);
                signals.stop.run_until_cancelled(pause).await?;
            }
        }
    }
}

async fn keep_running<W: Worker>(mut worker: W, signals: &Signals) {
    let mut pause = FIRST_PAUSE;
    loop {
        let started = Instant::now();
        // A worker holds nothing across a panic but tasks, which its next run aborts first.
        let run = AssertUnwindSafe(worker.run(signals)).catch_unwind().await;
        let error = match run {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error,
            Err(payload) => Error::of_panic(&*payload),
        };
        signals.pulse.fell(&error);
        metrics::counter!("worker_restarts_total", "worker" => W::NAME).increment(1);
        if started.elapsed() >= STEADY {
            pause = FIRST_PAUSE;
        }
        tracing::error!(
            worker = W::NAME,
            error = %error.chain(),
            pause_ms = pause.as_millis(),
            "a worker failed; it is started again"
        );
        let wait = tokio::time::sleep(pause);
        if signals.stop.run_until_cancelled(wait).await.is_none() {
            return;
        }
        pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    enum Turn {
        Panic,
        Fail,
        Work,
    }

    struct Scripted(VecDeque<Turn>);

    impl Worker for Scripted {
        const NAME: &'static str = "scripted";
        const READS: &'static [Projection] = &[];

        async fn run(&mut self, signals: &Signals) -> Result<(), Error> {
            match self.0.pop_front() {
                Some(Turn::Panic) => panic!("at its {} next turns", self.0.len()),
                Some(Turn::Fail) => Err(Error::ReadTablesStopped),
                Some(Turn::Work) | None => {
                    signals.pulse.beat();
                    signals.stop.cancelled().await;
                    Ok(())
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_worker_that_fails_is_started_again_and_health_says_so() {
        let pulse = Pulse::new(Scripted::NAME);
        let wake = watch::Sender::new(());
        let stop = CancellationToken::new();
        let signals = Signals {
            stop: stop.clone(),
            wake: wake.subscribe(),
            pulse: pulse.clone(),
        };
        let worker = Scripted([Turn::Panic, Turn::Fail, Turn::Work].into());
        let keeping = tokio::spawn(async move { keep_running(worker, &signals).await });

        tokio::time::sleep(FIRST_PAUSE / 2).await;
        let after_panic = pulse.health();
        assert!(!after_panic.alive);
        let why = "it panicked: at its 2 next turns";
        assert_eq!(after_panic.last_error.as_deref(), Some(why));
        tokio::time::sleep(FIRST_PAUSE).await;
        let after_error = pulse.health();
        assert_eq!((after_error.alive, after_error.restarts), (false, 2));
        tokio::time::sleep(FIRST_PAUSE * 2).await;
        assert!(pulse.health().alive);

        stop.cancel();
        keeping.await.unwrap();
    }
}
