//! A copy of the ledger as it is at one moment, while it is written to.

use crate::error::OpenError;
use crate::failure::database;
use crate::read::Reader;
use std::path::Path;

impl Reader {
    /// Writes the ledger, as of one moment, into a new file: the same rows, byte for byte, and no page
    /// that is free. The writer goes on meanwhile; SQLite's log only grows until the copy is done. The
    /// file may exist if it is empty, so that the caller decides who may read it; it is not synced to
    /// disk, and a copy that fails leaves an incomplete file behind.
    ///
    /// # Errors
    /// When the ledger cannot be read or the file not be written, as on a disk that is full.
    pub async fn copy_into(&self, file: &Path) -> Result<(), OpenError> {
        let name = file.to_str().ok_or_else(|| OpenError::InvalidUrl {
            url: file.display().to_string(),
        })?;
        sqlx::query("VACUUM INTO ?")
            .bind(name)
            .execute(self.pool())
            .await
            .map_err(database("copying the ledger"))?;
        Ok(())
    }
}
