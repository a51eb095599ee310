//! What a client was told is in the ledger and still says so.

use super::Evidence;
use crate::chaos::client_ledger::Acknowledged;
use crate::chaos::story::{ApplyStory, ApprovalStory, Story};
use ledger::event::ApplyEnd;

pub(super) fn findings(evidence: &Evidence) -> Vec<String> {
    let lost = |told: &&Acknowledged| !stands(told, &evidence.story);
    evidence
        .clients
        .acknowledged
        .iter()
        .filter(lost)
        .map(|told| format!("the ledger does not say what was acknowledged: {told:?}"))
        .collect()
}

fn stands(told: &Acknowledged, story: &Story) -> bool {
    let apply_of = |id: &String, task: &String, key: &String| {
        story
            .applies
            .get(id)
            .filter(|apply| apply.task == *task && apply.key == *key)
    };
    match told {
        Acknowledged::TaskOpened { task } => story.tasks.contains_key(task),
        Acknowledged::TaskClosed { task } => story.tasks.get(task).is_some_and(|task| task.closed),
        Acknowledged::TaskLocked { task } => {
            let task = story.tasks.get(task);
            task.is_some_and(|task| task.locked_at.is_some())
        }
        Acknowledged::TokenRenewed { task } => {
            story.tasks.get(task).is_some_and(|task| task.tokens > 1)
        }
        Acknowledged::Granted { agent, times } => {
            story.grants.get(agent).copied().unwrap_or(0) >= *times
        }
        Acknowledged::Registered { principal } => story.registered.contains(principal),
        Acknowledged::Waits {
            apply,
            task,
            key,
            approval,
        } => apply_of(apply, task, key).is_some_and(|apply| {
            let mut asked = apply.approval.iter().chain(&apply.asked_before);
            approval
                .as_ref()
                .is_none_or(|told| asked.any(|asked| asked == told))
        }),
        Acknowledged::Ended {
            apply,
            task,
            key,
            end,
        } => apply_of(apply, task, key)
            .is_some_and(|apply| apply.ends.iter().any(|ended| word(*ended) == end)),
        Acknowledged::Refused { task, key, code } => {
            let apply = story.apply(task, key);
            apply.is_some_and(|(id, apply)| is_refused(story, id, apply, code))
        }
        Acknowledged::Decided { approval, approved } => {
            let approval = story.approvals.get(approval);
            approval.is_some_and(|approval| approval.approved == Some(*approved))
        }
        Acknowledged::Voted {
            approval,
            principal,
        } => {
            let approval = story.approvals.get(approval);
            approval.is_some_and(|approval| approval.approved_by.contains(principal))
        }
        Acknowledged::PolicySaved { version } => {
            story.policies.iter().any(|(_, known)| known == version)
        }
        Acknowledged::Resolved { apply, executed } => {
            let apply = story.applies.get(apply);
            apply.is_some_and(|apply| apply.resolved == Some(*executed))
        }
        Acknowledged::SchedulePut { marker } => {
            let mut schedules = story.recurring.schedules.values();
            schedules.any(|schedule| schedule.markers.contains(marker))
        }
        Acknowledged::ScheduleDeleted { name } => {
            let mut schedules = story.recurring.schedules.values();
            schedules.any(|schedule| schedule.name == *name && schedule.over.is_some())
        }
        Acknowledged::KeyStored { agent } => {
            let mut stored = story.recurring.stored.values();
            stored.any(|(owner, ..)| story.agent(owner) == Some(agent))
        }
    }
}

const fn word(end: ApplyEnd) -> &'static str {
    match end {
        ApplyEnd::Completed => "completed",
        ApplyEnd::Failed => "failed",
        ApplyEnd::Unknown => "unknown",
    }
}

fn is_refused(story: &Story, id: &String, apply: &ApplyStory, code: &str) -> bool {
    let asked = apply.approval.iter().chain(&apply.asked_before);
    let mut approvals = asked.filter_map(|id| story.approvals.get(id));
    approvals.any(|approval: &ApprovalStory| match code {
        "approval_denied" => approval.approved == Some(false),
        "approval_expired" => approval.ended == Some("expired"),
        "approval_cancelled" => approval.ended == Some("cancelled"),
        "approval_consumed" => {
            let mut used_by = approval.consumed_by.iter().chain(&approval.released_by);
            used_by.any(|by| by != id)
        }
        _ => false,
    })
}
