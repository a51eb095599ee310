//! Schedules over the workers: fired by the clock, carried out, and once, whatever ends the service.

use super::{COMPLETED, Outside, Service, count, ended, until};
use fixtures::commands::{purge, put_schedule};
use ledger::Event;
use ledger::aggregate::Apply;
use std::sync::Arc;
use std::time::Duration;

const TEN_MINUTES: Duration = Duration::from_secs(600);

async fn fired(service: &Service, times: usize) -> Arc<Apply> {
    until("the schedule fires", async || {
        count(&service.ledger, "schedule.fired").await == times
    })
    .await;
    let events = super::events(&service.ledger).await;
    let newest = events
        .iter()
        .rev()
        .find_map(|recorded| match &recorded.event {
            Event::ScheduleFired(fired) => Some(fired.apply_id),
            _ => None,
        });
    ended(&service.ledger, newest.unwrap()).await
}

#[tokio::test]
async fn a_schedule_fires_at_its_instants_and_what_it_asks_for_is_carried_out() {
    let service = Service::start(Outside::simulated()).await;
    let put = put_schedule("nightly", vec![purge()]);
    service.ledger.run(put).await.unwrap();
    for times in 1..=2 {
        service.advance(TEN_MINUTES);
        let apply = fired(&service, times).await;
        assert_eq!(apply.end, COMPLETED);
    }
    service.end().await;
}

#[tokio::test]
async fn a_service_that_is_killed_around_an_instant_fires_it_once() {
    let mut service = Service::start(Outside::simulated()).await;
    let put = put_schedule("nightly", vec![purge()]);
    service.ledger.run(put).await.unwrap();
    for round in 0..8_u32 {
        service.advance(TEN_MINUTES);
        // A little more of the firing happens in each round before the end.
        for _ in 0..round * 40 {
            tokio::task::yield_now().await;
        }
        let closed = service.crash().await;
        let ledger = closed.open().await.unwrap();
        service = Service::over(ledger, Outside::simulated()).await;
        let times = usize::try_from(round).unwrap() + 1;
        fired(&service, times).await;
        assert_eq!(count(&service.ledger, "schedule.missed").await, 0);
    }
    service.end().await;
}
