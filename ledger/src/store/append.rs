//! Appending a batch: constant multi-row statements inside one transaction of the caller.

use super::lookup::Lookups;
use super::tail::Head;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Recorded;
use crate::record::{Header, RecordHash, record_hash_of};
use crate::tlog::{TreeHash, leaf_hash};
use sqlx::SqliteConnection;
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

/// How many rows one statement takes at most.
pub(super) const LARGEST_CHUNK: usize = 64;
/// How many rows one statement takes. Few sizes, so that each is prepared once and kept.
const CHUNKS: [usize; 3] = [LARGEST_CHUNK, 8, 1];

/// `INSERT INTO t VALUES (?,?),(?,?)…` for each chunk size.
pub(super) struct MultiRow([Arc<str>; 3]);

impl MultiRow {
    pub(super) fn new(head: &str, columns: usize, tail: &str) -> Self {
        Self(CHUNKS.map(|rows| {
            let row = format!("({})", vec!["?"; columns].join(","));
            let mut sql = String::from(head);
            let _ = write!(sql, " {}{tail}", vec![row; rows].join(","));
            Arc::from(sql)
        }))
    }

    /// Splits the rows into chunks and gives the statement for each.
    pub(super) fn chunks<'r, T>(&self, mut rows: &'r [T]) -> Vec<(Arc<str>, &'r [T])> {
        let mut out = Vec::new();
        while !rows.is_empty() {
            let fitting = CHUNKS
                .iter()
                .zip(&self.0)
                .find(|(size, _)| **size <= rows.len());
            let Some((size, sql)) = fitting else { break };
            let (chunk, rest) = rows.split_at(*size);
            out.push((Arc::clone(sql), chunk));
            rows = rest;
        }
        out
    }
}

static INSERT_EVENTS: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("INSERT INTO events VALUES", 11, ""));
static INSERT_PAYLOADS: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::new("INSERT INTO payloads VALUES", 3, ""));

/// Writes the events, what they add to the lookups, and the new head. The transaction is the
/// caller's: until it commits, nothing of this is visible or survives a crash.
pub(crate) async fn append(
    connection: &mut SqliteConnection,
    staged: &[Staged],
    lookups: &Lookups,
    head: &Head,
) -> Result<(), Error> {
    let failed = || Error::database("appending events");
    for (sql, rows) in INSERT_EVENTS.chunks(staged) {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for row in rows {
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
        query.execute(&mut *connection).await.map_err(failed())?;
    }
    for (sql, rows) in INSERT_PAYLOADS.chunks(staged) {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(sql));
        for row in rows {
            query = query
                .bind(signed(row.header().position))
                .bind(row.salt.as_slice())
                .bind(row.payload.as_slice());
        }
        query.execute(&mut *connection).await.map_err(failed())?;
    }
    lookups.write(connection).await?;
    head.write(connection).await
}

/// Positions and sizes are below 2^63 for as long as anybody will write to a ledger.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
