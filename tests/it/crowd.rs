//! Sixty-four clients at once, for ten seconds: nobody gets a 5xx, and nobody gets another's answer.

use fixtures::caller::Reply;
use fixtures::sandbox::Sandbox;
use fixtures::service::{Service, Task, ZONE, record};
use reqwest::Method;
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CLIENTS: usize = 64;
const SPAN: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_clients_for_ten_seconds_get_their_own_answers_and_no_5xx() {
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.remove("CLOUDFLARE_API_TOKEN");
    sandbox.settings.insert("RATE_LIMIT_RPS", "0".to_owned());
    let service = Arc::new(sandbox.start().await);
    service.grant(&["dns.record.write"]).await;
    let begun = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for number in 0..CLIENTS {
        let service = Arc::clone(&service);
        clients.spawn(async move { client(&service, number, begun).await });
    }
    let mut executions = BTreeSet::new();
    let mut applies = 0;
    while let Some(mine) = clients.join_next().await {
        let mine = mine.unwrap();
        applies += mine.len();
        executions.extend(mine);
    }
    assert!(applies >= CLIENTS, "only {applies} applies in {SPAN:?}");
    assert_eq!(executions.len(), applies, "each apply is one execution");
    let service = Arc::into_inner(service).unwrap();
    assert!(service.stop().await.success());
}

/// Applies, asks again with the same key, and looks at the task, over and over. Gives the
/// executions that it saw.
async fn client(service: &Service, number: usize, begun: Instant) -> Vec<String> {
    let task = open_task(service, number).await;
    let mut executions = Vec::new();
    let mut round = 0;
    while begun.elapsed() < SPAN {
        round += 1;
        let key = format!("client-{number}-{round}");
        let operation = record(&key);
        let first = service.apply(&task, &key, &operation).await;
        assert_own(&first, &task, &key);
        let again = service.apply(&task, &key, &operation).await;
        assert_eq!((again.status, &again.body), (200, &first.body));
        let path = format!("/v1/tasks/{}", task.id);
        let seen = service
            .caller
            .ask_with(Method::GET, &path, &task.token, None, None)
            .await
            .unwrap();
        assert_eq!(seen.status, 200, "{}", seen.text);
        assert_eq!(seen.text_at("task_id"), task.id);
        assert_eq!(seen.text_at("status"), "completed", "reads are not behind");
        executions.push(first.text_at("execution_id").to_owned());
    }
    executions
}

fn assert_own(reply: &Reply, task: &Task, key: &str) {
    assert_eq!(reply.status, 200, "{}", reply.text);
    assert_eq!(reply.text_at("status"), "completed");
    assert_eq!(reply.text_at("task_id"), task.id);
    assert_eq!(reply.text_at("idempotency_key"), key);
    assert!(reply.text.contains(&format!("{key}.example.com")));
}

/// A task without a callback: what is tried here is the way of an apply.
async fn open_task(service: &Service, number: usize) -> Task {
    let body = json!({
        "task_name": format!("client {number}"),
        "operations": [
            {"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": ZONE},
        ],
        "expires_in_seconds": 3600,
    });
    let made = service
        .caller
        .administer(Method::POST, "/v1/tasks", Some(&body))
        .await
        .unwrap();
    assert_eq!(made.status, 201, "{}", made.text);
    Task {
        id: made.text_at("task_id").to_owned(),
        token: made.text_at("capability_token").to_owned(),
    }
}
