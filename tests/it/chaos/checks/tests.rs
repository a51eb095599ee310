//! Each check fails on evidence of what it is there to find, and on nothing else.

use super::{Arrived, Evidence, Sent, differs, findings, moving};
use crate::chaos::client_ledger::{Acknowledged, Asked, ClientLedger, HeldTask};
use crate::chaos::plan::{Kind, Op};
use crate::chaos::recurring::CallStory;
use crate::chaos::story::{
    Accepted, ApplyStory, ApprovalStory, ClearanceStory, DeliveryState, DeliveryStory,
    OperationStory, Story, TaskStory,
};
use ledger::event::ApplyEnd;
use serde_json::{Value, json};

const NOW: i64 = 1_000;

/// A purge that was granted, asked for, carried out, and told.
pub(super) fn sound() -> Evidence {
    let op = Op {
        kind: Kind::Purge,
        marker: "m1".to_owned(),
    };
    let mut clients = ClientLedger::default();
    clients
        .granted
        .insert("agent-0".to_owned(), ["cache.purge.execute"].into());
    clients.tasks.push(HeldTask {
        agent: 0,
        id: "t".to_owned(),
        token: String::new(),
        closing: false,
        over: false,
    });
    clients.applies.push(Asked {
        task: 0,
        key: "k".to_owned(),
        ops: vec![op],
        waiting: None,
        ended: Some(json!({"status": "completed"})),
        refused: None,
    });
    clients.acknowledged = vec![
        Acknowledged::TaskOpened {
            task: "t".to_owned(),
        },
        Acknowledged::Ended {
            apply: "a".to_owned(),
            task: "t".to_owned(),
            key: "k".to_owned(),
            end: "completed".to_owned(),
        },
    ];
    let mut story = Story::default();
    story.tasks.insert("t".to_owned(), TaskStory::default());
    story.applies.insert("a".to_owned(), completed("m1"));
    story
        .deliveries
        .insert("d".to_owned(), delivered("e", &finished("k")));
    Evidence {
        clients,
        story,
        sent: vec![sent("m1", true)],
        arrived: vec![arrived("e", &finished("k"))],
        called: Vec::new(),
    }
}

fn completed(marker: &str) -> ApplyStory {
    ApplyStory {
        task: "t".to_owned(),
        key: "k".to_owned(),
        markers: vec![marker.to_owned()],
        operations: vec![OperationStory::Succeeded],
        begun_at: Some(5),
        approval: None,
        asked_before: Vec::new(),
        accepted: Accepted {
            position: 4,
            ..Accepted::default()
        },
        authorised: true,
        at_once: false,
        ends: vec![ApplyEnd::Completed],
        resolved: None,
    }
}

fn finished(key: &str) -> Value {
    json!({"event_type": "apply.finished", "task_id": "t", "idempotency_key": key})
}

fn delivered(event_id: &str, event: &Value) -> DeliveryStory {
    DeliveryStory {
        event_id: event_id.to_owned(),
        event: event.clone(),
        state: DeliveryState::Delivered,
    }
}

fn arrived(event_id: &str, event: &Value) -> Arrived {
    Arrived {
        event_id: event_id.to_owned(),
        event: event.clone(),
        forged: None,
    }
}

fn sent(marker: &str, applied: bool) -> Sent {
    Sent {
        marker: marker.to_owned(),
        applied,
    }
}

/// What is found once the evidence has been changed.
fn after(change: impl FnOnce(&mut Evidence)) -> String {
    let mut evidence = sound();
    change(&mut evidence);
    findings(&evidence).join("\n")
}

/// Its apply waits for an approval that stands like this.
fn with_approval(evidence: &mut Evidence, approved: Option<bool>) {
    let approval = ApprovalStory {
        apply: "a".to_owned(),
        needs: 1,
        approved_by: vec!["alice".to_owned()],
        approved,
        ended: None,
        consumed_by: None,
        released_by: Vec::new(),
        expires: NOW + 1,
    };
    evidence.story.approvals.insert("p".to_owned(), approval);
    let apply = evidence.story.applies.get_mut("a").unwrap();
    apply.approval = Some("p".to_owned());
}

#[test]
fn an_approval_that_was_to_be_carried_out_at_once_and_waits_is_found() {
    let found = |at_once: bool, approved: bool| {
        after(|evidence| {
            with_approval(evidence, Some(approved));
            let apply = the_apply(evidence);
            (apply.at_once, apply.authorised) = (at_once, false);
            apply.operations = vec![OperationStory::NotTried];
        })
        .contains("at once, and waits")
    };
    assert!(found(true, true));
    assert!(!found(false, true) && !found(true, false));
}

fn the_apply(evidence: &mut Evidence) -> &mut ApplyStory {
    evidence.story.applies.get_mut("a").unwrap()
}

#[test]
fn nothing_is_found_where_all_is_well() {
    assert_eq!(after(|_| {}), "");
    assert!(moving(&sound().story, NOW).is_empty());
}

#[test]
fn a_second_execution_is_found() {
    let found = after(|evidence| evidence.sent.push(sent("m1", true)));
    assert!(found.contains("m1 was sent 2 times and authorised 1 times"));
    // Also one that upstream did not carry out: it might have.
    let found = after(|evidence| evidence.sent.push(sent("m1", false)));
    assert!(found.contains("m1 was sent 2 times and authorised 1 times"));
}

#[test]
fn an_execution_that_nothing_authorised_is_found() {
    let found = after(|evidence| evidence.sent.push(sent("m2", true)));
    assert!(found.contains("m2 was sent 1 times and authorised 0 times"));
    assert!(found.contains("m2 was sent, and nobody granted or approved it"));
    let found = after(|evidence| the_apply(evidence).authorised = false);
    assert!(found.contains("apply a was begun without being authorised"));
}

#[test]
fn an_authorisation_that_nobody_gave_is_found() {
    let found = after(|evidence| evidence.clients.granted.clear());
    assert!(found.contains("m1 was sent, and nobody granted or approved it"));
}

#[test]
fn what_must_never_run_is_found() {
    let found = after(|evidence| evidence.clients.forbidden = ["m1".to_owned()].into());
    assert!(found.contains("m1 was sent and must never have been"));
}

#[test]
fn a_request_without_an_intent_is_found() {
    let found = after(|evidence| the_apply(evidence).operations = vec![OperationStory::NotTried]);
    assert!(found.contains("m1 was sent without an intent on record"));
}

#[test]
fn an_outcome_that_is_not_true_is_found() {
    let found = after(|evidence| evidence.sent = vec![sent("m1", false)]);
    assert!(found.contains("m1 is said to be done"));
    let found = after(|evidence| the_apply(evidence).operations = vec![OperationStory::Failed]);
    assert!(found.contains("upstream did m1 1 times, and the ledger says that 0 may have done it"));
    // The same was asked for again, and done by the second apply.
    let failed_first = |applied: &[bool]| {
        after(|evidence| {
            let mut first = the_apply(evidence).clone();
            first.operations = vec![OperationStory::Failed];
            evidence.story.applies.insert("b".to_owned(), first);
            evidence.sent = applied.iter().map(|done| sent("m1", *done)).collect();
        })
    };
    assert!(!failed_first(&[false, true]).contains("m1"));
    let found = failed_first(&[true, true]);
    assert!(found.contains("upstream did m1 2 times, and the ledger says that 1 may have done it"));
}

#[test]
fn an_approval_that_is_used_twice_or_was_none_is_found() {
    let found = after(|evidence| with_approval(evidence, Some(true)));
    assert!(!found.contains("authorised"), "{found}");
    let found = after(|evidence| {
        with_approval(evidence, Some(true));
        let mut second = the_apply(evidence).clone();
        second.key = "other".to_owned();
        evidence.story.applies.insert("b".to_owned(), second);
    });
    assert!(found.contains(r#"approval p authorised ["a", "b"]"#));
    for decision in [None, Some(false)] {
        let found = after(|evidence| with_approval(evidence, decision));
        assert!(found.contains("and was not approved"), "{found}");
    }
}

#[test]
fn every_acknowledged_answer_that_is_lost_is_found() {
    let word = str::to_owned;
    let lost = [
        Acknowledged::TaskOpened { task: word("x") },
        Acknowledged::TaskClosed { task: word("t") },
        Acknowledged::TaskLocked { task: word("t") },
        Acknowledged::TokenRenewed { task: word("t") },
        Acknowledged::Granted {
            agent: word("agent-0"),
            times: 1,
        },
        Acknowledged::Registered {
            principal: word("alice"),
        },
        Acknowledged::Waits {
            apply: word("x"),
            task: word("t"),
            key: word("k"),
            approval: None,
        },
        Acknowledged::Waits {
            apply: word("a"),
            task: word("t"),
            key: word("k"),
            approval: Some(word("p")),
        },
        Acknowledged::Ended {
            apply: word("a"),
            task: word("t"),
            key: word("k"),
            end: word("failed"),
        },
        Acknowledged::Ended {
            apply: word("a"),
            task: word("t"),
            key: word("another"),
            end: word("completed"),
        },
        Acknowledged::Refused {
            task: word("t"),
            key: word("k"),
            code: word("approval_denied"),
        },
        Acknowledged::Decided {
            approval: word("p"),
            approved: true,
        },
        Acknowledged::Voted {
            approval: word("p"),
            principal: word("alice"),
        },
        Acknowledged::PolicySaved { version: 1 },
        Acknowledged::Resolved {
            apply: word("a"),
            executed: true,
        },
    ];
    for told in lost {
        let found = after(|evidence| evidence.clients.acknowledged.push(told.clone()));
        let expected = format!("the ledger does not say what was acknowledged: {told:?}");
        assert_eq!(found, expected);
    }
}

#[test]
fn a_callback_that_is_missing_or_another_is_found() {
    let found = after(|evidence| evidence.arrived.clear());
    assert!(found.contains("delivery d is said to be delivered and did not arrive"));
    let found = after(|evidence| evidence.arrived.push(arrived("e", &finished("other"))));
    assert!(found.contains("event e arrived as"));
    let found = after(|evidence| evidence.arrived.push(arrived("f", &finished("k"))));
    assert!(found.contains("event f arrived and is not owed"));
    let found = after(|evidence| evidence.arrived[0].forged = Some("it is forged".to_owned()));
    assert!(found.contains("it is forged"));
}

#[test]
fn a_callback_that_nobody_owes_is_found() {
    let found = after(|evidence| {
        evidence.story.deliveries.clear();
        evidence.arrived.clear();
    });
    assert_eq!(found, "nobody is owed apply.finished of t k");
    let found = after(|evidence| with_approval(evidence, Some(true)));
    assert!(found.contains("nobody is owed approval.pending of p"));
    assert!(found.contains("nobody is owed approval.approved of p"));
}

#[test]
fn a_callback_that_was_given_up_is_no_finding() {
    let found = after(|evidence| {
        let delivery = evidence.story.deliveries.get_mut("d").unwrap();
        delivery.state = DeliveryState::GivenUp;
        evidence.arrived.clear();
    });
    assert_eq!(found, "");
}

#[test]
fn whatever_still_moves_is_found() {
    let story = |change: fn(&mut Evidence)| {
        let mut evidence = sound();
        change(&mut evidence);
        moving(&evidence.story, NOW).join("\n")
    };
    let found = story(|evidence| the_apply(evidence).operations = vec![OperationStory::Started]);
    assert_eq!(found, "apply a: an operation has no outcome");
    let found = story(|evidence| the_apply(evidence).ends.clear());
    assert_eq!(found, "apply a is authorised and has not ended");
    let state = |state| {
        let mut evidence = sound();
        evidence.story.deliveries.get_mut("d").unwrap().state = state;
        moving(&evidence.story, NOW).join("\n")
    };
    assert_eq!(state(DeliveryState::Due), "delivery d is due");
    assert_eq!(state(DeliveryState::UnderWay), "delivery d is under way");
    assert_eq!(
        state(DeliveryState::RetryAt(NOW)),
        "delivery d is due again"
    );
    assert_eq!(state(DeliveryState::RetryAt(NOW + 1)), "");
    let open = story(|evidence| with_approval(evidence, None));
    assert_eq!(open, "", "people have time until the deadline");
    let late = story(|evidence| {
        with_approval(evidence, None);
        evidence.story.approvals.get_mut("p").unwrap().expires = NOW;
    });
    assert_eq!(late, "approval p is past its deadline and has not expired");
}

#[test]
fn a_replay_that_is_told_something_else_is_found() {
    let first = json!({"status": "completed", "apply_id": "a", "results": [1]});
    assert_eq!(differs(&first, &first, false), None);
    let again = json!({"status": "completed", "apply_id": "a", "results": [2]});
    assert!(differs(&first, &again, false).is_some());
    assert!(differs(&first, &again, true).is_some());
    let unknown = json!({"status": "unknown", "apply_id": "a", "results": [1]});
    assert!(differs(&unknown, &again, false).is_some());
    assert_eq!(differs(&unknown, &again, true), None);
    let other = json!({"status": "completed", "apply_id": "b"});
    assert!(differs(&unknown, &other, true).is_some());
}

#[test]
fn an_answer_that_none_of_our_requests_may_get_is_found() {
    let odd = "POST /v1/tasks was answered 500";
    let found = after(|evidence| evidence.clients.odd.push(odd.to_owned()));
    assert_eq!(found, odd);
}

#[test]
fn an_operation_that_began_after_the_lock_on_its_task_is_found() {
    let locked_at = |position| {
        let mut evidence = sound();
        let task = evidence.story.tasks.get_mut("t").unwrap();
        task.locked_at = Some(position);
        findings(&evidence)
    };
    assert_eq!(locked_at(6), [""; 0], "it began before");
    let found = locked_at(4);
    assert!(
        found
            .iter()
            .any(|found| found.contains("its task was locked at 4")),
        "{found:?}"
    );
}

#[test]
fn an_apply_that_another_policy_decided_is_found() {
    let found = |by: Option<u64>| {
        after(|evidence| {
            evidence.story.policies = vec![(2, 1), (3, 2), (5, 3)];
            the_apply(evidence).accepted.policy = by;
        })
    };
    assert_eq!(found(Some(2)), "");
    assert!(found(Some(1)).contains("decided by Some(1), and Some(2) held"));
    assert!(found(Some(3)).contains("decided by Some(3), and Some(2) held"));
    assert!(found(None).contains("decided by None, and Some(2) held"));
}

#[test]
fn a_call_that_another_policy_let_through_or_that_its_own_denies_is_found() {
    let found = |path: Option<&str>, ruled: Option<(u64, Option<u64>)>, denying: u64| {
        after(|evidence| {
            let story = &mut evidence.story;
            story.policies = vec![(2, 1), (30, 2), (50, 3)];
            story.without_cancels.insert(denying);
            the_apply(evidence).accepted.policy = Some(1);
            let call = CallStory {
                path: path.map(ToOwned::to_owned),
                ends: 1,
                position: 40,
                ruled,
                ..CallStory::default()
            };
            let calls = &mut evidence.story.recurring.calls;
            calls.insert("c".to_owned(), call);
        })
    };
    let begun = Some("/v1/messages");
    assert_eq!(found(begun, Some((35, Some(2))), 1), "");
    assert!(found(begun, Some((25, Some(1))), 1).contains("by Some(1), and Some(2) held"));
    assert!(found(begun, None, 1).contains("by None, and Some(2) held"));
    assert!(found(begun, Some((35, Some(2))), 2).contains("Some(2) denies it"));
    // Of a call whose end alone is on record it may be any since it was judged.
    for version in [1, 2] {
        assert_eq!(found(None, Some((25, Some(version))), 1), "");
    }
    for ruled in [
        Some((25, Some(3))),
        Some((35, Some(1))),
        Some((25, None)),
        None,
    ] {
        assert!(
            found(None, ruled, 1).contains("which did not hold"),
            "{ruled:?}"
        );
    }
}

#[test]
fn an_approval_by_too_few_people_or_by_one_twice_is_found() {
    let found = |people: &[&str]| {
        after(|evidence| {
            with_approval(evidence, Some(true));
            let approval = evidence.story.approvals.get_mut("p").unwrap();
            approval.needs = 2;
            approval.approved_by = people.iter().map(|name| (*name).to_owned()).collect();
        })
    };
    assert!(!found(&["alice", "bob"]).contains("people"));
    assert!(found(&["alice"]).contains("needs 2 people"));
    let twice = found(&["alice", "alice"]);
    assert!(
        twice.contains("needs 2 people") && twice.contains("counts twice"),
        "{twice}"
    );
}

/// Another apply was answered by what was kept of the first one.
fn kept(change: impl FnOnce(&mut ClearanceStory, &mut ApplyStory)) -> String {
    after(|evidence| {
        with_approval(evidence, Some(true));
        let asks = |tag: &str| {
            vec![json!({
                "operation_id": "cache.purge.execute", "scope_type": "zone", "scope_id": "z",
                "params": {"tags": [tag]},
            })]
        };
        the_apply(evidence).accepted.asks = asks("m1");
        let mut clearance = ClearanceStory {
            position: 6,
            approval: "p".to_owned(),
            task: "t".to_owned(),
            of_agent: true,
            is_wide: false,
            until: Some(NOW),
        };
        let mut second = completed("m1");
        second.key = "other".to_owned();
        second.accepted = Accepted {
            position: 7,
            at: NOW - 1,
            asks: asks("m1"),
            cleared_by: Some("c".to_owned()),
            ..Accepted::default()
        };
        change(&mut clearance, &mut second);
        evidence.story.clearances.insert("c".to_owned(), clearance);
        evidence.story.applies.insert("b".to_owned(), second);
    })
}

#[test]
fn a_kept_decision_that_answers_what_it_was_not_kept_for_is_found() {
    let odd = |found: &str| found.contains("that answered it");
    let sound = kept(|_, _| {});
    assert!(!odd(&sound), "{sound}");
    let other_params = |apply: &mut ApplyStory| {
        apply.accepted.asks[0]["params"] = json!({"tags": ["m2"]});
    };
    assert!(odd(&kept(|_, apply| other_params(apply))));
    assert!(!odd(&kept(|kept, apply| {
        kept.is_wide = true;
        other_params(apply);
    })));
    assert!(odd(&kept(|kept, apply| {
        kept.is_wide = true;
        apply.accepted.asks[0]["scope_id"] = json!("y");
    })));
    assert!(odd(&kept(
        |_, apply| apply.accepted.agent = "other".to_owned()
    )));
    assert!(odd(&kept(|kept, apply| {
        kept.of_agent = false;
        apply.task = "u".to_owned();
    })));
    assert!(odd(&kept(|kept, _| kept.until = Some(NOW - 1))));
    assert!(odd(&kept(|kept, _| kept.position = 8)));
    assert!(odd(&kept(|kept, _| kept.approval = "q".to_owned())));
    assert!(odd(&kept(
        |_, apply| apply.accepted.cleared_by = Some("d".to_owned())
    )));
}
