//! Checkpoints: what a log states about its tree (C2SP tlog-checkpoint).

use super::hash::TreeHash;
use super::key::{KeyName, LogKey, LogSigner};
use super::note::{Note, NoteError};
use super::tile::canonical_number;
use std::fmt;
use std::str::FromStr;

/// Why a note is not a checkpoint of the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// The origin is empty or has control characters.
    #[error("a log's origin is one line that is not empty")]
    Origin,
    /// An extension line is empty or has control characters.
    #[error("an extension of a checkpoint is one line that is not empty")]
    Extension,
    /// Fewer than three lines, an empty one, or no line end at the end.
    #[error("not a checkpoint: expected an origin, a size and a root, each on a line of its own")]
    Form,
    /// The second line is not a number in its one decimal form.
    #[error("the checkpoint's second line is not a tree size")]
    Size,
    /// The third line is not a root.
    #[error("the checkpoint's third line is not the root of a tree in base64")]
    Root,
    /// It is of another log.
    #[error("the checkpoint is of {found:?}, not of {expected:?}")]
    OtherLog {
        /// The origin that was wanted.
        expected: LogOrigin,
        /// The origin that it has.
        found: LogOrigin,
    },
    /// It is of a log that the policy does not name.
    #[error("the checkpoint is of {0:?}, which is not among the logs that are trusted")]
    UnknownLog(LogOrigin),
    /// It is not signed as it must be.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// The identity of a log: one line. A log of ours has the name of its key as its origin.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogOrigin(String);

impl LogOrigin {
    /// The line, without its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for LogOrigin {
    type Err = CheckpointError;

    fn from_str(origin: &str) -> Result<Self, CheckpointError> {
        if !is_line(origin) {
            return Err(CheckpointError::Origin);
        }
        Ok(Self(origin.to_owned()))
    }
}

/// Every key name is an origin; an origin may have spaces and pluses, which a key name may not.
impl From<&KeyName> for LogOrigin {
    fn from(name: &KeyName) -> Self {
        Self(name.as_str().to_owned())
    }
}

impl fmt::Display for LogOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The size and root of a log's tree. Its text, which is what is signed, is what [`fmt::Display`]
/// prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    origin: LogOrigin,
    size: u64,
    root: TreeHash,
    extensions: Vec<String>,
}

impl Checkpoint {
    /// A checkpoint without extension lines, as our logs make them.
    #[must_use]
    pub const fn new(origin: LogOrigin, size: u64, root: TreeHash) -> Self {
        Self {
            origin,
            size,
            root,
            extensions: Vec::new(),
        }
    }

    /// The same with one extension line more.
    ///
    /// # Errors
    /// [`CheckpointError::Extension`] when it is empty or not one line.
    pub fn with_extension(mut self, line: &str) -> Result<Self, CheckpointError> {
        if !is_line(line) {
            return Err(CheckpointError::Extension);
        }
        self.extensions.push(line.to_owned());
        Ok(self)
    }

    /// Reads the checkpoint that a note holds, after checking that `key` signed it and that it is of
    /// the log `origin`.
    ///
    /// # Errors
    /// When it is not signed by the key, is of another log, or is not a checkpoint.
    pub fn open(note: &Note, key: &LogKey, origin: &LogOrigin) -> Result<Self, CheckpointError> {
        key.verify_note(note)?;
        let checkpoint = Self::of_unverified(note)?;
        if checkpoint.origin != *origin {
            return Err(CheckpointError::OtherLog {
                expected: origin.clone(),
                found: checkpoint.origin,
            });
        }
        Ok(checkpoint)
    }

    /// Reads the checkpoint that a note holds without looking at its signatures: to find out which
    /// log it claims to be of, and so which key must have signed it.
    ///
    /// # Errors
    /// When the note's text is not a checkpoint.
    pub fn of_unverified(note: &Note) -> Result<Self, CheckpointError> {
        note.text().parse()
    }

    /// The log.
    #[must_use]
    pub const fn origin(&self) -> &LogOrigin {
        &self.origin
    }

    /// How many leaves the tree has: the ledger's size.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The tree's root.
    #[must_use]
    pub const fn root(&self) -> &TreeHash {
        &self.root
    }

    /// The extension lines, without their ends.
    #[must_use]
    pub fn extensions(&self) -> &[String] {
        &self.extensions
    }
}

impl LogSigner {
    /// Signs a checkpoint.
    #[must_use]
    pub fn sign_checkpoint(&self, checkpoint: &Checkpoint) -> Note {
        let text = checkpoint.to_string();
        let signature = self.sign(&[], text.as_bytes());
        Note::new(text, signature)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions
            .iter()
            .try_for_each(|line| writeln!(f, "{line}"))
    }
}

impl FromStr for Checkpoint {
    type Err = CheckpointError;

    fn from_str(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<&str> = text
            .strip_suffix('\n')
            .ok_or(CheckpointError::Form)?
            .split('\n')
            .collect();
        let [origin, size, root, extensions @ ..] = lines.as_slice() else {
            return Err(CheckpointError::Form);
        };
        let checkpoint = Self::new(
            origin.parse()?,
            canonical_number(size).ok_or(CheckpointError::Size)?,
            root.parse().map_err(|_| CheckpointError::Root)?,
        );
        extensions.iter().try_fold(checkpoint, |checkpoint, line| {
            checkpoint.with_extension(line)
        })
    }
}

fn is_line(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte >= b' ')
}
