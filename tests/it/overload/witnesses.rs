//! Those who have nothing to do with an attack, and how they are served while it runs: health, an
//! administrator, an approver and an agent, each with a subject, a task and connections of its own.

use super::{ask, caller, new_task};
use fixtures::approver::SoftApprover;
use fixtures::caller::{Caller, Reply};
use fixtures::sandbox::Sandbox;
use fixtures::service::{Service, record};
use reqwest::Method;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, MutexGuard};

/// How often each of them asks while an attack runs.
const ROUNDS: usize = 50;

/// How often the approver does: one task's links have a rate that is a person's.
const DECISIONS: usize = 10;

/// What 99 of 100 answers may take: a second. A build for debugging, on a machine that runs other tests as well,
/// shows that nobody is shut out, and `just overload` measures.
const P99: Duration = Duration::from_secs(if cfg!(debug_assertions) { 10 } else { 1 });

/// One attack at a time: two would be waited for by each other's witnesses.
static ATTACK: Mutex<()> = Mutex::const_new(());

/// What the process may have in memory, whatever is done to it.
const MOST_MEMORY_KIB: usize = 512 * 1024;

/// What all files may grow by while an attack runs, in bytes: four times what one agent may have recorded in
/// an hour.
const MOST_DISK: u64 = 512 * 1024 * 1024;

/// Health over a connection of its own each time; the others keep theirs.
const HEALTH: &str = "GET /v1/healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// The four.
pub(super) struct Witnesses<'a> {
    _alone: MutexGuard<'static, ()>,
    service: &'a Service,
    sandbox: &'a Sandbox,
    administrator: Caller,
    agent: Caller,
    approver: SoftApprover,
    task: String,
    token: String,
    /// Bytes of all files before the attack.
    disk: u64,
    /// Makes each key its own.
    asked: AtomicU32,
}

impl<'a> Witnesses<'a> {
    /// Registers the approver and opens the agent's task; to be called before the attack.
    pub(super) async fn new(sandbox: &'a Sandbox, service: &'a Service) -> Self {
        let alone = ATTACK.lock().await;
        let administrator = caller(sandbox, service, "witness-administrator");
        let agent = caller(sandbox, service, "witness-agent");
        let approver = SoftApprover::new("alice");
        let registered = administrator.register(&approver).await.unwrap();
        assert_eq!(registered.status, 200, "{}", registered.text);
        let grant = json!({"permissions": [{
            "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*",
            "granted_level": "write",
        }]});
        let path = "/v1/agents/witness-agent/permissions";
        let granted = administrator.administer(Method::PATCH, path, Some(&grant));
        assert_eq!(granted.await.unwrap().status, 200);
        let made = agent
            .administer(Method::POST, "/v1/tasks", Some(&new_task()))
            .await
            .unwrap();
        assert_eq!(made.status, 201, "{}", made.text);
        Self {
            _alone: alone,
            service,
            sandbox,
            administrator,
            agent,
            approver,
            task: made.text_at("task_id").to_owned(),
            token: made.text_at("capability_token").to_owned(),
            disk: bytes_under(sandbox.folder()),
            asked: AtomicU32::new(0),
        }
    }

    /// Has each of them ask again and again. Each is served, nearly always within a second, and the
    /// service's memory and disk stay within their bounds.
    pub(super) async fn are_served(&self, attack: &str) {
        let (health, administrator, agent, approver) = tokio::join!(
            rounds(ROUNDS, async || self.health().await),
            rounds(ROUNDS, async || self.administrator().await),
            rounds(ROUNDS, async || self.agent().await),
            rounds(DECISIONS, async || self.approver().await),
        );
        let memory = super::peak_kib(self.service);
        let disk = bytes_under(self.sandbox.folder()).saturating_sub(self.disk);
        println!(
            "while {attack}: {memory} KiB at most, {disk} bytes on disk; 99 of 100 answers to"
        );
        let all = [
            ("health", health),
            ("administrator", administrator),
            ("agent", agent),
            ("approver", approver),
        ];
        for (who, took) in &all {
            println!("  {who}: within {took:?}");
        }
        for (who, took) in all {
            assert!(took < P99, "{who} waited {took:?} while {attack}");
        }
        assert!(memory < MOST_MEMORY_KIB, "{memory} KiB while {attack}");
        assert!(disk < MOST_DISK, "{disk} bytes on disk while {attack}");
    }

    async fn health(&self) {
        let answer = ask(self.service.address, HEALTH).await;
        assert_eq!(answer.unwrap().status, 200);
    }

    async fn administrator(&self) {
        let made = self
            .administrator
            .administer(Method::POST, "/v1/tasks", Some(&new_task()))
            .await
            .unwrap();
        assert_eq!(made.status, 201, "{}", made.text);
    }

    async fn agent(&self) {
        let key = self.key();
        let done = self.apply(&key, &record(&key)).await;
        assert_eq!(done.status, 200, "{}", done.text);
    }

    /// A new question each time, which its page shows and a passkey answers.
    async fn approver(&self) {
        let ssl = json!({
            "operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": self.key(),
            "params": {"value": "strict"},
        });
        let asked = self.apply(&self.key(), &ssl).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        let link = asked.text_at("approval_url");
        let page = self.administrator.ask(Method::GET, link, None).await;
        assert_eq!(page.unwrap().status, 200);
        let decided = self
            .administrator
            .decide(&self.approver, link, "approve", None);
        let decided = decided.await.unwrap();
        assert_eq!(decided.status, 200, "{}", decided.text);
    }

    async fn apply(&self, key: &str, operation: &Value) -> Reply {
        let path = format!("/v1/tasks/{}/apply", self.task);
        let body = json!({"operations": [operation]});
        let asked = self
            .agent
            .ask_with(Method::POST, &path, &self.token, Some(key), Some(&body));
        asked.await.unwrap()
    }

    fn key(&self) -> String {
        format!("w{}", self.asked.fetch_add(1, Ordering::Relaxed))
    }
}

/// Asks so many times, and says within which time 99 of 100 were answered.
async fn rounds(count: usize, ask: impl AsyncFn()) -> Duration {
    let mut took = Vec::with_capacity(count);
    for _ in 0..count {
        let begun = Instant::now();
        ask().await;
        took.push(begun.elapsed());
    }
    took.sort();
    took[took.len() * 99 / 100]
}

/// Bytes of all files under a folder; those that go meanwhile count nothing.
fn bytes_under(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| {
            let about = entry.metadata().ok()?;
            Some(if about.is_dir() {
                bytes_under(&entry.path())
            } else {
                about.len()
            })
        })
        .sum()
}
