//! The ledger: operation catalog, events, aggregates that decide, and the hash-chained SQLite store
//! with its single writer. Depends on no other crate of ours.

pub mod assertion;
mod callback_event;
mod callback_secret;
mod callback_url;
pub mod canonical;
mod catalog;
pub mod challenge;
mod clock;
mod digest;
pub mod fingerprint;
mod id;
pub mod operation;
pub mod record;
pub mod seal;
pub mod statement;

pub use assertion::{
    Algorithm, Assertion, AssertionError, Expectation, KeyError, KeyThumbprint, PublicKey,
    UnknownAlgorithm, Verified, verify_assertion,
};
pub use callback_event::{CallbackEvent, UnknownCallbackEvent};
pub use callback_secret::{CallbackSecret, InvalidCallbackSecret};
pub use callback_url::{CallbackPolicy, CallbackUrl, CallbackUrlError, MAX_CALLBACK_URL_BYTES};
pub use canonical::{StrictJsonError, canonicalise, deserialize_strict, parse_strict};
pub use catalog::{CatalogEntry, Level, OperationKind, Risk, ScopeType, UnknownName};
pub use challenge::{Challenge, ChallengeKey, InvalidChallenge};
pub use clock::{Clock, Random, SystemClock, SystemRandom, Timestamp};
pub use digest::InvalidDigest;
pub use fingerprint::{Fingerprint, Submission, SubmissionError, operations_of};
pub use id::{
    AgentId, ApplyId, ApprovalId, ApproverId, CallbackId, CommandId, DeliveryId, EnrolmentId,
    EventId, ExecutionId, InvalidId, LedgerId, RequestId, StreamId, TaskId, TokenId,
};
pub use record::{Header, HeaderError, PayloadDigest, RecordHash, genesis_hash, payload_digest};
pub use seal::{MasterKeyId, MasterKeys, SealContext, SealError, Sealed};
pub use statement::{Decision, InvalidDecision, ReasonDigest, Statement};
