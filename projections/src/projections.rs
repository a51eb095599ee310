//! The handle on the read tables: their progress, their rows, and a request to rebuild them.

use crate::error::Error;
use crate::progress::{
    Demand, Progress, ProgressSender, ProgressSenders, ProjectionStatus, RebuildReport,
    RebuildRequest, Status, measure,
};
use crate::projection::Projection;
use crate::store::{Column, Columns, Row, TableSet};
use sqlx::sqlite::SqliteArguments;
use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqlitePool};
use std::fmt::Display;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// The lengths of queues, for metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Depths {
    /// Applies that may run and have not ended.
    pub ready_applies: u64,
    /// Deliveries that are owed, due now or later.
    pub due_deliveries: u64,
    /// Approvals that nobody has decided.
    pub pending_approvals: u64,
    pub given_up_deliveries: u64,
    /// Applies whose outcome a person has to settle.
    pub unknown_applies: u64,
}

impl Depths {
    /// The members by their places in a row of [`DEPTHS`].
    pub(crate) fn of_row<E>(number: impl Fn(usize) -> Result<i64, E>) -> Result<Self, E> {
        let count = |at| Ok(u64::try_from(number(at)?).unwrap_or(0));
        Ok(Self {
            ready_applies: count(0)?,
            due_deliveries: count(1)?,
            pending_approvals: count(2)?,
            given_up_deliveries: count(3)?,
            unknown_applies: count(4)?,
        })
    }
}

/// Reads [`Depths`]: a row with its members, in their order.
pub(crate) const DEPTHS: &str = "\
    SELECT (SELECT count(*) FROM execution_queue),
           (SELECT count(*) FROM deliveries WHERE state = 'owed'),
           (SELECT count(*) FROM approvals
            WHERE deadline IS NOT NULL AND state = 'pending'),
           (SELECT count(*) FROM deliveries WHERE state = 'given_up'),
           (SELECT count(*) FROM applies WHERE status = 'unknown')";

/// The read tables for queries. Clones share one pool of readers.
#[derive(Clone)]
pub struct Projections {
    readers: SqlitePool,
    progress: Arc<ProgressSenders>,
    demand: Arc<Demand>,
    head: watch::Receiver<u64>,
    requests: mpsc::Sender<RebuildRequest>,
    rebuilds: Arc<Mutex<Vec<watch::Receiver<Progress>>>>,
}

impl Projections {
    pub(crate) fn new(
        readers: SqlitePool,
        progress: Arc<ProgressSenders>,
        demand: Arc<Demand>,
        head: watch::Receiver<u64>,
        requests: mpsc::Sender<RebuildRequest>,
    ) -> Self {
        Self {
            readers,
            progress,
            demand,
            head,
            requests,
            rebuilds: Arc::default(),
        }
    }

    fn sender(&self, projection: Projection) -> &ProgressSender {
        // One for each, in the order of their declaration.
        let [agents, approvers, tasks, callbacks, timeline] = &*self.progress;
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
        self.sender(of).cursor.subscribe()
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
        let sender = self.sender(of);
        let mut cursor = sender.cursor.subscribe();
        if *cursor.borrow_and_update() >= head {
            return Ok(());
        }
        self.demand.raise_to(head);
        let mut stop = sender.stop.subscribe();
        tokio::select! {
            reached = cursor.wait_for(|cursor| *cursor >= head) => {
                reached.map(drop).map_err(|_| Error::Ended)
            }
            stopped = stop.wait_for(Option::is_some) => {
                let stop = stopped.ok().and_then(|stop| stop.clone());
                Err(stop.map_or(Error::Ended, |stop| Error::Stopped { projection: of, stop }))
            }
            () = tokio::time::sleep_until(deadline) => {
                let cursor = *sender.cursor.borrow();
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
            let sender = self.sender(projection);
            ProjectionStatus {
                projection,
                cursor: *sender.cursor.borrow(),
                stop: sender.stop.borrow().clone(),
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
    ) -> Result<RebuildReport, Error> {
        let (request, mut changed, mut ended) = RebuildRequest::of(names);
        self.rebuilds().push(changed.clone());
        self.requests
            .send(request)
            .await
            .map_err(|_| Error::Ended)?;
        loop {
            tokio::select! {
                ended = &mut ended => return ended.map_err(|_| Error::Ended)?,
                Ok(()) = changed.changed() => {
                    let progress = *changed.borrow_and_update();
                    on_progress(progress);
                }
            }
        }
    }

    /// As [`Self::rebuild`] for all projections, without waiting for its end, and unless one is under way; whether it
    /// has begun.
    ///
    /// # Errors
    /// [`Error::Ended`] when nothing is folded any more.
    pub fn begin_rebuild(&self) -> Result<bool, Error> {
        let mut rebuilds = self.rebuilds();
        if !rebuilds.is_empty() {
            return Ok(false);
        }
        let (request, changed, _) = RebuildRequest::of(&[]);
        match self.requests.try_send(request) {
            Ok(()) => {
                rebuilds.push(changed);
                Ok(true)
            }
            Err(TrySendError::Full(_)) => Ok(false),
            Err(TrySendError::Closed(_)) => Err(Error::Ended),
        }
    }

    /// How far the rebuild is that is under way.
    #[must_use]
    pub fn rebuilding(&self) -> Option<Progress> {
        self.rebuilds().first().map(|progress| *progress.borrow())
    }

    /// The rebuilds that have not ended, in the order in which they were asked for.
    fn rebuilds(&self) -> MutexGuard<'_, Vec<watch::Receiver<Progress>>> {
        let mut rebuilds = self.rebuilds.lock().unwrap_or_else(PoisonError::into_inner);
        // The end of one drops the sender of its progress.
        rebuilds.retain(|progress| progress.has_changed().is_ok());
        rebuilds
    }

    /// The lengths of queues.
    pub async fn depths(&self) -> Result<Depths, Error> {
        let failed = || Error::database("reading queue depths");
        let row = sqlx::query(DEPTHS)
            .fetch_one(&self.readers)
            .await
            .map_err(failed())?;
        Depths::of_row(|at| row.try_get(at).map_err(failed()))
    }

    pub(crate) const fn readers(&self) -> &SqlitePool {
        &self.readers
    }
}

pub(crate) type Query = sqlx::query::Query<'static, Sqlite, SqliteArguments>;

pub(crate) async fn read_one<R: Row>(readers: &SqlitePool, key: &R::Key) -> Result<Option<R>, Error>
where
    R::Key: Display,
{
    let find = &R::statements(TableSet::Live).find;
    let row = sqlx::query(AssertSqlSafe(find.as_str()))
        .bind(key.to_string())
        .fetch_optional(readers)
        .await
        .map_err(Error::database("reading a row"))?;
    row.map(|row| R::read(&Columns::new(&row, R::SPEC.name)))
        .transpose()
}

pub(crate) async fn read_all<R: Row>(readers: &SqlitePool, query: Query) -> Result<Vec<R>, Error> {
    let rows = query
        .fetch_all(readers)
        .await
        .map_err(Error::database("reading rows"))?;
    rows.iter()
        .map(|row| R::read(&Columns::new(row, R::SPEC.name)))
        .collect()
}

/// Ids as a parameter that a query reads with `json_each`.
pub(crate) fn as_list<T: Display>(ids: &[T]) -> String {
    let ids: Vec<String> = ids.iter().map(T::to_string).collect();
    serde_json::json!(ids).to_string()
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_rebuild_at_a_time_is_under_way_until_its_end() {
        let (requests, mut asked) = mpsc::channel(1);
        let (_head, size) = watch::channel(0);
        let progress = |_| ProgressSender {
            cursor: watch::Sender::new(0),
            stop: watch::Sender::new(None),
        };
        let projections = Projections::new(
            SqlitePool::connect_lazy("sqlite::memory:").unwrap(),
            Arc::new(std::array::from_fn(progress)),
            Arc::default(),
            size,
            requests,
        );
        let begin = || projections.begin_rebuild();
        assert_eq!(projections.rebuilding(), None);
        assert!(begin().unwrap());
        assert!(!begin().unwrap(), "while it waits");
        let request = asked.recv().await.unwrap();
        assert_eq!(request.names, Projection::ALL);
        assert!(!begin().unwrap(), "while it goes on");
        let progress = Progress { done: 3, total: 5 };
        request.progress.send_replace(progress);
        assert_eq!(projections.rebuilding(), Some(progress));
        drop(request);
        assert_eq!(projections.rebuilding(), None);
        assert!(begin().unwrap(), "after its end");
        // The runner ends, and what waited for it with it.
        drop(asked);
        assert!(matches!(begin(), Err(Error::Ended)));
    }
}
