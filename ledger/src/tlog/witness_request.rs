//! A log's request to a witness, and the witness's check of it (C2SP tlog-witness,
//! `add-checkpoint`).

use super::checkpoint::{Checkpoint, CheckpointError};
use super::consistency::ConsistencyProof;
use super::hash::{EMPTY_ROOT, TreeHash};
use super::inclusion::ProofError;
use super::key::LogKey;
use super::note::{Note, NoteError};
use super::tile::canonical_number;
use std::fmt;
use std::str::FromStr;

/// A proof between sizes of 64 bits has no more hashes.
const MAX_PROOF_LINES: usize = 63;

/// The body of `add-checkpoint`: a checkpoint, and the proof that it goes on from the one before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessRequest {
    old_size: u64,
    hashes: Vec<TreeHash>,
    note: Note,
}

/// The newest checkpoint of a log that a witness has cosigned. It must be durable before the
/// cosignature leaves, and replaced only by the one that was just checked against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Witnessed {
    /// The size of the tree, in leaves.
    pub size: u64,
    /// The root of the tree.
    pub root: TreeHash,
}

/// Why a witness does not cosign.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WitnessRefusal {
    /// Not the body of `add-checkpoint`; 400.
    #[error(
        "expected a line `old` with a size, at most 63 lines of hashes, a blank line and a note"
    )]
    Form,
    /// The note is no checkpoint; 400.
    #[error("not a checkpoint")]
    Checkpoint(#[source] CheckpointError),
    /// The log whose origin the checkpoint has did not sign it; 403.
    #[error("the checkpoint is not signed by its log")]
    NotSigned(#[source] CheckpointError),
    /// The old size is above the checkpoint's; 400.
    #[error("the old size, {old_size}, is above the checkpoint's, {size}")]
    Backwards {
        /// The size in the request.
        old_size: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The old size is not that of the newest checkpoint cosigned; 409, and the answer's body is
    /// that size and a line end, as `text/x.tlog.size`.
    #[error("the newest checkpoint cosigned has size {latest}")]
    Stale {
        /// The size to start from.
        latest: u64,
    },
    /// The same size with another root: two histories; 409.
    #[error("a checkpoint of the same size with another root has been cosigned")]
    OtherRoot,
    /// The proof does not show that the tree goes on from the one before; 422.
    #[error("the proof does not show that nothing but appending happened")]
    Inconsistent(#[source] ProofError),
}

impl WitnessRequest {
    /// Asks for a cosignature on the checkpoint in `note`, with the proof from the newest one that the
    /// witness has cosigned; from 0 where it has none.
    #[must_use]
    pub fn new(proof: &ConsistencyProof, note: Note) -> Self {
        Self {
            old_size: proof.from(),
            hashes: proof.hashes().to_vec(),
            note,
        }
    }

    /// The size that the proof goes on from.
    #[must_use]
    pub const fn old_size(&self) -> u64 {
        self.old_size
    }

    /// The signed checkpoint. Its origin, unverified, tells which log's key [`Self::check`] needs.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }

    /// Checks that the witness may cosign: `key` signed the checkpoint, and it goes on from what the
    /// witness knows. `key` and `latest` are what the witness has under the checkpoint's origin
    /// (404 where it has no key); `latest` is `None` before its first cosignature. The checks are in the order of the specification.
    ///
    /// # Errors
    /// See [`WitnessRefusal`], which names the HTTP status of each.
    pub fn check(
        &self,
        key: &LogKey,
        latest: Option<Witnessed>,
    ) -> Result<Checkpoint, WitnessRefusal> {
        let claimed = Checkpoint::of_unverified(&self.note).map_err(WitnessRefusal::Checkpoint)?;
        let checkpoint = Checkpoint::open(&self.note, key, claimed.origin());
        let checkpoint = checkpoint.map_err(WitnessRefusal::NotSigned)?;
        let (old_size, size) = (self.old_size, checkpoint.size());
        if old_size > size {
            return Err(WitnessRefusal::Backwards { old_size, size });
        }
        let latest = latest.unwrap_or(Witnessed {
            size: 0,
            root: EMPTY_ROOT,
        });
        if old_size != latest.size {
            return Err(WitnessRefusal::Stale {
                latest: latest.size,
            });
        }
        if size == latest.size && *checkpoint.root() != latest.root {
            return Err(WitnessRefusal::OtherRoot);
        }
        ConsistencyProof::from_parts(old_size, size, self.hashes.clone())
            .verify(&latest.root, checkpoint.root())
            .map_err(WitnessRefusal::Inconsistent)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for WitnessRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old_size)?;
        for hash in &self.hashes {
            writeln!(f, "{hash}")?;
        }
        write!(f, "\n{}", self.note)
    }
}

impl FromStr for WitnessRequest {
    type Err = WitnessRefusal;

    fn from_str(body: &str) -> Result<Self, WitnessRefusal> {
        let (head, note) = body.split_once("\n\n").ok_or(WitnessRefusal::Form)?;
        let mut lines = head.split('\n');
        let old_size = lines
            .next()
            .and_then(|line| line.strip_prefix("old "))
            .and_then(canonical_number)
            .ok_or(WitnessRefusal::Form)?;
        let hashes: Vec<TreeHash> = lines
            .take(MAX_PROOF_LINES + 1)
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| WitnessRefusal::Form)?;
        if hashes.len() > MAX_PROOF_LINES {
            return Err(WitnessRefusal::Form);
        }
        let note = note
            .parse()
            .map_err(|why: NoteError| WitnessRefusal::Checkpoint(why.into()))?;
        Ok(Self {
            old_size,
            hashes,
            note,
        })
    }
}
