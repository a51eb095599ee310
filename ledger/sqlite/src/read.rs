//! Reading the log. Readers never hold up the writer.

use crate::append::signed;
use crate::erasure::read_first_events;
use crate::error::OpenError;
use crate::failure::database;
use crate::lookup::{read_all_lookups, read_all_open_streams, read_lookups};
use crate::scan::RecordScan;
use crate::schema::{connect_reader, file_of};
use crate::tail::read_head;
use crate::tree::read_rows;
use futures_util::TryStreamExt as _;
use futures_util::stream::BoxStream;
use ledger::event::Recorded;
use ledger::record::{Header, PayloadDigest, RecordHash};
use ledger::storage::{
    BoxFuture, Head, Log, LookupKey, LookupKind, LookupValues, ReadError, Scan, StoredRecord,
    TakeFirst, push_of_stream,
};
use ledger::tlog::Lookup;
use ledger::{EventId, LedgerId, StreamId, Timestamp};
use sqlx::pool::PoolConnection;
use sqlx::sqlite::SqliteRow;
use sqlx::{Row as _, Sqlite, SqliteConnection, SqlitePool};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

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

/// All records from a position on, in order.
pub(super) fn stream_records(
    connection: &mut SqliteConnection,
    from: u64,
) -> BoxStream<'_, Result<SqliteRow, sqlx::Error>> {
    sqlx::query(select!("position >= ? ORDER BY position"))
        .bind(signed(from))
        .fetch(connection)
}

pub(super) fn record_of(row: &SqliteRow) -> Result<StoredRecord, ReadError> {
    let failed = || database("reading an event");
    let position: i64 = row.try_get(0).map_err(failed())?;
    let position = u64::try_from(position).unwrap_or(0);
    let damaged = |column: &str| ReadError::Damaged {
        position,
        what: format!("column {column} does not hold what it should"),
    };
    let bytes = |index: usize| -> Result<&[u8], ReadError> { row.try_get(index).map_err(failed()) };
    let number = |index: usize| -> Result<i64, ReadError> { row.try_get(index).map_err(failed()) };
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
    let record_hash = RecordHash::from_slice(bytes(10)?).ok_or_else(|| damaged("record_hash"))?;
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
    Ok(StoredRecord {
        header,
        record_hash,
        payload,
        erased_by,
    })
}

/// The next position, by what stands in the table.
pub(super) async fn stored_size(connection: &mut SqliteConnection) -> Result<u64, ReadError> {
    next_position(
        connection,
        "SELECT coalesce(max(position) + 1, 0) FROM events",
    )
    .await
}

/// The next position of a payload, by what stands in the table.
pub(super) async fn stored_payloads(connection: &mut SqliteConnection) -> Result<u64, ReadError> {
    next_position(
        connection,
        "SELECT coalesce(max(position) + 1, 0) FROM payloads",
    )
    .await
}

async fn next_position(
    connection: &mut SqliteConnection,
    sql: &'static str,
) -> Result<u64, ReadError> {
    let failed = || database("reading the size of the log");
    let row = sqlx::query(sql)
        .fetch_one(connection)
        .await
        .map_err(failed())?;
    let size: i64 = row.try_get(0).map_err(failed())?;
    Ok(u64::try_from(size).unwrap_or(0))
}

/// The events of one stream below a position, in order; beyond the size that this process knows, nothing in
/// the file is its own.
pub(super) async fn read_stream<'c, E>(
    executor: E,
    stream: StreamId,
    size: u64,
) -> Result<Vec<Recorded>, ReadError>
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
    .map_err(database("reading a stream"))?;
    let mut events = Vec::with_capacity(rows.len());
    for row in &rows {
        push_of_stream(&mut events, record_of(row)?)?;
    }
    Ok(events)
}

/// Reads committed events from the ledger file.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: SqlitePool,
}

impl Reader {
    pub(super) const fn new(pool: SqlitePool) -> Self {
        Self { pool }
    }

    pub(super) const fn pool(&self) -> &SqlitePool {
        &self.pool
    }

    /// Opens a ledger file to read, without becoming its writer.
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let path = file_of(url)?;
        Ok(Self {
            pool: connect_reader(&path).await?,
        })
    }

    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.pool.connect_options().get_filename().to_owned()
    }

    /// The ledger's id; `None` in a file that holds no event yet.
    pub async fn ledger_id(&self) -> Result<Option<LedgerId>, ReadError> {
        Ok(self.head().await?.map(|head| head.ledger_id))
    }

    /// The size of the log: the next position.
    pub async fn size(&self) -> Result<u64, ReadError> {
        stored_size(&mut *self.connection().await?).await
    }

    /// True when a stream was erased.
    pub async fn is_erased(&self, stream: impl Into<StreamId>) -> Result<bool, ReadError> {
        let row = sqlx::query(
            "SELECT 1 FROM events JOIN erasures USING (position)
             WHERE stream_id = ? AND stream_version = 0",
        )
        .bind(stream.into().as_bytes().as_slice())
        .fetch_optional(&self.pool)
        .await
        .map_err(database("reading the erasures"))?;
        Ok(row.is_some())
    }

    /// Computes a proof, a tile or a frontier from the stored tree.
    ///
    /// # Errors
    /// [`ReadError::Tree`] when the tree does not reach so far (yet), and what keeps it from being read.
    pub async fn compute<T>(&self, lookup: Lookup<T>) -> Result<T, ReadError> {
        let log: &dyn Log = self;
        log.compute(lookup).await
    }

    async fn read_within<T>(
        &self,
        (position, limit, most_bytes): (u64, u32, u64),
        take: impl Fn(StoredRecord) -> Result<T, ReadError> + Send,
    ) -> Result<Vec<T>, ReadError>
    where
        T: Send,
    {
        let mut rows = sqlx::query(select!("position >= ? ORDER BY position LIMIT ?"))
            .bind(signed(position))
            .bind(i64::from(limit))
            .fetch(&self.pool);
        let mut taken = Vec::new();
        let mut bytes = 0_u64;
        while bytes < most_bytes {
            let row = rows.try_next().await.map_err(database("reading events"))?;
            let Some(row) = row else { break };
            let record = record_of(&row)?;
            bytes = bytes.saturating_add(u64::from(record.header.payload_len));
            taken.push(take(record)?);
        }
        Ok(taken)
    }

    pub(super) async fn connection(&self) -> Result<PoolConnection<Sqlite>, ReadError> {
        let acquired = self.pool.acquire().await;
        acquired.map_err(database("opening a reader"))
    }
}

/// True when two names are of one file, also behind symbolic links.
fn is_same_file(one: &Path, other: &Path) -> bool {
    match (one.canonicalize(), other.canonicalize()) {
        (Ok(one), Ok(other)) => one == other,
        _ => one == other,
    }
}

impl Log for Reader {
    fn head(&self) -> BoxFuture<'_, Result<Option<Head>, ReadError>> {
        Box::pin(async move {
            let head = read_head(&mut *self.connection().await?).await?;
            Ok(head.map(|head| head.head))
        })
    }

    fn lookups<'a>(
        &'a self,
        keys: &'a [LookupKey],
    ) -> BoxFuture<'a, Result<LookupValues, ReadError>> {
        Box::pin(async move { read_lookups(&mut *self.connection().await?, keys).await })
    }

    fn all_lookups(&self, kind: LookupKind) -> BoxFuture<'_, Result<LookupValues, ReadError>> {
        Box::pin(async move { read_all_lookups(&mut *self.connection().await?, kind).await })
    }

    fn all_open_streams(&self) -> BoxFuture<'_, Result<Vec<StreamId>, ReadError>> {
        Box::pin(async move { read_all_open_streams(&mut *self.connection().await?).await })
    }

    fn stream(
        &self,
        stream: StreamId,
        size: u64,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, ReadError>> {
        Box::pin(read_stream(&self.pool, stream, size))
    }

    fn first_events<'a>(
        &'a self,
        from: u64,
        take: TakeFirst<'a>,
    ) -> BoxFuture<'a, Result<u64, ReadError>> {
        Box::pin(async move { read_first_events(&mut *self.connection().await?, from, take).await })
    }

    fn events_within(
        &self,
        position: u64,
        limit: u32,
        most_bytes: u64,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, ReadError>> {
        Box::pin(async move {
            let range = (position, limit, most_bytes);
            self.read_within(range, StoredRecord::into_recorded).await
        })
    }

    fn newest_events(
        &self,
        size: u64,
        limit: u32,
        most_bytes: u64,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, ReadError>> {
        Box::pin(async move {
            let failed = || database("reading the sizes of the newest events");
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
        })
    }

    fn records_within(
        &self,
        position: u64,
        limit: u32,
        most_bytes: u64,
    ) -> BoxFuture<'_, Result<Vec<StoredRecord>, ReadError>> {
        Box::pin(self.read_within((position, limit, most_bytes), Ok))
    }

    fn headers_from(
        &self,
        position: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Header>, ReadError>> {
        Box::pin(async move {
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
            .map_err(database("reading headers"))?;
            rows.iter().map(|row| Ok(record_of(row)?.header)).collect()
        })
    }

    fn form(&self, position: u64) -> BoxFuture<'_, Result<Option<(u16, RecordHash)>, ReadError>> {
        Box::pin(async move {
            let failed = || database("reading a record's form");
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
        })
    }

    fn tree_rows(
        &self,
        positions: BTreeSet<u64>,
    ) -> BoxFuture<'_, Result<BTreeMap<u64, Vec<u8>>, ReadError>> {
        Box::pin(async move { read_rows(&mut *self.connection().await?, positions).await })
    }

    fn scan(&self) -> Result<Box<dyn Scan>, ReadError> {
        let scan = RecordScan::open(&self.path()).map_err(OpenError::while_reading)?;
        Ok(Box::new(scan))
    }

    fn is_kept_in(&self, file: &Path) -> bool {
        is_same_file(&self.path(), file)
    }

    fn bytes_free(&self) -> Option<u64> {
        let path = self.path();
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        let found = rustix::fs::statvfs(folder.unwrap_or(Path::new("."))).ok()?;
        Some(found.f_bavail.saturating_mul(found.f_frsize))
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a gauge is a double, and no log is that exact"
    )]
    fn measure(&self) {
        let mut log = self.path().into_os_string();
        log.push("-wal");
        if let Ok(log) = std::fs::metadata(log) {
            metrics::gauge!("ledger_wal_bytes").set(log.len() as f64);
        }
    }
}
