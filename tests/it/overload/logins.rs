//! Logins that are too many at a time: the rest is served.

use super::{Bystander, Raw, SOON, ask, metric, sandbox};
use fixtures::sandbox::until;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

const LOGINS: usize = 500;

/// What a password may be verified for at a time: two, and 64 that wait.
const TAKEN: usize = 66;

/// A login by a name that nobody has, as a proxy sends it on for a client of its own: nobody is throttled.
fn login(number: usize) -> String {
    let body = format!(r#"{{"username":"nobody-{number}","password":"correct horse battery"}}"#);
    let (high, low) = (number / 250, number % 250);
    format!(
        "POST /v1/auth/login HTTP/1.1\r\nhost: localhost:8080\r\nx-forwarded-for: 203.0.{high}.{low}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_logins_at_once_leave_the_rest_served() {
    let sandbox = sandbox(&[("TRUSTED_PROXIES", "127.0.0.1/32")]).await;
    let service = sandbox.start().await;
    let bystander = Bystander::new(&sandbox, &service).await;
    let mut ready = Vec::with_capacity(LOGINS);
    for _ in 0..LOGINS {
        ready.push(Raw::connect(service.address).await);
    }
    let mut logins = JoinSet::new();
    for (number, mut raw) in ready.into_iter().enumerate() {
        logins.spawn(async move {
            let begun = Instant::now();
            assert!(raw.send(login(number)).await);
            (raw.answer().await.unwrap(), begun.elapsed())
        });
    }
    until("passwords that wait", async || {
        (metric(&service, "passwords_under_way").await > 2.0).then_some(())
    })
    .await;
    let mut served = 0;
    let mut slowest = Duration::ZERO;
    while metric(&service, "passwords_under_way").await > 0.0 {
        let begun = Instant::now();
        let health = "GET /v1/healthz HTTP/1.1\r\nhost: x\r\n\r\n";
        let health = ask(service.address, health).await.unwrap();
        assert_eq!(health.status, 200);
        bystander.is_served(&format!("k{served}")).await;
        slowest = slowest.max(begun.elapsed());
        served += 1;
    }
    let (mut verified, mut refused, mut longest_refusal) = (0, 0, Duration::ZERO);
    while let Some(login) = logins.join_next().await {
        let (answer, elapsed) = login.unwrap();
        match answer.problem() {
            401 => verified += 1,
            503 => {
                assert!(answer.has("retry-after: "), "{answer:?}");
                longest_refusal = longest_refusal.max(elapsed);
                refused += 1;
            }
            status => panic!("{status}: {answer:?}"),
        }
    }
    println!(
        "{verified} verified, {refused} refused in {longest_refusal:?} at most; {served} rounds of others, \
         {slowest:?} at most"
    );
    assert!(verified >= TAKEN, "{verified} verified, {refused} refused");
    assert!(refused > 0 && longest_refusal < SOON, "{longest_refusal:?}");
    assert!(slowest < SOON, "{slowest:?}");
    // There is nothing left of it.
    let mut raw = Raw::connect(service.address).await;
    assert!(raw.send(login(LOGINS)).await);
    assert_eq!(raw.answer().await.unwrap().problem(), 401);
    assert!(service.stop().await.success());
}
