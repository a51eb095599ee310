//! Applies and deliveries: nothing without authorisation, in order, once.

use super::{altered, is_first, is_found, told};
use fixtures::history::History;
use ledger::audit::{Check, Report};
use ledger::event::{
    AfterAttempt, ApplyAccepted, ApplyEnd, DeliveryOwed, Event, TaskClosed, TokenRevoked,
};
use ledger::{Link, Reason, StreamId, TaskId, Timestamp};

fn stream_at(history: &History, position: u64) -> StreamId {
    history.records[usize::try_from(position).unwrap()]
        .header
        .stream_id
}

fn accepted(
    history: &History,
    which: usize,
    change: impl FnOnce(&mut ApplyAccepted),
) -> (Report, u64) {
    let at = history.all("apply.accepted")[which];
    let report = altered(history, |history| {
        history.alter(at, |event| {
            if let Event::ApplyAccepted(accepted) = event {
                change(accepted);
            }
        });
    });
    (report, at)
}

#[tokio::test]
async fn a_reason_or_a_link_that_no_ledger_takes_is_named() {
    let history = told().await;
    for (reason, link) in [
        (Some("x".repeat(501)), None),
        (None, Some("http://tickets.example/")),
        (None, Some("https://bank.example@tickets.example/")),
    ] {
        let (report, at) = accepted(&history, 0, |accepted| {
            accepted.purpose.reason = reason.map(Reason::unchecked);
            accepted.purpose.link = link.map(Link::unchecked);
        });
        is_found(&report, Check::PayloadForm, at);
    }
}

/// The event at one position once more, at another.
fn again(history: &History, from: u64, at: u64) -> Report {
    let (envelope, event) = history.event(from);
    let stream = stream_at(history, from);
    altered(history, |history| {
        history.insert_with(at, stream, &envelope, &event);
    })
}

#[tokio::test]
async fn an_execution_that_nothing_authorised_is_named() {
    let history = told().await;
    let started = history.all("apply.operation_started")[2];
    let authorised = history.first("apply.authorised");
    let report = altered(&history, |history| drop(history.remove(authorised)));
    is_found(&report, Check::Authorisation, started - 1);
    let report = altered(&history, |history| {
        drop(history.remove(history.first("approval.consumed")))
    });
    is_found(&report, Check::Authorisation, authorised - 1);
    let report = altered(&history, |history| {
        drop(history.remove(history.first("approval.approved")))
    });
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.check == Check::ApprovalState),
        "{report}"
    );
}

#[tokio::test]
async fn grants_that_were_never_given_are_named() {
    let history = told().await;
    let report = altered(&history, |history| {
        history.alter(history.first("agent.permissions_replaced"), |event| {
            if let Event::PermissionsReplaced(replaced) = event {
                replaced.grants.clear();
            }
        });
    });
    is_found(
        &report,
        Check::Authorisation,
        history.first("apply.accepted"),
    );
    let (report, at) = accepted(&history, 1, |accepted| {
        accepted.authorisation = ledger::event::Authorisation::Granted;
    });
    is_found(&report, Check::Authorisation, at);
}

#[tokio::test]
async fn a_check_of_other_operations_than_are_sent_is_named() {
    let history = told().await;
    let (report, at) = accepted(&history, 0, |accepted| {
        accepted.check.requested.pop();
        accepted.check.pre_approved.pop();
    });
    is_found(&report, Check::PermissionCheck, at);
    let (report, at) = accepted(&history, 0, |accepted| {
        accepted
            .check
            .missing
            .push(accepted.check.requested[0].clone());
    });
    is_found(&report, Check::PermissionCheck, at);
    let created = history.first("task.created");
    let report = altered(&history, |history| {
        history.alter(created, |event| {
            if let Event::TaskCreated(created) = event {
                created.allowed.clear();
            }
        });
    });
    is_found(
        &report,
        Check::PermissionCheck,
        history.first("apply.accepted"),
    );
}

#[tokio::test]
async fn an_allowlist_that_takes_a_sensitive_operation_for_a_safe_one_is_named() {
    let history = told().await;
    let created = history.first("task.created");
    let asked = history.all("apply.accepted")[1];
    let report = altered(&history, |history| {
        history.alter(created, |event| {
            if let Event::TaskCreated(created) = event {
                for allowed in &mut created.allowed {
                    allowed.risk_tier = ledger::Risk::Safe;
                }
            }
        });
        // So that nobody needs to be asked.
        history.alter(asked, |event| {
            if let Event::ApplyAccepted(accepted) = event {
                accepted.check.pre_approved = accepted.check.requested.clone();
                accepted.check.missing.clear();
                accepted.authorisation = ledger::event::Authorisation::Granted;
            }
        });
    });
    is_first(&report, Check::PermissionCheck, Some(created));
}

#[tokio::test]
async fn an_approval_is_consumed_once_and_an_apply_authorised_once() {
    let history = told().await;
    let consumed = history.first("approval.consumed");
    let authorised = history.first("apply.authorised");
    for (from, at) in [
        (consumed, consumed + 1),
        (consumed, authorised + 1),
        (authorised, authorised + 1),
    ] {
        let report = again(&history, from, at);
        is_found(&report, Check::ExecutionOnce, at);
    }
}

#[tokio::test]
async fn operations_run_in_order_and_end_as_they_did() {
    let history = told().await;
    let started = history.first("apply.operation_started");
    let ended = history.first("apply.operation_ended");
    let report = altered(&history, |history| drop(history.remove(started)));
    is_first(&report, Check::ExecutionOrder, Some(ended - 1));
    let report = again(&history, started, started + 1);
    is_first(&report, Check::ExecutionOrder, Some(started + 1));
    let end = history.first("apply.ended");
    let report = altered(&history, |history| {
        history.alter(end, |event| {
            if let Event::ApplyEnded(ended) = event {
                ended.end = ApplyEnd::Failed;
            }
        });
    });
    is_first(&report, Check::ExecutionOrder, Some(end));
}

#[tokio::test]
async fn nothing_comes_after_an_end() {
    let history = told().await;
    let end = history.first("apply.ended");
    let report = again(&history, history.first("apply.operation_started"), end + 1);
    is_first(&report, Check::AfterEnd, Some(end + 1));
    let closed = history.first("task.closed");
    let report = again(&history, closed, closed + 1);
    is_first(&report, Check::AfterEnd, Some(closed + 1));
    let denied = history.first("approval.denied");
    let report = again(&history, denied, denied + 1);
    is_first(&report, Check::AfterEnd, Some(denied + 1));
}

#[tokio::test]
async fn nothing_begins_in_a_task_that_was_closed() {
    let history = told().await;
    let late = history.last("approval.requested");
    let task = stream_at(&history, history.first("task.created"));
    let (_, issued) = history.event(history.first("task.token_issued"));
    let Event::TokenIssued(issued) = issued else {
        unreachable!()
    };
    let report = altered(&history, |history| {
        let revoked = TokenRevoked {
            token_id: issued.token_id,
            reason: "task_closed".to_owned(),
        };
        history.insert(late, task, &revoked.into());
        history.insert(late + 1, task, &TaskClosed { reason: None }.into());
    });
    is_found(&report, Check::TaskClosed, late + 2);
}

#[tokio::test]
async fn an_apply_needs_a_token_in_force() {
    let history = told().await;
    let first = history.first("apply.accepted");
    let report = altered(&history, |history| {
        history.alter(history.first("task.token_issued"), |event| {
            if let Event::TokenIssued(issued) = event {
                issued.expires_at = Timestamp::from_seconds(1);
            }
        });
    });
    is_found(&report, Check::Token, first);
    let (report, at) = accepted(&history, 0, |accepted| {
        accepted.token_id = ledger::TokenId::from_bytes([1; 16]);
    });
    is_first(&report, Check::Token, Some(at));
}

#[tokio::test]
async fn a_key_names_one_apply_of_its_task() {
    let history = told().await;
    let (report, at) = accepted(&history, 1, |accepted| {
        accepted.idempotency_key = ledger::IdempotencyKey::unchecked("granted")
    });
    is_first(&report, Check::Unique, Some(at));
}

#[tokio::test]
async fn what_was_never_recorded_cannot_be_referred_to() {
    let history = told().await;
    let at = history.first("apply.refused");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::ApplyRefused(refused) = event {
                refused.task_id = TaskId::from_bytes([1; 16]);
            }
        });
    });
    is_found(&report, Check::Reference, at);
}

#[tokio::test]
async fn a_revision_of_grants_is_not_left_out() {
    let history = told().await;
    let at = history.first("agent.permissions_replaced");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::PermissionsReplaced(replaced) = event {
                replaced.revision += 1;
            }
        });
    });
    is_first(&report, Check::PermissionRevision, Some(at));
}

#[tokio::test]
async fn a_delivery_is_tried_while_it_is_due_and_each_try_once() {
    let history = told().await;
    let started = history.first("delivery.attempt_started");
    let report = again(&history, started, started + 1);
    is_first(&report, Check::Delivery, Some(started + 1));
    let ended = history.first("delivery.attempt_ended");
    let report = altered(&history, |history| {
        history.alter(ended, |event| {
            if let Event::AttemptEnded(ended) = event {
                ended.after = AfterAttempt::GivenUp;
            }
        });
    });
    is_first(&report, Check::Delivery, Some(ended));
}

#[tokio::test]
async fn a_delivery_is_owed_for_what_it_reports() {
    let history = told().await;
    let at = history.first("delivery.owed");
    let change = |change: fn(&mut DeliveryOwed)| {
        altered(&history, |history| {
            history.alter(at, |event| {
                if let Event::DeliveryOwed(owed) = event {
                    change(owed);
                }
            });
        })
    };
    let report = change(|owed| owed.event = owed.event.replace("apply.", "approval."));
    is_first(&report, Check::DeliveryEvent, Some(at));
    let report = change(|owed| {
        owed.event = owed.event.replace("apply.finished", "apply.failed");
        owed.event_name = "apply.failed".to_owned();
    });
    is_first(&report, Check::DeliveryEvent, Some(at));
    let report = change(|owed| owed.callback_id = ledger::CallbackId::from_bytes([1; 16]));
    is_found(&report, Check::DeliveryEvent, at);
    let report = altered(&history, |history| {
        history.alter_all(at, |envelope, _| envelope.cause = None);
    });
    is_first(&report, Check::DeliveryEvent, Some(at));
}
