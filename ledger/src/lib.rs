//! The ledger: operation catalog, events, aggregates that decide, the single writer, and the auditor.
//! Depends on no other crate of ours, and on nothing that stores: what keeps the log stands behind
//! [`storage`]. It builds for an auditor as it is.

#![warn(missing_docs)]

mod admissions;
mod agent_key;
#[allow(missing_docs, reason = "a doc line says what the name does not")]
pub mod aggregate;
pub mod assertion;
pub mod audit;
mod blob;
mod bound_state;
mod callback_event;
pub mod callback_proof;
pub mod callback_report;
mod callback_secret;
mod callback_url;
pub mod canonical;
mod catalog;
pub mod challenge;
#[allow(missing_docs, reason = "a doc line says what the name does not")]
mod checkpoints;
mod claims;
mod clearance_key;
mod clock;
#[allow(missing_docs, reason = "a doc line says what the name does not")]
pub mod command;
mod counts;
mod denials;
pub mod describe;
mod digest;
mod error;
pub mod event;
pub mod fingerprint;
mod fork;
mod id;
pub mod identity;
mod label;
#[allow(missing_docs, reason = "a doc line says what the name does not")]
mod ledger;
mod locks;
mod name;
mod notifier;
mod on_screen;
pub mod operation;
mod password_hash;
pub mod policy;
pub mod provider;
mod purpose;
mod push;
mod question_time;
mod questions;
pub mod record;
mod rejection;
mod retention;
mod rules;
mod schedules;
pub mod seal;
mod software_key;
pub mod statement;
#[allow(missing_docs, reason = "a doc line says what the name does not")]
pub mod storage;
pub mod tlog;
mod upstream_api;
mod upstream_key;
mod used;
mod voters;
mod word;
#[allow(missing_docs, reason = "a doc line says what the name does not")]
mod writer;

pub use admissions::{Admissions, Client};
pub use agent_key::{AgentKeyHash, SHARED_KEY};
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
pub use canonical::{
    StrictJsonError, canonicalise, deserialize_strict, deserialize_strict_or_all_mistakes,
    parse_strict,
};
pub use catalog::{CatalogEntry, Level, OperationId, Risk, ScopeType, UnknownName};
pub use challenge::{Bound, Challenge, ChallengeKey, InvalidChallenge};
pub use checkpoints::{BoxError, CheckpointStore, Checkpoints, SignedCheckpoint, SigningFrom};
pub use claims::{Bindings, CapabilityClaims, ScopeClaim};
pub use clearance_key::{BoundTo, ClearanceKey, KeyParts, OperationsDigest};
pub use clock::{CLOCK_TOLERANCE, Clock, Random, Timestamp};
pub use counts::Lately;
pub use denials::{Denials, RelayedCall};
pub use digest::InvalidDigest;
pub use error::{Error, with_sources};
pub use event::{Actor, Envelope, Event, Recorded, Role};
pub use fingerprint::{Fingerprint, Submission, SubmissionError, operations_of};
pub use fork::{Fork, ForkError};
pub use id::{
    AdmissionId, AgentId, ApplyId, ApprovalId, ApproverId, AssetUploadId, CallId, CallbackId,
    ClearanceId, CommandId, DeliveryId, DeviceId, EnrolmentId, EventId, ExecutionId, GroupId,
    InvalidId, KeyId, LedgerId, LockId, PolicyId, RequestId, ScheduleId, SessionId, StreamId,
    TaskId, TemplateId, TokenId, UpstreamId, UpstreamKeyId, UpstreamSecretId, UsageId, UserId,
};
pub use identity::{Ceremony, IdentityStatement};
pub use label::{GroupName, UserName};
pub use ledger::{
    Ledger, Opened, Origin, Surroundings, Unprovable, Voter, WriterTask, can_meet_at, policy_at,
};
pub use locks::Locks;
pub use name::{
    AgentName, ApproverName, ClaimsHash, ClientSubject, CredentialId, IdempotencyKey,
    InvalidIdempotencyKey, RecordedThumbprint, ScheduleName, ScopePattern, TemplateName,
    UpstreamName,
};
pub use notifier::Notifier;
pub use on_screen::OnScreen;
pub use password_hash::{InvalidPasswordHash, PasswordHash};
pub use provider::Providers;
pub use purpose::{Link, Purpose, Reason};
pub use push::{EndpointDigest, InvalidSubscription, PushRules, PushSubscription, VapidKey};
pub use question_time::QuestionTime;
pub use record::{Header, HeaderError, PayloadDigest, RecordHash, genesis_hash, payload_digest};
pub use rejection::{LockEnd, Rejection, RejectionKind};
pub use retention::{Binding, Breadth, KeptMode, Retention, WantedRetention, span};
pub use rules::{Quotas, Rules};
pub use schedules::{ScheduleClock, Schedules};
pub use seal::{MasterKeyId, MasterKeys, SealContext, SealError, Sealed};
pub use software_key::{
    CredentialKey, CredentialKeyError, DecisionProof, DecisionProofError, ProvenDecision,
    SOFTWARE_KEY_ALGORITHM, SOFTWARE_KEY_FORMAT, SoftwareKey, SoftwareKeyError, SoftwareSignature,
    SoftwareSignatureError, key_login_message, software_decision_message,
};
pub use statement::{
    Choice, Decision, DecisionStatement, InvalidDecision, QuestionKind, ReasonDigest, Statement,
};
pub use storage::{Log, NewEvent, ReadError, Scan, Scanned, StoredRecord};
pub use upstream_api::{Described, RouteScope, UpstreamApi, UpstreamAuth, UpstreamRoute};
pub use upstream_key::{InvalidUpstreamKey, UpstreamApiKey};
pub use used::{Used, UsedLately};
pub use voters::{Person, Progress};
pub use word::Word;
pub use writer::{CommitFaults, CommitPoint, Context, Stored, Transaction};
