//! The rows about the file and its projections: how far they are, and of which ledger.
//!
//! `projection_state` is one row about the file. Its form does not change from version to version,
//! so that any version can tell what it found. `projections` has one row for each projection, and
//! one for each that is being made anew beside; they are written with the rows of each batch.

use crate::error::Error;
use crate::projection::Projection;
use ledger::{LedgerId, RecordHash};
use rusqlite::{Connection, OptionalExtension as _, Row, params};

/// `LPPR` in the file's header marks it as read tables of ours.
pub(crate) const APPLICATION_ID: i64 = 0x4C50_5052;

/// One of the two sets of tables that a file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum TableSet {
    Live,
    /// Being made beside the live ones, which they will replace.
    Next,
}

/// The ending of replaced tables' names until they are gone.
pub(crate) const OLD: &str = "__old";

impl TableSet {
    /// The word in the file.
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Next => "next",
        }
    }

    /// The ending of its tables' names.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Live => "",
            Self::Next => "__next",
        }
    }

    pub(crate) fn table(self, name: &str) -> String {
        format!("{name}{}", self.suffix())
    }
}

/// The table about the file.
pub(crate) const STATE_TABLE: &str = "projection_state";
pub(crate) const PROJECTIONS_TABLE: &str = "projections";

pub(crate) const DDL: &str = "
CREATE TABLE projection_state (
    -- How far the furthest of these tables is. Positions are the ledger's; the cursor is the next
    -- one to fold.
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    ledger_id   TEXT NOT NULL,
    cursor      INTEGER NOT NULL,
    record_hash TEXT NOT NULL,  -- of the record before the cursor; empty at 0
    schema_hash TEXT NOT NULL,  -- of the table definitions that the rows were folded for
    tables      TEXT NOT NULL   -- the names of the tables that a rebuild drops
) STRICT;
CREATE TABLE projections (
    -- How far each group of tables is.
    name        TEXT NOT NULL,     -- agents, approvers, tasks, callbacks, timeline
    place       TEXT NOT NULL,     -- live; next: being made beside, in tables that end in __next
    cursor      INTEGER NOT NULL,
    record_hash TEXT NOT NULL,     -- of the record before the cursor; empty at 0
    schema_hash TEXT NOT NULL,
    generation  INTEGER NOT NULL,  -- how often it was made anew beside
    PRIMARY KEY (name, place)
) STRICT, WITHOUT ROWID;
";

/// The row about the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileState {
    pub(crate) ledger_id: LedgerId,
    pub(crate) cursor: u64,
    pub(crate) record_hash: Option<RecordHash>,
    pub(crate) schema_hash: String,
    pub(crate) tables: Vec<String>,
}

impl FileState {
    /// Reads the row; `None` when there is none that can be read.
    pub(crate) fn read(db: &Connection) -> Option<Self> {
        let sql =
            "SELECT ledger_id, cursor, record_hash, schema_hash, tables FROM projection_state";
        db.query_row(sql, [], |row| Ok(Self::of(row))).ok()?
    }

    fn of(row: &Row<'_>) -> Option<Self> {
        let text = |index: usize| row.get::<_, String>(index).ok();
        Some(Self {
            ledger_id: text(0)?.parse().ok()?,
            cursor: u64::try_from(row.get::<_, i64>(1).ok()?).ok()?,
            record_hash: hash_of(&text(2)?)?,
            schema_hash: text(3)?,
            tables: text(4)?.split_whitespace().map(str::to_owned).collect(),
        })
    }

    /// Writes the row of tables that were just made.
    pub(crate) fn create(&self, db: &Connection) -> Result<(), Error> {
        db.execute(
            "INSERT INTO projection_state (id, ledger_id, cursor, record_hash, schema_hash, tables)
             VALUES (1, ?, ?, ?, ?, ?)",
            params![
                self.ledger_id.to_string(),
                signed(self.cursor),
                hash_text(self.record_hash),
                self.schema_hash,
                self.tables.join(" "),
            ],
        )
        .map_err(Error::sqlite("making the read tables"))?;
        Ok(())
    }

    /// Writes which tables stand in the file now, and for which definitions.
    pub(crate) fn note_tables(
        db: &Connection,
        schema_hash: &str,
        tables: &[String],
    ) -> Result<(), Error> {
        db.execute(
            "UPDATE projection_state SET schema_hash = ?, tables = ? WHERE id = 1",
            params![schema_hash, tables.join(" ")],
        )
        .map_err(Error::sqlite("noting the read tables"))?;
        Ok(())
    }

    /// Writes how far the furthest table is, in the transaction that writes the rows.
    pub(crate) fn reach(db: &Connection, cursor: u64, hash: RecordHash) -> Result<(), Error> {
        db.prepare_cached(
            "UPDATE projection_state SET cursor = ?1, record_hash = ?2 WHERE id = 1 AND cursor < ?1",
        )
        .and_then(|mut reach| reach.execute(params![signed(cursor), hash.to_string()]))
        .map_err(Error::sqlite("moving the cursor"))?;
        Ok(())
    }
}

/// The row about a projection in one of its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProjectionState {
    pub(crate) projection: Projection,
    pub(crate) set: TableSet,
    pub(crate) cursor: u64,
    pub(crate) record_hash: Option<RecordHash>,
    pub(crate) schema_hash: String,
    pub(crate) generation: u64,
}

impl ProjectionState {
    /// Reads all rows; `None` when they cannot be read, as in a file of a version that has none.
    pub(crate) fn read_all(db: &Connection) -> Option<Vec<Self>> {
        let sql = "SELECT name, place, cursor, record_hash, schema_hash, generation
                   FROM projections ORDER BY name, place";
        let mut query = db.prepare(sql).ok()?;
        let mut rows = query.query([]).ok()?;
        let mut all = Vec::new();
        while let Some(row) = rows.next().ok()? {
            all.push(Self::of(row)?);
        }
        Some(all)
    }

    /// Reads one row; `None` when there is none that can be read.
    pub(crate) fn read(db: &Connection, projection: Projection, set: TableSet) -> Option<Self> {
        let sql = "SELECT name, place, cursor, record_hash, schema_hash, generation
                   FROM projections WHERE name = ? AND place = ?";
        let key = [projection.as_str(), set.as_str()];
        let row = db.query_row(sql, key, |row| Ok(Self::of(row))).optional();
        row.ok()??
    }

    fn of(row: &Row<'_>) -> Option<Self> {
        let text = |index: usize| row.get::<_, String>(index).ok();
        let number = |index: usize| u64::try_from(row.get::<_, i64>(index).ok()?).ok();
        Some(Self {
            projection: text(0)?.parse().ok()?,
            set: match text(1)?.as_str() {
                "live" => TableSet::Live,
                "next" => TableSet::Next,
                _ => return None,
            },
            cursor: number(2)?,
            record_hash: hash_of(&text(3)?)?,
            schema_hash: text(4)?,
            generation: number(5)?,
        })
    }

    /// Writes the row, whatever stood there before.
    pub(crate) fn put(&self, db: &Connection) -> Result<(), Error> {
        db.execute(
            "INSERT OR REPLACE INTO projections
                 (name, place, cursor, record_hash, schema_hash, generation)
             VALUES (?, ?, ?, ?, ?, ?)",
            params![
                self.projection.as_str(),
                self.set.as_str(),
                signed(self.cursor),
                hash_text(self.record_hash),
                self.schema_hash,
                signed(self.generation),
            ],
        )
        .map_err(Error::sqlite("making the read tables"))?;
        Ok(())
    }

    /// Moves the cursor on, in the transaction that writes the rows. Fails when it is not where this
    /// process had left it.
    pub(crate) fn advance(
        &mut self,
        db: &Connection,
        cursor: u64,
        record_hash: RecordHash,
    ) -> Result<(), Error> {
        let expected = self.cursor;
        let moved = db
            .prepare_cached(
                "UPDATE projections SET cursor = ?, record_hash = ?
                 WHERE name = ? AND place = ? AND cursor = ?",
            )
            .and_then(|mut advance| {
                advance.execute(params![
                    signed(cursor),
                    record_hash.to_string(),
                    self.projection.as_str(),
                    self.set.as_str(),
                    signed(expected)
                ])
            })
            .map_err(Error::sqlite("moving the cursor"))?;
        if moved != 1 {
            return Err(Error::CursorMoved { expected });
        }
        self.cursor = cursor;
        self.record_hash = Some(record_hash);
        Ok(())
    }
}

/// The hash in a column, where an empty text is none; `None` when it is neither.
#[expect(
    clippy::option_option,
    reason = "no hash is not the same as not a hash"
)]
fn hash_of(text: &str) -> Option<Option<RecordHash>> {
    match text {
        "" => Some(None),
        hash => hash.parse().ok().map(Some),
    }
}

fn hash_text(hash: Option<RecordHash>) -> String {
    hash.map(|hash| hash.to_string()).unwrap_or_default()
}

fn signed(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}
