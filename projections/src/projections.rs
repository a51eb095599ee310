//! The handle on the read tables: how far they are, and what stands in them.

use crate::error::Error;
use crate::runner::Runner;
use crate::store::{Column, Columns, Row, RowKey, connect_readers, find};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Row as _, Sqlite, SqlitePool};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

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
    /// How many events they hold: the next position to fold.
    pub cursor: u64,
    /// How many events the ledger holds.
    pub head: u64,
    /// Why nothing is folded any more; `None` while folding goes on.
    pub stopped: Option<String>,
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

/// What the runner tells.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) cursor: watch::Sender<u64>,
    pub(crate) stopped: watch::Sender<Option<String>>,
}

/// The read tables, to be read. Clones share one pool of readers.
#[derive(Clone)]
pub struct Projections {
    readers: SqlitePool,
    told: Arc<Told>,
    head: watch::Receiver<u64>,
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
            head,
        };
        Ok((projections, runner))
    }

    /// The cursor as a size, and its changes.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<u64> {
        self.told.cursor.subscribe()
    }

    /// Waits until everything is folded that the ledger holds now, at most for `patience`.
    ///
    /// # Errors
    /// [`Error::Lagging`] when that takes longer, [`Error::Stopped`] when it will not happen.
    pub async fn caught_up(&self, patience: Duration) -> Result<(), Error> {
        let head = *self.head.borrow();
        let mut cursor = self.told.cursor.subscribe();
        if *cursor.borrow_and_update() >= head {
            return Ok(());
        }
        let mut stopped = self.told.stopped.subscribe();
        tokio::select! {
            reached = cursor.wait_for(|cursor| *cursor >= head) => match reached {
                Ok(_) => Ok(()),
                Err(_) => Err(Error::Stopped { why: "the runner is gone".to_owned() }),
            },
            why = stopped.wait_for(Option::is_some) => Err(Error::Stopped {
                why: why.ok().and_then(|why| why.clone()).unwrap_or_default(),
            }),
            () = tokio::time::sleep(patience) => {
                let cursor = *self.told.cursor.borrow();
                Err(Error::Lagging { behind: head.saturating_sub(cursor) })
            }
        }
    }

    /// How far the read tables are.
    #[must_use]
    pub fn status(&self) -> Status {
        // In this order the cursor is never ahead of the head.
        let cursor = *self.told.cursor.borrow();
        Status {
            cursor,
            head: *self.head.borrow(),
            stopped: self.told.stopped.borrow().clone(),
        }
    }

    /// Sets the gauge `projections_lag_events`. The runner does so whenever it wakes; this is for
    /// somebody who looks now and then, also when the runner has stopped.
    pub fn measure_lag(&self) {
        let status = self.status();
        set_lag(status.head.saturating_sub(status.cursor));
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

pub(crate) fn set_lag(events: u64) {
    let events = u32::try_from(events).unwrap_or(u32::MAX);
    metrics::gauge!("projections_lag_events").set(f64::from(events));
}

pub(crate) type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

/// Reads a row by its key.
pub(crate) async fn read_one<R: Row>(readers: &SqlitePool, key: &R::Key) -> Result<Option<R>, Error>
where
    R::Key: RowKey,
{
    find(readers, key).await
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
