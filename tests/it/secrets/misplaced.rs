//! Secrets in places where they do not belong.

use super::Answers;
use fixtures::service::{Service, Task, record};
use reqwest::Method;
use serde_json::{Value, json};

/// Requests that carry a secret where none belongs.
pub(super) async fn misplaced(service: &Service, task: &Task, secret: &str, answers: &mut Answers) {
    let operation = record("misplaced");
    let bodies = [
        json!({ secret: 1 }),
        json!({"operations": [operation], secret: true}),
        json!({"operations": [{ secret: {} }]}),
        json!({"operations": secret}),
        json!({"operations": [{"operation_id": secret}]}),
        json!({"operations": [{"operation_id": "dns.record.write", "scope_type": secret,
            "scope_id": "z1", "params": {}}]}),
        json!({"operations": [{"operation_id": "dns.record.write", "scope_type": "zone",
            "scope_id": "z1", "params": { secret: 1 }}]}),
        json!({"operations": [{"operation_id": "dns.record.write", "scope_type": "zone",
            "scope_id": "z1", "params": {"type": secret, "name": "a.example.com"}}]}),
        json!({"operations": [operation], "callback": {"url": "https://localhost/", secret: secret}}),
        json!({"operations": [operation], "callback": {"url": secret, "secret": secret}}),
        json!({"resume_token": format!("{secret}x")}),
    ];
    for (number, body) in bodies.iter().enumerate() {
        // Of one task ten refusals a minute are recorded, and all of these should be.
        let task = service.open_task().await;
        let path = |rest: &str| format!("/v1/tasks/{}{rest}", task.id);
        for route in [
            "/apply",
            "/apply/continue",
            "/plan",
            "/approve",
            "/dns/create",
        ] {
            let key = format!("misplaced-{number}");
            let reply = service
                .caller
                .ask_with(
                    Method::POST,
                    &path(route),
                    &task.token,
                    Some(&key),
                    Some(body),
                )
                .await
                .unwrap();
            assert!(reply.status >= 400, "{route} {body}: {}", reply.text);
            answers.keep(route, &reply);
        }
        let reply = service
            .caller
            .administer(Method::POST, "/v1/tasks", Some(body))
            .await
            .unwrap();
        answers.keep("/v1/tasks", &reply);
    }
    for url in [
        format!("/v1/tasks/{}?token={secret}", task.id),
        format!("/v1/tasks/{secret}"),
        format!("/v1/nowhere/{secret}"),
        format!("/v1/approve/{secret}x"),
        format!("/v1/enrol/{secret}x"),
        format!("/v1/ledger/events?limit={secret}"),
        format!("/v1/ledger/events?{secret}=1"),
        format!("/v1/ledger/proof/inclusion?index={secret}&{secret}=1"),
    ] {
        for token in [task.token.as_str(), secret, "none"] {
            let reply = service
                .caller
                .ask_with(Method::GET, &url, token, None, None)
                .await;
            answers.keep("a wrong place", &reply.unwrap());
        }
    }
    raw(service, task, secret, answers).await;
}

/// What no client library sends.
async fn raw(service: &Service, task: &Task, secret: &str, answers: &mut Answers) {
    let http = reqwest::Client::new();
    let url = format!("http://{}/v1/tasks/{}", service.address, task.id);
    let ask = |name: &'static str, value: String| {
        let request = http.request(Method::GET, &url).header(name, value);
        async move { request.send().await.unwrap().text().await.unwrap() }
    };
    for (name, value) in [
        ("authorization", format!("Basic {secret}")),
        ("authorization", secret.to_owned()),
        ("x-client-subject", secret.to_owned()),
        ("x-request-id", secret.to_owned()),
        ("cookie", format!("session={secret}")),
        ("prefer", format!("wait={secret}")),
    ] {
        answers.0.push((name.to_owned(), ask(name, value).await));
    }
    // Malformed, cut off, and of another kind.
    for body in [
        format!("{{\"operations\": [], \"token\": \"{secret}"),
        format!("{{\"{secret}\": "),
        format!("{{\"a\": \"{secret}\", \"a\": 1}}"),
        format!("{{\"{secret}\": 1, \"{secret}\": 2}}"),
        secret.to_owned(),
        format!("token={secret}"),
    ] {
        let body = Value::String(body);
        let text = body.as_str().unwrap().to_owned();
        let request = http
            .post(format!("{url}/apply"))
            .header("content-type", "application/json")
            .body(text);
        let reply = request.send().await.unwrap().text().await.unwrap();
        answers.0.push(("malformed".to_owned(), reply));
    }
}
