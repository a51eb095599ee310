//! Callbacks of a ledger that signs checkpoints.

use super::*;
use fixtures::receiver::{Answer, ReceivedRequest};
use fixtures::test_ledger::Setup;
use ledger::Timestamp;
use ledger::callback_proof::{CallbackTrust, VerifiedCallback, verify_callback};

async fn signed(outside: Outside) -> Service {
    let ledger = TestLedger::with(Setup::signed()).await;
    ledger.grant_all().await;
    Service::over(ledger, outside).await
}

fn verified(ledger: &TestLedger, request: &ReceivedRequest) -> VerifiedCallback {
    request.verify(SECRET.as_bytes()).unwrap();
    let checkpoints = ledger.checkpoints().unwrap();
    let trust = CallbackTrust {
        key: checkpoints.key().clone(),
        origin: checkpoints.origin().clone(),
        policy: None,
    };
    verify_callback(request.body(), &trust).unwrap()
}

#[tokio::test]
async fn each_callback_carries_the_proof_of_what_it_tells() {
    let receiver = Receiver::start().await.unwrap();
    let service = signed(Outside::simulated().trusting(&receiver)).await;
    let token = service.task_with_callback(&receiver).await;
    for n in 0..6 {
        let key = format!("key-{n}");
        service.submit(&token, &key, vec![commands::purge()]).await;
    }
    let requests = soon("all callbacks", receiver.wait_for(6)).await.unwrap();
    for request in &requests {
        let told = verified(&service.ledger, request);
        assert_eq!(told.event_type.as_str(), "apply.finished");
        assert!(told.checkpoint.size() > told.position);
    }
    service.end().await;
}

#[tokio::test]
async fn a_later_try_carries_a_proof_too() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([Answer::status(500)]);
    let service = signed(Outside::simulated().trusting(&receiver)).await;
    let token = service.task_with_callback(&receiver).await;
    service.submit(&token, "key", vec![commands::purge()]).await;
    soon("the first try", receiver.wait_for(1)).await.unwrap();
    let [id] = <[_; 1]>::try_from(deliveries(&service.ledger).await).unwrap();
    let failed = |found: &Delivery| matches!(found.state, DeliveryState::Due(_));
    delivery(&service.ledger, id, |found| {
        found.attempts == 1 && failed(found)
    })
    .await;
    service.advance(Duration::from_secs(3600));
    let requests = soon("the second try", receiver.wait_for(2)).await.unwrap();
    let [first, second] = [&requests[0], &requests[1]].map(|request| {
        let told = verified(&service.ledger, request);
        (told.event_id, request.json()["event"].clone())
    });
    assert_eq!(first, second);
    service.end().await;
}

/// A ledger whose checkpoints cannot be kept, so that none covers what comes.
struct NothingSigned {
    service: Service,
    receiver: Receiver,
    token: IssuedToken,
    started: Timestamp,
}

impl NothingSigned {
    async fn new() -> Self {
        let receiver = Receiver::start().await.unwrap();
        let ledger = TestLedger::with(Setup::signed()).await;
        ledger.grant_all().await;
        let size = *ledger.size().borrow();
        let checkpoints = ledger.checkpoints().unwrap();
        checkpoints.covering(size - 1, PATIENCE).await.unwrap();
        // The file is replaced by renaming another over it, which a folder in its place refuses.
        let state = fixtures::test_ledger::state_beside(ledger.path());
        std::fs::remove_file(&state).unwrap();
        std::fs::create_dir(&state).unwrap();
        std::fs::write(state.join("occupied"), "").unwrap();
        let outside = Outside::simulated().trusting(&receiver);
        let service = Service::over(ledger, outside).await;
        let token = service.task_with_callback(&receiver).await;
        service.submit(&token, "key", vec![commands::purge()]).await;
        until("a delivery is owed", async || {
            !deliveries(&service.ledger).await.is_empty()
        })
        .await;
        let started = service.ledger.now();
        Self {
            service,
            receiver,
            token,
            started,
        }
    }
}

#[tokio::test]
async fn it_waits_for_its_checkpoint_for_two_seconds_and_then_goes_without() {
    let stage = NothingSigned::new().await;
    let service = &stage.service;
    service.advance(Duration::from_millis(1700));
    // Another delivery does not wait behind it, and neither is sent as long as it is not time.
    service
        .submit(&stage.token, "other", vec![commands::purge()])
        .await;
    until("both are owed", async || {
        deliveries(&service.ledger).await.len() == 2
    })
    .await;
    assert_eq!(count(&service.ledger, "delivery.attempt_started").await, 0);

    service.advance(Duration::from_millis(300));
    let first = soon("the first", stage.receiver.wait_for(1)).await.unwrap();
    assert!(service.ledger.now() <= stage.started.plus(Duration::from_secs(2)));
    let proof = &first[0].json()["proof"];
    assert!(
        proof["unavailable"]
            .as_str()
            .unwrap()
            .contains("/v1/ledger/proof/inclusion")
    );
    let position = proof["position"].as_u64().unwrap();
    let told = service.ledger.events_from(position, 1).await.unwrap();
    assert_eq!(told[0].event.name(), "apply.ended");
    first[0].verify(SECRET.as_bytes()).unwrap();

    service.advance(Duration::from_secs(2));
    soon("the second", stage.receiver.wait_for(2))
        .await
        .unwrap();
    stage.service.crash().await;
}
