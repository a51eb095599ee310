//! Bodies at the limit, over it, and many at a time.

use super::{Answer, Bystander, Raw, caller, metric, new_task, peak_kib, sandbox, signed};
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::Service;
use reqwest::Method;
use serde_json::{Value, json};

const MIB: usize = 1024 * 1024;

/// How a body says how long it is.
#[derive(Debug, Clone, Copy)]
enum Length {
    Said,
    Chunked,
}

/// A subject with a task.
pub(super) struct Sender<'a> {
    service: &'a Service,
    sandbox: &'a Sandbox,
    subject: &'static str,
    task: String,
    token: String,
    bootstrap: String,
}

impl<'a> Sender<'a> {
    pub(super) async fn new(
        sandbox: &'a Sandbox,
        service: &'a Service,
        subject: &'static str,
    ) -> Self {
        let caller = caller(sandbox, service, subject);
        let made = caller
            .administer(Method::POST, "/v1/tasks", Some(&new_task()))
            .await
            .unwrap();
        assert_eq!(made.status, 201, "{}", made.text);
        Self {
            service,
            sandbox,
            subject,
            task: made.text_at("task_id").to_owned(),
            token: made.text_at("capability_token").to_owned(),
            bootstrap: caller.bootstrap_token().unwrap(),
        }
    }

    pub(super) fn head(&self, path: &str, key: &str, length: &str) -> String {
        let path = path.replace("{task}", &self.task);
        let token = if path == "/v1/tasks" {
            &self.bootstrap
        } else {
            &self.token
        };
        format!(
            "POST {path} HTTP/1.1\r\nhost: x\r\n{}authorization: Bearer {token}\r\n\
             idempotency-key: {key}\r\ncontent-type: application/json\r\n{length}\r\n\r\n",
            signed(self.sandbox, self.subject)
        )
    }

    /// Has an apply of nearly 10 MiB accepted, and says which it is.
    pub(super) async fn large_apply(&self) -> String {
        let script = json!({
            "scope_id": "a1", "script_name": "large",
            "script": "\"\n".repeat(2_400_000),
        });
        let path = "/v1/tasks/{task}/workers/deploy";
        let bytes = script.to_string().len();
        let asked = self.send(path, "large", &script, bytes, Length::Said).await;
        assert_eq!(asked.status, 202, "{asked:?}");
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        body["apply_id"].as_str().unwrap().to_owned()
    }

    /// The request that asks for all of an apply.
    pub(super) fn asks_for(&self, apply: &str) -> String {
        format!(
            "GET /v1/tasks/{}/applies/{apply} HTTP/1.1\r\nhost: x\r\n{}authorization: Bearer {}\r\n\r\n",
            self.task,
            signed(self.sandbox, self.subject),
            self.token
        )
    }

    /// Sends a body, filled up with blanks to so many bytes.
    async fn send(
        &self,
        path: &str,
        key: &str,
        body: &Value,
        bytes: usize,
        length: Length,
    ) -> Answer {
        let mut body = body.to_string();
        body += &" ".repeat(bytes - body.len());
        let mut raw = Raw::connect(self.service.address).await;
        let said = match length {
            Length::Said => format!("content-length: {bytes}"),
            Length::Chunked => "transfer-encoding: chunked".to_owned(),
        };
        raw.send(self.head(path, key, &said)).await;
        match length {
            Length::Said => drop(raw.send(body).await),
            Length::Chunked => {
                for chunk in body.as_bytes().chunks(100_000) {
                    raw.send(format!("{:x}\r\n", chunk.len())).await;
                    raw.send(chunk).await;
                    raw.send("\r\n").await;
                }
                raw.send("0\r\n\r\n").await;
            }
        }
        raw.answer().await.unwrap()
    }
}

fn record() -> Value {
    json!({"scope_id": "z1", "name": "a.example.com", "record_type": "A", "content": "192.0.2.1"})
}

fn script() -> Value {
    json!({"scope_id": "a1", "script_name": "hello", "script": "export default {};"})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_at_the_limit_is_taken_and_one_byte_more_is_a_413() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let sender = Sender::new(&sandbox, &service, "ci").await;
    let operations = json!({"operations": [fixtures::service::record("a")]});
    let routes = [
        ("/v1/tasks", new_task(), MIB, 201),
        ("/v1/tasks/{task}/apply", operations.clone(), MIB, 202),
        ("/v1/tasks/{task}/plan", operations, MIB, 200),
        ("/v1/tasks/{task}/dns/create", record(), MIB, 202),
        ("/v1/tasks/{task}/workers/deploy", script(), 15 * MIB, 202),
        ("/v1/tasks/{task}/apply/continue", json!({}), MIB, 400),
        ("/v1/tasks/{task}/approve", json!({}), MIB, 201),
    ];
    for (route, (path, body, limit, status)) in routes.into_iter().enumerate() {
        for length in [Length::Said, Length::Chunked] {
            let key = format!("{route}-{length:?}");
            let over = sender.send(path, &key, &body, limit + 1, length).await;
            assert_eq!(over.problem(), 413, "{path} {length:?}");
            let fits = sender.send(path, &key, &body, limit, length).await;
            assert_eq!(fits.status, status, "{path} {length:?}: {fits:?}");
        }
    }
}

#[tokio::test]
async fn a_client_that_asks_first_is_told_before_it_sends_too_much() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let sender = Sender::new(&sandbox, &service, "ci").await;
    for (path, limit) in [
        ("/v1/tasks", MIB),
        ("/v1/tasks/{task}/workers/deploy", 15 * MIB),
    ] {
        let mut raw = Raw::connect(service.address).await;
        let length = format!("content-length: {}\r\nexpect: 100-continue", limit + 1);
        raw.send(sender.head(path, "k", &length)).await;
        assert_eq!(raw.answer().await.unwrap().problem(), 413, "{path}");
    }
}

/// Bodies whose length nobody knows take the room that they have come to, not that of the largest.
#[tokio::test]
async fn many_small_bodies_of_unknown_length_have_room_at_once() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let sender = Sender::new(&sandbox, &service, "ci").await;
    let mut all = Vec::new();
    let body = script().to_string();
    for number in 0..30 {
        let mut raw = Raw::connect(service.address).await;
        let path = "/v1/tasks/{task}/workers/deploy";
        let head = sender.head(path, &format!("k{number}"), "transfer-encoding: chunked");
        raw.send(format!("{head}{:x}\r\n{body}\r\n", body.len()))
            .await;
        all.push(raw);
    }
    for mut raw in all {
        raw.send("0\r\n\r\n").await;
        assert_eq!(raw.answer().await.unwrap().status, 202);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subject_with_large_bodies_under_way_waits_for_its_own_and_others_do_not() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let bystander = Bystander::new(&sandbox, &service).await;
    let greedy = Sender::new(&sandbox, &service, "greedy").await;
    let other = Sender::new(&sandbox, &service, "other").await;
    let before = peak_kib(&service);
    let path = "/v1/tasks/{task}/workers/deploy";
    let mut halves = Vec::new();
    for length in ["content-length: 10485760", "transfer-encoding: chunked"] {
        let mut raw = Raw::connect(service.address).await;
        raw.send(greedy.head(path, length, length)).await;
        let half = vec![b' '; 9 * MIB];
        if length.starts_with("transfer") {
            raw.send(format!("{:x}\r\n", half.len())).await;
        }
        raw.send(half).await;
        halves.push(raw);
    }
    until("both halves", async || {
        let held = metric(&service, "http_body_bytes_held").await;
        (held > (17 * MIB) as f64).then_some(())
    })
    .await;
    let third = greedy
        .send(path, "third", &script(), 10 * MIB, Length::Said)
        .await;
    assert_eq!(third.problem(), 503);
    assert!(third.has("retry-after: 1\r\n"), "{third:?}");
    let fits = other
        .send(path, "mine", &script(), 10 * MIB, Length::Said)
        .await;
    assert_eq!(fits.status, 202, "{fits:?}");
    bystander.is_served("meanwhile").await;
    let cost = peak_kib(&service).saturating_sub(before);
    println!("four bodies of 10 MiB: {cost} KiB");
    assert!(cost < 160 * 1024, "{cost} KiB");
    drop(halves);
}

/// Extensions of chunks and trailers (RFC 9112, sections 7.1.1 and 7.1.2) are no part of the body that has a limit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_beside_chunks_takes_no_memory_and_is_not_read_on_for_ever() {
    let sandbox = sandbox(&[("RATE_LIMIT_RPS", "0")]).await;
    let service = sandbox.start().await;
    let bystander = Bystander::new(&sandbox, &service).await;
    let sender = Sender::new(&sandbox, &service, "greedy").await;
    let before = peak_kib(&service);
    let path = "/v1/tasks/{task}/workers/deploy";
    let filler = "a".repeat(8 * MIB);
    let one_extension = format!("1;{filler}\r\n{{\r\n0\r\n\r\n");
    let many_extensions = format!("1;{}\r\n \r\n", "a".repeat(4000)).repeat(2000);
    let one_trailer = format!("1\r\n{{\r\n0\r\nx: {filler}\r\n\r\n");
    let many_trailers = format!("1\r\n{{\r\n0\r\n{}", "x: aaaaaaaa\r\n".repeat(MIB / 2));
    for beside in [one_extension, many_extensions, one_trailer, many_trailers] {
        let mut raw = Raw::connect(service.address).await;
        raw.send(sender.head(path, "k", "transfer-encoding: chunked"))
            .await;
        // The other side may end it in the middle.
        raw.send(beside).await;
        if let Some(answer) = raw.answer().await {
            assert!((400..500).contains(&answer.problem()), "{answer:?}");
        }
        bystander.is_served("k").await;
    }
    let cost = peak_kib(&service).saturating_sub(before);
    assert!(cost < 16 * 1024, "{cost} KiB");
}
