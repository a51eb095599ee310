//! What the auditor makes anew: the request from the accepted operation, the callback from the event that
//! it reports, and why something ended early.

use super::{altered, is_found, told};
use fixtures::history::History;
use ledger::audit::{Check, Report};
use ledger::event::{
    Agreement, ApplyAccepted, ApplyEnd, ApplyEnded, ApprovalCancelled, CallbackOwner, DeliveryOwed,
    Event, OperationStarted, StateBefore,
};
use ledger::{AgentName, ClientSubject, Notifier};
use serde_json::{Value, json};

fn changed(history: &History, at: u64, change: impl FnOnce(&mut Event)) -> Report {
    altered(history, |history| history.alter(at, change))
}

#[tokio::test]
async fn a_request_that_is_not_that_of_the_accepted_operation_is_named() {
    let history = told().await;
    let changes: [fn(&mut OperationStarted); 4] = [
        |started| started.method = "DELETE".to_owned(),
        |started| started.path = started.path.replace("zone-1", "zone-2"),
        |started| started.body_digest = None,
        |started| started.body_digest = Some("ab".repeat(32)),
    ];
    for at in [
        history.first("apply.operation_started"),
        history.last("apply.operation_started"),
    ] {
        for change in changes {
            let report = changed(&history, at, |event| {
                if let Event::OperationStarted(started) = event {
                    change(started);
                }
            });
            is_found(&report, Check::Request, at);
        }
    }
}

#[tokio::test]
async fn a_request_for_nothing_is_one_only_where_the_operation_cannot_be_read() {
    let history = told().await;
    let at = history.first("apply.operation_started");
    let nothing = |event: &mut Event| {
        if let Event::OperationStarted(started) = event {
            started.method = "none".to_owned();
            started.path = String::new();
            started.body_digest = None;
        }
    };
    is_found(&changed(&history, at, nothing), Check::Request, at);
}

#[tokio::test]
async fn an_apply_is_simulated_as_a_whole_or_not_at_all() {
    let history = told().await;
    let at = history.all("apply.operation_started")[1];
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::OperationStarted(started) = event {
                started.simulated = true;
            }
        });
        history.alter(at + 1, |event| {
            if let Event::OperationEnded(ended) = event {
                ended.simulated = true;
            }
        });
    });
    is_found(&report, Check::ExecutionOrder, at);
    // What was not sent was not answered either.
    is_found(&report, Check::ExecutionOrder, at + 1);
}

#[tokio::test]
async fn a_success_that_was_read_back_needs_another_state_before_it() {
    let history = told().await;
    let at = history.first("apply.operation_started");
    let found = |differed: bool| {
        altered(&history, |history| {
            history.alter(at, |event| {
                if let Event::OperationStarted(started) = event {
                    started.read_before.state = differed.then(|| StateBefore {
                        digest: "ab".repeat(32),
                        agreement: Agreement::Differs,
                    });
                }
            });
            history.alter(at + 1, |event| {
                if let Event::OperationEnded(ended) = event {
                    ended.reconciled = true;
                }
            });
        })
    };
    is_found(&found(false), Check::ExecutionOrder, at + 1);
    let broken = found(true).findings;
    assert!(broken.iter().all(|one| one.position != Some(at + 1)));
}

fn owed(history: &History, name: &str) -> (u64, Value) {
    history
        .all("delivery.owed")
        .into_iter()
        .find_map(|at| match history.event(at).1 {
            Event::DeliveryOwed(owed) if owed.event_name == name => {
                Some((at, serde_json::from_str(&owed.event).unwrap()))
            }
            _ => None,
        })
        .unwrap()
}

/// The report when one field of a callback's payload says something else.
fn told_otherwise(history: &History, at: u64, body: &Value) -> Report {
    changed(history, at, |event| {
        if let Event::DeliveryOwed(owed) = event {
            owed.event = body.to_string();
        }
    })
}

#[tokio::test]
async fn a_callback_that_tells_something_else_than_its_event_is_named() {
    let history = told().await;
    for name in [
        "approval.pending",
        "approval.approved",
        "approval.denied",
        "approval.expired",
        "apply.finished",
        "apply.failed",
        "apply.unknown",
    ] {
        let (at, body) = owed(&history, name);
        let payload = body["payload"].as_object().unwrap();
        for field in payload.keys() {
            let mut lie = body.clone();
            lie["payload"][field] = json!("another");
            is_found(
                &told_otherwise(&history, at, &lie),
                Check::DeliveryEvent,
                at,
            );
            let mut silence = body.clone();
            silence["payload"].as_object_mut().unwrap().remove(field);
            let report = told_otherwise(&history, at, &silence);
            is_found(&report, Check::DeliveryEvent, at);
        }
        let mut more = body.clone();
        more["payload"]["approved_by"] = json!("mallory");
        is_found(
            &told_otherwise(&history, at, &more),
            Check::DeliveryEvent,
            at,
        );
        for field in ["timestamp", "approval_id", "task_id", "event_id"] {
            let mut lie = body.clone();
            lie[field] = json!("2020-01-01T00:00:00Z");
            is_found(
                &told_otherwise(&history, at, &lie),
                Check::DeliveryEvent,
                at,
            );
        }
    }
}

#[tokio::test]
async fn a_callback_names_the_key_of_the_apply_that_asked() {
    let history = told().await;
    let (at, mut body) = owed(&history, "approval.pending");
    body["idempotency_key"] = json!("another");
    let report = told_otherwise(&history, at, &body);
    let asked = history
        .all("apply.accepted")
        .into_iter()
        .find(|one| *one > at);
    is_found(&report, Check::DeliveryEvent, asked.unwrap());
}

#[tokio::test]
async fn a_delivery_names_the_apply_and_the_approval_of_its_event() {
    let history = told().await;
    let (at, _) = owed(&history, "approval.approved");
    let changes: [fn(&mut DeliveryOwed); 3] = [
        |owed| owed.apply_id = None,
        |owed| owed.approval_id = None,
        |owed| owed.apply_id = Some(ledger::ApplyId::from_bytes([1; 16])),
    ];
    for change in changes {
        let report = changed(&history, at, |event| {
            if let Event::DeliveryOwed(owed) = event {
                change(owed);
            }
        });
        is_found(&report, Check::DeliveryEvent, at);
    }
}

#[tokio::test]
async fn nothing_ends_for_a_task_that_was_not_closed() {
    let history = told().await;
    let at = history.all("apply.operation_started")[2];
    // Instead of its operation.
    let report = altered(&history, |history| {
        let (mut envelope, _) = history.event(at);
        let stream = history.record(at).header.stream_id;
        envelope.cause = None;
        let ended = ApplyEnded {
            end: ApplyEnd::Failed,
            stopped: Some("task_closed".to_owned()),
        };
        history.insert_with(at, stream, &envelope, &ended.into());
    });
    is_found(&report, Check::TaskClosed, at);
    let decided = history.first("approval.approved");
    let report = altered(&history, |history| {
        let (mut envelope, _) = history.event(history.first("apply.accepted"));
        envelope.command_id = ledger::CommandId::from_bytes([1; 16]);
        let stream = history.record(decided).header.stream_id;
        let cancelled = ApprovalCancelled {
            reason: "task_closed".to_owned(),
            comment: None,
        };
        history.insert_with(decided, stream, &envelope, &cancelled.into());
    });
    is_found(&report, Check::TaskClosed, decided);
    let cancelled = history.first("approval.cancelled");
    let report = changed(&history, cancelled, |event| {
        if let Event::ApprovalCancelled(cancelled) = event {
            cancelled.reason = "no reason".to_owned();
        }
    });
    is_found(&report, Check::TaskClosed, cancelled);
}

#[tokio::test]
async fn what_an_apply_says_of_itself_is_compared() {
    let history = told().await;
    let at = history.all("apply.accepted")[1];
    let change = |change: fn(&mut ApplyAccepted)| {
        changed(&history, at, |event| {
            if let Event::ApplyAccepted(accepted) = event {
                change(accepted);
            }
        })
    };
    // Nothing of it was granted beforehand, or needed no grant.
    let report = change(|accepted| {
        accepted.check.pre_approved = accepted.check.requested.clone();
        accepted.check.missing.clear();
    });
    is_found(&report, Check::PermissionCheck, at);
    is_found(&report, Check::Authorisation, at);
    let question = history.first("approval.requested");
    let report = changed(&history, question, |event| {
        if let Event::ApprovalRequested(asked) = event {
            asked.apply_id = ledger::ApplyId::from_bytes([1; 16]);
        }
    });
    is_found(&report, Check::Reference, at);
    let report = changed(&history, question, |event| {
        if let Event::ApprovalRequested(asked) = event {
            asked.agent = AgentName::unchecked("another");
        }
    });
    is_found(&report, Check::Reference, question);
    let refused = history.first("apply.refused");
    let report = changed(&history, refused, |event| {
        if let Event::ApplyRefused(refused) = event {
            refused.agent = AgentName::unchecked("another");
        }
    });
    is_found(&report, Check::Reference, refused);
}

#[tokio::test]
async fn what_a_token_says_of_itself_is_compared() {
    let history = told().await;
    let at = history.first("task.token_issued");
    let report = changed(&history, at, |event| {
        if let Event::TokenIssued(issued) = event {
            issued.subject = ClientSubject::unchecked("another");
        }
    });
    is_found(&report, Check::Token, at);
    let report = changed(&history, at, |event| {
        if let Event::TokenIssued(issued) = event {
            issued.replaces = Some(issued.token_id);
        }
    });
    is_found(&report, Check::Token, at);
    let other: [fn(&mut u64); 2] = [|revision| *revision -= 1, |revision| *revision += 1];
    for change in other {
        let report = changed(&history, at, |event| {
            if let Event::TokenIssued(issued) = event {
                change(&mut issued.permission_revision);
            }
        });
        is_found(&report, Check::Token, at);
    }
}

#[tokio::test]
async fn a_token_is_revoked_once_and_before_another_replaces_it() {
    let history = told().await;
    let revoked = history.first("task.token_revoked");
    let report = altered(&history, |altered| {
        let stream = altered.record(revoked).header.stream_id;
        altered.insert(revoked + 1, stream, &history.event(revoked).1);
    });
    is_found(&report, Check::Token, revoked + 1);
    let issued = history.first("task.token_issued");
    let Event::TokenIssued(mut next) = history.event(issued).1 else {
        unreachable!()
    };
    next.replaces = Some(next.token_id);
    next.token_id = ledger::TokenId::from_bytes([1; 16]);
    let report = altered(&history, |altered| {
        let stream = altered.record(issued).header.stream_id;
        altered.insert(issued + 1, stream, &next.into());
    });
    is_found(&report, Check::Token, issued + 1);
}

#[tokio::test]
async fn an_event_that_a_callback_wants_and_is_not_owed_is_named() {
    let history = told().await;
    let all = history.all("delivery.owed");
    for at in all.into_iter().filter(|at| at + 1 < history.size()) {
        let (envelope, _) = history.event(at);
        let report = altered(&history, |history| {
            history.remove(at);
        });
        is_found(&report, Check::DeliveryEvent, envelope.cause.unwrap());
    }
    // The last command of a history may go on behind it; here it does not say so.
    let last = history.last("delivery.owed");
    let report = altered(&history, |history| {
        while history.size() > last {
            history.remove(last);
        }
    });
    assert!(report.findings.is_empty(), "{report}");
    assert!(!report.impossible.is_empty(), "{report}");
}

#[tokio::test]
async fn a_callback_is_owed_one_delivery_of_an_event() {
    let history = told().await;
    let at = history.first("delivery.owed");
    let report = altered(&history, |history| {
        let (envelope, mut event) = history.event(at);
        let again = ledger::DeliveryId::from_bytes([1; 16]);
        if let Event::DeliveryOwed(owed) = &mut event {
            owed.delivery_id = again;
        }
        history.insert_with(at + 1, again.into(), &envelope, &event);
    });
    is_found(&report, Check::DeliveryEvent, at + 1);
}

#[tokio::test]
async fn a_notifier_is_owed_questions_only_and_each_once() {
    let history = told().await;
    for (name, notifiers) in [
        ("apply.finished", &[Notifier::Slack][..]),
        ("approval.approved", &[Notifier::Webhook][..]),
        ("approval.pending", &[Notifier::Teams, Notifier::Teams][..]),
    ] {
        let (at, _) = owed(&history, name);
        let report = altered(&history, |history| {
            for (notifier, number) in notifiers.iter().zip(1..) {
                let (envelope, mut event) = history.event(at);
                let delivery = ledger::DeliveryId::from_bytes([number; 16]);
                if let Event::DeliveryOwed(owed) = &mut event {
                    owed.delivery_id = delivery;
                    owed.callback_id = notifier.callback_id();
                }
                history.insert_with(at + 1, delivery.into(), &envelope, &event);
            }
        });
        let last = at + u64::try_from(notifiers.len()).unwrap();
        is_found(&report, Check::DeliveryEvent, last);
    }
}

#[tokio::test]
async fn a_callback_that_was_not_its_actors_to_register_is_named() {
    let history = told().await;
    let at = history.first("task.callback_set");
    let report = changed(&history, at, |event| {
        if let Event::CallbackSet(set) = event {
            set.owner = CallbackOwner::Agent;
        }
    });
    is_found(&report, Check::Callback, at);
    // The orchestrator's comes before any token of the task.
    let issued = history.first("task.token_issued");
    let report = altered(&history, |history| {
        let (envelope, event) = history.event(at);
        let stream = history.record(at).header.stream_id;
        history.insert_with(issued + 1, stream, &envelope, &event);
    });
    is_found(&report, Check::Callback, issued + 1);
}
