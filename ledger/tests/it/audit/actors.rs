//! Who caused an event: nobody who cannot, and nobody else than the event itself says.

use super::{altered, is_found, told};
use fixtures::history::History;
use ledger::audit::{Check, Report};
use ledger::event::{Approved, Envelope, Event};
use ledger::{
    Actor, AgentName, ApproverName, ClientSubject, CommandId, CredentialId, EnrolmentId, TokenId,
};

fn acted(history: &History, at: u64, change: impl FnOnce(&mut Envelope)) -> Report {
    altered(history, |history| {
        history.alter_all(at, |envelope, _| change(envelope));
    })
}

#[tokio::test]
async fn an_actor_who_cannot_cause_an_event_is_named() {
    let history = told().await;
    let executor = || Actor::system("executor");
    let operator = || Actor::Operator {
        name: "ops".to_owned(),
    };
    let administrator = || fixtures::commands::administrator().actor;
    for (name, actor) in [
        ("approval.approved", executor()),
        ("approval.denied", operator()),
        ("approval.consumed", executor()),
        ("apply.accepted", administrator()),
        ("apply.operation_started", Actor::system("dispatcher")),
        ("apply.operation_started", operator()),
        ("apply.resolved", executor()),
        ("task.created", executor()),
        ("agent.permissions_replaced", executor()),
        ("approver.credential_put", executor()),
        ("delivery.attempt_started", executor()),
        ("approval.expired", Actor::system("dispatcher")),
        ("ledger.created", operator()),
    ] {
        let at = history.first(name);
        let report = acted(&history, at, |envelope| envelope.actor = actor.clone());
        is_found(&report, Check::Actor, at);
    }
}

#[tokio::test]
async fn an_agent_acts_with_a_token_of_its_task_alone() {
    let history = told().await;
    let at = history.first("apply.accepted");
    let other = history.last("task.token_issued");
    let Event::TokenIssued(other) = history.event(other).1 else {
        unreachable!()
    };
    let changes: [fn(&mut AgentName, &mut ClientSubject, &mut TokenId, TokenId); 4] = [
        |agent, _, _, _| *agent = AgentName::unchecked("another"),
        |_, subject, _, _| *subject = ClientSubject::unchecked("another"),
        |_, _, token, _| *token = TokenId::from_bytes([1; 16]),
        |_, _, token, other| *token = other,
    ];
    for change in changes {
        let report = acted(&history, at, |envelope| {
            let Actor::Agent {
                agent,
                subject,
                token,
            } = &mut envelope.actor
            else {
                unreachable!()
            };
            change(agent, subject, token, other.token_id);
        });
        is_found(&report, Check::Actor, at);
    }
}

#[tokio::test]
async fn an_agent_acts_with_a_token_that_is_in_force_and_of_its_grants() {
    let history = told().await;
    // What an apply says of its token is held against the same rules once more.
    let at = history.first("approval.consumed");
    let issued = history.first("task.token_issued");
    let revoked = history.first("task.token_revoked");
    let granted = history.first("agent.permissions_replaced");
    let Event::TokenIssued(token) = history.event(issued).1 else {
        unreachable!()
    };
    // Another event of a command of its own, just before the agent acts.
    let before = |from: u64, stream: u64, change: &dyn Fn(&mut Event)| {
        altered(&history, |history| {
            let (mut envelope, mut event) = history.event(from);
            envelope.command_id = CommandId::from_bytes([1; 16]);
            change(&mut event);
            let stream = history.record(stream).header.stream_id;
            history.insert_with(at, stream, &envelope, &event);
        })
    };
    let report = before(revoked, issued, &|event| {
        if let Event::TokenRevoked(revoked) = event {
            revoked.token_id = token.token_id;
        }
    });
    is_found(&report, Check::Token, at + 1);
    let report = before(granted, granted, &|event| {
        if let Event::PermissionsReplaced(replaced) = event {
            replaced.revision += 1;
        }
    });
    is_found(&report, Check::Token, at + 1);
    let report = altered(&history, |history| {
        history.alter(issued, |event| {
            if let Event::TokenIssued(issued) = event {
                issued.expires_at = issued.issued_at;
            }
        });
    });
    is_found(&report, Check::Token, at);
}

#[tokio::test]
async fn an_approver_acts_with_the_passkey_of_the_decision() {
    let history = told().await;
    let at = history.first("approval.approved");
    let report = acted(&history, at, |envelope| {
        if let Actor::Approver { principal, .. } = &mut envelope.actor {
            *principal = ApproverName::unchecked("mallory");
        }
    });
    is_found(&report, Check::Actor, at);
    let report = acted(&history, at, |envelope| {
        if let Actor::Approver { credential_id, .. } = &mut envelope.actor {
            *credential_id = CredentialId::unchecked(vec![7]);
        }
    });
    is_found(&report, Check::Actor, at);
    // Who is told as having decided, and who acted, are one.
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::ApprovalApproved(Approved(decided)) = event {
                decided.principal = ApproverName::unchecked("mallory");
            }
        });
    });
    is_found(&report, Check::Actor, at);
}

#[tokio::test]
async fn a_passkey_is_registered_by_invitation_by_nobody_but_its_approver() {
    let history = told().await;
    let at = history.first("approver.credential_put");
    let report = altered(&history, |history| {
        history.alter(at, |event| {
            if let Event::CredentialPut(put) = event {
                put.enrolment_id = Some(EnrolmentId::from_bytes([1; 16]));
            }
        });
    });
    is_found(&report, Check::Actor, at);
}

#[tokio::test]
async fn events_of_one_command_share_actor_request_and_time() {
    let history = told().await;
    let decided = history.first("approval.approved");
    let owed = decided + 1;
    assert!(matches!(history.event(owed).1, Event::DeliveryOwed(_)));
    let report = acted(&history, owed, |envelope| {
        envelope.actor = fixtures::commands::administrator().actor;
    });
    is_found(&report, Check::Envelope, owed);
    let report = acted(&history, owed, |envelope| {
        envelope.request_id = Some(ledger::RequestId::from_bytes([1; 16]));
    });
    is_found(&report, Check::Envelope, owed);
    // A delivery is owed by the command that did what it reports.
    let report = acted(&history, owed, |envelope| {
        envelope.command_id = ledger::CommandId::from_bytes([1; 16]);
    });
    is_found(&report, Check::DeliveryEvent, owed);
}

#[tokio::test]
async fn a_cause_is_named_where_there_is_one_and_nowhere_else() {
    let history = told().await;
    let at = history.first("apply.accepted");
    let report = acted(&history, at, |envelope| envelope.cause = Some(0));
    is_found(&report, Check::Envelope, at);
    let at = history.first("apply.authorised");
    for cause in [None, Some(0)] {
        let report = acted(&history, at, |envelope| envelope.cause = cause);
        is_found(&report, Check::Envelope, at);
    }
}
