//! Intent before effect, outcome after; unknown outcomes are settled by a person.

use crate::scene::{Scene, end, failed, refusal, start, succeeded, unknown};
use fixtures::commands::{
    administrator, callback, create_task, dns_create, purge, ssl_mode, submit,
};
use ledger::aggregate::{Apply, OperationState};
use ledger::command::{
    CreateTask, EndOperation, OperationStart, ResolveApply, Standing, StartOperation, standing,
};
use ledger::event::{
    Agreement, ApplyEnd, Event, Evidence, OperationOutcome, ReadBefore, StateBefore,
};
use ledger::{ApplyId, Rejection};

fn resolve(apply_id: ApplyId, executed: bool) -> ResolveApply {
    ResolveApply {
        apply_id,
        executed,
        reason: "looked at the dashboard".to_owned(),
    }
}

async fn running(scene: &Scene, operations: usize) -> ApplyId {
    let operations = (0..operations)
        .map(|n| dns_create(&format!("n{n}.example.com")))
        .collect();
    scene.submitted("k", operations).await.apply.id
}

async fn state(scene: &Scene, id: ApplyId) -> std::sync::Arc<Apply> {
    scene.load::<Apply>(id).await.unwrap().unwrap()
}

#[tokio::test]
async fn operations_run_in_order_and_the_last_ends_the_apply() {
    let scene = Scene::granted().await;
    let id = running(&scene, 2).await;
    let before = scene.size_now();
    assert_eq!(
        refusal(scene.run(start(id, 1)).await),
        Rejection::NotExecutable,
        "not the second first"
    );
    for index in 0..2 {
        assert_eq!(
            scene.run(start(id, index)).await.unwrap(),
            OperationStart::Go
        );
        scene.run(end(id, index, succeeded())).await.unwrap();
    }
    assert_eq!(
        scene.names_since(before).await,
        [
            "apply.operation_started",
            "apply.operation_ended",
            "apply.operation_started",
            "apply.operation_ended",
            "apply.ended"
        ]
    );
    let apply = state(&scene, id).await;
    assert_eq!(apply.end, Some(ApplyEnd::Completed));
    assert!(apply.ended_at.is_some() && apply.next_operation().is_none());
    let executions: Vec<_> = scene
        .all()
        .await
        .into_iter()
        .filter_map(|event| match event {
            Event::OperationStarted(started) => Some(started.execution_id),
            _ => None,
        })
        .collect();
    assert_eq!(executions, [apply.execution_id.unwrap(); 2]);
}

#[tokio::test]
async fn an_intent_is_given_once() {
    let scene = Scene::granted().await;
    let id = running(&scene, 1).await;
    let all = futures_util::future::join_all((0..6).map(|_| scene.run(start(id, 0)))).await;
    let went = all.iter().filter(|one| one.is_ok()).count();
    assert_eq!(went, 1);
    for one in all.into_iter().filter(Result::is_err) {
        assert_eq!(refusal(one), Rejection::NotExecutable);
    }
}

#[tokio::test]
async fn an_outcome_needs_its_intent_and_is_recorded_once() {
    let scene = Scene::granted().await;
    let id = running(&scene, 2).await;
    assert_eq!(
        refusal(scene.run(end(id, 0, succeeded())).await),
        Rejection::NotExecutable
    );
    scene.run(start(id, 0)).await.unwrap();
    let (one, two) = tokio::join!(
        scene.run(end(id, 0, succeeded())),
        scene.run(end(id, 0, failed()))
    );
    assert!(one.is_ok());
    assert_eq!(refusal(two), Rejection::NotExecutable);
    assert_eq!(
        refusal(scene.run(end(id, 7, succeeded())).await),
        Rejection::NotExecutable
    );
}

#[tokio::test]
async fn it_stops_at_the_first_operation_that_did_not_succeed() {
    for (outcome, expected) in [(failed(), ApplyEnd::Failed), (unknown(), ApplyEnd::Unknown)] {
        let scene = Scene::granted().await;
        let id = running(&scene, 3).await;
        scene.run(start(id, 0)).await.unwrap();
        scene.run(end(id, 0, succeeded())).await.unwrap();
        scene.run(start(id, 1)).await.unwrap();
        let apply = scene.run(end(id, 1, outcome)).await.unwrap();
        assert_eq!(apply.end, Some(expected));
        assert_eq!(apply.operations[2], OperationState::Waiting);
        for index in 0..3 {
            assert_eq!(
                refusal(scene.run(start(id, index)).await),
                Rejection::NotExecutable
            );
        }
    }
}

#[tokio::test]
async fn what_waits_for_an_approval_is_not_executed() {
    let scene = Scene::new().await;
    let asked = scene.approved("k").await;
    assert_eq!(
        refusal(scene.run(start(asked.apply.id, 0)).await),
        Rejection::NotExecutable,
        "approved is not yet continued"
    );
    scene.continued(&asked).await.unwrap();
    assert!(scene.run(start(asked.apply.id, 0)).await.is_ok());
}

#[tokio::test]
async fn a_simulation_says_so_to_the_end() {
    let scene = Scene::granted().await;
    let id = running(&scene, 1).await;
    scene
        .run(StartOperation {
            simulated: true,
            ..start(id, 0)
        })
        .await
        .unwrap();
    let apply = scene.run(end(id, 0, succeeded())).await.unwrap();
    assert_eq!(
        apply.operations[0],
        OperationState::Ended {
            outcome: succeeded(),
            reconciled: false,
            simulated: true,
            evidence: Evidence::default(),
        }
    );
}

#[tokio::test]
async fn only_a_state_that_was_not_there_before_is_a_success_that_was_read_back() {
    let before = |agreement| {
        let digest = "ab".repeat(32);
        Some(StateBefore { digest, agreement })
    };
    for (state, expected) in [
        (before(Agreement::Differs), ApplyEnd::Completed),
        (before(Agreement::Agrees), ApplyEnd::Unknown),
        (before(Agreement::CannotTell), ApplyEnd::Unknown),
        (None, ApplyEnd::Unknown),
    ] {
        let scene = Scene::granted().await;
        let id = running(&scene, 1).await;
        let read_before = ReadBefore {
            zone_name: Some("example.com".to_owned()),
            state: state.clone(),
        };
        let start = StartOperation {
            read_before,
            read_again: None,
            ..start(id, 0)
        };
        scene.run(start).await.unwrap();
        let evidence = Evidence {
            http_status: Some(502),
            request_id: Some("8f-AMS".to_owned()),
            ..Evidence::default()
        };
        let found = EndOperation {
            reconciled: true,
            evidence: evidence.clone(),
            ..end(id, 0, succeeded())
        };
        let apply = scene.run(found).await.unwrap();
        assert_eq!(apply.end, Some(expected), "{state:?}");
        let OperationState::Ended { evidence: kept, .. } = &apply.operations[0] else {
            panic!("not ended")
        };
        assert_eq!(*kept, evidence);
    }
}

#[tokio::test]
async fn an_unknown_outcome_is_settled_once_with_a_reason() {
    for (executed, expected) in [(true, ApplyEnd::Completed), (false, ApplyEnd::Failed)] {
        let scene = Scene::granted().await;
        let id = scene.submitted("k", vec![purge()]).await.apply.id;
        scene.run(start(id, 0)).await.unwrap();
        scene.run(end(id, 0, unknown())).await.unwrap();
        let silent = ResolveApply {
            reason: " \n".to_owned(),
            ..resolve(id, executed)
        };
        assert_eq!(refusal(scene.run(silent).await).code(), "reason_missing");
        let settled = scene.run(resolve(id, executed)).await.unwrap();
        assert_eq!(settled.end, Some(expected));
        assert_eq!(settled.resolved, Some(executed));
        assert_eq!(
            standing(&settled, None, scene.now()),
            Standing::Ended(expected)
        );
        assert_eq!(
            refusal(scene.run(resolve(id, !executed)).await),
            Rejection::NothingToResolve
        );
        // What was unknown is never sent again.
        assert_eq!(
            refusal(scene.run(start(id, 0)).await),
            Rejection::NotExecutable
        );
        assert_eq!(
            refusal(scene.run(end(id, 0, succeeded())).await),
            Rejection::NotExecutable
        );
    }
}

#[tokio::test]
async fn what_was_carried_out_but_not_the_rest_has_failed() {
    let scene = Scene::granted().await;
    let id = running(&scene, 2).await;
    scene.run(start(id, 0)).await.unwrap();
    scene.run(end(id, 0, unknown())).await.unwrap();
    let settled = scene.run(resolve(id, true)).await.unwrap();
    assert_eq!(settled.end, Some(ApplyEnd::Failed));
    assert_eq!(settled.operations[1], OperationState::Waiting);
}

#[tokio::test]
async fn there_is_nothing_to_settle_unless_the_outcome_is_unknown() {
    let scene = Scene::granted().await;
    let id = running(&scene, 1).await;
    assert_eq!(
        refusal(scene.run(resolve(id, true)).await),
        Rejection::NothingToResolve
    );
    scene.run(start(id, 0)).await.unwrap();
    assert_eq!(
        refusal(scene.run(resolve(id, true)).await),
        Rejection::NothingToResolve
    );
    scene.run(end(id, 0, failed())).await.unwrap();
    assert_eq!(
        refusal(scene.run(resolve(id, true)).await),
        Rejection::NothingToResolve
    );
    assert_eq!(
        refusal(scene.run(resolve(ApplyId::from_bytes([1; 16]), true)).await),
        Rejection::ApplyNotFound
    );
}

#[tokio::test]
async fn each_end_is_reported_once_and_a_settled_one_again() {
    let cases: [(OperationOutcome, &str); 3] = [
        (succeeded(), "apply.finished"),
        (failed(), "apply.failed"),
        (unknown(), "apply.unknown"),
    ];
    for (outcome, name) in cases {
        let scene = Scene::granted().await;
        let command = CreateTask {
            callback: Some(callback(9, "secret")),
            ..create_task()
        };
        let token = scene.execute(administrator(), command).await.unwrap();
        let submitted = scene
            .run(submit(&token, "k", vec![purge()]))
            .await
            .unwrap()
            .accepted()
            .unwrap();
        let id = submitted.apply.id;
        scene.run(start(id, 0)).await.unwrap();
        let before = scene.size_now();
        scene.run(end(id, 0, outcome)).await.unwrap();
        let events = scene.since(before).await;
        let ended = &events[1];
        let Event::DeliveryOwed(owed) = &events[2].event else {
            panic!("{events:?}");
        };
        assert_eq!(owed.event_name, name);
        assert_eq!(owed.event_id, ended.event_id());
        assert_eq!(events[2].envelope.cause, Some(ended.position()));
        let body: serde_json::Value = serde_json::from_str(&owed.event).unwrap();
        assert_eq!(body["idempotency_key"], "k");
        assert_eq!(body["event_id"], owed.event_id.to_string());
        assert!(body["payload"]["execution_id"].is_string());
        if name == "apply.unknown" {
            let before = scene.size_now();
            scene.run(resolve(id, true)).await.unwrap();
            let events = scene.since(before).await;
            let Event::DeliveryOwed(owed) = &events[1].event else {
                panic!("{events:?}");
            };
            assert_eq!(owed.event_name, "apply.finished");
            assert_eq!(events[1].envelope.cause, Some(before));
        }
    }
}

#[tokio::test]
async fn all_events_of_a_command_carry_its_id_and_its_actor() {
    let scene = Scene::granted().await;
    let id = running(&scene, 1).await;
    scene.run(start(id, 0)).await.unwrap();
    let before = scene.size_now();
    scene.run(end(id, 0, succeeded())).await.unwrap();
    scene.submitted("other", vec![ssl_mode("off")]).await;
    let events = scene.since(before).await;
    let ids: Vec<_> = events.iter().map(|e| e.envelope.command_id).collect();
    assert_eq!(ids[0], ids[1]);
    assert_ne!(ids[1], ids[2]);
    assert_eq!(ids[2], ids[3]);
    assert!(matches!(
        events[0].envelope.actor,
        ledger::Actor::System { .. }
    ));
    assert!(matches!(
        events[2].envelope.actor,
        ledger::Actor::Agent { .. }
    ));
}
