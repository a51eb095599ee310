//! A client of Anthropic's API against the real binary, which leads to an upstream that a test plays.

use crate::logins::{TOKEN, ask, with_ann};
use crate::proxied_usage::ruled;
use fixtures::sandbox::{BASE_URL, Sandbox};
use fixtures::service::Service;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const STORED: &str = "sk-ant-api03-of-the-agent";
const OWN: &str = "sk-ant-api03-of-ann";

/// What a revocation may take to reach an open call.
pub(crate) const SOON: Duration = Duration::from_secs(1);

const BEGUN: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n3\r\n:\n\n\r\n";

pub(crate) struct Stage {
    pub(crate) service: Service,
    pub(crate) upstream: TcpListener,
    /// An agent's, with its path.
    pub(crate) key: (String, String),
    /// A session of a user.
    pub(crate) session: String,
}

impl Stage {
    /// A service with an agent and a user who have keys stored.
    pub(crate) async fn new(sandbox: &mut Sandbox) -> Self {
        let upstream = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", upstream.local_addr().unwrap());
        sandbox.settings.insert("ANTHROPIC_API_BASE", base);
        let (service, session) = with_ann(sandbox).await;
        let agent = json!({"agent": "ci"});
        let made = ask(&service, "POST", "/v1/agents", TOKEN, &agent).await;
        assert_eq!(made.unwrap().0, 201);
        let keys = "/v1/agents/ci/keys";
        let made = ask(&service, "POST", keys, TOKEN, &json!({})).await;
        let made = made.unwrap().1;
        let key = made["key"].as_str().unwrap().to_owned();
        let path = format!("{keys}/{}", made["id"].as_str().unwrap());
        let stored = "/v1/agents/ci/upstream-keys/anthropic";
        for (path, token, text) in [
            (stored, TOKEN, STORED),
            ("/v1/me/anthropic-key", &*session, OWN),
        ] {
            let put = ask(&service, "PUT", path, token, &json!({"api_key": text})).await;
            assert_eq!(put.unwrap().0, 204, "{path}");
        }
        Self {
            service,
            upstream,
            key: (key, path),
            session,
        }
    }

    pub(crate) async fn sent(&self, credential: &str) -> TcpStream {
        self.sends("POST /proxy/anthropic/v1/messages", credential)
            .await
    }

    pub(crate) async fn sends(&self, line: &str, credential: &str) -> TcpStream {
        let host = BASE_URL.trim_start_matches("http://");
        let request = format!(
            "{line} HTTP/1.1\r\nhost: {host}\r\n\
             authorization: Bearer {credential}\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{{}}"
        );
        let mut client = TcpStream::connect(self.service.address).await.unwrap();
        client.write_all(request.as_bytes()).await.unwrap();
        client
    }

    /// The next connection upstream, and the head that came on it.
    pub(crate) async fn asked(&self) -> (TcpStream, String) {
        let accepted = tokio::time::timeout(SOON * 5, self.upstream.accept()).await;
        let (mut stream, _) = accepted.unwrap().unwrap();
        let mut read = String::new();
        while !read.ends_with("\r\n\r\n{}") {
            let mut piece = [0; 4096];
            let count = stream.read(&mut piece).await.unwrap();
            assert_ne!(count, 0, "{read}");
            read.push_str(std::str::from_utf8(&piece[..count]).unwrap());
        }
        (stream, read)
    }

    pub(crate) async fn refused(&self, credential: &str) -> (String, String) {
        let answer = rest(&mut self.sent(credential).await).await;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.to_owned(), body.to_owned())
    }
}

/// Everything up to the end, which comes soon.
pub(crate) async fn rest(connection: &mut TcpStream) -> String {
    let mut read = Vec::new();
    let reading = tokio::time::timeout(SOON * 5, connection.read_to_end(&mut read));
    // A reset is an end as well.
    drop(reading.await.unwrap());
    String::from_utf8(read).unwrap()
}

#[tokio::test]
async fn an_agent_and_a_user_call_with_the_key_that_is_stored_for_each() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    for (credential, stored) in [(&stage.key.0, STORED), (&stage.session, OWN)] {
        let mut client = stage.sent(credential).await;
        let (mut upstream, asked) = stage.asked().await;
        assert!(
            asked.contains(&format!("x-api-key: {stored}\r\n")),
            "{asked}"
        );
        assert!(!asked.contains(credential.as_str()), "{asked}");
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nrequest-id: req_1\r\n\r\n[]";
        upstream.write_all(answer.as_bytes()).await.unwrap();
        let answer = rest(&mut client).await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains("request-id: req_1\r\n"), "{answer}");
        assert!(!answer.contains("x-llm-proxy-code"), "{answer}");
        assert!(answer.ends_with("\r\n\r\n[]"), "{answer}");
    }
    let log = stage.service.process.log();
    for secret in [STORED, OWN, &stage.key.0, &stage.session] {
        assert!(!log.contains(secret));
    }
}

#[tokio::test]
async fn a_key_that_is_removed_is_not_used_for_the_next_call() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let path = "/v1/agents/ci/upstream-keys/anthropic";
    let gone = ask(&stage.service, "DELETE", path, TOKEN, &Value::Null).await;
    assert_eq!(gone.unwrap().0, 204);
    let (head, body) = stage.refused(&stage.key.0).await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    assert!(head.contains("x-llm-proxy-code: unauthorized"), "{head}");
    assert!(body.contains(path), "it says where one is stored: {body}");
}

#[tokio::test]
async fn an_open_call_ends_with_the_key_the_session_or_a_lock() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let lock = json!({"target": {"kind": "agent", "id": "ci"}, "reason": "it loops"});
    for (credential, ending, word) in [
        (
            &stage.session,
            ("POST", "/v1/auth/logout", &*stage.session, Value::Null),
            "unauthorized",
        ),
        (&stage.key.0, ("POST", "/v1/locks", TOKEN, lock), "locked"),
        (
            &stage.key.0,
            ("DELETE", &*stage.key.1, TOKEN, Value::Null),
            "unauthorized",
        ),
    ] {
        let (method, path, token, body) = ending;
        if word == "unauthorized" && path == stage.key.1 {
            lift(&stage.service).await;
        }
        let mut client = stage.sent(credential).await;
        let (mut upstream, _) = stage.asked().await;
        upstream.write_all(BEGUN.as_bytes()).await.unwrap();
        let mut first = [0; 1];
        client.read_exact(&mut first).await.unwrap();
        let ended = ask(&stage.service, method, path, token, &body).await;
        let (status, ended) = ended.unwrap();
        assert!(status < 300, "{path}: {status} {ended}");
        let gone = tokio::time::timeout(SOON, upstream.read(&mut first)).await;
        assert!(gone.is_ok(), "upstream is open after {path}");
        let answer = rest(&mut client).await;
        assert!(!answer.ends_with("0\r\n\r\n"), "{path}: {answer}");
        let (head, _) = stage.refused(credential).await;
        assert!(
            head.contains(&format!("x-llm-proxy-code: {word}")),
            "{head}"
        );
    }
}

#[tokio::test]
async fn an_open_call_ends_with_a_lock_on_its_operation_a_block_and_a_policy() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let lock = json!({
        "target": {"kind": "operation", "id": "anthropic.messages.create"}, "reason": "it loops",
    });
    let block = json!({"kind": "agent", "value": "ci", "duration": "1h", "reason": "it loops"});
    for (what, word) in [
        ("lock", "locked"),
        ("block", "forbidden"),
        ("policy", "forbidden"),
    ] {
        let mut client = stage.sent(&stage.key.0).await;
        let (mut upstream, _) = stage.asked().await;
        upstream.write_all(BEGUN.as_bytes()).await.unwrap();
        let mut first = [0; 1];
        client.read_exact(&mut first).await.unwrap();
        match what {
            "lock" => set(&stage.service, "/v1/locks", &lock).await,
            "block" => set(&stage.service, "/v1/blocks", &block).await,
            _ => {
                ruled(
                    &stage,
                    "engine = \"lpp-cel/1\"\n[[rule]]\nid = \"none\"\npriority = 1\naction = \"deny\"\n\
                     operations = [\"anthropic.messages.create\"]\nreason = \"none today\"\n",
                )
                .await;
            }
        }
        let gone = tokio::time::timeout(SOON, upstream.read(&mut first)).await;
        assert!(gone.is_ok(), "upstream is open after a {what}");
        let answer = rest(&mut client).await;
        assert!(!answer.ends_with("0\r\n\r\n"), "{what}: {answer}");
        let (head, body) = stage.refused(&stage.key.0).await;
        let code = format!("x-llm-proxy-code: {word}");
        assert!(head.contains(&code), "{what}: {head}");
        assert!(!body.contains("the key"), "{what}: {body}");
        match what {
            "lock" => lift(&stage.service).await,
            "block" => {
                let blocks = ask(&stage.service, "GET", "/v1/blocks", TOKEN, &Value::Null).await;
                let blocks = blocks.unwrap().1;
                let id = blocks["blocks"][0]["id"].as_str().unwrap();
                let path = format!("/v1/blocks/{id}");
                let lifted = ask(&stage.service, "DELETE", &path, TOKEN, &Value::Null).await;
                assert!(lifted.unwrap().0 < 300);
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn an_open_call_ends_with_a_block_on_the_subject_of_its_task_and_a_lock_on_what_it_brings() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let task = json!({
        "task_name": "answer", "agent": "ci", "subject": "client-a", "proxy": true,
        "operations": [{
            "operation_id": "anthropic.messages.create", "scope_type": "upstream", "scope_id": "anthropic",
        }],
    });
    let made = ask(&stage.service, "POST", "/v1/tasks", TOKEN, &task).await;
    let made = made.unwrap().1;
    let token = made["capability_token"].as_str().unwrap();
    let block =
        json!({"kind": "subject", "value": "client-a", "duration": "1h", "reason": "it loops"});
    let lock = json!({
        "target": {"kind": "operation", "id": "anthropic.messages.create"}, "reason": "it loops",
    });
    for (credential, path, change) in [
        (token, "/v1/messages", ("/v1/blocks", &block)),
        (&*stage.key.0, "/v1/messages/batches", ("/v1/locks", &lock)),
    ] {
        let line = format!("POST /proxy/anthropic{path}");
        let mut client = stage.sends(&line, credential).await;
        let (mut upstream, _) = stage.asked().await;
        set(&stage.service, change.0, change.1).await;
        let gone = tokio::time::timeout(SOON, upstream.read(&mut [0; 1])).await;
        assert!(gone.is_ok(), "{path} is open after {change:?}");
        let answer = rest(&mut client).await;
        assert!(answer.contains("x-llm-proxy-code: "), "{path}: {answer}");
    }
}

#[tokio::test]
async fn an_open_call_ends_with_the_key_that_it_was_sent_with_and_goes_on_where_that_is_replaced() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let agents = "/v1/agents/ci/upstream-keys/anthropic";
    for (path, token, credential) in [
        (agents, TOKEN, &stage.key.0),
        ("/v1/me/anthropic-key", &*stage.session, &stage.session),
    ] {
        let mut client = stage.sent(credential).await;
        let (mut upstream, _) = stage.asked().await;
        upstream.write_all(BEGUN.as_bytes()).await.unwrap();
        let mut first = [0; 1];
        client.read_exact(&mut first).await.unwrap();
        let other = json!({"api_key": "sk-ant-api03-another"});
        let put = ask(&stage.service, "PUT", path, token, &other).await;
        assert_eq!(put.unwrap().0, 204);
        let mut next = stage.sent(credential).await;
        let (upstream_of_next, asked) = stage.asked().await;
        assert!(
            asked.contains("x-api-key: sk-ant-api03-another\r\n"),
            "{asked}"
        );
        upstream.write_all(b"0\r\n\r\n").await.unwrap();
        let answer = rest(&mut client).await;
        assert!(answer.ends_with("0\r\n\r\n"), "{path}: {answer}");
        let gone = ask(&stage.service, "DELETE", path, token, &Value::Null).await;
        assert_eq!(gone.unwrap().0, 204);
        let mut upstream = upstream_of_next;
        let gone = tokio::time::timeout(SOON, upstream.read(&mut first)).await;
        assert!(gone.is_ok(), "upstream is open without {path}");
        let answer = rest(&mut next).await;
        assert!(answer.starts_with("HTTP/1.1 401"), "{path}: {answer}");
        assert!(
            answer.contains("anthropic key that this call used was removed"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_request_that_cannot_be_read_is_refused_in_the_form_of_its_api() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let host = BASE_URL.trim_start_matches("http://");
    let many: String = (0..120)
        .map(|number| format!("x-{number}: 1\r\n"))
        .collect();
    for fields in [
        "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        "content-length: 2\r\ncontent-length: 2\r\n",
        "transfer-encoding: gzip\r\n",
        "content-length: 2\nx: y\r\n",
        "x: a\r\n b\r\n",
        &many,
    ] {
        for (place, kind) in [
            ("anthropic/v1/messages", "invalid_request_error"),
            ("cloudflare/client/v4/zones", "99400"),
        ] {
            let request = format!(
                "POST /proxy/{place} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {}\r\n{fields}\r\n{{}}",
                stage.key.0
            );
            let mut client = TcpStream::connect(stage.service.address).await.unwrap();
            client.write_all(request.as_bytes()).await.unwrap();
            let answer = rest(&mut client).await;
            let (head, body) = answer.split_once("\r\n\r\n").unwrap();
            assert!(head.starts_with("HTTP/1.1 400 "), "{fields}: {head}");
            for line in ["x-llm-proxy-code: malformed", "x-should-retry: false"] {
                assert!(head.contains(line), "{fields}: {head}");
            }
            assert!(body.contains(kind), "{fields}: {body}");
        }
    }
}

async fn set(service: &Service, path: &str, body: &Value) {
    let (status, said) = ask(service, "POST", path, TOKEN, body).await.unwrap();
    assert_eq!(status, 201, "{path}: {said}");
}

async fn lift(service: &Service) {
    let locks = ask(service, "GET", "/v1/locks", TOKEN, &Value::Null).await;
    let locks = locks.unwrap().1;
    let id = locks["locks"][0]["id"].as_str().unwrap();
    let path = format!("/v1/locks/{id}");
    let lifted = ask(service, "DELETE", &path, TOKEN, &Value::Null).await;
    assert!(lifted.unwrap().0 < 300);
}

#[tokio::test]
async fn a_capability_token_and_a_real_key_are_told_what_to_send() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    stage.service.grant(&["dns.record.write"]).await;
    let task = stage.service.open_task().await;
    let (head, body) = stage.refused(&task.token).await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    assert!(body.contains("key of the agent"), "{body}");
    let (head, body) = stage.refused(STORED).await;
    assert!(head.starts_with("HTTP/1.1 401"), "{head}");
    assert!(body.contains("ANTHROPIC_AUTH_TOKEN"), "{body}");
    assert!(!stage.service.process.log().contains(STORED));
}

#[tokio::test]
async fn calls_that_fill_the_proxies_cost_the_rest_nothing_and_the_other_way_round() {
    const CALLS: usize = 8;
    let mut sandbox = Sandbox::new().await;
    let settings = [
        ("PROXY_CALLS", CALLS.to_string()),
        ("PROXY_CALLS_PER_KEY", CALLS.to_string()),
        ("RATE_LIMIT_RPS", "20".to_owned()),
    ];
    sandbox.settings.extend(settings);
    let stage = Stage::new(&mut sandbox).await;
    let mut open = Vec::new();
    for _ in 0..CALLS {
        let client = stage.sent(&stage.key.0).await;
        open.push((client, stage.asked().await));
    }
    for _ in 0..3 * CALLS {
        let (head, _) = stage.refused(&stage.key.0).await;
        assert!(head.starts_with("HTTP/1.1 429"), "{head}");
        assert!(head.contains("x-llm-proxy-code: busy"), "{head}");
    }
    // They are no requests of the ordinary surface, which answers as before.
    let me = ask(
        &stage.service,
        "GET",
        "/v1/me",
        &stage.session,
        &Value::Null,
    )
    .await;
    assert_eq!(me.unwrap().0, 200);
    open.clear();
    // Whoever asks the ordinary surface for too much still calls.
    let asked = (0..200).map(|_| {
        ask(
            &stage.service,
            "GET",
            "/v1/me",
            &stage.session,
            &Value::Null,
        )
    });
    let answers = join_all(asked).await;
    let refused = answers
        .into_iter()
        .filter(|answer| matches!(answer, Some((429, _))));
    assert!(refused.count() > 0, "the limit is reached");
    let mut client = stage.sent(&stage.session).await;
    let (mut upstream, _) = stage.asked().await;
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n[]";
    upstream.write_all(answer.as_bytes()).await.unwrap();
    let answer = rest(&mut client).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
