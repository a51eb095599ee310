//! The handle on the read tables: how far they are, and what stands in them.

use crate::error::Error;
use crate::online::{OnlineReport, Request};
use crate::projection::Projection;
use crate::runner::{Progress, Runner};
use crate::store::{Column, Columns, Place, Row, connect_readers};
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqlitePool};
use std::fmt::{self, Display};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

/// Where the read tables are, and what they are folded from.
pub struct ProjectionOptions {
    /// `sqlite://path/to/file.db`; file and folder are made where they are missing.
    pub url: String,
    /// The ledger.
    pub ledger: ledger::Ledger,
}

/// How far the read tables are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// How many events the ledger holds.
    pub head: u64,
    /// Each projection.
    pub projections: Vec<ProjectionStatus>,
}

/// How far a projection is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectionStatus {
    /// Which.
    pub projection: Projection,
    /// How many events it holds: the next position to fold.
    pub cursor: u64,
    /// Where and why nothing is folded any more; `None` while folding goes on.
    pub stop: Option<Stop>,
}

/// What a projection does not go on from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The position that it stands before.
    pub position: u64,
    /// What is wrong with what stands there, or with the tables.
    pub why: String,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at position {}: {}", self.position, self.why)
    }
}

/// What waits for somebody, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depths {
    /// Applies that may run and have not ended.
    pub ready_applies: u64,
    /// Deliveries that are owed, due now or later.
    pub due_deliveries: u64,
    /// Approvals that nobody has decided.
    pub pending_approvals: u64,
    /// Deliveries that were given up.
    pub given_up_deliveries: u64,
    /// Applies whose outcome a person has to settle.
    pub unknown_applies: u64,
}

/// What the runner tells about a projection.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) cursor: watch::Sender<u64>,
    pub(crate) stop: watch::Sender<Option<Stop>>,
}

/// How far somebody waits for the tables: who reads does not wait for the runner's pace.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    size: AtomicU64,
    pub(crate) more: Notify,
}

impl Wanted {
    fn up_to(&self, size: u64) {
        self.size.fetch_max(size, Ordering::Relaxed);
        self.more.notify_one();
    }

    /// Whether somebody waits for the event at that position.
    pub(crate) fn includes(&self, position: u64) -> bool {
        self.size.load(Ordering::Relaxed) > position
    }
}

/// What the runner tells about all projections, in their order.
pub(crate) type ToldAll = [Told; Projection::ALL.len()];

/// The read tables, to be read. Clones share one pool of readers.
#[derive(Clone)]
pub struct Projections {
    readers: SqlitePool,
    told: Arc<ToldAll>,
    wanted: Arc<Wanted>,
    head: watch::Receiver<u64>,
    requests: mpsc::Sender<Request>,
}

impl Projections {
    /// Opens the read tables, making them where they are missing and emptying them where their
    /// definitions have changed; the [`Runner`] then folds what they lack.
    ///
    /// # Errors
    /// When the file is not ours, is the ledger's or is being folded into by another process, and
    /// when what it remembers of the ledger is not what the ledger holds.
    pub async fn open(options: ProjectionOptions) -> Result<(Self, Runner), Error> {
        let head = options.ledger.size();
        let (runner, path) = Runner::open(options).await?;
        let projections = Self {
            readers: connect_readers(&path).await?,
            told: runner.told(),
            wanted: runner.wanted(),
            requests: runner.requests(),
            head,
        };
        Ok((projections, runner))
    }

    fn told(&self, projection: Projection) -> &Told {
        // One for each, in the order of their declaration.
        let [agents, approvers, tasks, callbacks, timeline] = &*self.told;
        match projection {
            Projection::Agents => agents,
            Projection::Approvers => approvers,
            Projection::Tasks => tasks,
            Projection::Callbacks => callbacks,
            Projection::Timeline => timeline,
        }
    }

    /// A projection's cursor as a size, and its changes.
    #[must_use]
    pub fn progress(&self, of: Projection) -> watch::Receiver<u64> {
        self.told(of).cursor.subscribe()
    }

    /// Waits until the projections that are to be read hold everything that the ledger holds now, at
    /// most for `patience`. Others may lag or have stopped.
    ///
    /// # Errors
    /// [`Error::Lagging`] when that takes longer, [`Error::Stopped`] when it will not happen.
    pub async fn caught_up(&self, read: &[Projection], patience: Duration) -> Result<(), Error> {
        let head = *self.head.borrow();
        let deadline = Instant::now() + patience;
        for projection in read {
            self.reached(*projection, head, deadline).await?;
        }
        Ok(())
    }

    async fn reached(&self, of: Projection, head: u64, deadline: Instant) -> Result<(), Error> {
        let told = self.told(of);
        let mut cursor = told.cursor.subscribe();
        if *cursor.borrow_and_update() >= head {
            return Ok(());
        }
        self.wanted.up_to(head);
        let mut stop = told.stop.subscribe();
        tokio::select! {
            reached = cursor.wait_for(|cursor| *cursor >= head) => {
                reached.map(drop).map_err(|_| Error::Ended)
            }
            stopped = stop.wait_for(Option::is_some) => {
                let stop = stopped.ok().and_then(|stop| stop.clone());
                Err(stop.map_or(Error::Ended, |stop| Error::Stopped { projection: of, stop }))
            }
            () = tokio::time::sleep_until(deadline) => {
                let cursor = *told.cursor.borrow();
                Err(Error::Lagging {
                    projection: of,
                    behind: head.saturating_sub(cursor),
                })
            }
        }
    }

    /// How far the read tables are.
    #[must_use]
    pub fn status(&self) -> Status {
        let of = |projection| {
            let told = self.told(projection);
            ProjectionStatus {
                projection,
                cursor: *told.cursor.borrow(),
                stop: told.stop.borrow().clone(),
            }
        };
        // In this order no cursor is ahead of the head.
        let projections = Projection::ALL.map(of).to_vec();
        Status {
            head: *self.head.borrow(),
            projections,
        }
    }

    /// Sets the gauges `projections_lag_events` and `projections_stopped`. The runner does so
    /// whenever it wakes; this is for somebody who looks now and then, also when it has ended.
    pub fn measure(&self) {
        measure(&self.status());
    }

    /// Has the runner make these projections anew, all when none is named, beside the tables in use,
    /// which they then replace at once. Reads and folding go on. One that is under way comes first. Whoever asked may go away: the
    /// rebuild goes on then, and so do its log lines.
    ///
    /// # Errors
    /// What keeps it from ending well: then the old tables stay in use.
    pub async fn rebuild(
        &self,
        names: &[Projection],
        mut on_progress: impl FnMut(Progress),
    ) -> Result<OnlineReport, Error> {
        let (progress, mut told) = watch::channel(Progress { done: 0, total: 0 });
        let (reply, mut ended) = oneshot::channel();
        let mut names = match names {
            [] => Projection::ALL.to_vec(),
            names => names.to_vec(),
        };
        names.sort_unstable();
        names.dedup();
        let request = Request {
            names,
            progress,
            reply,
        };
        self.requests
            .send(request)
            .await
            .map_err(|_| Error::Ended)?;
        loop {
            tokio::select! {
                ended = &mut ended => return ended.map_err(|_| Error::Ended)?,
                Ok(()) = told.changed() => {
                    let progress = *told.borrow_and_update();
                    on_progress(progress);
                }
            }
        }
    }

    /// What waits for somebody.
    pub async fn depths(&self) -> Result<Depths, Error> {
        let failed = || Error::database("reading queue depths");
        let row = sqlx::query(
            "SELECT (SELECT count(*) FROM execution_queue),
                    (SELECT count(*) FROM deliveries WHERE state = 'owed'),
                    (SELECT count(*) FROM approvals
                     WHERE deadline IS NOT NULL AND state = 'pending'),
                    (SELECT count(*) FROM deliveries WHERE state = 'given_up'),
                    (SELECT count(*) FROM applies WHERE status = 'unknown')",
        )
        .fetch_one(&self.readers)
        .await
        .map_err(failed())?;
        let number = |index: usize| -> Result<u64, Error> {
            let number: i64 = row.try_get(index).map_err(failed())?;
            Ok(u64::try_from(number).unwrap_or(0))
        };
        Ok(Depths {
            ready_applies: number(0)?,
            due_deliveries: number(1)?,
            pending_approvals: number(2)?,
            given_up_deliveries: number(3)?,
            unknown_applies: number(4)?,
        })
    }

    pub(crate) const fn readers(&self) -> &SqlitePool {
        &self.readers
    }
}

/// Sets the gauges of each projection.
pub(crate) fn measure(status: &Status) {
    for one in &status.projections {
        let name = one.projection.as_str();
        let lag = status.head.saturating_sub(one.cursor);
        let lag = u32::try_from(lag).unwrap_or(u32::MAX);
        metrics::gauge!("projections_lag_events", "projection" => name).set(f64::from(lag));
        let stopped = f64::from(u8::from(one.stop.is_some()));
        metrics::gauge!("projections_stopped", "projection" => name).set(stopped);
    }
}

pub(crate) type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// Reads a row by a key of one column.
pub(crate) async fn read_one<R: Row>(readers: &SqlitePool, key: &R::Key) -> Result<Option<R>, Error>
where
    R::Key: Display,
{
    let find = &R::statements(Place::Live).find;
    let row = sqlx::query(AssertSqlSafe(find.as_str()))
        .bind(key.to_string())
        .fetch_optional(readers)
        .await
        .map_err(Error::database("reading a row"))?;
    row.map(|row| R::read(&Columns::new(&row, R::SPEC.name)))
        .transpose()
}

/// Reads whole rows.
pub(crate) async fn read_all<R: Row>(readers: &SqlitePool, query: Query) -> Result<Vec<R>, Error> {
    let rows = query
        .fetch_all(readers)
        .await
        .map_err(Error::database("reading rows"))?;
    rows.iter()
        .map(|row| R::read(&Columns::new(row, R::SPEC.name)))
        .collect()
}

/// Reads one column of some rows.
pub(crate) async fn read_ids<T: Column>(
    readers: &SqlitePool,
    query: Query,
    table: &'static str,
    column: &'static str,
) -> Result<Vec<T>, Error> {
    let rows = query
        .fetch_all(readers)
        .await
        .map_err(Error::database("reading ids"))?;
    rows.iter()
        .map(|row| Columns::new(row, table).get(column))
        .collect()
}
