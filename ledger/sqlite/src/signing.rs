//! The signer of this ledger's checkpoints: one row, written once.

use crate::failure::database;
use crate::read::Reader;
use ledger::storage::ReadError;
use ledger::tlog::{LogKey, LogOrigin};
use sqlx::{Row as _, SqliteConnection};

/// The signer of this ledger's checkpoints; `None` when it was never signed.
pub(super) async fn read_signing(
    connection: &mut SqliteConnection,
) -> Result<Option<(LogOrigin, LogKey)>, ReadError> {
    let failed = || database("reading who signs");
    let row = sqlx::query("SELECT origin, vkey FROM signing WHERE id = 1")
        .fetch_optional(connection)
        .await
        .map_err(failed())?;
    let Some(row) = row else { return Ok(None) };
    let text = |index: usize| row.try_get::<String, _>(index).map_err(failed());
    let damaged = || ReadError::Damaged {
        position: 0,
        what: "the row that says who signs does not hold an origin and a key".to_owned(),
    };
    let origin = text(0)?.parse().map_err(|_| damaged())?;
    let key = text(1)?.parse().map_err(|_| damaged())?;
    Ok(Some((origin, key)))
}

pub(super) async fn write_signing(
    connection: &mut SqliteConnection,
    origin: &LogOrigin,
    key: &LogKey,
) -> Result<(), ReadError> {
    sqlx::query(
        "INSERT INTO signing (id, origin, vkey) VALUES (1, ?1, ?2)
         ON CONFLICT (id) DO UPDATE SET origin = ?1, vkey = ?2",
    )
    .bind(origin.as_str())
    .bind(key.to_string())
    .execute(connection)
    .await
    .map_err(database("noting who signs"))?;
    Ok(())
}

impl Reader {
    /// The origin of this ledger's checkpoints, and the key that verifies them; `None` when none was
    /// ever signed.
    ///
    /// # Errors
    /// When the file cannot be read, or is of a version before checkpoints.
    pub async fn signing(&self) -> Result<Option<(LogOrigin, LogKey)>, ReadError> {
        read_signing(&mut *self.connection().await?).await
    }
}
