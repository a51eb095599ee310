//! Applies that run undisturbed, or alongside others.

use super::*;
use crate::cloudflare::{create, operation};
use fixtures::upstream::Fault;
use futures_util::future::join_all;
use serde_json::json;

#[tokio::test]
async fn without_a_token_everything_is_simulated_and_says_so() {
    let service = Service::start(Outside::simulated()).await;
    let apply = service
        .apply(vec![commands::dns_create("www"), commands::purge()])
        .await;

    assert_eq!(apply.end, COMPLETED);
    for index in 0..2 {
        assert_eq!(succeeded(&apply, index)["simulated"], true);
    }
    for event in events(&service.ledger).await {
        match &event.event {
            Event::OperationStarted(started) => assert!(started.simulated),
            Event::OperationEnded(ended) => assert!(ended.simulated && !ended.reconciled),
            _ => {}
        }
    }
    service.end().await;
}

#[tokio::test]
async fn what_may_run_does_not_wait_for_the_read_tables() {
    let service = Service::start(Outside::simulated()).await;
    // The workers have begun.
    service.apply(vec![commands::purge()]).await;
    service.stop_folding().await;
    let apply = service.apply(vec![commands::dns_create("www")]).await;
    assert_eq!(apply.end, COMPLETED);
    let closed = service.crash().await;

    // Now the table shows it, and nobody carries it out once more.
    let service = Service::over(closed.open().await.unwrap(), Outside::simulated()).await;
    service.apply(vec![commands::purge()]).await;
    assert_eq!(count(&service.ledger, "apply.operation_started").await, 3);
    service.end().await;
}

#[tokio::test]
async fn an_agent_whose_requests_are_not_answered_leaves_places_to_others() {
    let upstream = FakeUpstream::start().await.unwrap();
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    for _ in 0..400 {
        upstream.on_next_of("POST", "/dns_records", Fault::Hold);
    }
    let token = service.ledger.task().await;
    let names: Vec<String> = (0..400).map(|number| format!("n{number}")).collect();
    let asked = names
        .iter()
        .map(|name| service.submit(&token, name, vec![create(name)]));
    let asked = join_all(asked).await;
    upstream.wait_for_mutations(48).await.unwrap();

    let other = AgentName::unchecked("other");
    let grants = ReplacePermissions {
        agent: other.clone(),
        ..commands::grant_all()
    };
    service.ledger.run(grants).await.unwrap();
    let task = CreateTask {
        agent: other,
        ..commands::create_task()
    };
    let task = service.ledger.run(task).await.unwrap();
    let purged = service.submit(&task, "key", vec![commands::purge()]).await;
    let purged = ended(&service.ledger, purged.apply.id).await;
    assert_eq!(purged.end, COMPLETED);
    assert_eq!(upstream.mutations("/dns_records").len(), 48);

    // What waited for a place, here and in the read table, comes to its turn.
    upstream.release();
    for submitted in asked {
        let apply = ended(&service.ledger, submitted.apply.id).await;
        assert_eq!(apply.end, COMPLETED);
    }
    assert_eq!(upstream.mutations("/dns_records").len(), 400);
    service.end().await;
}

#[tokio::test]
async fn an_apply_is_carried_out_in_order_with_an_intent_before_each_request() {
    let upstream = FakeUpstream::start().await.unwrap();
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let apply = service
        .apply(vec![
            create("a"),
            commands::dns_read(),
            create("b"),
            commands::purge(),
        ])
        .await;

    assert_eq!(apply.end, COMPLETED);
    assert_eq!(upstream.mutations("").len(), 3);
    let names: Vec<_> = events(&service.ledger)
        .await
        .iter()
        .filter(|event| event.header.stream_id == apply.id.into())
        .map(|event| event.event.name())
        .collect();
    let each = ["apply.operation_started", "apply.operation_ended"];
    let expected = [&["apply.accepted"], &each.repeat(4)[..], &["apply.ended"]].concat();
    assert_eq!(names, expected);
    service.end().await;
}

#[tokio::test]
async fn what_is_sent_is_what_the_intent_says() {
    use sha2::{Digest as _, Sha256};
    let upstream = FakeUpstream::start().await.unwrap();
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    service.apply(vec![create("www")]).await;

    let events = events(&service.ledger).await;
    let started = events.iter().find_map(|event| match &event.event {
        Event::OperationStarted(started) => Some(started),
        _ => None,
    });
    let started = started.unwrap();
    let request = &upstream.mutations("")[0];
    assert_eq!(started.method, request.method);
    assert_eq!(started.path, request.path);
    let digest = hex::encode(Sha256::digest(&request.body));
    assert_eq!(started.body_digest.as_deref(), Some(&*digest));
    service.end().await;
}

#[tokio::test]
async fn it_stops_at_the_first_operation_that_fails() {
    let upstream = FakeUpstream::start().await.unwrap();
    let record = json!({"type": "CNAME", "name": "www", "content": "example.net"});
    upstream.put_record("z1", &record);
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let apply = service
        .apply(vec![create("a"), create("www"), create("b")])
        .await;

    assert_eq!(apply.end, FAILED);
    assert_eq!(succeeded(&apply, 0)["type"], "A");
    assert_eq!(failed_with(&apply, 1), "upstream_refused");
    assert_eq!(apply.operations[2], OperationState::Waiting);
    assert_eq!(upstream.mutations("").len(), 2);
    service.end().await;
}

#[tokio::test]
async fn many_applies_run_at_once_and_each_exactly_once() {
    let upstream = FakeUpstream::start().await.unwrap();
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let applies = join_all((0..100).map(async |n| {
        let name = format!("host{n}");
        let submitted = service.submit(&token, &name, vec![create(&name)]).await;
        ended(&service.ledger, submitted.apply.id).await
    }))
    .await;

    assert!(applies.iter().all(|apply| apply.end == COMPLETED));
    assert_eq!(upstream.mutations("").len(), 100);
    service.end().await;
}

#[tokio::test]
async fn six_applies_with_one_key_are_one_upstream_call() {
    let upstream = FakeUpstream::start().await.unwrap();
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let ids = join_all((0..6).map(async |_| {
        let submitted = service.submit(&token, "one", vec![create("www")]).await;
        ended(&service.ledger, submitted.apply.id).await.id
    }))
    .await;

    assert!(ids.iter().all(|id| *id == ids[0]));
    assert_eq!(upstream.mutations("").len(), 1);
    service.end().await;
}

#[tokio::test]
async fn one_approval_and_six_concurrent_continues_are_one_execution() {
    let upstream = FakeUpstream::start().await.unwrap();
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let strict = operation("ssl.mode.write", json!({"value": "strict"}));
    let first = service.submit(&token, "first", vec![strict.clone()]).await;
    let second = service.submit(&token, "second", vec![strict]).await;
    approve(&service.ledger, &first).await;

    join_all(
        [&first, &second]
            .repeat(3)
            .into_iter()
            .map(async |submitted| {
                let command = commands::continue_apply(&token, submitted);
                let origin = commands::agent(&token);
                service
                    .ledger
                    .execute(origin, command)
                    .await
                    .unwrap()
                    .accepted()
                    .unwrap()
            }),
    )
    .await;

    let approval = first.approval.as_ref().unwrap();
    let approval = service
        .ledger
        .load::<Approval>(approval.id)
        .await
        .unwrap()
        .unwrap();
    let winner = ended(&service.ledger, approval.consumed_by.unwrap()).await;
    assert_eq!(winner.end, COMPLETED);
    assert_eq!(upstream.ssl_mode("z1"), "strict");
    assert_eq!(upstream.mutations("").len(), 1);
    assert_eq!(count(&service.ledger, "apply.operation_started").await, 1);
    service.end().await;
}

#[tokio::test]
async fn a_slow_upstream_holds_up_nobody_else() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.on_next_of("POST", "/zones/z1/dns_records", Fault::Hold);
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let slow = service.submit(&token, "slow", vec![create("slow")]).await;
    soon("the slow one is sent", upstream.wait_for_mutations(1))
        .await
        .unwrap();
    let quick = service.submit(&token, "quick", vec![create("quick")]).await;

    assert_eq!(ended(&service.ledger, quick.apply.id).await.end, COMPLETED);
    let slow_one = service
        .ledger
        .load::<Apply>(slow.apply.id)
        .await
        .unwrap()
        .unwrap();
    assert!(slow_one.is_running());
    upstream.release();
    assert_eq!(ended(&service.ledger, slow.apply.id).await.end, COMPLETED);
    service.end().await;
}

#[tokio::test]
async fn an_outcome_that_cannot_be_recorded_is_kept_until_it_can() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.on_next_mutation(Fault::Hold);
    let disk = Arc::new(FullDisk::default());
    let service = Service::over(disk.ledger().await, Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let submitted = service.submit(&token, "key", vec![create("www")]).await;
    soon("the request", upstream.wait_for_mutations(1))
        .await
        .unwrap();
    disk.fill();
    upstream.release();
    until("some commits fail", async || disk.met() >= 3).await;
    disk.empty();

    let apply = ended(&service.ledger, submitted.apply.id).await;
    assert_eq!(apply.end, COMPLETED);
    assert!(!outcome(&apply, 0).1, "it was not read back but remembered");
    assert_eq!(upstream.mutations("").len(), 1);
    service.end().await;
}

#[tokio::test]
async fn an_intent_that_cannot_be_recorded_is_not_acted_on() {
    let upstream = FakeUpstream::start().await.unwrap();
    let disk = Arc::new(FullDisk::default());
    let ledger = disk.ledger().await;
    let token = ledger.task().await;
    let submitted = ledger.submit(&token, "key", vec![create("www")]).await;
    let apply_id = submitted.unwrap().unwrap().apply.id;
    disk.fill();
    let service = Service::over(ledger, Outside::cloudflare(&upstream)).await;
    until("some commits fail", async || disk.met() >= 3).await;
    assert!(upstream.mutations("").is_empty());
    disk.empty();

    assert_eq!(ended(&service.ledger, apply_id).await.end, COMPLETED);
    assert_eq!(upstream.mutations("").len(), 1);
    service.end().await;
}

#[tokio::test]
async fn a_closed_task_stops_its_apply_before_the_next_operation() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.on_next_mutation(Fault::Hold);
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let operations = vec![create("a"), create("b")];
    let submitted = service.submit(&token, "key", operations).await;
    soon("the first request", upstream.wait_for_mutations(1))
        .await
        .unwrap();
    let close = ledger::command::CloseTask {
        task_id: token.task.id,
        token: None,
        reason: None,
    };
    service.ledger.run(close).await.unwrap();
    upstream.release();

    let apply = ended(&service.ledger, submitted.apply.id).await;
    assert_eq!(
        (apply.end, apply.stopped.as_deref()),
        (FAILED, Some("task_closed"))
    );
    assert_eq!(succeeded(&apply, 0)["name"], "a.example.com");
    assert_eq!(upstream.mutations("").len(), 1);
    service.end().await;
}

#[tokio::test]
async fn all_workers_are_well() {
    let service = Service::start(Outside::simulated()).await;
    until("every worker has looked", async || {
        service
            .supervisor
            .health()
            .iter()
            .all(|worker| worker.alive)
    })
    .await;
    let health = service.supervisor.health();
    let names: Vec<_> = health.iter().map(|worker| worker.name).collect();
    let expected = [
        "executor",
        "pre_state_reader",
        "expirer",
        "scheduler",
        "depth_gauges",
        "dispatcher",
    ];
    assert_eq!(names, expected);
    assert!(
        health
            .iter()
            .all(|worker| worker.restarts == 0 && worker.last_error.is_none())
    );
    service.end().await;
}

#[tokio::test]
async fn a_part_of_a_list_says_how_to_get_the_rest() {
    let upstream = FakeUpstream::start().await.unwrap();
    for number in 0..137 {
        let name = format!("host{number}");
        upstream.put_record(
            "z1",
            &json!({"type": "A", "name": name, "content": "192.0.2.1"}),
        );
    }
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let read = operation("dns.record.read", json!({}));
    let submitted = service.submit(&token, "key", vec![read]).await;
    let apply = ended(&service.ledger, submitted.apply.id).await;
    let OperationState::Ended { evidence, .. } = &apply.operations[0] else {
        panic!("not ended")
    };
    assert_eq!(
        evidence.pages().as_deref(),
        Some("100 of 137 are in this answer; ask for page 2")
    );
    service.end().await;
}
