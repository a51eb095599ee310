//! What clients do to a service that they mean ill, or that are too many: the rest is served, memory
//! stays bounded, and refusals are problem details.

mod asking;
mod attacks;
mod bodies;
mod bounds;
mod connections;
mod heads;
mod links;
mod logins;
mod slow;
mod subjects;
mod witnesses;

use fixtures::caller::{CallError, Caller, Identity, Reply};
use fixtures::sandbox::{BASE_URL, Sandbox, until};
use fixtures::service::{Service, record};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ledger::Clock as _;
use ledger_sqlite::SystemClock;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Far above what an apply takes, and far below what an attack takes.
const SOON: Duration = Duration::from_secs(5);

/// Sandbox where nothing goes upstream, with these settings.
async fn sandbox(settings: &[(&'static str, &str)]) -> Sandbox {
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.remove("CLOUDFLARE_API_TOKEN");
    for (name, value) in settings {
        sandbox.settings.insert(name, (*value).to_owned());
    }
    sandbox
}

/// Somebody who has nothing to do with the attack: a subject and an agent of its own.
struct Bystander {
    caller: Caller,
    task: String,
    token: String,
}

impl Bystander {
    async fn new(sandbox: &Sandbox, service: &Service) -> Self {
        let caller = caller(sandbox, service, "bystander");
        let grant = json!({"permissions": [{
            "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*",
            "granted_level": "write",
        }]});
        let path = "/v1/agents/bystander/permissions";
        let granted = caller.administer(Method::PATCH, path, Some(&grant)).await;
        assert_eq!(granted.unwrap().status, 200);
        let made = caller
            .administer(Method::POST, "/v1/tasks", Some(&new_task()))
            .await
            .unwrap();
        assert_eq!(made.status, 201, "{}", made.text);
        Self {
            caller,
            task: made.text_at("task_id").to_owned(),
            token: made.text_at("capability_token").to_owned(),
        }
    }

    /// Has an apply carried out, soon.
    async fn is_served(&self, key: &str) {
        let path = format!("/v1/tasks/{}/apply", self.task);
        let body = json!({"operations": [record(key)]});
        let asked = self
            .caller
            .ask_with(Method::POST, &path, &self.token, Some(key), Some(&body));
        let reply = tokio::time::timeout(SOON, asked).await.unwrap().unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
    }
}

fn new_task() -> Value {
    json!({
        "task_name": "overload",
        "operations": [
            {"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*"},
            {"operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": "*"},
            {"operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": "*"},
        ],
        "expires_in_seconds": 3600,
    })
}

/// A caller whose subject and agent have this name.
fn caller(sandbox: &Sandbox, service: &Service, name: &str) -> Caller {
    let identity = Identity {
        subject: name.to_owned(),
        agent: name.to_owned(),
        subject_secret: sandbox.settings["MTLS_BINDING_SHARED_SECRET"].clone(),
        bootstrap_secret: sandbox.settings["BOOTSTRAP_JWT_SECRET"].clone(),
    };
    Caller::new(service.address, BASE_URL, identity).unwrap()
}

/// The fields that sign a subject, as they stand in a head.
fn signed(sandbox: &Sandbox, subject: &str) -> String {
    let secret = sandbox.settings["MTLS_BINDING_SHARED_SECRET"].as_bytes();
    let at = SystemClock.now().as_seconds();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
    mac.update(format!("{subject}\n{at}").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    format!(
        "x-client-subject: {subject}\r\nx-client-subject-ts: {at}\r\nx-client-subject-sig: {signature}\r\n"
    )
}

/// A connection on which anything can be sent.
struct Raw {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Raw {
    async fn connect(address: SocketAddr) -> Self {
        Self {
            stream: TcpStream::connect(address).await.unwrap(),
            read: Vec::new(),
        }
    }

    /// `false` when the other side has gone.
    async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// The next answer; `None` when the connection ends without one.
    async fn answer(&mut self) -> Option<Answer> {
        loop {
            if let Some(answer) = self.parsed() {
                return Some(answer);
            }
            if !self.read_some().await {
                return None;
            }
        }
    }

    async fn read_some(&mut self) -> bool {
        let read = tokio::time::timeout(
            fixtures::sandbox::PATIENCE,
            self.stream.read_buf(&mut self.read),
        );
        match read.await.unwrap() {
            Ok(bytes) => bytes > 0,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
                false
            }
        }
    }

    fn parsed(&mut self) -> Option<Answer> {
        let end = self.read.windows(4).position(|at| at == b"\r\n\r\n")? + 4;
        let head = String::from_utf8(self.read[..end].to_vec())
            .unwrap()
            .to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap());
        if self.read.len() < end + length {
            return None;
        }
        let body = String::from_utf8(self.read[end..end + length].to_vec()).unwrap();
        self.read.drain(..end + length);
        Some(Answer {
            status: head[9..12].parse().unwrap(),
            head,
            body,
        })
    }

    /// Whether the connection ends, and nothing more comes before.
    async fn ends(&mut self) -> bool {
        self.read.is_empty() && !self.read_some().await
    }
}

impl Answer {
    /// The status, of an answer that is a problem as RFC 9457 has it.
    #[track_caller]
    fn problem(&self) -> u16 {
        assert!(
            self.head
                .contains("content-type: application/problem+json\r\n"),
            "{self:?}"
        );
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!(body["status"], self.status, "{self:?}");
        assert!(body["code"].is_string() && body["detail"] == body["message"]);
        self.status
    }

    fn has(&self, field: &str) -> bool {
        self.head.contains(field)
    }
}

/// Something that a caller has asked a human, and the token of its task.
#[derive(Clone)]
struct Question {
    status_path: String,
    token: String,
}

impl Question {
    async fn of(caller: &Caller) -> Self {
        let made = caller
            .administer(Method::POST, "/v1/tasks", Some(&new_task()))
            .await
            .unwrap();
        let (task, token) = (
            made.text_at("task_id"),
            made.text_at("capability_token").to_owned(),
        );
        let asked = json!({"operations": [{
            "operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": "z1",
            "params": {"value": "strict"},
        }]});
        let path = format!("/v1/tasks/{task}/apply");
        let waiting = caller
            .ask_with(Method::POST, &path, &token, Some("k"), Some(&asked))
            .await
            .unwrap();
        assert_eq!(waiting.status, 202, "{}", waiting.text);
        Self {
            status_path: format!("/v1/tasks/{task}/approval-status"),
            token,
        }
    }

    /// Asks where it stands, as long as the caller waits for news.
    async fn status(&self, caller: &Caller) -> Result<Reply, CallError> {
        caller
            .ask_with(Method::GET, &self.status_path, &self.token, None, None)
            .await
    }
}

/// Asks on a connection of its own.
async fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Option<Answer> {
    let mut raw = Raw::connect(address).await;
    raw.send(request).await;
    raw.answer().await
}

/// A number that the service tells about itself; asked again where the connection was cut.
async fn metric(service: &Service, series: &str) -> f64 {
    let asked = "GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    let answer = until("the metrics", async || {
        let answer = ask(service.address, asked).await?;
        (answer.status == 200).then_some(answer)
    })
    .await;
    let lines = answer.body.lines();
    lines
        .filter_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
        .next()
        .unwrap_or(0.0)
}

/// The most that the process has ever had in memory, in KiB.
fn peak_kib(service: &Service) -> usize {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", service.process.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.trim().parse().unwrap()
}

/// Sockets that the process has open. Connections to its databases come and go.
fn sockets(service: &Service) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", service.process.pid()))
        .unwrap()
        .filter_map(|file| std::fs::read_link(file.ok()?.path()).ok())
        .filter(|file| file.to_string_lossy().starts_with("socket:"))
        .count()
}

/// Waits until the process has no more sockets than before; those of the tests' own clients rest.
async fn sockets_are_back_at(service: &Service, before: usize) {
    until("the end of all connections", async || {
        (sockets(service) <= before).then_some(())
    })
    .await;
}
