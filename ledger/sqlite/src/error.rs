//! Why a ledger's file is not opened, or is found to be unsound.

use ledger::ForkError;
use ledger::storage::{EncodeError, ReadError, StorageError, StorageErrorKind};
use ledger::tlog::CheckpointError;
use std::path::PathBuf;

/// Errors of opening a ledger's file, and of checking one. Sources are kept and not repeated in the text.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("another process already writes to this ledger (lock file {path}{holder})")]
    Locked {
        path: PathBuf,
        /// ` held by process 123`, where the file says so.
        holder: String,
    },
    /// The file has more names than one, and a lock could only be held on one of them.
    #[error(
        "{path} has {names} names (hard links); remove the others, or make them copies, and start again"
    )]
    HardLinked {
        /// The name that was given.
        path: PathBuf,
        names: u64,
    },
    #[error("{url:?} does not name a SQLite file: expected sqlite://path/to/file.db")]
    InvalidUrl { url: String },
    #[error(
        "{path} is not a ledger of this software (application id {found:#010x}); it is left as it is"
    )]
    ForeignFile { path: PathBuf, found: i64 },
    /// A later version has written to the file.
    #[error(
        "the ledger has schema version {found}, this binary knows versions up to {known}; use a newer one"
    )]
    NewerSchema {
        /// The file's.
        found: i64,
        known: i64,
    },
    /// The file is of an earlier version, and only a start brings it up to date.
    #[error(
        "the ledger has schema version {found}, and this binary checks version {known}; starting the service brings it up to date"
    )]
    OlderSchema {
        /// The file's.
        found: i64,
        /// That of this binary.
        known: i64,
    },
    #[error("the ledger's schema is not as this software made it: {what}")]
    SchemaChanged {
        /// The difference: `trigger events_no_delete is missing`.
        what: String,
    },
    #[error("the ledger's file is damaged: {what}")]
    Pages { what: String },
    #[error("the ledger's signing key cannot be used")]
    SigningKey {
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The checkpoints of this ledger have been signed by another key or for another origin.
    #[error(
        "this ledger's checkpoints are signed as {recorded}, not as {found}; set LEDGER_ORIGIN and \
         LEDGER_SIGNING_KEY (or the key file) back"
    )]
    OtherSigner {
        /// Origin and key as the ledger has them.
        recorded: String,
        /// As they were given.
        found: String,
    },
    /// The ledger was signed, and the file that remembers how far is gone.
    #[error(
        "{path} is missing: it holds the newest checkpoint that was signed of this ledger, without \
         which an old copy of the ledger cannot be told from the newest; put it back, or restore \
         with the newest checkpoint that is known (docs/operations.md)"
    )]
    SigningStateMissing { path: PathBuf },
    #[error("{path} does not hold a checkpoint of this ledger")]
    SigningState {
        path: PathBuf,
        #[source]
        source: CheckpointError,
    },
    #[error(
        "{path} is in use by another process{holder}: two that sign from one file would fork the log; \
         stop that one, or give this ledger a file of its own where it is another ledger"
    )]
    SigningStateInUse {
        path: PathBuf,
        /// `, held by process N`, or nothing.
        holder: String,
    },
    /// Two processes sign.
    #[error(
        "{path} holds a checkpoint over {found} events that this process has not signed: another one \
         signs a copy of this ledger with the same key; stop one of the two (docs/operations.md)"
    )]
    SigningStateShared { path: PathBuf, found: u64 },
    /// An old copy.
    #[error(
        "the ledger has {found} events, but a checkpoint over {signed} has been signed ({path}): this \
         is an old copy, or events were cut off; put the newest one back (docs/operations.md)"
    )]
    BehindCheckpoint {
        path: PathBuf,
        signed: u64,
        /// The ledger's.
        found: u64,
    },
    /// Another history.
    #[error(
        "the ledger's first {signed} events are not those that a checkpoint was signed over ({path}): \
         this is another history; put the right one back (docs/operations.md)"
    )]
    NotFromCheckpoint { path: PathBuf, signed: u64 },
    /// Nothing proves that this service wrote the whole log.
    #[error(
        "{why}, and checkpoints cover {signed} of its {size} events: nothing proves that this service \
         wrote the others. After an upgrade, start the earlier release once more and stop it, so that \
         it signs them. Otherwise restore a backup; or look at the ledger with `ledger verify`, and if \
         you take it as it is, have that recorded: `ledger accept --reason TEXT`"
    )]
    Unproven {
        why: String,
        /// How many events the newest checkpoint covers.
        signed: u64,
        size: u64,
    },
    #[error("the fork is not recorded")]
    Fork(#[from] ForkError),
    #[error("an event could not be encoded")]
    Encode(#[from] EncodeError),
    #[error("{path} could not be {doing}")]
    File {
        path: PathBuf,
        /// The step that failed: `opened`, `locked`.
        doing: &'static str,
        #[source]
        source: std::io::Error,
    },
    /// A part of the file cannot be read, or is not what was written.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl OpenError {
    /// True when the file is not what was written to it, so that only a copy of it helps. What may pass
    /// or can be set right (a disk that is full, a file of somebody else) is no damage.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        match self {
            Self::Read(error) => error.is_damage(),
            Self::Pages { .. } | Self::SchemaChanged { .. } => true,
            _ => false,
        }
    }

    /// As a reader tells of it who had opened the file before.
    pub(crate) fn while_reading(self) -> ReadError {
        let kind = match self.is_damage() {
            true => StorageErrorKind::Damaged,
            false => StorageErrorKind::Passing,
        };
        match self {
            Self::Read(error) => error,
            other => StorageError::new(kind, "opening the file again", other).into(),
        }
    }
}
