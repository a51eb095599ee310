//! A subject at its limit lowers nobody else's.

use super::{Bystander, Question, caller, metric, sandbox};
use fixtures::sandbox::until;
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_refused_requests_is_limited_and_the_others_go_on_as_before() {
    let sandbox = sandbox(&[("RATE_LIMIT_RPS", "50")]).await;
    let service = sandbox.start().await;
    let bystander = Bystander::new(&sandbox, &service).await;
    let events = sandbox.events().await.len();
    let flood = caller(&sandbox, &service, "flood");
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..32 {
        let (flood, is_over) = (flood.clone(), Arc::clone(&is_over));
        clients.spawn(async move {
            let mut statuses = BTreeMap::new();
            while !is_over.load(Ordering::Relaxed) {
                let path = "/v1/tasks/00000000-0000-7000-8000-000000000000/apply";
                let body = json!({"operations": []});
                let reply = flood
                    .ask_with(Method::POST, path, "no.such.token", Some("k"), Some(&body))
                    .await
                    .unwrap();
                assert_eq!(reply.body["status"], reply.status, "{}", reply.text);
                *statuses.entry(reply.status).or_insert(0_u32) += 1;
            }
            statuses
        });
    }
    until("the limit", async || {
        let series = "http_requests_total{method=\"POST\",route=\"/v1/tasks/{task_id}/apply\",status=\"429\"}";
        (metric(&service, series).await > 0.0).then_some(())
    })
    .await;
    // Its own rate is 50 a second, and it has the whole of it.
    let began = Instant::now();
    for number in 0..50 {
        bystander.is_served(&format!("k{number}")).await;
    }
    println!("50 applies beside the flood: {:?}", began.elapsed());
    is_over.store(true, Ordering::Relaxed);
    let mut statuses = BTreeMap::new();
    for client in clients.join_all().await {
        for (status, count) in client {
            *statuses.entry(status).or_insert(0) += count;
        }
    }
    println!("the flood: {statuses:?}");
    assert!(statuses.keys().all(|status| [401, 429].contains(status)));
    assert!(statuses[&429] > statuses[&401] / 2, "{statuses:?}");
    let recorded = sandbox.events().await;
    let of_flood = recorded[events..]
        .iter()
        .filter(|event| event.event.name().contains("refus"));
    assert_eq!(of_flood.count(), 0, "strangers fill no ledger");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_that_waits_for_many_leaves_room_for_others() {
    let sandbox = sandbox(&[("RATE_LIMIT_RPS", "0")]).await;
    let service = sandbox.start().await;
    let bystander = Bystander::new(&sandbox, &service).await;
    let now = caller(&sandbox, &service, "patient");
    let question = Question::of(&now).await;
    let mut waits = JoinSet::new();
    let waits_too = || {
        let (patient, question) = (now.waiting(60), question.clone());
        async move { drop(question.status(&patient).await) }
    };
    for _ in 0..1024 {
        waits.spawn(waits_too());
    }
    let refused = until("the limit", async || {
        let reply = question.status(&now).await.unwrap();
        if reply.status == 200 {
            // This had a place that one of them was refused meanwhile, and nobody has it now.
            waits.spawn(waits_too());
            return None;
        }
        Some(reply)
    })
    .await;
    assert_eq!(refused.status, 429, "{}", refused.text);
    assert_eq!(refused.text_at("code"), "rate_limited");
    assert!(metric(&service, "http_requests_under_way").await >= 1000.0);
    for number in 0..20 {
        bystander.is_served(&format!("k{number}")).await;
    }
    waits.shutdown().await;
    until("the end of those who waited", async || {
        (metric(&service, "http_requests_under_way").await <= 2.0).then_some(())
    })
    .await;
    assert_eq!(question.status(&now).await.unwrap().status, 200);
}
