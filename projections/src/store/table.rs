//! The rows of one table that a batch of events concerns, held in memory until the batch is written.

use super::column::RowKey as _;
use super::columns::{Binder, Columns};
use super::row::Row;
use super::state::TableSet;
use crate::error::Error;
use lru::LruCache;
use rusqlite::Connection;

/// The tables of a file, in one of its places, as a fold sees them.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'c> {
    pub(crate) db: &'c Connection,
    pub(crate) set: TableSet,
    /// How many rows of a table are remembered from one batch to the next.
    pub(crate) remembered: usize,
}

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
    fn load(&mut self, stored: Stored<'_>, key: &R::Key) -> Result<(), Error> {
        if self.slots.contains(key) {
            return Ok(());
        }
        let row = find::<R>(stored, key)?;
        let slot = Slot {
            stored: row.is_some(),
            row,
            dirty: false,
        };
        self.slots.put(key.clone(), slot);
        Ok(())
    }

    /// The row as of the events folded so far.
    pub(crate) fn get(&mut self, stored: Stored<'_>, key: &R::Key) -> Result<Option<&R>, Error> {
        self.load(stored, key)?;
        Ok(self.slots.get(key).and_then(|slot| slot.row.as_ref()))
    }

    pub(crate) fn edit(
        &mut self,
        stored: Stored<'_>,
        key: &R::Key,
    ) -> Result<Option<&mut R>, Error> {
        self.load(stored, key)?;
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

    /// How many rows are in memory.
    pub(crate) fn remembered(&self) -> usize {
        self.slots.len()
    }

    /// The changed rows that are not written yet.
    pub(crate) fn unwritten(&self) -> impl Iterator<Item = &R> {
        self.dirty
            .iter()
            .filter_map(|key| self.slots.peek(key)?.row.as_ref())
    }

    /// Writes what changed. The transaction is the caller's: when it does not commit, the table has
    /// to be dropped with everything in it.
    pub(crate) fn flush(&mut self, to: Stored<'_>) -> Result<(), Error> {
        let dirty = std::mem::take(&mut self.dirty);
        self.write(&dirty, to)
            .map_err(Error::sqlite("writing rows"))?;
        for key in &dirty {
            if let Some(slot) = self.slots.peek_mut(key) {
                slot.dirty = false;
                slot.stored = slot.row.is_some();
            }
        }
        while self.slots.len() > to.remembered {
            self.slots.pop_lru();
        }
        Ok(())
    }

    fn write(&self, dirty: &[R::Key], to: Stored<'_>) -> Result<(), rusqlite::Error> {
        if dirty.is_empty() {
            return Ok(());
        }
        let statements = R::statements(to.set);
        let mut put = to.db.prepare_cached(&statements.put)?;
        let mut delete = to.db.prepare_cached(&statements.delete)?;
        let mut text = String::new();
        for key in dirty {
            match self.slots.peek(key) {
                Some(Slot { row: Some(row), .. }) => {
                    let mut values = Binder::new(&mut put, &mut text);
                    row.bind(&mut values);
                    values.done()?;
                    put.raw_execute()?;
                }
                Some(Slot { stored: true, .. }) => {
                    let mut values = Binder::new(&mut delete, &mut text);
                    key.bind(&mut values);
                    values.done()?;
                    delete.raw_execute()?;
                }
                Some(_) | None => {}
            }
        }
        Ok(())
    }
}

fn find<R: Row>(from: Stored<'_>, key: &R::Key) -> Result<Option<R>, Error> {
    let failed = || Error::sqlite("reading a row");
    let statements = R::statements(from.set);
    let mut find = from.db.prepare_cached(&statements.find).map_err(failed())?;
    let mut text = String::new();
    let mut values = Binder::new(&mut find, &mut text);
    key.bind(&mut values);
    values.done().map_err(failed())?;
    let mut rows = find.raw_query();
    match rows.next().map_err(failed())? {
        Some(row) => R::read(&Columns::folded(row, R::SPEC.name)).map(Some),
        None => Ok(None),
    }
}

/// New rows of a table that nobody reads back while folding.
pub(crate) struct Appended<R>(Vec<R>);

impl<R> Default for Appended<R> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<R: Row> Appended<R> {
    pub(crate) fn push(&mut self, row: R) {
        self.0.push(row);
    }

    /// Writes the rows, under the same condition as [`Table::flush`].
    pub(crate) fn flush(&mut self, to: Stored<'_>) -> Result<(), Error> {
        let failed = || Error::sqlite("writing rows");
        let statements = R::statements(to.set);
        let mut put = to.db.prepare_cached(&statements.put).map_err(failed())?;
        let mut text = String::new();
        for row in self.0.drain(..) {
            let mut values = Binder::new(&mut put, &mut text);
            row.bind(&mut values);
            values.done().map_err(failed())?;
            put.raw_execute().map_err(failed())?;
        }
        Ok(())
    }

    /// None: they are forgotten once they are written.
    pub(crate) const fn remembered(&self) -> usize {
        0
    }
}
