//! Which class an event belongs to, and what is said in it. Exhaustive: an event without a class does
//! not compile.

use super::calls;
use super::class::{Activity, Severity, Status};
use super::parts::{agent, approver, entity, granted, stream, user};
use crate::stories::Topic;
use ledger::event::{ApprovalDecided, CredentialPut, CredentialStatus, PermissionsReplaced};
use ledger::{Envelope, Event, Header};
use serde_json::{Map, Value, json};

/// An event in the words of its class.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) activity: Activity,
    pub(super) severity: Severity,
    pub(super) status: Status,
    pub(super) detail: Option<String>,
    /// What somebody wrote beside it.
    pub(super) comment: Option<String>,
    /// The attributes of the class.
    pub(super) attributes: Map<String, Value>,
}

impl Told {
    pub(super) fn new(activity: Activity, attributes: Value) -> Self {
        let attributes = match attributes {
            Value::Object(attributes) => attributes,
            other => Map::from_iter([("unmapped".to_owned(), other)]),
        };
        Self {
            activity,
            severity: Severity::Informational,
            status: Status::Success,
            detail: None,
            comment: None,
            attributes,
        }
    }

    pub(super) const fn severity(mut self, severity: Severity) -> Self {
        self.severity = severity;
        self
    }

    pub(super) const fn status(mut self, status: Status) -> Self {
        self.status = status;
        self
    }

    pub(super) fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    fn comment(mut self, comment: Option<&str>) -> Self {
        self.comment = comment.map(str::to_owned);
        self
    }
}

/// Something of ours was made, changed or ended.
fn managed(activity: Activity, entity: Value) -> Told {
    Told::new(activity, json!({"entity": entity}))
}

pub(super) fn classify(header: &Header, envelope: &Envelope, event: &Event, topic: &Topic) -> Told {
    let own = |kind| stream(kind, header.stream_id);
    let created = |kind| managed(Activity::ENTITY_CREATED, own(kind));
    let updated = |kind| managed(Activity::ENTITY_UPDATED, own(kind));
    match event {
        Event::LedgerCreated(_) => created("ledger"),
        Event::LedgerForked(e) => updated("ledger")
            .severity(Severity::High)
            .detail("forked")
            .comment(Some(&e.reason)),
        Event::LedgerAccepted(e) => updated("ledger")
            .severity(Severity::High)
            .detail("accepted without proof")
            .comment(Some(&e.reason)),
        Event::LedgerErased(e) => managed(
            Activity::ENTITY_DELETED,
            entity(e.subject.kind().as_str(), e.subject.stream()),
        )
        .severity(Severity::Medium)
        .detail("payloads erased")
        .comment(Some(&e.reason)),
        Event::Erased(_) => managed(Activity::ENTITY_UNKNOWN, own("erased"))
            .status(Status::Unknown)
            .detail("its payload was erased"),
        Event::TaskCreated(e) => managed(
            Activity::ENTITY_CREATED,
            json!({"type": "task", "uid": e.task_id, "name": e.name}),
        ),
        Event::TokenIssued(e) => session(Activity::SESSION_AUTHORISED, e.token_id, topic),
        Event::TokenRevoked(e) => {
            session(Activity::SESSION_REVOKED, e.token_id, topic).detail(e.reason.as_str())
        }
        Event::CallbackSet(e) => managed(
            Activity::ENTITY_UPDATED,
            entity("callback", e.callback.callback_id),
        ),
        Event::TaskClosed(e) => updated("task")
            .detail("closed")
            .comment(e.reason.as_deref()),
        Event::ApplyAccepted(e) => calls::accepted(envelope, e),
        Event::ApplyRefused(e) => calls::refused(envelope, e),
        Event::RefusalsCounted(e) => calls::refusals(envelope, e),
        Event::ApplyAuthorised(_) => updated("apply").detail("authorised"),
        Event::OperationStarted(e) => calls::started(envelope, e, topic),
        Event::OperationEnded(e) => calls::ended(envelope, e, topic),
        Event::ApplyEnded(e) => calls::apply_ended(updated("apply"), e),
        Event::ApplyResolved(e) => updated("apply")
            .severity(Severity::Medium)
            .detail(if e.executed {
                "settled as executed"
            } else {
                "settled as not executed"
            })
            .comment(Some(&e.reason)),
        Event::ApprovalRequested(_) => created("approval"),
        Event::PreStateRecorded(_) => calls::pre_state(envelope),
        Event::ApprovalNarrowed(_) => updated("approval").detail("narrowed"),
        Event::ApprovalApproved(e) => decided(&e.0, topic, Status::Success),
        Event::ApprovalDenied(e) => decided(&e.0, topic, Status::Failure).severity(Severity::Low),
        Event::ApprovalExpired(_) => updated("approval")
            .severity(Severity::Low)
            .detail("expired"),
        Event::ApprovalCancelled(e) => updated("approval")
            .detail("cancelled")
            .comment(Some(&e.reason)),
        Event::ApprovalReleased(_) => updated("approval").detail("released"),
        Event::ApprovalConsumed(_) => updated("approval").detail("consumed"),
        Event::AgentRegistered(e) => account(user(&e.name, "agent")),
        Event::PermissionsReplaced(e) => permissions(e, topic),
        Event::ApproverRegistered(e) => account(user(&e.principal, "approver")),
        Event::CredentialPut(e) => credential(e, topic),
        Event::BackupEligibilityLearnt(e) => managed(
            Activity::ENTITY_UPDATED,
            entity("credential", &e.credential_id),
        ),
        Event::EnrolmentOpened(e) => managed(
            Activity::ENTITY_CREATED,
            entity("enrolment", e.enrolment_id),
        ),
        Event::DeliveryOwed(_) => created("delivery"),
        Event::AttemptStarted(e) => calls::telling(envelope, e.attempt, topic),
        Event::AttemptEnded(e) => calls::told(envelope, e, topic),
        Event::RetryRequested(e) => updated("delivery")
            .detail("to be tried again")
            .comment(e.reason.as_deref()),
    }
}

fn session(activity: Activity, token: ledger::TokenId, topic: &Topic) -> Told {
    let task = topic
        .task_id
        .map_or_else(|| "a task".to_owned(), |task| format!("task {task}"));
    Told::new(
        activity,
        json!({"user": agent(topic), "session": {"uid": token}, "privileges": [task]}),
    )
}

/// An agent may do what was asked for, or may not.
fn decided(decided: &ApprovalDecided, topic: &Topic, status: Status) -> Told {
    let mut privileges = topic.operations.clone();
    if privileges.is_empty() {
        privileges.push("what was asked for".to_owned());
    }
    let attributes = json!({
        "user": agent(topic),
        "privileges": privileges,
        "session": {"credential_uid": decided.credential_id, "is_mfa": true},
    });
    let told = Told::new(Activity::SESSION_AUTHORISED, attributes)
        .severity(Severity::Low)
        .status(status);
    match &decided.reason {
        Some(reason) => told.detail(reason.as_str()),
        None => told,
    }
}

fn account(user: Value) -> Told {
    Told::new(Activity::ACCOUNT_CREATED, json!({"user": user}))
}

fn permissions(replaced: &PermissionsReplaced, topic: &Topic) -> Told {
    let (activity, privileges) = if replaced.grants.is_empty() {
        (Activity::REVOKED, vec!["all".to_owned()])
    } else {
        (Activity::ASSIGNED, granted(&replaced.grants))
    };
    Told::new(
        activity,
        json!({"user": agent(topic), "privileges": privileges}),
    )
    .severity(Severity::Low)
    .comment(replaced.reason.as_deref())
}

fn credential(put: &CredentialPut, topic: &Topic) -> Told {
    let activity = match put.status {
        CredentialStatus::Active => Activity::FACTOR_ENABLED,
        CredentialStatus::Revoked => Activity::FACTOR_DISABLED,
    };
    let mut user = approver(topic);
    if let Some(user) = user.as_object_mut() {
        user.insert("credential_uid".to_owned(), json!(put.credential_id));
    }
    Told::new(activity, json!({"user": user}))
        .severity(Severity::Low)
        .comment(put.reason.as_deref())
}
