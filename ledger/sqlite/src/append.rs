//! Appending a batch: everything that a commit adds, in one script.

use crate::lookup::LookupRows;
use crate::script::{MultiRow, Script, Size};
use crate::tail::FileHead;
use crate::tree::add_tree;
use ledger::storage::{Addition, ReadError, Staged};
use sqlx::SqliteConnection;
use std::sync::LazyLock;

static INSERT_EVENTS: LazyLock<MultiRow> = LazyLock::new(|| {
    let columns = "position, event_id, stream_id, stream_version, event_type, schema_version, \
                   recorded_at, prev_hash, payload_len, payload_digest, record_hash";
    MultiRow::insert("events", columns, "")
});
static INSERT_PAYLOADS: LazyLock<MultiRow> =
    LazyLock::new(|| MultiRow::insert("payloads", "position, salt, payload", ""));

/// The head that an addition leads to, as it is written.
#[derive(Clone, Copy)]
pub(super) struct HeadRow<'a> {
    pub(super) head: &'a FileHead,
    /// `None` in a copy that the next start has to prove by a checkpoint.
    pub(super) mac: Option<&'a [u8]>,
}

fn write(script: &mut Script, addition: &Addition<'_>, row: HeadRow<'_>) {
    let lookups = LookupRows::of(addition.lookups);
    let size = Size::of(addition.staged.len().max(lookups.most()));
    script.add_rows(
        &INSERT_EVENTS,
        size,
        addition.staged,
        |script, row: &Staged| {
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
        },
    );
    script.add_rows(&INSERT_PAYLOADS, size, addition.staged, |script, row| {
        script
            .bind(signed(row.header().position))
            .bind(row.salt.as_slice())
            .bind(row.payload.as_slice());
    });
    lookups.write(script, size);
    add_tree(script, size, addition.tree);
    row.head.write(script, row.mac);
}

/// Begins a transaction and writes the addition, in one hand-over. Until the caller commits, nothing
/// of this is visible or survives a crash. Gives the file's data version as of the transaction: where it
/// is not the one from before, somebody else has written, and the caller must not commit.
pub(super) async fn begin_and_append(
    connection: &mut SqliteConnection,
    addition: &Addition<'_>,
    head: HeadRow<'_>,
) -> Result<i64, ReadError> {
    let mut script = Script::default();
    script.add("BEGIN IMMEDIATE");
    script.add("PRAGMA data_version");
    write(&mut script, addition, head);
    script.run_for_number(connection, "appending events").await
}

/// Writes the addition inside the caller's transaction.
pub(super) async fn append(
    connection: &mut SqliteConnection,
    addition: &Addition<'_>,
    head: HeadRow<'_>,
) -> Result<(), ReadError> {
    let mut script = Script::default();
    write(&mut script, addition, head);
    script.run(connection, "appending events").await
}

/// Positions and sizes are below 2^63 for as long as anybody will write to a ledger.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
