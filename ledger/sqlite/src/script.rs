//! Statements for many rows, and many statements in one hand-over to SQLite's thread.

use crate::failure::database;
use ledger::storage::ReadError;
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments as _, Encode, Row as _, Sqlite, SqliteConnection, Type};
use std::fmt::Write as _;
use std::sync::Arc;

/// How many rows a statement has room for. Few sizes, so that each is prepared once and kept; each
/// statement is a hand-over to SQLite's thread, so one with empty places is cheaper than two.
const SIZES: [usize; 5] = [1, 4, 12, 32, 64];

/// One statement for many rows: `… (?,?),(?,?)…` for each size. The rows that fill it up are NULL
/// throughout, and the statement must pass over them.
pub(super) struct MultiRow {
    columns: usize,
    statements: [Arc<str>; 5],
}

pub(super) struct Chunk<'r, T> {
    pub(super) sql: Arc<str>,
    pub(super) rows: &'r [T],
    /// How many NULLs to bind behind the rows.
    padding: usize,
}

pub(super) type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

impl<T> Chunk<'_, T> {
    /// Binds what fills the statement up; to be called when the rows have been bound.
    pub(super) fn filled<'q>(&self, query: Query<'q>) -> Query<'q> {
        (0..self.padding).fold(query, |query, _| query.bind(None::<i64>))
    }
}

impl MultiRow {
    /// `head` opens the list of rows with `VALUES`, `tail` closes it.
    pub(super) fn new(head: &str, columns: usize, tail: &str) -> Self {
        let statements = SIZES.map(|rows| {
            let row = format!("({})", vec!["?"; columns].join(","));
            let mut sql = String::from(head);
            let _ = write!(sql, " {}{tail}", vec![row; rows].join(","));
            Arc::from(sql)
        });
        Self {
            columns,
            statements,
        }
    }

    /// Puts rows into a table. `columns` names them, the first of which is never NULL.
    pub(super) fn insert(table: &str, columns: &str, conflict: &str) -> Self {
        let count = columns.split(',').count();
        let head = format!("INSERT INTO {table} ({columns}) SELECT * FROM (VALUES");
        Self::new(
            &head,
            count,
            &format!(") WHERE column1 IS NOT NULL{conflict}"),
        )
    }

    /// Splits the rows into chunks, each with the smallest statement that has room for it.
    pub(super) fn chunks<'r, T>(&self, rows: &'r [T]) -> Vec<Chunk<'r, T>> {
        self.chunks_for(Size::of(rows.len()), rows)
    }

    /// Splits the rows into chunks, each with a statement of that size or of the smallest that has
    /// room for it.
    fn chunks_for<'r, T>(&self, size: Size, rows: &'r [T]) -> Vec<Chunk<'r, T>> {
        let largest = SIZES.last().copied().unwrap_or(1);
        rows.chunks(largest)
            .filter_map(|rows| {
                let mut sizes = SIZES.iter().zip(&self.statements);
                let (size, sql) =
                    sizes.find(|(room, _)| **room >= size.0 && **room >= rows.len())?;
                Some(Chunk {
                    sql: Arc::clone(sql),
                    rows,
                    padding: (size - rows.len()) * self.columns,
                })
            })
            .collect()
    }
}

/// For how many rows the statements of a script have room, so that few scripts are different.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Size(usize);

impl Size {
    /// The smallest that has room for so many rows, or the largest that there is.
    pub(super) fn of(rows: usize) -> Self {
        let largest = SIZES.last().copied().unwrap_or(1);
        let fitting = SIZES.into_iter().find(|size| *size >= rows);
        Self(fitting.unwrap_or(largest))
    }
}

/// Statements that are executed one after another in one hand-over. SQLite stops at the first that
/// fails.
#[derive(Default)]
pub(super) struct Script {
    sql: String,
    arguments: SqliteArguments,
    /// The value that could not be bound.
    failed: Option<sqlx::error::BoxDynError>,
}

impl Script {
    /// Adds a statement; what it takes is bound behind it.
    pub(super) fn add(&mut self, sql: &str) {
        self.sql.push_str(sql);
        self.sql.push_str(";\n");
    }

    pub(super) fn bind<'t, T: Encode<'t, Sqlite> + Type<Sqlite>>(&mut self, value: T) -> &mut Self {
        if let Err(error) = self.arguments.add(value) {
            self.failed = Some(error);
        }
        self
    }

    /// Adds a statement for each chunk of the rows; `bind` binds the columns of one.
    pub(super) fn add_rows<T>(
        &mut self,
        statement: &MultiRow,
        size: Size,
        rows: &[T],
        bind: impl Fn(&mut Self, &T),
    ) {
        for chunk in statement.chunks_for(size, rows) {
            self.add(&chunk.sql);
            for row in chunk.rows {
                bind(self, row);
            }
            for _ in 0..chunk.padding {
                self.bind(None::<i64>);
            }
        }
    }

    /// Executes everything that was added, and gives the number that one statement of it asks for.
    pub(super) async fn run_for_number(
        self,
        connection: &mut SqliteConnection,
        doing: &'static str,
    ) -> Result<i64, ReadError> {
        let failed = || database(doing);
        if let Some(error) = self.failed {
            return Err(failed()(sqlx::Error::Encode(error)));
        }
        let rows = sqlx::query_with(sqlx::AssertSqlSafe(self.sql), self.arguments)
            .fetch_all(connection)
            .await
            .map_err(failed())?;
        let row = rows
            .first()
            .ok_or(sqlx::Error::RowNotFound)
            .map_err(failed())?;
        row.try_get(0).map_err(failed())
    }

    pub(super) async fn run(
        self,
        connection: &mut SqliteConnection,
        doing: &'static str,
    ) -> Result<(), ReadError> {
        let failed = database(doing);
        if let Some(error) = self.failed {
            return Err(failed(sqlx::Error::Encode(error)));
        }
        sqlx::query_with(sqlx::AssertSqlSafe(self.sql), self.arguments)
            .execute(connection)
            .await
            .map(drop)
            .map_err(failed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_has_a_place_whatever_the_size() {
        let statement = MultiRow::insert("t", "a, b", "");
        for count in [0, 1, 3, 4, 5, 64, 65, 200] {
            let rows: Vec<usize> = (0..count).collect();
            for size in [0, 1, 12, 40, 64, 1000].map(Size::of) {
                let chunks = statement.chunks_for(size, &rows);
                let found: Vec<usize> = chunks.iter().flat_map(|c| c.rows).copied().collect();
                assert_eq!(found, rows);
                for chunk in chunks {
                    let places = chunk.sql.matches('?').count();
                    assert_eq!(places, 2 * chunk.rows.len() + chunk.padding);
                }
            }
        }
    }
}
