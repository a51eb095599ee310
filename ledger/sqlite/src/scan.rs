//! Reading all records in order, as fast as SQLite gives them: for whoever verifies or exports millions.
//!
//! It goes around the pool, through a library that reads rows several times as fast, and reads headers
//! and payloads with a statement each, side by side: a join looks each payload up.

use crate::append::signed;
use crate::error::OpenError;
use crate::failure::scan;
use crate::schema::{APPLICATION_ID, refuse_older};
use crate::tail::FileHead;
use ledger::audit::{AuditRecord, Content};
use ledger::record::{Header, PayloadDigest, RecordHash, SALT_LEN};
use ledger::storage::{Head, ReadError, Scan, Scanned};
use ledger::{EventId, LedgerId, StreamId, Timestamp};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Row, Rows, Statement};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

const EVENTS: &str = "SELECT position, event_id, stream_id, stream_version, event_type, \
    schema_version, recorded_at, prev_hash, payload_len, payload_digest, record_hash \
    FROM events WHERE position >= ?1 AND position < ?2 ORDER BY position";

const PAYLOADS: &str = "SELECT position, salt, payload FROM payloads \
    WHERE position >= ?1 AND position < ?2 ORDER BY position";

/// A ledger file as of one moment, opened to be read from one end to the other. The writer goes on
/// meanwhile; SQLite's log only grows until this is dropped.
#[derive(Debug)]
pub struct RecordScan {
    connection: Connection,
}

#[derive(Debug)]
pub(super) struct FoundHead {
    pub(super) head: FileHead,
    pub(super) mac: Option<Vec<u8>>,
    /// Origin and key of whoever signs.
    pub(super) signer: Option<(String, String)>,
}

impl RecordScan {
    /// Opens the file and takes its moment.
    ///
    /// # Errors
    /// When it cannot be read, or is not a ledger.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = || scan("opening the file");
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(failed())?;
        distrust_schema(&connection).map_err(failed())?;
        connection
            .busy_timeout(Duration::from_secs(5))
            .map_err(failed())?;
        let found: i64 = connection
            .query_row("PRAGMA application_id", (), |row| row.get(0))
            .map_err(failed())?;
        if found != APPLICATION_ID {
            return Err(OpenError::ForeignFile {
                path: path.to_owned(),
                found,
            });
        }
        connection.execute_batch("BEGIN").map_err(failed())?;
        // The moment is that of the first read.
        let scan = Self { connection };
        scan.size()?;
        Ok(scan)
    }

    /// The size of the log: the next position.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn size(&self) -> Result<u64, ReadError> {
        let size: i64 = self
            .connection
            .query_row(
                "SELECT coalesce(max(position) + 1, 0) FROM events",
                (),
                |row| row.get(0),
            )
            .map_err(scan("reading the size of the log"))?;
        Ok(u64::try_from(size).unwrap_or(0))
    }

    /// The file's schema version.
    pub(super) fn version(&self) -> Result<i64, ReadError> {
        self.connection
            .query_row("PRAGMA user_version", (), |row| row.get(0))
            .map_err(scan("reading the schema version"))
    }

    /// The head, its MAC, and the lines that say who signs; `None` where nothing was ever recorded.
    pub(super) fn head(&self) -> Result<Option<FoundHead>, OpenError> {
        let failed = || scan("reading the head");
        refuse_older(self.version()?)?;
        let mut signing = self.prepare("SELECT origin, vkey FROM signing")?;
        let signer: Option<(String, String)> = signing
            .query_row((), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(failed())?;
        let sql =
            "SELECT ledger_id, size, record_hash, verified_size, verified_hash, mac FROM head";
        let mut head = None;
        self.for_each_row(sql, |row| {
            let hash = |column| array(row, column).map(RecordHash::from_bytes);
            let found = Head {
                ledger_id: LedgerId::from_bytes(array(row, 0)?),
                size: number(row, 1)?,
                record_hash: hash(2)?,
            };
            let found = FileHead::found(found, (number(row, 3)?, hash(4)?));
            head = Some(FoundHead {
                head: found,
                mac: bytes(row, 5).map(<[u8]>::to_vec),
                signer: signer.clone(),
            });
            Some(())
        })?;
        Ok(head)
    }

    /// Gives every row of the lookup table: kind, key, value.
    pub(super) fn for_each_lookup(
        &self,
        mut take: impl FnMut(i64, &[u8], &[u8]),
    ) -> Result<(), ReadError> {
        self.for_each_row("SELECT kind, key, value FROM lookups", |row| {
            let (kind, key, value) = (integer(row, 0), bytes(row, 1), bytes(row, 2));
            kind.zip(key)
                .zip(value)
                .map(|((kind, key), value)| take(kind, key, value))
        })
    }

    /// Gives what the index of streams has: position, stream and version of each event.
    pub(super) fn for_each_indexed(
        &self,
        mut take: impl FnMut(u64, &[u8], u64),
    ) -> Result<(), ReadError> {
        // In the index's own order, and with nothing but what stands in it: the table is not read.
        let sql = "SELECT position, stream_id, stream_version FROM events
                   ORDER BY stream_id, stream_version";
        self.for_each_row(sql, |row| {
            let (position, stream, version) = (number(row, 0)?, bytes(row, 1)?, number(row, 2)?);
            take(position, stream, version);
            Some(())
        })
    }

    /// Gives every row of the table of open streams: task, stream.
    pub(super) fn for_each_open_stream(
        &self,
        mut take: impl FnMut(&[u8], &[u8]),
    ) -> Result<(), ReadError> {
        self.for_each_row("SELECT task_id, stream_id FROM open_streams", |row| {
            let columns = bytes(row, 0).zip(bytes(row, 1));
            columns.map(|(task, stream)| take(task, stream))
        })
    }

    fn for_each_row(
        &self,
        sql: &str,
        mut take: impl FnMut(&Row<'_>) -> Option<()>,
    ) -> Result<(), ReadError> {
        let failed = || scan("reading lookups");
        let mut query = self.prepare(sql)?;
        let mut rows = query.query(()).map_err(failed())?;
        while let Some(row) = rows.next().map_err(failed())? {
            take(row).ok_or_else(|| ReadError::Damaged {
                position: 0,
                what: "a row of the lookup tables does not hold what it should".to_owned(),
            })?;
        }
        Ok(())
    }

    fn prepare(&self, sql: &str) -> Result<Statement<'_>, ReadError> {
        self.connection
            .prepare(sql)
            .map_err(scan("reading records"))
    }
}

impl Scan for RecordScan {
    fn erased_by(&self, position: u64) -> Result<Option<u64>, ReadError> {
        let failed = || scan("reading the erasures");
        let mut query = self
            .connection
            .prepare_cached("SELECT erased_by FROM erasures WHERE position = ?1")
            .map_err(failed())?;
        let mut rows = query.query([signed(position)]).map_err(failed())?;
        let row = rows.next().map_err(failed())?;
        Ok(row.and_then(|row| number(row, 0)))
    }

    fn for_each(
        &self,
        from: u64,
        to: u64,
        take: &mut dyn FnMut(Scanned<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let failed = || scan("reading records");
        let range = (signed(from), signed(to));
        let mut events = self.prepare(EVENTS)?;
        let mut events = events.query(range).map_err(failed())?;
        let mut payloads = self.prepare(PAYLOADS)?;
        let mut payloads = Payloads::begin(payloads.query(range).map_err(failed())?)?;
        let mut next = from;
        while let Some(row) = events.next().map_err(failed())? {
            let position = number(row, 0).unwrap_or(next);
            next = position.saturating_add(1);
            while let Some(orphan) = payloads.passed(position)? {
                if take(orphan).is_break() {
                    return Ok(());
                }
            }
            if take(record(row, position, &payloads)).is_break() {
                return Ok(());
            }
        }
        while let Some(orphan) = payloads.passed(u64::MAX)? {
            if take(orphan).is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
impl RecordScan {
    pub(crate) fn trusts_schema(&self) -> bool {
        let config = DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA;
        self.connection.db_config(config).unwrap_or(true)
    }
}

/// Lets what stands in the file's schema, which anybody may have written, run nothing but plain SQL and
/// change nothing of SQLite's own.
fn distrust_schema(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(())
}

/// One row of the payloads' table, and those after it.
struct Payloads<'s> {
    rows: Rows<'s>,
    at: Option<u64>,
    /// The salt, where it is one.
    salt: Option<[u8; SALT_LEN]>,
    payload: Vec<u8>,
    /// Its record has been there.
    given: bool,
}

impl<'s> Payloads<'s> {
    fn begin(rows: Rows<'s>) -> Result<Self, ReadError> {
        let mut payloads = Self {
            rows,
            at: None,
            salt: None,
            payload: Vec::new(),
            given: false,
        };
        payloads.advance()?;
        Ok(payloads)
    }

    fn advance(&mut self) -> Result<(), ReadError> {
        let row = self.rows.next().map_err(scan("reading payloads"))?;
        self.payload.clear();
        self.given = false;
        self.at = row.map(|row| number(row, 0).unwrap_or(u64::MAX));
        self.salt = row
            .and_then(|row| bytes(row, 1))
            .and_then(|salt| salt.try_into().ok());
        match row.and_then(|row| bytes(row, 2)) {
            Some(payload) => self.payload.extend_from_slice(payload),
            None => self.salt = None,
        }
        Ok(())
    }

    /// Goes on to the position, and tells of a payload on the way that is no event's.
    fn passed(&mut self, position: u64) -> Result<Option<Scanned<'static>>, ReadError> {
        while let Some(at) = self.at.filter(|at| *at < position) {
            let orphan = !self.given;
            self.advance()?;
            if orphan {
                let what = "a payload stands where there is no event";
                return Ok(Some(Scanned::Malformed { position: at, what }));
            }
        }
        self.given = self.at == Some(position);
        Ok(None)
    }
}

/// The record of a row, with its payload where that is at the same position.
fn record<'a>(row: &'a Row<'_>, position: u64, payloads: &'a Payloads<'_>) -> Scanned<'a> {
    let malformed = |what| Scanned::Malformed { position, what };
    let content = match (payloads.given, &payloads.salt) {
        (false, _) => None,
        (true, Some(salt)) => Some(Content {
            salt,
            payload: &payloads.payload,
        }),
        (true, None) => return malformed("its payload or salt is not one"),
    };
    match (header(row, position), array(row, 10)) {
        (Some(header), Some(hash)) => Scanned::Record(AuditRecord {
            header,
            record_hash: Some(RecordHash::from_bytes(hash)),
            content,
        }),
        _ => malformed("its columns do not hold a header and a hash"),
    }
}

fn header(row: &Row<'_>, position: u64) -> Option<Header> {
    Some(Header {
        position,
        event_id: EventId::from_bytes(array(row, 1)?),
        stream_id: StreamId::from_bytes(array(row, 2)?),
        stream_version: number(row, 3)?,
        event_type: u16::try_from(number(row, 4)?).ok()?,
        schema_version: u16::try_from(number(row, 5)?).ok()?,
        recorded_at: Timestamp::from_micros(integer(row, 6)?),
        prev_hash: RecordHash::from_bytes(array(row, 7)?),
        payload_len: u32::try_from(number(row, 8)?).ok()?,
        payload_digest: PayloadDigest::from_bytes(array(row, 9)?),
    })
}

fn integer(row: &Row<'_>, column: usize) -> Option<i64> {
    match row.get_ref(column).ok()? {
        ValueRef::Integer(value) => Some(value),
        _ => None,
    }
}

fn number(row: &Row<'_>, column: usize) -> Option<u64> {
    u64::try_from(integer(row, column)?).ok()
}

fn bytes<'r>(row: &'r Row<'_>, column: usize) -> Option<&'r [u8]> {
    match row.get_ref(column).ok()? {
        ValueRef::Blob(bytes) => Some(bytes),
        _ => None,
    }
}

fn array<const N: usize>(row: &Row<'_>, column: usize) -> Option<[u8; N]> {
    bytes(row, column)?.try_into().ok()
}
