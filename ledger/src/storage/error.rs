//! Why something could not be read, and a storage that refused or failed.

use crate::event::DecodeError;
use crate::tlog::TreeError;
use std::error::Error;

/// Why something could not be read from a log. Sources are kept and not repeated in the text.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The log contradicts itself. Never mended: restore a copy, or find out who changed it.
    #[error("the ledger is damaged at position {position}: {what}")]
    Damaged { position: u64, what: String },
    /// The lookup tables are not what the events make them.
    #[error("the ledger's table {table} does not follow from its events: {what}")]
    LookupsDiffer {
        /// `lookups` or `open_streams`.
        table: &'static str,
        /// The row, in hexadecimal.
        what: String,
    },
    /// The log breaks a rule that the service holds itself to.
    #[error("the event at position {position} breaks the rule {rule}: {reason}")]
    Rule {
        position: u64,
        /// The rule's code, as `ledger verify` prints it.
        rule: &'static str,
        /// What was found and what was expected.
        reason: String,
    },
    /// A stored event could not be read.
    #[error("the event at position {position} cannot be read")]
    Decode {
        position: u64,
        #[source]
        source: DecodeError,
    },
    /// The transparency log's tree does not hold what is asked of it.
    #[error("the ledger's tree cannot give that")]
    Tree {
        #[from]
        source: TreeError,
    },
    /// The storage refused or failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

impl ReadError {
    /// True when what is stored is not what was written, so that only a copy of it helps. What may pass or can
    /// be set right (a disk that is full, an event of a later release) is no damage.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Damaged { .. } | Self::LookupsDiffer { .. } | Self::Rule { .. } => true,
            Self::Decode { source, .. } => !matches!(source, DecodeError::UnknownForm { .. }),
            Self::Storage(error) => matches!(error.kind(), StorageErrorKind::Damaged),
            Self::Tree { .. } => false,
        }
    }
}

/// Why a storage did not do what was asked. The source is the storage's own error.
#[derive(Debug, thiserror::Error)]
#[error("the ledger's database failed while {doing}")]
pub struct StorageError {
    doing: &'static str,
    kind: StorageErrorKind,
    source: Box<dyn Error + Send + Sync>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageErrorKind {
    /// It may pass, as a disk that is full does.
    Passing,
    /// What was written may never become durable, although it can be read: the system may have dropped
    /// what it could not write.
    NotSynced,
    /// The stored bytes are not those that were written.
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

    #[must_use]
    pub const fn kind(&self) -> StorageErrorKind {
        self.kind
    }
}
