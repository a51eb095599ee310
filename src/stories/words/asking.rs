//! What was asked for, and who decided.

use super::super::moment::moment;
use super::super::operations::{checked, scope};
use super::super::topic::{Topic, host};
use super::{because, names, number, plain, quoted};
use ledger::CallbackEvent;
use ledger::event::{
    AllowedOperation, ApplyAccepted, ApplyRefused, ApprovalDecided, ApprovalRequested,
    Authorisation, CallbackOwner, CallbackSet, PreState, TaskCreated, TokenIssued,
};
use ledger::operation::shown;

pub(super) fn task_created(who: &str, created: &TaskCreated) -> String {
    let allowed: Vec<String> = created.allowed.iter().map(allowed).collect();
    let callbacks = match created.agent_callbacks {
        true => "",
        false => "; the agent may name no callback",
    };
    format!(
        "{who} opens task {} for agent {}; it may use {}{callbacks}",
        quoted(&created.name),
        plain(&created.agent),
        allowed.join(", ")
    )
}

fn allowed(allowed: &AllowedOperation) -> String {
    format!(
        "{} on {} {}",
        allowed.operation,
        allowed.scope_type,
        scope(&allowed.scope_id)
    )
}

pub(super) fn token_issued(issued: &TokenIssued) -> String {
    let instead = match issued.replaces {
        Some(_) => " in place of the one before",
        None => "",
    };
    format!(
        "the agent gets a token{instead}, good until {}",
        moment(issued.expires_at)
    )
}

pub(super) fn callback_set(set: &CallbackSet) -> String {
    let of = match set.callback.events.len() {
        all if all == CallbackEvent::ALL.len() => "everything".to_owned(),
        _ => set.callback.events.join(", "),
    };
    let beside = match set.owner {
        CallbackOwner::Agent => ", besides the orchestrator's callback",
        CallbackOwner::Unsaid | CallbackOwner::Orchestrator => "",
    };
    format!(
        "{} is to be told of {of}{beside}",
        plain(&host(&set.callback.url))
    )
}

pub(super) fn apply_accepted(who: &str, accepted: &ApplyAccepted, topic: &Topic) -> String {
    let total = accepted.check.requested.len();
    let how = match (accepted.authorisation, accepted.check.missing.as_slice()) {
        (Authorisation::Granted, _) => "granted beforehand".to_owned(),
        (Authorisation::Awaiting(_), missing) if missing.len() == total => {
            "a person has to decide".to_owned()
        }
        (Authorisation::Awaiting(_), missing) => {
            let missing: Vec<String> = missing.iter().map(checked).collect();
            format!("a person has to decide because of {}", missing.join(", "))
        }
    };
    format!(
        "{who} asks, under key {}, for {}: {how}",
        quoted(&accepted.idempotency_key),
        listed(&topic.operations, total)
    )
}

/// The operations, and how many more there are.
fn listed(operations: &[String], total: usize) -> String {
    let mut listed = operations.join("; ");
    if let Some(more) = total.checked_sub(operations.len()).filter(|more| *more > 0) {
        listed.push_str(&format!("; and {more} more"));
    }
    listed
}

pub(super) fn apply_refused(who: &str, refused: &ApplyRefused) -> String {
    format!(
        "{who} is refused ({}): {}",
        refused.code,
        quoted(&refused.detail)
    )
}

pub(super) fn approval_requested(asked: &ApprovalRequested, topic: &Topic, alone: bool) -> String {
    let about = if alone {
        format!(
            " about agent {}'s {}",
            plain(&asked.agent),
            topic.operations.join("; ")
        )
    } else {
        String::new()
    };
    format!(
        "a question comes up{about}: {} may decide, until {}",
        names(&asked.approvers),
        moment(asked.expires_at)
    )
}

pub(super) fn pre_state(operations: &[PreState]) -> String {
    let found = operations
        .iter()
        .filter(|state| matches!(state, PreState::Found(_)))
        .count();
    let unread: Vec<String> = operations
        .iter()
        .filter_map(|state| match state {
            PreState::Unavailable(why) => Some(quoted(why)),
            PreState::Found(_) | PreState::NotApplicable => None,
        })
        .collect();
    let mut told = match found {
        0 => "nothing that would change was read upstream".to_owned(),
        found => format!(
            "what would change was read upstream for {}",
            number(found, "operation")
        ),
    };
    if !unread.is_empty() {
        told.push_str(&format!("; not readable: {}", unread.join(", ")));
    }
    told
}

/// Key ids are shown as far as they tell one from another.
const KEY_CHARS: usize = 16;

pub(super) fn decided(verb: &str, decided: &ApprovalDecided) -> String {
    format!(
        "{} {verb} with passkey {} (key {}){}",
        plain(&decided.principal),
        shown(&decided.credential_id.to_base64url(), KEY_CHARS),
        shown(
            &hex::encode(decided.public_key_thumbprint.as_slice()),
            KEY_CHARS
        ),
        because(decided.reason.as_deref())
    )
}
