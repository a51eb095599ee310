//! The tables of what decisions look up: the rows of [`Lookups`], written with the events.

use crate::failure::database;
use crate::script::{MultiRow, Script, Size};
use ledger::storage::{LookupKey, LookupKind, LookupValues, Lookups, ReadError};
use ledger::{StreamId, TaskId};
use sqlx::{Row as _, SqliteConnection};
use std::sync::{Arc, LazyLock};

/// Reads the values of many keys; those without a value are left out.
pub(super) async fn read_lookups(
    connection: &mut SqliteConnection,
    keys: &[LookupKey],
) -> Result<LookupValues, ReadError> {
    static READ: LazyLock<MultiRow> = LazyLock::new(|| {
        MultiRow::new(
            "SELECT kind, key, value FROM lookups WHERE (kind, key) IN (VALUES",
            2,
            ")",
        )
    });
    let failed = || database("looking up keys");
    let mut found = Vec::with_capacity(keys.len());
    for chunk in READ.chunks(keys) {
        let mut query = sqlx::query(sqlx::AssertSqlSafe(Arc::clone(&chunk.sql)));
        for key in chunk.rows {
            let (kind, key) = key.parts();
            query = query.bind(kind as i64).bind(key);
        }
        for row in chunk
            .filled(query)
            .fetch_all(&mut *connection)
            .await
            .map_err(failed())?
        {
            let kind: i64 = row.try_get(0).map_err(failed())?;
            let key: Vec<u8> = row.try_get(1).map_err(failed())?;
            let value: Vec<u8> = row.try_get(2).map_err(failed())?;
            let mut asked = chunk.rows.iter();
            let is_it = |asked: &&LookupKey| {
                let (its_kind, its_key) = asked.parts();
                its_kind as i64 == kind && its_key == key
            };
            if let Some(asked) = asked.find(is_it) {
                found.push((asked.clone(), value));
            }
        }
    }
    Ok(found)
}

/// Reads every row of a kind.
pub(super) async fn read_all_lookups(
    connection: &mut SqliteConnection,
    kind: LookupKind,
) -> Result<LookupValues, ReadError> {
    let failed = || database("reading the lookups of a kind");
    let rows = sqlx::query("SELECT key, value FROM lookups WHERE kind = ?")
        .bind(kind as i64)
        .fetch_all(connection)
        .await
        .map_err(failed())?;
    let row = |row: &sqlx::sqlite::SqliteRow| {
        let key = LookupKey::of_row(kind, row.try_get(0)?);
        Ok((key, row.try_get(1)?))
    };
    let rows = rows.iter().map(row).collect::<Result<_, sqlx::Error>>();
    rows.map_err(failed())
}

/// The rows that a batch adds to the lookup tables, and those that it takes away.
pub(super) struct LookupRows<'a> {
    removed: Vec<&'a LookupKey>,
    values: Vec<(&'a LookupKey, &'a Vec<u8>)>,
    opened: Vec<&'a (TaskId, StreamId)>,
    closed: Vec<&'a (TaskId, StreamId)>,
}

impl<'a> LookupRows<'a> {
    pub(super) fn of(lookups: &'a Lookups) -> Self {
        let open = |wanted| {
            let rows = lookups.open().iter();
            rows.filter(move |(_, open)| **open == wanted)
                .map(|(id, _)| id)
                .collect()
        };
        Self {
            removed: lookups.removed().iter().collect(),
            values: lookups.values().iter().collect(),
            opened: open(true),
            closed: open(false),
        }
    }

    /// How many there are of the kind that there are most of.
    pub(super) fn most(&self) -> usize {
        let counts = [
            self.removed.len(),
            self.values.len(),
            self.opened.len(),
            self.closed.len(),
        ];
        counts.into_iter().max().unwrap_or(0)
    }

    pub(super) fn write(&self, script: &mut Script, size: Size) {
        static PUT: LazyLock<MultiRow> = LazyLock::new(|| {
            let conflict = " ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value";
            MultiRow::insert("lookups", "kind, key, value", conflict)
        });
        static OPEN: LazyLock<MultiRow> = LazyLock::new(|| {
            let conflict = " ON CONFLICT (task_id, stream_id) DO NOTHING";
            MultiRow::insert("open_streams", "task_id, stream_id", conflict)
        });
        static CLOSE: LazyLock<MultiRow> = LazyLock::new(|| {
            MultiRow::new(
                "DELETE FROM open_streams WHERE (task_id, stream_id) IN (VALUES",
                2,
                ")",
            )
        });
        static REMOVE: LazyLock<MultiRow> = LazyLock::new(|| {
            MultiRow::new("DELETE FROM lookups WHERE (kind, key) IN (VALUES", 2, ")")
        });
        let bind_key = |script: &mut Script, key: &LookupKey| {
            let (kind, key) = key.parts();
            script.bind(kind as i64).bind(key);
        };
        let bind_stream = |script: &mut Script, (task, stream): &(TaskId, StreamId)| {
            script
                .bind(task.as_bytes().as_slice())
                .bind(stream.as_bytes().as_slice());
        };
        script.add_rows(&REMOVE, size, &self.removed, |script, key| {
            bind_key(script, key);
        });
        script.add_rows(&PUT, size, &self.values, |script, (key, value)| {
            bind_key(script, key);
            script.bind(value.as_slice());
        });
        script.add_rows(&OPEN, size, &self.opened, |script, row| {
            bind_stream(script, row);
        });
        script.add_rows(&CLOSE, size, &self.closed, |script, row| {
            bind_stream(script, row);
        });
    }
}

/// The streams of all tasks that stand as open in the file.
pub(super) async fn read_all_open_streams(
    connection: &mut SqliteConnection,
) -> Result<Vec<StreamId>, ReadError> {
    let failed = || database("reading all open streams");
    let rows = sqlx::query("SELECT stream_id FROM open_streams")
        .fetch_all(connection)
        .await
        .map_err(failed())?;
    streams_of(&rows)
}

/// The streams of a task that stand as open in the file.
pub(super) async fn read_open_streams(
    connection: &mut SqliteConnection,
    task: TaskId,
) -> Result<Vec<StreamId>, ReadError> {
    let failed = || database("reading open streams");
    let rows = sqlx::query("SELECT stream_id FROM open_streams WHERE task_id = ?")
        .bind(task.as_bytes().as_slice())
        .fetch_all(connection)
        .await
        .map_err(failed())?;
    streams_of(&rows)
}

fn streams_of(rows: &[sqlx::sqlite::SqliteRow]) -> Result<Vec<StreamId>, ReadError> {
    let mut streams = Vec::with_capacity(rows.len());
    for row in rows {
        let bytes: Vec<u8> = row.try_get(0).map_err(database("reading open streams"))?;
        streams.extend(StreamId::from_slice(&bytes));
    }
    Ok(streams)
}
