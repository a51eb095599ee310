//! Starting on a storage that was opened: nothing is decided, signed or answered before it is proven.

use super::{Ledger, QUEUE, WriterTask, policy_at};
use crate::admissions::Admissions;
use crate::aggregate::ApprovalState;
use crate::checkpoints::{Signer, SigningFrom};
use crate::clock::{Clock, Random, Timestamp};
use crate::counts::Counts;
use crate::denials::{Denial, Denials};
use crate::error::Error;
use crate::event::Recorded;
use crate::id::StreamId;
use crate::locks::Locks;
use crate::questions::{OpenQuestion, Questions, asked_from};
use crate::record::RecordHash;
use crate::rules::Rules;
use crate::schedules::Schedules;
use crate::statement::Decision;
use crate::storage::{BoxFuture, Head, Log, LookupKind, ReadError, Storage};
use crate::tlog::Frontier;
use crate::writer::{
    Cache, CommitFaults, Entry, Job, MOST_RECORDED, MOST_RECORDED_BYTES, RecentEvents, Room,
    Shared, State, Tree, Urgent, Usage, Watchers, Writer, describe, operations_of,
};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};

/// A ledger that is taken as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unprovable {
    /// The result of checking the head's MAC.
    pub why: String,
    pub size: u64,
    /// The hash of the last one, and so of all.
    pub record_hash: RecordHash,
}

/// A storage as it was opened. Whoever opened it has the right to write, and has compared its newest records
/// with the head.
pub struct Opened {
    pub storage: Box<dyn Storage>,
    pub log: Arc<dyn Log>,
    pub head: Head,
    /// The tree as far as it is stored.
    pub tree: Frontier,
    /// The rest of the comparison. Readers do not wait for it, commands do; where it fails, nothing is decided.
    pub check: Option<BoxFuture<'static, Result<(), ReadError>>>,
    /// True when something is to be cleaned after an erasure.
    pub is_to_clean: bool,
    /// The state that signing goes on from; `None`: nothing is signed.
    pub signing: Option<SigningFrom>,
    /// Where the ledger is taken as it is, and not proven.
    pub unprovable: Option<Unprovable>,
    /// The right to write: held for as long as anything may be written or signed.
    pub right: Box<dyn Send>,
}

/// The surroundings of decisions.
pub struct Surroundings {
    pub rules: Rules,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    /// Lets commits fail, in tests.
    pub faults: Option<Arc<dyn CommitFaults>>,
}

impl Ledger {
    /// Starts the writer. To be called on a runtime.
    ///
    /// # Errors
    /// When the newest event cannot be read. What a check that goes on finds ends the writer's task.
    pub async fn start(
        opened: Opened,
        surroundings: Surroundings,
    ) -> Result<(Self, WriterTask), ReadError> {
        let Opened {
            storage,
            log,
            head,
            tree,
            check,
            is_to_clean,
            signing,
            unprovable,
            right,
        } = opened;
        let tree = Tree::new(tree, head.size);
        let newest = newest_at(&*log, head.size).await?;
        let policy = policy_at(&*log, head.size).await?;
        let counts = Counts::read(&*log, head.size, policy.in_force.as_deref(), newest).await?;
        let shared = Arc::new(Shared {
            ledger_id: head.ledger_id,
            cache: Cache::new(head.size),
            recent: RecentEvents::default(),
            watchers: Watchers::default(),
            locks: watch::Sender::new(Arc::new(locks_at(&*log, head.size).await?)),
            policy: watch::Sender::new(Arc::new(policy)),
            admissions: watch::Sender::new(Arc::new(admissions_at(&*log, head.size).await?)),
            denials: watch::Sender::new(Arc::new(denials_at(&*log, head.size).await?)),
            counts: Mutex::new(counts),
            schedules: watch::Sender::new(Arc::new(schedules_at(&*log, head.size).await?)),
            size: watch::Sender::new(head.size),
            tree: watch::Sender::new(tree.whole().cloned()),
            is_clean: watch::Sender::new(!is_to_clean),
            failing: watch::Sender::new(None),
            damaged: AtomicBool::new(false),
            newest: AtomicI64::new(newest.as_micros()),
            sizes: Default::default(),
        });
        if check.is_some() {
            let text = "the whole file is still being checked, as at every start";
            shared.failing.send_replace(Some(text.to_owned()));
        }
        let rules = Arc::new(surroundings.rules);
        let usage = usage_at(&*log, head.size, &rules).await;
        let questions = questions_at(&*log, head.size).await?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let urgent = Urgent::default();
        let writer = Writer {
            urgent: urgent.queue(),
            storage,
            head,
            tree,
            shared: Arc::clone(&shared),
            clock: Arc::clone(&surroundings.clock),
            random: Arc::clone(&surroundings.random),
            rules: Arc::clone(&rules),
            faults: surroundings.faults,
            refusals: Default::default(),
            usage,
            questions,
            log: Arc::clone(&log),
            room: Room::of(Arc::clone(&log)),
            known: Default::default(),
            proven: Default::default(),
            newest,
            probe: Default::default(),
            clean_at: is_to_clean.then(Instant::now),
            cleaned_at: None,
        };
        let (signer, checkpoints) = signing.map(|from| Signer::new(from, &shared.tree)).unzip();
        let work = Work {
            writer,
            check,
            signer,
            shared: Arc::clone(&shared),
            _right: right,
        };
        let ledger = Self {
            jobs,
            urgent,
            shared,
            log,
            rules,
            clock: surroundings.clock,
            random: surroundings.random,
            checkpoints,
            unprovable,
        };
        Ok((ledger, tokio::spawn(work.run(queue))))
    }
}

/// What was recorded lately for each task and agent. Damage is found where it matters, and not to know
/// this is no reason not to start.
async fn usage_at(log: &dyn Log, size: u64, rules: &Rules) -> Usage {
    let recent = log
        .newest_events(size, MOST_RECORDED, MOST_RECORDED_BYTES)
        .await;
    match recent {
        Ok(recent) => Usage::of_recorded(&recent, &rules.quotas),
        Err(error) => {
            tracing::warn!(
                error = describe(&error),
                "what was recorded lately is not known"
            );
            Usage::default()
        }
    }
}

/// Every lock of the log. Without them nothing may be decided.
pub(super) async fn locks_at(log: &dyn Log, size: u64) -> Result<Locks, ReadError> {
    let mut locks = Locks::default();
    for (key, value) in log.all_lookups(LookupKind::Lock).await? {
        let stream = StreamId::from_slice(&value).ok_or_else(|| key.misleads())?;
        let entry = Entry::fold(&log.stream(stream, size).await?);
        match entry.state {
            State::Lock(lock) if State::Lock(Arc::clone(&lock)).answers_to(&key) => locks.put(lock),
            _ => return Err(key.misleads()),
        }
    }
    Ok(locks)
}

/// The questions that wait for a decision. Those whose time is over go when the writer first looks.
async fn questions_at(log: &dyn Log, size: u64) -> Result<Questions, ReadError> {
    let mut questions = Questions::default();
    for stream in log.all_open_streams().await? {
        let State::Approval(asked) = Entry::fold(&log.stream(stream, size).await?).state else {
            continue;
        };
        if asked.state != ApprovalState::Pending {
            continue;
        }
        let Some(about) = asked.apply() else { continue };
        let apply = Entry::fold(&log.stream(about.apply_id.into(), size).await?);
        let State::Apply(apply) = apply.state else {
            continue;
        };
        let question = OpenQuestion {
            agent: about.agent.clone(),
            operations: operations_of(&apply),
            address: asked_from(apply.evaluation.as_deref()),
            expires_at: asked.expires_at,
        };
        questions.take(asked.id, Some(question));
    }
    Ok(questions)
}

/// Every block and allow of the log that was not lifted. Without them nothing may be decided.
async fn admissions_at(log: &dyn Log, size: u64) -> Result<Admissions, ReadError> {
    let mut admissions = Admissions::default();
    for (key, value) in log.all_lookups(LookupKind::Admission).await? {
        let stream = StreamId::from_slice(&value).ok_or_else(|| key.misleads())?;
        let entry = Entry::fold(&log.stream(stream, size).await?);
        match entry.state {
            State::Admission(one) if State::Admission(Arc::clone(&one)).answers_to(&key) => {
                admissions.put(one);
            }
            _ => return Err(key.misleads()),
        }
    }
    Ok(admissions)
}

/// Every kept denial of the log that nobody has ended, but those of which an erasure took the operations: they have ended
/// with that.
async fn denials_at(log: &dyn Log, size: u64) -> Result<Denials, ReadError> {
    let mut denials = Denials::default();
    for (key, value) in log.all_lookups(LookupKind::Clearance).await? {
        let stream = StreamId::from_slice(&value).ok_or_else(|| key.misleads())?;
        let clearance = match Entry::fold(&log.stream(stream, size).await?).state {
            State::Clearance(one) if State::Clearance(Arc::clone(&one)).answers_to(&key) => one,
            _ => return Err(key.misleads()),
        };
        if clearance.decision != Decision::Deny || clearance.ended.is_some() {
            continue;
        }
        let asked = Entry::fold(&log.stream(clearance.approval_id.into(), size).await?);
        let State::Approval(asked) = asked.state else {
            continue;
        };
        let Some(about) = asked.apply() else { continue };
        let apply = Entry::fold(&log.stream(about.apply_id.into(), size).await?);
        let State::Apply(apply) = apply.state else {
            continue;
        };
        match Denial::of(clearance, &apply) {
            Ok(denial) => denials.put(Arc::new(denial)),
            Err(_) => return Err(key.misleads()),
        }
    }
    Ok(denials)
}

/// The newest put of each schedule.
async fn schedules_at(log: &dyn Log, size: u64) -> Result<Schedules, ReadError> {
    let mut schedules = Schedules::default();
    for (key, value) in log.all_lookups(LookupKind::Schedule).await? {
        let stream = StreamId::from_slice(&value).ok_or_else(|| key.misleads())?;
        let entry = Entry::fold(&log.stream(stream, size).await?);
        match entry.state {
            State::Schedule(one) if State::Schedule(Arc::clone(&one)).answers_to(&key) => {
                schedules.put(one);
            }
            _ => return Err(key.misleads()),
        }
    }
    Ok(schedules)
}

async fn newest_at(log: &dyn Log, size: u64) -> Result<Timestamp, ReadError> {
    let last = log.events_from(size.saturating_sub(1), 1).await?;
    Ok(last
        .first()
        .map_or(Timestamp::default(), Recorded::recorded_at))
}

/// The work of the writer's task.
struct Work {
    writer: Writer,
    check: Option<BoxFuture<'static, Result<(), ReadError>>>,
    signer: Option<Signer>,
    shared: Arc<Shared>,
    _right: Box<dyn Send>,
}

impl Work {
    async fn run(mut self, queue: mpsc::Receiver<Box<dyn Job>>) -> Result<(), Error> {
        if let Some(check) = self.check.take() {
            check.await.inspect_err(|error| {
                self.shared
                    .damaged
                    .store(error.is_damage(), Ordering::Relaxed);
                tracing::error!(
                    error = describe(error),
                    "the ledger is not what was written"
                );
            })?;
            self.shared.failing.send_replace(None);
        }
        let Some(signer) = self.signer else {
            return self.writer.run(queue).await;
        };
        let (end, ended) = oneshot::channel();
        let signing = tokio::spawn(signer.run(ended));
        let written = self.writer.run(queue).await;
        // What was written last is signed before the right goes.
        let told = end.send(written.is_ok());
        if told.is_err() || signing.await.is_err() {
            tracing::error!("the last checkpoint was not signed");
        }
        written
    }
}
