//! The feed: what changes, batch by batch, for everybody who watches. One task follows the log while
//! anybody does, so that the writer wakes one, however many there are, and none when nobody watches.

mod change;

pub use change::{Change, Kind, Reader};

use change::{Topics, changes, concerns_identities};
use ledger::{Error, Ledger, Role};
use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Who is further behind, in events, has to read the lists again.
pub const MOST_BEHIND: u64 = 10_000;

/// The least time between two batches. What is recorded meanwhile comes together.
const PACE: Duration = Duration::from_millis(25);

/// How many events are read at a time.
const EVENTS: u32 = 2000;

/// The wait after the log could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// The changes between two sizes of the ledger.
#[derive(Debug)]
pub struct Batch {
    from: u64,
    /// The ledger's size behind it.
    pub size: u64,
    /// An identity may have been taken away in it, or a part of what it may do.
    pub concerns_identities: bool,
    changes: BTreeSet<Change>,
    /// One for each role, as whoever watches with it is told.
    texts: [OnceLock<Arc<str>>; 3],
}

impl Batch {
    async fn read(
        ledger: &Ledger,
        topics: &mut Topics,
        from: u64,
        until: u64,
    ) -> Result<Self, Error> {
        let mut batch = Self {
            from,
            size: from,
            concerns_identities: false,
            changes: BTreeSet::new(),
            texts: [const { OnceLock::new() }; 3],
        };
        while batch.size < until {
            let left = u32::try_from(until - batch.size).unwrap_or(u32::MAX);
            let events = ledger.events_from(batch.size, left.min(EVENTS)).await?;
            let Some(last) = events.last() else {
                break;
            };
            batch.size = last.position().saturating_add(1);
            batch
                .changes
                .extend(changes(ledger, topics, &events).await?);
            batch.concerns_identities |= events.iter().any(|event| concerns_identities(event));
        }
        Ok(batch)
    }

    /// What of it an identity may read.
    pub fn read_by(&self, reader: Reader) -> impl Iterator<Item = &Change> {
        self.changes
            .iter()
            .filter(move |change| reader.reads(change))
    }

    /// The text that tells an identity of it, made once for all who are told the same; `None` when there
    /// is nothing that it may read.
    pub fn text(
        &self,
        reader: Reader,
        make: impl FnOnce(Vec<&Change>) -> String,
    ) -> Option<Arc<str>> {
        let made = || Arc::from(make(self.read_by(reader).collect()));
        self.read_by(reader).next()?;
        let is_shared = !self.changes.iter().any(Change::is_personal);
        match reader {
            Reader::Role { role, .. } if is_shared => {
                let [viewer, operator, admin] = &self.texts;
                let text = match role {
                    Role::Viewer => viewer,
                    Role::Operator => operator,
                    Role::Admin => admin,
                };
                Some(Arc::clone(text.get_or_init(made)))
            }
            Reader::Role { .. } | Reader::Task(_) => Some(made()),
        }
    }
}

/// Follows the log for those who watch. Clones are one.
#[derive(Clone)]
pub struct Feed(Arc<Shared>);

struct Shared {
    ledger: Ledger,
    /// The size up to which there are batches.
    reached: watch::Sender<u64>,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// The newest ones, without a gap, up to what is reached.
    batches: VecDeque<Arc<Batch>>,
    watching: usize,
    /// Ends the task that follows.
    stop: CancellationToken,
}

impl Feed {
    #[must_use]
    pub fn new(ledger: Ledger) -> Self {
        Self(Arc::new(Shared {
            ledger,
            reached: watch::Sender::new(0),
            inner: Mutex::default(),
        }))
    }

    /// Watches from a size of the ledger on.
    #[must_use]
    pub fn watch(&self, from: u64) -> Watching {
        let mut inner = self.0.inner();
        inner.watching = inner.watching.saturating_add(1);
        if inner.watching == 1 {
            inner.batches.clear();
            inner.stop = CancellationToken::new();
            let size = self.0.ledger.size();
            let reached = *size.borrow();
            self.0.reached.send_replace(reached);
            let (shared, stop) = (Arc::clone(&self.0), inner.stop.clone());
            tokio::spawn(async move {
                let follow = shared.follow(size, reached, &stop);
                stop.run_until_cancelled(follow).await;
            });
        }
        Watching {
            shared: Arc::clone(&self.0),
            next: from,
            reached: self.0.reached.subscribe(),
        }
    }

    /// How many watch.
    #[must_use]
    pub fn watching(&self) -> usize {
        self.0.inner().watching
    }
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        // Each change is whole before anything can panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn follow(
        &self,
        mut size: watch::Receiver<u64>,
        mut reached: u64,
        stop: &CancellationToken,
    ) {
        let mut topics = Topics::default();
        loop {
            let head = *size.borrow_and_update();
            if head <= reached {
                if size.changed().await.is_err() {
                    return;
                }
                continue;
            }
            let begun = Instant::now();
            match Batch::read(&self.ledger, &mut topics, reached, head).await {
                Ok(batch) => {
                    reached = batch.size;
                    self.put(batch, stop);
                    tokio::time::sleep_until(begun + PACE).await;
                }
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        "reading what changed; those who watch wait"
                    );
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }

    fn put(&self, batch: Batch, stop: &CancellationToken) {
        let size = batch.size;
        let mut inner = self.inner();
        // The last one has gone, and another task may follow for the next.
        if stop.is_cancelled() {
            return;
        }
        inner.batches.push_back(Arc::new(batch));
        // A batch is kept while any of it is within what anybody may be behind.
        while inner
            .batches
            .front()
            .is_some_and(|oldest| size.saturating_sub(oldest.size) >= MOST_BEHIND)
        {
            inner.batches.pop_front();
        }
        self.reached.send_replace(size);
    }

    /// The batch in which that position is, or the size up to which none of the kept ones goes back.
    fn find(&self, position: u64, reached: u64) -> Result<Arc<Batch>, u64> {
        let inner = self.inner();
        let oldest = inner.batches.front();
        match oldest.filter(|oldest| oldest.from <= position) {
            Some(_) => {
                let after = inner
                    .batches
                    .partition_point(|batch| batch.size <= position);
                inner.batches.get(after).cloned().ok_or(reached)
            }
            None => Err(oldest.map_or(reached, |oldest| oldest.from)),
        }
    }
}

/// One who watches. Batches are kept for all together, so that a slow one holds nothing of its own.
pub struct Watching {
    shared: Arc<Shared>,
    next: u64,
    reached: watch::Receiver<u64>,
}

/// What comes next for one who watches.
#[derive(Debug)]
pub enum Step {
    Batch(Arc<Batch>),
    /// It is too far behind; it goes on from this size.
    TooFarBehind(u64),
}

impl Watching {
    /// The size up to which everything was given.
    #[must_use]
    pub const fn position(&self) -> u64 {
        self.next
    }

    /// What there is already; `None` when there is nothing new.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn ready(&mut self) -> Result<Option<Step>, Error> {
        let reached = *self.reached.borrow_and_update();
        if self.next >= reached {
            return Ok(None);
        }
        if reached.saturating_sub(self.next) > MOST_BEHIND {
            self.next = reached;
            return Ok(Some(Step::TooFarBehind(reached)));
        }
        let batch = match self.shared.find(self.next, reached) {
            Ok(batch) => batch,
            Err(until) => {
                let mut topics = Topics::default();
                let ledger = &self.shared.ledger;
                Arc::new(Batch::read(ledger, &mut topics, self.next, until).await?)
            }
        };
        self.next = batch.size;
        Ok(Some(Step::Batch(batch)))
    }

    /// Waits for what comes next. Nothing is lost when the wait is given up.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub async fn next(&mut self) -> Result<Step, Error> {
        loop {
            if let Some(step) = self.ready().await? {
                return Ok(step);
            }
            if self.reached.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let mut inner = self.shared.inner();
        inner.watching = inner.watching.saturating_sub(1);
        if inner.watching == 0 {
            inner.stop.cancel();
            inner.batches.clear();
        }
    }
}
