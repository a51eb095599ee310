//! Folding one event: what a table's fold is given, and how it says that an event does not fit.

use crate::error::Error;
use crate::store::{Row, Stored, Table};
use ledger::Recorded;
use std::fmt::Display;

/// The tables of one projection, with the rows in memory that the events of a batch concern.
pub(crate) trait Tables: Send {
    /// Takes over what the event says. After an error the rows in memory are to be forgotten.
    fn fold(&mut self, stored: Stored<'_>, recorded: &Recorded) -> Result<(), Error>;

    /// Writes what changed. When the caller's transaction does not commit, the rows in memory are to
    /// be forgotten.
    fn flush(&mut self, to: Stored<'_>) -> Result<(), Error>;

    /// How many rows are in memory.
    fn remembered(&self) -> usize;
}

/// A projection's tables that have this part: the rows of one table, or what is remembered about them.
pub(crate) trait Has<P> {
    fn part(&mut self) -> &mut P;
}

/// Names, as one trait, the parts that a table's fold looks at or changes.
macro_rules! parts {
    ($name:ident: $($part:ty),+) => {
        pub(crate) trait $name: $($crate::tables::fold::Has<$part> +)+ {}
        impl<T: $($crate::tables::fold::Has<$part> +)+> $name for T {}
    };
}
pub(crate) use parts;

/// One event on its way into the tables of a projection. A table's rows are changed by its own file
/// only; the others of the projection may look at them.
pub(crate) struct Folding<'a, T> {
    tables: &'a mut T,
    pub(crate) stored: Stored<'a>,
    pub(crate) recorded: &'a Recorded,
}

impl<'a, T> Folding<'a, T> {
    pub(crate) fn of(tables: &'a mut T, stored: Stored<'a>, recorded: &'a Recorded) -> Self {
        Self {
            tables,
            stored,
            recorded,
        }
    }

    pub(crate) fn part<P>(&mut self) -> &mut P
    where
        T: Has<P>,
    {
        self.tables.part()
    }

    /// The row as of the events folded so far.
    pub(crate) fn get<R: Row>(&mut self, key: &R::Key) -> Result<Option<&R>, Error>
    where
        T: Has<Table<R>>,
    {
        self.tables.part().get(self.stored, key)
    }

    /// The row, which an earlier event must have made.
    pub(crate) fn known<R: Row>(&mut self, what: &str, key: &R::Key) -> Result<&R, Error>
    where
        T: Has<Table<R>>,
        R::Key: Display,
    {
        let recorded = self.recorded;
        let row = self.get(key)?;
        row.ok_or_else(|| missing(recorded, what, key))
    }

    pub(crate) fn edit<R: Row>(&mut self, key: &R::Key) -> Result<Option<&mut R>, Error>
    where
        T: Has<Table<R>>,
    {
        self.tables.part().edit(self.stored, key)
    }

    /// The row to change, which an earlier event must have made.
    pub(crate) fn edit_known<R: Row>(&mut self, what: &str, key: &R::Key) -> Result<&mut R, Error>
    where
        T: Has<Table<R>>,
        R::Key: Display,
    {
        let recorded = self.recorded;
        let row = self.edit(key)?;
        row.ok_or_else(|| missing(recorded, what, key))
    }

    /// A row that is made by this event: none with its key stands in the file.
    pub(crate) fn insert<R: Row>(&mut self, row: R)
    where
        T: Has<Table<R>>,
    {
        self.tables.part().insert(row);
    }
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
