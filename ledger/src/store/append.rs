//! Appending a batch: constant multi-row statements inside one transaction of the caller.

use super::lookup::Lookups;
use super::tail::Head;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Recorded;
use crate::record::{Header, RecordHash, record_hash_of};
use crate::tlog::{TreeHash, leaf_hash};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Sqlite, SqliteConnection};
use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

/// An event that is ready to be written: header, salt and payload, and what follows from the header.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    pub(crate) recorded: Recorded,
    salt: [u8; 16],
    payload: Vec<u8>,
    record_hash: RecordHash,
    leaf: TreeHash,
}

impl Staged {
    pub(crate) fn new(recorded: Recorded, salt: [u8; 16], payload: Vec<u8>) -> Self {
        let header = recorded.header.encode();
        Self {
            recorded,
            salt,
            payload,
            record_hash: record_hash_of(&header),
            leaf: leaf_hash(&header),
        }
    }

    /// The hash that the next record names.
    pub(crate) const fn record_hash(&self) -> RecordHash {
        self.record_hash
    }

    /// The leaf of the tree.
    pub(crate) const fn leaf(&self) -> TreeHash {
        self.leaf
    }

    pub(crate) fn header(&self) -> &Header {
        &self.recorded.header
    }

    pub(crate) fn recorded_at(&self) -> Timestamp {
        self.recorded.header.recorded_at
    }
}

/// How many rows a statement has room for. Few sizes, so that each is prepared once and kept; each
/// statement is a hand-over to SQLite's thread, so one with empty places is cheaper than two.
const SIZES: [usize; 5] = [1, 4, 12, 32, 64];

/// One statement for many rows: `… (?,?),(?,?)…` for each size. The rows that fill it up are NULL
/// throughout, and the statement must pass over them.
pub(super) struct MultiRow {
    columns: usize,
    statements: [Arc<str>; 5],
}

/// Rows for one statement.
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
        let largest = SIZES.last().copied().unwrap_or(1);
        rows.chunks(largest)
            .filter_map(|rows| {
                let mut sizes = SIZES.iter().zip(&self.statements);
                let (size, sql) = sizes.find(|(size, _)| **size >= rows.len())?;
                Some(Chunk {
                    sql: Arc::clone(sql),
                    rows,
                    padding: (size - rows.len()) * self.columns,
                })
            })
            .collect()
    }
}

static INSERT_EVENTS: LazyLock<MultiRow> = LazyLock::new(|| {
    let columns = "position, event_id, stream_id, stream_version, event_type, schema_version, \
                   recorded_at, prev_hash, payload_len, payload_digest, record_hash";
    MultiRow::insert("events", columns, "")
});
static INSERT_PAYLOADS: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::insert("payloads", "position, salt, payload", ""));

/// Writes the events, what they add to the lookups, and the new head. The transaction is the
/// caller's: until it commits, nothing of this is visible or survives a crash.
pub(crate) async fn append(
    connection: &mut SqliteConnection,
    staged: &[Staged],
    lookups: &Lookups,
    head: &Head,
) -> Result<(), Error> {
    let failed = || Error::database("appending events");
    for chunk in INSERT_EVENTS.chunks(staged) {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(Arc::clone(&chunk.sql)));
        for row in chunk.rows {
            let header = row.header();
            query = query
                .bind(signed(header.position))
                .bind(header.event_id.as_bytes().as_slice())
                .bind(header.stream_id.as_bytes().as_slice())
                .bind(signed(header.stream_version))
                .bind(i64::from(header.event_type))
                .bind(i64::from(header.schema_version))
                .bind(header.recorded_at.as_micros())
                .bind(header.prev_hash.as_bytes().as_slice())
                .bind(i64::from(header.payload_len))
                .bind(header.payload_digest.as_bytes().as_slice())
                .bind(row.record_hash.as_bytes().as_slice());
        }
        chunk
            .filled(query)
            .execute(&mut *connection)
            .await
            .map_err(failed())?;
    }
    for chunk in INSERT_PAYLOADS.chunks(staged) {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(Arc::clone(&chunk.sql)));
        for row in chunk.rows {
            query = query
                .bind(signed(row.header().position))
                .bind(row.salt.as_slice())
                .bind(row.payload.as_slice());
        }
        chunk
            .filled(query)
            .execute(&mut *connection)
            .await
            .map_err(failed())?;
    }
    lookups.write(connection).await?;
    head.write(connection).await
}

/// Positions and sizes are below 2^63 for as long as anybody will write to a ledger.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
