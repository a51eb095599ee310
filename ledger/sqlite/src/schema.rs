//! The ledger file's schema, and how it is opened. The schema grows by numbered additive steps.

use crate::durable::make_private;
use crate::error::OpenError;
use crate::failure::{broke_down, database};
use crate::scan::RecordScan;
use crate::whole::STRIDE;
use ledger::audit::AuditRecord;
use ledger::event::Event;
use ledger::storage::{LookupFold, LookupKind, Lookups, ReadError, Scan as _, Scanned};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Row as _, SqliteConnection, SqlitePool};
use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `LPPL` in the file's header marks it as a ledger of ours.
pub(super) const APPLICATION_ID: i64 = 0x4C50_504C;

/// One step for each schema version, from the empty file on. Steps that have landed never change.
const STEPS: &[&str] = &[STEP_1, STEP_2, STEP_3, STEP_4];

/// The oldest version that is read as it stands: what came later are rows only.
const READABLE: i64 = 3;

/// The version from which on the kinds of [`SINCE_ROSTERS`] stand in the table `lookups`.
const ROSTERS: i64 = 4;
const SINCE_ROSTERS: [i64; 2] = [LookupKind::MintedKey as i64, LookupKind::OwnedAgent as i64];

const STEP_1: &str = "
-- The log. One row for each record; the columns are the canonical header and its hash.
CREATE TABLE events (
    position       INTEGER PRIMARY KEY,
    event_id       BLOB NOT NULL CHECK (length(event_id) = 16),
    stream_id      BLOB NOT NULL CHECK (length(stream_id) = 16),
    stream_version INTEGER NOT NULL,
    event_type     INTEGER NOT NULL,
    schema_version INTEGER NOT NULL,
    recorded_at    INTEGER NOT NULL,
    prev_hash      BLOB NOT NULL CHECK (length(prev_hash) = 32),
    payload_len    INTEGER NOT NULL,
    payload_digest BLOB NOT NULL CHECK (length(payload_digest) = 32),
    record_hash    BLOB NOT NULL CHECK (length(record_hash) = 32),
    UNIQUE (stream_id, stream_version)
) STRICT;

-- What the records say, apart from the headers so that hashes outlive payloads.
CREATE TABLE payloads (
    position INTEGER PRIMARY KEY,
    salt     BLOB NOT NULL CHECK (length(salt) = 16),
    payload  BLOB NOT NULL
) STRICT;

CREATE TRIGGER events_no_update BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: events cannot be updated'); END;
CREATE TRIGGER events_no_delete BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: events cannot be deleted'); END;
-- INSERT OR REPLACE deletes without a delete trigger, so the insert itself must fit.
CREATE TRIGGER events_no_replace BEFORE INSERT ON events
WHEN NEW.position IS NOT (SELECT coalesce(max(position) + 1, 0) FROM events)
  OR EXISTS (SELECT 1 FROM events
             WHERE stream_id = NEW.stream_id AND stream_version = NEW.stream_version)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: this is not the next event'); END;
CREATE TRIGGER payloads_no_update BEFORE UPDATE ON payloads
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: payloads cannot be updated'); END;
CREATE TRIGGER payloads_no_delete BEFORE DELETE ON payloads
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: payloads cannot be deleted'); END;
CREATE TRIGGER payloads_no_replace BEFORE INSERT ON payloads
WHEN NEW.position IS NOT (SELECT coalesce(max(position) + 1, 0) FROM payloads)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: this is not the next payload'); END;

-- What decisions look up; written with the events and derivable from them.
CREATE TABLE lookups (
    kind  INTEGER NOT NULL,
    key   BLOB NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

-- Applies and approvals of a task that have not ended; derivable as well.
CREATE TABLE open_streams (
    task_id   BLOB NOT NULL,
    stream_id BLOB NOT NULL,
    PRIMARY KEY (task_id, stream_id)
) STRICT, WITHOUT ROWID;

-- The log's size and last hash, and up to where an earlier run had checked the chain.
CREATE TABLE head (
    id            INTEGER PRIMARY KEY CHECK (id = 1),
    ledger_id     BLOB NOT NULL,
    size          INTEGER NOT NULL,
    record_hash   BLOB NOT NULL,
    verified_size INTEGER NOT NULL,
    verified_hash BLOB NOT NULL
) STRICT;
";

const STEP_2: &str = "
-- The Merkle tree over the headers (RFC 6962). The row of a position holds the hash of its leaf,
-- then, from the bottom up, those of the subtrees that this leaf completes; 32 bytes each.
CREATE TABLE tree (
    position INTEGER PRIMARY KEY,
    hashes   BLOB NOT NULL CHECK (length(hashes) >= 32 AND length(hashes) % 32 = 0)
) STRICT;
CREATE TRIGGER tree_no_update BEFORE UPDATE ON tree
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: the tree cannot be updated'); END;
CREATE TRIGGER tree_no_delete BEFORE DELETE ON tree
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: the tree cannot be deleted'); END;
CREATE TRIGGER tree_no_replace BEFORE INSERT ON tree
WHEN NEW.position IS NOT (SELECT coalesce(max(position) + 1, 0) FROM tree)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: this is not the next leaf'); END;

-- Whose checkpoints speak for this ledger. Once this stands here, a start wants the newest of them.
CREATE TABLE signing (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    origin TEXT NOT NULL,
    vkey   TEXT NOT NULL
) STRICT;

-- Which payloads were taken away, each by a later event (type 2, ledger.erased) that says why.
CREATE TABLE erasures (
    position  INTEGER PRIMARY KEY,
    erased_by INTEGER NOT NULL CHECK (erased_by > position)
) STRICT;
CREATE INDEX erasures_erased_by ON erasures (erased_by);
CREATE TRIGGER erasures_no_update BEFORE UPDATE ON erasures
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: an erasure cannot be changed'); END;
CREATE TRIGGER erasures_no_delete BEFORE DELETE ON erasures
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: an erasure cannot be taken back'); END;
CREATE TRIGGER erasures_recorded BEFORE INSERT ON erasures
WHEN EXISTS (SELECT 1 FROM erasures WHERE position = NEW.position)
  OR (SELECT event_type FROM events WHERE position = NEW.erased_by) IS NOT 2
  OR (SELECT event_type FROM events WHERE position = NEW.position) IN (1, 2, 3)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no event says that this was erased'); END;
DROP TRIGGER payloads_no_delete;
CREATE TRIGGER payloads_no_delete BEFORE DELETE ON payloads
WHEN NOT EXISTS (SELECT 1 FROM erasures WHERE position = OLD.position)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: payloads cannot be deleted'); END;
";

const STEP_3: &str = "
-- A MAC over the row and over who signs, under a key that is not in the file: the master key's id [8],
-- then the MAC [32].
ALTER TABLE head ADD COLUMN mac BLOB CHECK (length(mac) = 40);
-- What happens to the ledger as a whole is never erased; its types are 1 to 4 from here on.
DROP TRIGGER erasures_recorded;
CREATE TRIGGER erasures_recorded BEFORE INSERT ON erasures
WHEN EXISTS (SELECT 1 FROM erasures WHERE position = NEW.position)
  OR (SELECT event_type FROM events WHERE position = NEW.erased_by) IS NOT 2
  OR (SELECT event_type FROM events WHERE position = NEW.position) IN (1, 2, 3, 4)
BEGIN SELECT RAISE(ABORT, 'the ledger is append-only: no event says that this was erased'); END;
";

const STEP_4: &str = "
-- The keys that users made, and the agents that they answer for, stand in the table lookups from here on.
";

pub(super) fn file_of(url: &str) -> Result<PathBuf, OpenError> {
    let invalid = || OpenError::InvalidUrl {
        url: url.to_owned(),
    };
    let path = url.strip_prefix("sqlite:").ok_or_else(invalid)?;
    let path = path.strip_prefix("//").unwrap_or(path);
    let path = path.split('?').next().unwrap_or(path);
    if path.is_empty() || path.starts_with(':') {
        return Err(invalid());
    }
    Ok(PathBuf::from(path))
}

/// How much of the file the writer keeps in memory: 16 MiB, in KiB and negative as SQLite wants it.
const CACHE_SIZE: &str = "-16384";

/// After how many pages SQLite's log is copied back into the file. A page that many commits have
/// changed is copied once; 16 MiB of log are read again in some tens of milliseconds at a start.
const CHECKPOINT_PAGES: &str = "4096";

/// The size to which the write-ahead log is cut when it begins anew, in bytes.
const LOG_SIZE_LIMIT: &str = "67108864";

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .foreign_keys(false)
        .busy_timeout(Duration::from_secs(5))
        // A schema that somebody else wrote runs nothing but plain SQL.
        .pragma("trusted_schema", "OFF")
        // A script of some thousand rows weighs a megabyte or two, most some tens of KiB.
        .statement_cache_capacity(64)
}

/// Opens the file to write, creating it where it is missing, and brings its schema up to date.
/// The caller holds the writer lock.
pub(super) async fn connect_writer(path: &Path) -> Result<SqliteConnection, OpenError> {
    let version = inspect(path).await?;
    make_private(path).map_err(|source| OpenError::File {
        path: path.to_owned(),
        doing: "made",
        source,
    })?;
    // Only a file that is ours, or empty, is ever switched to WAL.
    let options = options(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // What a statement of many rows would take back is kept in memory: otherwise each makes a file
        // for it and removes it again.
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", CACHE_SIZE)
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
        // A log that a burst or a long reader made long is cut again once it begins anew.
        .pragma("journal_size_limit", LOG_SIZE_LIMIT)
        // What is taken away leaves zeros behind.
        .pragma("secure_delete", "ON");
    let mut connection = SqliteConnection::connect_with(&options)
        .await
        .map_err(database("opening the file"))?;
    let version = match version {
        1..ROSTERS => {
            make(&mut connection, version, ROSTERS - 1).await?;
            add_rosters(&mut connection, path).await?;
            ROSTERS
        }
        newer_or_empty => newer_or_empty,
    };
    make(&mut connection, version, known_version()).await?;
    check_schema(&mut connection).await?;
    Ok(connection)
}

/// Takes a file to the version [`ROSTERS`], in one transaction with the rows that it would have if they had
/// stood there from the beginning. Events that cannot be read say nothing here: the check of the whole
/// file finds them.
async fn add_rosters(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let path = path.to_owned();
    let made = tokio::task::spawn_blocking(move || rosters(&path)).await;
    let mut rows = made
        .map_err(|ended| ReadError::from(broke_down(ended)))??
        .kept();
    rows.retain(|(kind, ..)| SINCE_ROSTERS.contains(kind));
    let failed = || database("adding rows to the lookups");
    let mut transaction = connection.begin().await.map_err(failed())?;
    for (kind, key, value) in rows {
        sqlx::query("INSERT OR REPLACE INTO lookups (kind, key, value) VALUES (?, ?, ?)")
            .bind(kind)
            .bind(key)
            .bind(value)
            .execute(&mut *transaction)
            .await
            .map_err(failed())?;
    }
    let script = format!("{STEP_4}PRAGMA user_version = {ROSTERS}");
    sqlx::raw_sql(sqlx::AssertSqlSafe(script))
        .execute(&mut *transaction)
        .await
        .map_err(failed())?;
    transaction.commit().await.map_err(failed())?;
    Ok(())
}

/// The lookups that lead to one of few, from the whole log. It blocks.
fn rosters(path: &Path) -> Result<Lookups, OpenError> {
    let mut fold = LookupFold::default();
    let mut taken: u64 = 0;
    RecordScan::open(path)?.for_each(0, i64::MAX.unsigned_abs(), &mut |scanned| {
        if let Scanned::Record(record) = scanned
            && let Some(content) = &record.content
            && LookupFold::concerns(record.header.event_type)
        {
            let AuditRecord { header, .. } = record;
            let decoded = Event::decode(header.event_type, header.schema_version, content.payload);
            if let Ok((envelope, event)) = decoded {
                fold.take(header.stream_id, &envelope.actor, &event);
            }
        }
        taken += 1;
        if taken.is_multiple_of(STRIDE) {
            // Rows of other kinds take no room.
            fold.lookups().take_settled(|_, _, _| ());
        }
        ControlFlow::Continue(())
    })?;
    Ok(fold.finish())
}

/// Whether rows of that kind stand in a file of that version.
pub(super) fn has_kind(version: i64, kind: i64) -> bool {
    version >= ROSTERS || !SINCE_ROSTERS.contains(&kind)
}

/// The schema version of a file that is ours or empty. Any other file is refused, and left byte for
/// byte as it is: opened to be written, SQLite would already mend or checkpoint it.
async fn inspect(path: &Path) -> Result<i64, OpenError> {
    let is_empty = std::fs::metadata(path).map_or(true, |file| file.len() == 0);
    if is_empty {
        return Ok(0);
    }
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    // Left by a crash while a new file was switched to WAL; only a writer can roll it back.
    let read_only = !Path::new(&journal).exists();
    let mut connection = SqliteConnection::connect_with(&options(path).read_only(read_only))
        .await
        .map_err(database("opening the file"))?;
    let application_id = pragma(&mut connection, "PRAGMA application_id").await?;
    let version = pragma(&mut connection, "PRAGMA user_version").await?;
    let objects = pragma(&mut connection, "SELECT count(*) FROM sqlite_schema").await?;
    connection
        .close()
        .await
        .map_err(database("closing the file"))?;
    let is_blank = application_id == 0 && version == 0 && objects == 0;
    if application_id != APPLICATION_ID && !is_blank {
        return Err(OpenError::ForeignFile {
            path: path.to_owned(),
            found: application_id,
        });
    }
    refuse_newer(version)?;
    Ok(version)
}

/// The newest schema version that this software knows.
pub(super) fn known_version() -> i64 {
    i64::try_from(STEPS.len()).unwrap_or(i64::MAX)
}

/// Commits the version that stands in the file already: SQLite writes and syncs a page for it, as it
/// would not for a row that stays the same.
pub(super) async fn rewrite_version(connection: &mut SqliteConnection) -> Result<(), ReadError> {
    let version = known_version();
    let script = format!("BEGIN IMMEDIATE;PRAGMA user_version = {version};COMMIT;");
    sqlx::raw_sql(sqlx::AssertSqlSafe(script))
        .execute(connection)
        .await
        .map(drop)
        .map_err(database("trying whether the ledger can be written"))
}

/// Refuses a version that is not read as it stands.
pub(super) fn refuse_older(found: i64) -> Result<(), OpenError> {
    if found < READABLE {
        let known = known_version();
        return Err(OpenError::OlderSchema { found, known });
    }
    Ok(())
}

fn refuse_newer(found: i64) -> Result<(), OpenError> {
    let known = known_version();
    if found > known {
        return Err(OpenError::NewerSchema { found, known });
    }
    Ok(())
}

/// Takes the schema from one version to another, step by step.
async fn make(connection: &mut SqliteConnection, from: i64, to: i64) -> Result<(), OpenError> {
    let steps = (1_i64..).zip(STEPS);
    for (step, sql) in steps.filter(|(step, _)| *step > from && *step <= to) {
        let script = format!(
            "BEGIN IMMEDIATE;{sql}PRAGMA application_id = {APPLICATION_ID};PRAGMA user_version = {step};COMMIT;"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(script))
            .execute(&mut *connection)
            .await
            .map_err(database("bringing the schema up to date"))?;
    }
    Ok(())
}

/// The triggers that keep the log append-only must be there, and nothing beside them that could
/// undo what they do. Gives the version that the file is of.
pub(super) async fn check_schema(connection: &mut SqliteConnection) -> Result<i64, OpenError> {
    let version = pragma(connection, "PRAGMA user_version").await?;
    refuse_newer(version)?;
    let mut model = SqliteConnection::connect("sqlite::memory:")
        .await
        .map_err(database("making a model of the schema"))?;
    make(&mut model, 0, version).await?;
    let expected = objects(&mut model).await?;
    let found = objects(connection).await?;
    for (name, sql) in &expected {
        let what = match found.get(name) {
            Some(same) if same == sql => continue,
            Some(_) => format!("{name} was changed"),
            None => format!("{name} is missing"),
        };
        return Err(OpenError::SchemaChanged { what });
    }
    match found.keys().find(|name| !expected.contains_key(*name)) {
        Some(extra) => Err(OpenError::SchemaChanged {
            what: format!("{extra} does not belong there"),
        }),
        None => Ok(version),
    }
}

/// Everything in the schema with the SQL that made it: tables, indexes (those of keys, which SQLite makes
/// itself, with their table), triggers. A name is no sign of whose something is, so only what
/// SQLite itself notes about tables, in its exact form, is left out.
async fn objects(connection: &mut SqliteConnection) -> Result<BTreeMap<String, String>, ReadError> {
    let failed = || database("reading the schema");
    let rows = sqlx::query(
        "SELECT type || ' ' || name, coalesce(sql, 'of table ' || tbl_name) FROM sqlite_schema
         WHERE (type, name, coalesce(sql, '')) NOT IN (VALUES
             ('table', 'sqlite_sequence', 'CREATE TABLE sqlite_sequence(name,seq)'),
             ('table', 'sqlite_stat1', 'CREATE TABLE sqlite_stat1(tbl,idx,stat)'),
             ('table', 'sqlite_stat4',
              'CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)'))",
    )
    .fetch_all(connection)
    .await
    .map_err(failed())?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?)))
        .collect::<Result<_, sqlx::Error>>()
        .map_err(failed())
}

/// Opens a pool of connections that only read. They never hold up the writer (WAL).
pub(super) async fn connect_reader(path: &Path) -> Result<SqlitePool, OpenError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        // A file has no server that would close idle connections, and sqlx's task that looks for them
        // can take a connection between its return and its being counted, and then never ends.
        .idle_timeout(None)
        .max_lifetime(None)
        .connect_with(options(path).read_only(true))
        .await
        .map_err(database("opening the file to read"))?;
    let mut connection = pool
        .acquire()
        .await
        .map_err(database("opening the file to read"))?;
    let application_id = pragma(&mut connection, "PRAGMA application_id").await?;
    if application_id != APPLICATION_ID {
        return Err(OpenError::ForeignFile {
            path: path.to_owned(),
            found: application_id,
        });
    }
    drop(connection);
    Ok(pool)
}

pub(super) async fn pragma(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<i64, ReadError> {
    let row = sqlx::query(sql)
        .fetch_one(connection)
        .await
        .map_err(database("reading the file's header"))?;
    row.try_get::<i64, _>(0)
        .map_err(database("reading the file's header"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::RecordScan;

    /// What somebody wrote into a schema runs nothing in a connection of ours.
    #[tokio::test]
    async fn no_connection_to_a_ledger_trusts_its_schema() {
        const TRUST: &str = "PRAGMA trusted_schema";
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.ledger.db");
        let mut writer = connect_writer(&path).await.unwrap();
        assert_eq!(pragma(&mut writer, TRUST).await.unwrap(), 0);
        let readers = connect_reader(&path).await.unwrap();
        let mut reader = readers.acquire().await.unwrap();
        assert_eq!(pragma(&mut reader, TRUST).await.unwrap(), 0);
        assert!(!RecordScan::open(&path).unwrap().trusts_schema());
    }
}
