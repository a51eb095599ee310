//! Questions that are not about applies: in words, and what would be different.

use crate::app::App;
use crate::policy::{Change, difference};
use crate::refusal::Error;
use ledger::aggregate::{Approval, PolicyVersion, User};
use ledger::event::{AskedSubject, PolicyProposal};
use ledger::policy::{DefaultAction, Engine, Limits, Policy};
use ledger::{Decision, Ledger, QuestionKind, UserId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The meaning of an answer, for the person who signs it.
#[must_use]
pub fn means(subject: &AskedSubject, decision: Decision) -> String {
    let what = act(subject);
    match (subject.kind(), decision) {
        (_, Decision::Deny) => format!("denies to {what}; nothing changes."),
        (QuestionKind::Review, Decision::Approve) => format!("has looked at it: {what}."),
        (_, Decision::Approve) => {
            format!("approves to {what}; it takes effect with the last approval that it needs.")
        }
    }
}

/// What is asked for, in one line.
#[must_use]
pub fn act(subject: &AskedSubject) -> String {
    match subject {
        AskedSubject::PolicyChange(change) => {
            let version = change.follows.saturating_add(1);
            match (&change.document, change.restores) {
                (None, _) => format!("change the policy to version {version}, without a document"),
                (Some(_), Some(earlier)) => {
                    format!("change the policy to version {version}, as version {earlier} was")
                }
                (Some(_), None) => format!("change the policy to version {version}"),
            }
        }
        AskedSubject::Schedule(schedule) => format!("let schedule {} run", schedule.schedule_id),
        AskedSubject::Review(review) => format!(
            "review approval {}, which was given in an emergency",
            review.approval_id
        ),
    }
}

/// What a change of the policy makes different from the version that it follows.
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
    let none = || Arc::new(no_document());
    let (before, after) = (before.unwrap_or_else(none), after.unwrap_or_else(none));
    Ok(difference(&before, &after))
}

/// What holds without a document.
fn no_document() -> Policy {
    Policy {
        engine: Engine::LppCel1,
        default: DefaultAction::Catalog,
        policy_change: None,
        break_glass: None,
        limits: Limits::default(),
        self_approval: false,
        rules: Vec::new(),
        windows: BTreeMap::new(),
    }
}

/// The users whose wish it is, by name where it is known; nobody where the holder of a token wants it.
pub async fn wanted_by(app: &App, approval: &Approval) -> Result<Vec<String>, Error> {
    let asked = approval.policy.as_ref();
    let excluded = asked.map_or(&[][..], |asked| &asked.requirement.get().exclude);
    let mut names = Vec::with_capacity(excluded.len());
    for one in excluded {
        names.push(name_of(&app.ledger, one.user_id).await?);
    }
    Ok(names)
}

async fn name_of(ledger: &Ledger, id: UserId) -> Result<String, Error> {
    let user = ledger::Error::none_if_erased(ledger.load::<User>(id).await)?;
    Ok(user.map_or_else(|| id.to_string(), |user| user.name.to_string()))
}
