//! What agents are told: before an apply, and of upstream's answer to it.

use fixtures::caller::Reply;
use fixtures::sandbox::{PATIENCE, Sandbox};
use fixtures::service::{Service, Task, record};
use fixtures::upstream::Fault;
use reqwest::Method;
use serde_json::json;

async fn effect(service: &Service, task: &Task) -> String {
    let path = format!("/v1/tasks/{}/plan", task.id);
    let body = json!({"operations": [record("www")]});
    let asked = service
        .caller
        .ask_with(Method::POST, &path, &task.token, None, Some(&body));
    let Reply {
        status, body, text, ..
    } = asked.await.unwrap();
    assert_eq!(status, 200, "{text}");
    body["planned_diff"][0]["effect"]
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_plan_reads_the_zones_name_and_does_not_wait_long_for_it() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let task = service.open_task().await;
    sandbox
        .upstream
        .on_next_of("GET", "/zones/", Fault::Delay(PATIENCE));
    let unread = effect(&service, &task).await;
    assert!(
        unread.starts_with("zone z1, whose name cannot be read (upstream did not answer in time"),
        "{unread}"
    );
    sandbox.upstream.name_zone("z1", "example.net");
    for _ in 0..2 {
        let read = effect(&service, &task).await;
        assert_eq!(
            read,
            "www.example.com.example.net in zone example.net (id z1)"
        );
    }
    let requests = sandbox.upstream.requests();
    let paths: Vec<_> = requests.iter().map(|request| &request.path).collect();
    assert_eq!(paths.len(), 2, "the name is kept: {paths:?}");
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn what_upstream_says_beside_its_result_is_kept() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.grant(&["dns.record.write"]).await;
    let task = service.open_task().await;
    for (key, note, status, outcome) in [
        ("k1", "the zone has few records left", 200, "succeeded"),
        ("k2", "a record like this one exists", 409, "failed"),
    ] {
        sandbox
            .upstream
            .on_next_mutation(Fault::Note(note.to_owned()));
        let reply = service.apply(&task, key, &record("www")).await;
        assert_eq!(reply.status, status, "{}", reply.text);
        let path = format!(
            "/v1/tasks/{}/applies/{}",
            task.id,
            reply.text_at("apply_id")
        );
        let asked = service
            .caller
            .ask_with(Method::GET, &path, &task.token, None, None);
        for body in [&reply.body, &asked.await.unwrap().body] {
            let result = &body["results"][0];
            assert_eq!(result["outcome"], outcome, "{body}");
            let said = json!([{"code": 10_022, "message": note}]);
            assert_eq!(result["messages"], said, "{body}");
        }
    }
    assert!(service.stop().await.success());
}
