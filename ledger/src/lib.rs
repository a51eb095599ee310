//! The ledger: operation catalog, events, aggregates that decide, and the hash-chained SQLite store
//! with its single writer. Depends on no other crate of ours.
//!
//! Without the default feature `store` it is what an auditor needs: records, events, what they add up to,
//! what is signed, and the transparency log; pure, and fit for WebAssembly.

pub mod aggregate;
pub mod assertion;
pub mod audit;
mod blob;
mod callback_event;
pub mod callback_proof;
mod callback_report;
mod callback_secret;
mod callback_url;
pub mod canonical;
mod catalog;
pub mod challenge;
#[cfg(feature = "store")]
mod checkpoints;
mod claims;
mod clock;
#[cfg(feature = "store")]
pub mod command;
mod digest;
#[cfg(feature = "store")]
mod durable;
#[cfg(feature = "store")]
mod error;
pub mod event;
pub mod fingerprint;
mod fork;
mod id;
#[cfg(feature = "store")]
mod ledger;
mod name;
pub mod operation;
pub mod record;
mod rejection;
mod rules;
pub mod seal;
pub mod statement;
#[cfg(feature = "store")]
mod store;
pub mod tlog;
mod word;
#[cfg(feature = "store")]
mod writer;

pub use assertion::{
    Algorithm, Assertion, AssertionError, Expectation, KeyError, KeyThumbprint, PublicKey,
    UnknownAlgorithm, Verified, verify_assertion,
};
pub use blob::Blob;
pub use callback_event::{CallbackEvent, UnknownCallbackEvent};
pub use callback_secret::{CallbackSecret, InvalidCallbackSecret};
pub use callback_url::{
    CallbackPolicy, CallbackUrl, CallbackUrlError, MAX_CALLBACK_URL_BYTES, is_host_as_written,
};
pub use canonical::{StrictJsonError, canonicalise, deserialize_strict, parse_strict};
pub use catalog::{CatalogEntry, Level, OperationId, Risk, ScopeType, UnknownName};
pub use challenge::{Challenge, ChallengeKey, InvalidChallenge};
#[cfg(feature = "store")]
pub use checkpoints::{Checkpoints, MakeSigning, SignedCheckpoint, Signing, SigningRequest};
pub use claims::{Bindings, CapabilityClaims, ClaimsHash, ScopeClaim};
pub use clock::{CLOCK_TOLERANCE, Clock, Random, Timestamp};
#[cfg(feature = "store")]
pub use clock::{SystemClock, SystemRandom};
pub use digest::InvalidDigest;
#[cfg(feature = "store")]
pub use durable::{open_own, replace_file};
#[cfg(feature = "store")]
pub use error::Error;
pub use event::{Actor, Envelope, Event, Recorded};
pub use fingerprint::{Fingerprint, Submission, SubmissionError, operations_of};
pub use fork::{Fork, ForkError};
pub use id::{
    AgentId, ApplyId, ApprovalId, ApproverId, CallbackId, CommandId, DeliveryId, EnrolmentId,
    EventId, ExecutionId, InvalidId, LedgerId, RequestId, StreamId, TaskId, TokenId,
};
#[cfg(feature = "store")]
pub use ledger::{Ledger, LedgerOptions, Origin, Unprovable, Unproven, WriterTask};
pub use name::{
    AgentName, ApproverName, ClientSubject, CredentialId, IdempotencyKey, InvalidIdempotencyKey,
    RecordedThumbprint, ScopePattern,
};
pub use record::{Header, HeaderError, PayloadDigest, RecordHash, genesis_hash, payload_digest};
pub use rejection::{Rejection, RejectionKind};
pub use rules::{Quotas, Rules};
pub use seal::{MasterKeyId, MasterKeys, SealContext, SealError, Sealed};
pub use statement::{Decision, InvalidDecision, ReasonDigest, Statement};
#[cfg(feature = "store")]
pub use store::{
    CheckedLedger, Reader, RecordScan, Scanned, StoredRecord, WriterLock, is_plainly_foreign,
};
#[cfg(feature = "store")]
pub use writer::{
    CommitFaults, CommitPoint, Context, NewEvent, Stored, Transaction, fork_copy, ready_copy,
};
