//! Taking payloads away, and finding what there is to take.

use super::append::signed;
use super::read::{Reader, stored_size};
use super::script::MultiRow;
use crate::error::Error;
use crate::event::Event;
use crate::id::{AgentId, StreamId, TaskId};
use futures_util::TryStreamExt as _;
use sqlx::{Row as _, SqliteConnection};
use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

/// Takes the payloads and salts at these positions away. The transaction is the caller's, and has
/// appended the event at `erased_by` that says so: the triggers ask for it.
pub(crate) async fn erase(
    connection: &mut SqliteConnection,
    erased_by: u64,
    positions: &[u64],
) -> Result<(), Error> {
    static RECORD: LazyLock<MultiRow> =
        LazyLock::new(|| MultiRow::insert("erasures", "position, erased_by", ""));
    static ERASE: LazyLock<MultiRow> =
        LazyLock::new(|| MultiRow::new("DELETE FROM payloads WHERE position IN (VALUES", 1, ")"));
    let failed = || Error::database("erasing payloads");
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

/// Which streams to look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sought {
    /// Those of a task, without the task's own.
    OfTask(TaskId),
    /// The tasks of an agent.
    TasksOf(AgentId),
}

/// Streams that were found, and up to which size of the log they were sought.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub(crate) streams: BTreeSet<StreamId>,
    pub(crate) size: u64,
}

impl Found {
    /// Goes on from where it was, up to the end of the log. A stream says in its first event whose it
    /// is; those that were erased say nothing any more.
    pub(crate) async fn seek(
        &mut self,
        connection: &mut SqliteConnection,
        sought: Sought,
    ) -> Result<(), Error> {
        let size = stored_size(connection).await?;
        let failed = || Error::database("looking for what is to be erased");
        let mut rows = sqlx::query(
            "SELECT position, stream_id, event_type, schema_version, payload
             FROM events JOIN payloads USING (position)
             WHERE position >= ? AND stream_version = 0 ORDER BY position",
        )
        .bind(signed(self.size))
        .fetch(&mut *connection);
        while let Some(row) = rows.try_next().await.map_err(failed())? {
            let number = |index: usize| -> Result<i64, Error> {
                let value: i64 = row.try_get(index).map_err(failed())?;
                Ok(value)
            };
            let position = u64::try_from(number(0)?).unwrap_or(0);
            let damaged = || Error::Damaged {
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
            .map_err(|source| Error::Decode { position, source })?;
            if belongs(&event, sought) {
                self.streams
                    .insert(StreamId::from_slice(stream).ok_or_else(damaged)?);
            }
        }
        drop(rows);
        self.size = size;
        Ok(())
    }
}

fn belongs(first: &Event, sought: Sought) -> bool {
    match sought {
        Sought::OfTask(task) => {
            let own = matches!(first, Event::TaskCreated(_));
            !own && first.task_id() == Some(task)
        }
        Sought::TasksOf(agent) => {
            matches!(first, Event::TaskCreated(created) if created.agent_id == agent)
        }
    }
}

impl Reader {
    /// Checks the table of erasures against the events that say what was erased: neither lists a
    /// position that the other does not. Gives how many payloads were erased.
    ///
    /// # Errors
    /// [`Error::Damaged`] with the first position at which they differ.
    pub async fn verify_erasures(&self) -> Result<u64, Error> {
        let mut snapshot = self
            .pool()
            .begin()
            .await
            .map_err(Error::database("opening a reader"))?;
        let mut rows = sqlx::query("SELECT position, erased_by FROM erasures")
            .fetch_all(&mut *snapshot)
            .await
            .map_err(Error::database("reading the erasures"))?
            .iter()
            .map(|row| Ok((row.try_get::<i64, _>(0)?, row.try_get::<i64, _>(1)?)))
            .collect::<Result<BTreeSet<_>, sqlx::Error>>()
            .map_err(Error::database("reading the erasures"))?;
        let count = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        let Some(head) = super::read_head(&mut snapshot).await? else {
            return Ok(0);
        };
        for recorded in super::read_stream(&mut *snapshot, head.ledger_id.into(), head.size).await?
        {
            let Event::LedgerErased(erased) = &recorded.event else {
                continue;
            };
            let by = recorded.position();
            for range in &erased.positions {
                for position in range.from..range.until.min(by) {
                    if !rows.remove(&(signed(position), signed(by))) {
                        return Err(Error::Damaged {
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
            Some((position, by)) => Err(Error::Damaged {
                position: u64::try_from(*position).unwrap_or(0),
                what: format!("it is gone, and the event at position {by} does not say so"),
            }),
            None => Ok(count),
        }
    }
}
