//! Refusals: why a command was not carried out, in terms that the caller can act on.

use crate::catalog::OperationId;
use crate::clock::Timestamp;
use crate::id::{ApplyId, ApprovalId, ClearanceId};
use crate::name::ApproverName;
use std::time::Duration;

/// The family of a refusal; each has one status of the surface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RejectionKind {
    /// The caller is not established.
    Unauthorized,
    /// The caller is known and may not.
    Forbidden,
    /// It does not exist.
    NotFound,
    /// It does not fit what is already there.
    Conflict,
    /// It was there and has ended.
    Gone,
    /// The request is not of the right form.
    Invalid,
    /// It would be more than there may be at a time.
    Limited,
    /// There is no room to keep it.
    NoRoom,
    /// It waits for something of the service itself.
    NotReady,
    /// It has changed since the caller read it.
    PreconditionFailed,
}

/// When a lock ends by itself, in words that go on from *lifted*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockEnd(pub Option<Timestamp>);

impl std::fmt::Display for LockEnd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(until) => write!(f, " or it ends at {until}"),
            None => Ok(()),
        }
    }
}

/// When a kept decision ends by itself, in words that go on from *kept*.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeptUntil(pub Option<Timestamp>);

impl std::fmt::Display for KeptUntil {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(until) => write!(f, " until {until}"),
            None => Ok(()),
        }
    }
}

/// A row for each refusal: its text, its name and fields, its family and its stable code. The code of
/// `Invalid` is that of its field.
macro_rules! refusals {
    ($(
        $(#[$meta:meta])*
        $variant:ident $({ $($(#[$about:meta])* $field:ident: $type:ty),+ $(,)? })?
            => $kind:ident, $code:literal;
    )+) => {
        /// The reason of a refusal. The text says what to do next.
        #[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
        pub enum Rejection {
            $($(#[$meta])* $variant $({ $($(#[$about])* $field: $type),+ })?,)+
        }

        impl Rejection {
            /// Its family.
            #[must_use]
            pub const fn kind(&self) -> RejectionKind {
                match self {
                    $(Self::$variant { .. } => RejectionKind::$kind,)+
                }
            }

            /// The stable code that callers can match on.
            #[must_use]
            pub const fn code(&self) -> &'static str {
                if let Self::Invalid { code, .. } = self {
                    return code;
                }
                match self {
                    $(Self::$variant { .. } => $code,)+
                }
            }
        }
    };
}

refusals! {
    /// No such token in this ledger.
    #[error("the capability token is not known here; ask the orchestrator for a new task")]
    TokenUnknown => Unauthorized, "token_unknown";
    /// It was taken away.
    #[error(
        "the capability token was revoked: its task is closed, or use the newest token of its task"
    )]
    TokenRevoked => Unauthorized, "token_revoked";
    /// Its time is over.
    #[error("the capability token has expired; renew it or make a new task")]
    TokenExpired => Unauthorized, "token_expired";
    /// Its claims are not those that were issued.
    #[error("the capability token's claims are not those that were issued")]
    TokenAltered => Unauthorized, "token_altered";
    /// The agent's permissions have changed since it was issued.
    #[error(
        "the agent's permissions changed after this token was issued; renew it with POST /v1/tasks/{{id}}/token"
    )]
    TokenStale => Unauthorized, "token_stale";
    /// Another subject holds it.
    #[error("the capability token is bound to another subject")]
    SubjectMismatch => Forbidden, "subject_mismatch";
    /// The token is for another task.
    #[error("the capability token belongs to another task")]
    OtherTask => Forbidden, "other_task";
    /// No such task.
    #[error("there is no such task")]
    TaskNotFound => NotFound, "task_not_found";
    /// No agent of that name was ever heard of.
    #[error("there is no such agent")]
    AgentNotFound => NotFound, "agent_not_found";
    /// No approver of that principal was ever heard of.
    #[error("there is no such approver")]
    ApproverNotFound => NotFound, "approver_not_found";
    /// Its payloads were erased.
    #[error("this was erased and can no longer be read or used")]
    Erased => Gone, "erased";
    /// It has not ended, or somebody still waits for something of it.
    #[error("it cannot be erased yet: {why}")]
    NotErasable {
        /// The obstacle, and what to do about it.
        why: String,
    } => Conflict, "not_erasable";
    /// It has ended for good.
    #[error("the task is closed; make a new one")]
    TaskClosed => Conflict, "task_closed";
    /// Outside the task's allowlist or the token.
    #[error(
        "{operation} on {scope} is outside what this task may do; ask for a task that allows it"
    )]
    OutsideAllowlist {
        /// The operation.
        operation: crate::OperationId,
        /// `zone z1`.
        scope: String,
    } => Forbidden, "outside_allowlist";
    /// An agent name that cannot be one.
    #[error("{what} must be 1 to {limit} visible characters")]
    InvalidName {
        /// The kind of name.
        what: &'static str,
        /// The most characters.
        limit: usize,
    } => Invalid, "invalid_name";
    /// The request, checked by its reader, was not valid.
    #[error("{detail}")]
    Invalid {
        /// A stable code.
        code: &'static str,
        /// The fault, and what would be right.
        detail: String,
    } => Invalid, "invalid";
    /// The key stands for other operations.
    #[error("this Idempotency-Key was used for other operations; use a new key for them")]
    KeyReused => Conflict, "idempotency_key_reused";
    /// The key stands for the same operations, with another reason or link.
    #[error(
        "this Idempotency-Key was used with another reason or link; repeat those of its apply, or use a new key"
    )]
    KeyReusedForAnotherPurpose => Conflict, "idempotency_key_reused";
    /// The key stands for the same operations, with another word for how they go on once approved.
    #[error(
        "this Idempotency-Key was used with another on_approval; repeat that of its apply, or use a new key"
    )]
    KeyReusedForAnotherEnding => Conflict, "idempotency_key_reused";
    /// The question about the same operations was asked to be continued by the agent, and people were told so.
    #[error(
        "these operations wait for an approval that was asked with on_approval \"wait\": ask with \"wait\" too, or continue that apply"
    )]
    AskedToWait => Conflict, "approval_asked_to_wait";
    /// The approval was used by another apply.
    #[error(
        "the approval was used by apply {by}; submit this apply again with a new Idempotency-Key"
    )]
    ApprovalConsumed {
        /// The apply.
        by: ApplyId,
    } => Conflict, "approval_consumed";
    /// Somebody said no.
    #[error("the approval was denied{}", reason.as_ref().map_or_else(String::new, |r| format!(": {r}")))]
    ApprovalDenied {
        /// The reason that they wrote.
        reason: Option<String>,
    } => Conflict, "approval_denied";
    /// Nobody decided, or continued, in time.
    #[error("the approval expired at {at}; submit the apply again with a new Idempotency-Key")]
    ApprovalExpired {
        /// The time.
        at: Timestamp,
    } => Gone, "approval_expired";
    /// A read that no grant covers.
    #[error("{detail}")]
    NotGranted {
        /// What is missing.
        detail: String,
    } => Forbidden, "not_granted";
    /// A rule denies it, or the document's default does.
    #[error("{detail}")]
    DeniedByPolicy {
        /// Which rules, and why.
        detail: String,
        /// Their ids.
        rules: Vec<String>,
    } => Forbidden, "denied_by_policy";
    /// A rule denies it for what was used before.
    #[error("{detail}")]
    UsageUsedUp {
        /// Which rules, and why.
        detail: String,
        /// Their ids.
        rules: Vec<String>,
    } => Forbidden, "usage_used_up";
    /// The task may not use it.
    #[error("the task whose token this is may not use {operation} on that: its operations name what it may")]
    CallNotAllowed {
        /// The operation.
        operation: OperationId,
    } => Forbidden, "call_not_allowed";
    /// A call was judged by a document that is not in force any more.
    #[error("the policy was changed while this call was on its way, and nothing was sent: try again")]
    PolicyJustChanged => Conflict, "policy_just_changed";
    /// Approved under an earlier version of the policy, which asked for less.
    #[error("the policy has changed since this was asked for and wants another answer now; ask anew under a new key")]
    PolicyChanged => Conflict, "policy_changed";
    /// Cancelled when it was to go on.
    #[error("the approval was cancelled because the policy has changed since it was asked for; ask anew under a new key")]
    CancelledByPolicy => Gone, "approval_cancelled";
    /// Cancelled by a person.
    #[error("an operator cancelled the question; ask them why, or ask anew under a new key")]
    CancelledByPerson => Gone, "approval_cancelled";
    /// Cancelled before anything was sent.
    #[error("the approval was cancelled because the state upstream is not the one that its approver saw; ask anew under a new key")]
    CancelledByPreState => Gone, "approval_cancelled";
    /// Withdrawn.
    #[error("the approval was cancelled because its task was closed")]
    ApprovalCancelled => Gone, "approval_cancelled";
    /// Decided before.
    #[error("the approval was already {}", if *state == "consumed" { "approved and used" } else { state })]
    ApprovalDecided {
        /// `approved`, `denied`, `consumed`.
        state: &'static str,
    } => Gone, "approval_decided";
    /// Decided before, where it is named by its id.
    #[error("the approval was already {}", if *state == "consumed" { "approved and used" } else { state })]
    AlreadyDecided {
        /// `approved`, `denied`, `consumed`.
        state: &'static str,
    } => Conflict, "already_decided";
    /// No such approval.
    #[error("there is no such approval")]
    ApprovalNotFound => NotFound, "approval_not_found";
    /// Nothing waits.
    #[error("no apply of this task waits for an approval")]
    NothingPending => Conflict, "nothing_pending";
    /// The approval in the log is not proven to be one.
    #[error(
        "the recorded approval is not proven ({why}), and nothing was executed; ask for a new one{}",
        if *is_forged { ", and have an operator look into the ledger's file (`ledger verify`)" } else { "" }
    )]
    ApprovalUnproven {
        /// The check that failed.
        why: String,
        /// It was never good: somebody else wrote it.
        is_forged: bool,
    } => Conflict, "approval_unproven";
    /// The resume token is for something else.
    #[error("the resume token does not belong to this task and these operations")]
    ResumeMismatch => Forbidden, "resume_mismatch";
    /// The principal may not decide.
    #[error("{principal} may not decide this approval")]
    NotEligible {
        /// The principal.
        principal: ApproverName,
    } => Forbidden, "approver_not_eligible";
    /// The credential may not decide.
    #[error("this passkey may not decide this approval; use one of an eligible approver")]
    CredentialNotEligible => Forbidden, "credential_not_eligible";
    /// The passkey may not answer for what a user asks.
    #[error("this passkey may not answer here; use one of those that the options name")]
    PasskeyNotEligible => Forbidden, "credential_not_eligible";
    /// Nobody whom the question needs signs with it.
    #[error("this credential may not answer this question: it is of nobody in a group that is needed, was taken away, or is a command-line key where a passkey is needed")]
    VoterNotEligible => Forbidden, "not_eligible";
    /// Its own wish.
    #[error("who asks for it does not approve it: you own the agent, made its key, opened its task or proposed the change")]
    VoterExcluded => Forbidden, "excluded";
    /// The same person, perhaps with another passkey.
    #[error("you have voted on this question already, and each person counts once; it waits for others")]
    AlreadyVoted => Conflict, "already_voted";
    /// Nothing to take back.
    #[error("there is no vote of yours on this question")]
    VoteNotFound => NotFound, "vote_not_found";
    /// Asking would be in vain.
    #[error("{why}: nobody was asked, and the key stays free; have an operator look at the policy's needs and at who has a passkey")]
    ApprovalUnsatisfiable {
        /// What is missing.
        why: &'static str,
    } => Conflict, "approval_unsatisfiable";
    /// The assertion does not prove the decision.
    #[error("the passkey's answer does not prove this decision: {why}")]
    AssertionInvalid {
        /// The check that failed.
        why: String,
    } => Unauthorized, "assertion_invalid";
    /// The challenge's time is over.
    #[error("the challenge is no longer valid; ask for a new one")]
    ChallengeExpired => Unauthorized, "challenge_expired";
    /// The counter did not rise: the authenticator may have been copied.
    #[error("the passkey's signature counter went back; it may have been copied")]
    CounterWentBack => Unauthorized, "counter_went_back";
    /// The authenticator's backup eligibility is not what was registered.
    #[error("the passkey's backup eligibility is not what was registered")]
    BackupEligibilityChanged => Unauthorized, "backup_eligibility_changed";
    /// The id belongs to somebody else.
    #[error("this credential id is registered for another approver")]
    CredentialTaken => Conflict, "credential_taken";
    /// A living user logs in by it.
    #[error(
        "a user logs in by this passkey: its key stays, and once revoked so does that; register another passkey"
    )]
    CredentialLinked => Conflict, "credential_linked";
    /// No such credential.
    #[error("there is no such credential")]
    CredentialNotFound => NotFound, "credential_not_found";
    /// Used or over.
    #[error("this enrolment link was used or has expired; ask for a new one")]
    EnrolmentEnded => Gone, "enrolment_ended";
    /// No such invitation.
    #[error("there is no such enrolment")]
    EnrolmentNotFound => NotFound, "enrolment_not_found";
    /// No such apply.
    #[error("there is no such apply")]
    ApplyNotFound => NotFound, "apply_not_found";
    /// It is not in that state.
    #[error("the apply has no unknown outcome to settle")]
    NothingToResolve => Conflict, "nothing_to_resolve";
    /// It is not to be executed now.
    #[error("the apply is not waiting to be executed")]
    NotExecutable => Conflict, "not_executable";
    /// It has had as many callbacks as a task may.
    #[error(
        "this task has already had {most} callbacks, the most allowed; use one of them again, or make a new task"
    )]
    TooManyCallbacks {
        /// The limit.
        most: u32,
    } => Conflict, "too_many_callbacks";
    /// The user has as many devices as one may.
    #[error(
        "at most {most} devices are told of questions, and {ever} in a user's life: remove one of yours first"
    )]
    TooManyDevices {
        /// The limit at a time.
        most: usize,
        /// The limit of a user's life.
        ever: u32,
    } => Conflict, "too_many_devices";
    /// No device of the user has that id.
    #[error("no device of yours has that id")]
    DeviceNotFound => NotFound, "device_not_found";
    /// The orchestrator keeps the task's callbacks to itself.
    #[error("this task takes no callback from its agent: send the apply without one")]
    AgentCallbackForbidden => Forbidden, "agent_callback_forbidden";
    /// The task asks people as much as it may.
    #[error(
        "this task already has {most} open approvals, the most allowed: wait for decisions, continue \
         the approved applies, or close the task"
    )]
    TooManyOpenApprovals {
        /// The limit.
        most: usize,
    } => Limited, "too_many_open_approvals";
    /// As many questions are open as may be.
    #[error(
        "{most} questions are open {}, and the limit {limit} allows no more: wait until one is decided or its time \
         is over, then send this again under the same key",
        of_limit(limit)
    )]
    TooManyQuestions {
        /// Its key in a policy: `open`, `per_agent`, `per_owner` or `per_operation`.
        limit: &'static str,
        /// How many it allows.
        most: u32,
    } => Limited, "too_many_questions";
    /// So much was recorded for it within an hour that it has to wait.
    #[error(
        "this {whose} has used up its quota of {most} recorded bytes in an hour: wait as long as \
         retry-after says"
    )]
    QuotaUsedUp {
        /// `task` or `agent`.
        whose: &'static str,
        /// The quota, in bytes.
        most: u64,
        /// The time until what was asked for fits.
        retry_after: Duration,
    } => Limited, "storage_quota_exceeded";
    /// The disk is nearly full.
    #[error(
        "the service is short of disk space and accepts nothing new until its operator frees some; \
         decisions, continued and running applies, and closing a task still work"
    )]
    InsufficientStorage => NoRoom, "insufficient_storage";
    /// No such delivery.
    #[error("there is no such delivery")]
    DeliveryNotFound => NotFound, "delivery_not_found";
    /// It is not due.
    #[error("the delivery is not due")]
    DeliveryNotDue => Conflict, "delivery_not_due";
    /// It arrived or is still being tried.
    #[error("the delivery was not given up; there is nothing to retry")]
    DeliveryNotGivenUp => Conflict, "delivery_not_given_up";
    /// The agent is known already.
    #[error("there is an agent of this name already; change it with PATCH (`agent set`), or use another name")]
    AgentExists => Conflict, "agent_exists";
    /// No such key of that agent.
    #[error("the agent has no such key")]
    KeyNotFound => NotFound, "key_not_found";
    /// The key was taken away.
    #[error("this agent key was revoked; ask an operator for a new one")]
    KeyRevoked => Unauthorized, "key_revoked";
    /// Nothing asks for a key under that code.
    #[error("there is no such pairing: look at the code again, or have the agent begin a new one")]
    PairingNotFound => NotFound, "pairing_not_found";
    /// Its key was given, or is being given.
    #[error("this pairing was confirmed already; what it gave is a key of the agent, which can be revoked")]
    PairingConfirmed => Conflict, "pairing_confirmed";
    /// Denied, expired, or its key was handed out.
    #[error("the pairing has ended: it was denied, has expired, or its key was handed out; begin a new one")]
    PairingEnded => Gone, "pairing_ended";
    /// Somebody else opened the task, or there is none.
    #[error("no key of this agent opened such a task: open one from a template with POST /v1/tasks")]
    NotOpenedByKey => Forbidden, "other_task";
    /// The time of its template is over.
    #[error("the task's time ended at {at}; open a new one from a template")]
    TaskExpired {
        /// The time.
        at: Timestamp,
    } => Gone, "task_expired";
    /// No such template.
    #[error("there is no such task template")]
    TemplateNotFound => NotFound, "template_not_found";
    /// Not for this agent, or no template at all.
    #[error("this agent may open no task from such a template; ask an operator which ones it may use")]
    TemplateNotAllowed => Forbidden, "template_not_allowed";
    /// A lock stops it.
    #[error(
        "locked: {kind} has been locked since {since}, and nothing of it begins or goes on until that is lifted{until}; then ask anew, with a new task or key where yours is older than the lock"
    )]
    Locked {
        /// What is locked: `every agent`, `the agent`, ….
        kind: &'static str,
        /// Since when.
        since: Timestamp,
        /// Until when, where the lock ends by itself.
        until: LockEnd,
    } => Forbidden, "locked";
    /// A question whose agent, task or operation is locked.
    #[error("the question cannot be decided: {kind} is locked, and it will be cancelled; once that is lifted the agent asks anew")]
    QuestionLocked {
        /// What is locked.
        kind: &'static str,
    } => Conflict, "locked";
    /// Asked before a lock that has been lifted.
    #[error("the approval was cancelled by a lock that was set after it was asked for; ask anew under a new key")]
    CancelledByLock => Gone, "approval_cancelled";
    /// It was changed meanwhile.
    #[error("the policy is at version {newest}: read it again, and send if-match: \"{newest}\" once your change fits it")]
    PolicyVersionMismatch {
        /// The newest version.
        newest: u64,
    } => PreconditionFailed, "version_mismatch";
    /// No such version of the policy.
    #[error("there is no such version of the policy")]
    PolicyVersionNotFound => NotFound, "policy_version_not_found";
    /// A person has denied it, and their answer is kept.
    #[error("denied before, and the answer is kept{until}: nothing was asked; change the operations, or have an operator end clearance {clearance_id}")]
    DeniedBefore {
        /// The kept denial.
        clearance_id: ClearanceId,
        /// Until when.
        until: KeptUntil,
    } => Forbidden, "denied_cached";
    /// A kept decision that is not to be had for these operations.
    #[error("{why}; decide once")]
    RetentionNotAllowed {
        /// What keeps it from being kept.
        why: &'static str,
    } => Invalid, "retention_not_allowed";
    /// It is not approved by one person alone.
    #[error("{why}")]
    EmergencyNotAllowed {
        /// What keeps it from being approved in an emergency.
        why: &'static str,
    } => Invalid, "break_glass_not_allowed";
    /// One emergency at a time.
    #[error("an earlier approval in an emergency waits for its review, approval {review}; that comes first")]
    ReviewOwed {
        /// The review.
        review: ApprovalId,
    } => Conflict, "review_owed";
    /// It is owed.
    #[error("a review is given or denied by others, and is not cancelled")]
    ReviewNotCancelled => Conflict, "review_owed";
    /// What was signed is not what is asked now.
    #[error("the question is not what the statement says any more; load it again and decide what it says now")]
    QuestionChanged => Conflict, "question_changed";
    /// What a question is bound to was not read yet.
    #[error("an approval of this is bound to the state upstream, which is still being read; try again in a moment")]
    PreStatePending => NotReady, "pre_state_pending";
    /// No such clearance.
    #[error("there is no such clearance")]
    ClearanceNotFound => NotFound, "clearance_not_found";
    /// A block refuses it.
    #[error("blocked: requests of this {kind} are refused until an operator lifts that{until}; the key stays free")]
    Blocked {
        /// What is blocked: `agent`, `subject`, `address` or `asn`.
        kind: &'static str,
        /// Until when, where the block ends by itself.
        until: LockEnd,
    } => Forbidden, "blocked";
    /// An allow covers it.
    #[error("an allow covers all of it, so it cannot be blocked: lift the allow first")]
    Allowed => Conflict, "allowed";
    /// No such block or allow.
    #[error("there is no such block or allow")]
    AdmissionNotFound => NotFound, "admission_not_found";
    /// No such schedule.
    #[error("there is no such schedule")]
    ScheduleNotFound => NotFound, "schedule_not_found";
    /// Nobody has to be passed over.
    #[error("this is for a policy that wants people for a change and has not enough of them left; change it over the API, with an admin's session or the service token")]
    PolicyNotLocked => Conflict, "policy_not_locked";
    /// People have not approved the schedule yet.
    #[error("the schedule waits for approval {approval_id} of what it asks for, and does not run before")]
    ScheduleWaits {
        /// The question.
        approval_id: ApprovalId,
    } => Conflict, "schedule_not_approved";
    /// People denied the schedule.
    #[error("the schedule was denied in approval {approval_id}; it does not run until it is put in another form and approved")]
    ScheduleDenied {
        /// The question.
        approval_id: ApprovalId,
    } => Conflict, "schedule_denied";
    /// As many schedules as there may be.
    #[error("there are {most} schedules, which is the most; delete one first")]
    TooManySchedules {
        /// That many.
        most: usize,
    } => Conflict, "too_many_schedules";
    /// No such lock.
    #[error("there is no such lock")]
    LockNotFound => NotFound, "lock_not_found";
    /// No API of that name.
    #[error("there is no upstream of that name")]
    NoSuchUpstream => NotFound, "upstream_not_found";
    /// No such upstream.
    #[error("there is no such upstream: keys are stored for anthropic, cloudflare and those of /v1/upstreams")]
    UpstreamNotFound => NotFound, "upstream_not_found";
    /// No key is stored there.
    #[error("no key is stored there")]
    UpstreamKeyNotFound => NotFound, "upstream_key_not_found";
    /// No upload has that token.
    #[error("no upload of this agent, account and script has this token, or it is over, or its files are not all there: upload them again")]
    UploadTokenUnknown => Forbidden, "upload_token_unknown";
    /// Clients choose the hash of a file.
    #[error("another file was sent under the hash {hash} before")]
    FileDiffers {
        /// The hash.
        hash: String,
    } => Invalid, "file_differs";
    /// A write that a request says it follows is not there.
    #[error("the request is said to follow a write that this agent has not made")]
    FollowsNothing => Invalid, "follows_nothing";
    /// No call of that id has begun.
    #[error("no such call has begun")]
    CallNotFound => NotFound, "call_not_found";
    /// A credential that stands for no person.
    #[error("a lock on all, a user or a credential is lifted by a person: log in as an admin with a passkey, or use the command line on the service's machine with --local --reason TEXT")]
    PersonRequired => Forbidden, "person_required";
    /// No renewal for this token.
    #[error("this token cannot be renewed: {why}")]
    NotRenewable {
        /// The rule.
        why: &'static str,
    } => Conflict, "token_not_renewable";
    /// Not a label.
    #[error("{what} must be 1 to {limit} of the characters a-z 0-9 . _ @ -")]
    InvalidLabel {
        /// The kind of name.
        what: &'static str,
        /// The most characters.
        limit: usize,
    } => Invalid, "invalid_name";
    /// The service itself goes by it.
    #[error("this name is the service's own; choose another")]
    NameReserved => Invalid, "name_reserved";
    /// The set that was to be replaced is not there any more.
    #[error("the agent's permissions have changed since they were read; read them again")]
    PermissionsChanged => Conflict, "permissions_changed";
    /// Another one has it.
    #[error("this name is taken; choose another")]
    NameTaken => Conflict, "name_taken";
    /// No living user has that id.
    #[error("there is no such user")]
    UserNotFound => NotFound, "user_not_found";
    /// Nobody could answer what asks for its members.
    #[error(
        "the policy in force asks for members of this group: {}; change the policy first",
        by.join(", ")
    )]
    GroupInPolicy {
        /// The parts of the policy that name it: `rule foreign`, `policy_change`, `break_glass`.
        by: Vec<String>,
    } => Conflict, "group_in_policy";
    /// No group has that id.
    #[error("there is no such group")]
    GroupNotFound => NotFound, "group_not_found";
    /// No session has that id.
    #[error("there is no such session")]
    SessionNotFound => NotFound, "session_not_found";
    /// Nobody could administer afterwards.
    #[error(
        "this is the last administrator who can log in: give another user the role admin and a way to log          in first"
    )]
    LastAdmin => Conflict, "last_admin";
    /// The first one is no longer the first.
    #[error("there is an administrator who can log in already; ask them for a user")]
    AdminExists => Conflict, "admin_exists";
    /// Whatever was wrong: who tries learns nothing of it.
    #[error("the login failed: the name, or what was shown for it, is not right")]
    LoginFailed => Unauthorized, "login_failed";
    /// It is somebody's.
    #[error("this principal is a user's already")]
    PrincipalLinked => Conflict, "principal_linked";
    /// It has served.
    #[error("this challenge has been answered; ask for a new one")]
    ChallengeUsed => Gone, "challenge_used";
    /// Its holder logged out, or something took it away.
    #[error("the session has ended; log in again")]
    SessionEnded => Unauthorized, "session_ended";
    /// The user's role allows less.
    #[error("this needs the role {}, and yours is {}", required.as_str(), role.as_str())]
    RoleRequired {
        /// The least role.
        required: crate::Role,
        /// The user's.
        role: crate::Role,
    } => Forbidden, "role_required";
    /// No passkey was shown a moment ago.
    #[error(
        "this needs a passkey of the last five minutes: log in with one, or confirm with one at POST /v1/auth/step-up/options, as the page at / does; without one send the service token, or, for commands that have it, use --local --reason TEXT on the service's machine"
    )]
    StepUpRequired => Forbidden, "step_up_required";
    /// A session that a command-line key has opened asks for what takes a login by a person.
    #[error(
        "a session by a command-line key cannot do this: log in with a passkey or a password"
    )]
    KeySession => Forbidden, "key_session";
}

impl Rejection {
    /// The same where no link was opened that is good for nothing more.
    #[must_use]
    pub fn outside_a_link(self) -> Self {
        match self {
            Self::ApprovalDecided { state } => Self::AlreadyDecided { state },
            other => other,
        }
    }

    /// The time after which asking again may help, where only waiting does.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::QuotaUsedUp { retry_after, .. } => Some(*retry_after),
            Self::TooManyOpenApprovals { .. } | Self::TooManyQuestions { .. } => {
                Some(Duration::from_secs(30))
            }
            Self::InsufficientStorage => Some(Duration::from_secs(60)),
            Self::PreStatePending => Some(Duration::from_secs(2)),
            _ => None,
        }
    }
}

/// Which questions a limit counts, in words that go on from *are open*.
fn of_limit(limit: &str) -> &'static str {
    match limit {
        "per_agent" => "of this agent",
        "per_owner" => "of the agents of its owner",
        "per_operation" => "about one of these operations",
        _ => "in all",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_decides_late_is_told_in_plain_words() {
        let told = |state| Rejection::ApprovalDecided { state }.to_string();
        assert_eq!(told("denied"), "the approval was already denied");
        assert_eq!(
            told("consumed"),
            "the approval was already approved and used"
        );
    }
}
