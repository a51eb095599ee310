//! Whatever had to be told is owed; what is owed arrived as it is, or is visibly given up.

use super::Evidence;
use crate::chaos::story::{DeliveryState, Story};
use ledger::event::ApplyEnd;
use std::collections::{BTreeMap, BTreeSet};

pub(super) fn findings(evidence: &Evidence) -> Vec<String> {
    let Evidence { story, arrived, .. } = evidence;
    let owed: BTreeMap<&str, _> = story
        .deliveries
        .values()
        .map(|delivery| (delivery.event_id.as_str(), delivery))
        .collect();
    let mut findings = Vec::new();
    for one in arrived {
        match owed.get(one.event_id.as_str()) {
            None => findings.push(format!("event {} arrived and is not owed", one.event_id)),
            Some(delivery) if delivery.event != one.event => findings.push(format!(
                "event {} arrived as {}, and is {}",
                one.event_id, one.event, delivery.event
            )),
            Some(_) => {}
        }
        if let Some(why) = &one.forged {
            findings.push(format!("event {} arrived, and {why}", one.event_id));
        }
    }
    let arrived: BTreeSet<_> = arrived.iter().map(|one| one.event_id.as_str()).collect();
    for (id, delivery) in &story.deliveries {
        if delivery.state == DeliveryState::Delivered
            && !arrived.contains(delivery.event_id.as_str())
        {
            findings.push(format!(
                "delivery {id} is said to be delivered and did not arrive"
            ));
        }
    }
    findings.extend(not_owed(story));
    findings
}

/// Every task of a campaign has a callback for everything, but those that schedules open.
fn not_owed(story: &Story) -> Vec<String> {
    let text = |event: &serde_json::Value, field: &str| {
        event[field].as_str().unwrap_or_default().to_owned()
    };
    let told: BTreeSet<(String, String)> = story
        .deliveries
        .values()
        .flat_map(|delivery| {
            let event = &delivery.event;
            let name = text(event, "event_type");
            let of_apply = format!(
                "{} {}",
                text(event, "task_id"),
                text(event, "idempotency_key")
            );
            [(name.clone(), of_apply), (name, text(event, "approval_id"))]
        })
        .collect();
    let mut wanted = Vec::new();
    let fired: BTreeSet<_> = story.recurring.fired().collect();
    let told_of = story.applies.iter().filter(|(id, _)| !fired.contains(id));
    for (_, apply) in told_of {
        for end in &apply.ends {
            let name = match end {
                ApplyEnd::Completed => "apply.finished",
                ApplyEnd::Failed => "apply.failed",
                ApplyEnd::Unknown => "apply.unknown",
            };
            wanted.push((name.to_owned(), format!("{} {}", apply.task, apply.key)));
        }
    }
    for (id, approval) in &story.approvals {
        // About a schedule, or about what one asked for.
        if !story.applies.contains_key(&approval.apply) || fired.contains(&approval.apply) {
            continue;
        }
        wanted.push(("approval.pending".to_owned(), id.clone()));
        let decided = match approval.approved {
            Some(true) => Some("approval.approved"),
            Some(false) => Some("approval.denied"),
            None => None,
        };
        wanted.extend(decided.map(|name| (name.to_owned(), id.clone())));
        wanted.extend(
            approval
                .ended
                .map(|how| (format!("approval.{how}"), id.clone())),
        );
    }
    wanted
        .into_iter()
        .filter(|one| !told.contains(one))
        .map(|(name, of)| format!("nobody is owed {name} of {of}"))
        .collect()
}
