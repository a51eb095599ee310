//! The single writer: takes waiting commands, lets each decide, and commits them together.
//!
//! Commit point: a batch's events, lookups and head are one commit of the storage. Answers leave after
//! it; a crash before it leaves nothing of the batch, a crash after it leaves all of it and callers
//! who ask again find it.

mod cleaning;
mod commit;
mod fill;
mod job;
mod known;
mod probe;
mod proven;
mod recent;
mod refusals;
mod room;
mod state;
mod transaction;
mod urgent;
mod usage;
mod watchers;

pub(crate) use fill::Tree;
pub(crate) use job::{BatchEnd, Job, TypedJob};
pub(crate) use known::KnownKeys;
pub(crate) use proven::ProvenKeys;
pub(crate) use recent::RecentEvents;
pub(crate) use room::Room;
pub use state::Stored;
pub(crate) use state::{Cache, Entry, Found, State, existing};
pub use transaction::{Context, Transaction};
pub(crate) use transaction::{Erasing, erased_names, operations_of};
pub(crate) use urgent::{Urgent, UrgentQueue};
pub(crate) use usage::{MOST_RECORDED, MOST_RECORDED_BYTES, Usage};
pub(crate) use watchers::Watchers;

use crate::admissions::Admissions;
use crate::clock::{Clock, Random, Timestamp};
use crate::counts::Counts;
use crate::denials::Denials;
use crate::error::Error;
use crate::event::{Event, FailuresCounted, RefusalsCounted};
use crate::id::{LedgerId, StreamId};
use crate::locks::Locks;
use crate::policy::CurrentPolicy;
use crate::questions::Questions;
use crate::rules::Rules;
use crate::schedules::Schedules;
use crate::storage::{Decided, Head, Log, Storage, StorageError};
use crate::tlog::Frontier;
use commit::{Commit, Committed};
use refusals::{Ended, Refusals, Refused};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, watch};
use transaction::Batch;

/// The most commands that share one commit.
const MAX_BATCH: usize = 256;
/// How long a count of refusals waits for a command to be recorded with.
const MINUTE: Duration = Duration::from_secs(60);

/// A place in the commit at which a test can let it fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitPoint {
    /// Before anything of the batch is staged.
    Write,
    /// Before it is committed.
    Commit,
    /// After it was.
    Committed,
}

/// Lets commits fail; for tests of the failure contract.
pub trait CommitFaults: Send + Sync + 'static {
    /// An error here is taken as if the storage had reported it at that point.
    fn strike(&self, point: CommitPoint) -> Option<StorageError>;
}

/// What the writer and the readers of its work share. All of it is local to this process: a start makes it
/// anew from the storage.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ledger_id: LedgerId,
    pub(crate) cache: Cache,
    pub(crate) recent: RecentEvents,
    pub(crate) watchers: Watchers,
    /// The committed locks.
    pub(crate) locks: watch::Sender<Arc<Locks>>,
    /// The committed policy.
    pub(crate) policy: watch::Sender<Arc<CurrentPolicy>>,
    /// The committed blocks and allows.
    pub(crate) admissions: watch::Sender<Arc<Admissions>>,
    /// The committed denials that are kept.
    pub(crate) denials: watch::Sender<Arc<Denials>>,
    /// What agents did lately, while the policy reads it.
    pub(crate) counts: Mutex<Option<Counts>>,
    /// The committed schedules.
    pub(crate) schedules: watch::Sender<Arc<Schedules>>,
    /// The log's size as of the last commit.
    pub(crate) size: watch::Sender<u64>,
    /// The tree over the whole log as of the last commit; `None` while it is still being filled.
    pub(crate) tree: watch::Sender<Option<Frontier>>,
    /// True when the files hold nothing of what was erased.
    pub(crate) is_clean: watch::Sender<bool>,
    /// Why the last commit failed, while nothing has been committed since.
    pub(crate) failing: watch::Sender<Option<String>>,
    /// True once something was read that is not what was written.
    pub(crate) damaged: std::sync::atomic::AtomicBool,
    /// `recorded_at` of the newest event, in microseconds.
    pub(crate) newest: std::sync::atomic::AtomicI64,
    /// How much the writer keeps for itself, as of its last batch.
    pub(crate) sizes: Sizes,
}

impl Shared {
    /// What agents did lately, while the policy reads it.
    pub(crate) fn counts(&self) -> MutexGuard<'_, Option<Counts>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Sizes of what only the writer reaches.
#[derive(Debug, Default)]
pub(crate) struct Sizes {
    pub(crate) keys: std::sync::atomic::AtomicUsize,
    pub(crate) refused_tasks: std::sync::atomic::AtomicUsize,
    pub(crate) charged_tasks: std::sync::atomic::AtomicUsize,
}

/// The writer's own belongings.
pub(crate) struct Writer {
    pub(crate) storage: Box<dyn Storage>,
    pub(crate) head: Head,
    /// As far as it is stored; behind the head only in a log that an earlier version wrote.
    pub(crate) tree: Tree,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) faults: Option<Arc<dyn CommitFaults>>,
    pub(crate) refusals: Refusals,
    pub(crate) usage: Usage,
    /// The questions that wait for a decision.
    pub(crate) questions: Questions,
    /// For what is read when the policy begins to ask for it.
    pub(crate) log: Arc<dyn Log>,
    pub(crate) room: Room,
    pub(crate) known: KnownKeys,
    pub(crate) proven: ProvenKeys,
    pub(crate) newest: Timestamp,
    /// When what an erasure has left is to be cleaned.
    pub(crate) clean_at: Option<Instant>,
    /// When it was last.
    pub(crate) cleaned_at: Option<Instant>,
    pub(crate) probe: probe::Probe,
    pub(crate) urgent: UrgentQueue,
}

impl Writer {
    /// Serves commands until all senders are gone (then the log is complete) or writing cannot go
    /// on, which is the error.
    pub(crate) async fn run(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) -> Result<(), Error> {
        let mut waiting: Vec<Box<dyn Job>> = Vec::with_capacity(MAX_BATCH);
        // What the run before had left.
        self.clean_some().await?;
        while self.receive(&mut jobs, &mut waiting).await {
            self.urgent.take_into(&mut waiting);
            self.serve_all(&mut waiting).await?;
            self.tell_sizes();
            self.fill_some().await?;
            self.clean_some().await?;
            self.probe_some().await?;
        }
        self.urgent.take_into(&mut waiting);
        // The minute that is running ends with the process.
        let all = |refusals: &mut Refusals, _| refusals.take_all();
        self.serve_or_stop(&mut waiting, all).await?;
        self.clean_some().await?;
        if let Err(error) = self.storage.close().await {
            tracing::warn!(error = %error, "closing the ledger");
        }
        Ok(())
    }

    /// Serves what waits: as one batch, but for commands that want to be alone.
    async fn serve_all(&mut self, waiting: &mut Vec<Box<dyn Job>>) -> Result<(), Error> {
        loop {
            let alone = waiting.iter().position(|job| job.is_alone());
            let mut rest = match alone {
                Some(0) => waiting.split_off(1),
                Some(first) => waiting.split_off(first),
                None => Vec::new(),
            };
            if alone == Some(0) {
                self.serve_or_stop(waiting, |_, _| Vec::new()).await?;
            } else {
                let ended = |refusals: &mut Refusals, now| refusals.take_ended(now);
                self.serve_or_stop(waiting, ended).await?;
            }
            if rest.is_empty() {
                return Ok(());
            }
            waiting.append(&mut rest);
        }
    }

    fn tell_sizes(&self) {
        let order = std::sync::atomic::Ordering::Relaxed;
        let sizes = &self.shared.sizes;
        sizes.keys.store(self.known.count(), order);
        sizes.refused_tasks.store(self.refusals.count(), order);
        sizes.charged_tasks.store(self.usage.count(), order);
    }

    /// Waits for commands, or for the end of a minute whose refusals were counted; `false` when all
    /// senders are gone.
    async fn receive(
        &mut self,
        jobs: &mut mpsc::Receiver<Box<dyn Job>>,
        waiting: &mut Vec<Box<dyn Job>>,
    ) -> bool {
        let received = jobs.recv_many(waiting, MAX_BATCH);
        if self.tree.is_filling() {
            // Commands come first, and the tree grows between them.
            return tokio::select! {
                biased;
                received = received => received > 0,
                () = std::future::ready(()) => true,
            };
        }
        let minute = self.refusals.is_counting() || self.tree.is_paused();
        let minute = minute.then_some(MINUTE);
        let dues = [self.clean_in(), self.probe.due_in(), minute];
        let Some(patience) = dues.into_iter().flatten().min() else {
            return received.await > 0;
        };
        match tokio::time::timeout(patience, received).await {
            Ok(received) => received > 0,
            Err(_) => true,
        }
    }

    async fn serve_or_stop(
        &mut self,
        waiting: &mut Vec<Box<dyn Job>>,
        ended: impl FnOnce(&mut Refusals, Timestamp) -> Vec<Ended>,
    ) -> Result<(), Error> {
        self.serve(waiting, ended).await.inspect_err(|error| {
            tracing::error!(
                error = describe(error),
                "the ledger cannot be written any more"
            );
        })
    }

    /// One batch: decide, commit, publish, answer.
    async fn serve(
        &mut self,
        waiting: &mut Vec<Box<dyn Job>>,
        ended: impl FnOnce(&mut Refusals, Timestamp) -> Vec<Ended>,
    ) -> Result<(), Error> {
        let now = self.clock.now().max(self.newest);
        let mut batch = Batch::default();
        // Before anything is decided, so that a new minute begins with a count of its own.
        let ended = ended(&mut self.refusals, now);
        self.count_refusals(&mut batch, ended, now);
        let keys = waiting.iter().flat_map(|job| job.looks_up()).collect();
        if let Err(error) = self.known.prefetch(keys, &mut *self.storage).await {
            // Each command meets the error itself, where it matters to it.
            tracing::warn!(error = describe(&error), "looking up keys");
        }
        let floor = self.rules.quotas.min_free_bytes;
        let is_short_of_room = self.room.is_below(floor);
        self.questions.end(now);
        let locks = Arc::clone(&self.shared.locks.borrow());
        let policy = Arc::clone(&self.shared.policy.borrow());
        let admissions = Arc::clone(&self.shared.admissions.borrow());
        let denials = Arc::clone(&self.shared.denials.borrow());
        let is_counting = self.shared.counts().is_some();
        let counts = is_counting.then_some(&self.shared.counts);
        let schedules = Arc::clone(&self.shared.schedules.borrow());
        for job in waiting.iter_mut() {
            let mut tx = Transaction {
                storage: &mut *self.storage,
                size: self.head.size,
                cache: &self.shared.cache,
                known: &mut self.known,
                proven: &mut self.proven,
                batch: &batch,
                own: Batch::default(),
                locks: &locks,
                questions: &self.questions,
                policy: &policy,
                admissions: &admissions,
                denials: &denials,
                counts,
                schedules: &schedules,
                envelope: job.envelope(),
                context: Context {
                    now,
                    ledger_id: self.shared.ledger_id,
                    random: &*self.random,
                    rules: &self.rules,
                },
                refusals: &mut self.refusals,
                usage: &mut self.usage,
                is_short_of_room,
                is_user_proven: false,
            };
            // A command that fails leaves nothing behind in its batch.
            if job.decide(&mut tx).await {
                let decided = tx.into_decided();
                batch.absorb(decided);
            }
        }
        if batch.events.is_empty() {
            self.refusals.keep();
            for job in waiting.drain(..) {
                job.answer(BatchEnd::Recorded);
            }
            return Ok(());
        }
        let commands = waiting.len();
        let (commit, committed) = self.commit(batch, now, commands).await;
        match commit {
            Commit::Done => {
                self.shared
                    .failing
                    .send_if_modified(|failing| failing.take().is_some());
                self.probe.end();
                let is_other_policy = committed.batch.policy.is_some();
                self.publish(committed);
                if is_other_policy {
                    self.count_anew().await;
                }
                self.refusals.keep();
                for job in waiting.drain(..) {
                    job.answer(BatchEnd::Recorded);
                }
                Ok(())
            }
            Commit::Lost(error) => {
                tracing::error!(error = describe(&error), commands, "a commit was lost");
                self.shared.failing.send_replace(Some(describe(&error)));
                self.probe.begin();
                self.refusals.undo();
                for job in waiting.drain(..) {
                    job.answer(BatchEnd::NotRecorded);
                }
                Ok(())
            }
            Commit::Fatal(error) => {
                self.shared.failing.send_replace(Some(describe(&error)));
                for job in waiting.drain(..) {
                    job.answer(BatchEnd::Stopped);
                }
                Err(error)
            }
        }
    }

    fn count_refusals(&self, batch: &mut Batch, ended: Vec<Ended>, now: Timestamp) {
        for Ended {
            refused,
            minute,
            count,
        } in ended
        {
            let stream = StreamId::from_bytes(self.random.uuid_v7(now));
            let event: Event = match refused {
                Refused::Task(task_id) => RefusalsCounted {
                    task_id,
                    minute,
                    count,
                }
                .into(),
                // Nothing of the rest is recorded.
                Refused::Writes(_) => continue,
                Refused::Logins => FailuresCounted {
                    from: Timestamp::from_seconds(minute),
                    until: Timestamp::from_seconds(minute).plus(MINUTE),
                    count,
                }
                .into(),
            };
            let decided = Decided::own(stream, event, &*self.random, now);
            batch.events.push(decided);
        }
    }

    /// Counts what the policy in force reads, and nothing else.
    async fn count_anew(&mut self) {
        let policy = Arc::clone(&self.shared.policy.borrow());
        let policy = policy.in_force.as_deref();
        let is_enough = |counts: &Counts| policy.is_some_and(|it| counts.is_enough_for(it));
        if self.shared.counts().as_ref().is_some_and(is_enough) {
            return;
        }
        let read = Counts::read(&*self.log, self.head.size, policy, self.newest).await;
        *self.shared.counts() = read.unwrap_or_else(|error| {
            tracing::warn!(
                error = describe(&error),
                "what agents did lately is not known"
            );
            Some(Counts::from(self.newest))
        });
    }

    /// From here on the batch is visible: states first, then the size, then whoever waits.
    fn publish(&mut self, committed: Committed) {
        let Committed {
            batch,
            staged,
            head,
            tree,
        } = committed;
        for event in &staged {
            let entry = batch.changed.get(&event.header().stream_id);
            self.usage
                .take_in(&event.recorded, entry, &self.rules.quotas);
        }
        self.shared.cache.moves_to(head.size, &batch.lookups);
        for (stream, entry) in batch.changed {
            self.shared.cache.put(stream, entry);
        }
        if let Some(erasing) = batch.erasing {
            self.shared.cache.forget_erased(&erasing.streams);
            self.shared.recent.clear();
            self.cleans_after(erasing.may_wait);
            self.shared.is_clean.send_replace(false);
        }
        if !batch.locks.is_empty() {
            self.shared.locks.send_modify(|locks| {
                let locks = Arc::make_mut(locks);
                for lock in batch.locks {
                    locks.put(lock);
                }
            });
        }
        for (id, question) in batch.questions.into_newest() {
            self.questions.take(id, question);
        }
        if let Some(policy) = batch.policy {
            self.shared.policy.send_replace(policy);
        }
        if !batch.admissions.is_empty() {
            self.shared.admissions.send_modify(|admissions| {
                let admissions = Arc::make_mut(admissions);
                for admission in batch.admissions {
                    admissions.put(admission);
                }
            });
        }
        if !batch.denials.is_empty() {
            self.shared.denials.send_modify(|denials| {
                let denials = Arc::make_mut(denials);
                for denial in batch.denials {
                    denials.put(denial);
                }
            });
        }
        if !batch.schedules.is_empty() {
            self.shared.schedules.send_modify(|schedules| {
                let schedules = Arc::make_mut(schedules);
                for schedule in batch.schedules {
                    schedules.put(schedule);
                }
            });
        }
        self.known.learn(batch.lookups);
        self.newest = staged
            .last()
            .map_or(self.newest, |last| last.header().recorded_at);
        if let Some(counts) = self.shared.counts().as_mut() {
            for (agent, share) in batch.counted {
                counts.take_all(&agent, share, self.newest);
            }
        }
        self.shared.newest.store(
            self.newest.as_micros(),
            std::sync::atomic::Ordering::Release,
        );
        let streams: Vec<StreamId> = staged
            .iter()
            .map(|event| event.header().stream_id)
            .collect();
        self.shared
            .recent
            .push(staged.into_iter().map(|event| Arc::new(event.recorded)));
        self.head = head;
        self.tree.put(tree, self.head.size);
        self.shared.tree.send_replace(self.tree.whole().cloned());
        self.shared.size.send_replace(self.head.size);
        for stream in streams {
            self.shared.watchers.wake(stream);
        }
    }
}

/// The error and what is behind it: a log in JSON would show the error alone.
pub(crate) fn describe(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
