//! Cosignatures: what a witness states about a log's checkpoint (C2SP tlog-cosignature, Ed25519).
//!
//! At that time, this was the largest tree of the log that the witness had seen, and it began with all
//! the ones that it had seen before.

use super::checkpoint::Checkpoint;
use super::key::{KeyName, WitnessKey, WitnessSigner};
use super::note::{Note, NoteError, NoteSignature};
use crate::clock::Timestamp;

const HEADER: &str = "cosignature/v1";

/// A cosignature that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cosignature {
    /// The witness that made it.
    pub witness: KeyName,
    /// When, in whole seconds, by the witness's clock.
    pub at: Timestamp,
}

impl WitnessSigner {
    /// Cosigns a checkpoint. A time before 1970 counts as 1970.
    #[must_use]
    pub fn cosign(&self, checkpoint: &Checkpoint, at: Timestamp) -> NoteSignature {
        let seconds = u64::try_from(at.as_seconds()).unwrap_or(0);
        let message = message(seconds, &checkpoint.to_string());
        self.sign(&seconds.to_be_bytes(), message.as_bytes())
    }
}

impl WitnessKey {
    /// The cosignature of this witness on the note, the newest where there are several; `None` where
    /// it has not cosigned. The note's text must be a checkpoint that has been verified as the log's.
    ///
    /// # Errors
    /// [`NoteError::BadSignature`] when one under the witness's name and key id is not valid.
    pub fn cosignature(&self, note: &Note) -> Result<Option<Cosignature>, NoteError> {
        let mut newest = None;
        for signature in note.signatures_of(self.name(), self.id()) {
            newest = newest.max(Some(self.cosigned_at(note.text(), signature.bytes())?));
        }
        Ok(newest.map(|at| Cosignature {
            witness: self.name().clone(),
            at,
        }))
    }

    fn cosigned_at(&self, text: &str, bytes: &[u8]) -> Result<Timestamp, NoteError> {
        let bad = || NoteError::BadSignature(self.name().clone());
        let (seconds, signature) = bytes.split_first_chunk().ok_or_else(bad)?;
        let seconds = u64::from_be_bytes(*seconds);
        self.verify(message(seconds, text).as_bytes(), signature)?;
        // Beyond what microseconds since 1970 can hold, nothing is a time.
        i64::try_from(seconds)
            .ok()
            .filter(|seconds| seconds.checked_mul(1_000_000).is_some())
            .map(Timestamp::from_seconds)
            .ok_or_else(bad)
    }
}

fn message(seconds: u64, text: &str) -> String {
    format!("{HEADER}\ntime {seconds}\n{text}")
}
