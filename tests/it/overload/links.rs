//! An agent's own approval links: they take no place from others, and their pages are bounded.

use super::asking::open_task;
use super::{Bystander, Raw, ask, caller, sandbox};
use fixtures::sandbox::{BASE_URL, Sandbox, until};
use fixtures::service::Service;
use reqwest::Method;
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

/// The path of the link to a question about these operations.
pub(super) async fn link(sandbox: &Sandbox, service: &Service, operation: &Value) -> String {
    let flood = caller(sandbox, service, "flood");
    let task = open_task(&flood).await;
    let path = format!("/v1/tasks/{}/apply", task.id);
    let body = json!({"operations": [operation]});
    let asked = flood.ask_with(Method::POST, &path, &task.token, Some("k"), Some(&body));
    let asked = asked.await.unwrap();
    assert_eq!(asked.status, 202, "{}", asked.text);
    let url = asked.text_at("approval_url");
    url.strip_prefix(BASE_URL).unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_never_come_through_a_link_take_no_place_from_others() {
    let sandbox = sandbox(&[("RATE_LIMIT_RPS", "0")]).await;
    let service = sandbox.start().await;
    let bystander = Bystander::new(&sandbox, &service).await;
    let link = link(&sandbox, &service, &fixtures::service::deployment()).await;
    let mut held = Vec::new();
    for _ in 0..300 {
        let mut raw = Raw::connect(service.address).await;
        let head = format!(
            "POST {link}/verify HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n\
             content-length: 1000\r\n\r\n"
        );
        assert!(raw.send(head).await);
        held.push(raw);
    }
    for number in 0..20 {
        bystander.is_served(&format!("k{number}")).await;
    }
    let mut limited = 0;
    for raw in &mut held {
        match raw.answer().await.unwrap().problem() {
            408 => {}
            429 => limited += 1,
            other => panic!("{other}"),
        }
    }
    assert!(limited >= 284, "{limited}: sixteen had a place");
    // The link works again for people.
    let page = format!("GET {link} HTTP/1.1\r\nhost: x\r\naccept: text/html\r\n\r\n");
    until("a place", async || {
        (ask(service.address, &page).await?.status == 200).then_some(())
    })
    .await;
}

/// The request for the page of a script of 10 MiB whose every other letter draws nothing.
pub(super) async fn views(sandbox: &Sandbox, service: &Service) -> String {
    let script = format!("export default {{}};\n//{}", "\u{17d2}a".repeat(2 * MIB));
    let operation = json!({
        "operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": "a1",
        "params": {"script_name": "site", "script": script},
    });
    let link = link(sandbox, service, &operation).await;
    format!("GET {link} HTTP/1.1\r\nhost: x\r\naccept: text/html\r\n\r\n")
}
