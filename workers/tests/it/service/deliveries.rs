//! Callbacks from what is owed to what arrives.

use super::*;
use fixtures::receiver::Answer;
use fixtures::rules::TestRules;
use futures_util::future::join_all;
use ledger::command::{RetryDelivery, StartAttempt};
use ledger::event::AttemptOutcome;
use ledger::{MasterKeys, Timestamp};
use ledger_sqlite::{LedgerOptions, Unproven};
use zeroize::Zeroizing;

/// Later than any wait between two tries.
const LATER: Duration = Duration::from_secs(24 * 3600);

fn is_given_up(delivery: &Delivery) -> bool {
    delivery.state == DeliveryState::GivenUp
}

/// The only delivery, once there is one.
async fn only_delivery(ledger: &TestLedger) -> DeliveryId {
    until("a delivery is owed", async || {
        !deliveries(ledger).await.is_empty()
    })
    .await;
    let [id] = <[_; 1]>::try_from(deliveries(ledger).await).unwrap();
    id
}

async fn attempts(ledger: &TestLedger) -> Vec<AttemptOutcome> {
    let events = events(ledger).await;
    let ended = events.iter().filter_map(|event| match &event.event {
        Event::AttemptEnded(ended) => Some(ended.outcome.clone()),
        _ => None,
    });
    ended.collect()
}

#[tokio::test]
async fn the_end_of_an_apply_arrives_signed() {
    let receiver = Receiver::start().await.unwrap();
    let service = Service::start(Outside::simulated().trusting(&receiver)).await;
    let token = service.task_with_callback(&receiver).await;
    service.submit(&token, "key", vec![commands::purge()]).await;

    let request = soon("the callback", receiver.wait_for(1))
        .await
        .unwrap()
        .remove(0);
    request.verify(SECRET.as_bytes()).unwrap();
    let id = only_delivery(&service.ledger).await;
    let delivery = delivery(&service.ledger, id, is_delivered).await;
    let begin = format!(r#"{{"event":{},"proof":"#, delivery.owed.event);
    assert!(request.body().starts_with(begin.as_bytes()));
    assert!(request.json()["proof"]["unavailable"].is_string(), "no key");
    let event = &request.json()["event"];
    assert_eq!(event["event_type"], "apply.finished");
    assert_eq!(event["payload"]["simulated"], true);
    assert_eq!(event["event_id"], delivery.owed.event_id.to_string());
    service.end().await;
}

#[tokio::test]
async fn every_try_carries_the_same_event_until_one_arrives() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([Answer::status(500), Answer::closed(), Answer::status(302)]);
    let service = Service::start(Outside::simulated().trusting(&receiver)).await;
    let token = service.task_with_callback(&receiver).await;
    service.submit(&token, "key", vec![commands::purge()]).await;
    let id = only_delivery(&service.ledger).await;
    for tries in 1..=3 {
        let failed = |delivery: &Delivery| {
            delivery.attempts == tries && matches!(delivery.state, DeliveryState::Due(_))
        };
        delivery(&service.ledger, id, failed).await;
        service.advance(LATER);
    }
    let delivery = delivery(&service.ledger, id, is_delivered).await;

    assert_eq!((delivery.attempts, receiver.received().len()), (4, 4));
    let event_id = delivery.owed.event_id.to_string();
    let first = receiver.received().remove(0);
    for request in receiver.received() {
        assert_eq!(request.header("webhook-id"), Some(&*event_id));
        assert_eq!(request.body(), first.body());
        request.verify(SECRET.as_bytes()).unwrap();
    }
    service.end().await;
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([Answer::status(503).retry_after("1800")]);
    let service = Service::start(Outside::simulated().trusting(&receiver)).await;
    let token = service.task_with_callback(&receiver).await;
    service.submit(&token, "key", vec![commands::purge()]).await;
    let id = only_delivery(&service.ledger).await;
    let failed = delivery(&service.ledger, id, |found| {
        found.attempts == 1 && matches!(found.state, DeliveryState::Due(_))
    })
    .await;
    let asked: Timestamp = service.ledger.now().plus(Duration::from_secs(1800));
    assert_eq!(failed.state, DeliveryState::Due(asked));
    service.advance(Duration::from_secs(1800));
    delivery(&service.ledger, id, is_delivered).await;
    service.end().await;
}

#[tokio::test]
async fn giving_up_is_visible_and_a_person_can_try_again() {
    let receiver = Receiver::start().await.unwrap();
    receiver.answer_afterwards(Answer::status(500));
    let service = Service::start(Outside::simulated().trusting(&receiver)).await;
    let token = service.task_with_callback(&receiver).await;
    service.submit(&token, "key", vec![commands::purge()]).await;
    let id = only_delivery(&service.ledger).await;
    for tries in 1..=5 {
        let tried =
            |found: &Delivery| found.attempts == tries && found.state != DeliveryState::UnderWay;
        delivery(&service.ledger, id, tried).await;
        service.advance(LATER);
    }
    delivery(&service.ledger, id, is_given_up).await;
    assert_eq!(receiver.received().len(), 5);

    receiver.answer_afterwards(Answer::default());
    let retry = RetryDelivery {
        delivery_id: id,
        reason: Some("the receiver was repaired".to_owned()),
    };
    service.ledger.run(retry).await.unwrap();
    let delivered = delivery(&service.ledger, id, is_delivered).await;
    assert_eq!(delivered.attempts, 6);
    service.end().await;
}

#[tokio::test]
async fn a_slow_endpoint_delays_no_other() {
    let slow = Receiver::start().await.unwrap();
    slow.answer_afterwards(Answer::hanging());
    let quick = Receiver::start().await.unwrap();
    let outside = Outside::simulated().trusting(&slow).trusting(&quick);
    let service = Service::start(outside).await;
    let to_slow = service.task_with_callback(&slow).await;
    join_all((0..80).map(async |n| {
        let key = format!("slow{n}");
        service
            .submit(&to_slow, &key, vec![commands::purge()])
            .await;
    }))
    .await;
    soon("the slow one is busy", slow.wait_for(4))
        .await
        .unwrap();

    let to_quick = service.task_with_callback(&quick).await;
    service
        .submit(&to_quick, "quick", vec![commands::purge()])
        .await;
    soon("the quick one is served", quick.wait_for(1))
        .await
        .unwrap();
    assert!(slow.received().len() <= 4, "its share and no more");
    slow.release();
    soon("the slow one gets everything", slow.wait_for(80))
        .await
        .unwrap();
    service.end().await;
}

#[tokio::test]
async fn a_path_that_hangs_delays_no_other_path_of_its_host() {
    let receiver = Receiver::start().await.unwrap();
    receiver.answer_on("/hang", Answer::hanging());
    let service = Service::start(Outside::simulated().trusting(&receiver)).await;
    let task_at = async |path: &str| {
        let url = format!("https://localhost:{}{path}", receiver.address().port());
        let task = CreateTask {
            callback: Some(ledger::command::NewCallback {
                url: commands::callback_url(&url),
                ..commands::callback(1, SECRET)
            }),
            ..commands::create_task()
        };
        service.ledger.run(task).await.unwrap()
    };
    let hanging = task_at("/hang").await;
    join_all((0..80).map(async |n| {
        let key = format!("hang{n}");
        service
            .submit(&hanging, &key, vec![commands::purge()])
            .await;
    }))
    .await;
    soon("the path is busy", receiver.wait_for(4))
        .await
        .unwrap();

    let quick = task_at("/quick").await;
    for n in 0..20 {
        let key = format!("quick{n}");
        service.submit(&quick, &key, vec![commands::purge()]).await;
    }
    soon("the other path is served", receiver.wait_for(24))
        .await
        .unwrap();
    let at = |path: &str| {
        receiver
            .received()
            .iter()
            .filter(|it| it.path_and_query() == path)
            .count()
    };
    assert_eq!((at("/hang"), at("/quick")), (4, 20));
    receiver.release();
    soon("the path gets everything", receiver.wait_for(100))
        .await
        .unwrap();
    service.end().await;
}

#[tokio::test]
async fn a_receiver_that_says_gone_is_asked_once() {
    let receiver = Receiver::start().await.unwrap();
    receiver.answer_afterwards(Answer::status(410));
    let service = Service::start(Outside::simulated().trusting(&receiver)).await;
    let token = service.task_with_callback(&receiver).await;
    service.submit(&token, "key", vec![commands::purge()]).await;
    let id = only_delivery(&service.ledger).await;
    let given_up = delivery(&service.ledger, id, is_given_up).await;
    assert_eq!((given_up.attempts, receiver.received().len()), (1, 1));
    service.end().await;
}

#[tokio::test]
async fn a_try_that_was_under_way_at_a_crash_is_repeated_with_the_same_event() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([Answer::hanging()]);
    let outside = Outside::simulated().trusting(&receiver);
    let service = Service::start(outside.clone()).await;
    let token = service.task_with_callback(&receiver).await;
    service.submit(&token, "key", vec![commands::purge()]).await;
    soon("the first try", receiver.wait_for(1)).await.unwrap();
    let id = only_delivery(&service.ledger).await;

    let ledger = service.crash().await.open().await.unwrap();
    let service = Service::over(ledger, outside).await;
    let interrupted = |found: &Delivery| matches!(found.state, DeliveryState::Due(_));
    delivery(&service.ledger, id, interrupted).await;
    service.advance(LATER);
    let delivered = delivery(&service.ledger, id, is_delivered).await;

    assert_eq!(delivered.attempts, 2);
    let outcomes = attempts(&service.ledger).await;
    assert_eq!(
        outcomes,
        [
            AttemptOutcome::Interrupted,
            AttemptOutcome::Delivered { http_status: 200 }
        ]
    );
    let received = receiver.received();
    assert_eq!(received[0].body(), received[1].body());
    service.end().await;
}

#[tokio::test]
async fn a_claim_that_a_crash_left_is_ended_at_the_start() {
    let receiver = Receiver::start().await.unwrap();
    let outside = Outside::simulated().trusting(&receiver);
    let ledger = TestLedger::open().await;
    ledger.grant_all().await;
    let task = CreateTask {
        callback: Some(commands::callback(receiver.address().port(), SECRET)),
        ..commands::create_task()
    };
    let token = ledger.run(task).await.unwrap();
    let ssl = vec![commands::ssl_mode("strict")];
    ledger.submit(&token, "key", ssl).await.unwrap().unwrap();
    let delivery_id = only_delivery(&ledger).await;
    ledger.run(StartAttempt { delivery_id }).await.unwrap();
    let service = Service::over(ledger.restart().await, outside).await;
    let is_due = |found: &Delivery| matches!(found.state, DeliveryState::Due(_));
    delivery(&service.ledger, delivery_id, is_due).await;
    assert!(receiver.received().is_empty());
    service.advance(LATER);
    delivery(&service.ledger, delivery_id, is_delivered).await;
    service.end().await;
}

#[tokio::test]
async fn a_secret_that_does_not_open_is_a_failed_try_of_its_own() {
    let receiver = Receiver::start().await.unwrap();
    let ledger = TestLedger::open().await;
    let task = CreateTask {
        callback: Some(commands::callback(receiver.address().port(), SECRET)),
        ..commands::create_task()
    };
    let token = ledger.run(task).await.unwrap();
    let ssl = vec![commands::ssl_mode("strict")];
    ledger.submit(&token, "key", ssl).await.unwrap().unwrap();
    let clock = ledger.clock.clone();
    let closed = ledger.close().await;

    let mut rules = TestRules::default().build();
    rules.master_keys = Arc::new(MasterKeys::new(&Zeroizing::new([7; 32]), &[]));
    let url = format!("sqlite://{}", closed.path().display());
    let options = LedgerOptions {
        clock: Arc::new(clock),
        // With another key nothing proves what the first one wrote.
        unproven: Unproven::Accept,
        ..LedgerOptions::new(url, rules)
    };
    let (ledger, _writer) = ledger_sqlite::open(options).await.unwrap();
    let folder = closed.path().parent().unwrap();
    let url = format!("sqlite://{}", folder.join("proxy.db").display());
    let options = ProjectionOptions {
        url,
        ledger: ledger.clone(),
    };
    let (projections, runner) = Projections::open(options).await.unwrap();
    let stop = CancellationToken::new();
    tokio::spawn(runner.run(stop.clone()));
    let outside = Outside::simulated().trusting(&receiver);
    let supervisor = start(outside.config(), &ledger, &projections, &stop);

    until("the try has failed", async || {
        let events = ledger.events_from(0, 1000).await.unwrap();
        events.iter().any(|event| match &event.event {
            Event::AttemptEnded(ended) => matches!(
                &ended.outcome,
                AttemptOutcome::Failed { code, .. } if code == "secret_unreadable"
            ),
            _ => false,
        })
    })
    .await;
    assert!(receiver.received().is_empty());
    stop.cancel();
    supervisor.drained().await;
}

#[tokio::test]
async fn what_is_under_way_is_finished_before_the_end() {
    let receiver = Receiver::start().await.unwrap();
    receiver.script([Answer::hanging()]);
    let service = Service::start(Outside::simulated().trusting(&receiver)).await;
    let token = service.task_with_callback(&receiver).await;
    service.submit(&token, "key", vec![commands::purge()]).await;
    soon("the try", receiver.wait_for(1)).await.unwrap();
    let id = only_delivery(&service.ledger).await;
    service.stop.cancel();
    receiver.release();
    let ledger = service.end().await.open().await.unwrap();
    let found = ledger.load::<Delivery>(id).await.unwrap().unwrap();
    assert!(is_delivered(&found));
}
