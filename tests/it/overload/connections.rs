//! More connections than anybody needs.

use super::{
    Bystander, Question, Raw, ask, caller, metric, peak_kib, sandbox, sockets, sockets_are_back_at,
};
use fixtures::sandbox::until;
use fixtures::service::Service;
use tokio::task::JoinSet;

const GET: &str = "GET /v1/healthz HTTP/1.1\r\nhost: x\r\n\r\n";

/// Connects so many times, some at a time.
async fn crowd(service: &Service, count: usize) -> Vec<Raw> {
    let mut all = Vec::with_capacity(count);
    let mut connecting = JoinSet::new();
    for _ in 0..count {
        if connecting.len() >= 64 {
            all.extend(connecting.join_next().await.map(Result::unwrap));
        }
        connecting.spawn(Raw::connect(service.address));
    }
    all.extend(connecting.join_all().await);
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_idle_connections_keep_nobody_waiting_and_cost_little() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let bystander = Bystander::new(&sandbox, &service).await;
    bystander.is_served("before").await;
    let (before, base) = (sockets(&service), peak_kib(&service));
    // As many as this machine lets the test have, the service's end in a process of its own.
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let room = usize::try_from(most.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let count = 10_000.min(room.saturating_sub(1000));
    let mut idle = crowd(&service, count).await;
    // Half of them have been served once, which is what a connection at rest costs the most.
    for raw in idle.iter_mut().step_by(2) {
        raw.send(GET).await;
        assert_eq!(raw.answer().await.unwrap().status, 200);
    }
    bystander.is_served("meanwhile").await;
    assert!(metric(&service, "http_connections").await >= count as f64);
    let cost = peak_kib(&service).saturating_sub(base);
    println!("{count} connections at rest: {cost} KiB");
    assert!(cost < count * 24, "{cost} KiB for {count} connections");
    drop(idle);
    sockets_are_back_at(&service, before).await;
    bystander.is_served("after").await;
}

#[tokio::test]
async fn when_the_last_place_is_taken_the_idlest_makes_room() {
    let sandbox = sandbox(&[("MAX_CONNECTIONS", "16")]).await;
    let service = sandbox.start().await;
    let mut idle = crowd(&service, 40).await;
    // Whoever comes is served, though nobody has left.
    let mut served = ask(service.address, GET).await.unwrap();
    assert_eq!(served.status, 200);
    // The newest of those at rest are still there, the oldest are not.
    assert!(idle[0].ends().await);
    let newest = idle.last_mut().unwrap();
    newest.send(GET).await;
    served = newest.answer().await.unwrap();
    assert_eq!(served.status, 200);
    let ended = "http_connections_ended_total{why=\"made_room\"}";
    assert!(metric(&service, ended).await >= 24.0);
    assert!(metric(&service, "http_connections").await <= 16.0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_all_places_are_busy_a_newcomer_is_told_to_come_again() {
    let sandbox = sandbox(&[("MAX_CONNECTIONS", "16")]).await;
    let service = sandbox.start().await;
    let patient = caller(&sandbox, &service, "patient").waiting(60);
    let question = Question::of(&caller(&sandbox, &service, "patient")).await;
    let mut waits = JoinSet::new();
    for _ in 0..16 {
        let (patient, question) = (patient.clone(), question.clone());
        waits.spawn(async move {
            // Comes again where it was refused for want of a place; cut off at the end.
            loop {
                drop(question.status(&patient).await);
            }
        });
    }
    let refused = until("a refusal", async || {
        let answer = ask(service.address, GET).await?;
        (answer.status == 503).then_some(answer)
    })
    .await;
    assert_eq!(refused.problem(), 503);
    assert!(refused.has("retry-after: 1\r\n"), "{refused:?}");
    waits.shutdown().await;
    until("a place", async || {
        let answer = ask(service.address, GET).await?;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storms_of_connections_leave_no_descriptor_behind() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let bystander = Bystander::new(&sandbox, &service).await;
    bystander.is_served("before").await;
    let before = sockets(&service);
    let mut storm = JoinSet::new();
    for number in 0..2000 {
        if storm.len() >= 128 {
            storm.join_next().await.unwrap().unwrap();
        }
        let address = service.address;
        storm.spawn(async move {
            let mut raw = Raw::connect(address).await;
            match number % 4 {
                0 => {
                    let close = "GET /v1/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
                    raw.send(close).await;
                    assert_eq!(raw.answer().await.unwrap().status, 200);
                    assert!(raw.ends().await);
                }
                // Gone before it has read its answer, in the midst of a head, or at once.
                1 => drop(raw.send(GET).await),
                2 => drop(raw.send("GET /v1/hea").await),
                _ => {}
            }
        });
    }
    bystander.is_served("meanwhile").await;
    storm.join_all().await;
    sockets_are_back_at(&service, before).await;
    assert!(service.stop().await.success());
}
