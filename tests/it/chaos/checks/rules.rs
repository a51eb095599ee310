//! Every apply was decided by the policy of its moment, and every call let through by it, every approval by as many people as it needed, and a
//! decision that was kept answered only what it was kept for.

use crate::chaos::recurring::CallStory;
use crate::chaos::story::{ApplyStory, Story};
use serde_json::Value;
use std::collections::BTreeSet;

pub(super) fn findings(story: &Story) -> Vec<String> {
    let mut findings = Vec::new();
    for (id, apply) in &story.applies {
        findings.extend(by_another_policy(story, id, apply));
        if let Some(why) = not_answered(story, apply) {
            findings.push(format!("apply {id}: {why}"));
        }
    }
    for (id, call) in &story.recurring.calls {
        if let Some(why) = not_let_through(story, call) {
            findings.push(format!("call {id} {why}"));
        }
    }
    for (id, approval) in &story.approvals {
        let people: BTreeSet<_> = approval.approved_by.iter().collect();
        if people.len() < approval.approved_by.len() {
            findings.push(format!(
                "approval {id}: somebody counts twice among {:?}",
                approval.approved_by
            ));
        }
        if approval.approved == Some(true) && people.len() < approval.needs {
            findings.push(format!(
                "approval {id} needs {} people, and {:?} were enough",
                approval.needs, approval.approved_by
            ));
        }
    }
    findings
}

/// Every version of a campaign has a document.
fn by_another_policy(story: &Story, id: &str, apply: &ApplyStory) -> Option<String> {
    let before = |(position, _): &&(u64, u64)| *position < apply.accepted.position;
    let in_force = story.policies.iter().rfind(before);
    let in_force = in_force.map(|(_, version)| *version);
    let by = apply.accepted.policy;
    (by != in_force).then(|| format!("apply {id} was decided by {by:?}, and {in_force:?} held"))
}

/// Why the policy of its moment did not let a call through as it says. What begins is held to the version in force at its place
/// in the log; what has its end alone on record, to one that was in force when it was judged, or since.
fn not_let_through(story: &Story, call: &CallStory) -> Option<String> {
    let in_force_at = |size: u64| {
        let before = |(position, _): &&(u64, u64)| *position < size;
        let in_force = story.policies.iter().rfind(before);
        in_force.map(|(_, version)| *version)
    };
    let (size, by) = call.ruled.unwrap_or((call.position, None));
    if call.path.is_none() {
        let since = |(position, _): &&(u64, u64)| (size..call.position).contains(position);
        let mut since = story.policies.iter().filter(since);
        let is_known = by == in_force_at(size) || since.any(|(_, version)| by == Some(*version));
        return (!is_known).then(|| format!("was let through by {by:?}, which did not hold"));
    }
    let in_force = in_force_at(call.position);
    if by != in_force {
        return Some(format!("was let through by {by:?}, and {in_force:?} held"));
    }
    let is_denied = in_force.is_some_and(|version| story.without_cancels.contains(&version));
    is_denied.then(|| format!("was sent, and {in_force:?} denies it"))
}

/// Why the decision that answered an apply may not have.
fn not_answered(story: &Story, apply: &ApplyStory) -> Option<String> {
    let id = apply.accepted.cleared_by.as_ref()?;
    let say = |what: &str| Some(format!("{what} the decision {id} that answered it"));
    let Some(kept) = story.clearances.get(id) else {
        return say("nobody kept");
    };
    let approval = story.approvals.get(&kept.approval);
    let approved = approval.filter(|approval| approval.approved == Some(true));
    let Some(first) = approved.and_then(|approval| story.applies.get(&approval.apply)) else {
        return say("nobody approved");
    };
    let (accepted, asked) = (&apply.accepted, &first.accepted);
    if accepted.position < kept.position {
        return say("it was there before");
    }
    if kept.until.is_some_and(|until| until <= accepted.at) {
        return say("its time was over for");
    }
    let is_theirs = match kept.of_agent {
        true => accepted.agent == asked.agent,
        false => apply.task == kept.task,
    };
    if !is_theirs {
        return say("somebody else has");
    }
    let same = match kept.is_wide {
        true => scopes(&accepted.asks) == scopes(&asked.asks),
        false => accepted.asks == asked.asks,
    };
    if !same {
        return say("it is about something else than");
    }
    None
}

fn scopes(asks: &[Value]) -> Vec<[&Value; 3]> {
    let names = ["operation_id", "scope_type", "scope_id"];
    asks.iter()
        .map(|ask| names.map(|name| &ask[name]))
        .collect()
}
