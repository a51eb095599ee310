//! Applies: what was asked for, what was sent, what came back.

use super::operations::{checked, phrases};
use super::{
    Act, Call, Describe, Effect, Facts, Reference, Severity, Status, Topic, Topics, counted,
    listed, plain, quoted, said, took, wrote,
};
use crate::catalog::Level;
use crate::clock::Timestamp;
use crate::event::{
    ApplyAccepted, ApplyAskedAnew, ApplyAuthorised, ApplyEnd, ApplyEnded, ApplyFollows,
    ApplyRefused, ApplyResolved, Authorisation, OnApproval, OperationEnded, OperationOutcome,
    OperationStarted, PolicyEvaluation, RefusalsCounted,
};
use crate::id::StreamId;
use serde::Deserialize;

/// The name of a call that has no operation of the catalog in it.
const APPLY: &str = "apply";

impl Describe for ApplyAccepted {
    fn text(&self, topic: &Topic) -> String {
        let operations = match topic.operations.as_slice() {
            operations @ [_, ..] if topic.detailed => listed(operations, Clone::clone),
            _ => listed(&self.check.requested, |asked| {
                format!(
                    "{} on {} {}",
                    asked.operation, asked.scope_type, asked.scope_id
                )
            }),
        };
        let how = match self.authorisation {
            Authorisation::Granted => "granted beforehand".to_owned(),
            Authorisation::Cleared(clearance) => format!("authorised by clearance {clearance}"),
            Authorisation::Scheduled(approval) => {
                format!("authorised by approval {approval} of its schedule")
            }
            Authorisation::Follows(first) => {
                format!("authorised by the approval of apply {first}, which it follows")
            }
            Authorisation::Awaiting(approval) => match self.on_approval {
                OnApproval::Wait => format!("waits for approval {approval}"),
                OnApproval::Execute => {
                    format!("waits for approval {approval}, to be carried out at once after it")
                }
            },
        };
        let how = match &self.evaluation {
            Some(said) => format!("{how}{}", by_policy(said)),
            None => how,
        };
        let missing = &self.check.missing;
        let because = match missing.len() {
            1.. if topic.detailed && missing.len() < self.check.requested.len() => {
                format!(" because of {}", listed(missing, checked))
            }
            _ => String::new(),
        };
        let key = quoted(&self.idempotency_key);
        let said = said(&self.purpose);
        format!("apply {key} of {operations}: {how}{because}{said}")
    }

    fn facts(&self, _: &Topic) -> Facts {
        let requested = &self.check.requested;
        let reads = requested
            .iter()
            .all(|operation| operation.required_level == Level::Read);
        let names: Vec<String> = requested
            .iter()
            .map(|operation| operation.operation.to_string())
            .collect();
        let scopes = requested.iter().map(|operation| {
            (
                operation.scope_type.to_string(),
                operation.scope_id.to_string(),
            )
        });
        let call = Call {
            effect: if reads {
                Effect::Reads
            } else {
                Effect::Changes
            },
            operation: if names.is_empty() {
                APPLY.to_owned()
            } else {
                names.join(", ")
            },
            request: Some(self.apply_id.to_string()),
            scopes: Some(scopes.collect()),
            ..Call::default()
        };
        Facts::of(1, Act::Call(Box::new(call))).detail(match self.authorisation {
            Authorisation::Granted => "granted beforehand",
            Authorisation::Awaiting(_) => "waits for a person",
            Authorisation::Cleared(_) => "authorised by a kept decision",
            Authorisation::Scheduled(_) => "authorised by the approval of its schedule",
            Authorisation::Follows(_) => "authorised by the approval of the write that it follows",
        })
    }

    fn rests_on(&self) -> Vec<Reference> {
        match self.authorisation {
            Authorisation::Cleared(clearance) => vec![Reference::Stream(clearance.into())],
            Authorisation::Scheduled(approval) => vec![Reference::Stream(approval.into())],
            Authorisation::Follows(first) => vec![Reference::Stream(first.into())],
            Authorisation::Granted | Authorisation::Awaiting(_) => Vec::new(),
        }
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let mut topic = Topic::of(self.task_id, Some(&self.agent));
        topic.operations = phrases(self);
        if let Authorisation::Awaiting(approval) = self.authorisation
            && let Some(approval) = topics.known(approval.into())
        {
            approval.operations.clone_from(&topic.operations);
        }
        topics.put(stream, topic);
    }
}

/// What the policy says of it: `, as rule office of policy 3 says`.
pub(super) fn by_policy(said: &PolicyEvaluation) -> String {
    let version = said.version;
    match said.rules.as_slice() {
        [] => format!(", under policy {version}"),
        rules => {
            let rules = listed(rules, ToString::to_string);
            let action = said.outcome.as_str();
            format!(", since policy {version} says {action} by {rules}")
        }
    }
}

/// A call that came to nothing.
fn refused(call: Call) -> Facts {
    let facts = Facts::of(1, Act::Call(Box::new(call))).severity(Severity::Medium);
    facts.status(Status::Failure)
}

impl Describe for ApplyRefused {
    fn text(&self, topic: &Topic) -> String {
        format!(
            "apply refused ({}): {}",
            self.code,
            wrote(&self.detail, topic)
        )
    }

    fn facts(&self, _: &Topic) -> Facts {
        let call = Call {
            operation: APPLY.to_owned(),
            error: Some((self.code.clone(), self.detail.clone())),
            ..Call::default()
        };
        refused(call).detail(self.code.as_str())
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        topics.put(stream, Topic::of(self.task_id, Some(&self.agent)));
    }
}

impl Describe for RefusalsCounted {
    fn text(&self, _: &Topic) -> String {
        format!(
            "{} more refused in the minute from {}",
            counted(self.count, "apply attempt"),
            Timestamp::from_seconds(self.minute)
        )
    }

    fn facts(&self, _: &Topic) -> Facts {
        let call = Call {
            operation: APPLY.to_owned(),
            count: Some(self.count),
            ..Call::default()
        };
        refused(call).detail("too many refusals to record one by one")
    }

    fn teach(&self, stream: StreamId, topics: &mut dyn Topics) {
        let agent = topics.of(self.task_id.into()).agent;
        topics.put(stream, Topic::of(self.task_id, agent.as_deref()));
    }
}

impl Describe for ApplyAuthorised {
    fn text(&self, _: &Topic) -> String {
        format!("apply may run: approval {} is used", self.approval_id)
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(2, "apply").detail("authorised")
    }
}

impl Describe for ApplyFollows {
    fn text(&self, _: &Topic) -> String {
        let first = self.first;
        match &self.allowed_as {
            Some(name) => format!(
                "apply follows apply {first}, whose approval allowed this besides: {}",
                plain(name)
            ),
            None => format!("apply follows apply {first}, and is asked about"),
        }
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(2, "apply").detail("follows another")
    }

    fn rests_on(&self) -> Vec<Reference> {
        vec![Reference::Stream(self.first.into())]
    }
}

impl Describe for ApplyAskedAnew {
    fn text(&self, _: &Topic) -> String {
        format!(
            "apply is asked about anew by {}: the answer to approval {} is not enough any more",
            self.approval_id, self.replaces
        )
    }

    fn facts(&self, _: &Topic) -> Facts {
        Facts::updated(2, "apply").detail("asked anew")
    }
}

/// The phrase of the operation with that index.
fn phrase(topic: &Topic, index: u32) -> Option<&str> {
    let index = usize::try_from(index).ok()?;
    topic.operations.get(index).map(String::as_str)
}

/// The call upstream, by the topic: the name comes first in a phrase.
fn upstream(topic: &Topic, index: u32) -> Call {
    let name = phrase(topic, index).and_then(|phrase| phrase.split(' ').next());
    let operation = name.unwrap_or("operation").to_owned();
    Call {
        effect: if operation.ends_with(".read") {
            Effect::Reads
        } else {
            Effect::Changes
        },
        operation,
        upstream: true,
        ..Call::default()
    }
}

/// `operation 1`, `operation 1 of 3`.
fn nth(topic: &Topic, index: u32) -> String {
    let number = u64::from(index) + 1;
    match topic.operations.len() {
        of if of < 2 || !topic.detailed => format!("operation {number}"),
        of => format!("operation {number} of {of}"),
    }
}

impl Describe for OperationStarted {
    fn text(&self, topic: &Topic) -> String {
        let how = match self.simulated {
            true => "simulated",
            false => "sent upstream",
        };
        let mut text = format!("{} {how}", nth(topic, self.index));
        if topic.detailed {
            // The params stand where it was asked for.
            let what = phrase(topic, self.index).and_then(|phrase| phrase.split(" (").next());
            text.extend(what.map(|what| format!(", {what}")));
            let zone = self.read_before.zone_name.as_deref();
            text.extend(zone.map(|zone| format!(" in zone {}", plain(zone))));
        }
        format!("{text}: {} {}", self.method, self.path)
    }

    fn facts(&self, topic: &Topic) -> Facts {
        let call = Call {
            request: Some(self.execution_id.to_string()),
            method: Some(self.method.clone()),
            path: Some(self.path.clone()),
            ..upstream(topic, self.index)
        };
        let facts = Facts::of(2, Act::Call(Box::new(call))).status(Status::Unknown);
        facts.detail(match self.simulated {
            true => "simulated",
            false => "sent",
        })
    }
}

impl Describe for OperationEnded {
    fn text(&self, topic: &Topic) -> String {
        let how = match &self.outcome {
            OperationOutcome::Succeeded { .. } => match self.evidence.pages() {
                Some(pages) => format!("succeeded ({pages})"),
                None => "succeeded".to_owned(),
            },
            OperationOutcome::Failed { code, message, .. } => {
                format!("failed ({code}): {}", wrote(message, topic))
            }
            OperationOutcome::Unknown { why } => {
                format!("has an unknown outcome: {}", wrote(why, topic))
            }
        };
        let found = match (self.simulated, self.reconciled) {
            (true, _) => ", simulated",
            (false, true) => ", found by reading back",
            (false, false) => "",
        };
        let text = format!("{} {how}{found}", nth(topic, self.index));
        match topic.detailed {
            true => format!(
                "{text}, after {}{}",
                took(self.duration_micros),
                self.answer()
            ),
            false => text,
        }
    }

    fn facts(&self, topic: &Topic) -> Facts {
        let mut call = upstream(topic, self.index);
        call.duration_ms = Some(self.duration_micros / 1000);
        let (status, severity, detail) = match &self.outcome {
            OperationOutcome::Succeeded { http_status, .. } => {
                call.http_status = *http_status;
                (Status::Success, Severity::Informational, None)
            }
            OperationOutcome::Failed {
                http_status,
                code,
                message,
                ..
            } => {
                call.error = Some((code.clone(), message.clone()));
                call.http_status = *http_status;
                (Status::Failure, Severity::Medium, Some(code.clone()))
            }
            OperationOutcome::Unknown { why } => {
                call.http_status = self.evidence.http_status;
                (Status::Unknown, Severity::High, Some(why.clone()))
            }
        };
        Facts {
            severity,
            status,
            detail,
            ..Facts::of(3, Act::Call(Box::new(call)))
        }
    }
}

impl OperationEnded {
    /// Upstream's answer.
    fn answer(&self) -> String {
        let (status, id, made) = match &self.outcome {
            OperationOutcome::Succeeded {
                http_status,
                request_id,
                result,
            } => (http_status, request_id, made(result)),
            OperationOutcome::Failed {
                http_status,
                request_id,
                ..
            } => (http_status, request_id, None),
            OperationOutcome::Unknown { .. } => {
                (&self.evidence.http_status, &self.evidence.request_id, None)
            }
        };
        let mut answer = String::new();
        answer.extend(status.map(|status| format!(", HTTP {status}")));
        answer.extend(id.as_deref().map(|id| format!(", request {}", plain(id))));
        answer.extend(made.map(|id| format!(", object {}", plain(&id))));
        answer
    }
}

/// The upstream's name for what came of it.
fn made(result: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Made {
        id: String,
    }
    let made: Result<Made, _> = serde_json::from_str(result);
    made.ok().map(|made| made.id)
}

impl Describe for ApplyEnded {
    fn text(&self, _: &Topic) -> String {
        let how = match self.end {
            ApplyEnd::Completed => "apply completed",
            ApplyEnd::Failed => "apply failed",
            ApplyEnd::Unknown => "apply has an unknown outcome, to be settled by a person",
        };
        match &self.stopped {
            Some(why) => format!("{how}: {why}"),
            None => how.to_owned(),
        }
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::updated(2, "apply");
        match self.end {
            ApplyEnd::Completed => facts.detail("completed"),
            ApplyEnd::Failed => facts
                .severity(Severity::Medium)
                .status(Status::Failure)
                .detail("failed"),
            ApplyEnd::Unknown => facts
                .severity(Severity::High)
                .status(Status::Unknown)
                .detail("a person has to settle it"),
        }
    }
}

impl Describe for ApplyResolved {
    fn text(&self, topic: &Topic) -> String {
        let reason = wrote(&self.reason, topic);
        format!("unknown outcome {}: {reason}", self.settled())
    }

    fn facts(&self, _: &Topic) -> Facts {
        let facts = Facts::updated(2, "apply").severity(Severity::Medium);
        facts.detail(self.settled()).comment(Some(&self.reason))
    }
}

impl ApplyResolved {
    const fn settled(&self) -> &'static str {
        match self.executed {
            true => "settled as executed",
            false => "settled as not executed",
        }
    }
}
