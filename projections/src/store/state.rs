//! How far the read tables are, and of which ledger: one row, written with the rows of each batch.
//! Its form does not change from version to version, so that any version can tell what it found.

use crate::error::Error;
use ledger::{LedgerId, RecordHash};
use sqlx::{Row as _, SqliteConnection};

pub(super) const DDL: &str = "
-- How far these tables are. Positions are the ledger's; the cursor is the next one to fold.
CREATE TABLE projection_state (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    ledger_id   TEXT NOT NULL,
    cursor      INTEGER NOT NULL,
    record_hash TEXT NOT NULL,  -- of the record before the cursor; empty at 0
    schema_hash TEXT NOT NULL,  -- of the table definitions that the rows were folded for
    tables      TEXT NOT NULL   -- the names of the tables that a rebuild drops
) STRICT;
";

/// The state row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) ledger_id: LedgerId,
    pub(crate) cursor: u64,
    pub(crate) record_hash: Option<RecordHash>,
    pub(crate) schema_hash: String,
    pub(crate) tables: Vec<String>,
}

impl State {
    /// Reads the row; `None` when there is none that can be read.
    pub(crate) async fn read(db: &mut SqliteConnection) -> Option<Self> {
        let row = sqlx::query(
            "SELECT ledger_id, cursor, record_hash, schema_hash, tables FROM projection_state",
        )
        .fetch_optional(db)
        .await
        .ok()??;
        let text = |column: &str| row.try_get::<String, _>(column).ok();
        let hash = text("record_hash")?;
        Some(Self {
            ledger_id: text("ledger_id")?.parse().ok()?,
            cursor: u64::try_from(row.try_get::<i64, _>("cursor").ok()?).ok()?,
            record_hash: match hash.as_str() {
                "" => None,
                hash => Some(hash.parse().ok()?),
            },
            schema_hash: text("schema_hash")?,
            tables: text("tables")?
                .split_whitespace()
                .map(str::to_owned)
                .collect(),
        })
    }

    /// Writes the row of tables that were just made.
    pub(crate) async fn create(&self, db: &mut SqliteConnection) -> Result<(), Error> {
        sqlx::query(
            "INSERT INTO projection_state (id, ledger_id, cursor, record_hash, schema_hash, tables)
             VALUES (1, ?, ?, ?, ?, ?)",
        )
        .bind(self.ledger_id.to_string())
        .bind(signed(self.cursor))
        .bind(self.hash_text())
        .bind(&self.schema_hash)
        .bind(self.tables.join(" "))
        .execute(db)
        .await
        .map_err(Error::database("making the read tables"))?;
        Ok(())
    }

    /// Moves the cursor on, in the transaction that writes the rows. Fails when it is not where this
    /// process had left it.
    pub(crate) async fn advance(
        &mut self,
        db: &mut SqliteConnection,
        cursor: u64,
        record_hash: RecordHash,
    ) -> Result<(), Error> {
        let expected = self.cursor;
        let moved = sqlx::query(
            "UPDATE projection_state SET cursor = ?, record_hash = ? WHERE id = 1 AND cursor = ?",
        )
        .bind(signed(cursor))
        .bind(record_hash.to_string())
        .bind(signed(expected))
        .execute(db)
        .await
        .map_err(Error::database("moving the cursor"))?;
        if moved.rows_affected() != 1 {
            return Err(Error::CursorMoved { expected });
        }
        self.cursor = cursor;
        self.record_hash = Some(record_hash);
        Ok(())
    }

    fn hash_text(&self) -> String {
        self.record_hash
            .map(|hash| hash.to_string())
            .unwrap_or_default()
    }
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
