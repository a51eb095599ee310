//! The Merkle tree's table: one row for each position, written with the event that stands there.

use crate::append::signed;
use crate::failure::database;
use crate::read::{record_of, stream_records};
use crate::script::{MultiRow, Script, Size};
use futures_util::TryStreamExt as _;
use ledger::storage::{ReadError, TreeRow, complete, rows_for};
use ledger::tlog::{Frontier, Lookup, TreeHash, record_leaf};
use sqlx::{Row as _, SqliteConnection};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

pub(super) fn add_tree(script: &mut Script, size: Size, rows: &[TreeRow]) {
    static INSERT: LazyLock<MultiRow> =
        LazyLock::new(|| MultiRow::insert("tree", "position, hashes", ""));
    script.add_rows(&INSERT, size, rows, |script, row| {
        script
            .bind(signed(row.position))
            .bind(row.hashes.as_slice());
    });
}

/// Writes rows. The transaction is the caller's.
pub(super) async fn append_tree(
    connection: &mut SqliteConnection,
    rows: &[TreeRow],
) -> Result<(), ReadError> {
    let mut script = Script::default();
    add_tree(&mut script, Size::of(rows.len()), rows);
    script.run(connection, "appending to the tree").await
}

/// The tree as far as it is stored. It ends before the log does in a file that an earlier version
/// wrote, until it has been filled.
pub(super) async fn read_frontier(
    connection: &mut SqliteConnection,
) -> Result<Frontier, ReadError> {
    let failed = || database("reading the size of the tree");
    let row = sqlx::query("SELECT coalesce(max(position) + 1, 0) FROM tree")
        .fetch_one(&mut *connection)
        .await
        .map_err(failed())?;
    let size: i64 = row.try_get(0).map_err(failed())?;
    let size = u64::try_from(size).unwrap_or(0);
    compute(connection, Frontier::lookup(size)?).await
}

/// The leaves of up to `most` records from where the tree ends.
pub(super) async fn read_leaves(
    connection: &mut SqliteConnection,
    from: u64,
    most: usize,
) -> Result<Vec<TreeHash>, ReadError> {
    let mut leaves = Vec::with_capacity(most);
    let mut rows = stream_records(connection, from);
    while leaves.len() < most {
        let row = rows.try_next().await.map_err(database("reading the log"))?;
        let Some(row) = row else { break };
        leaves.push(record_leaf(&record_of(&row)?.header));
    }
    Ok(leaves)
}

/// Checks that the stored rows from a position on are these.
pub(super) async fn check_tree(
    connection: &mut SqliteConnection,
    from: u64,
    expected: &[TreeRow],
) -> Result<(), ReadError> {
    let failed = || database("checking the tree");
    let mut stored =
        sqlx::query("SELECT position, hashes FROM tree WHERE position >= ? ORDER BY position")
            .bind(signed(from))
            .fetch(connection);
    for row in expected {
        let found = stored.try_next().await.map_err(failed())?;
        let same = match found {
            Some(found) => {
                let position: i64 = found.try_get(0).map_err(failed())?;
                let hashes: &[u8] = found.try_get(1).map_err(failed())?;
                position == signed(row.position) && hashes == row.hashes
            }
            None => false,
        };
        if !same {
            return Err(ReadError::Damaged {
                position: row.position,
                what: "the tree's row does not follow from the records".to_owned(),
            });
        }
    }
    Ok(())
}

/// Reads the hashes that a lookup needs, and computes what it is for.
pub(super) async fn compute<T>(
    connection: &mut SqliteConnection,
    lookup: Lookup<T>,
) -> Result<T, ReadError> {
    let rows = read_rows(connection, rows_for(&lookup)?).await?;
    complete(lookup, &rows)
}

/// As many rows as a proof from a tree of 2^31 leaves needs; a statement has room for them.
const PROOF: usize = 32;

pub(super) async fn read_rows(
    connection: &mut SqliteConnection,
    positions: BTreeSet<u64>,
) -> Result<BTreeMap<u64, Vec<u8>>, ReadError> {
    static READ: LazyLock<MultiRow> = LazyLock::new(|| {
        MultiRow::new(
            "SELECT position, hashes FROM tree WHERE position IN (VALUES",
            1,
            ")",
        )
    });
    let failed = || database("reading the tree");
    let mut positions: Vec<u64> = positions.into_iter().collect();
    // One statement of one size for a proof from a tree of any size: each is a hand-over to SQLite's
    // thread, while asking for a position twice is next to nothing.
    if let Some(last) = positions.last().copied() {
        positions.resize(positions.len().next_multiple_of(PROOF), last);
    }
    let mut rows = BTreeMap::new();
    for chunk in READ.chunks(&positions) {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(Arc::clone(&chunk.sql)));
        for position in chunk.rows {
            query = query.bind(signed(*position));
        }
        for row in chunk
            .filled(query)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed())?
        {
            let position: i64 = row.try_get(0).map_err(failed())?;
            let hashes: Vec<u8> = row.try_get(1).map_err(failed())?;
            rows.insert(u64::try_from(position).unwrap_or(0), hashes);
        }
    }
    Ok(rows)
}
