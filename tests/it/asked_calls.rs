//! Calls of a client of Anthropic's API about which people are asked, through the real binary: held while they decide, sent
//! once, answered with what upstream says while it says it.

use crate::held_writes::until_held;
use crate::logins::{TOKEN, ask};
use crate::proxied_usage::{ruled, ruled_after, verified};
use crate::proxies::{SOON, Stage};
use fixtures::approver::SoftApprover;
use fixtures::sandbox::{BASE_URL, Sandbox, until};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use ledger::Event;
use ledger::event::ApplyEnd;
use reqwest::Response;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const MESSAGES: &str = "/v1/messages";
const HELLO: &str = "{ \"stream\":false, \"model\":\"claude-x\",\"max_tokens\": 64, \"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}";
const ANSWER: &str = "{\"type\":\"message\", \"model\":\"claude-x\",\"usage\":{\"input_tokens\":3,\"output_tokens\":4}}";
/// The waits that a client declares, for calls that are held for one and for 45 seconds.
const SHORT: u32 = 2;
const LONG: u32 = 60;

/// Has people asked about these operations.
fn asking(operations: &str, when: &str) -> String {
    format!(
        "engine = \"lpp-cel/1\"\n[[rule]]\nid = \"ask\"\npriority = 1\naction = \"ask\"\n\
         operations = [{operations}]\nwhen = '{when}'\n"
    )
}

struct Asking {
    stage: Stage,
    alice: SoftApprover,
}

impl Asking {
    /// An agent about whose messages, batches and counts somebody is asked.
    async fn new(sandbox: &mut Sandbox) -> Self {
        let operations = "\"anthropic.messages.create\", \"anthropic.messages.count\", \"anthropic.batches.write\"";
        Self::ruled(sandbox, &asking(operations, "agent.name != \"nobody\"")).await
    }

    async fn ruled(sandbox: &mut Sandbox, document: &str) -> Self {
        let stage = Stage::new(sandbox).await;
        let alice = SoftApprover::new("alice");
        stage.service.register(&alice).await;
        ruled(&stage, document).await;
        Self { stage, alice }
    }

    async fn try_send(&self, path: &str, body: &str, declared: u32) -> reqwest::Result<Response> {
        self.sends((path, &self.stage.key.0), body, declared).await
    }

    async fn sends(
        &self,
        (path, credential): (&str, &str),
        body: &str,
        declared: u32,
    ) -> reqwest::Result<Response> {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let address = self.stage.service.address;
        let request = client
            .post(format!("http://{address}/proxy/anthropic{path}"))
            .header("host", BASE_URL.trim_start_matches("http://"))
            .header("content-type", "application/json")
            .header("anthropic-version", "2023-06-01")
            .header("x-stainless-timeout", declared.to_string())
            .header("x-api-key", credential)
            .body(body.to_owned());
        request.send().await
    }

    async fn send(&self, body: &str, declared: u32) -> (Response, Option<String>) {
        let answer = self.try_send(MESSAGES, body, declared).await.unwrap();
        let code = answer.headers().get("x-llm-proxy-code");
        let code = code.map(|code| code.to_str().unwrap().to_owned());
        (answer, code)
    }

    /// The status, the word and the message of a refusal.
    async fn refused(&self, body: &str, declared: u32) -> (u16, String, String) {
        let (answer, code) = self.send(body, declared).await;
        let status = answer.status().as_u16();
        let said: Value = answer.json().await.unwrap();
        let message = said["error"]["message"].as_str().unwrap().to_owned();
        (status, code.unwrap(), message)
    }

    /// The link of the question about a message, after a call that was not held for long.
    async fn asked(&self, body: &str) -> String {
        let (status, code, message) = self.refused(body, SHORT).await;
        assert_eq!((status, &*code), (409, "waiting"), "{message}");
        link(&message)
    }

    async fn decide(&self, link: &str, decision: &str) {
        let caller = &self.stage.service.caller;
        let reply = caller
            .decide(&self.alice, link, decision, None)
            .await
            .unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    /// The next request upstream, as it came.
    async fn upstream(&self) -> (TcpStream, String) {
        let (mut stream, _) = self.stage.upstream.accept().await.unwrap();
        let mut read = String::new();
        loop {
            let length = read
                .lines()
                .find_map(|line| line.strip_prefix("content-length: "));
            if let Some((_, body)) = read.split_once("\r\n\r\n")
                && body.len() >= length.map_or(0, |length| length.parse().unwrap())
            {
                return (stream, read);
            }
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).await.unwrap();
            assert_ne!(count, 0, "{read}");
            read.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        }
    }

    /// Has the next request upstream answered, and gives it.
    async fn upstream_answers(&self, status: &str, body: &str) -> String {
        let (mut stream, asked) = self.upstream().await;
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\
             request-id: req_1\r\nset-cookie: a=b\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
        asked
    }

    /// Nothing more has come upstream.
    async fn is_quiet(&self) {
        let more = tokio::time::timeout(SOON / 10, self.stage.upstream.accept()).await;
        assert!(more.is_err(), "something was sent");
    }

    async fn usage(&self, query: &str) -> Value {
        let service = &self.stage.service;
        let path = format!("/v1/usage?{query}");
        until("what was used is recorded", async || {
            let asked = ask(service, "GET", &path, TOKEN, &Value::Null).await;
            let items = asked.unwrap().1["items"].take();
            (items != json!([])).then_some(items)
        })
        .await
    }

    /// Ends the service, and holds its ledger to every rule.
    async fn check(self, sandbox: &Sandbox) {
        assert!(self.stage.service.stop().await.success());
        let checked = sandbox.run("ledger check");
        assert!(checked.status.success(), "{checked:?}");
        let (out, err) = verified(sandbox);
        assert!(out.contains("VERIFIED:"), "{out}{err}");
    }
}

fn link(message: &str) -> String {
    let from = message.find(BASE_URL).unwrap();
    let link = message[from..].split_whitespace().next().unwrap();
    link.trim_end_matches(')').to_owned()
}

async fn ends(sandbox: &Sandbox) -> Vec<ApplyEnd> {
    let events = sandbox.events().await;
    let ends = events.iter().filter_map(|event| match &event.event {
        Event::ApplyEnded(ended) => Some(ended.end),
        _ => None,
    });
    ends.collect()
}

#[tokio::test]
async fn a_message_waits_for_a_person_and_is_sent_once_as_it_came() {
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let (answer, code) = asking.send(HELLO, SHORT).await;
    assert_eq!(
        (answer.status().as_u16(), code.as_deref()),
        (409, Some("waiting"))
    );
    assert_eq!(answer.headers()["x-should-retry"], "true");
    assert_eq!(answer.headers()["retry-after"], "1");
    let said: Value = answer.json().await.unwrap();
    assert_eq!(said["type"], "error");
    assert_eq!(said["error"]["type"], "invalid_request_error");
    let asked = link(said["error"]["message"].as_str().unwrap());
    // The same in another spelling finds the same question.
    let other = serde_json::from_str::<Value>(HELLO).unwrap().to_string();
    assert_eq!(asking.asked(&other).await, asked);
    asking.is_quiet().await;
    let (held, (), sent) = tokio::join!(
        asking.send(HELLO, LONG),
        asking.decide(&asked, "approve"),
        asking.upstream_answers("200 OK", ANSWER),
    );
    let (answer, code) = held;
    assert_eq!((answer.status().as_u16(), code), (200, None));
    assert_eq!(answer.headers()["request-id"], "req_1");
    assert!(!answer.headers().contains_key("set-cookie"));
    assert_eq!(answer.text().await.unwrap(), ANSWER);
    assert!(sent.starts_with("POST /v1/messages HTTP/1.1\r\n"), "{sent}");
    assert!(sent.ends_with(HELLO), "{sent}");
    assert!(
        sent.contains("x-api-key: sk-ant-api03-of-the-agent\r\n"),
        "{sent}"
    );
    assert!(sent.contains("anthropic-version: 2023-06-01\r\n"), "{sent}");
    assert!(!sent.contains(&asking.stage.key.0), "{sent}");
    asking.is_quiet().await;
    let usage = asking.usage("agent=ci&model=claude-x").await;
    assert_eq!(
        (
            &usage[0]["requests"],
            &usage[0]["input_tokens"],
            &usage[0]["output_tokens"]
        ),
        (&json!(1), &json!(3), &json!(4))
    );
    // It was answered: the next is a new question, also for a client that tries that one again.
    assert_ne!(asking.asked(HELLO).await, asked);
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn a_stream_reaches_its_client_while_upstream_still_speaks() {
    const FIRST: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-x\",\
        \"usage\":{\"input_tokens\":25,\"output_tokens\":1}}}\n\n";
    const REST: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":9}}\n\n\
        event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let body = HELLO.replace("\"stream\":false", "\"stream\":true");
    let asked = asking.asked(&body).await;
    let upstream = async {
        let (mut upstream, _) = asking.upstream().await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        let first = format!("{head}{:x}\r\n{FIRST}\r\n", FIRST.len());
        upstream.write_all(first.as_bytes()).await.unwrap();
        upstream
    };
    let ((answer, code), (), mut upstream) = tokio::join!(
        asking.send(&body, LONG),
        asking.decide(&asked, "approve"),
        upstream,
    );
    assert_eq!((answer.status().as_u16(), code), (200, None));
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let mut pieces = answer.bytes_stream();
    let first = tokio::time::timeout(SOON, pieces.next()).await;
    assert_eq!(first.unwrap().unwrap().unwrap(), FIRST);
    let rest = format!("{:x}\r\n{REST}\r\n0\r\n\r\n", REST.len());
    upstream.write_all(rest.as_bytes()).await.unwrap();
    let mut read = String::new();
    while let Some(piece) = pieces.next().await {
        read.push_str(std::str::from_utf8(&piece.unwrap()).unwrap());
    }
    assert_eq!(read, REST);
    let usage = asking.usage("agent=ci&model=claude-x").await;
    assert_eq!(
        (
            &usage[0]["input_tokens"],
            &usage[0]["output_tokens"],
            &usage[0]["interrupted"]
        ),
        (&json!(25), &json!(9), &json!(0))
    );
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn a_stream_that_upstream_breaks_off_is_broken_off_and_not_sent_again() {
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let asked = asking.asked(HELLO).await;
    let upstream = async {
        let (mut upstream, _) = asking.upstream().await;
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n3\r\n:\n\n\r\n";
        upstream.write_all(head.as_bytes()).await.unwrap();
        upstream
    };
    let ((answer, _), (), upstream) = tokio::join!(
        asking.send(HELLO, LONG),
        asking.decide(&asked, "approve"),
        upstream,
    );
    assert_eq!(answer.status().as_u16(), 200);
    drop(upstream);
    assert!(answer.bytes().await.is_err(), "no clean end");
    let (status, code, message) = asking.refused(HELLO, LONG).await;
    assert_eq!((status, &*code), (403, "ended"), "{message}");
    assert!(message.contains("broke off"), "{message}");
    asking.is_quiet().await;
    assert_eq!(ends(&sandbox).await, [ApplyEnd::Failed]);
    assert_ne!(asking.asked(HELLO).await, asked);
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn a_stream_ends_with_a_lock_on_its_own_task_and_with_the_close_of_that() {
    const BEGUN: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n3\r\n:\n\n\r\n";
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let service = &asking.stage.service;
    for (what, refusal) in [("lock", (429, "locked")), ("close", (403, "ended"))] {
        let body = HELLO.replace("Hello", what);
        let asked = asking.asked(&body).await;
        let upstream = async {
            let (mut upstream, _) = asking.upstream().await;
            upstream.write_all(BEGUN.as_bytes()).await.unwrap();
            upstream
        };
        let open = "/v1/approvals?state=pending";
        let open = ask(service, "GET", open, TOKEN, &Value::Null)
            .await
            .unwrap()
            .1;
        let task = open["approvals"][0]["task_id"].as_str().unwrap();
        let ((answer, _), (), mut upstream) = tokio::join!(
            asking.send(&body, LONG),
            asking.decide(&asked, "approve"),
            upstream,
        );
        let mut pieces = answer.bytes_stream();
        assert_eq!(pieces.next().await.unwrap().unwrap(), ":\n\n");
        let (path, change) = match what {
            "lock" => (
                "/v1/locks".to_owned(),
                json!({"target": {"kind": "task", "id": task}, "reason": "it loops"}),
            ),
            _ => (format!("/v1/tasks/{task}/close"), json!({})),
        };
        let (status, said) = ask(service, "POST", &path, TOKEN, &change).await.unwrap();
        assert!(status < 300, "{what}: {said}");
        let ended = tokio::time::timeout(SOON, pieces.next()).await;
        let ended = ended.unwrap_or_else(|_| panic!("it goes on after a {what}"));
        assert!(
            ended.is_none_or(|piece| piece.is_err()),
            "{what}: more came"
        );
        // Who comes back meets the same while it is carried out, and is not handed what it brings afterwards.
        let (status, code, message) = asking.refused(&body, LONG).await;
        assert_eq!((status, &*code), refusal, "{what}: {message}");
        upstream.write_all(b"0\r\n\r\n").await.unwrap();
        until("the message has ended", async || {
            let ended = ends(&sandbox).await.len();
            (ended == 1 + usize::from(what == "close")).then_some(())
        })
        .await;
        let (status, code, message) = asking.refused(&body, SHORT).await;
        match what {
            "lock" => assert_eq!((status, &*code), refusal, "{message}"),
            _ => assert_ne!(link(&message), asked, "people are asked anew"),
        }
    }
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn what_is_approved_while_nobody_waits_is_sent_when_it_comes_again_and_not_before() {
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let asked = asking.asked(HELLO).await;
    tokio::select! {
        _ = asking.send(HELLO, LONG) => panic!("it is not held"),
        () = until_held(&asking.stage.service, 1) => {}
    }
    until_held(&asking.stage.service, 0).await;
    asking.decide(&asked, "approve").await;
    sandbox.event("approval.approved").await;
    // Who looks later than any worker would have sent it finds nothing.
    asking.asked("{\"messages\":[]}").await;
    asking.is_quiet().await;
    let ((answer, _), _) = tokio::join!(
        asking.send(HELLO, SHORT),
        asking.upstream_answers("200 OK", ANSWER),
    );
    assert_eq!(answer.text().await.unwrap(), ANSWER);
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn equal_calls_that_wait_together_get_the_one_answer() {
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let asked = asking.asked(HELLO).await;
    let held = join_all((0..8).map(|_| asking.send(HELLO, LONG)));
    let approve = async {
        until_held(&asking.stage.service, 8).await;
        asking.decide(&asked, "approve").await;
        asking.upstream_answers("200 OK", ANSWER).await;
    };
    let (answers, ()) = tokio::join!(held, approve);
    for (answer, _) in answers {
        assert_eq!(answer.status().as_u16(), 200);
        assert_eq!(answer.text().await.unwrap(), ANSWER);
    }
    asking.is_quiet().await;
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn a_denial_is_told_with_its_link_and_is_not_tried_again() {
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let asked = asking.asked(HELLO).await;
    asking.decide(&asked, "deny").await;
    let (answer, code) = asking.send(HELLO, LONG).await;
    assert_eq!(
        (answer.status().as_u16(), code.as_deref()),
        (403, Some("denied"))
    );
    assert_eq!(answer.headers()["x-should-retry"], "false");
    let said: Value = answer.json().await.unwrap();
    assert_eq!(said["error"]["type"], "permission_error");
    let message = said["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("a person denied it"), "{message}");
    assert_eq!(link(message), asked);
    assert_ne!(asking.asked(HELLO).await, asked);
    asking.is_quiet().await;
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn a_question_is_worth_ten_tries_and_then_its_link() {
    let mut sandbox = Sandbox::new().await;
    sandbox
        .settings
        .insert("PROXY_HOLD_SECONDS", "0".to_owned());
    let asking = Asking::new(&mut sandbox).await;
    let first = asking.asked(HELLO).await;
    for _ in 0..9 {
        assert_eq!(asking.asked(HELLO).await, first);
    }
    for _ in 0..2 {
        let (answer, code) = asking.send(HELLO, LONG).await;
        assert_eq!(
            (answer.status().as_u16(), code.as_deref()),
            (403, Some("waiting"))
        );
        assert_eq!(answer.headers()["x-should-retry"], "false");
        let said: Value = answer.json().await.unwrap();
        assert_eq!(link(said["error"]["message"].as_str().unwrap()), first);
    }
    // Another question has its own.
    asking.asked("{\"messages\":[]}").await;
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn an_error_of_upstream_passes_as_it_is_and_needs_nobody_to_settle_it() {
    const OVERLOADED: &str =
        "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}";
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let asked = asking.asked(HELLO).await;
    let ((answer, _), (), _) = tokio::join!(
        asking.send(HELLO, LONG),
        asking.decide(&asked, "approve"),
        asking.upstream_answers("529 Overloaded", OVERLOADED),
    );
    assert_eq!(answer.status().as_u16(), 529);
    assert_eq!(answer.text().await.unwrap(), OVERLOADED);
    // Clients try it again by themselves, and nobody is asked for that.
    let (answer, _) = asking.send(HELLO, LONG).await;
    assert_eq!(answer.text().await.unwrap(), OVERLOADED);
    asking.is_quiet().await;
    assert_eq!(ends(&sandbox).await, [ApplyEnd::Failed]);
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn a_task_asks_with_its_token_and_a_person_cannot() {
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let session = (MESSAGES, &*asking.stage.session);
    let refused = asking.sends(session, HELLO, LONG).await.unwrap();
    assert_eq!(refused.status().as_u16(), 403);
    assert_eq!(refused.headers()["x-llm-proxy-code"], "forbidden");
    let text = refused.text().await.unwrap();
    assert!(text.contains("a person's own call cannot wait"), "{text}");
    assert!(text.contains("you are the agent user:"), "{text}");
    let events = sandbox.events().await;
    let asked = events
        .iter()
        .any(|event| matches!(event.event, Event::ApprovalRequested(_)));
    assert!(!asked, "nobody is asked");
    asking.is_quiet().await;
    let task = json!({
        "task_name": "answer", "agent": "ci", "subject": "client-a", "proxy": true,
        "operations": [{
            "operation_id": "anthropic.messages.create", "scope_type": "upstream", "scope_id": "anthropic",
        }],
    });
    let made = ask(&asking.stage.service, "POST", "/v1/tasks", TOKEN, &task).await;
    let made = made.unwrap().1;
    let token = (MESSAGES, made["capability_token"].as_str().unwrap());
    let waiting = asking.sends(token, HELLO, SHORT).await.unwrap();
    assert_eq!(waiting.status().as_u16(), 409);
    let asked = link(&waiting.text().await.unwrap());
    let (held, (), _) = tokio::join!(
        asking.sends(token, HELLO, LONG),
        asking.decide(&asked, "approve"),
        asking.upstream_answers("200 OK", ANSWER),
    );
    assert_eq!(held.unwrap().text().await.unwrap(), ANSWER);
    let id = made["task_id"].as_str().unwrap();
    let usage = asking.usage(&format!("task={id}")).await;
    assert_eq!(usage[0]["requests"], 1, "{usage}");
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn what_is_too_long_only_reads_or_is_asked_about_in_part_is_refused_and_says_so() {
    let mut sandbox = Sandbox::new().await;
    let operations = "\"anthropic.messages.create\", \"anthropic.models.read\"";
    let asking = Asking::ruled(
        &mut sandbox,
        &asking(operations, "agent.name != \"nobody\""),
    )
    .await;
    let long = format!("{{\"messages\":[\"{}\"]}}", "x".repeat(10 * 1024 * 1024));
    let (status, code, message) = asking.refused(&long, LONG).await;
    assert_eq!((status, &*code), (403, "forbidden"));
    assert!(message.contains("more than 10 MiB"), "{message}");
    // A third of that, which would take 64 MiB once it is parsed.
    let numbers = format!("{{\"messages\":[{}0]}}", "0,".repeat(2_200_000));
    let (status, code, message) = asking.refused(&numbers, SHORT).await;
    assert_eq!((status, &*code), (403, "forbidden"), "{message}");
    assert!(message.contains("more values than"), "{message}");
    let batch = "{\"requests\":[{\"custom_id\":\"a\",\"params\":{\"model\":\"claude-x\"}}]}";
    let answer = asking
        .try_send("/v1/messages/batches", batch, LONG)
        .await
        .unwrap();
    assert_eq!(answer.status().as_u16(), 403);
    let text = answer.text().await.unwrap();
    assert!(text.contains("a message in this batch"), "{text}");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let models = client
        .get(format!(
            "http://{}/proxy/anthropic/v1/models",
            asking.stage.service.address
        ))
        .header("host", BASE_URL.trim_start_matches("http://"))
        .bearer_auth(&asking.stage.key.0);
    let answer = models.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 403);
    let text = answer.text().await.unwrap();
    assert!(text.contains("a call that only reads"), "{text}");
    for unread in ["{\"a\":1,\"a\":2}", "{", "{\"a\":9007199254740993}"] {
        let (status, code, message) = asking.refused(unread, LONG).await;
        assert_eq!((status, &*code), (400, "malformed"), "{message}");
    }
    asking.is_quiet().await;
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn a_batch_and_a_count_are_asked_about_as_messages_are() {
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let batch = "{\"requests\":[{\"custom_id\":\"a\",\"params\":{\"model\":\"claude-x\"}}]}";
    for (path, body) in [
        ("/v1/messages/batches", batch),
        ("/v1/messages/count_tokens?beta=true", HELLO),
    ] {
        let waiting = asking.try_send(path, body, SHORT).await.unwrap();
        assert_eq!(waiting.status().as_u16(), 409, "{path}");
        let asked = link(&waiting.text().await.unwrap());
        let (held, (), sent) = tokio::join!(
            asking.try_send(path, body, LONG),
            asking.decide(&asked, "approve"),
            asking.upstream_answers("200 OK", "{\"input_tokens\": 3}"),
        );
        assert_eq!(held.unwrap().text().await.unwrap(), "{\"input_tokens\": 3}");
        assert!(
            sent.starts_with(&format!("POST {path} HTTP/1.1\r\n")),
            "{sent}"
        );
    }
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn rules_that_read_the_body_and_what_was_used_hold_for_what_is_asked_about() {
    let mut sandbox = Sandbox::new().await;
    let document = format!(
        "{}[[rule]]\nid = \"day\"\npriority = 9\naction = \"deny\"\noperations = [\"anthropic.messages.create\"]\n\
         when = 'usage.requests_24h >= 1'\nreason = \"one a day\"\n",
        asking(
            "\"anthropic.messages.create\"",
            "params.model == \"claude-x\""
        )
    );
    let asking = Asking::ruled(&mut sandbox, &document).await;
    let asked = asking.asked(HELLO).await;
    let ((answer, _), (), _) = tokio::join!(
        asking.send(HELLO, LONG),
        asking.decide(&asked, "approve"),
        asking.upstream_answers("200 OK", ANSWER),
    );
    assert_eq!(answer.text().await.unwrap(), ANSWER);
    let (status, code, message) = asking.refused(HELLO, LONG).await;
    assert_eq!((status, &*code), (429, "quota"), "{message}");
    assert!(message.contains("one a day"), "{message}");
    asking.check(&sandbox).await;
}

#[tokio::test]
async fn a_message_is_shown_by_its_fields_before_it_is_decided() {
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let asked = asking.asked(HELLO).await;
    let path = asked.strip_prefix(BASE_URL).unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let page = client
        .get(format!("http://{}{path}", asking.stage.service.address))
        .header("host", BASE_URL.trim_start_matches("http://"))
        .header("accept", "text/html");
    let page = page.send().await.unwrap().text().await.unwrap();
    for expected in [
        "Have claude-x answer a message, with at most 64 tokens",
        "A client of the API sent this itself.",
        "Hello",
        "/v1/messages",
        "anthropic-version",
    ] {
        assert!(page.contains(expected), "{expected} is not in {page}");
    }
    assert!(!page.contains("Simulation."), "{page}");
    asking.check(&sandbox).await;
}

/// Kills when an event stands in the file, starts again, and comes back with the same call.
async fn killed_at(event: &str) {
    let mut sandbox = Sandbox::new().await;
    let asking = Asking::new(&mut sandbox).await;
    let asked = asking.asked(HELLO).await;
    let sent = std::sync::atomic::AtomicUsize::new(0);
    let upstream = async |asking: &Asking| {
        loop {
            asking.upstream_answers("200 OK", ANSWER).await;
            sent.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    };
    {
        let held = asking.try_send(MESSAGES, HELLO, LONG);
        let moment = async {
            asking.decide(&asked, "approve").await;
            sandbox.event(event).await;
        };
        tokio::pin!(held);
        tokio::select! {
            biased;
            () = moment => {}
            () = upstream(&asking) => {}
            // Answered before the moment came: it is killed after the answer, then.
            _ = &mut held => {}
        }
    }
    let Asking { stage, alice } = asking;
    let Stage {
        service,
        upstream: listener,
        key,
        session,
    } = stage;
    service.kill();
    let service = sandbox.start().await;
    let stage = Stage {
        service,
        upstream: listener,
        key,
        session,
    };
    let asking = Asking { stage, alice };
    let ended = until("its end", async || {
        let (answer, code) = asking.send(HELLO, SHORT).await;
        (code.as_deref() != Some("waiting")).then_some((answer.status().as_u16(), code))
    });
    let (status, code) = tokio::select! {
        ended = ended => ended,
        () = upstream(&asking) => unreachable!("it never ends"),
    };
    let sent = sent.load(std::sync::atomic::Ordering::SeqCst);
    assert!(sent <= 1, "sent {sent} times");
    match status {
        200 => assert_eq!(sent, 1, "answered without asking upstream"),
        _ => assert_eq!((status, code.as_deref()), (403, Some("unknown"))),
    }
    asking.check(&sandbox).await;
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
async fn killed_after_the_end() {
    killed_at("apply.ended").await;
}

/// Before anybody is asked or a rule allows it, a message that was denied for later too is refused: whatever its params
/// are, or just that message however a client spells it.
#[tokio::test]
async fn a_kept_denial_holds_for_messages_that_are_relayed_and_ends_those_under_way() {
    const OTHER: &str = "{\"model\":\"claude-x\",\"max_tokens\":1,\"messages\":[]}";
    for breadth in ["exact", "scope"] {
        let mut sandbox = Sandbox::new().await;
        let asking = Asking::new(&mut sandbox).await;
        let asked = asking.asked(HELLO).await;
        let allow =
            self::asking("\"anthropic.messages.create\"", "true").replace("\"ask\"", "\"allow\"");
        ruled_after(&asking.stage, 1, &allow).await;
        // This one is under way when the other is denied.
        let (_open, under_way) = {
            let (answer, upstream) = tokio::join!(asking.send(OTHER, LONG), async {
                let (mut stream, _) = asking.upstream().await;
                stream
                        .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{")
                        .await
                        .unwrap();
                stream
            });
            (upstream, answer.0)
        };
        let keep =
            json!({"mode": "cache", "duration": "1h", "breadth": breadth, "binding": "agent"});
        let caller = &asking.stage.service.caller;
        let denied = caller
            .decide_and_keep(&asking.alice, &asked, ("deny", None), Some(&keep))
            .await
            .unwrap();
        assert_eq!(denied.status, 200, "{}", denied.text);
        if breadth == "scope" {
            assert!(under_way.text().await.is_err(), "it is broken off");
        }
        let respelled = serde_json::from_str::<Value>(HELLO).unwrap().to_string();
        for body in [HELLO, &respelled] {
            let (answer, code) = asking.send(body, SHORT).await;
            assert_eq!(
                (answer.status().as_u16(), code.as_deref()),
                (403, Some("denied"))
            );
            assert_eq!(answer.headers()["x-should-retry"], "false");
            let said: Value = answer.json().await.unwrap();
            assert_eq!(said["error"]["type"], "permission_error");
            let message = said["error"]["message"].as_str().unwrap();
            assert!(
                message.starts_with("denied before, and the answer is kept until"),
                "{message}"
            );
        }
        match breadth {
            "scope" => assert_eq!(asking.send(OTHER, SHORT).await.1.as_deref(), Some("denied")),
            _ => {
                let (other, _) = tokio::join!(
                    asking.send(OTHER, LONG),
                    asking.upstream_answers("200 OK", ANSWER)
                );
                assert_eq!(other.0.status().as_u16(), 200);
            }
        }
        asking.is_quiet().await;
        asking.check(&sandbox).await;
    }
}
