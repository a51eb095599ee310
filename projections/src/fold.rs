//! Folding one event: what a table's fold is given, and how it says that an event does not fit.

use crate::error::Error;
use crate::store::Stored;
use ledger::Recorded;
use std::fmt::Display;

/// The rows of one projection that the events of a batch concern.
pub(crate) trait Tables: Send {
    /// Takes over what the event says. After an error the rows in memory are to be forgotten.
    fn fold(&mut self, stored: Stored<'_>, recorded: &Recorded) -> Result<(), Error>;

    /// Writes what changed. When the caller's transaction does not commit, the rows in memory are to
    /// be forgotten.
    fn flush(&mut self, to: Stored<'_>) -> Result<(), Error>;

    /// How many rows are in memory.
    fn remembered(&self) -> usize;
}

/// One event on its way into the tables of a projection. A table's rows are changed by its own file
/// only; the others of the projection may look at them.
pub(crate) struct Folding<'a, T> {
    pub(crate) tables: &'a mut T,
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
