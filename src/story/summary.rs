//! What an event says, in half a line.

use ledger::event::{
    AfterAttempt, ApplyAccepted, ApplyEnd, ApplyEnded, AttemptEnded, AttemptOutcome, Authorisation,
    CredentialPut, Grant, OperationEnded, OperationOutcome, OperationStarted, PreState,
    TaskCreated,
};
use ledger::operation::{Operation, shown};
use ledger::{Event, operations_of};

/// The most characters of one text that somebody wrote.
const MOST_TEXT: usize = 80;

/// The most characters of a summary.
const MOST: usize = 240;

/// What happened, for people: one line, whatever texts it quotes. Who acted is not in it.
pub(crate) fn summary(event: &Event) -> String {
    shown(&told(event), MOST)
}

fn told(event: &Event) -> String {
    match event {
        Event::LedgerCreated(e) => format!("ledger {}, format {}", e.ledger_id, e.format),
        Event::TaskCreated(e) => task_created(e),
        Event::TokenIssued(e) if e.replaces.is_some() => {
            format!("in place of an earlier one, until {}", e.expires_at)
        }
        Event::TokenIssued(e) => format!("for {}, until {}", e.subject, e.expires_at),
        Event::TokenRevoked(e) => e.reason.clone(),
        Event::CallbackSet(e) => format!(
            "{} events to {}",
            e.callback.events.len(),
            host(&e.callback.url)
        ),
        Event::TaskClosed(e) => because(e.reason.as_deref()),
        Event::ApplyAccepted(e) => apply_accepted(e),
        Event::ApplyRefused(e) => quoted(&e.detail),
        Event::RefusalsCounted(e) => format!("{} more refusals in that minute", e.count),
        Event::ApplyAuthorised(e) => format!("by approval {}", e.approval_id),
        Event::OperationStarted(e) => operation_started(e),
        Event::OperationEnded(e) => operation_ended(e),
        Event::ApplyEnded(e) => apply_ended(e),
        Event::ApplyResolved(e) => {
            let found = if e.executed {
                "carried out"
            } else {
                "not carried out"
            };
            format!("it was {found}{}", because_after(Some(&e.reason)))
        }
        Event::ApprovalRequested(e) => {
            format!("of {}, until {}", e.approvers.join(" or "), e.expires_at)
        }
        Event::PreStateRecorded(e) => pre_state(&e.operations),
        Event::ApprovalNarrowed(e) => format!("to {}", e.approvers.join(" or ")),
        Event::ApprovalApproved(decided) => {
            format!(
                "by {}{}",
                decided.0.principal,
                because_after(decided.0.reason.as_deref())
            )
        }
        Event::ApprovalDenied(decided) => {
            format!(
                "by {}{}",
                decided.0.principal,
                because_after(decided.0.reason.as_deref())
            )
        }
        Event::ApprovalExpired(e) if e.was_approved => {
            "approved, but not continued in time".to_owned()
        }
        Event::ApprovalExpired(_) => "nobody decided in time".to_owned(),
        Event::ApprovalCancelled(e) => e.reason.clone(),
        Event::ApprovalConsumed(e) => format!("by apply {}", e.apply_id),
        Event::AgentRegistered(e) => e.name.clone(),
        Event::PermissionsReplaced(e) => {
            format!(
                "{}{}",
                grants(&e.grants),
                because_after(e.reason.as_deref())
            )
        }
        Event::ApproverRegistered(e) => e.principal.clone(),
        Event::CredentialPut(e) => credential_put(e),
        Event::BackupEligibilityLearnt(e) => {
            let may = if e.backup_eligible { "may" } else { "may not" };
            format!("passkey {} {may} be backed up", e.credential_id)
        }
        Event::EnrolmentOpened(e) => format!("until {}", e.expires_at),
        Event::DeliveryOwed(e) => e.event_name.clone(),
        Event::AttemptStarted(e) => format!("try {}", e.attempt),
        Event::AttemptEnded(e) => attempt_ended(e),
        Event::RetryRequested(e) => because(e.reason.as_deref()),
    }
}

fn task_created(e: &TaskCreated) -> String {
    let allowed: Vec<String> = e
        .allowed
        .iter()
        .map(|one| format!("{} on {} {}", one.operation, one.scope_type, one.scope_id))
        .collect();
    format!("{}: {}", quoted(&e.name), allowed.join(", "))
}

fn apply_accepted(e: &ApplyAccepted) -> String {
    let standing = match e.authorisation {
        Authorisation::Granted => "granted",
        Authorisation::Awaiting(_) => "waits for a human",
    };
    let operations = operations_of(e.submission.as_bytes()).unwrap_or_default();
    let told: Vec<String> = operations
        .iter()
        .filter_map(|operation| Operation::from_json(operation).ok())
        .map(|operation| operation.summary())
        .collect();
    format!("{standing}: {}", told.join("; "))
}

fn operation_started(e: &OperationStarted) -> String {
    let simulated = if e.simulated { ", simulated" } else { "" };
    format!("{}: {} {}{simulated}", e.index, e.method, e.path)
}

fn operation_ended(e: &OperationEnded) -> String {
    let how = match (e.simulated, e.reconciled) {
        (true, _) => ", simulated",
        (false, true) => ", found by reading back",
        (false, false) => "",
    };
    let outcome = match &e.outcome {
        OperationOutcome::Succeeded { .. } => "done".to_owned(),
        OperationOutcome::Failed { code, message, .. } => {
            format!("failed ({code}): {}", quoted(message))
        }
        OperationOutcome::Unknown { why } => format!("outcome unknown: {}", quoted(why)),
    };
    format!("{}: {outcome}{how}", e.index)
}

fn apply_ended(e: &ApplyEnded) -> String {
    let end = match e.end {
        ApplyEnd::Completed => "completed",
        ApplyEnd::Failed => "failed",
        ApplyEnd::Unknown => "unknown; somebody must look upstream and settle it",
    };
    match &e.stopped {
        Some(why) => format!("{end}, stopped: {why}"),
        None => end.to_owned(),
    }
}

fn pre_state(operations: &[PreState]) -> String {
    let read = |state: &&PreState| matches!(state, PreState::Found(_));
    let found = operations.iter().filter(read).count();
    format!(
        "what stands upstream now: read for {found} of {}",
        operations.len()
    )
}

fn grants(grants: &[Grant]) -> String {
    if grants.is_empty() {
        return "nothing is granted".to_owned();
    }
    let told: Vec<String> = grants
        .iter()
        .map(|grant| {
            format!(
                "{} on {} {}",
                grant.operation, grant.scope_type, grant.scope_id
            )
        })
        .collect();
    format!("granted: {}", told.join(", "))
}

fn credential_put(e: &CredentialPut) -> String {
    let standing = e.status.as_str();
    let reason = because_after(e.reason.as_deref());
    format!(
        "passkey {} ({}), {standing}{reason}",
        e.credential_id, e.algorithm
    )
}

fn attempt_ended(e: &AttemptEnded) -> String {
    let outcome = match &e.outcome {
        AttemptOutcome::Delivered { http_status } => format!("arrived ({http_status})"),
        AttemptOutcome::Failed { code, message, .. } => {
            format!("failed ({code}): {}", quoted(message))
        }
        AttemptOutcome::Interrupted => "the service stopped meanwhile".to_owned(),
    };
    let after = match e.after {
        AfterAttempt::Done => String::new(),
        AfterAttempt::RetryAt(at) => format!("; again at {at}"),
        AfterAttempt::GivenUp => "; given up".to_owned(),
    };
    format!("try {} {outcome}{after}", e.attempt)
}

/// The part of a URL that names the receiver; what follows may be a secret of its own.
fn host(url: &str) -> String {
    url::Url::parse(url)
        .map(|url| url.origin().ascii_serialization())
        .unwrap_or_default()
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", shown(text, MOST_TEXT))
}

fn because(reason: Option<&str>) -> String {
    reason.map(quoted).unwrap_or_default()
}

fn because_after(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {}", quoted(reason)))
}
