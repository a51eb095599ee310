//! What the ledger says, as far as the checks ask for it; folded here from the events, and with
//! nothing of the service's own folds.

use super::client_ledger::marker_in;
use super::documents::denies_cancels;
use super::recurring::Recurring;
use ledger::event::{
    AfterAttempt, ApplyEnd, AttemptOutcome, Authorisation, LockTarget, OnApproval, OperationOutcome,
};
use ledger::{Actor, Binding, Breadth, Event, Recorded};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// By ids as they stand in answers.
#[derive(Debug, Clone, Default)]
pub(super) struct Story {
    pub(super) tasks: BTreeMap<String, TaskStory>,
    pub(super) applies: BTreeMap<String, ApplyStory>,
    pub(super) approvals: BTreeMap<String, ApprovalStory>,
    pub(super) deliveries: BTreeMap<String, DeliveryStory>,
    /// How often the grants of an agent were replaced.
    pub(super) grants: BTreeMap<String, usize>,
    /// The versions of the policy, with the position from which each held.
    pub(super) policies: Vec<(u64, u64)>,
    /// The text of the newest.
    pub(super) document: Option<String>,
    /// The versions that deny calls which cancel a batch.
    pub(super) without_cancels: BTreeSet<u64>,
    /// Decisions that are kept.
    pub(super) clearances: BTreeMap<String, ClearanceStory>,
    /// Schedules, stored keys and calls.
    pub(super) recurring: Recurring,
    /// Principals that have a credential.
    pub(super) registered: BTreeSet<String>,
    /// The newest moment of any event, in microseconds since 1970.
    pub(super) newest: i64,
    agents: BTreeMap<String, String>,
    approvers: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TaskStory {
    pub(super) closed: bool,
    pub(super) tokens: usize,
    /// The position of the first lock on it, which nobody lifts.
    pub(super) locked_at: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApplyStory {
    pub(super) task: String,
    pub(super) key: String,
    /// The markers of its operations; empty text for a read, which may be sent again.
    pub(super) markers: Vec<String>,
    pub(super) operations: Vec<OperationStory>,
    /// The position of the newest event that began one of them.
    pub(super) begun_at: Option<u64>,
    pub(super) approval: Option<String>,
    /// The questions that it waited for before it was asked about anew.
    pub(super) asked_before: Vec<String>,
    pub(super) accepted: Accepted,
    pub(super) authorised: bool,
    /// It is to be carried out once it is approved.
    pub(super) at_once: bool,
    /// How it ended; a second time where a person settled that.
    pub(super) ends: Vec<ApplyEnd>,
    pub(super) resolved: Option<bool>,
}

/// What was recorded when it was accepted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Accepted {
    pub(super) position: u64,
    /// In microseconds since 1970.
    pub(super) at: i64,
    pub(super) agent: String,
    /// As they are sent.
    pub(super) asks: Vec<Value>,
    /// The version of the policy that it was evaluated by.
    pub(super) policy: Option<u64>,
    /// The decision that was kept and answered it.
    pub(super) cleared_by: Option<String>,
    /// The approval of its schedule that answered it.
    pub(super) scheduled_by: Option<String>,
}

/// A decision that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClearanceStory {
    pub(super) position: u64,
    /// The question that it answered first.
    pub(super) approval: String,
    pub(super) task: String,
    /// It answers other tasks of the agent too.
    pub(super) of_agent: bool,
    /// It answers other params on the same scopes too.
    pub(super) is_wide: bool,
    /// In microseconds since 1970.
    pub(super) until: Option<i64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OperationStory {
    NotTried,
    Started,
    Succeeded,
    Failed,
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ApprovalStory {
    pub(super) apply: String,
    /// How many people it needs.
    pub(super) needs: usize,
    /// Who has approved, in their order.
    pub(super) approved_by: Vec<String>,
    pub(super) approved: Option<bool>,
    pub(super) ended: Option<&'static str>,
    pub(super) consumed_by: Option<String>,
    /// The applies that used it and gave it back, having applied nothing.
    pub(super) released_by: Vec<String>,
    /// Until when it can be decided, in microseconds since 1970.
    pub(super) expires: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DeliveryStory {
    pub(super) event_id: String,
    pub(super) event: Value,
    pub(super) state: DeliveryState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeliveryState {
    Due,
    UnderWay,
    /// Not before this moment, in microseconds since 1970.
    RetryAt(i64),
    Delivered,
    GivenUp,
}

/// Who has decided.
fn person(recorded: &Recorded) -> String {
    match &recorded.envelope.actor {
        Actor::Approver { principal, .. } => principal.to_string(),
        other => format!("{other:?}"),
    }
}

impl Story {
    pub(super) fn of(events: &[Recorded]) -> Self {
        let mut story = Self::default();
        for event in events {
            story.hear(event);
        }
        story
    }

    fn hear(&mut self, recorded: &Recorded) {
        self.newest = self.newest.max(recorded.header.recorded_at.as_micros());
        if self.recurring.hear(recorded) {
            return;
        }
        let stream = || recorded.stream_id().to_string();
        match &recorded.event {
            Event::TaskCreated(_) => drop(self.tasks.insert(stream(), TaskStory::default())),
            Event::TokenIssued(_) => self.task(&stream()).tokens += 1,
            Event::LockSet(set) => {
                if let LockTarget::Task(id) = set.target {
                    let task = self.task(&id.to_string());
                    task.locked_at.get_or_insert(recorded.position());
                }
            }
            Event::TaskClosed(_) => self.task(&stream()).closed = true,
            Event::AgentRegistered(agent) => {
                self.agents.insert(stream(), agent.name.to_string());
            }
            Event::PermissionsReplaced(_) => {
                let agent = self.agents[&stream()].clone();
                *self.grants.entry(agent).or_default() += 1;
            }
            Event::ApproverRegistered(approver) => {
                let principal = approver.principal.to_string();
                self.approvers.insert(stream(), principal);
            }
            Event::CredentialPut(_) => {
                self.registered.insert(self.approvers[&stream()].clone());
            }
            Event::PolicyChanged(changed) => {
                self.policies.push((recorded.position(), changed.version));
                let document = changed.document.as_ref();
                self.document = document.map(|document| document.source.clone());
                if self.document.as_deref().is_some_and(denies_cancels) {
                    self.without_cancels.insert(changed.version);
                }
            }
            Event::ClearanceMade(made) => {
                let clearance = ClearanceStory {
                    position: recorded.position(),
                    approval: made.approval_id.to_string(),
                    task: made.task_id.to_string(),
                    of_agent: made.binding == Binding::Agent,
                    is_wide: made.breadth == Breadth::Scope,
                    until: made.until.map(|until| until.as_micros()),
                };
                self.clearances.insert(stream(), clearance);
            }
            _ => self.hear_apply(recorded),
        }
    }

    fn task(&mut self, id: &str) -> &mut TaskStory {
        self.tasks.get_mut(id).unwrap()
    }

    fn hear_apply(&mut self, recorded: &Recorded) {
        let id = recorded.stream_id().to_string();
        if let Event::ApplyAccepted(accepted) = &recorded.event {
            let submission: Value = serde_json::from_str(&accepted.submission).unwrap();
            let markers: Vec<String> = submission["operations"]
                .as_array()
                .unwrap()
                .iter()
                .map(|operation| match operation["operation_id"].as_str() {
                    Some("dns.record.read") => String::new(),
                    _ => marker_in(&operation["params"]),
                })
                .collect();
            let (authorised, approval) = match accepted.authorisation {
                Authorisation::Granted
                | Authorisation::Cleared(_)
                | Authorisation::Scheduled(_)
                | Authorisation::Follows(_) => (true, None),
                Authorisation::Awaiting(approval) => (false, Some(approval.to_string())),
            };
            let evaluation = accepted.evaluation.as_ref();
            let recorded_then = Accepted {
                position: recorded.position(),
                at: recorded.header.recorded_at.as_micros(),
                agent: accepted.agent.to_string(),
                asks: submission["operations"].as_array().cloned().unwrap(),
                policy: evaluation.map(|said| said.version),
                cleared_by: match accepted.authorisation {
                    Authorisation::Cleared(id) => Some(id.to_string()),
                    _ => None,
                },
                scheduled_by: match accepted.authorisation {
                    Authorisation::Scheduled(id) => Some(id.to_string()),
                    _ => None,
                },
            };
            let apply = ApplyStory {
                accepted: recorded_then,
                asked_before: Vec::new(),
                task: accepted.task_id.to_string(),
                key: accepted.idempotency_key.to_string(),
                operations: vec![OperationStory::NotTried; markers.len()],
                begun_at: None,
                markers,
                approval,
                authorised,
                at_once: accepted.on_approval == OnApproval::Execute,
                ends: Vec::new(),
                resolved: None,
            };
            self.applies.insert(id, apply);
            return;
        }
        let Some(apply) = self.applies.get_mut(&id) else {
            return self.hear_approval(recorded);
        };
        let at = |index: u32| usize::try_from(index).unwrap();
        match &recorded.event {
            Event::ApplyAuthorised(_) => apply.authorised = true,
            Event::ApplyAskedAnew(anew) => {
                let asked = apply.approval.replace(anew.approval_id.to_string());
                apply.asked_before.extend(asked);
                // It had not begun, and does not before it is approved once more.
                apply.authorised = false;
            }
            Event::OperationStarted(started) => {
                apply.operations[at(started.index)] = OperationStory::Started;
                apply.begun_at = Some(recorded.position());
            }
            Event::OperationEnded(ended) => {
                apply.operations[at(ended.index)] = match ended.outcome {
                    OperationOutcome::Succeeded { .. } => OperationStory::Succeeded,
                    OperationOutcome::Failed { .. } => OperationStory::Failed,
                    OperationOutcome::Unknown { .. } => OperationStory::Unknown,
                };
            }
            Event::ApplyEnded(ended) => apply.ends.push(ended.end),
            Event::ApplyResolved(resolved) => {
                apply.resolved = Some(resolved.executed);
                let all_tried = !apply.operations.contains(&OperationStory::NotTried);
                let end = if resolved.executed && all_tried {
                    ApplyEnd::Completed
                } else {
                    ApplyEnd::Failed
                };
                apply.ends.push(end);
            }
            _ => {}
        }
    }

    fn hear_approval(&mut self, recorded: &Recorded) {
        let id = recorded.stream_id().to_string();
        let asked = match &recorded.event {
            Event::ApprovalRequested(asked) => Some((
                asked.policy.as_ref(),
                asked.apply_id.to_string(),
                asked.expires_at,
            )),
            // About a schedule, and no apply.
            Event::ApprovalAsked(asked) => {
                Some((asked.policy.as_ref(), String::new(), asked.expires_at))
            }
            _ => None,
        };
        if let Some((policy, apply, expires)) = asked {
            let needs = policy.map(|asked| &asked.requirement.get().needs);
            let needs = needs.into_iter().flatten().map(|need| need.n).max();
            let approval = ApprovalStory {
                needs: usize::try_from(needs.unwrap_or(1)).unwrap(),
                approved_by: Vec::new(),
                apply,
                approved: None,
                ended: None,
                consumed_by: None,
                released_by: Vec::new(),
                expires: expires.as_micros(),
            };
            self.approvals.insert(id, approval);
            return;
        }
        let Some(approval) = self.approvals.get_mut(&id) else {
            return self.hear_delivery(recorded);
        };
        match &recorded.event {
            Event::ApprovalApproved(_) => {
                approval.approved = Some(true);
                approval.approved_by.push(person(recorded));
            }
            Event::ApprovalVoted(_) => approval.approved_by.push(person(recorded)),
            Event::ApprovalDenied(_) => approval.approved = Some(false),
            Event::ApprovalExpired(_) => approval.ended = Some("expired"),
            Event::ApprovalCancelled(_) => approval.ended = Some("cancelled"),
            Event::ApprovalReleased(released) => {
                let by = released.apply_id.to_string();
                approval.consumed_by = None;
                approval.released_by.push(by);
            }
            Event::ApprovalConsumed(consumed) => {
                approval.consumed_by = Some(consumed.apply_id.to_string());
            }
            _ => {}
        }
    }

    fn hear_delivery(&mut self, recorded: &Recorded) {
        let id = recorded.stream_id().to_string();
        if let Event::DeliveryOwed(owed) = &recorded.event {
            let delivery = DeliveryStory {
                event_id: owed.event_id.to_string(),
                event: serde_json::from_str(&owed.event).unwrap(),
                state: DeliveryState::Due,
            };
            self.deliveries.insert(id, delivery);
            return;
        }
        let Some(delivery) = self.deliveries.get_mut(&id) else {
            return;
        };
        match &recorded.event {
            Event::AttemptStarted(_) => delivery.state = DeliveryState::UnderWay,
            Event::AttemptEnded(ended) => {
                delivery.state = match (&ended.outcome, ended.after) {
                    (AttemptOutcome::Delivered { .. }, _) => DeliveryState::Delivered,
                    (_, AfterAttempt::RetryAt(at)) => DeliveryState::RetryAt(at.as_micros()),
                    (_, AfterAttempt::GivenUp | AfterAttempt::Done) => DeliveryState::GivenUp,
                };
            }
            Event::RetryRequested(_) => delivery.state = DeliveryState::Due,
            _ => {}
        }
    }

    /// When the last delivery that is tried again is due, in microseconds since 1970.
    pub(super) fn last_try(&self) -> Option<i64> {
        let states = self.deliveries.values().map(|delivery| delivery.state);
        states
            .filter_map(|state| match state {
                DeliveryState::RetryAt(at) => Some(at),
                _ => None,
            })
            .max()
    }

    #[cfg(test)]
    pub(super) fn name_agent(&mut self, id: &str, name: &str) {
        self.agents.insert(id.to_owned(), name.to_owned());
    }

    /// The name of an agent, by its id.
    pub(super) fn agent(&self, id: &str) -> Option<&str> {
        self.agents.get(id).map(String::as_str)
    }

    /// The apply of that task and key.
    pub(super) fn apply(&self, task: &str, key: &str) -> Option<(&String, &ApplyStory)> {
        self.applies
            .iter()
            .find(|(_, apply)| apply.task == task && apply.key == key)
    }
}
