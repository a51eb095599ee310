//! The proof in a callback, so that whoever receives it need not trust the service that sent it.
//!
//! A callback's body is `{"event": {…}, "proof": {…}}`. The proof holds two records of the ledger, each
//! with its inclusion proof under one signed checkpoint: the event that is reported, and the
//! `delivery.owed` that was committed with it, which holds the body's `event` as it was to be sent. The
//! first shows that what is told happened; the second, that all of it was told so, the fields that the
//! event itself does not repeat included.
//!
//! [`verify_callback`] is pure and needs the log's key alone. How the same is done with tools that are
//! not ours stands in `docs/audit.md`.

mod body;
mod collect;
mod content;
mod error;
mod verify;

pub use body::{CallbackProof, ProvenInclusion, ProvenRecord, UnavailableProof};
pub use collect::DeliveryProof;
pub use error::{CallbackProofError, RecordProblem};
pub use verify::{CallbackTrust, SENT_FIELDS, VerifiedCallback, verify_callback};
