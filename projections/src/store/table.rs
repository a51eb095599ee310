//! The rows of one table that a batch of events concerns, in memory until the batch is written.

use super::column::{Binder, Columns, RowKey as _};
use super::multi_row::MultiRow;
use super::row::Row;
use crate::error::Error;
use lru::LruCache;
use sqlx::{AssertSqlSafe, SqliteConnection};

/// How many rows of a table are remembered from one batch to the next.
const REMEMBERED: usize = 4096;

struct Slot<R> {
    /// The row as it is now; `None` when there is none.
    row: Option<R>,
    /// It differs from what stands in the file.
    dirty: bool,
    /// A row with that key may stand in the file.
    stored: bool,
}

/// Changed rows of a table, and a bounded number of unchanged ones.
pub(crate) struct Table<R: Row> {
    slots: LruCache<R::Key, Slot<R>>,
    dirty: Vec<R::Key>,
}

impl<R: Row> Default for Table<R> {
    fn default() -> Self {
        Self {
            // Bounded after each flush: what is dirty must not be forgotten before.
            slots: LruCache::unbounded(),
            dirty: Vec::new(),
        }
    }
}

impl<R: Row> Table<R> {
    async fn load(&mut self, db: &mut SqliteConnection, key: &R::Key) -> Result<(), Error> {
        if self.slots.contains(key) {
            return Ok(());
        }
        let row = find::<R>(db, key).await?;
        let slot = Slot {
            stored: row.is_some(),
            row,
            dirty: false,
        };
        self.slots.put(key.clone(), slot);
        Ok(())
    }

    /// The row as of the events folded so far.
    pub(crate) async fn get(
        &mut self,
        db: &mut SqliteConnection,
        key: &R::Key,
    ) -> Result<Option<&R>, Error> {
        self.load(db, key).await?;
        Ok(self.slots.get(key).and_then(|slot| slot.row.as_ref()))
    }

    /// The row, to be changed.
    pub(crate) async fn edit(
        &mut self,
        db: &mut SqliteConnection,
        key: &R::Key,
    ) -> Result<Option<&mut R>, Error> {
        self.load(db, key).await?;
        let Some(slot) = self.slots.get_mut(key) else {
            return Ok(None);
        };
        let Some(row) = slot.row.as_mut() else {
            return Ok(None);
        };
        if !slot.dirty {
            slot.dirty = true;
            self.dirty.push(key.clone());
        }
        Ok(Some(row))
    }

    /// A row that is made by this event: none with its key stands in the file.
    pub(crate) fn insert(&mut self, row: R) {
        self.set(row.key(), Some(row), false);
    }

    /// A row whatever stood there before.
    pub(crate) fn put(&mut self, row: R) {
        self.set(row.key(), Some(row), true);
    }

    /// Takes a row away, if there is one.
    pub(crate) fn remove(&mut self, key: &R::Key) {
        self.set(key.clone(), None, true);
    }

    fn set(&mut self, key: R::Key, row: Option<R>, may_be_stored: bool) {
        match self.slots.get_mut(&key) {
            Some(slot) => {
                slot.row = row;
                if !slot.dirty {
                    slot.dirty = true;
                    self.dirty.push(key);
                }
            }
            None => {
                self.dirty.push(key.clone());
                let slot = Slot {
                    row,
                    dirty: true,
                    stored: may_be_stored,
                };
                self.slots.put(key, slot);
            }
        }
    }

    /// The changed rows that are not written yet.
    pub(crate) fn unwritten(&self) -> impl Iterator<Item = &R> {
        self.dirty
            .iter()
            .filter_map(|key| self.slots.peek(key)?.row.as_ref())
    }

    /// Writes what changed. The transaction is the caller's: when it does not commit, the table has
    /// to be dropped with everything in it.
    pub(crate) async fn flush(&mut self, db: &mut SqliteConnection) -> Result<(), Error> {
        let dirty = std::mem::take(&mut self.dirty);
        let mut changed = Vec::with_capacity(dirty.len());
        let mut gone = Vec::new();
        for key in &dirty {
            match self.slots.peek(key) {
                Some(Slot { row: Some(row), .. }) => changed.push(row),
                Some(Slot { stored: true, .. }) => gone.push(key),
                Some(_) | None => {}
            }
        }
        let statements = R::statements();
        put_rows(db, &statements.put, &changed).await?;
        for (sql, keys) in statements.delete.chunks(&gone) {
            let mut values = Binder::with_capacity(keys.len() * R::KEY.len());
            for key in keys {
                key.bind(&mut values);
            }
            execute(db, sql, values).await?;
        }
        for key in &dirty {
            if let Some(slot) = self.slots.peek_mut(key) {
                slot.dirty = false;
                slot.stored = slot.row.is_some();
            }
        }
        while self.slots.len() > REMEMBERED {
            self.slots.pop_lru();
        }
        Ok(())
    }
}

/// Reads one row.
pub(crate) async fn find<'c, R: Row>(
    db: impl sqlx::SqliteExecutor<'c>,
    key: &R::Key,
) -> Result<Option<R>, Error> {
    let mut values = Binder::with_capacity(R::KEY.len());
    key.bind(&mut values);
    let sql = AssertSqlSafe(std::sync::Arc::clone(&R::statements().find));
    sqlx::query_with(sql, values.into_arguments())
        .fetch_optional(db)
        .await
        .map_err(Error::database("reading a row"))?
        .map(|row| R::read(&Columns::new(&row, R::SPEC.name)))
        .transpose()
}

/// Writes rows that nobody reads back while folding.
pub(crate) async fn append_rows<R: Row>(
    db: &mut SqliteConnection,
    rows: &mut Vec<R>,
) -> Result<(), Error> {
    let all: Vec<&R> = rows.iter().collect();
    put_rows(db, &R::statements().put, &all).await?;
    rows.clear();
    Ok(())
}

async fn put_rows<R: Row>(
    db: &mut SqliteConnection,
    statement: &MultiRow,
    rows: &[&R],
) -> Result<(), Error> {
    for (sql, rows) in statement.chunks(rows) {
        let mut values = Binder::with_capacity(rows.len() * R::COLUMNS.len());
        for row in rows {
            row.bind(&mut values);
        }
        execute(db, sql, values).await?;
    }
    Ok(())
}

async fn execute(
    db: &mut SqliteConnection,
    sql: std::sync::Arc<str>,
    values: Binder,
) -> Result<(), Error> {
    sqlx::query_with(AssertSqlSafe(sql), values.into_arguments())
        .execute(db)
        .await
        .map_err(Error::database("writing rows"))?;
    Ok(())
}
