//! One sentence about each kind of event, with who acted in front. Exhaustive: an event without a
//! sentence does not compile. No secrets, tokens or request bodies; URLs only as far as their host.
//! What people and agents wrote stands in quotes.

mod asking;
mod effects;
mod standing;

use super::moment::moment;
use super::topic::Topic;
use ledger::{Actor, ApproverName, Event, Timestamp};

/// The most characters of a sentence; the ledger has everything in full.
pub(super) const MOST: usize = 1500;

/// What happened. `alone`: the apply that a question is about has no line of its own.
pub(super) fn sentence(actor: &Actor, event: &Event, topic: &Topic, alone: bool) -> String {
    let who = who(actor);
    match event {
        Event::LedgerCreated(e) => format!("ledger {} begins", e.ledger_id),
        Event::LedgerForked(e) => format!(
            "{who} goes on as {} from a backup with {}; {} had signed {}: {}",
            e.new_origin,
            counted(e.forked_at, "event"),
            e.old_origin,
            e.old_size,
            quoted(&e.reason)
        ),
        Event::LedgerAccepted(e) => format!(
            "{who} takes the ledger of {} as it is, because {}: {}",
            counted(e.size, "event"),
            e.unproven,
            quoted(&e.reason)
        ),
        Event::LedgerErased(e) => format!(
            "{who} erases {} {}, {} in {}: {}",
            e.subject.kind().as_str(),
            e.subject.stream(),
            counted(e.count(), "payload"),
            number(e.streams.len(), "stream"),
            quoted(&e.reason)
        ),
        Event::Erased(e) => format!("erased, as #{} tells", e.erased_by),
        Event::TaskCreated(e) => asking::task_created(&who, e),
        Event::TokenIssued(e) => asking::token_issued(e),
        Event::TokenRevoked(e) => format!("a token of the task ends ({})", e.reason),
        Event::CallbackSet(e) => asking::callback_set(e),
        Event::TaskClosed(e) => format!("{who} closes the task{}", because(e.reason.as_deref())),
        Event::ApplyAccepted(e) => asking::apply_accepted(&who, e, topic),
        Event::ApplyRefused(e) => asking::apply_refused(&who, e),
        Event::RefusalsCounted(e) => format!(
            "{} refused in the minute from {}",
            counted(e.count, "more attempt"),
            Timestamp::from_seconds(e.minute)
        ),
        Event::ApprovalRequested(e) => asking::approval_requested(e, topic, alone),
        Event::PreStateRecorded(e) => asking::pre_state(&e.operations),
        Event::ApprovalNarrowed(e) => {
            format!("{who} leaves it to {} alone", names(&e.approvers))
        }
        Event::ApprovalApproved(e) => asking::decided("approves", &e.0),
        Event::ApprovalDenied(e) => asking::decided("denies", &e.0),
        Event::ApprovalExpired(e) if e.was_approved => {
            format!(
                "approved, but not continued by {}: it expires",
                moment(e.deadline)
            )
        }
        Event::ApprovalExpired(e) => {
            format!("nobody decided by {}: it expires", moment(e.deadline))
        }
        Event::ApprovalCancelled(e) => format!("the question is withdrawn ({})", e.reason),
        Event::ApprovalReleased(e) => format!(
            "nothing was applied: the approval can be used again until {}",
            moment(e.usable_until)
        ),
        Event::ApprovalConsumed(_) => {
            "the approval is used up; it holds for nothing else".to_owned()
        }
        Event::ApplyAuthorised(_) => format!("{who} continues: approved as asked, it may run"),
        Event::OperationStarted(e) => effects::operation_started(e, topic),
        Event::OperationEnded(e) => effects::operation_ended(e),
        Event::ApplyEnded(e) => effects::apply_ended(e),
        Event::ApplyResolved(e) => format!(
            "{who} settles it after looking upstream: it was {}: {}",
            if e.executed {
                "executed"
            } else {
                "not executed"
            },
            quoted(&e.reason)
        ),
        Event::AgentRegistered(e) => format!("agent {} is first heard of", quoted(&e.name)),
        Event::PermissionsReplaced(e) => standing::permissions(&who, e, topic),
        Event::ApproverRegistered(e) => {
            format!("approver {} is first heard of", quoted(&e.principal))
        }
        Event::CredentialPut(e) => standing::credential(&who, e, topic),
        Event::BackupEligibilityLearnt(e) => format!(
            "passkey {} {} to other devices, as its first use shows",
            e.credential_id,
            if e.backup_eligible {
                "can be copied"
            } else {
                "cannot be copied"
            }
        ),
        Event::EnrolmentOpened(e) => format!(
            "{who} invites {} to register a passkey by {}",
            standing::approver(topic),
            moment(e.expires_at)
        ),
        Event::DeliveryOwed(_) => effects::delivery_owed(topic),
        Event::AttemptStarted(e) => effects::attempt_started(e, topic),
        Event::AttemptEnded(e) => effects::attempt_ended(e, topic),
        Event::RetryRequested(e) => format!(
            "{who} wants the callback tried again{}",
            because(e.reason.as_deref())
        ),
    }
}

/// Who acted, with what they wrote themselves in quotes where it is more than a plain name.
fn who(actor: &Actor) -> String {
    match actor {
        Actor::System { component } => format!("the {}", plain(component)),
        Actor::Agent { agent, .. } => format!("agent {}", plain(agent)),
        Actor::Administrator { principal, .. } => format!("administrator {}", plain(principal)),
        Actor::Approver { principal, .. } => format!("approver {}", plain(principal)),
        Actor::Operator { name } => format!("operator {}", plain(name)),
    }
}

/// A name as it is where nothing in it can mislead, otherwise in quotes.
fn plain(name: &str) -> String {
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-_.:@/".contains(c);
    if !name.is_empty() && name.chars().all(harmless) {
        name.to_owned()
    } else {
        quoted(name)
    }
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn names(names: &[ApproverName]) -> String {
    let names: Vec<String> = names.iter().map(|name| plain(name)).collect();
    match names.split_last() {
        None => "nobody".to_owned(),
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
    }
}

fn because(reason: Option<&str>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {}", quoted(reason)))
}

fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

fn number(number: usize, what: &str) -> String {
    counted(u64::try_from(number).unwrap_or(u64::MAX), what)
}

/// `12 ms`, `3.4 s`.
fn took(micros: u64) -> String {
    match micros / 1000 {
        0 => "less than 1 ms".to_owned(),
        ms @ 1..1000 => format!("{ms} ms"),
        ms => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}
