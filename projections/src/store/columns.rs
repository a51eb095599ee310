//! Values on their way into statements and out of rows. Rows are read by two hands: the fold's own
//! connection (rusqlite, in step with the fold) and the pool of readers (sqlx).

use crate::error::Error;
use rusqlite::Statement;
use rusqlite::types::ValueRef;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, ValueRef as _};
use std::fmt::{Display, Write as _};

/// Binds the values of a statement, one after the other.
pub(crate) struct Binder<'s, 'c> {
    statement: &'s mut Statement<'c>,
    /// The text of a value before it is bound.
    text: &'s mut String,
    bound: usize,
    failed: Option<rusqlite::Error>,
}

impl<'s, 'c> Binder<'s, 'c> {
    pub(crate) fn new(statement: &'s mut Statement<'c>, text: &'s mut String) -> Self {
        Self {
            statement,
            text,
            bound: 0,
            failed: None,
        }
    }

    fn bind(&mut self, value: impl rusqlite::ToSql) {
        self.bound += 1;
        if let Err(error) = self.statement.raw_bind_parameter(self.bound, value) {
            self.failed.get_or_insert(error);
        }
    }

    pub(crate) fn null(&mut self) {
        self.bind(rusqlite::types::Null);
    }

    pub(crate) fn integer(&mut self, number: i64) {
        self.bind(number);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bind(text);
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.bind(bytes);
    }

    /// As `Display` has it.
    pub(crate) fn shown(&mut self, value: &impl Display) {
        self.written(|text| {
            // Writing into memory does not fail.
            let _ = write!(text, "{value}");
        });
    }

    /// As JSON. Lists of plain fields always serialise; NOT NULL refuses the row otherwise.
    pub(crate) fn json(&mut self, value: &impl serde::Serialize) {
        match serde_json::to_string(value) {
            Ok(json) => self.bind(json),
            Err(_) => self.null(),
        }
    }

    pub(crate) fn written(&mut self, write: impl FnOnce(&mut String)) {
        let mut text = std::mem::take(self.text);
        text.clear();
        write(&mut text);
        self.bind(text.as_str());
        *self.text = text;
    }

    /// The value that could not be bound.
    pub(crate) fn done(self) -> Result<(), rusqlite::Error> {
        self.failed.map_or(Ok(()), Err)
    }
}

/// A row as it was read; knows its table, so that errors can say where.
pub(crate) struct Columns<'r> {
    row: AnyRow<'r>,
    table: &'static str,
}

enum AnyRow<'r> {
    Read(&'r SqliteRow),
    Folded(&'r rusqlite::Row<'r>),
}

impl<'r> Columns<'r> {
    pub(crate) const fn new(row: &'r SqliteRow, table: &'static str) -> Self {
        let row = AnyRow::Read(row);
        Self { row, table }
    }

    pub(crate) const fn folded(row: &'r rusqlite::Row<'r>, table: &'static str) -> Self {
        let row = AnyRow::Folded(row);
        Self { row, table }
    }

    pub(crate) fn damaged(&self, column: &'static str) -> Error {
        Error::Damaged {
            table: self.table,
            column,
        }
    }

    pub(crate) fn get<T: super::Column>(&self, column: &'static str) -> Result<T, Error> {
        T::read(self, column)
    }

    pub(crate) fn is_null(&self, column: &'static str) -> Result<bool, Error> {
        match self.row {
            AnyRow::Read(row) => row
                .try_get_raw(column)
                .map(|value| value.is_null())
                .map_err(|_| self.damaged(column)),
            AnyRow::Folded(_) => Ok(matches!(self.value(column)?, Some(ValueRef::Null))),
        }
    }

    pub(crate) fn text(&self, column: &'static str) -> Result<&'r str, Error> {
        let text = match self.row {
            AnyRow::Read(row) => row.try_get(column).ok(),
            AnyRow::Folded(_) => self.value(column)?.and_then(|value| value.as_str().ok()),
        };
        text.ok_or_else(|| self.damaged(column))
    }

    pub(crate) fn integer(&self, column: &'static str) -> Result<i64, Error> {
        let number = match self.row {
            AnyRow::Read(row) => row.try_get(column).ok(),
            AnyRow::Folded(_) => self.value(column)?.and_then(|value| value.as_i64().ok()),
        };
        number.ok_or_else(|| self.damaged(column))
    }

    pub(crate) fn bytes(&self, column: &'static str) -> Result<&'r [u8], Error> {
        let bytes = match self.row {
            AnyRow::Read(row) => row.try_get(column).ok(),
            AnyRow::Folded(_) => self.value(column)?.and_then(|value| value.as_blob().ok()),
        };
        bytes.ok_or_else(|| self.damaged(column))
    }

    fn value(&self, column: &'static str) -> Result<Option<ValueRef<'r>>, Error> {
        match self.row {
            AnyRow::Read(_) => Ok(None),
            AnyRow::Folded(row) => row
                .get_ref(column)
                .map(Some)
                .map_err(|_| self.damaged(column)),
        }
    }
}
