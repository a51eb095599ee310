//! The process ends at each step of an apply, and starts again.

use super::*;
use crate::cloudflare::{create, operation};
use fixtures::upstream::Fault;
use ledger::command::{OperationStart, StartOperation};
use ledger::event::ReadBefore;
use serde_json::json;

/// A ledger where the first operation's intent is committed and nothing else has happened: what a
/// process leaves that was killed before it sent, or before it recorded the answer.
async fn started(operations: Vec<Operation>, simulated: bool) -> (TestLedger, ApplyId) {
    intended(operations, simulated, ReadBefore::default()).await
}

/// The same, by a process that had read upstream before.
async fn sent(upstream: &FakeUpstream, operations: Vec<Operation>) -> (TestLedger, ApplyId) {
    let before = client(upstream).read_before(&operations[0]).await;
    intended(operations, false, before.recorded()).await
}

async fn intended(
    operations: Vec<Operation>,
    simulated: bool,
    read_before: ReadBefore,
) -> (TestLedger, ApplyId) {
    let ledger = TestLedger::open().await;
    ledger.grant_all().await;
    let token = ledger.task().await;
    let submitted = ledger.submit(&token, "key", operations).await;
    let apply_id = submitted.unwrap().unwrap().apply.id;
    let start = StartOperation {
        apply_id,
        index: 0,
        simulated,
        method: "POST".to_owned(),
        path: "/zones/z1/dns_records".to_owned(),
        body_digest: None,
        read_before,
        read_again: None,
    };
    assert_eq!(ledger.run(start).await.unwrap(), OperationStart::Go);
    (ledger.restart().await, apply_id)
}

#[tokio::test]
async fn killed_moments_ago_and_not_carried_out_it_may_still_be() {
    let upstream = FakeUpstream::start().await.unwrap();
    let (ledger, apply_id) = sent(&upstream, vec![edit(&upstream), create("next")]).await;
    ledger.clock.advance(Duration::from_secs(60));
    let service = Service::over(ledger, Outside::cloudflare(&upstream)).await;

    let apply = ended(&service.ledger, apply_id).await;
    assert_eq!(apply.end, UNKNOWN);
    assert!(unknown_because(&apply, 0).contains("may still be carried out"));
    assert!(upstream.mutations("").is_empty(), "nothing is sent again");
    service.end().await;
}

#[tokio::test]
async fn killed_long_ago_and_not_carried_out() {
    let upstream = FakeUpstream::start().await.unwrap();
    let (ledger, apply_id) = sent(&upstream, vec![edit(&upstream), create("next")]).await;
    ledger.clock.advance(client(&upstream).may_land_within());
    let service = Service::over(ledger, Outside::cloudflare(&upstream)).await;

    let apply = ended(&service.ledger, apply_id).await;
    assert_eq!(apply.end, FAILED);
    assert_eq!(failed_with(&apply, 0), "upstream_not_applied");
    assert!(outcome(&apply, 0).1);
    assert!(upstream.mutations("").is_empty(), "nothing is sent again");
    service.end().await;
}

#[tokio::test]
async fn killed_after_upstream_carried_it_out() {
    let upstream = FakeUpstream::start().await.unwrap();
    let record = json!({"type": "A", "name": "www", "content": "192.0.2.1"});
    let (ledger, apply_id) = sent(&upstream, vec![create("www"), create("next")]).await;
    upstream.put_record("z1", &record);
    let service = Service::over(ledger, Outside::cloudflare(&upstream)).await;

    let apply = ended(&service.ledger, apply_id).await;
    assert_eq!(apply.end, COMPLETED);
    assert!(outcome(&apply, 0).1 && !outcome(&apply, 1).1);
    assert_eq!(
        upstream.mutations("").len(),
        1,
        "only the one that was left"
    );
    service.end().await;
}

#[tokio::test]
async fn killed_by_an_older_version_that_had_read_nothing() {
    let upstream = FakeUpstream::start().await.unwrap();
    let record = json!({"type": "A", "name": "www", "content": "192.0.2.1"});
    let (ledger, apply_id) = started(vec![create("www")], false).await;
    upstream.put_record("z1", &record);
    let service = Service::over(ledger, Outside::cloudflare(&upstream)).await;

    let apply = ended(&service.ledger, apply_id).await;
    assert_eq!(apply.end, UNKNOWN);
    assert!(unknown_because(&apply, 0).contains("what stood there before is not known"));
    service.end().await;
}

#[tokio::test]
async fn killed_while_a_purge_was_under_way() {
    let upstream = FakeUpstream::start().await.unwrap();
    let purge = operation("cache.purge.execute", json!({"purge_everything": true}));
    let (ledger, apply_id) = started(vec![purge], false).await;
    let service = Service::over(ledger, Outside::cloudflare(&upstream)).await;

    assert_eq!(ended(&service.ledger, apply_id).await.end, UNKNOWN);
    assert!(upstream.mutations("").is_empty());
    service.end().await;
}

#[tokio::test]
async fn killed_while_reading() {
    let upstream = FakeUpstream::start().await.unwrap();
    let (ledger, apply_id) = started(vec![commands::dns_read()], false).await;
    let service = Service::over(ledger, Outside::cloudflare(&upstream)).await;

    let apply = ended(&service.ledger, apply_id).await;
    assert_eq!(apply.end, COMPLETED);
    assert!(succeeded(&apply, 0).is_array(), "a read is simply repeated");
    service.end().await;
}

#[tokio::test]
async fn killed_while_simulating() {
    let upstream = FakeUpstream::start().await.unwrap();
    let (ledger, apply_id) = started(vec![create("a"), create("b")], true).await;
    // A token has been configured in the meantime.
    let service = Service::over(ledger, Outside::cloudflare(&upstream)).await;

    let apply = ended(&service.ledger, apply_id).await;
    assert_eq!(apply.end, COMPLETED);
    for index in 0..2 {
        assert_eq!(succeeded(&apply, index)["simulated"], true);
    }
    assert!(upstream.requests().is_empty());
    service.end().await;
}

#[tokio::test]
async fn killed_and_started_again_without_the_token() {
    for (operation, end) in [(create("www"), UNKNOWN), (commands::dns_read(), FAILED)] {
        let (ledger, apply_id) = started(vec![operation], false).await;
        let service = Service::over(ledger, Outside::simulated()).await;
        assert_eq!(ended(&service.ledger, apply_id).await.end, end);
        service.end().await;
    }
}

#[tokio::test]
async fn killed_while_waiting_for_the_answer() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.on_next_mutation(Fault::Hold);
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let submitted = service.submit(&token, "key", vec![edit(&upstream)]).await;
    soon("the request", upstream.wait_for_mutations(1))
        .await
        .unwrap();

    let ledger = service.crash().await.open().await.unwrap();
    ledger.clock.advance(client(&upstream).may_land_within());
    let service = Service::over(ledger, Outside::cloudflare(&upstream)).await;
    let apply = ended(&service.ledger, submitted.apply.id).await;
    // Whether upstream carries it out after all is upstream's to say; what counts is what was found.
    assert!(outcome(&apply, 0).1);
    assert_eq!(upstream.mutations("").len(), 1, "never sent again");
    service.end().await;
}

#[tokio::test]
async fn killed_before_the_answer_could_be_recorded() {
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
    until("the outcome is not recorded", async || disk.met() > 0).await;
    let closed = service.crash().await;
    disk.empty();

    let service = Service::over(closed.open().await.unwrap(), Outside::cloudflare(&upstream)).await;
    let apply = ended(&service.ledger, submitted.apply.id).await;
    assert_eq!(apply.end, COMPLETED);
    assert!(outcome(&apply, 0).1);
    assert_eq!(upstream.mutations("").len(), 1);
    service.end().await;
}

#[tokio::test]
async fn told_to_stop_it_finishes_the_operation_and_the_next_start_goes_on() {
    let upstream = FakeUpstream::start().await.unwrap();
    upstream.on_next_mutation(Fault::Hold);
    let service = Service::start(Outside::cloudflare(&upstream)).await;
    let token = service.ledger.task().await;
    let operations = vec![create("a"), create("b")];
    let submitted = service.submit(&token, "key", operations).await;
    soon("the request", upstream.wait_for_mutations(1))
        .await
        .unwrap();
    service.stop.cancel();
    upstream.release();
    let ledger = service.end().await.open().await.unwrap();

    let apply = ledger
        .load::<Apply>(submitted.apply.id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(succeeded(&apply, 0)["name"], "a.example.com");
    assert_eq!(apply.operations[1], OperationState::Waiting);
    assert_eq!(upstream.mutations("").len(), 1);
    let service = Service::over(ledger, Outside::cloudflare(&upstream)).await;
    let apply = ended(&service.ledger, submitted.apply.id).await;
    assert_eq!(apply.end, COMPLETED);
    assert_eq!(upstream.mutations("").len(), 2);
    service.end().await;
}
