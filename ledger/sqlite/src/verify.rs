//! The lookup tables are what the events make them, and nothing else.

use crate::failure::database;
use crate::read::{Reader, record_of, stream_records};
use crate::schema::{has_kind, pragma};
use futures_util::TryStreamExt as _;
use ledger::storage::{LookupFold, Lookups, ReadError, Rows};
use sqlx::{Row as _, SqliteConnection};

impl Reader {
    /// Folds the whole log and compares the lookup tables with what they should hold. It reads
    /// every event and keeps every key in memory: for audits and tests, not for a start.
    ///
    /// # Errors
    /// [`ReadError::LookupsDiffer`] with the first row that is missing or too many; and what keeps the
    /// log from being read.
    pub async fn verify_lookups(&self) -> Result<(), ReadError> {
        // One transaction, so that log and tables are of the same moment.
        let mut snapshot = self
            .pool()
            .begin()
            .await
            .map_err(database("opening a reader"))?;
        let expected = fold(&mut snapshot).await?;
        let (mut values, open) = expected.rows();
        let version = pragma(&mut snapshot, "PRAGMA user_version").await?;
        values.retain(|row| {
            let kind = row.first().and_then(|kind| std::str::from_utf8(kind).ok());
            let kind = kind.and_then(|kind| kind.parse().ok());
            kind.is_none_or(|kind| has_kind(version, kind))
        });
        let tables = [
            (
                "lookups",
                "SELECT CAST(kind AS TEXT), key, value FROM lookups",
                3,
                values,
            ),
            (
                "open_streams",
                "SELECT task_id, stream_id FROM open_streams",
                2,
                open,
            ),
        ];
        for (table, sql, columns, expected) in tables {
            let found = read(&mut snapshot, sql, columns).await?;
            let differs = |what: &str, row: &[Vec<u8>]| ReadError::LookupsDiffer {
                table,
                what: format!("{what} {}", shown(row)),
            };
            if let Some(row) = expected.difference(&found).next() {
                return Err(differs("there should be", row));
            }
            if let Some(row) = found.difference(&expected).next() {
                return Err(differs("there should not be", row));
            }
        }
        Ok(())
    }
}

async fn fold(connection: &mut SqliteConnection) -> Result<Lookups, ReadError> {
    let mut fold = LookupFold::default();
    let mut rows = stream_records(connection, 0);
    while let Some(row) = rows.try_next().await.map_err(database("reading the log"))? {
        let recorded = record_of(&row)?.into_recorded()?;
        fold.take(
            recorded.stream_id(),
            &recorded.envelope.actor,
            &recorded.event,
        );
    }
    Ok(fold.finish())
}

async fn read(
    connection: &mut SqliteConnection,
    sql: &'static str,
    columns: usize,
) -> Result<Rows, ReadError> {
    let failed = || database("reading lookups");
    let rows = sqlx::query(sql)
        .fetch_all(connection)
        .await
        .map_err(failed())?;
    rows.iter()
        .map(|row| {
            (0..columns)
                .map(|index| row.try_get_unchecked::<Vec<u8>, _>(index))
                .collect()
        })
        .collect::<Result<_, sqlx::Error>>()
        .map_err(failed())
}

fn shown(row: &[Vec<u8>]) -> String {
    let columns: Vec<_> = row.iter().map(hex::encode).collect();
    columns.join(" ")
}
