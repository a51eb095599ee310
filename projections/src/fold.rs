//! Folding: one event at a time into rows in memory, a batch at a time into the file.
//!
//! Commit point: a batch's rows and the cursor are one SQLite transaction. A crash before it leaves
//! nothing of the batch, which is then folded again; a crash after it leaves all of it.

use crate::error::Error;
use crate::store::{State, Table, append_rows};
use crate::tables::{
    self, AgentRow, ApplyView, ApprovalView, ApproverRow, AttemptView, CallbackView,
    CredentialView, DeliveryView, PermissionView, QueueRow, TaskView, TimelineEntry, TokenRow,
};
use ledger::{ApplyId, ApprovalId, Recorded};
use lru::LruCache;
use sqlx::SqliteConnection;
use std::fmt::Display;
use std::num::NonZeroUsize;
use std::time::Instant;

/// Of how many approvals it is remembered which applies wait for them.
const REMEMBERED_APPROVALS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// The rows that the events of a batch concern. A table's rows are changed by its own file only;
/// the others may look at them.
pub(crate) struct Tables {
    pub(crate) agents: Table<AgentRow>,
    pub(crate) permissions: Table<PermissionView>,
    pub(crate) approvers: Table<ApproverRow>,
    pub(crate) credentials: Table<CredentialView>,
    pub(crate) tasks: Table<TaskView>,
    pub(crate) tokens: Table<TokenRow>,
    pub(crate) callbacks: Table<CallbackView>,
    pub(crate) approvals: Table<ApprovalView>,
    pub(crate) applies: Table<ApplyView>,
    pub(crate) queue: Table<QueueRow>,
    pub(crate) deliveries: Table<DeliveryView>,
    pub(crate) attempts: Table<AttemptView>,
    pub(crate) timeline: Vec<TimelineEntry>,
    /// Every apply that waits for an approval; complete for those that are here.
    pub(crate) waiting: LruCache<ApprovalId, Vec<ApplyId>>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            agents: Table::default(),
            permissions: Table::default(),
            approvers: Table::default(),
            credentials: Table::default(),
            tasks: Table::default(),
            tokens: Table::default(),
            callbacks: Table::default(),
            approvals: Table::default(),
            applies: Table::default(),
            queue: Table::default(),
            deliveries: Table::default(),
            attempts: Table::default(),
            timeline: Vec::new(),
            waiting: LruCache::new(REMEMBERED_APPROVALS),
        }
    }
}

impl Tables {
    async fn flush(&mut self, db: &mut SqliteConnection) -> Result<(), Error> {
        self.agents.flush(db).await?;
        self.permissions.flush(db).await?;
        self.approvers.flush(db).await?;
        self.credentials.flush(db).await?;
        self.tasks.flush(db).await?;
        self.tokens.flush(db).await?;
        self.callbacks.flush(db).await?;
        self.approvals.flush(db).await?;
        self.applies.flush(db).await?;
        self.queue.flush(db).await?;
        self.deliveries.flush(db).await?;
        self.attempts.flush(db).await?;
        append_rows(db, &mut self.timeline).await
    }
}

/// One event on its way into the tables.
pub(crate) struct Folding<'a> {
    pub(crate) tables: &'a mut Tables,
    pub(crate) db: &'a mut SqliteConnection,
    pub(crate) recorded: &'a Recorded,
}

/// The event concerns something that no event before it has made.
pub(crate) fn missing(recorded: &Recorded, what: &str, id: impl Display) -> Error {
    unfoldable(recorded, format!("{what} {id} is not known"))
}

/// The event contradicts the events before it.
pub(crate) fn unfoldable(recorded: &Recorded, why: String) -> Error {
    Error::Unfoldable {
        position: recorded.position(),
        event: recorded.event.name(),
        why,
    }
}

impl Folding<'_> {
    /// Each table in turn. A table is folded after those whose newest rows it looks at, and before
    /// those that look at its own as they were.
    async fn fold(&mut self) -> Result<(), Error> {
        tables::permissions::fold(self).await?;
        tables::agents::fold(self).await?;
        tables::approvers::fold(self).await?;
        tables::approver_credentials::fold(self).await?;
        tables::callbacks::fold(self).await?;
        tables::approvals::fold(self).await?;
        tables::applies::fold(self).await?;
        tables::execution_queue::fold(self).await?;
        tables::tasks::fold(self).await?;
        tables::capability_tokens::fold(self).await?;
        tables::deliveries::fold(self).await?;
        tables::delivery_attempts::fold(self).await?;
        tables::audit_timeline::fold(self).await
    }
}

/// The file, what of it is in memory, and how far it is.
pub(crate) struct Folder {
    pub(crate) db: SqliteConnection,
    pub(crate) state: State,
    tables: Tables,
}

impl Folder {
    pub(crate) fn new(db: SqliteConnection, state: State) -> Self {
        Self {
            db,
            state,
            tables: Tables::default(),
        }
    }

    /// Folds events that begin at the cursor, all in one transaction. After an error nothing or
    /// all of it is in the file, and the cursor is where the file says.
    pub(crate) async fn fold<'e>(
        &mut self,
        events: impl ExactSizeIterator<Item = &'e Recorded>,
    ) -> Result<(), Error> {
        let started = Instant::now();
        let count = u64::try_from(events.len()).unwrap_or(u64::MAX);
        let folded = self.fold_in_transaction(events).await;
        if folded.is_err() {
            // What is in memory speaks of a batch that is not in the file.
            self.tables = Tables::default();
            // When this fails too, the connection's next BEGIN says so.
            drop(sqlx::query("ROLLBACK").execute(&mut self.db).await);
            // A commit that was reported as failed may have happened all the same.
            if let Some(state) = State::read(&mut self.db).await {
                self.state = state;
            }
        } else {
            metrics::histogram!("projections_fold_seconds").record(started.elapsed().as_secs_f64());
            metrics::counter!("projections_events_total").increment(count);
        }
        folded
    }

    async fn fold_in_transaction<'e>(
        &mut self,
        events: impl Iterator<Item = &'e Recorded>,
    ) -> Result<(), Error> {
        let mut next = self.state.cursor;
        let mut last = None;
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut self.db)
            .await
            .map_err(Error::database("starting a batch"))?;
        for recorded in events {
            let mut folding = Folding {
                tables: &mut self.tables,
                db: &mut self.db,
                recorded,
            };
            if recorded.position() != next {
                let why = format!("position {next} was to come next");
                return Err(unfoldable(recorded, why));
            }
            folding.fold().await?;
            next = next.saturating_add(1);
            last = Some(recorded);
        }
        self.tables.flush(&mut self.db).await?;
        let mut state = self.state.clone();
        if let Some(last) = last {
            let hash = last.header.record_hash();
            state.advance(&mut self.db, next, hash).await?;
        }
        sqlx::query("COMMIT")
            .execute(&mut self.db)
            .await
            .map_err(Error::database("committing a batch"))?;
        self.state = state;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
