//! What became of calls through the proxies, and what they used, on its way into the ledger.
//!
//! Whoever relays a call hands this over and goes on; a task writes it in batches. A crash loses the ends of the
//! last second and what was used in the last ten. Intents are waited for.

use super::proxied_writes::told_to_client;
use api::AppState;
use app::proxied_calls::COMPONENT;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use gateway::{Records, Refusal, Usage, Word};
use ledger::aggregate::Task;
use ledger::command::{BeginCall, EndCalls, RecordUsage, UsageSum};
use ledger::event::{CallEnded, CallRuling, CallSubject, UpstreamKeyOwner, UsageCounts};
use ledger::{CallId, Ledger, Origin, Rejection, StreamId, TaskId, Timestamp, with_sources};
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::{CancellationToken, DropGuard};

/// The most ends in one commit.
const BATCH: usize = 256;
/// The most ends that wait for the ledger. More of what changes nothing are not recorded, and counted.
const MOST: usize = 16 * BATCH;
/// How long an end waits for others.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long what was used is added up.
const PERIOD: Duration = Duration::from_secs(10);

/// Whose use is added up: of one owner, task and model.
type Place = (UpstreamKeyOwner, Option<TaskId>, String);

#[derive(Debug)]
struct Sum {
    from: Timestamp,
    to: Timestamp,
    counts: UsageCounts,
}

#[derive(Debug, Default)]
struct Pending {
    ended: VecDeque<CallEnded>,
    sums: HashMap<Place, Sum>,
}

/// What is not written yet.
pub(super) struct ProxiedCalls {
    state: AppState,
    ledger: Ledger,
    pending: Mutex<Pending>,
    /// There is a batch of ends.
    is_full: Notify,
}

/// The task that writes it.
pub(super) struct CallWriter {
    calls: Arc<ProxiedCalls>,
    /// The task ends with this, because it keeps the ledger open.
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl CallWriter {
    /// # Errors
    /// When the log cannot be read: what calls used lately is not known then.
    pub(super) async fn start(state: &AppState) -> Result<Self, ledger::Error> {
        state.app.used.begin(&state.app).await?;
        let calls = Arc::new(ProxiedCalls {
            state: state.clone(),
            ledger: state.app.ledger.clone(),
            pending: Mutex::default(),
            is_full: Notify::new(),
        });
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::clone(&calls).write(stop.clone()));
        let stop = stop.drop_guard();
        Ok(Self { calls, stop, task })
    }

    pub(super) fn calls(&self) -> Arc<ProxiedCalls> {
        Arc::clone(&self.calls)
    }

    /// Writes what is left. No call is open any more.
    pub(super) async fn close(self) {
        drop(self.stop);
        if self.task.await.is_err() {
            tracing::error!("the task that records calls has failed");
        }
    }
}

impl ProxiedCalls {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn write(self: Arc<Self>, stop: CancellationToken) {
        let mut ticks = tokio::time::interval(PATIENCE);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let is_last = tokio::select! {
                () = stop.cancelled() => true,
                _ = ticks.tick() => false,
                () = self.is_full.notified() => false,
            };
            let written = self.write_ended().await && self.write_used(is_last).await;
            if is_last {
                if !written {
                    tracing::error!("the ends of some calls were not recorded");
                }
                return;
            }
        }
    }

    /// Writes the ends that wait, batch by batch. `false` when the ledger takes none now.
    async fn write_ended(&self) -> bool {
        loop {
            let batch: Vec<CallEnded> = {
                let mut pending = self.pending();
                let count = pending.ended.len().min(BATCH);
                pending.ended.drain(..count).collect()
            };
            if batch.is_empty() {
                return true;
            }
            let ended = EndCalls {
                ended: batch.clone(),
            };
            match self.ledger.execute(Origin::system(COMPONENT), ended).await {
                Ok(()) => {}
                Err(error @ (ledger::Error::Rejected(_) | ledger::Error::Defect { .. })) => {
                    not_recorded(batch.len());
                    tracing::error!(error = with_sources(&error), "ends of calls are refused");
                }
                Err(error) => {
                    tracing::warn!(error = with_sources(&error), "ends of calls wait");
                    let mut pending = self.pending();
                    for ended in batch.into_iter().rev() {
                        pending.ended.push_front(ended);
                    }
                    return false;
                }
            }
        }
    }

    /// Writes what was used whose time is over, or all of it.
    async fn write_used(&self, is_last: bool) -> bool {
        let ended = self.ended_tasks().await;
        let now = self.ledger.now();
        let due: Vec<(Place, Sum)> = {
            let mut pending = self.pending();
            let is_due = |place: &Place, sum: &mut Sum| {
                let is_over = place.1.is_some_and(|task| ended.contains(&task));
                is_last || is_over || now.since(sum.from) >= PERIOD
            };
            pending.sums.extract_if(is_due).collect()
        };
        if due.is_empty() {
            return true;
        }
        let used = due.iter().map(|((owner, task_id, model), sum)| UsageSum {
            owner: *owner,
            task_id: *task_id,
            model: model.clone(),
            from: sum.from,
            to: sum.to,
            counts: sum.counts,
        });
        let used = RecordUsage {
            used: used.collect(),
        };
        let Err(error) = self.ledger.execute(Origin::system(COMPONENT), used).await else {
            for task in ended {
                self.state.app.used.forget(task);
            }
            return true;
        };
        tracing::warn!(error = with_sources(&error), "what calls used waits");
        let mut pending = self.pending();
        for (place, sum) in due {
            pending.add(place, sum);
        }
        false
    }
}

impl ProxiedCalls {
    /// Takes in what an answer used.
    pub(super) fn used(&self, owner: UpstreamKeyOwner, task_id: Option<TaskId>, usage: &Usage) {
        let mut pending = self.pending();
        tell(owner, usage);
        let now = self.ledger.now();
        let counts = counts(usage);
        let used = &self.state.app.used;
        used.take(owner, task_id, &usage.model, &counts, now);
        let sum = Sum {
            from: now,
            to: now,
            counts,
        };
        pending.add((owner, task_id, usage.model.clone()), sum);
    }

    /// The tasks that have ended, of those whose use is added up: nothing more of them comes.
    async fn ended_tasks(&self) -> HashSet<TaskId> {
        let tasks: HashSet<TaskId> = {
            let pending = self.pending();
            pending.sums.keys().filter_map(|place| place.1).collect()
        };
        let mut ended = HashSet::new();
        for task in tasks {
            let known = self.ledger.load::<Task>(task).await;
            // One that cannot be looked up is asked for again.
            if let Ok(known) = known
                && known.is_none_or(|task| task.closed_at.is_some())
            {
                ended.insert(task);
            }
        }
        ended
    }
}

impl Pending {
    fn add(&mut self, place: Place, sum: Sum) {
        match self.sums.get_mut(&place) {
            Some(known) => {
                known.from = known.from.min(sum.from);
                known.to = known.to.max(sum.to);
                known.counts = known.counts.plus(sum.counts);
            }
            None => _ = self.sums.insert(place, sum),
        }
    }
}

fn not_recorded(count: usize) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    metrics::counter!("proxy_calls_unrecorded_total").increment(count);
}

impl Records for ProxiedCalls {
    fn call_id(&self) -> CallId {
        let id = self.ledger.random().uuid_v7(self.ledger.now());
        CallId::from(StreamId::from_bytes(id))
    }

    fn begin(
        &self,
        call_id: CallId,
        subject: CallSubject,
        path: String,
        ruling: Option<CallRuling>,
    ) -> BoxFuture<'static, Result<(), Refusal>> {
        let ledger = self.ledger.clone();
        let begin = BeginCall {
            call_id,
            subject,
            path,
            ruling,
        };
        async move {
            let begun = ledger.execute(Origin::system(COMPONENT), begin).await;
            begun.map_err(|error| refusal(&error))
        }
        .boxed()
    }

    fn ended(&self, ended: CallEnded, usage: Option<Usage>) {
        if let Some(usage) = usage {
            self.used(ended.subject.owner, ended.subject.task_id, &usage);
        }
        let mut pending = self.pending();
        // What has begun is never left without its end for want of room: as many are open as may be.
        if pending.ended.len() >= MOST && !ended.is_begun {
            not_recorded(1);
            return;
        }
        pending.ended.push_back(ended);
        if pending.ended.len() >= BATCH {
            self.is_full.notify_one();
        }
    }
}

/// What a caller is told whose call cannot be recorded.
fn refusal(error: &ledger::Error) -> Refusal {
    let word = match error {
        ledger::Error::Rejected(Rejection::PolicyJustChanged) => return Refusal::ruled_anew(),
        ledger::Error::Rejected(Rejection::Locked { .. }) => Word::Locked,
        ledger::Error::Rejected(Rejection::DeniedBefore { .. }) => Word::Denied,
        ledger::Error::Rejected(Rejection::KeyRevoked | Rejection::SessionEnded) => {
            Word::Unauthorized
        }
        ledger::Error::Rejected(_) => Word::Forbidden,
        _ => {
            tracing::error!(error = with_sources(error), "a call cannot be recorded");
            return Refusal::new(
                Word::Internal,
                "the call could not be recorded, and was therefore not sent: try again",
            );
        }
    };
    let text = match error {
        ledger::Error::Rejected(rejection) => told_to_client(rejection),
        error => error.to_string(),
    };
    Refusal::new(word, text)
}

const fn counts(usage: &Usage) -> UsageCounts {
    UsageCounts {
        requests: 1,
        interrupted: if usage.is_interrupted { 1 } else { 0 },
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cache_creation_5m: usage.cache_creation_5m,
        cache_creation_1h: usage.cache_creation_1h,
        cache_read: usage.cache_read,
        web_searches: usage.web_searches,
    }
}

fn tell(owner: UpstreamKeyOwner, usage: &Usage) {
    let (agent, user) = match owner {
        UpstreamKeyOwner::Agent(id) => (Some(id.to_string()), None),
        UpstreamKeyOwner::User(id) => (None, Some(id.to_string())),
    };
    tracing::info!(
        target: "usage",
        {
            agent.id = agent,
            user.id = user,
            model = usage.model,
            interrupted = usage.is_interrupted,
            input_tokens = usage.input_tokens,
            output_tokens = usage.output_tokens,
            cache_creation_5m = usage.cache_creation_5m,
            cache_creation_1h = usage.cache_creation_1h,
            cache_read = usage.cache_read,
            web_searches = usage.web_searches,
        },
        "tokens were used"
    );
    for (kind, count) in [
        ("input", usage.input_tokens),
        ("output", usage.output_tokens),
        ("cache_creation_5m", usage.cache_creation_5m),
        ("cache_creation_1h", usage.cache_creation_1h),
        ("cache_read", usage.cache_read),
    ] {
        metrics::counter!("proxy_tokens_total", "kind" => kind).increment(count);
    }
}
