//! How each step of a story is done.

use crate::step::Step;
use crate::story::{APPROVERS, Story};
use fixtures::commands;
use ledger::aggregate::{Apply, Approval, DeliveryState};
use ledger::command::{
    CloseTask, ContinueApply, CreateTask, EndAttempt, EndClearance, EndOperation, ExpireApproval,
    NarrowApproval, OpenEnrolment, RecordPreState, RefuseApply, RenewToken, ResolveApply,
    RetryDelivery, RevokeCredential, StartAttempt, StartOperation, SubmitApply,
};
use ledger::event::{ApplyEnd, AttemptOutcome, OperationOutcome, PreState};
use ledger::operation::Operation;
use ledger::{
    ApproverName, Breadth, CredentialId, Decision, Event, KeptMode, Rejection, Retention,
};
use providers::cloudflare;
use std::time::Duration;

impl Story {
    pub(crate) async fn act_as_agent(&mut self, step: &Step) {
        match step {
            Step::CreateTask { with_callback } => {
                let command = CreateTask {
                    callback: with_callback.then(|| commands::callback(8443, "a secret")),
                    ..commands::create_task()
                };
                let token = self.run(commands::administrator(), command).await;
                self.tasks.extend(token);
            }
            Step::Submit {
                task,
                key,
                operation,
                with_callback,
            } => {
                let Some(token) = pick(&self.tasks, *task) else {
                    return;
                };
                let command = SubmitApply {
                    callback: with_callback.then(|| commands::callback(9443, "another secret")),
                    ..commands::submit(token, &format!("key-{key}"), operations(*operation))
                };
                let answer = self.run(commands::agent(token), command).await;
                self.submitted
                    .extend(answer.and_then(|ruling| ruling.accepted().ok()));
            }
            Step::Continue { submitted, new_key } => {
                let waiting: Vec<_> = self
                    .submitted
                    .iter()
                    .filter(|s| s.approval.is_some())
                    .collect();
                let Some(submitted) = pick(&waiting, *submitted) else {
                    return;
                };
                let Some(token) = self.tasks.iter().find(|t| t.task.id == submitted.task.id) else {
                    return;
                };
                let mut command = commands::continue_apply(token, submitted);
                if let Some(key) = new_key {
                    command = ContinueApply {
                        edge: ledger::policy::Edge::default(),
                        key: commands::key(&format!("key-{key}")),
                        ..command
                    };
                }
                let answer = self.run(commands::agent(token), command).await;
                self.submitted
                    .extend(answer.and_then(|ruling| ruling.accepted().ok()));
            }
            Step::Renew { task } => {
                let Some(token) = pick(&self.tasks, *task) else {
                    return;
                };
                let command = RenewToken {
                    token: commands::presented(token),
                };
                if let Some(renewed) = self.run(commands::agent(token), command).await
                    && let Some(old) = self.tasks.iter_mut().find(|t| t.task.id == renewed.task.id)
                {
                    *old = renewed;
                }
            }
            Step::Hammer { task } => {
                let Some(token) = pick(&self.tasks, *task) else {
                    return;
                };
                for _ in 0..12 {
                    let command = RefuseApply {
                        token: commands::presented(token).into(),
                        key: None,
                        refusal: Rejection::KeyReused,
                    };
                    self.run(commands::agent(token), command).await;
                }
            }
            _ => {}
        }
    }

    pub(crate) async fn act_as_worker(&mut self, step: &Step) {
        let system = commands::system;
        let duration = Duration::from_millis(7);
        match step {
            Step::ReadPreState { approval } => {
                let Some(approval_id) = pick(&self.approvals, *approval).copied() else {
                    return;
                };
                let operations = vec![PreState::Found("{}".to_owned()), PreState::NotApplicable];
                self.run(
                    system(),
                    RecordPreState {
                        approval_id,
                        operations,
                        zones: Vec::new(),
                    },
                )
                .await;
            }
            Step::Expire { approval } => {
                let Some(approval_id) = pick(&self.approvals, *approval).copied() else {
                    return;
                };
                self.run(system(), ExpireApproval { approval_id }).await;
            }
            Step::StartOperation { apply, simulated } => {
                let Some((apply_id, index)) = self.pick_operation(*apply).await else {
                    return;
                };
                let command = StartOperation {
                    apply_id,
                    index,
                    simulated: *simulated,
                    method: "PUT".to_owned(),
                    path: "/zones/zone-1".to_owned(),
                    body_digest: None,
                    read_before: Default::default(),
                    read_again: None,
                };
                self.run(system(), command).await;
            }
            Step::EndOperation { apply, how } => {
                let Some((apply_id, index)) = self.pick_operation(*apply).await else {
                    return;
                };
                let command = EndOperation {
                    apply_id,
                    index,
                    outcome: outcome(*how),
                    reconciled: *how == 1,
                    duration,
                    evidence: Default::default(),
                };
                self.run(system(), command).await;
            }
            Step::StartAttempt { delivery } => {
                let due = |state| matches!(state, DeliveryState::Due(_));
                if let Some(delivery) = self.pick_delivery(*delivery, due).await {
                    let delivery_id = delivery.owed.delivery_id;
                    self.run(system(), StartAttempt { delivery_id }).await;
                }
            }
            Step::EndAttempt { delivery, how } => {
                let under_way = |state| state == DeliveryState::UnderWay;
                let Some(delivery) = self.pick_delivery(*delivery, under_way).await else {
                    return;
                };
                let command = EndAttempt {
                    delivery_id: delivery.owed.delivery_id,
                    attempt: delivery.attempts,
                    outcome: attempt_outcome(*how),
                    retry_at: self.ledger.now().plus(Duration::from_secs(5)),
                    duration,
                };
                self.run(system(), command).await;
            }
            _ => {}
        }
    }

    pub(crate) async fn act_as_person(&mut self, step: &Step) {
        let administrator = commands::administrator;
        match step {
            Step::Grant { operations } => {
                let grants = cloudflare::CATALOG.into_iter().take(*operations);
                let command = commands::permissions(grants.map(commands::grant).collect());
                self.run(administrator(), command).await;
            }
            Step::Decide {
                approval,
                approver,
                approve,
                keep,
            } => {
                let Some(id) = pick(&self.approvals, *approval).copied() else {
                    return;
                };
                let Some(approver) = pick(&self.approvers, *approver) else {
                    return;
                };
                let approval = self.ledger.load::<Approval>(id).await.unwrap().unwrap();
                let decision = if *approve {
                    Decision::Approve
                } else {
                    Decision::Deny
                };
                let ledger = &self.ledger.ledger;
                let command = match keep {
                    None => approver.decide(ledger, &approval, decision, Some("looked at it")),
                    Some(binding) => {
                        let retention = Retention {
                            mode: KeptMode::Cache,
                            breadth: Breadth::Scope,
                            binding: *binding,
                            until: Some(ledger.now().plus(Duration::from_secs(3600))),
                        };
                        approver.keep(ledger, &approval, decision, retention)
                    }
                };
                self.run(administrator(), command).await;
            }
            Step::EndClearance => {
                let events = self.ledger.log().events_from(0, u32::MAX).await.unwrap();
                let made = events
                    .iter()
                    .rev()
                    .find(|recorded| matches!(recorded.event, Event::ClearanceMade(_)));
                if let Some(made) = made {
                    let clearance_id = made.stream_id().into();
                    let end = EndClearance { clearance_id };
                    self.run(administrator(), end).await;
                }
            }
            Step::Narrow { task, approver } => {
                let Some(token) = pick(&self.tasks, *task) else {
                    return;
                };
                let command = NarrowApproval {
                    token: commands::presented(token).into(),
                    principal: pick(&APPROVERS, *approver)
                        .map(|&name| ApproverName::unchecked(name)),
                };
                self.run(commands::agent(token), command).await;
            }
            Step::Resolve { apply, executed } => {
                let unknown = |apply: &Apply| apply.end == Some(ApplyEnd::Unknown);
                if let Some(apply) = self.pick_apply(*apply, unknown).await {
                    let command = ResolveApply {
                        apply_id: apply.id,
                        executed: *executed,
                        reason: "seen in the dashboard".to_owned(),
                    };
                    self.run(administrator(), command).await;
                }
            }
            Step::Close { task } => {
                let Some(token) = pick(&self.tasks, *task) else {
                    return;
                };
                let task_id = token.task.id;
                let reason = Some("done with it".to_owned());
                self.run(
                    administrator(),
                    CloseTask {
                        task_id,
                        token: None,
                        reason,
                    },
                )
                .await;
            }
            Step::RetryDelivery { delivery } => {
                let given_up = |state| state == DeliveryState::GivenUp;
                if let Some(delivery) = self.pick_delivery(*delivery, given_up).await {
                    let delivery_id = delivery.owed.delivery_id;
                    let reason = Some("the receiver is back".to_owned());
                    let command = RetryDelivery {
                        delivery_id,
                        reason,
                    };
                    self.run(administrator(), command).await;
                }
            }
            Step::Invite { approver } => {
                let names = [APPROVERS[0], APPROVERS[1], "carol"];
                let principal = ApproverName::unchecked(names[*approver]);
                self.run(administrator(), OpenEnrolment { principal }).await;
            }
            Step::Credential { approver, revoke } => {
                let Some(approver) = pick(&self.approvers, *approver) else {
                    return;
                };
                if *revoke {
                    let command = RevokeCredential {
                        principal: approver.principal().clone(),
                        credential_id: CredentialId::unchecked(approver.credential_id()),
                        reason: Some("lost".to_owned()),
                    };
                    self.run(administrator(), command).await;
                } else {
                    self.run(administrator(), approver.registration()).await;
                }
            }
            _ => {}
        }
    }
}

/// The newest things are the likeliest to be spoken of.
pub(crate) fn pick<T>(things: &[T], which: usize) -> Option<&T> {
    let from_the_end = which.checked_rem(things.len())?;
    things.iter().rev().nth(from_the_end)
}

pub(crate) fn operations(which: u8) -> Vec<Operation> {
    match which {
        0 => vec![commands::dns_read()],
        1 => vec![commands::purge()],
        2 => vec![commands::dns_create("www.example.com"), commands::purge()],
        3 => vec![commands::ssl_mode("strict")],
        _ => vec![commands::ssl_mode("full"), commands::dns_read()],
    }
}

fn outcome(how: u8) -> OperationOutcome {
    match how {
        0 | 1 => OperationOutcome::Succeeded {
            http_status: Some(200),
            request_id: Some("ray-1".to_owned()),
            result: "{}".to_owned(),
        },
        2 => OperationOutcome::Failed {
            http_status: Some(403),
            request_id: None,
            code: "upstream_refused".to_owned(),
            message: "not allowed".to_owned(),
            errors: "[]".to_owned(),
        },
        _ => OperationOutcome::Unknown {
            why: "the connection broke".to_owned(),
        },
    }
}

fn attempt_outcome(how: u8) -> AttemptOutcome {
    match how {
        0 => AttemptOutcome::Delivered { http_status: 204 },
        1 => AttemptOutcome::Failed {
            http_status: Some(503),
            code: "http_status".to_owned(),
            message: "HTTP 503".to_owned(),
        },
        _ => AttemptOutcome::Interrupted,
    }
}
