//! Why a callback does not prove what it says.

use crate::canonical::StrictJsonError;
use crate::event::DecodeError;
use crate::record::HeaderError;
use crate::tlog::{CheckpointError, NoteError, ProofError};

/// The first thing that is wrong with a callback, or missing from it.
#[derive(Debug, thiserror::Error)]
pub enum CallbackProofError {
    /// Not the body of a callback.
    #[error("the body is not that of a callback: {0}")]
    Form(StrictJsonError),
    /// The sender is of a version that proves nothing.
    #[error("the body has no proof")]
    NoProof,
    /// It went before a checkpoint covered the event.
    #[error("the callback was sent without its proof: {why}")]
    Unavailable {
        /// The event's position, as the sender says.
        position: u64,
        /// The sender's reason.
        why: String,
    },
    /// The recorded event was erased, so nobody can say whether the body is true of it.
    #[error("{place}: the payload was erased, so what the body says cannot be compared with it")]
    Erased {
        /// Of which record.
        place: &'static str,
    },
    /// The checkpoint is not one that the log has signed.
    #[error("proof.checkpoint is not one that the log has signed")]
    Checkpoint(#[source] CheckpointError),
    /// A witness's cosignature is not its own.
    #[error("proof.checkpoint has a cosignature that is not valid")]
    Cosignature(#[source] NoteError),
    /// Not enough cosignatures.
    #[error("proof.checkpoint is not witnessed as the policy asks for")]
    NotWitnessed,
    /// A record is not in the log as it stands here.
    #[error("{place}.{}: {problem}", .problem.field())]
    Record {
        /// `proof` or `proof.owed`.
        place: &'static str,
        /// The problem.
        problem: RecordProblem,
    },
    /// The event is none that callbacks tell of.
    #[error("proof.header: callbacks do not tell of {event}")]
    NotReported {
        /// Its name.
        event: &'static str,
    },
    /// The second record is about something else.
    #[error("proof.owed: not what is owed because of the event at position {position}")]
    NotOwed {
        /// The position of the event that is reported.
        position: u64,
    },
    /// The body says something else than the log.
    #[error("{field}: the body says {said}, the log says {recorded}")]
    Differs {
        /// The field of the body.
        field: String,
        /// What the body says there, as JSON.
        said: String,
        /// What the log says.
        recorded: String,
    },
}

impl CallbackProofError {
    /// Stable, for programs.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Form(_) => "form",
            Self::NoProof => "no_proof",
            Self::Unavailable { .. } => "proof_unavailable",
            Self::Erased { .. } => "erased",
            Self::Checkpoint(_) => "checkpoint",
            Self::Cosignature(_) => "cosignature",
            Self::NotWitnessed => "not_witnessed",
            Self::Record { .. } => "record",
            Self::NotReported { .. } => "not_reported",
            Self::NotOwed { .. } => "not_owed",
            Self::Differs { .. } => "differs",
        }
    }

    /// The part of the body that it is about.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Form(_) => "body".to_owned(),
            Self::NoProof | Self::Unavailable { .. } => "proof".to_owned(),
            Self::Erased { place } => format!("{place}.payload"),
            Self::Checkpoint(_) | Self::Cosignature(_) | Self::NotWitnessed => {
                "proof.checkpoint".to_owned()
            }
            Self::Record { place, problem } => format!("{place}.{}", problem.field()),
            Self::NotReported { .. } => "proof.header".to_owned(),
            Self::NotOwed { .. } => "proof.owed".to_owned(),
            Self::Differs { field, .. } => field.clone(),
        }
    }
}

/// A problem of a record.
#[derive(Debug, thiserror::Error)]
pub enum RecordProblem {
    /// The bytes are no header.
    #[error("{0}")]
    Header(HeaderError),
    /// The header is of another position.
    #[error("the header is of position {header}")]
    Position {
        /// The header's.
        header: u64,
    },
    /// The proof is of another leaf.
    #[error("a record is the leaf of its position")]
    LeafIndex,
    /// The proof is of another tree.
    #[error("the checkpoint is of a tree of {checkpoint} leaves")]
    TreeSize {
        /// The checkpoint's size.
        checkpoint: u64,
    },
    /// The leaf is not the header.
    #[error("the header has another hash")]
    LeafHash,
    /// The hashes prove nothing.
    #[error("{0}")]
    Inclusion(ProofError),
    /// One of salt and payload without the other, or both and yet erased.
    #[error("salt and payload are both there, or erased")]
    Half,
    /// Not sixteen bytes.
    #[error("a salt has 16 bytes")]
    Salt,
    /// The payload is not the one that the header commits to.
    #[error("salt and payload have another digest than the header says")]
    Payload,
    /// It cannot be read.
    #[error("{0}")]
    Decode(DecodeError),
}

impl RecordProblem {
    /// The part of the record that it is about.
    const fn field(&self) -> &'static str {
        match self {
            Self::Header(_) => "header",
            Self::Position { .. } => "position",
            Self::LeafIndex => "inclusion.leaf_index",
            Self::TreeSize { .. } => "inclusion.tree_size",
            Self::LeafHash => "inclusion.leaf_hash",
            Self::Inclusion(_) => "inclusion.hashes",
            Self::Salt => "salt",
            Self::Half | Self::Payload | Self::Decode(_) => "payload",
        }
    }
}
