//! Below the floor of free disk nothing new is taken in, and what ends something goes on.

use super::{metric, new_task, sandbox};
use fixtures::caller::Caller;
use fixtures::sandbox::Sandbox;
use fixtures::service::{Service, Task};
use reqwest::Method;
use serde_json::{Value, json};

/// An apply that deploys a script of about so many bytes, each number another one.
pub(super) fn deploy(number: usize, bytes: usize) -> Value {
    let script = format!("export default {{ n: {number} }}; //{}", "x".repeat(bytes));
    json!({"operations": [{
        "operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": "a1",
        "params": {"script_name": "site", "script": script},
    }]})
}

/// A task of a caller's own.
pub(super) async fn open_task(caller: &Caller) -> Task {
    let new_task = new_task();
    let made = caller.administer(Method::POST, "/v1/tasks", Some(&new_task));
    Task::of(&made.await.unwrap()).unwrap()
}

/// A question that waits, asked before the disk was full.
async fn waiting(service: &Service) -> (Task, Value) {
    let task = service.open_task().await;
    let reply = service
        .apply(&task, "k", &fixtures::service::deployment())
        .await;
    assert_eq!(reply.status, 202, "{}", reply.text);
    (task, reply.body)
}

/// How many events of tasks and applies there are. Workers may go on recording what they read.
async fn asked_for(sandbox: &Sandbox) -> usize {
    let events = sandbox.events().await;
    let of_callers = events.iter().filter(|recorded| {
        let name = recorded.event.name();
        name.starts_with("task.") || name.starts_with("apply.")
    });
    of_callers.count()
}

#[tokio::test]
async fn below_the_floor_nothing_new_is_taken_in_and_what_ends_something_goes_on() {
    let mut sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let (task, asked) = waiting(&service).await;
    assert!(service.stop().await.success());

    let floor = (1_u64 << 50).to_string();
    sandbox.settings.insert("LEDGER_MIN_FREE_BYTES", floor);
    // It says at once that it is not ready, and serves.
    let service = sandbox.try_start().await.unwrap();
    let ready = service
        .caller
        .ask(Method::GET, "/v1/readyz", None)
        .await
        .unwrap();
    assert_eq!(ready.status, 503);
    assert!(
        ready.text.contains("LEDGER_MIN_FREE_BYTES"),
        "{}",
        ready.text
    );
    assert!(metric(&service, "ledger_free_bytes").await > 0.0);
    assert!(metric(&service, "ledger_min_free_bytes").await > 1e15);

    let kept = asked_for(&sandbox).await;
    let new = service
        .apply(&task, "new", &fixtures::service::record("www"))
        .await;
    assert_eq!(new.status, 507, "{}", new.text);
    assert_eq!(new.text_at("code"), "insufficient_storage");
    assert_eq!(new.body["status"], 507);
    let made = service.ask_for_task().await.unwrap();
    assert_eq!(made.status, 507, "{}", made.text);
    assert_eq!(asked_for(&sandbox).await, kept);

    let again = service
        .apply(&task, "k", &fixtures::service::deployment())
        .await;
    assert_eq!(again.status, 202, "a known key is answered as before");
    let link = asked["approval_url"].as_str().unwrap();
    let link = link.strip_prefix(fixtures::sandbox::BASE_URL).unwrap();
    let page = service.caller.ask(Method::GET, link, None).await.unwrap();
    assert_eq!(page.status, 200, "{}", page.text);
    let close = format!("/v1/tasks/{}/close", task.id);
    let closed = service
        .caller
        .ask_with(Method::POST, &close, &task.token, None, None)
        .await
        .unwrap();
    assert_eq!(closed.status, 200, "{}", closed.text);

    let doctor = sandbox.run("doctor");
    let (told, _) = fixtures::process::said(&doctor);
    assert!(told.contains("LEDGER_MIN_FREE_BYTES"), "{told}");
}
