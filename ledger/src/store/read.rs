//! Reading the log. Readers never hold up the writer.

use super::append::signed;
use crate::clock::Timestamp;
use crate::error::Error;
use crate::event::{Event, Recorded};
use crate::id::{EventId, StreamId};
use crate::record::{Header, PayloadDigest, RecordHash, SALT_LEN, payload_digest};
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqliteConnection, SqlitePool};

/// A record as stored: its header, its stored hash, and salt and payload where they still are, or
/// else the position of the event that erased them.
#[derive(Debug, Clone)]
pub struct StoredRecord {
    /// The header.
    pub header: Header,
    /// The hash as it is stored; what it should be, the header tells.
    pub record_hash: RecordHash,
    /// Salt and payload; `None` once they were erased.
    pub payload: Option<([u8; SALT_LEN], Vec<u8>)>,
    /// The position of the `ledger.erased` that erased them.
    pub erased_by: Option<u64>,
}

/// What stands beside a record's header.
pub(crate) enum Content<'r> {
    /// Its salt and its payload.
    Payload(&'r [u8; SALT_LEN], &'r [u8]),
    /// Nothing any more: the event at that position erased it.
    Erased(u64),
}

macro_rules! select {
    ($where:literal) => {
        concat!(
            "SELECT position, event_id, stream_id, stream_version, event_type, schema_version, ",
            "recorded_at, prev_hash, payload_len, payload_digest, record_hash, salt, payload, ",
            "erased_by FROM events LEFT JOIN payloads USING (position) ",
            "LEFT JOIN erasures USING (position) WHERE ",
            $where
        )
    };
}

impl StoredRecord {
    /// All records from a position on, in order.
    pub(crate) fn stream(
        connection: &mut SqliteConnection,
        from: u64,
    ) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
        sqlx::query(select!("position >= ? ORDER BY position"))
            .bind(signed(from))
            .fetch(connection)
    }

    pub(crate) fn from_row(row: &SqliteRow) -> Result<Self, Error> {
        let failed = || Error::database("reading an event");
        let position: i64 = row.try_get(0).map_err(failed())?;
        let position = u64::try_from(position).unwrap_or(0);
        let damaged = |column: &str| Error::Damaged {
            position,
            what: format!("column {column} does not hold what it should"),
        };
        let bytes = |index: usize| -> Result<&[u8], Error> { row.try_get(index).map_err(failed()) };
        let number = |index: usize| -> Result<i64, Error> { row.try_get(index).map_err(failed()) };
        let header = Header {
            position,
            event_id: EventId::from_slice(bytes(1)?).ok_or_else(|| damaged("event_id"))?,
            stream_id: StreamId::from_slice(bytes(2)?).ok_or_else(|| damaged("stream_id"))?,
            stream_version: u64::try_from(number(3)?).map_err(|_| damaged("stream_version"))?,
            event_type: u16::try_from(number(4)?).map_err(|_| damaged("event_type"))?,
            schema_version: u16::try_from(number(5)?).map_err(|_| damaged("schema_version"))?,
            recorded_at: Timestamp::from_micros(number(6)?),
            prev_hash: RecordHash::from_slice(bytes(7)?).ok_or_else(|| damaged("prev_hash"))?,
            payload_len: u32::try_from(number(8)?).map_err(|_| damaged("payload_len"))?,
            payload_digest: PayloadDigest::from_slice(bytes(9)?)
                .ok_or_else(|| damaged("payload_digest"))?,
        };
        let record_hash =
            RecordHash::from_slice(bytes(10)?).ok_or_else(|| damaged("record_hash"))?;
        let salt: Option<&[u8]> = row.try_get(11).map_err(failed())?;
        let payload: Option<Vec<u8>> = row.try_get(12).map_err(failed())?;
        let payload = match (salt, payload) {
            (Some(salt), Some(payload)) => {
                Some((salt.try_into().map_err(|_| damaged("salt"))?, payload))
            }
            _ => None,
        };
        let erased_by: Option<i64> = row.try_get(13).map_err(failed())?;
        let erased_by = erased_by
            .map(|by| u64::try_from(by).map_err(|_| damaged("erased_by")))
            .transpose()?;
        Ok(Self {
            header,
            record_hash,
            payload,
            erased_by,
        })
    }

    /// Salt and payload, or the position of the event that erased them.
    ///
    /// # Errors
    /// When there is neither, or both: nothing takes payloads away but an erasure, and it does so in
    /// the commit that records it.
    pub(crate) fn content(&self) -> Result<Content<'_>, Error> {
        let damaged = |what: &str| Error::Damaged {
            position: self.header.position,
            what: what.to_owned(),
        };
        match (&self.payload, self.erased_by) {
            (Some((salt, payload)), None) => Ok(Content::Payload(salt, payload)),
            (None, Some(by)) => Ok(Content::Erased(by)),
            (None, None) => Err(damaged("its payload is missing")),
            (Some(_), Some(_)) => Err(damaged("its payload was erased, and stands there again")),
        }
    }

    /// The record's hash, where header and payload are what was hashed when they were written.
    ///
    /// # Errors
    /// [`Error::Damaged`] with what differs.
    pub(crate) fn check_hashes(&self) -> Result<RecordHash, Error> {
        let header = &self.header;
        let damaged = |what: String| Error::Damaged {
            position: header.position,
            what,
        };
        let computed = header.record_hash();
        if computed != self.record_hash {
            return Err(damaged(format!(
                "its hash is {computed}, but {} is stored",
                self.record_hash
            )));
        }
        if let Content::Payload(salt, payload) = self.content()?
            && (payload_digest(salt, payload) != header.payload_digest
                || u32::try_from(payload.len()) != Ok(header.payload_len))
        {
            return Err(damaged("its payload does not match its digest".to_owned()));
        }
        Ok(computed)
    }

    /// Decodes the payload; what was erased is an event form of its own.
    pub(crate) fn into_recorded(self) -> Result<Recorded, Error> {
        let position = self.header.position;
        let payload = match self.content()? {
            Content::Payload(_, payload) => payload,
            Content::Erased(by) => return Ok(Recorded::erased(self.header, by)),
        };
        let (envelope, event) =
            Event::decode(self.header.event_type, self.header.schema_version, payload)
                .map_err(|source| Error::Decode { position, source })?;
        Ok(Recorded {
            header: self.header,
            envelope,
            event,
        })
    }
}

fn decode_rows(rows: &[SqliteRow]) -> Result<Vec<Recorded>, Error> {
    rows.iter()
        .map(|row| StoredRecord::from_row(row)?.into_recorded())
        .collect()
}

/// The next position, by what stands in the table.
pub(crate) async fn stored_size(connection: &mut SqliteConnection) -> Result<u64, Error> {
    next_position(
        connection,
        "SELECT coalesce(max(position) + 1, 0) FROM events",
    )
    .await
}

/// The next position of a payload, by what stands in the table.
pub(super) async fn stored_payloads(connection: &mut SqliteConnection) -> Result<u64, Error> {
    next_position(
        connection,
        "SELECT coalesce(max(position) + 1, 0) FROM payloads",
    )
    .await
}

async fn next_position(connection: &mut SqliteConnection, sql: &'static str) -> Result<u64, Error> {
    let failed = || Error::database("reading the size of the log");
    let row = sqlx::query(sql)
        .fetch_one(connection)
        .await
        .map_err(failed())?;
    let size: i64 = row.try_get(0).map_err(failed())?;
    Ok(u64::try_from(size).unwrap_or(0))
}

/// The events of one stream below a position, in order. What is decided follows from them, so each is held to
/// its hash here, and to its place in the stream; beyond the size that this process knows, nothing in the
/// file is its own.
pub(crate) async fn read_stream<'c, E>(
    executor: E,
    stream: StreamId,
    size: u64,
) -> Result<Vec<Recorded>, Error>
where
    E: sqlx::Executor<'c, Database = Sqlite>,
{
    let rows = sqlx::query(select!(
        "stream_id = ? AND position < ? ORDER BY stream_version"
    ))
    .bind(stream.as_bytes().as_slice())
    .bind(signed(size))
    .fetch_all(executor)
    .await
    .map_err(Error::database("reading a stream"))?;
    let mut events: Vec<Recorded> = Vec::with_capacity(rows.len());
    for (version, row) in (0_u64..).zip(&rows) {
        let stored = StoredRecord::from_row(row)?;
        let position = stored.header.position;
        let damaged = |what: String| Error::Damaged { position, what };
        if stored.header.stream_version != version {
            return Err(damaged(format!("event {version} of its stream is missing")));
        }
        if events
            .last()
            .is_some_and(|last| last.position() >= position)
        {
            return Err(damaged(
                "it stands before the one that it follows".to_owned(),
            ));
        }
        stored.check_hashes()?;
        events.push(stored.into_recorded()?);
    }
    Ok(events)
}

/// Reads committed events from the ledger file.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: SqlitePool,
}

impl Reader {
    pub(crate) const fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    pub(crate) const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Opens a ledger file to read, without becoming its writer.
    pub async fn open(url: &str) -> Result<Self, Error> {
        let path = super::file_of(url)?;
        Ok(Self {
            pool: super::connect_reader(&path).await?,
        })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> std::path::PathBuf {
        self.pool.connect_options().get_filename().to_owned()
    }

    /// The ledger's id; `None` in a file that holds no event yet.
    pub async fn ledger_id(&self) -> Result<Option<crate::id::LedgerId>, Error> {
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(Error::database("opening a reader"))?;
        Ok(super::read_head(&mut connection)
            .await?
            .map(|head| head.ledger_id))
    }

    /// The size of the log: the next position.
    pub async fn size(&self) -> Result<u64, Error> {
        let mut connection = self
            .pool
            .acquire()
            .await
            .map_err(Error::database("opening a reader"))?;
        stored_size(&mut connection).await
    }

    /// Up to `limit` events from a position on.
    pub async fn events_from(&self, position: u64, limit: u32) -> Result<Vec<Recorded>, Error> {
        let rows = sqlx::query(select!("position >= ? ORDER BY position LIMIT ?"))
            .bind(signed(position))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(Error::database("reading events"))?;
        decode_rows(&rows)
    }

    /// The newest events before a position in their order: at most so many, with payloads of at most so
    /// many bytes together.
    pub(crate) async fn newest_events(
        &self,
        size: u64,
        limit: u32,
        most_bytes: u64,
    ) -> Result<Vec<Recorded>, Error> {
        let failed = || Error::database("reading the sizes of the newest events");
        let from = size.saturating_sub(u64::from(limit));
        let rows = sqlx::query(
            "SELECT position, payload_len FROM events WHERE position >= ? ORDER BY position DESC",
        )
        .bind(signed(from))
        .fetch_all(&self.pool)
        .await
        .map_err(failed())?;
        let mut first = size;
        let mut bytes = 0_u64;
        for row in &rows {
            let position: i64 = row.try_get(0).map_err(failed())?;
            let length: i64 = row.try_get(1).map_err(failed())?;
            bytes = bytes.saturating_add(u64::try_from(length).unwrap_or(0));
            if bytes > most_bytes {
                break;
            }
            first = u64::try_from(position).unwrap_or(0);
        }
        self.events_from(first, limit).await
    }

    /// As [`Self::events_from`], but ends with the event whose payload brings their sum to
    /// `most_bytes`.
    pub async fn events_within(
        &self,
        position: u64,
        limit: u32,
        most_bytes: u64,
    ) -> Result<Vec<Recorded>, Error> {
        let mut rows = sqlx::query(select!("position >= ? ORDER BY position LIMIT ?"))
            .bind(signed(position))
            .bind(i64::from(limit))
            .fetch(&self.pool);
        let mut events = Vec::new();
        let mut bytes = 0;
        while bytes < most_bytes {
            let row = rows.try_next().await;
            let Some(row) = row.map_err(Error::database("reading events"))? else {
                break;
            };
            let decoded = decode_rows(&[row])?;
            for event in decoded {
                bytes += u64::from(event.header.payload_len);
                events.push(event);
            }
        }
        Ok(events)
    }

    /// Up to `limit` records from a position on, as they are stored: nothing is decoded or compared.
    pub async fn records_from(
        &self,
        position: u64,
        limit: u32,
    ) -> Result<Vec<StoredRecord>, Error> {
        let rows = sqlx::query(select!("position >= ? ORDER BY position LIMIT ?"))
            .bind(signed(position))
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(Error::database("reading records"))?;
        rows.iter().map(StoredRecord::from_row).collect()
    }

    /// As [`Self::records_from`], but ends with the record whose payload brings their sum to
    /// `most_bytes`. Never empty where there is a record, however large its payload is.
    pub async fn records_within(
        &self,
        position: u64,
        limit: u32,
        most_bytes: u64,
    ) -> Result<Vec<StoredRecord>, Error> {
        let mut rows = sqlx::query(select!("position >= ? ORDER BY position LIMIT ?"))
            .bind(signed(position))
            .bind(i64::from(limit))
            .fetch(&self.pool);
        let mut records = Vec::new();
        let mut bytes = 0;
        while bytes < most_bytes {
            let row = rows.try_next().await;
            let Some(row) = row.map_err(Error::database("reading records"))? else {
                break;
            };
            let record = StoredRecord::from_row(&row)?;
            bytes += u64::from(record.header.payload_len);
            records.push(record);
        }
        Ok(records)
    }

    /// The headers from a position on, up to `limit` of them. Payloads, which can be large, are not
    /// read.
    pub async fn headers_from(&self, position: u64, limit: u32) -> Result<Vec<Header>, Error> {
        let rows = sqlx::query(
            "SELECT position, event_id, stream_id, stream_version, event_type, schema_version, \
             recorded_at, prev_hash, payload_len, payload_digest, record_hash, \
             NULL, NULL, NULL \
             FROM events WHERE position >= ? ORDER BY position LIMIT ?",
        )
        .bind(signed(position))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await
        .map_err(Error::database("reading headers"))?;
        rows.iter()
            .map(|row| Ok(StoredRecord::from_row(row)?.header))
            .collect()
    }

    /// The events of one stream, in order; none when there is no such stream.
    pub async fn stream(&self, stream: impl Into<StreamId>) -> Result<Vec<Recorded>, Error> {
        read_stream(&self.pool, stream.into(), u64::MAX).await
    }

    /// Whether a stream was erased.
    pub async fn is_erased(&self, stream: impl Into<StreamId>) -> Result<bool, Error> {
        let row = sqlx::query(
            "SELECT 1 FROM events JOIN erasures USING (position)
             WHERE stream_id = ? AND stream_version = 0",
        )
        .bind(stream.into().as_bytes().as_slice())
        .fetch_optional(&self.pool)
        .await
        .map_err(Error::database("reading the erasures"))?;
        Ok(row.is_some())
    }

    /// The hash of the record at a position; `None` when the log is shorter.
    pub async fn record_hash(&self, position: u64) -> Result<Option<RecordHash>, Error> {
        let failed = || Error::database("reading a record's hash");
        let row = sqlx::query("SELECT record_hash FROM events WHERE position = ?")
            .bind(signed(position))
            .fetch_optional(&self.pool)
            .await
            .map_err(failed())?;
        let Some(row) = row else { return Ok(None) };
        let hash: Vec<u8> = row.try_get(0).map_err(failed())?;
        Ok(RecordHash::from_slice(&hash))
    }

    /// The event type and the hash of the record at a position, whether or not this version can read
    /// what it says; `None` when the log is shorter or its row holds neither.
    pub async fn form(&self, position: u64) -> Result<Option<(u16, RecordHash)>, Error> {
        let failed = || Error::database("reading a record's form");
        let row = sqlx::query("SELECT event_type, record_hash FROM events WHERE position = ?")
            .bind(signed(position))
            .fetch_optional(&self.pool)
            .await
            .map_err(failed())?;
        let Some(row) = row else { return Ok(None) };
        let event_type: i64 = row.try_get(0).map_err(failed())?;
        let hash: Vec<u8> = row.try_get(1).map_err(failed())?;
        Ok(u16::try_from(event_type)
            .ok()
            .zip(RecordHash::from_slice(&hash)))
    }
}
