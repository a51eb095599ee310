//! The removal of erased rows from the file and from SQLite's log.
//!
//! The rest of the work stands in the file's user version, which is written in the transaction that
//! erases: a crash afterwards leaves it there, and the next start goes on.

use super::table::Stored;
use crate::error::Error;
use rusqlite::{Connection, Params};
use std::time::Duration;

/// Rows were erased: the file is to be written anew.
const COMPACT: i64 = 1;
/// It was; SQLite's log is to be cut.
const CUT: i64 = 2;

impl Stored<'_> {
    /// Changes rows of a table so that something of them is gone; `{}` in the statement stands for
    /// the table.
    pub(crate) fn erase(
        self,
        table: &str,
        statement: &str,
        params: impl Params,
    ) -> Result<(), Error> {
        let failed = || Error::sqlite("erasing rows");
        let sql = statement.replace("{}", &self.set.table(table));
        let changed = self.db.execute(&sql, params).map_err(failed())?;
        if changed > 0 {
            leave(self.db, COMPACT)?;
        }
        Ok(())
    }
}

fn leave(db: &Connection, what: i64) -> Result<(), Error> {
    db.pragma_update(None, "user_version", what)
        .map_err(Error::sqlite("noting an erasure"))
}

/// True when something is left to be done.
pub(crate) fn is_left(db: &Connection) -> Result<bool, Error> {
    Ok(left(db)? != 0)
}

fn left(db: &Connection) -> Result<i64, Error> {
    db.query_row("PRAGMA user_version", (), |row| row.get(0))
        .map_err(Error::sqlite("reading what an erasure has left"))
}

/// Does what is left; `false` while a reader keeps SQLite's log from being cut. Rows move when SQLite
/// balances its pages and leave traces behind, so the file is written anew: that takes the time and
/// the room of the whole file once more.
pub(crate) fn scrub(db: &Connection) -> Result<bool, Error> {
    let failed = || Error::sqlite("writing the file anew after an erasure");
    if left(db)? == COMPACT {
        db.execute_batch("VACUUM").map_err(failed())?;
        leave(db, CUT)?;
    }
    if left(db)? == CUT {
        let patience = db.query_row("PRAGMA busy_timeout", (), |row| row.get::<_, u32>(0));
        let patience = Duration::from_millis(u64::from(patience.map_err(failed())?));
        db.busy_timeout(Duration::from_millis(20))
            .map_err(failed())?;
        let busy: Result<i64, _> =
            db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get(0));
        db.busy_timeout(patience).map_err(failed())?;
        if busy.map_err(failed())? != 0 {
            return Ok(false);
        }
        leave(db, 0)?;
        tracing::info!("nothing of what was erased stands in the read tables' files");
    }
    Ok(true)
}
