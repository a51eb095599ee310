//! Upstream's answers: to what is sent, to what is read back, and about the token.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use crate::cut::Cut;
use crate::headers::parsed;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use fixtures::commands::{deploy, dns_create, dns_read, purge, ssl_mode};
use http::{HeaderMap, Response, StatusCode};
use ledger::operation::Operation;
use ledger::parse_strict;
use secrecy::SecretString;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use tokio::runtime::Runtime;
use workers::cloudflare::{CloudflareClient, CloudflareConfig, Outcome, PreState, Reconciled};

const TOKEN: &str = "upstream-token-of-the-fuzzer";

#[derive(Clone, Default)]
struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
}

type Shown = Arc<Mutex<Answer>>;

struct Stage {
    runtime: Runtime,
    shown: Shown,
    client: CloudflareClient,
}

static STAGE: LazyLock<Mutex<Stage>> = LazyLock::new(|| Mutex::new(Stage::build()));

impl Stage {
    fn build() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let shown = Shown::default();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&shown));
        let address = runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
                .await
                .expect("a port");
            let address = listener.local_addr().expect("a port");
            tokio::spawn(async { axum::serve(listener, router).await });
            address
        });
        let config = CloudflareConfig {
            read_back_delays: Vec::new(),
            ..CloudflareConfig::new(format!("http://{address}"), SecretString::from(TOKEN))
        };
        let client = runtime.block_on(async { CloudflareClient::new(config) });
        Self {
            runtime,
            shown,
            client: client.expect("a client"),
        }
    }
}

async fn answer(State(shown): State<Shown>) -> Response<Body> {
    let answer = shown.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let mut response = Response::new(Body::from(answer.body));
    *response.status_mut() = answer.status;
    *response.headers_mut() = answer.headers;
    response
}

/// `operation u8 · what is done u8 · status u8 · headers · empty line · body`: however upstream answers,
/// the token is in nothing that is made of it.
pub(crate) fn upstream(bytes: &[u8]) {
    let mut cut = Cut::new(bytes);
    let [operation, done, status] = cut.array();
    let rest = cut.rest();
    let end = rest.windows(2).position(|pair| pair == b"\n\n");
    let (lines, body) = rest.split_at(end.unwrap_or(0));
    let mut headers = parsed(lines);
    // Of these the server makes its own, and a short wait is waited for.
    for own in [
        "content-length",
        "transfer-encoding",
        "connection",
        "retry-after",
    ] {
        headers.remove(own);
    }
    let stage = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
    *stage.shown.lock().unwrap_or_else(PoisonError::into_inner) = Answer {
        // 204 and 304 have no body, whatever is in it.
        status: StatusCode::from_u16(200 + u16::from(status) * 2).unwrap_or_default(),
        headers,
        body: body.trim_ascii_start().to_vec(),
    };
    let operations = operations();
    let at = usize::from(operation) % operations.len();
    let operation = operations.get(at).expect("there are operations");
    let said = stage.runtime.block_on(said(&stage.client, operation, done));
    assert!(!said.contains(TOKEN), "the token is in {said}");
}

async fn said(client: &CloudflareClient, operation: &Operation, done: u8) -> String {
    match done % 4 {
        0 => {
            let outcome = client.send(operation, None).await;
            if let Outcome::Succeeded { http_status, .. } = outcome {
                assert!((200..300).contains(&http_status));
            }
            if !operation.changes_upstream() {
                assert!(
                    !matches!(outcome, Outcome::Lost { .. }),
                    "a read is never lost"
                );
            }
            format!("{outcome:?}")
        }
        1 => {
            let found = client
                .read_pre_state(operation, Err("it is not asked"))
                .await;
            if let PreState::Value(value) = &found {
                let text = value.to_string();
                assert!(parse_strict(text.as_bytes()).is_ok() || text.len() < 1 << 20);
            }
            format!("{found:?}")
        }
        2 => {
            let before = client.read_before(operation).await;
            let known = client.reconcile(operation, &before).await;
            // Upstream shows the same before and after.
            assert!(
                !matches!(known.verdict, Reconciled::Applied { .. }),
                "nothing was done"
            );
            if operation.entry == fixtures::cloudflare::CACHE_PURGE {
                assert!(matches!(known.verdict, Reconciled::Unknown { .. }));
            }
            format!("{before:?} {known:?}")
        }
        _ => format!("{:?}", client.verify_token(None).await),
    }
}

fn operations() -> [Operation; 5] {
    [
        dns_create("a.example.com"),
        dns_read(),
        purge(),
        ssl_mode("strict"),
        deploy("edge", "export default {}"),
    ]
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let bodies: [&str; 9] = [
        r#"{"success":true,"errors":[],"messages":[],"result":{"id":"r1","type":"A","name":"a.example.com","content":"192.0.2.1","ttl":60,"proxied":false}}"#,
        r#"{"success":true,"errors":[],"result":[{"id":"r1","type":"A","name":"a.example.com","content":"192.0.2.1","ttl":60}],"result_info":{"page":1,"per_page":100,"total_pages":1,"count":1,"total_count":1}}"#,
        r#"{"success":false,"errors":[{"code":81057,"message":"Record already exists."}],"result":null}"#,
        r#"{"success":true,"result":{"id":"ssl","value":"strict"}}"#,
        r#"{"success":true,"result":{"status":"active"}}"#,
        r#"{"result":{"id":"r1"}}"#,
        r#"{"errors":[{"message":"upstream-token-of-the-fuzzer, \u0075pstream\u002dtoken-of-the-fuzzer"}],"success":false}"#,
        "--x\r\nContent-Disposition: form-data; name=\"worker.js\"\r\n\r\nexport default {}\r\n--x--\r\n",
        "",
    ];
    let mut seeds = Vec::new();
    for (operation, done) in (0_u8..5).flat_map(|operation| [0, 1, 2].map(|done| (operation, done)))
    {
        for (body, status) in bodies.iter().zip([0, 0, 100, 0, 0, 2, 102, 0, 150]) {
            let head = "content-type: multipart/form-data; boundary=x\ncf-ray: 8f-AMS\n\n";
            seeds.push([&[operation, done, status], head.as_bytes(), body.as_bytes()].concat());
        }
    }
    seeds
}
