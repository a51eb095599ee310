//! Upstream saw each authorised execution at most once, nothing else, and what the ledger says of it
//! is true.

use super::Evidence;
use crate::chaos::client_ledger::{Asked, ClientLedger};
use crate::chaos::story::{ApplyStory, OperationStory, Story};
use std::collections::BTreeMap;

#[derive(Debug, Clone, Copy, Default)]
struct Count {
    seen: usize,
    applied: usize,
}

pub(super) fn findings(evidence: &Evidence) -> Vec<String> {
    let mut counts: BTreeMap<&str, Count> = BTreeMap::new();
    for sent in &evidence.sent {
        let count = counts.entry(&sent.marker).or_default();
        count.seen += 1;
        count.applied += usize::from(sent.applied);
    }
    let mut findings = Vec::new();
    for (marker, count) in &counts {
        findings.extend(unlicensed(evidence, marker, *count));
    }
    for (id, apply) in &evidence.story.applies {
        for (marker, state) in apply.markers.iter().zip(&apply.operations) {
            let count = counts.get(marker.as_str()).copied().unwrap_or_default();
            if *state == OperationStory::Succeeded && !marker.is_empty() && count.applied == 0 {
                findings.push(format!(
                    "apply {id}: {marker} is said to be done, and upstream did not do it"
                ));
            }
        }
        if !apply.authorised
            && apply
                .operations
                .iter()
                .any(|state| *state != OperationStory::NotTried)
        {
            findings.push(format!("apply {id} was begun without being authorised"));
        }
    }
    findings.extend(used_twice(&evidence.story));
    findings.extend(begun_under_lock(&evidence.story));
    findings.extend(left_waiting(&evidence.story));
    findings
}

/// What is wrong with what was sent under a marker.
fn unlicensed(evidence: &Evidence, marker: &str, count: Count) -> Vec<String> {
    let Evidence { clients, story, .. } = evidence;
    let mut findings = Vec::new();
    if clients.forbidden.contains(marker) {
        findings.push(format!("{marker} was sent and must never have been"));
    }
    let bearing = |apply: &&ApplyStory| apply.markers.iter().any(|found| found == marker);
    let of_it = || story.applies.values().filter(bearing);
    let authorised = of_it().filter(|apply| apply.authorised).count();
    if count.seen > authorised {
        findings.push(format!(
            "{marker} was sent {} times and authorised {authorised} times",
            count.seen
        ));
    }
    let begun = |apply: &&ApplyStory| {
        states_of(apply, marker).any(|state| state != OperationStory::NotTried)
    };
    if count.seen > of_it().filter(begun).count() {
        findings.push(format!("{marker} was sent without an intent on record"));
    }
    // The same may be asked for again, where it failed or its decision was kept.
    let may_be_done = of_it().filter(|apply| {
        states_of(apply, marker)
            .any(|state| !matches!(state, OperationStory::NotTried | OperationStory::Failed))
    });
    let may_be_done = may_be_done.count();
    if count.applied > may_be_done {
        findings.push(format!(
            "upstream did {marker} {} times, and the ledger says that {may_be_done} may have done it",
            count.applied
        ));
    }
    let mut asked = clients
        .applies
        .iter()
        .filter(|asked| asked.ops.iter().any(|op| op.marker == marker));
    let is_kept = of_it().any(|apply| answered_by_what_was_kept(evidence, apply));
    let is_scheduled = of_it().any(|apply| was_scheduled(evidence, marker, apply));
    if !is_kept && !is_scheduled && !asked.any(|asked| may_run(clients, asked)) {
        findings.push(format!(
            "{marker} was sent, and nobody granted or approved it"
        ));
    }
    findings
}

/// Where the operations of the apply stand that bear the marker.
fn states_of(apply: &ApplyStory, marker: &str) -> impl Iterator<Item = OperationStory> {
    let states = apply.markers.iter().zip(&apply.operations);
    states
        .filter(move |(found, _)| *found == marker)
        .map(|(_, state)| *state)
}

/// As far as the clients know, who did not ask for everything that would be needed.
fn may_run(clients: &ClientLedger, asked: &Asked) -> bool {
    let agent = format!("agent-{}", clients.tasks[asked.task].agent);
    let granted = clients.granted.get(&agent);
    let is_granted = asked.ops.iter().all(|op| {
        op.grantable()
            .is_some_and(|operation| granted.is_some_and(|granted| granted.contains(operation)))
    });
    let approval = asked.waiting.as_ref().map(|waiting| &waiting.approval);
    is_granted || approval.is_some_and(|approval| clients.approving.contains(approval))
}

/// Whether a decision answered it that somebody tried to have kept.
fn answered_by_what_was_kept(evidence: &Evidence, apply: &ApplyStory) -> bool {
    let by = apply.accepted.cleared_by.as_ref();
    let clearance = by.and_then(|id| evidence.story.clearances.get(id));
    clearance.is_some_and(|clearance| evidence.clients.keeping.contains(&clearance.approval))
}

/// Whether a schedule asked for it that somebody put, of an agent that has the grant, or was approved.
fn was_scheduled(evidence: &Evidence, marker: &str, apply: &ApplyStory) -> bool {
    let Evidence { clients, story, .. } = evidence;
    let Some(agent) = clients.scheduled.get(marker) else {
        return false;
    };
    let mut schedules = story.recurring.schedules.values();
    let is_fired = schedules.any(|schedule| {
        let mut runs = schedule.runs.iter();
        runs.any(|run| run.apply.as_ref().and_then(|id| story.applies.get(id)) == Some(apply))
    });
    let granted = clients.granted.get(&format!("agent-{agent}"));
    let is_granted = granted.is_some_and(|granted| granted.contains("cache.purge.execute"));
    let by = apply
        .accepted
        .scheduled_by
        .as_ref()
        .or(apply.approval.as_ref());
    is_fired && (is_granted || by.is_some_and(|by| clients.approving.contains(by)))
}

/// What was to be carried out once it is approved, and was not. Nobody takes the right to ask away.
fn left_waiting(story: &Story) -> Vec<String> {
    let left = story.approvals.iter().filter(|(_, approval)| {
        let asked = story.applies.get(&approval.apply);
        asked.is_some_and(|apply| apply.at_once && !apply.authorised)
            && approval.approved == Some(true)
            // The policy that came in between may want another answer.
            && approval.ended.is_none()
    });
    left.map(|(id, _)| format!("approval {id} was to be carried out at once, and waits"))
        .collect()
}

/// What began after the lock on its task.
fn begun_under_lock(story: &Story) -> Vec<String> {
    let began = story.applies.iter().filter_map(|(id, apply)| {
        let locked = story.tasks.get(&apply.task)?.locked_at?;
        let begun = apply.begun_at.filter(|begun| *begun > locked)?;
        Some(format!(
            "apply {id} began an operation at {begun}, and its task was locked at {locked}"
        ))
    });
    began.collect()
}

fn used_twice(story: &Story) -> Vec<String> {
    let mut findings = Vec::new();
    for (id, approval) in &story.approvals {
        let used: Vec<_> = story
            .applies
            .iter()
            .filter(|(_, apply)| apply.authorised && apply.approval.as_ref() == Some(id))
            .filter(|(apply, _)| !approval.released_by.contains(apply))
            .map(|(apply, _)| apply)
            .collect();
        if used.len() > 1 {
            findings.push(format!("approval {id} authorised {used:?}"));
        }
        if !used.is_empty() && approval.approved != Some(true) {
            findings.push(format!(
                "approval {id} authorised {used:?} and was not approved"
            ));
        }
    }
    findings
}
