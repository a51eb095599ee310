//! Writes of a client of Cloudflare's API, through the real binary: held while people are asked, sent once as they
//! came, answered with what upstream said.

use crate::logins::{TOKEN, ask};
use fixtures::approver::SoftApprover;
use fixtures::sandbox::{BASE_URL, Sandbox, until};
use fixtures::service::Service;
use fixtures::upstream::Fault;
use futures_util::future::join_all;
use ledger::Event;
use ledger::event::ApplyEnd;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const RECORDS: &str = "/proxy/cloudflare/client/v4/zones/z1/dns_records";
const PURGE: &str = "/proxy/cloudflare/client/v4/zones/z1/purge_cache";
/// The waits that a client declares, for calls that are held for one and for 45 seconds.
const SHORT: u32 = 2;
const LONG: u32 = 60;

struct Stage {
    service: Service,
    key: String,
    alice: SoftApprover,
}

impl Stage {
    /// A service with an agent that has these grants on every zone, and somebody who decides.
    async fn new(sandbox: &mut Sandbox, grants: &[&str]) -> Self {
        sandbox.settings.insert("SERVICE_TOKEN", TOKEN.to_owned());
        let service = sandbox.start().await;
        let agent = json!({"agent": "ci"});
        let made = ask(&service, "POST", "/v1/agents", TOKEN, &agent).await;
        assert_eq!(made.unwrap().0, 201);
        let permissions: Vec<Value> = grants
            .iter()
            .map(|operation| {
                json!({
                    "operation_id": operation, "scope_type": "zone", "scope_id": "*",
                    "granted_level": "write",
                })
            })
            .collect();
        let permissions = json!({"permissions": permissions});
        let path = "/v1/agents/ci/permissions";
        let granted = ask(&service, "PATCH", path, TOKEN, &permissions).await;
        assert_eq!(granted.unwrap().0, 200);
        let made = ask(&service, "POST", "/v1/agents/ci/keys", TOKEN, &json!({})).await;
        let key = made.unwrap().1["key"].as_str().unwrap().to_owned();
        let alice = SoftApprover::new("alice");
        service.register(&alice).await;
        Self {
            service,
            key,
            alice,
        }
    }

    /// A record by its text, as a client writes it; `None` where the service is gone before it has answered.
    async fn try_post(&self, body: String, declared: u32) -> Option<(u16, Value)> {
        self.try_send(RECORDS, body, declared).await
    }

    async fn try_send(&self, path: &str, body: String, declared: u32) -> Option<(u16, Value)> {
        self.send((&Method::POST, path), body, declared).await
    }

    async fn send(
        &self,
        (method, path): (&Method, &str),
        body: String,
        declared: u32,
    ) -> Option<(u16, Value)> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}{path}", self.service.address);
        let request = client
            .request(method.clone(), url)
            .header("host", BASE_URL.trim_start_matches("http://"))
            .header("content-type", "application/json")
            .header("x-stainless-timeout", declared.to_string())
            .bearer_auth(&self.key)
            .body(body);
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let body = answer.bytes().await.ok()?;
        Some((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    async fn post(&self, name: &str, declared: u32) -> (u16, Value) {
        self.try_post(record(name), declared).await.unwrap()
    }

    /// The link of the question about a write that is not granted, after a call that was not held for long.
    async fn asked(&self, name: &str) -> String {
        let (status, body) = self.post(name, SHORT).await;
        assert_eq!((status, number(&body)), (403, 99202), "{body}");
        link(&body)
    }

    async fn decide(&self, link: &str, decision: &str) {
        let decided = self
            .service
            .caller
            .decide(&self.alice, link, decision, None);
        let reply = decided.await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    /// Ends the service, and holds its ledger to every rule.
    async fn check(self, sandbox: &Sandbox) {
        assert!(self.service.stop().await.success());
        let checked = sandbox.run("ledger check");
        assert!(checked.status.success(), "{checked:?}");
    }
}

/// In an order and with blanks that no other writer makes.
fn record(name: &str) -> String {
    format!(
        "{{ \"ttl\":300, \"type\":\"A\", \"content\": \"192.0.2.1\",\"name\":\"{name}.example.com\" }}"
    )
}

fn number(body: &Value) -> u64 {
    body["errors"][0]["code"].as_u64().unwrap_or_default()
}

fn link(body: &Value) -> String {
    let message = body["errors"][0]["message"].as_str().unwrap();
    let from = message.find(BASE_URL).unwrap();
    message[from..]
        .split_whitespace()
        .next()
        .unwrap()
        .to_owned()
}

/// Waits until so many calls are held.
pub(crate) async fn until_held(service: &Service, count: u32) {
    let line = format!("proxy_calls_held {count}");
    until("calls are held", async || {
        let metrics = service.caller.ask(Method::GET, "/metrics", None).await;
        let metrics = metrics.unwrap().text;
        metrics.lines().any(|known| known == line).then_some(())
    })
    .await;
}

#[tokio::test]
async fn json_of_64_levels_is_asked_about_and_a_deeper_one_is_refused_by_its_own_fields() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    // Of a catalog's operation, and of none.
    for path in [
        RECORDS,
        "/proxy/cloudflare/client/v4/accounts/a1/workers/scripts/w/script-settings",
    ] {
        let body = |levels: usize| {
            let data = ["[".repeat(levels - 1), "]".repeat(levels - 1)].concat();
            format!(
                "{{\"type\":\"A\",\"name\":\"deep\",\"content\":\"192.0.2.1\",\"data\":{data}}}"
            )
        };
        let method = match path {
            RECORDS => Method::POST,
            _ => Method::PATCH,
        };
        let deepest = stage.send((&method, path), body(64), SHORT).await.unwrap();
        assert_eq!(
            (deepest.0, number(&deepest.1)),
            (403, 99202),
            "{}",
            deepest.1
        );
        let page = link(&deepest.1);
        let page = page.strip_prefix(BASE_URL).unwrap();
        let page = stage
            .service
            .caller
            .ask(Method::GET, page, None)
            .await
            .unwrap();
        assert_eq!(page.status, 200, "{}", page.text);
        let asked = link(&deepest.1);
        let (held, ()) = tokio::join!(
            stage.send((&method, path), body(64), LONG),
            stage.decide(&asked, "approve"),
        );
        let held = held.unwrap();
        assert_ne!(held.1["errors"][0]["code"], 99400, "{}", held.1);
        let (status, said) = stage.send((&method, path), body(65), SHORT).await.unwrap();
        assert_eq!((status, number(&said)), (400, 99400), "{said}");
        let message = said["errors"][0]["message"].as_str().unwrap();
        assert!(message.starts_with("data[0]"), "{message}");
        assert!(
            message.ends_with("nested deeper than 64 levels"),
            "{message}"
        );
    }
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_write_waits_for_a_person_and_is_sent_once_as_it_came() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    let asked = stage.asked("www").await;
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 0);
    // The same request finds the same question.
    assert_eq!(stage.asked("www").await, asked);
    let (held, ()) = tokio::join!(stage.post("www", LONG), stage.decide(&asked, "approve"));
    assert_eq!(held.0, 200, "{}", held.1);
    assert_eq!(held.1["result"]["name"], "www.example.com");
    let sent = sandbox.upstream.mutations("dns_records");
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].body, record("www").as_bytes());
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_write_with_the_agents_own_key_is_sent_and_its_page_says_nothing_of_a_simulation() {
    let mut sandbox = Sandbox::new().await;
    let real = sandbox.settings.remove("CLOUDFLARE_API_TOKEN").unwrap();
    let stage = Stage::new(&mut sandbox, &[]).await;
    let path = "/v1/agents/ci/upstream-keys/cloudflare";
    let stored = json!({"api_key": real});
    let stored = ask(&stage.service, "PUT", path, TOKEN, &stored).await;
    assert_eq!(stored.unwrap().0, 204);
    let asked = stage.asked("www").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let path = asked.strip_prefix(BASE_URL).unwrap();
    let page = client
        .get(format!("http://{}{path}", stage.service.address))
        .header("host", BASE_URL.trim_start_matches("http://"))
        .header("accept", "text/html");
    let page = page.send().await.unwrap().text().await.unwrap();
    assert!(page.contains("www.example.com"), "{page}");
    assert!(!page.contains("Simulation."), "{page}");
    let (held, ()) = tokio::join!(stage.post("www", LONG), stage.decide(&asked, "approve"));
    assert_eq!(held.0, 200, "{}", held.1);
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 1);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_granted_write_is_relayed_at_once_and_upstreams_refusal_passes_as_it_is() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &["dns.record.write"]).await;
    let (status, body) = stage.post("www", SHORT).await;
    assert_eq!((status, &body["success"]), (200, &json!(true)), "{body}");
    // A new write, since the first one was answered.
    let (status, body) = stage.post("www", SHORT).await;
    assert_eq!((status, number(&body)), (400, 81058), "{body}");
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 2);
    let ends: Vec<ApplyEnd> = until("two ends", async || {
        let events = sandbox.events().await;
        let ends = events.iter().filter_map(|event| match &event.event {
            Event::ApplyEnded(ended) => Some(ended.end),
            _ => None,
        });
        Some(ends.collect::<Vec<_>>()).filter(|ends| ends.len() == 2)
    })
    .await;
    assert_eq!(ends, [ApplyEnd::Completed, ApplyEnd::Failed]);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_denial_is_told_once_and_the_next_is_a_new_question() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    let first = stage.asked("www").await;
    stage.decide(&first, "deny").await;
    let (status, body) = stage.post("www", LONG).await;
    assert_eq!((status, number(&body)), (403, 99451), "{body}");
    let second = stage.asked("www").await;
    assert_ne!(first, second);
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 0);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_grant_goes_before_the_older_end_of_the_same_write() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    let asked = stage.asked("www").await;
    stage.decide(&asked, "deny").await;
    let granted = json!({"permissions": [{
        "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*", "granted_level": "write",
    }]});
    let path = "/v1/agents/ci/permissions";
    let put = ask(&stage.service, "PATCH", path, TOKEN, &granted).await;
    assert_eq!(put.unwrap().0, 200);
    let (status, body) = stage.post("www", LONG).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 1);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_lock_on_the_operation_of_a_held_write_is_told_as_one() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    stage.asked("www").await;
    let lock =
        json!({"target": {"kind": "operation", "id": "dns.record.write"}, "reason": "it loops"});
    let locking = async {
        let set = ask(&stage.service, "POST", "/v1/locks", TOKEN, &lock).await;
        assert_eq!(set.unwrap().0, 201);
    };
    let (held, ()) = tokio::join!(stage.post("www", LONG), locking);
    assert_eq!((held.0, number(&held.1)), (403, 99423), "{}", held.1);
    let (status, body) = stage.post("www", LONG).await;
    assert_eq!((status, number(&body)), (403, 99423), "{body}");
}

#[tokio::test]
async fn what_is_approved_while_nobody_waits_is_not_sent_before_it_is_asked_for_again() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    let asked = stage.asked("www").await;
    stage.decide(&asked, "approve").await;
    sandbox.event("approval.approved").await;
    // Another spelling of the same request.
    let other = json!({
        "name": "www.example.com", "type": "A", "content": "192.0.2.1", "ttl": 300,
    });
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 0);
    let (status, body) = stage.try_post(other.to_string(), SHORT).await.unwrap();
    assert_eq!(status, 200, "{body}");
    let sent = sandbox.upstream.mutations("dns_records");
    assert_eq!(sent.len(), 1);
    assert_eq!(
        sent[0].body,
        record("www").as_bytes(),
        "what was approved is sent"
    );
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn equal_calls_that_wait_together_get_the_one_answer() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    let asked = stage.asked("www").await;
    let held = join_all((0..16).map(|_| stage.post("www", LONG)));
    let approve = async {
        until_held(&stage.service, 16).await;
        stage.decide(&asked, "approve").await;
    };
    let (answers, ()) = tokio::join!(held, approve);
    let ids: BTreeSet<String> = answers
        .iter()
        .map(|(status, body)| {
            assert_eq!(*status, 200, "{body}");
            body["result"]["id"].to_string()
        })
        .collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 1);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn sixty_four_calls_are_held_at_once_and_each_is_answered() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    let names: Vec<String> = (0..64).map(|number| format!("n{number}")).collect();
    let answers = join_all(names.iter().map(|name| stage.post(name, SHORT))).await;
    let mut links = BTreeSet::new();
    for (status, body) in &answers {
        assert_eq!((*status, number(body)), (403, 99202), "{body}");
        links.insert(link(body));
    }
    assert_eq!(links.len(), 64, "a question each");
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn an_answer_that_its_client_did_not_get_is_owed_once() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &["dns.record.write"]).await;
    sandbox.upstream.on_next_mutation(Fault::Hold);
    {
        let calling = stage.post("www", LONG);
        tokio::pin!(calling);
        tokio::select! {
            biased;
            waited = sandbox.upstream.wait_for_mutations(1) => waited.unwrap(),
            _ = &mut calling => unreachable!("upstream holds it"),
        }
    }
    sandbox.upstream.release();
    let (status, body) = stage.post("www", LONG).await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 1);
    let (status, body) = stage.post("www", LONG).await;
    assert_eq!((status, number(&body)), (400, 81058), "a new one: {body}");
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 2);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_client_that_goes_before_the_decision_finds_nothing_changed() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    let asked = stage.asked("www").await;
    tokio::select! {
        _ = stage.post("www", LONG) => panic!("it is not held"),
        () = until_held(&stage.service, 1) => {}
    }
    until_held(&stage.service, 0).await;
    stage.decide(&asked, "approve").await;
    // Whoever looks later than any worker would have sent it finds nothing.
    let other = stage.asked("other").await;
    assert_ne!(asked, other);
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 0);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_client_that_has_sent_more_and_goes_does_not_wait_either() {
    let mut sandbox = Sandbox::new().await;
    let one = ("PROXY_CALLS_PER_KEY", "1".to_owned());
    sandbox.settings.extend([one]);
    let stage = Stage::new(&mut sandbox, &[]).await;
    let host = BASE_URL.trim_start_matches("http://");
    let body = record("www");
    let ahead = format!("GET /v1/healthz HTTP/1.1\r\nhost: {host}\r\n\r\n");
    let call = format!(
        "POST {RECORDS} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n{body}{ahead}",
        stage.key,
        body.len()
    );
    let mut client = TcpStream::connect(stage.service.address).await.unwrap();
    client.write_all(call.as_bytes()).await.unwrap();
    sandbox.event("approval.requested").await;
    assert_eq!(stage.post("www", SHORT).await.0, 429, "it has its place");
    drop(client);
    let asked = until("its place is free", async || {
        let (status, body) = stage.post("www", SHORT).await;
        (status != 429).then(|| link(&body))
    })
    .await;
    stage.decide(&asked, "approve").await;
    let other = stage.asked("other").await;
    assert_ne!(asked, other);
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 0);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_write_with_a_tasks_token_is_the_tasks_and_ends_with_it() {
    let mut sandbox = Sandbox::new().await;
    let mut stage = Stage::new(&mut sandbox, &[]).await;
    let opened = async |zone: &str| {
        let task = json!({
            "task_name": "records", "agent": "ci", "subject": "client-a", "proxy": true,
            "operations": [{"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": zone}],
        });
        let made = ask(&stage.service, "POST", "/v1/tasks", TOKEN, &task).await;
        let (status, made) = made.unwrap();
        assert_eq!(status, 201, "{made}");
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        (text("task_id"), text("capability_token"))
    };
    let (task, token) = opened("z1").await;
    let (second, other) = opened("z1").await;
    let (_, elsewhere) = opened("z2").await;
    stage.key = elsewhere;
    let (status, body) = stage.post("www", SHORT).await;
    assert_eq!((status, number(&body)), (403, 99403), "{body}");
    stage.key = token;
    let asked = stage.asked("www").await;
    assert_eq!(stage.asked("www").await, asked);
    let (held, ()) = tokio::join!(stage.post("www", LONG), stage.decide(&asked, "approve"));
    assert_eq!(held.0, 200, "{}", held.1);
    let path = format!("/v1/tasks/{task}");
    let shown = ask(&stage.service, "GET", &path, TOKEN, &Value::Null).await;
    let shown = shown.unwrap().1;
    assert_eq!(shown["status"], "completed", "{shown}");
    // The same in another task is another write, which ends with its task, though its question is answered.
    stage.key = other;
    let again = stage.asked("www").await;
    assert_ne!(again, asked);
    stage.decide(&again, "approve").await;
    let path = format!("/v1/tasks/{second}/close");
    let closed = ask(&stage.service, "POST", &path, TOKEN, &json!({})).await;
    assert_eq!(closed.unwrap().0, 200);
    let (status, body) = stage.post("www", LONG).await;
    assert_eq!((status, number(&body)), (401, 99401), "{body}");
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 1);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_passing_answer_of_upstream_is_given_to_each_equal_call_and_sent_once() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &["dns.record.write"]).await;
    sandbox.upstream.on_next_mutation(Fault::Status(503));
    for _ in 0..3 {
        assert_eq!(stage.post("www", LONG).await.0, 503);
    }
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 1);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_redirect_and_a_dead_upstream_are_told_as_such() {
    let mut sandbox = Sandbox::new().await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let dead = format!("http://{}/client/v4", closed.local_addr().unwrap());
    drop(closed);
    let stage = Stage::new(&mut sandbox, &["dns.record.write"]).await;
    sandbox.upstream.on_next_mutation(Fault::Status(302));
    let (status, body) = stage.post("a", LONG).await;
    assert_eq!((status, number(&body)), (502, 99502), "{body}");
    let Stage {
        service,
        key,
        alice,
    } = stage;
    assert!(service.stop().await.success());
    sandbox.settings.insert("CLOUDFLARE_API_BASE", dead);
    let service = sandbox.start().await;
    let stage = Stage {
        service,
        key,
        alice,
    };
    let (status, body) = stage.post("b", LONG).await;
    assert_eq!((status, number(&body)), (502, 99502), "{body}");
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn an_upstream_that_cannot_be_reached_uses_up_no_approval() {
    let mut sandbox = Sandbox::new().await;
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let dead = format!("http://{address}/client/v4");
    sandbox.settings.insert("CLOUDFLARE_API_BASE", dead);
    let stage = Stage::new(&mut sandbox, &[]).await;
    let asked = stage.asked("www").await;
    let (held, ()) = tokio::join!(stage.post("www", LONG), stage.decide(&asked, "approve"));
    assert_eq!((held.0, number(&held.1)), (502, 99502), "{}", held.1);
    // Clients repeat a 502 by themselves: nobody is asked again.
    let (status, body) = stage.post("www", LONG).await;
    assert_eq!((status, number(&body)), (502, 99502), "{body}");
    let upstream = sandbox.upstream.base_url();
    let upstream = upstream.trim_start_matches("http://").to_owned();
    let upstream = upstream.split('/').next().unwrap().to_owned();
    let back = TcpListener::bind(address).await.unwrap();
    let forward = tokio::spawn(async move {
        while let Ok((mut from, _)) = back.accept().await {
            let mut to = TcpStream::connect(&upstream).await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut from, &mut to).await });
        }
    });
    assert_eq!(stage.post("www", LONG).await.0, 200);
    forward.abort();
    assert_eq!(sandbox.upstream.mutations("dns_records").len(), 1);
    // What was approved was done: the next is a new question.
    assert_ne!(stage.asked("www").await, asked);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn what_an_operator_found_is_told_once_and_nothing_is_sent_again() {
    for (outcome, said) in [
        ("executed", "an operator found that it was carried out"),
        (
            "not_executed",
            "an operator found that it was not carried out",
        ),
    ] {
        let mut sandbox = Sandbox::new().await;
        let stage = Stage::new(&mut sandbox, &[]).await;
        // Reading back tells nothing of a purge.
        let purge = async |declared| {
            let body = r#"{"purge_everything":true}"#.to_owned();
            stage.try_send(PURGE, body, declared).await.unwrap()
        };
        let asked = link(&purge(SHORT).await.1);
        sandbox.upstream.on_next_mutation(Fault::DropAfter);
        let (held, ()) = tokio::join!(purge(LONG), stage.decide(&asked, "approve"));
        assert_eq!((held.0, number(&held.1)), (403, 99409), "{}", held.1);
        let told = held.1["errors"][0]["message"].as_str().unwrap();
        let apply = told.split_whitespace().last().unwrap();
        let settled = sandbox.run(&format!(
            "apply resolve {apply} --outcome {outcome} --reason looked"
        ));
        assert!(settled.status.success(), "{settled:?}");
        let (status, body) = purge(LONG).await;
        let told = body["errors"][0]["message"].as_str().unwrap();
        assert!(status == 403 && told.contains(said), "{told}");
        assert_eq!(sandbox.upstream.mutations("purge_cache").len(), 1);
        assert_ne!(link(&purge(SHORT).await.1), asked);
        stage.check(&sandbox).await;
    }
}

#[tokio::test]
async fn a_decision_about_a_write_is_kept_for_the_agent() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    let decide = async |link: &str, retention: Value| {
        let caller = &stage.service.caller;
        let how = ("approve", None);
        let decided = caller.decide_and_keep(&stage.alice, link, how, Some(&retention));
        decided.await.unwrap()
    };
    let asked = stage.asked("www").await;
    let of_task = json!({"mode": "cache", "duration": "1h", "binding": "task"});
    let refused = decide(&asked, of_task).await;
    assert_eq!(refused.text_at("code"), "retention_not_allowed");
    let kept = json!({"mode": "cache", "duration": "1h", "breadth": "scope"});
    assert_eq!(decide(&asked, kept).await.status, 200);
    assert_eq!(stage.post("www", LONG).await.0, 200);
    // Nobody is asked.
    assert_eq!(stage.post("other", LONG).await.0, 200);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn the_open_questions_of_an_agents_writes_are_bounded() {
    let mut sandbox = Sandbox::new().await;
    sandbox
        .settings
        .insert("TASK_MAX_OPEN_APPROVALS", "2".to_owned());
    let stage = Stage::new(&mut sandbox, &[]).await;
    let asked = stage.asked("a").await;
    stage.asked("b").await;
    let (status, body) = stage.post("c", SHORT).await;
    assert_eq!((status, number(&body)), (403, 99429), "{body}");
    stage.decide(&asked, "deny").await;
    stage.asked("c").await;
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_secret_goes_up_with_the_call_that_brought_it_and_is_recorded_nowhere() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    let secret = "a-secret-that-nobody-may-read";
    let path = "/proxy/cloudflare/client/v4/accounts/a1/workers/scripts/s1/secrets";
    let put = async |text: &str, declared: u32| {
        let body = json!({"name": "KEY", "text": text, "type": "secret_text"});
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client
            .put(format!("http://{}{path}", stage.service.address))
            .header("host", BASE_URL.trim_start_matches("http://"))
            .header("x-stainless-timeout", declared.to_string())
            .bearer_auth(&stage.key)
            .json(&body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().await.unwrap_or_default())
    };
    let (status, body) = put(secret, SHORT).await;
    assert_eq!((status, number(&body)), (403, 99202), "{body}");
    let asked = link(&body);
    // Another secret is another question.
    let (_, other) = put("another", SHORT).await;
    assert_ne!(link(&other), asked);
    let (_, ()) = tokio::join!(put(secret, LONG), stage.decide(&asked, "approve"));
    let sent = sandbox.upstream.requests();
    let sent: Vec<_> = sent.iter().filter(|sent| sent.method == "PUT").collect();
    assert_eq!(sent.len(), 1);
    let body: Value = serde_json::from_slice(&sent[0].body).unwrap();
    assert_eq!(body["text"], secret);
    stage.check(&sandbox).await;
    for file in [sandbox.ledger_file(), sandbox.read_tables_file()] {
        let bytes = std::fs::read(file).unwrap();
        let found = |text: &str| {
            bytes
                .windows(text.len())
                .any(|part| part == text.as_bytes())
        };
        assert!(!found(secret) && !found("another"));
    }
    assert!(!sandbox.log().contains(secret));
}

#[tokio::test]
async fn the_page_of_an_upload_shows_its_address_and_each_part_of_its_form() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let target = "/accounts/a1/workers/scripts/shop?excludeScript=true";
    let put = async |parts: [(&str, &str, &str); 3], boundary: &str| {
        let mut body = String::new();
        for (head, media_type, content) in parts {
            body.push_str(&format!(
                "--{boundary}\r\nContent-Disposition: form-data; {head}\r\nContent-Type: {media_type}\r\n\r\n{content}\r\n"
            ));
        }
        body.push_str(&format!("--{boundary}--\r\n"));
        let request = client
            .put(format!(
                "http://{}/proxy/cloudflare/client/v4{target}",
                stage.service.address
            ))
            .header("host", BASE_URL.trim_start_matches("http://"))
            .header("x-stainless-timeout", SHORT.to_string())
            .header(
                "content-type",
                format!("multipart/form-data; boundary={boundary}"),
            )
            .bearer_auth(&stage.key)
            .body(body);
        request.send().await.unwrap().json::<Value>().await.unwrap()
    };
    let metadata = (
        "name=\"metadata\"",
        "application/json",
        "{\"main_module\":\"a.js\",\"bindings\":[{\"type\":\"secret_text\",\"name\":\"KEY\",\"text\":\"sesame\"}]}",
    );
    let module = (
        "name=\"a.js\"; filename=\"src/a.js\"",
        "application/javascript+module",
        "export default { note: '<script>alert(1)</script> https://evil.example/' }",
    );
    let icon = (
        "name=\"b.bin\"; filename=\"b.bin\"",
        "application/octet-stream",
        "\0\0",
    );
    let body = put([metadata, module, icon], "one").await;
    assert_eq!(number(&body), 99202, "{body}");
    let asked = link(&body);
    // Neither the order of parts nor the boundary makes it another request.
    assert_eq!(link(&put([icon, metadata, module], "two").await), asked);
    let path = asked.strip_prefix(BASE_URL).unwrap();
    let page = client
        .get(format!("http://{}{path}", stage.service.address))
        .header("host", BASE_URL.trim_start_matches("http://"))
        .header("accept", "text/html");
    let page = page.send().await.unwrap().text().await.unwrap();
    let base = sandbox.upstream.base_url();
    for expected in [
        "Upload the new Worker shop, and put it into use",
        "A client of the API sent this itself.",
        base.trim_start_matches("http://"),
        "excludeScript=true",
        "a form of 3 parts",
        "src/a.js",
        "application/javascript+module",
        "evil.example",
        "not shown: 6 bytes",
        "main_module",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
    assert!(!page.contains("<script>alert") && !page.contains("sesame"));
    assert!(!page.contains("This task before"), "{page}");
    stage.check(&sandbox).await;
}

/// Kills when an event stands in the file, starts again, and comes back with the same request.
async fn killed_at(event: &str) {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[]).await;
    let asked = stage.asked("www").await;
    let slowly = Duration::from_millis(40);
    sandbox.upstream.on_next_mutation(Fault::Delay(slowly));
    {
        let held = stage.try_post(record("www"), LONG);
        let moment = async {
            stage.decide(&asked, "approve").await;
            sandbox.event(event).await;
        };
        tokio::pin!(held);
        tokio::select! {
            biased;
            () = moment => {}
            // Answered before the moment came: it is killed after the answer, then.
            _ = &mut held => {}
        }
    }
    let Stage {
        service,
        key,
        alice,
    } = stage;
    service.kill();
    let service = sandbox.start().await;
    let stage = Stage {
        service,
        key,
        alice,
    };
    let (status, body) = until("its end", async || {
        let answer = stage.post("www", LONG).await;
        (number(&answer.1) != 99202).then_some(answer)
    })
    .await;
    let sent = sandbox.upstream.mutations("dns_records").len();
    assert!(sent <= 1, "sent {sent} times");
    match status {
        200 => assert_eq!(sent, 1, "done without doing it"),
        _ => assert_eq!((status, number(&body)), (403, 99409), "{body}"),
    }
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn killed_after_the_approval() {
    killed_at("approval.approved").await;
}

#[tokio::test]
async fn killed_after_the_approval_was_used() {
    killed_at("approval.consumed").await;
}

#[tokio::test]
async fn killed_after_the_intent() {
    killed_at("apply.operation_started").await;
}

#[tokio::test]
async fn killed_after_the_outcome() {
    killed_at("apply.operation_ended").await;
}

#[tokio::test]
async fn killed_after_the_end() {
    killed_at("apply.ended").await;
}
