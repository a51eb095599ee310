//! One line about each kind of event. Exhaustive: an event without a line does not compile. No
//! secrets, tokens or request bodies; URLs only as far as their host.

use ledger::event::{
    AfterAttempt, ApplyAccepted, ApplyEnd, ApplyEnded, ApprovalDecided, Approved, AttemptEnded,
    AttemptOutcome, Authorisation, CheckedOperation, CredentialStatus, Denied, OperationEnded,
    OperationOutcome, PreState,
};
use ledger::operation::shown;
use ledger::{Event, Timestamp};

/// The most characters of a summary; the ledger has everything in full.
const MOST: usize = 400;

/// What happened, without who did it and when: one line, with control characters made visible.
#[must_use]
pub fn summary(event: &Event) -> String {
    shown(&told(event), MOST)
}

fn told(event: &Event) -> String {
    match event {
        Event::LedgerCreated(e) => format!("ledger {} begins", e.ledger_id),
        Event::LedgerForked(e) => format!(
            "goes on as {} from a backup with {}; {} had signed {}: {}",
            e.new_origin,
            count(usize::try_from(e.forked_at).unwrap_or(usize::MAX), "event"),
            e.old_origin,
            e.old_size,
            e.reason
        ),
        Event::LedgerAccepted(e) => format!(
            "takes the ledger of {} as it is, because {}: {}",
            count(usize::try_from(e.size).unwrap_or(usize::MAX), "event"),
            e.unproven,
            e.reason
        ),
        Event::LedgerErased(e) => format!(
            "{} {} erased, {} in {}: {}",
            e.subject.kind().as_str(),
            e.subject.stream(),
            count(usize::try_from(e.count()).unwrap_or(usize::MAX), "payload"),
            count(e.streams.len(), "stream"),
            e.reason
        ),
        Event::Erased(e) => format!("erased by the event at position {}", e.erased_by),
        Event::TaskCreated(e) => format!(
            "task {:?} for agent {}, {} allowed",
            e.name,
            e.agent,
            count(e.allowed.len(), "operation")
        ),
        Event::TokenIssued(e) => format!(
            "capability token until {}{}",
            e.expires_at,
            if e.replaces.is_some() {
                ", in place of an older one"
            } else {
                ""
            }
        ),
        Event::TokenRevoked(e) => format!("capability token revoked: {}", e.reason),
        Event::CallbackSet(e) => format!(
            "callbacks go to {}: {}",
            host(&e.callback.url),
            e.callback.events.join(", ")
        ),
        Event::TaskClosed(e) => with_reason("task closed", e.reason.as_deref()),
        Event::ApplyAccepted(e) => accepted(e),
        Event::ApplyRefused(e) => format!("apply refused ({}): {}", e.code, e.detail),
        Event::RefusalsCounted(e) => format!(
            "{} more refused in the minute from {}",
            count(
                usize::try_from(e.count).unwrap_or(usize::MAX),
                "apply attempt"
            ),
            Timestamp::from_seconds(e.minute)
        ),
        Event::ApplyAuthorised(e) => format!("apply may run: approval {} is used", e.approval_id),
        Event::OperationStarted(e) => format!(
            "operation {} {}: {} {}",
            u64::from(e.index) + 1,
            if e.simulated {
                "simulated"
            } else {
                "sent upstream"
            },
            e.method,
            e.path
        ),
        Event::OperationEnded(e) => operation_ended(e),
        Event::ApplyEnded(e) => apply_ended(e),
        Event::ApplyResolved(e) => format!(
            "unknown outcome settled as {}: {}",
            if e.executed {
                "executed"
            } else {
                "not executed"
            },
            e.reason
        ),
        Event::ApprovalRequested(e) => format!(
            "approval asked of {} until {}",
            e.approvers.join(", "),
            e.expires_at
        ),
        Event::PreStateRecorded(e) => pre_state(&e.operations),
        Event::ApprovalNarrowed(e) => format!("only {} may decide", e.approvers.join(", ")),
        Event::ApprovalApproved(Approved(e)) => decided("approved", e),
        Event::ApprovalDenied(Denied(e)) => decided("denied", e),
        Event::ApprovalExpired(e) => format!(
            "approval expired at {}: {}",
            e.deadline,
            if e.was_approved {
                "approved but not continued"
            } else {
                "nobody decided"
            }
        ),
        Event::ApprovalCancelled(e) => format!("approval cancelled: {}", e.reason),
        Event::ApprovalReleased(e) => {
            format!("approval given back by apply {}", e.apply_id)
        }
        Event::ApprovalConsumed(e) => format!("approval used by apply {}", e.apply_id),
        Event::AgentRegistered(e) => format!("agent {} first heard of", e.name),
        Event::PermissionsReplaced(e) => with_reason(
            &format!(
                "{} granted, revision {}",
                count(e.grants.len(), "permission"),
                e.revision
            ),
            e.reason.as_deref(),
        ),
        Event::ApproverRegistered(e) => format!("approver {} first heard of", e.principal),
        Event::CredentialPut(e) => with_reason(
            &format!(
                "credential {} {}",
                e.credential_id,
                match e.status {
                    CredentialStatus::Active => "registered",
                    CredentialStatus::Revoked => "revoked",
                }
            ),
            e.reason.as_deref(),
        ),
        Event::BackupEligibilityLearnt(e) => format!(
            "credential {} {} be backed up",
            e.credential_id,
            if e.backup_eligible { "can" } else { "cannot" }
        ),
        Event::EnrolmentOpened(e) => {
            format!("invitation to register a passkey until {}", e.expires_at)
        }
        Event::DeliveryOwed(e) => format!("callback {} owed", e.event_name),
        Event::AttemptStarted(e) => format!("callback try {} begins", e.attempt),
        Event::AttemptEnded(e) => attempt_ended(e),
        Event::RetryRequested(e) => with_reason("callback to be tried again", e.reason.as_deref()),
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

fn with_reason(what: &str, reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("{what}: {reason}"),
        None => what.to_owned(),
    }
}

fn host(url: &str) -> String {
    let host = url::Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned));
    host.unwrap_or_else(|| "an unreadable URL".to_owned())
}

fn operations(checked: &[CheckedOperation]) -> String {
    /// Longer lists are cut: the ledger has them in full.
    const SHOWN: usize = 5;
    let mut parts: Vec<_> = checked
        .iter()
        .take(SHOWN)
        .map(|operation| {
            format!(
                "{} on {} {}",
                operation.operation, operation.scope_type, operation.scope_id
            )
        })
        .collect();
    if let Some(more) = checked.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        parts.push(format!("{more} more"));
    }
    parts.join(", ")
}

fn accepted(accepted: &ApplyAccepted) -> String {
    let how = match accepted.authorisation {
        Authorisation::Granted => "granted beforehand".to_owned(),
        Authorisation::Awaiting(approval) => format!("waits for approval {approval}"),
    };
    format!(
        "apply {:?} of {}: {how}",
        accepted.idempotency_key,
        operations(&accepted.check.requested)
    )
}

fn operation_ended(ended: &OperationEnded) -> String {
    let number = u64::from(ended.index) + 1;
    let how = match &ended.outcome {
        OperationOutcome::Succeeded { .. } => match ended.evidence.pages() {
            Some(pages) => format!("succeeded ({pages})"),
            None => "succeeded".to_owned(),
        },
        OperationOutcome::Failed { code, message, .. } => format!("failed ({code}): {message}"),
        OperationOutcome::Unknown { why } => format!("has an unknown outcome: {why}"),
    };
    let found = match (ended.simulated, ended.reconciled) {
        (true, _) => ", simulated",
        (false, true) => ", found by reading back",
        (false, false) => "",
    };
    format!("operation {number} {how}{found}")
}

fn apply_ended(ended: &ApplyEnded) -> String {
    let how = match ended.end {
        ApplyEnd::Completed => "apply completed",
        ApplyEnd::Failed => "apply failed",
        ApplyEnd::Unknown => "apply has an unknown outcome, to be settled by a person",
    };
    with_reason(how, ended.stopped.as_deref())
}

fn pre_state(operations: &[PreState]) -> String {
    let found = operations
        .iter()
        .filter(|state| matches!(state, PreState::Found(_)))
        .count();
    format!(
        "read upstream what would change for {found} of {}",
        count(operations.len(), "operation")
    )
}

fn decided(word: &str, decided: &ApprovalDecided) -> String {
    with_reason(
        &format!("{word} by {}", decided.principal),
        decided.reason.as_deref(),
    )
}

fn attempt_ended(ended: &AttemptEnded) -> String {
    let how = match &ended.outcome {
        AttemptOutcome::Delivered { http_status } => format!("delivered (HTTP {http_status})"),
        AttemptOutcome::Failed { code, message, .. } => format!("failed ({code}): {message}"),
        AttemptOutcome::Interrupted => "was interrupted".to_owned(),
    };
    let next = match ended.after {
        AfterAttempt::Done => String::new(),
        AfterAttempt::RetryAt(due) => format!(", next try from {due}"),
        AfterAttempt::GivenUp => ", given up".to_owned(),
    };
    format!("callback try {} {how}{next}", ended.attempt)
}
