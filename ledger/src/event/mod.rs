//! Events: immutable facts, each in a frozen postcard form behind a frozen envelope.
//!
//! To add an event: a struct in the file of its aggregate, a row in the table below, golden data in
//! `fixtures/`, a line in the `evolve` of its aggregate and in the folds. Never change a struct that
//! has landed. To say more, add the next form: keep the old struct under a name with its version,
//! list it in the row (`{ 1 => OldFormV1 }`), and write its upcast, `impl From<OldFormV1> for NewForm`.

mod acceptance;
mod admission;
mod agent;
mod apply;
mod approval;
mod approver;
mod asset_upload;
mod call;
mod clearance;
mod delivery;
mod envelope;
mod erasure;
mod evaluation;
mod fork;
mod group;
mod key;
mod kind;
mod lock;
mod policy;
mod question;
mod ruling;
mod schedule;
mod session;
#[macro_use]
mod table;
mod task;
mod template;
mod upstream;
mod upstream_key;
mod user;

pub use acceptance::LedgerAccepted;
pub use admission::{AllowLifted, AllowSet, BlockLifted, BlockSet, ClientTarget, Network};
pub use agent::{AgentDescribed, AgentRegistered, Grant, PermissionsReplaced};
pub use apply::{
    Agreement, ApplyAccepted, ApplyAcceptedV1, ApplyAcceptedV2, ApplyAcceptedV3, ApplyAskedAnew,
    ApplyAuthorised, ApplyEnd, ApplyEnded, ApplyFollows, ApplyRefused, ApplyRefusedV1,
    ApplyResolved, Authorisation, CheckedOperation, Evidence, OnApproval, OperationEnded,
    OperationEndedV1, OperationOutcome, OperationStarted, OperationStartedV1, PermissionCheck,
    ReadBefore, RefusalsCounted, StateBefore,
};
pub use approval::{
    ApprovalCancelled, ApprovalCancelledV1, ApprovalConsumed, ApprovalDecided, ApprovalDecidedV1,
    ApprovalDecidedV2, ApprovalExpired, ApprovalNarrowed, ApprovalReleased, ApprovalRequested,
    ApprovalRequestedV1, ApprovalRequestedV2, ApprovalRequestedV3, AskedFrom, PreState,
    PreStateRecorded, PreStateRecordedV1, VoteLoss, VoteVoided, VoteWithdrawn, ZoneNameRead,
    ZoneRead,
};
pub use approver::{
    ApproverRegistered, BackupEligibilityLearnt, CredentialPut, CredentialStatus, EnrolmentOpened,
};
pub use asset_upload::{
    AssetFilesSent, AssetUploadCompleted, AssetUploadOpened, FileDigest, ManifestDigest, SentFile,
    UploadTokenDigest,
};
pub use call::{
    BodyDigest, CallBegun, CallBegunV1, CallCredential, CallEnded, CallEndedV1, CallOutcome,
    CallSubject, UsageCounts, UsageRecorded,
};
pub use clearance::{ClearanceEnd, ClearanceEnded, ClearanceMade};
pub use delivery::{
    AfterAttempt, AttemptEnded, AttemptOutcome, AttemptStarted, DeliveryOwed, RetryRequested,
};
pub use envelope::{Actor, Assurance, Envelope, Via};
pub use erasure::{
    ErasedName, ErasedPayload, ErasedStream, ErasedSubject, KeptCounter, LedgerErased,
    LedgerErasedV1, NameKind, PositionRange, StreamKind,
};
pub use evaluation::{
    AskedByPolicy, AskedByPolicyV1, EvaluatedOperation, FactValue, PolicyEvaluation, ReadFact,
    StoredRequirement,
};
pub use fork::LedgerForked;
pub use group::{GroupChanged, GroupCreated, GroupDeleted};
pub use key::{KeyCreated, KeyOrigin, KeyRevoked};
pub use kind::{ActorKind, AggregateKind, EventKind, Traits};
pub use lock::{LockLifted, LockSet, LockTarget, LockedOperation};
pub use policy::{PolicyChanged, PolicyChangedV1, PolicyDocument, PolicyFormat, StoredTree};
pub use question::{
    ApprovalAsked, AskedSubject, EmergencyReview, PolicyProposal, ScheduleProposal,
};
pub use ruling::{CallRuling, OtherDocument, RuledOperation, RulingBasis};
pub use schedule::{
    Misfire, MissReason, ScheduleAsked, ScheduleDeleted, ScheduleFired, ScheduleMissed,
    SchedulePut, ScheduleTerms,
};
pub use session::{
    FailuresCounted, KeyProof, LoginFailed, LoginWay, PasskeyProof, SessionEnd, SessionEnded,
    SessionOpened, SessionProof, SessionTokenHash, SteppedUp,
};
pub use table::{DecodeError, InStream};
pub use task::{
    AllowedOperation, CallbackOwner, CallbackSet, CallbackSetV1, FromTemplate, ProxiesOpened,
    RegisteredCallback, TaskClosed, TaskCreated, TaskCreatedV1, TaskCreatedV2, TaskCreatedV3,
    TaskCreatedV4, TokenIssued, TokenRevoked,
};
pub use template::{TemplateCreated, TemplateCreatedV1, TemplateDeleted};
pub use upstream::{
    UpstreamDefined, UpstreamEnd, UpstreamEnded, UpstreamKeyShared, UpstreamKeyUnshared,
};
pub use upstream_key::{
    UpstreamKeyEnd, UpstreamKeyOwner, UpstreamKeyRemoved, UpstreamKeySealed, UpstreamKeyStored,
};
pub use user::{
    DeviceAdded, DeviceEnd, DeviceRemoved, PasswordSet, PrincipalLinked, Role, SessionsEnded,
    UserChanged, UserCreated, UserDeleted,
};

use crate::audit::check::Check;
use crate::callback_event::CallbackEvent;
use crate::clock::Timestamp;
use crate::describe::Describe;
use crate::id::{EventId, LedgerId, StreamId, TaskId, UserId};
use crate::name::CredentialId;
use crate::record::Header;
use crate::statement::Decision;
use kind::by;
use serde::{Deserialize, Serialize};
use table::{decode_form, readable_form};

/// `ledger.created` 1: position 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerCreated {
    /// Random; names this ledger for good.
    pub ledger_id: LedgerId,
    /// The record format.
    pub format: u8,
    /// The software that made it.
    pub software_version: String,
}

/// The id of each aggregate of the table.
mod stream {
    pub(super) use crate::id::{
        AdmissionId as Admission, AgentId as Agent, ApplyId as Apply, ApprovalId as Approval,
        ApproverId as Approver, AssetUploadId as AssetUpload, CallId as Call,
        ClearanceId as Clearance, DeliveryId as Delivery, GroupId as Group, KeyId as Key,
        LedgerId as Ledger, LockId as Lock, PolicyId as Policy, ScheduleId as Schedule,
        SessionId as Session, TaskId as Task, TemplateId as Template, UpstreamId as Upstream,
        UpstreamKeyId as UpstreamKey, UpstreamSecretId as UpstreamSecret, UsageId as Usage,
        UserId as User,
    };
}

/// `approval.approved` 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Approved(pub ApprovalDecided);

/// `approval.denied` 3.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Denied(pub ApprovalDecided);

/// `approval.voted` 2: somebody approves, and the question needs others besides. The vote with which its needs are
/// met is `approval.approved`, and one against it is `approval.denied`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Voted(pub ApprovalDecided);

impl From<ApprovalDecidedV1> for Approved {
    fn from(old: ApprovalDecidedV1) -> Self {
        Self(old.into())
    }
}

impl From<ApprovalDecidedV1> for Denied {
    fn from(old: ApprovalDecidedV1) -> Self {
        Self(old.into())
    }
}

impl From<ApprovalDecidedV2> for Approved {
    fn from(old: ApprovalDecidedV2) -> Self {
        Self(old.into())
    }
}

impl From<ApprovalDecidedV2> for Voted {
    fn from(old: ApprovalDecidedV2) -> Self {
        Self(old.into())
    }
}

impl From<ApprovalDecidedV2> for Denied {
    fn from(old: ApprovalDecidedV2) -> Self {
        Self(old.into())
    }
}

events! {
    /// One fact, in the newest form of its type.
    pub enum Event;

    1, 1, "ledger.created" => LedgerCreated(LedgerCreated)
        in Ledger by LEDGER under PayloadForm [begins];
    2, 2, "ledger.erased" => LedgerErased(LedgerErased) { 1 => LedgerErasedV1 }
        in Ledger by MANAGERS under PayloadForm [looked_up, erases];
    3, 1, "ledger.forked" => LedgerForked(LedgerForked)
        in Ledger by OPERATOR under PayloadForm;
    4, 1, "ledger.accepted" => LedgerAccepted(LedgerAccepted)
        in Ledger by OPERATOR under PayloadForm;
    10, 5, "task.created" => TaskCreated(TaskCreated) { 1 => TaskCreatedV1, 2 => TaskCreatedV2, 3 => TaskCreatedV3, 4 => TaskCreatedV4 }
        in Task by CREATORS under PayloadForm [begins, addresses, looked_up] of task_id, agent;
    11, 1, "task.token_issued" => TokenIssued(TokenIssued)
        in Task by OPENERS under TokenLife [looked_up, outlives_token];
    12, 1, "task.token_revoked" => TokenRevoked(TokenRevoked)
        in Task by CLOSERS under Token [outlives_token];
    13, 2, "task.callback_set" => CallbackSet(CallbackSet) { 1 => CallbackSetV1 }
        in Task by OPENERS under PayloadForm [addresses];
    14, 1, "task.closed" => TaskClosed(TaskClosed)
        in Task by TASK_CLOSERS under PayloadForm [outlives_token];
    15, 1, "task.proxies_opened" => ProxiesOpened(ProxiesOpened)
        in Task by CREATORS under Token;
    20, 4, "apply.accepted" => ApplyAccepted(ApplyAccepted) { 1 => ApplyAcceptedV1, 2 => ApplyAcceptedV2, 3 => ApplyAcceptedV3 }
        in Apply by ASKERS under Fingerprint [begins, looked_up] of task_id, agent;
    21, 2, "apply.refused" => ApplyRefused(ApplyRefused) { 1 => ApplyRefusedV1 }
        in Apply by ASKERS under PayloadForm [begins, alone] of task_id, agent;
    22, 1, "apply.refusals_counted" => RefusalsCounted(RefusalsCounted)
        in Apply by LEDGER under PayloadForm [begins, alone] of task_id;
    23, 1, "apply.authorised" => ApplyAuthorised(ApplyAuthorised)
        in Apply by AUTHORISERS under Authorisation [answers, looked_up];
    24, 2, "apply.operation_started" => OperationStarted(OperationStarted) { 1 => OperationStartedV1 }
        in Apply by EXECUTOR under Request [counted];
    25, 2, "apply.operation_ended" => OperationEnded(OperationEnded) { 1 => OperationEndedV1 }
        in Apply by EXECUTOR under ExecutionOrder;
    26, 1, "apply.ended" => ApplyEnded(ApplyEnded)
        in Apply by ENDERS under ExecutionOrder told as ApplyFinished, ApplyFailed, ApplyUnknown [looked_up];
    27, 1, "apply.resolved" => ApplyResolved(ApplyResolved)
        in Apply by MANAGERS under ExecutionOrder told as ApplyFinished, ApplyFailed;
    28, 1, "apply.asked_anew" => ApplyAskedAnew(ApplyAskedAnew)
        in Apply by ASKERS under Policy [looked_up];
    29, 1, "apply.follows" => ApplyFollows(ApplyFollows)
        in Apply by AGENT under FollowUp [looked_up];
    30, 4, "approval.requested" => ApprovalRequested(ApprovalRequested)
        { 1 => ApprovalRequestedV1, 2 => ApprovalRequestedV2, 3 => ApprovalRequestedV3 }
        in Approval by ASKERS under ApprovalState told as ApprovalPending [begins, looked_up, counted] of task_id, agent;
    31, 2, "approval.pre_state_recorded" => PreStateRecorded(PreStateRecorded) { 1 => PreStateRecordedV1 }
        in Approval by READERS under ApprovalState;
    32, 1, "approval.narrowed" => ApprovalNarrowed(ApprovalNarrowed)
        in Approval by AGENT under ApprovalState;
    33, 3, "approval.approved" => ApprovalApproved(Approved) { 1 => ApprovalDecidedV1, 2 => ApprovalDecidedV2 }
        in Approval by APPROVER under DecisionAssertion told as ApprovalApproved [looked_up, decides];
    34, 3, "approval.denied" => ApprovalDenied(Denied) { 1 => ApprovalDecidedV1, 2 => ApprovalDecidedV2 }
        in Approval by APPROVER under DecisionAssertion told as ApprovalDenied [looked_up, decides, counted];
    35, 1, "approval.expired" => ApprovalExpired(ApprovalExpired)
        in Approval by EXPIRERS under Deadline told as ApprovalExpired [looked_up];
    36, 2, "approval.cancelled" => ApprovalCancelled(ApprovalCancelled) { 1 => ApprovalCancelledV1 }
        in Approval by EXPIRERS under ApprovalState told as ApprovalCancelled [looked_up];
    37, 1, "approval.consumed" => ApprovalConsumed(ApprovalConsumed)
        in Approval by AUTHORISERS under ExecutionOnce [looked_up];
    38, 1, "approval.released" => ApprovalReleased(ApprovalReleased)
        in Approval by EXECUTOR under ApprovalState [answers, looked_up];
    40, 1, "agent.registered" => AgentRegistered(AgentRegistered)
        in Agent by MANAGERS under PayloadForm [begins, looked_up];
    41, 1, "agent.permissions_replaced" => PermissionsReplaced(PermissionsReplaced)
        in Agent by MANAGERS under PermissionRevision;
    42, 1, "agent.described" => AgentDescribed(AgentDescribed)
        in Agent by MANAGERS under PayloadForm [looked_up];
    50, 1, "approver.registered" => ApproverRegistered(ApproverRegistered)
        in Approver by MANAGERS under PayloadForm [begins, looked_up];
    51, 1, "approver.credential_put" => CredentialPut(CredentialPut)
        in Approver by REGISTRARS under Credential [looked_up, registers_key];
    52, 1, "approver.backup_eligibility_learnt" => BackupEligibilityLearnt(BackupEligibilityLearnt)
        in Approver by APPROVER under Enrolment;
    53, 1, "approver.enrolment_opened" => EnrolmentOpened(EnrolmentOpened)
        in Approver by MANAGERS under Enrolment [looked_up];
    60, 1, "delivery.owed" => DeliveryOwed(DeliveryOwed)
        in Delivery by REPORTED under DeliveryEvent [begins, answers] of task_id;
    61, 1, "delivery.attempt_started" => AttemptStarted(AttemptStarted)
        in Delivery by DISPATCHER under Delivery;
    62, 1, "delivery.attempt_ended" => AttemptEnded(AttemptEnded)
        in Delivery by DISPATCHER under Delivery;
    63, 1, "delivery.retry_requested" => RetryRequested(RetryRequested)
        in Delivery by MANAGERS under Delivery;
    70, 1, "user.created" => UserCreated(UserCreated)
        in User by MANAGERS under Unique [begins, looked_up];
    71, 1, "user.changed" => UserChanged(UserChanged)
        in User by MANAGERS under LastAdmin [looked_up];
    72, 1, "user.password_set" => PasswordSet(PasswordSet)
        in User by MANAGERS under Actor [looked_up];
    73, 1, "user.deleted" => UserDeleted(UserDeleted)
        in User by MANAGERS under LastAdmin [looked_up];
    74, 1, "user.sessions_ended" => SessionsEnded(SessionsEnded)
        in User by MANAGERS under Actor;
    75, 1, "user.principal_linked" => PrincipalLinked(PrincipalLinked)
        in User by USERS under Passkey [looked_up];
    76, 1, "user.device_added" => DeviceAdded(DeviceAdded)
        in User by USERS under Device;
    77, 1, "user.device_removed" => DeviceRemoved(DeviceRemoved)
        in User by DEVICE_ENDERS under Device;
    80, 1, "group.created" => GroupCreated(GroupCreated)
        in Group by MANAGERS under Unique [begins, looked_up];
    81, 1, "group.changed" => GroupChanged(GroupChanged)
        in Group by MANAGERS under Membership [looked_up];
    82, 1, "group.deleted" => GroupDeleted(GroupDeleted)
        in Group by MANAGERS under Actor [looked_up];
    90, 1, "session.opened" => SessionOpened(SessionOpened)
        in Session by USERS under Session [begins, looked_up];
    91, 1, "session.stepped_up" => SteppedUp(SteppedUp)
        in Session by USERS under Passkey [looked_up];
    92, 1, "session.ended" => SessionEnded(SessionEnded)
        in Session by MANAGERS under Session;
    93, 1, "login.failed" => LoginFailed(LoginFailed)
        in Session by LOGIN under FailedLogin [begins, alone];
    94, 1, "login.failures_counted" => FailuresCounted(FailuresCounted)
        in Session by LEDGER under FailedLogin [begins, alone];
    100, 1, "key.created" => KeyCreated(KeyCreated)
        in Key by MANAGERS under AgentKey [begins, looked_up];
    101, 1, "key.revoked" => KeyRevoked(KeyRevoked)
        in Key by MANAGERS under AgentKey [looked_up];
    110, 2, "template.created" => TemplateCreated(TemplateCreated) { 1 => TemplateCreatedV1 }
        in Template by MANAGERS under Template [begins, looked_up];
    111, 1, "template.deleted" => TemplateDeleted(TemplateDeleted)
        in Template by MANAGERS under Template;
    120, 1, "lock.set" => LockSet(LockSet)
        in Lock by MANAGERS under Lock [begins, looked_up];
    121, 1, "lock.lifted" => LockLifted(LockLifted)
        in Lock by MANAGERS under Lock;
    130, 2, "policy.changed" => PolicyChanged(PolicyChanged) { 1 => PolicyChangedV1 }
        in Policy by POLICY_CHANGERS under Policy [begins, looked_up];
    140, 1, "clearance.made" => ClearanceMade(ClearanceMade)
        in Clearance by APPROVER under Clearance [begins, looked_up];
    141, 1, "clearance.ended" => ClearanceEnded(ClearanceEnded)
        in Clearance by MANAGERS under Clearance;
    150, 1, "block.set" => BlockSet(BlockSet)
        in Admission by BLOCKERS under Admission [begins, looked_up];
    151, 1, "block.lifted" => BlockLifted(BlockLifted)
        in Admission by MANAGERS under Admission;
    152, 1, "allow.set" => AllowSet(AllowSet)
        in Admission by MANAGERS under Admission [begins, looked_up];
    153, 1, "allow.lifted" => AllowLifted(AllowLifted)
        in Admission by MANAGERS under Admission;
    160, 2, "approval.voted" => ApprovalVoted(Voted) { 1 => ApprovalDecidedV2 }
        in Approval by APPROVER under DecisionAssertion [looked_up, decides];
    161, 1, "approval.vote_withdrawn" => ApprovalVoteWithdrawn(VoteWithdrawn)
        in Approval by USERS under Vote;
    162, 1, "approval.vote_voided" => ApprovalVoteVoided(VoteVoided)
        in Approval by APPROVER under Vote;
    170, 1, "schedule.put" => SchedulePut(SchedulePut)
        in Schedule by MANAGERS under Schedule [begins, looked_up];
    171, 1, "schedule.fired" => ScheduleFired(ScheduleFired)
        in Schedule by SCHEDULER under Schedule;
    172, 1, "schedule.missed" => ScheduleMissed(ScheduleMissed)
        in Schedule by SCHEDULER under Schedule;
    173, 1, "schedule.deleted" => ScheduleDeleted(ScheduleDeleted)
        in Schedule by MANAGERS under Schedule;
    174, 1, "schedule.asked" => ScheduleAsked(ScheduleAsked)
        in Schedule by SCHEDULE_ASKERS under Schedule;
    180, 1, "approval.asked" => ApprovalAsked(ApprovalAsked)
        in Approval by QUESTIONERS under ApprovalState told as ApprovalPending [begins, looked_up];
    190, 1, "upstream_key.stored" => UpstreamKeyStored(UpstreamKeyStored)
        in UpstreamKey by KEEPERS under UpstreamKey [begins, looked_up];
    191, 1, "upstream_key.removed" => UpstreamKeyRemoved(UpstreamKeyRemoved)
        in UpstreamKey by MANAGERS under UpstreamKey [looked_up];
    195, 1, "upstream_secret.sealed" => UpstreamKeySealed(UpstreamKeySealed)
        in UpstreamSecret by KEEPERS under UpstreamKey [begins];
    200, 2, "call.begun" => CallBegun(CallBegun) { 1 => CallBegunV1 }
        in Call by GATEWAY under Call [begins] within subject.task_id;
    201, 2, "call.ended" => CallEnded(CallEnded) { 1 => CallEndedV1 }
        in Call by GATEWAY under Call [alone] within subject.task_id;
    202, 1, "usage.recorded" => UsageRecorded(UsageRecorded)
        in Usage by GATEWAY under Usage [begins, alone] within task_id;
    210, 1, "upstream.defined" => UpstreamDefined(UpstreamDefined)
        in Upstream by MANAGERS under Upstream [begins, looked_up];
    211, 1, "upstream.ended" => UpstreamEnded(UpstreamEnded)
        in Upstream by MANAGERS under Upstream [looked_up];
    212, 1, "upstream.key_stored" => UpstreamKeyShared(UpstreamKeyShared)
        in Upstream by MANAGERS under UpstreamKey;
    213, 1, "upstream.key_removed" => UpstreamKeyUnshared(UpstreamKeyUnshared)
        in Upstream by MANAGERS under UpstreamKey;
    220, 1, "asset_upload.opened" => AssetUploadOpened(AssetUploadOpened)
        in AssetUpload by GATEWAY under AssetUpload [begins, looked_up];
    221, 1, "asset_upload.files_sent" => AssetFilesSent(AssetFilesSent)
        in AssetUpload by GATEWAY under AssetUpload [looked_up];
    222, 1, "asset_upload.completed" => AssetUploadCompleted(AssetUploadCompleted)
        in AssetUpload by GATEWAY under AssetUpload [looked_up];
}

impl Event {
    /// Its row; `None` for an erased event of a later version.
    #[must_use]
    pub const fn kind(&self) -> Option<&'static EventKind> {
        Self::kind_of(self.event_type())
    }

    /// True when it is the first event of its stream. What was erased is not known to be.
    #[must_use]
    pub const fn begins(&self) -> bool {
        match (self, self.kind()) {
            (Self::Erased(_), _) | (_, None) => false,
            // A call that changes nothing has no other event.
            (Self::CallEnded(ended), _) => !ended.is_begun,
            (_, Some(kind)) => kind.traits.begins,
        }
    }

    /// What a human decided, and the proof, where it records that.
    #[must_use]
    pub const fn decision(&self) -> Option<(Decision, &ApprovalDecided)> {
        match self {
            Self::ApprovalApproved(Approved(decided)) => Some((Decision::Approve, decided)),
            Self::ApprovalDenied(Denied(decided)) => Some((Decision::Deny, decided)),
            _ => None,
        }
    }

    /// A vote that did not end its question, and its proof, where it records that.
    #[must_use]
    pub const fn vote(&self) -> Option<&ApprovalDecided> {
        match self {
            Self::ApprovalVoted(Voted(vote)) => Some(vote),
            _ => None,
        }
    }

    /// What a human signed with a passkey about a question: a decision, or a vote.
    #[must_use]
    pub const fn answer(&self) -> Option<(Decision, &ApprovalDecided)> {
        match self.vote() {
            Some(vote) => Some((Decision::Approve, vote)),
            None => self.decision(),
        }
    }

    /// The assertion by which a user has proven to be one, where it records that.
    #[must_use]
    pub const fn passkey_proof(&self) -> Option<&PasskeyProof> {
        match self {
            Self::PrincipalLinked(linked) => Some(&linked.proof),
            Self::SteppedUp(stepped_up) => Some(&stepped_up.proof),
            Self::SessionOpened(opened) => match &opened.proof {
                SessionProof::Passkey(proof) => Some(proof),
                _ => None,
            },
            _ => None,
        }
    }

    /// The passkey or command-line key by which a user has proven to be one, where it records that.
    #[must_use]
    pub const fn proving_credential(&self) -> Option<&CredentialId> {
        match (self, self.passkey_proof()) {
            (_, Some(proof)) => Some(&proof.credential_id),
            (Self::SessionOpened(opened), None) => match &opened.proof {
                SessionProof::SoftwareKey(proof) => Some(&proof.credential_id),
                _ => None,
            },
            _ => None,
        }
    }

    /// The user whose session it begins, or whose login it says has failed.
    #[must_use]
    pub const fn logs_in(&self) -> Option<UserId> {
        match self {
            Self::SessionOpened(opened) => Some(opened.user_id),
            Self::LoginFailed(failed) => failed.user_id,
            _ => None,
        }
    }

    /// The user or agent whose stored key it speaks of.
    #[must_use]
    pub const fn key_owner(&self) -> Option<UpstreamKeyOwner> {
        match self {
            Self::UpstreamKeyStored(stored) => Some(stored.owner),
            Self::CallBegun(begun) => Some(begun.subject.owner),
            Self::CallEnded(ended) => Some(ended.subject.owner),
            Self::UsageRecorded(recorded) => Some(recorded.owner),
            _ => None,
        }
    }

    /// Whether it tells that a stored key of an upstream was erased.
    #[must_use]
    pub const fn erases_upstream_key(&self) -> bool {
        matches!(
            self,
            Self::LedgerErased(LedgerErased {
                subject: ErasedSubject::UpstreamSecret(_),
                ..
            })
        )
    }

    /// The name, as in `apply.accepted`; of an erased event, the name that it had.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match name_of(self.event_type()) {
            Some(name) => name,
            None => "unknown",
        }
    }
}

/// The name of an event type; `None` for one of a later version.
#[must_use]
pub const fn name_of(event_type: u16) -> Option<&'static str> {
    match Event::kind_of(event_type) {
        Some(kind) => Some(kind.name),
        None => None,
    }
}

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The canonical header.
    pub header: Header,
    /// Who acted, and why.
    pub envelope: Envelope,
    /// What happened.
    pub event: Event,
}

impl Recorded {
    /// An event whose payload was erased by the event at that position.
    #[must_use]
    pub fn erased(header: Header, erased_by: u64) -> Self {
        Self {
            header,
            envelope: Envelope::erased(),
            event: Event::Erased(ErasedPayload {
                event_type: header.event_type,
                schema_version: header.schema_version,
                erased_by,
            }),
        }
    }

    /// True when its payload was erased.
    #[must_use]
    pub const fn is_erased(&self) -> bool {
        matches!(self.event, Event::Erased(_))
    }

    /// Its gapless number.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.header.position
    }

    /// The stream it belongs to.
    #[must_use]
    pub fn stream_id(&self) -> StreamId {
        self.header.stream_id
    }

    /// Its name for good.
    #[must_use]
    pub fn event_id(&self) -> EventId {
        self.header.event_id
    }

    /// When it was recorded.
    #[must_use]
    pub fn recorded_at(&self) -> Timestamp {
        self.header.recorded_at
    }
}

#[cfg(test)]
mod tests;
