//! Kept decisions: what they answer, and what ends them.

use crate::calls::{begin, gateway, subject};
use crate::counts::restarted;
use crate::ruled::{always, policy, put, rule};
use crate::scene::{Scene, refusal, start};
use crate::writes::{asked as write_asked, request, with_headers, write};
use fixtures::approver::SoftApprover;
use fixtures::commands::{administrator, create_key, create_task, dns_create, purge, ssl_mode};
use fixtures::history::History;
use fixtures::rules::APPROVER;
use ledger::aggregate::{Apply, ApprovalState, Clearance};
use ledger::command::{
    CreateTask, DecideApproval, EndClearance, HoldRequestToDenials, HoldToDenials, LiftLock,
    OperationStart, RevokeCredential, SetLock, Submitted,
};
use ledger::event::{Authorisation, Event, LockTarget};
use ledger::operation::{ForwardedRequest, Method, Operation, Scope, ScopeId};
use ledger::policy::{Policy, RuleAction};
use ledger::{
    Binding, Breadth, Choice, ClearanceId, ClientSubject, CredentialId, Decision, Error, KeptMode,
    OperationId, Rejection, RelayedCall, Retention, ScopeType, Timestamp, UpstreamName,
};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);

/// Kept for an hour.
fn kept(scene: &Scene, breadth: Breadth, binding: Binding) -> Retention {
    Retention {
        mode: KeptMode::Cache,
        breadth,
        binding,
        until: Some(scene.now().plus(HOUR)),
    }
}

/// Asks for the operations, and has the decision kept.
async fn decided(
    scene: &Scene,
    key: &str,
    operations: Vec<Operation>,
    decision: Decision,
    retention: Retention,
) -> Submitted {
    let asked = scene.submitted(key, operations).await;
    let approval = asked.approval.clone().unwrap();
    let keep = scene
        .alice
        .keep(&scene.ledger, &approval, decision, retention);
    scene.run(keep).await.unwrap().accepted().unwrap();
    asked
}

/// An approval of a purge, kept.
async fn approved(scene: &Scene, breadth: Breadth, binding: Binding) -> Submitted {
    let retention = kept(scene, breadth, binding);
    decided(scene, "first", vec![purge()], Decision::Approve, retention).await
}

fn credential(approver: &SoftApprover) -> CredentialId {
    CredentialId::unchecked(approver.credential_id())
}

fn clearance_of(submitted: &Submitted) -> Option<ClearanceId> {
    submitted.apply.clearance_id
}

async fn is_cleared(scene: &Scene, key: &str, operations: Vec<Operation>) -> bool {
    let submitted = scene.submitted(key, operations).await;
    let cleared = clearance_of(&submitted).is_some();
    assert_eq!(cleared, submitted.apply.authorised);
    assert_eq!(cleared, submitted.approval.is_none());
    cleared
}

async fn newest(scene: &Scene) -> ClearanceId {
    let events = scene.all().await;
    let mut made = events.into_iter().filter_map(|event| match event {
        Event::ClearanceMade(made) => Some(made.clearance_id),
        _ => None,
    });
    made.next_back().unwrap()
}

#[tokio::test]
async fn a_kept_approval_is_made_in_the_commit_of_its_decision_and_answers_the_next_apply() {
    let scene = Scene::new().await;
    let before = scene.size_now();
    approved(&scene, Breadth::Exact, Binding::Task).await;
    let names = scene.names_since(before).await;
    let decided = names.iter().position(|name| *name == "approval.approved");
    let made = names.iter().position(|name| *name == "clearance.made");
    assert!(decided.is_some() && decided < made, "{names:?}");
    let again = scene.submitted("second", vec![purge()]).await;
    assert!(again.apply.authorised && again.approval.is_none());
    let id = clearance_of(&again).unwrap();
    assert_eq!(id, newest(&scene).await);
    let events = scene.all().await;
    let accepted = events.iter().rev().find_map(|event| match event {
        Event::ApplyAccepted(accepted) => Some(accepted.authorisation),
        _ => None,
    });
    assert_eq!(accepted, Some(Authorisation::Cleared(id)));
    let run = scene.run(start(again.apply.id, 0)).await.unwrap();
    assert_eq!(run, OperationStart::Go);
}

/// "Always allow" that is used again with other arguments is how others were tricked.
#[tokio::test]
async fn an_exact_approval_is_never_reused_with_other_arguments() {
    let scene = Scene::new().await;
    let retention = kept(&scene, Breadth::Exact, Binding::Agent);
    let operations = vec![dns_create("a.example.com")];
    decided(
        &scene,
        "first",
        operations.clone(),
        Decision::Approve,
        retention,
    )
    .await;
    assert!(is_cleared(&scene, "same", operations.clone()).await);
    assert!(!is_cleared(&scene, "other", vec![dns_create("b.example.com")]).await);
    let twice = [operations.clone(), operations].concat();
    assert!(!is_cleared(&scene, "twice", twice).await);
}

#[tokio::test]
async fn one_for_the_scope_answers_other_params_and_no_other_operation_or_scope() {
    let scene = Scene::new().await;
    let retention = kept(&scene, Breadth::Scope, Binding::Agent);
    let operations = vec![dns_create("a.example.com")];
    decided(&scene, "first", operations, Decision::Approve, retention).await;
    assert!(is_cleared(&scene, "params", vec![dns_create("b.example.com")]).await);
    let elsewhere = fixtures::commands::dns_create_in("another-zone", "a.example.com");
    assert!(!is_cleared(&scene, "scope", vec![elsewhere]).await);
    assert!(!is_cleared(&scene, "operation", vec![purge()]).await);
    let more = vec![dns_create("a.example.com"), purge()];
    assert!(!is_cleared(&scene, "more", more).await);
}

#[tokio::test]
async fn one_for_the_agent_holds_in_its_other_tasks_and_one_for_the_task_does_not() {
    for (binding, holds) in [(Binding::Agent, true), (Binding::Task, false)] {
        let mut scene = Scene::new().await;
        approved(&scene, Breadth::Exact, binding).await;
        scene.token = scene.ledger.task().await;
        assert_eq!(is_cleared(&scene, "elsewhere", vec![purge()]).await, holds);
    }
}

#[tokio::test]
async fn it_ends_at_its_time_by_the_writers_clock() {
    let scene = Scene::new().await;
    approved(&scene, Breadth::Exact, Binding::Agent).await;
    let accepted = scene.submitted("in-time", vec![purge()]).await;
    assert!(accepted.apply.authorised);
    scene.clock.advance(HOUR);
    let mut scene = scene;
    scene.token = scene.ledger.task().await;
    assert!(!is_cleared(&scene, "late", vec![purge()]).await);
    let start = scene.run(start(accepted.apply.id, 0)).await.unwrap();
    assert_eq!(start, OperationStart::Stopped);
}

#[tokio::test]
async fn a_kept_denial_refuses_without_asking_and_leaves_the_key_free() {
    let scene = Scene::new().await;
    let retention = kept(&scene, Breadth::Exact, Binding::Task);
    decided(&scene, "first", vec![purge()], Decision::Deny, retention).await;
    let before = scene.size_now();
    let refused = scene.submit(&scene.token, "again", vec![purge()]).await;
    let refused = refused.unwrap().unwrap_err();
    assert_eq!(refused.code(), "denied_cached");
    assert_eq!(scene.names_since(before).await, ["apply.refused"]);
    assert!(!is_cleared(&scene, "again", vec![dns_create("a.example.com")]).await);
    let end = EndClearance {
        clearance_id: newest(&scene).await,
    };
    scene.run(end).await.unwrap();
    let asked = scene.submitted("after", vec![purge()]).await;
    assert!(asked.approval.is_some());
}

#[tokio::test]
async fn a_denial_of_what_is_sensitive_is_kept_and_an_approval_is_not() {
    let scene = Scene::new().await;
    let asked = scene.asked("k").await;
    let approval = asked.approval.clone().unwrap();
    let retention = kept(&scene, Breadth::Exact, Binding::Task);
    let keep = |decision| {
        scene
            .alice
            .keep(&scene.ledger, &approval, decision, retention)
    };
    let refused = refusal(scene.run(keep(Decision::Approve)).await);
    assert_eq!(refused.code(), "retention_not_allowed");
    scene
        .run(keep(Decision::Deny))
        .await
        .unwrap()
        .accepted()
        .unwrap();
    let again = scene
        .submit(&scene.token, "k2", vec![ssl_mode("strict")])
        .await;
    assert_eq!(again.unwrap().unwrap_err().code(), "denied_cached");
}

#[tokio::test]
async fn one_that_was_ended_answers_nothing_and_stops_what_has_not_begun() {
    let scene = Scene::new().await;
    approved(&scene, Breadth::Exact, Binding::Task).await;
    let accepted = scene.submitted("before", vec![purge()]).await;
    let end = EndClearance {
        clearance_id: clearance_of(&accepted).unwrap(),
    };
    let ended = scene.run(end).await.unwrap();
    assert!(ended.ended.is_some());
    let before = scene.size_now();
    scene.run(end).await.unwrap();
    assert!(scene.names_since(before).await.is_empty());
    let stopped = scene.run(start(accepted.apply.id, 0)).await.unwrap();
    assert_eq!(stopped, OperationStart::Stopped);
    let apply = scene
        .load::<Apply>(accepted.apply.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(apply.stopped.as_deref(), Some("clearance_ended"));
    assert!(!is_cleared(&scene, "after", vec![purge()]).await);
}

#[tokio::test]
async fn a_lock_ends_it_and_lifting_that_does_not_bring_it_back() {
    for target in [
        LockTarget::All,
        LockTarget::Operation(purge().entry.id.into()),
        LockTarget::Credential(credential(&SoftApprover::new(APPROVER))),
    ] {
        let mut scene = Scene::new().await;
        approved(&scene, Breadth::Exact, Binding::Agent).await;
        assert!(is_cleared(&scene, "before", vec![purge()]).await);
        let set = SetLock {
            target: target.clone(),
            reason: "drill".to_owned(),
            duration: None,
        };
        let lock_id = scene.run(set).await.unwrap().lock.id;
        scene
            .run(LiftLock {
                lock_id,
                revoke_keys: false,
            })
            .await
            .unwrap();
        scene.clock.advance(Duration::from_secs(1));
        scene.token = scene.ledger.task().await;
        assert!(
            !is_cleared(&scene, "after", vec![purge()]).await,
            "{target:?}"
        );
    }
}

#[tokio::test]
async fn revoking_the_passkey_of_its_maker_ends_it() {
    let scene = Scene::new().await;
    approved(&scene, Breadth::Exact, Binding::Agent).await;
    let accepted = scene.submitted("before", vec![purge()]).await;
    assert!(accepted.apply.authorised);
    let revoke = RevokeCredential {
        principal: ledger::ApproverName::unchecked(APPROVER),
        credential_id: credential(&scene.alice),
        reason: None,
    };
    scene.run(revoke).await.unwrap();
    assert!(!is_cleared(&scene, "after", vec![purge()]).await);
    let stopped = scene.run(start(accepted.apply.id, 0)).await.unwrap();
    assert_eq!(stopped, OperationStart::Stopped);
}

#[tokio::test]
async fn a_statement_that_the_question_does_not_say_is_refused_whatever_differs() {
    let scene = Scene::new().await;
    let asked = scene.submitted("k", vec![purge()]).await;
    let approval = asked.approval.clone().unwrap();
    let retention = kept(&scene, Breadth::Exact, Binding::Task);
    let keep = || {
        scene
            .alice
            .keep(&scene.ledger, &approval, Decision::Approve, retention)
    };
    let changed: [fn(&mut DecideApproval); 5] = [
        |command| command.decision = Decision::Deny,
        |command| command.reason = Some("another".to_owned()),
        |command| command.statement = Some("{}".to_owned()),
        |command| {
            let statement = command.statement.take().unwrap();
            command.statement = Some(statement.replace("\"apply\"", "\"review\""));
        },
        |command| {
            let statement = command.statement.take().unwrap();
            command.statement = Some(format!(" {statement}"));
        },
    ];
    for change in changed {
        let mut command = keep();
        change(&mut command);
        assert_eq!(
            refusal(scene.run(command).await),
            Rejection::QuestionChanged
        );
    }
    // What was signed for a time is not taken for once, nor for another time.
    let mut once = keep();
    once.statement = None;
    assert!(matches!(
        refusal(scene.run(once).await),
        Rejection::AssertionInvalid { .. }
    ));
    let mut longer = keep();
    let end = retention.until.unwrap().to_string();
    let later = retention.until.unwrap().plus(HOUR).to_string();
    let statement = longer.statement.take().unwrap();
    longer.statement = Some(statement.replace(&end, &later));
    assert!(matches!(
        refusal(scene.run(longer).await),
        Rejection::AssertionInvalid { .. }
    ));
    scene.run(keep()).await.unwrap().accepted().unwrap();
}

#[tokio::test]
async fn what_is_kept_ends_later_and_not_without_end_where_it_has_one() {
    let scene = Scene::new().await;
    let asked = scene.submitted("k", vec![purge()]).await;
    let approval = asked.approval.clone().unwrap();
    let of = |mode, binding, until: Option<Timestamp>| Retention {
        mode,
        breadth: Breadth::Exact,
        binding,
        until,
    };
    let far = Duration::from_secs(3651 * 86_400);
    for retention in [
        of(KeptMode::Cache, Binding::Task, Some(scene.now())),
        of(KeptMode::Cache, Binding::Agent, None),
        of(
            KeptMode::Permanent,
            Binding::Agent,
            Some(scene.now().plus(HOUR)),
        ),
        of(KeptMode::Cache, Binding::Agent, Some(scene.now().plus(far))),
    ] {
        let keep = scene
            .alice
            .keep(&scene.ledger, &approval, Decision::Approve, retention);
        let refused = refusal(scene.run(keep).await);
        assert_eq!(refused.code(), "retention_not_allowed", "{retention:?}");
    }
}

#[tokio::test]
async fn a_granted_apply_names_no_clearance() {
    let scene = Scene::granted().await;
    let submitted = scene.submitted("k", vec![purge()]).await;
    assert!(submitted.apply.authorised);
    assert_eq!(clearance_of(&submitted), None);
}

#[tokio::test]
async fn there_is_none_of_another_id() {
    let scene = Scene::new().await;
    let end = EndClearance {
        clearance_id: ClearanceId::from_bytes([9; 16]),
    };
    let result = scene.execute(administrator(), end).await;
    assert!(matches!(
        result,
        Err(Error::Rejected(Rejection::ClearanceNotFound))
    ));
    let none = scene.load::<Clearance>(end.clearance_id).await.unwrap();
    assert!(none.is_none());
}

/// A rule that decides alone about everything.
fn says(action: RuleAction) -> Option<Policy> {
    Some(policy([rule("says", action, always())]))
}

async fn refused_as(scene: &Scene) -> &'static str {
    let refused = scene.submit(&scene.token, "again", vec![purge()]).await;
    refused.unwrap().unwrap_err().code()
}

#[tokio::test]
async fn a_kept_denial_holds_before_a_later_rule_and_a_later_grant_until_it_ends() {
    let mut scene = Scene::new().await;
    let retention = kept(&scene, Breadth::Exact, Binding::Agent);
    decided(&scene, "first", vec![purge()], Decision::Deny, retention).await;
    for (version, action) in [(1, RuleAction::Allow), (2, RuleAction::Deny)] {
        put(&scene, version, says(action)).await;
        assert_eq!(refused_as(&scene).await, "denied_cached", "{action:?}");
    }
    put(&scene, 3, None).await;
    scene.ledger.grant_all().await;
    scene.token = scene.ledger.task().await;
    assert_eq!(refused_as(&scene).await, "denied_cached");
    // What it was not kept for goes on by the grant.
    let end = EndClearance {
        clearance_id: newest(&scene).await,
    };
    scene.run(end).await.unwrap();
    let granted = scene.submitted("again", vec![purge()]).await;
    assert!(granted.apply.authorised && granted.approval.is_none());
    let closed = scene.ledger.close().await;
    History::read(closed.path()).assert_verified();
}

#[tokio::test]
async fn once_with_a_time_shortens_how_long_it_can_be_continued() {
    let scene = Scene::new().await;
    let minute = Duration::from_secs(60);
    let asked = scene.submitted("k", vec![purge()]).await;
    let approval = asked.approval.clone().unwrap();
    let once = |decision, time| {
        let choice = Choice {
            use_until: Some(scene.now().plus(time)),
            ..Choice::default()
        };
        scene
            .alice
            .choose(&scene.ledger, &approval, decision, None, choice)
    };
    for (decision, time) in [
        (Decision::Deny, minute),
        (Decision::Approve, Duration::ZERO),
    ] {
        let refused = refusal(scene.run(once(decision, time)).await);
        assert_eq!(refused.code(), "retention_not_allowed");
    }
    let decided = scene.run(once(Decision::Approve, minute)).await;
    let decided = decided.unwrap().accepted().unwrap();
    assert_eq!(decided.continue_until(), Some(scene.now().plus(minute)));
    assert_eq!(decided.kept(), None);
    scene.clock.advance(minute);
    let late = scene.approval(&asked).await;
    assert_eq!(late.state_at(scene.now()), ApprovalState::Expired);
    // A longer time than there is anyway makes it no longer.
    let other = scene
        .submitted("k2", vec![dns_create("a.example.com")])
        .await;
    let approval = other.approval.clone().unwrap();
    let choice = Choice {
        use_until: Some(scene.now().plus(100 * HOUR)),
        ..Choice::default()
    };
    let long = scene
        .alice
        .choose(&scene.ledger, &approval, Decision::Approve, None, choice);
    let decided = scene.run(long).await.unwrap().accepted().unwrap();
    let until = scene.now().plus(approval.continuation);
    assert_eq!(decided.continue_until(), Some(until));
    let closed = scene.ledger.close().await;
    History::read(closed.path()).assert_verified();
}

#[tokio::test]
async fn a_kept_denial_of_one_operation_refuses_it_beside_others() {
    let mut scene = Scene::new().await;
    let retention = kept(&scene, Breadth::Scope, Binding::Agent);
    decided(&scene, "first", vec![purge()], Decision::Deny, retention).await;
    put(&scene, 1, says(RuleAction::Allow)).await;
    scene.token = scene.ledger.task().await;
    let other = || dns_create("a.example.com");
    for operations in [vec![purge(), other()], vec![other(), purge(), purge()]] {
        let refused = scene.submit(&scene.token, "beside", operations).await;
        assert_eq!(refused.unwrap().unwrap_err().code(), "denied_cached");
    }
    assert!(
        scene
            .submitted("alone", vec![other()])
            .await
            .apply
            .authorised
    );
    let closed = scene.ledger.close().await;
    History::read(closed.path()).assert_verified();
}

#[tokio::test]
async fn a_denial_for_the_agent_holds_for_each_of_its_subjects_and_keys() {
    let mut scene = Scene::new().await;
    let retention = kept(&scene, Breadth::Scope, Binding::Agent);
    decided(&scene, "first", vec![purge()], Decision::Deny, retention).await;
    put(&scene, 1, says(RuleAction::Allow)).await;
    let other = CreateTask {
        subject: ClientSubject::unchecked("CN=another"),
        ..create_task()
    };
    scene.token = scene.execute(administrator(), other).await.unwrap();
    assert_eq!(refused_as(&scene).await, "denied_cached");
    put(&scene, 2, None).await;
    // The same with keys: another one of the agent ends no denial.
    let key = scene.run(create_key("cak_one")).await.unwrap();
    let asked = write_asked(&scene, &key, write("www"), None).await;
    let approval = asked.unwrap().approval.unwrap();
    let keep = scene
        .alice
        .keep(&scene.ledger, &approval, Decision::Deny, retention);
    scene.run(keep).await.unwrap().accepted().unwrap();
    let renewed = scene.run(create_key("cak_two")).await.unwrap();
    let refused = write_asked(&scene, &renewed, write("other"), None).await;
    assert_eq!(refusal(refused).code(), "denied_cached");
    let closed = scene.ledger.close().await;
    History::read(closed.path()).assert_verified();
}

/// The same request as `write("www")`, each time as another client would send it.
fn spelled() -> [Operation; 3] {
    let blanks =
        "{\"content\":\"192.0.2.1\",\"name\":\"www.example.com\",\"ttl\":300,\"type\":\"A\"}";
    [
        with_headers(&[("user-agent", "another/1")], "cloudflare"),
        with_headers(
            &[("content-type", "application/json; charset=utf-8")],
            "cloudflare",
        ),
        request(Method::Post, "/zones/zone-1/dns_records", blanks),
    ]
}

#[tokio::test]
async fn an_exact_decision_on_a_request_is_not_for_one_spelling_or_client_alone() {
    for decision in [Decision::Deny, Decision::Approve] {
        let scene = Scene::new().await;
        let key = scene.run(create_key("cak_one")).await.unwrap();
        let asked = write_asked(&scene, &key, write("www"), None).await.unwrap();
        let approval = asked.approval.clone().unwrap();
        let retention = kept(&scene, Breadth::Exact, Binding::Agent);
        let keep = scene
            .alice
            .keep(&scene.ledger, &approval, decision, retention);
        scene.run(keep).await.unwrap().accepted().unwrap();
        for same in spelled() {
            // Its end was told: the same is a new one.
            let again = write_asked(&scene, &key, same, Some(asked.apply.id)).await;
            match decision {
                Decision::Deny => assert_eq!(refusal(again).code(), "denied_cached"),
                Decision::Approve => assert!(again.unwrap().apply.authorised),
            }
        }
        let other = write_asked(&scene, &key, write("other"), None).await;
        assert!(other.unwrap().approval.is_some());
        let closed = scene.ledger.close().await;
        History::read(closed.path()).assert_verified();
    }
}

/// A batch of messages, as a client sends it.
fn batch(body: &str) -> Operation {
    let known = write("www");
    let request = ForwardedRequest {
        upstream: UpstreamName::anthropic(),
        base_url: Some("https://api.anthropic.com".to_owned()),
        target: "/v1/messages/batches".to_owned(),
        body: body.as_bytes().to_vec(),
        ..ForwardedRequest::clone(known.forwarded().unwrap())
    };
    let operation = OperationId::of("anthropic.batches.write");
    providers::all()
        .forward(operation, upstream(), request)
        .unwrap()
}

fn upstream() -> Scope {
    Scope {
        scope_type: ScopeType::of("upstream"),
        id: ScopeId::parse("anthropic").unwrap(),
    }
}

#[tokio::test]
async fn a_kept_denial_holds_for_calls_that_are_relayed() {
    for breadth in [Breadth::Scope, Breadth::Exact] {
        let scene = Scene::new().await;
        let key = scene.run(create_key("cak_one")).await.unwrap();
        let body = "{\"requests\": []}";
        put(&scene, 1, says(RuleAction::Ask)).await;
        let asked = write_asked(&scene, &key, batch(body), None).await.unwrap();
        let approval = asked.approval.clone().unwrap();
        put(&scene, 2, None).await;
        let begins = |number| {
            let call = begin(number, subject(&key, "anthropic.batches.write"));
            scene.ledger.execute(gateway(), call)
        };
        begins(1).await.unwrap();
        let retention = kept(&scene, breadth, Binding::Agent);
        let keep = scene
            .alice
            .keep(&scene.ledger, &approval, Decision::Deny, retention);
        scene.run(keep).await.unwrap().accepted().unwrap();
        let is_any = breadth == Breadth::Scope;
        let denied = |result: Result<(), Error>| match result {
            Ok(()) => false,
            refused => refusal(refused).code() == "denied_cached",
        };
        assert_eq!(denied(begins(2).await), is_any);
        let held = |operation: &str, scope| HoldToDenials {
            agent_id: key.agent_id,
            task_id: None,
            call: RelayedCall {
                operations: vec![operation.to_owned()],
                scope,
            },
        };
        let before = scene.size_now();
        for (operation, scope, holds) in [
            ("anthropic.batches.write", Ok(upstream()), is_any),
            (
                "anthropic.batches.write",
                Err(upstream().scope_type),
                is_any,
            ),
            ("anthropic.batches.read", Ok(upstream()), false),
            ("anthropic.batches.write", Err(ScopeType::of("zone")), false),
        ] {
            let held = scene
                .ledger
                .execute(gateway(), held(operation, scope))
                .await;
            assert_eq!(denied(held), holds, "{breadth:?} {operation}");
        }
        for (body, holds) in [(" {\"requests\":[]}", true), ("{\"requests\":[1]}", is_any)] {
            let by = (key.agent_id, None);
            let held = HoldRequestToDenials::of(by, &batch(body)).unwrap();
            let held = scene.ledger.execute(gateway(), held).await;
            assert_eq!(denied(held), holds, "{breadth:?} {body}");
        }
        assert_eq!(scene.size_now(), before, "nothing is recorded");
        // It is found again at the next start, and goes with its end.
        let end = EndClearance {
            clearance_id: newest(&scene).await,
        };
        let scene = restarted(scene).await;
        let still = held("anthropic.batches.write", Ok(upstream()));
        assert_eq!(
            denied(scene.ledger.execute(gateway(), still.clone()).await),
            is_any
        );
        scene.run(end).await.unwrap();
        assert!(!denied(scene.ledger.execute(gateway(), still).await));
        let closed = scene.ledger.close().await;
        History::read(closed.path()).assert_verified();
    }
}
