//! Appending a batch: everything that a commit adds, in one script.

use super::lookup::Lookups;
use super::script::{MultiRow, Script, Size};
use super::tail::Head;
use super::tree::{TreeRow, add_tree};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::Recorded;
use crate::record::{Header, RecordHash, record_hash_of};
use crate::tlog::{TreeHash, leaf_hash};
use sqlx::SqliteConnection;
use std::sync::LazyLock;

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

static INSERT_EVENTS: LazyLock<MultiRow> = LazyLock::new(|| {
    let columns = "position, event_id, stream_id, stream_version, event_type, schema_version, \
                   recorded_at, prev_hash, payload_len, payload_digest, record_hash";
    MultiRow::insert("events", columns, "")
});
static INSERT_PAYLOADS: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::insert("payloads", "position, salt, payload", ""));

/// What one commit adds to the file.
pub(crate) struct Addition<'a> {
    pub(crate) staged: &'a [Staged],
    pub(crate) lookups: &'a Lookups,
    /// The tree's rows for these events, where it has reached them.
    pub(crate) tree: &'a [TreeRow],
    /// The head behind them.
    pub(crate) head: &'a Head,
    /// Its MAC; `None` in a copy that the next start has to prove by a checkpoint.
    pub(crate) mac: Option<&'a [u8]>,
}

impl Addition<'_> {
    /// Adds what writes all of it.
    fn write(&self, script: &mut Script) {
        let lookups = self.lookups.rows_to_write();
        let size = Size::of(self.staged.len().max(lookups.most()));
        script.add_rows(&INSERT_EVENTS, size, self.staged, |script, row| {
            let header = row.header();
            script
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
        });
        script.add_rows(&INSERT_PAYLOADS, size, self.staged, |script, row| {
            script
                .bind(signed(row.header().position))
                .bind(row.salt.as_slice())
                .bind(row.payload.as_slice());
        });
        lookups.write(script, size);
        add_tree(script, size, self.tree);
        self.head.write(script, self.mac);
    }
}

/// Begins a transaction and writes the addition, in one hand-over. Until the caller commits, nothing
/// of this is visible or survives a crash. Gives the file's data version as of the transaction: where it
/// is not the one from before, somebody else has written, and the caller must not commit.
pub(crate) async fn begin_and_append(
    connection: &mut SqliteConnection,
    addition: &Addition<'_>,
) -> Result<i64, Error> {
    let mut script = Script::default();
    script.add("BEGIN IMMEDIATE");
    script.add("PRAGMA data_version");
    addition.write(&mut script);
    script.run_for_number(connection, "appending events").await
}

/// Writes the addition inside the caller's transaction.
pub(crate) async fn append(
    connection: &mut SqliteConnection,
    addition: &Addition<'_>,
) -> Result<(), Error> {
    let mut script = Script::default();
    addition.write(&mut script);
    script.run(connection, "appending events").await
}

/// Positions and sizes are below 2^63 for as long as anybody will write to a ledger.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
