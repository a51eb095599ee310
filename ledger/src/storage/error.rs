//! A storage that refused or failed.

use std::error::Error;

/// Why a storage did not do what was asked. The source is the storage's own error.
#[derive(Debug, thiserror::Error)]
#[error("the ledger's database failed while {doing}")]
pub struct StorageError {
    doing: &'static str,
    kind: StorageErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

/// What follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageErrorKind {
    /// It may pass, as a disk that is full does.
    Passing,
    /// What was written may never become durable, although it can be read: the system may have dropped
    /// what it could not write.
    NotSynced,
    /// What is stored is not what was written.
    Damaged,
}

impl StorageError {
    /// `doing` goes on from "failed while".
    pub fn new(
        kind: StorageErrorKind,
        doing: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self {
            doing,
            kind,
            source: source.into(),
        }
    }

    /// What follows from it.
    #[must_use]
    pub const fn kind(&self) -> StorageErrorKind {
        self.kind
    }
}
