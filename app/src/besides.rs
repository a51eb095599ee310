//! Questions that are not about applies: in words, and what would be different.

use crate::policy::{Change, difference};
use crate::refusal::Error;
use crate::schedules::in_words;
use ledger::aggregate::{Agent, Apply, Approval, PolicyVersion, Schedule};
use ledger::event::{AskedSubject, Misfire, PolicyProposal, ScheduleProposal};
use ledger::policy::Exclusion;
use ledger::policy::Policy;
use ledger::{ApprovalId, Decision, Ledger, QuestionKind, UserId};
use serde_json::Value;
use std::sync::Arc;

/// The meaning of an answer, for the person who signs it.
#[must_use]
pub fn means(subject: &AskedSubject, decision: Decision) -> String {
    let what = act(subject);
    match (subject.kind(), decision) {
        (QuestionKind::Review, Decision::Deny) => {
            "disagrees with an approval that was given in an emergency; it changes nothing of what was done."
                .to_owned()
        }
        (QuestionKind::Review, Decision::Approve) => {
            "agrees with an approval that was given in an emergency.".to_owned()
        }
        (_, Decision::Deny) => format!("denies to {what}; nothing changes."),
        (QuestionKind::Schedule, Decision::Approve) => format!(
            "approves to {what} as it is shown; with the last approval that it needs it fires without asking again, until \
             it is changed or the policy wants more."
        ),
        (_, Decision::Approve) => {
            format!("approves to {what}; it takes effect with the last approval that it needs.")
        }
    }
}

/// The wish, in one line.
#[must_use]
pub fn act(subject: &AskedSubject) -> String {
    subject.act()
}

/// The subject of an answer, line by line: where a policy would differ, what a schedule asks for and when, or what was
/// approved in an emergency and why.
pub async fn lines(ledger: &Ledger, subject: &AskedSubject) -> Result<Vec<String>, Error> {
    match subject {
        AskedSubject::PolicyChange(change) => {
            let changes = differences(ledger, change).await?;
            Ok(changes.iter().map(Change::to_string).collect())
        }
        AskedSubject::Schedule(schedule) => scheduled(ledger, schedule).await,
        AskedSubject::Review(review) => reviewed(ledger, review.approval_id).await,
    }
}

/// The operations of a schedule, each with the scope that it acts on.
fn operations_of(ledger: &Ledger, schedule: &Schedule) -> Result<Vec<String>, Error> {
    let list: Vec<Value> = serde_json::from_str(&schedule.operations).map_err(Error::defect)?;
    let providers = &ledger.rules().providers;
    let lines = list.iter().map(|operation| {
        let operation = providers.read(operation).map_err(Error::defect)?;
        let (kind, scope) = (operation.entry.id, &operation.scope);
        let act = operation.summary();
        Ok(format!(
            "{kind} on {} {}: {act}",
            scope.scope_type, scope.id
        ))
    });
    lines.collect()
}

/// A schedule in words: what it asks for, when, and for which agent.
async fn scheduled(ledger: &Ledger, asked: &ScheduleProposal) -> Result<Vec<String>, Error> {
    let id = asked.schedule_id.into();
    let schedule = ledger::Error::none_if_erased(ledger.load::<Schedule>(id).await)?;
    let Some(schedule) = schedule else {
        return Ok(Vec::new());
    };
    let mut lines = operations_of(ledger, &schedule)?;
    let terms = &schedule.terms;
    let of = (terms.cron.clone(), terms.zone.clone());
    let (words, next) = in_words(of, ledger.now()).await?;
    lines.push(format!("{words} ({} in {})", terms.cron, terms.zone));
    if !next.is_empty() {
        let next: Vec<_> = next.iter().map(ToString::to_string).collect();
        lines.push(format!("next: {}", next.join(", ")));
    }
    lines.push(match terms.misfire {
        Misfire::Skip => "what passes while the service is down is missed".to_owned(),
        Misfire::Once => {
            "the newest instant that passes while the service is down fires late".to_owned()
        }
    });
    let agent = ledger::Error::none_if_erased(ledger.load::<Agent>(schedule.agent_id).await)?;
    let agent = agent.as_ref().map(|agent| agent.name.as_str());
    lines.push(format!("for agent {}", agent.unwrap_or("that was erased")));
    Ok(lines)
}

/// The approval under review; nothing of it where it was erased.
async fn reviewed(ledger: &Ledger, id: ApprovalId) -> Result<Vec<String>, Error> {
    let approval = ledger::Error::none_if_erased(ledger.load::<Approval>(id).await)?;
    let Some((approval, asked)) = approval
        .as_deref()
        .and_then(|known| Some((known, known.apply()?)))
    else {
        return Ok(Vec::new());
    };
    let mut lines = Vec::new();
    let decided = approval.decision.as_ref();
    if let Some(reason) = decided.and_then(|decided| decided.reason.as_deref()) {
        lines.push(format!("the reason: “{reason}”"));
    }
    lines.push(format!("agent {}", asked.agent));
    let apply = ledger::Error::none_if_erased(ledger.load::<Apply>(asked.apply_id).await)?;
    let submission = apply.as_ref().map(|apply| apply.submission.as_bytes());
    let read = submission.map(|bytes| ledger.rules().providers.read_submission(bytes));
    let operations = read.transpose().map_err(Error::defect)?;
    for operation in operations.unwrap_or_default() {
        let act = operation.summary();
        lines.push(match approval.place(&operation) {
            Some(place) => format!("{place}: {act}"),
            None => act,
        });
    }
    Ok(lines)
}

/// The differences that a change of the policy makes from the version that it follows.
pub async fn differences(ledger: &Ledger, change: &PolicyProposal) -> Result<Vec<Change>, Error> {
    let before = match change.follows {
        0 => None,
        version => {
            let recorded = ledger.policy_version(version).await?;
            recorded.and_then(|recorded| PolicyVersion::change(recorded.event))
        }
    };
    let before = before.and_then(|changed| changed.document);
    let before = before.map(|document| Arc::clone(document.tree.policy()));
    let after = change.document.as_ref();
    let after = after.map(|document| Arc::clone(document.tree.policy()));
    let none = || Arc::new(Policy::without_document());
    let (before, after) = (before.unwrap_or_else(none), after.unwrap_or_else(none));
    Ok(difference(&before, &after))
}

/// The users whose wish it is; nobody where the holder of a token wants it.
pub fn wanted_by(approval: &Approval) -> impl Iterator<Item = UserId> {
    let asked = approval.policy.as_ref();
    let excluded = asked.map_or(&[][..], |asked| &asked.requirement.get().exclude);
    // Whose agent it is does not want it for that.
    let wants = excluded
        .iter()
        .filter(|one| one.why != Exclusion::AgentOwner);
    wants.map(|one| one.user_id)
}
