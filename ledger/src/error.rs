//! Errors of executing a command, apart from refusals.

use crate::rejection::Rejection;
use crate::storage::{EncodeError, ReadError, StorageError, StorageErrorKind};
use crate::tlog::TreeError;
use std::error::Error as StdError;

/// Errors of executing a command, and of asking a running ledger. Sources are kept and not repeated in the
/// text.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A command was refused; nothing of it was recorded but what its refusal says.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// A defect: something that cannot happen has happened. Asking again does not help.
    #[error("a defect of this software: {what}")]
    Defect {
        /// The finding.
        what: String,
    },
    /// The command is not in the log. Asking again is safe.
    #[error("nothing was recorded; asking again is safe")]
    NotRecorded,
    /// The writer has stopped; the process must be started again.
    #[error("the ledger's writer has stopped")]
    Stopped,
    /// The state to decide on cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Another process has changed the file.
    #[error(
        "another process has written to the ledger's file while this one held it; nothing was recorded \
         or decided on it since. The next start checks the whole file: find out first who wrote, and \
         keep a copy of the file"
    )]
    WrittenBeside,
    /// An event could not be written in its form.
    #[error("an event could not be encoded")]
    Encode(#[from] EncodeError),
}

impl From<StorageError> for Error {
    fn from(error: StorageError) -> Self {
        Self::Read(error.into())
    }
}

impl From<TreeError> for Error {
    fn from(error: TreeError) -> Self {
        Self::Read(error.into())
    }
}

impl Error {
    /// An error for something that cannot happen.
    pub(crate) fn defect(what: impl Into<String>) -> Self {
        Self::Defect { what: what.into() }
    }

    /// What was found; what was erased is not there.
    ///
    /// # Errors
    /// All others.
    pub fn none_if_erased<T>(found: Result<Option<T>, Self>) -> Result<Option<T>, Self> {
        match found {
            Err(Self::Rejected(Rejection::Erased)) => Ok(None),
            found => found,
        }
    }

    /// True when what is stored is not what was written to it, so that only a copy of it helps; see
    /// [`ReadError::is_damage`].
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Rejected(Rejection::ApprovalUnproven { is_forged, .. }) => *is_forged,
            Self::Read(error) => error.is_damage(),
            _ => false,
        }
    }

    /// True when nobody may go on, because what is stored is not, or may not stay, what this process has
    /// written.
    pub(crate) const fn is_fatal(&self) -> bool {
        match self {
            Self::WrittenBeside => true,
            Self::Read(ReadError::Storage(error)) => {
                matches!(error.kind(), StorageErrorKind::NotSynced)
            }
            _ => false,
        }
    }
}

/// An error with its sources, `outer: inner: innermost`.
#[must_use]
pub fn with_sources(error: &(dyn StdError + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        source = inner.source();
    }
    text
}
