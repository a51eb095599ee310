//! Taking payloads away, and finding what there is to take.

use crate::append::signed;
use crate::failure::database;
use crate::read::{Reader, read_stream, stored_size};
use crate::script::MultiRow;
use crate::tail::{FileHead, read_head};
use futures_util::TryStreamExt as _;
use ledger::StreamId;
use ledger::event::Event;
use ledger::storage::{ReadError, TakeFirst};
use sqlx::{Row as _, SqliteConnection};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// Takes the payloads and salts at these positions away. The transaction is the caller's, and has
/// appended the event at `erased_by` that says so: the triggers ask for it.
pub(super) async fn erase(
    connection: &mut SqliteConnection,
    erased_by: u64,
    positions: &[u64],
) -> Result<(), ReadError> {
    static RECORD: LazyLock<MultiRow> =
        LazyLock::new(|| MultiRow::insert("erasures", "position, erased_by", ""));
    static ERASE: LazyLock<MultiRow> =
        LazyLock::new(|| MultiRow::new("DELETE FROM payloads WHERE position IN (VALUES", 1, ")"));
    let failed = || database("erasing payloads");
    for chunk in RECORD.chunks(positions) {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(Arc::clone(&chunk.sql)));
        for position in chunk.rows {
            query = query.bind(signed(*position)).bind(signed(erased_by));
        }
        chunk
            .filled(query)
            .execute(&mut *connection)
            .await
            .map_err(failed())?;
    }
    for chunk in ERASE.chunks(positions) {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(Arc::clone(&chunk.sql)));
        for position in chunk.rows {
            query = query.bind(signed(*position));
        }
        chunk
            .filled(query)
            .execute(&mut *connection)
            .await
            .map_err(failed())?;
    }
    Ok(())
}

/// Gives the first event of each stream from a position on; see [`ledger::storage::Storage::first_events`].
/// A stream says in its first event whose it is; those that were erased say nothing any more.
pub(super) async fn read_first_events(
    connection: &mut SqliteConnection,
    from: u64,
    take: TakeFirst<'_>,
) -> Result<u64, ReadError> {
    let size = stored_size(connection).await?;
    let failed = || database("looking for what is to be erased");
    let mut rows = sqlx::query(
        "SELECT position, stream_id, event_type, schema_version, payload
         FROM events JOIN payloads USING (position)
         WHERE position >= ? AND stream_version = 0 ORDER BY position",
    )
    .bind(signed(from))
    .fetch(&mut *connection);
    while let Some(row) = rows.try_next().await.map_err(failed())? {
        let number =
            |index: usize| -> Result<i64, ReadError> { row.try_get(index).map_err(failed()) };
        let position = u64::try_from(number(0)?).unwrap_or(0);
        let damaged = || ReadError::Damaged {
            position,
            what: "its header does not hold what it should".to_owned(),
        };
        let stream: &[u8] = row.try_get(1).map_err(failed())?;
        let payload: &[u8] = row.try_get(4).map_err(failed())?;
        let (_, event) = Event::decode(
            u16::try_from(number(2)?).map_err(|_| damaged())?,
            u16::try_from(number(3)?).map_err(|_| damaged())?,
            payload,
        )
        .map_err(|source| ReadError::Decode { position, source })?;
        take(StreamId::from_slice(stream).ok_or_else(damaged)?, event);
    }
    drop(rows);
    Ok(size)
}

impl Reader {
    /// Checks the table of erasures against the events that say what was erased: neither lists a
    /// position that the other does not. Gives how many payloads were erased.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] with the first position at which they differ.
    pub async fn verify_erasures(&self) -> Result<u64, ReadError> {
        let mut snapshot = self
            .pool()
            .begin()
            .await
            .map_err(database("opening a reader"))?;
        let mut rows = sqlx::query("SELECT position, erased_by FROM erasures")
            .fetch_all(&mut *snapshot)
            .await
            .map_err(database("reading the erasures"))?
            .iter()
            .map(|row| Ok((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?)))
            .collect::<Result<BTreeSet<_>, sqlx::Error>>()
            .map_err(database("reading the erasures"))?;
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let Some(FileHead { head, .. }) = read_head(&mut snapshot).await? else {
            return Ok(0);
        };
        for recorded in read_stream(&mut *snapshot, head.ledger_id.into(), head.size).await? {
            let Event::LedgerErased(erased) = &recorded.event else {
                continue;
            };
            let by = recorded.position();
            for range in &erased.positions {
                for position in range.from..range.until.min(by) {
                    if !rows.remove(&(signed(position), signed(by))) {
                        return Err(ReadError::Damaged {
                            position,
                            what: format!(
                                "the event at position {by} erased it, and it stands there"
                            ),
                        });
                    }
                }
            }
        }
        match rows.first() {
            Some((position, by)) => Err(ReadError::Damaged {
                position: u64::try_from(*position).unwrap_or(0),
                what: format!("it is gone, and the event at position {by} does not say so"),
            }),
            None => Ok(count),
        }
    }
}
