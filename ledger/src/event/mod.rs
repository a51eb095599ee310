//! Events: immutable facts, each in a frozen postcard form behind a frozen envelope.
//!
//! To add an event: a struct in the file of its aggregate, a row in the table below, golden data in
//! `fixtures/`, a line in the `evolve` of its aggregate and in the folds. Never change a struct that
//! has landed. To say more, add the next form: keep the old struct under a name with its version,
//! list it in the row (`{ 1 => OldFormV1 }`), and write its upcast, `impl From<OldFormV1> for NewForm`.

mod acceptance;
mod agent;
mod apply;
mod approval;
mod approver;
mod delivery;
mod envelope;
mod erasure;
mod fork;
mod group;
mod key;
mod kind;
mod session;
mod task;
mod template;
mod user;

pub use acceptance::LedgerAccepted;
pub use agent::{AgentDescribed, AgentRegistered, Grant, PermissionsReplaced};
pub use apply::{
    Agreement, ApplyAccepted, ApplyAuthorised, ApplyEnd, ApplyEnded, ApplyRefused, ApplyResolved,
    Authorisation, CheckedOperation, Evidence, OperationEnded, OperationEndedV1, OperationOutcome,
    OperationStarted, OperationStartedV1, PermissionCheck, ReadBefore, RefusalsCounted,
    StateBefore,
};
pub use approval::{
    ApprovalCancelled, ApprovalConsumed, ApprovalDecided, ApprovalExpired, ApprovalNarrowed,
    ApprovalReleased, ApprovalRequested, PreState, PreStateRecorded, PreStateRecordedV1,
    ZoneNameRead, ZoneRead,
};
pub use approver::{
    ApproverRegistered, BackupEligibilityLearnt, CredentialPut, CredentialStatus, EnrolmentOpened,
};
pub use delivery::{
    AfterAttempt, AttemptEnded, AttemptOutcome, AttemptStarted, DeliveryOwed, RetryRequested,
};
pub use envelope::{Actor, Assurance, Envelope, Via};
pub use erasure::{
    ErasedName, ErasedPayload, ErasedStream, ErasedSubject, KeptCounter, LedgerErased,
    LedgerErasedV1, NameKind, PositionRange, StreamKind,
};
pub use fork::LedgerForked;
pub use group::{GroupChanged, GroupCreated, GroupDeleted};
pub use key::{KeyCreated, KeyOrigin, KeyRevoked};
pub use kind::{ActorKind, AggregateKind, EventKind, Traits};
pub use session::{
    FailuresCounted, LoginFailed, LoginWay, PasskeyProof, SessionEnd, SessionEnded, SessionOpened,
    SessionProof, SessionTokenHash, SteppedUp,
};
pub use task::{
    AllowedOperation, CallbackOwner, CallbackSet, CallbackSetV1, FromTemplate, RegisteredCallback,
    TaskClosed, TaskCreated, TaskCreatedV1, TaskCreatedV2, TokenIssued, TokenRevoked,
};
pub use template::{TemplateCreated, TemplateDeleted};
pub use user::{
    PasswordSet, PrincipalLinked, Role, SessionsEnded, UserChanged, UserCreated, UserDeleted,
};

use crate::audit::check::Check;
use crate::callback_event::CallbackEvent;
use crate::clock::Timestamp;
use crate::describe::Describe;
use crate::id::{EventId, LedgerId, StreamId, TaskId};
use crate::record::Header;
use crate::statement::Decision;
use kind::by;
use serde::{Deserialize, Serialize};

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

/// The stored form could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// This binary does not know the form: it is older than the ledger.
    #[error("event type {event_type} schema {schema_version} is not known to this version")]
    UnknownForm {
        /// The header's event type.
        event_type: u16,
        /// The header's schema version.
        schema_version: u16,
    },
    /// The bytes are not of that form.
    #[error("the payload of {name} cannot be read")]
    Payload {
        /// The event's name.
        name: &'static str,
        /// What postcard says.
        #[source]
        source: postcard::Error,
    },
    /// The payload goes on after its end.
    #[error("the payload of {name} has {extra} bytes too many")]
    Trailing {
        /// The event's name.
        name: &'static str,
        /// How many.
        extra: usize,
    },
}

macro_rules! events {
    ($(#[$meta:meta])* $visibility:vis enum $enum:ident; $(
        $number:literal, $schema:literal, $name:literal => $variant:ident($form:ident)
        $({ $($old:literal => $old_form:ident),+ })?
        in $aggregate:ident by $causes:ident under $rule:ident $(told as $($told:ident),+)?
        $([$($trait:ident),+])?
        $(of $task:ident $(, $agent:ident)?)?;
    )+) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(untagged)]
        $visibility enum $enum {
            $(#[doc = concat!("`", $name, "`")] $variant($form),)+
            /// Any event whose payload was erased. Never written: what it was written as is gone.
            Erased(ErasedPayload),
        }

        impl $enum {
            /// Every form that was ever written: (event type, schema version, name).
            $visibility const FORMS: &'static [(u16, u16, &'static str)] = &[$(
                $($(($number, $old, $name),)+)?
                ($number, $schema, $name),
            )+];

            /// The row of an event type; `None` for one of a later version.
            #[must_use]
            $visibility const fn kind_of(event_type: u16) -> Option<&'static EventKind> {
                match event_type {
                    $($number => {
                        const KIND: EventKind = EventKind {
                            number: $number,
                            name: $name,
                            aggregate: AggregateKind::$aggregate,
                            causes: by::$causes,
                            rule: Check::$rule,
                            told: &[$($(CallbackEvent::$told),+)?],
                            traits: Traits { $($($trait: true,)+)? ..Traits::NONE },
                        };
                        Some(&KIND)
                    })+
                    _ => None,
                }
            }

            /// The number in the header.
            #[must_use]
            $visibility const fn event_type(&self) -> u16 {
                match self {
                    $(Self::$variant(_) => $number,)+
                    Self::Erased(erased) => erased.event_type,
                }
            }

            /// The version of the payload's form.
            #[must_use]
            $visibility const fn schema_version(&self) -> u16 {
                match self {
                    $(Self::$variant(_) => $schema,)+
                    Self::Erased(erased) => erased.schema_version,
                }
            }

            /// The task that it says it belongs to. Later events of a stream do not say it again.
            #[must_use]
            $visibility const fn task_id(&self) -> Option<TaskId> {
                match self {
                    $($(Self::$variant(form) => Some(form.$task),)?)+
                    _ => None,
                }
            }

            /// The agent of that task, where it names one too.
            #[must_use]
            $visibility fn agent(&self) -> Option<&str> {
                match self {
                    $($($(Self::$variant(form) => Some(&form.$agent),)?)?)+
                    _ => None,
                }
            }

            /// Its form, as people are told of it.
            #[must_use]
            $visibility fn described(&self) -> &dyn Describe {
                match self {
                    $(Self::$variant(form) => form,)+
                    Self::Erased(erased) => erased,
                }
            }

            /// The payload: envelope, then the form.
            ///
            /// # Errors
            /// For an erased event, which has none any more.
            $visibility fn encode(&self, envelope: &Envelope) -> Result<Vec<u8>, postcard::Error> {
                let start = postcard::to_stdvec(envelope)?;
                match self {
                    $(Self::$variant(form) => postcard::to_extend(form, start),)+
                    Self::Erased(_) => Err(postcard::Error::WontImplement),
                }
            }

            /// Reads a payload of the given form; an older form becomes the newest of its type.
            $visibility fn decode(
                event_type: u16,
                schema_version: u16,
                payload: &[u8],
            ) -> Result<(Envelope, Self), DecodeError> {
                match (event_type, schema_version) {
                    $(
                        $($(($number, $old) => {
                            let (envelope, form) = decode_form::<$old_form>($name, payload)?;
                            Ok((envelope, Self::$variant(form.into())))
                        })+)?
                        ($number, $schema) => {
                            let (envelope, form) = decode_form::<$form>($name, payload)?;
                            Ok((envelope, Self::$variant(form)))
                        }
                    )+
                    _ => Err(DecodeError::UnknownForm { event_type, schema_version }),
                }
            }

            /// A payload as JSON, in the form in which it was stored.
            $visibility fn readable(
                event_type: u16,
                schema_version: u16,
                payload: &[u8],
            ) -> Option<(serde_json::Value, serde_json::Value)> {
                match (event_type, schema_version) {
                    $(
                        $($(($number, $old) => readable_form::<$old_form>($name, payload),)+)?
                        ($number, $schema) => readable_form::<$form>($name, payload),
                    )+
                    _ => None,
                }
            }

            /// Reads the readable JSON of a form, as golden data holds it.
            $visibility fn from_json(
                event_type: u16,
                schema_version: u16,
                json: serde_json::Value,
            ) -> Option<Result<Self, serde_json::Error>> {
                match (event_type, schema_version) {
                    $(
                        $($(($number, $old) => Some(
                            serde_json::from_value::<$old_form>(json)
                                .map(|form| Self::$variant(form.into())),
                        ),)+)?
                        ($number, $schema) => Some(serde_json::from_value(json).map(Self::$variant)),
                    )+
                    _ => None,
                }
            }
        }

        $(impl From<$form> for $enum {
            fn from(form: $form) -> Self {
                Self::$variant(form)
            }
        }

        impl InStream<$enum> for $form {
            type Id = stream::$aggregate;
        })+
    };
}

/// A form with the id of the only streams in which it stands.
pub trait InStream<E>: Into<E> {
    /// The id of its aggregate.
    type Id: Into<StreamId>;
}

/// The id of each aggregate of the table.
mod stream {
    pub(super) use crate::id::{
        AgentId as Agent, ApplyId as Apply, ApprovalId as Approval, ApproverId as Approver,
        DeliveryId as Delivery, GroupId as Group, KeyId as Key, LedgerId as Ledger,
        SessionId as Session, TaskId as Task, TemplateId as Template, UserId as User,
    };
}

/// Envelope and form of a payload, which must end there.
fn decode_form<F: serde::de::DeserializeOwned>(
    name: &'static str,
    payload: &[u8],
) -> Result<(Envelope, F), DecodeError> {
    let fail = |source| DecodeError::Payload { name, source };
    let (envelope, rest) = postcard::take_from_bytes(payload).map_err(fail)?;
    let (form, rest) = postcard::take_from_bytes::<F>(rest).map_err(fail)?;
    if rest.is_empty() {
        Ok((envelope, form))
    } else {
        let extra = rest.len();
        Err(DecodeError::Trailing { name, extra })
    }
}

fn readable_form<F: serde::de::DeserializeOwned + Serialize>(
    name: &'static str,
    payload: &[u8],
) -> Option<(serde_json::Value, serde_json::Value)> {
    let (envelope, form) = decode_form::<F>(name, payload).ok()?;
    Some((
        serde_json::to_value(envelope).ok()?,
        serde_json::to_value(form).ok()?,
    ))
}

/// `approval.approved` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Approved(pub ApprovalDecided);

/// `approval.denied` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Denied(pub ApprovalDecided);

events! {
    /// One fact, in the newest form of its type.
    pub enum Event;

    1, 1, "ledger.created" => LedgerCreated(LedgerCreated)
        in Ledger by LEDGER under PayloadForm [begins];
    2, 2, "ledger.erased" => LedgerErased(LedgerErased) { 1 => LedgerErasedV1 }
        in Ledger by OPERATOR under PayloadForm [looked_up, erases];
    3, 1, "ledger.forked" => LedgerForked(LedgerForked)
        in Ledger by OPERATOR under PayloadForm;
    4, 1, "ledger.accepted" => LedgerAccepted(LedgerAccepted)
        in Ledger by OPERATOR under PayloadForm;
    10, 3, "task.created" => TaskCreated(TaskCreated) { 1 => TaskCreatedV1, 2 => TaskCreatedV2 }
        in Task by CREATORS under PayloadForm [begins, addresses] of task_id, agent;
    11, 1, "task.token_issued" => TokenIssued(TokenIssued)
        in Task by OPENERS under TokenLife [looked_up, outlives_token];
    12, 1, "task.token_revoked" => TokenRevoked(TokenRevoked)
        in Task by CLOSERS under Token [outlives_token];
    13, 2, "task.callback_set" => CallbackSet(CallbackSet) { 1 => CallbackSetV1 }
        in Task by OPENERS under PayloadForm [addresses];
    14, 1, "task.closed" => TaskClosed(TaskClosed)
        in Task by CLOSERS under PayloadForm [outlives_token];
    20, 1, "apply.accepted" => ApplyAccepted(ApplyAccepted)
        in Apply by AGENT under Fingerprint [begins, looked_up] of task_id, agent;
    21, 1, "apply.refused" => ApplyRefused(ApplyRefused)
        in Apply by AGENT under PayloadForm [begins, alone] of task_id, agent;
    22, 1, "apply.refusals_counted" => RefusalsCounted(RefusalsCounted)
        in Apply by LEDGER under PayloadForm [begins, alone] of task_id;
    23, 1, "apply.authorised" => ApplyAuthorised(ApplyAuthorised)
        in Apply by AGENT under Authorisation [answers, looked_up];
    24, 2, "apply.operation_started" => OperationStarted(OperationStarted) { 1 => OperationStartedV1 }
        in Apply by EXECUTOR under Request;
    25, 2, "apply.operation_ended" => OperationEnded(OperationEnded) { 1 => OperationEndedV1 }
        in Apply by EXECUTOR under ExecutionOrder;
    26, 1, "apply.ended" => ApplyEnded(ApplyEnded)
        in Apply by ENDERS under ExecutionOrder told as ApplyFinished, ApplyFailed, ApplyUnknown [looked_up];
    27, 1, "apply.resolved" => ApplyResolved(ApplyResolved)
        in Apply by MANAGERS under ExecutionOrder told as ApplyFinished, ApplyFailed;
    30, 1, "approval.requested" => ApprovalRequested(ApprovalRequested)
        in Approval by AGENT under ApprovalState told as ApprovalPending [begins, looked_up] of task_id, agent;
    31, 2, "approval.pre_state_recorded" => PreStateRecorded(PreStateRecorded) { 1 => PreStateRecordedV1 }
        in Approval by READER under ApprovalState;
    32, 1, "approval.narrowed" => ApprovalNarrowed(ApprovalNarrowed)
        in Approval by AGENT under ApprovalState;
    33, 1, "approval.approved" => ApprovalApproved(Approved)
        in Approval by APPROVER under DecisionAssertion told as ApprovalApproved [looked_up, decides];
    34, 1, "approval.denied" => ApprovalDenied(Denied)
        in Approval by APPROVER under DecisionAssertion told as ApprovalDenied [looked_up, decides];
    35, 1, "approval.expired" => ApprovalExpired(ApprovalExpired)
        in Approval by EXPIRERS under Deadline told as ApprovalExpired [looked_up];
    36, 1, "approval.cancelled" => ApprovalCancelled(ApprovalCancelled)
        in Approval by CLOSERS under ApprovalState told as ApprovalCancelled [looked_up];
    37, 1, "approval.consumed" => ApprovalConsumed(ApprovalConsumed)
        in Approval by AGENT under ExecutionOnce [looked_up];
    38, 1, "approval.released" => ApprovalReleased(ApprovalReleased)
        in Approval by EXECUTOR under ApprovalState [answers, looked_up];
    40, 1, "agent.registered" => AgentRegistered(AgentRegistered)
        in Agent by MANAGERS under PayloadForm [begins, looked_up];
    41, 1, "agent.permissions_replaced" => PermissionsReplaced(PermissionsReplaced)
        in Agent by MANAGERS under PermissionRevision;
    42, 1, "agent.described" => AgentDescribed(AgentDescribed)
        in Agent by MANAGERS under PayloadForm;
    50, 1, "approver.registered" => ApproverRegistered(ApproverRegistered)
        in Approver by ADMINISTRATOR under PayloadForm [begins, looked_up];
    51, 1, "approver.credential_put" => CredentialPut(CredentialPut)
        in Approver by REGISTRARS under Credential [looked_up, registers_key];
    52, 1, "approver.backup_eligibility_learnt" => BackupEligibilityLearnt(BackupEligibilityLearnt)
        in Approver by APPROVER under Enrolment;
    53, 1, "approver.enrolment_opened" => EnrolmentOpened(EnrolmentOpened)
        in Approver by ADMINISTRATOR under Enrolment [looked_up];
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
        in User by USERS under Actor [looked_up];
    80, 1, "group.created" => GroupCreated(GroupCreated)
        in Group by MANAGERS under Unique [begins, looked_up];
    81, 1, "group.changed" => GroupChanged(GroupChanged)
        in Group by MANAGERS under Membership [looked_up];
    82, 1, "group.deleted" => GroupDeleted(GroupDeleted)
        in Group by MANAGERS under Actor [looked_up];
    90, 1, "session.opened" => SessionOpened(SessionOpened)
        in Session by USERS under Session [begins, looked_up];
    91, 1, "session.stepped_up" => SteppedUp(SteppedUp)
        in Session by USERS under Session [looked_up];
    92, 1, "session.ended" => SessionEnded(SessionEnded)
        in Session by MANAGERS under Session;
    93, 1, "login.failed" => LoginFailed(LoginFailed)
        in Session by LOGIN under FailedLogin [begins, alone];
    94, 1, "login.failures_counted" => FailuresCounted(FailuresCounted)
        in Session by LEDGER under FailedLogin [begins, alone];
    100, 1, "key.created" => KeyCreated(KeyCreated)
        in Key by MANAGERS under AgentKey [begins, looked_up];
    101, 1, "key.revoked" => KeyRevoked(KeyRevoked)
        in Key by MANAGERS under AgentKey;
    110, 1, "template.created" => TemplateCreated(TemplateCreated)
        in Template by MANAGERS under Template [begins, looked_up];
    111, 1, "template.deleted" => TemplateDeleted(TemplateDeleted)
        in Template by MANAGERS under Template;
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
