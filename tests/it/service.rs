//! The binary as a process of its own, with everything that it speaks to.

use fixtures::approver::SoftApprover;
use fixtures::caller::{Caller, Identity, Reply};
use fixtures::receiver::Receiver;
use fixtures::upstream::FakeUpstream;
use ledger::{Log as _, Recorded};
use ledger_sqlite::Reader;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// For whatever must come about; a machine that is busy may need some of it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(2);

pub(crate) const BASE_URL: &str = "http://localhost:8080";
pub(crate) const AGENT: &str = "deployer";
pub(crate) const ZONE: &str = "z1";
pub(crate) const ACCOUNT: &str = "a1";
pub(crate) const CALLBACK_SECRET: &str = "a secret of the tests";

/// Waits until the look finds something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come about");
        tokio::time::sleep(PAUSE).await;
    }
}

pub(crate) const SERVE: &str = "serve --log-format json";

/// A folder, settings, and the world around the service; processes come and go in it.
pub(crate) struct Surroundings {
    pub(crate) upstream: FakeUpstream,
    pub(crate) receiver: Receiver,
    pub(crate) settings: BTreeMap<&'static str, String>,
    folder: TempDir,
}

impl Surroundings {
    pub(crate) async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let upstream = FakeUpstream::start().await.unwrap();
        let receiver = Receiver::start().await.unwrap();
        let ca_file = folder.path().join("ca.pem");
        std::fs::write(&ca_file, receiver.ca_pem()).unwrap();
        let secret = |of: &str| format!("{of} secret of the tests, long enough for all");
        let settings = BTreeMap::from([
            ("BIND_ADDR", "127.0.0.1:0".to_owned()),
            (
                "DATABASE_URL",
                format!("sqlite://{}/data/proxy.db", folder.path().display()),
            ),
            ("JWT_SECRET", secret("capability")),
            ("BOOTSTRAP_JWT_SECRET", secret("bootstrap")),
            ("MTLS_BINDING_SHARED_SECRET", secret("subject")),
            ("APPROVAL_LINK_SECRET", secret("link")),
            ("RESUME_TOKEN_SECRET", secret("resume")),
            ("CALLBACK_CA_FILE", ca_file.display().to_string()),
            ("CALLBACK_WORKER_INTERVAL_SECS", "1".to_owned()),
            ("CLOUDFLARE_API_BASE", upstream.base_url()),
            ("CLOUDFLARE_API_TOKEN", upstream.token().to_owned()),
            ("APPROVAL_APPROVERS", "alice".to_owned()),
        ]);
        Self {
            upstream,
            receiver,
            settings,
            folder,
        }
    }

    /// Where everything is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn ledger_file(&self) -> PathBuf {
        self.folder.path().join("data/proxy.ledger.db")
    }

    pub(crate) fn read_tables_file(&self) -> PathBuf {
        self.folder.path().join("data/proxy.db")
    }

    /// What the newest process has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// The binary with nothing but these settings around it.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = bare(line);
        command.envs(&self.settings).current_dir(self.folder.path());
        command
    }

    /// Runs a command to its end.
    pub(crate) fn run(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    /// Starts the service and waits until it is ready.
    pub(crate) async fn start(&self) -> Service {
        self.started(self.command(SERVE)).await
    }

    /// Starts it where no file may become larger than this, as on a disk that is full.
    pub(crate) async fn start_with_room(&self, kibibytes: u32) -> Service {
        self.started(self.command_with_room(SERVE, kibibytes)).await
    }

    /// The binary where no file may become larger than this.
    pub(crate) fn command_with_room(&self, line: &str, kibibytes: u32) -> Command {
        let binary = env!("CARGO_BIN_EXE_llm-permission-proxy");
        let blocks = kibibytes * 2;
        let mut command = Command::new("sh");
        command
            .args([
                "-c",
                &format!("trap '' XFSZ; ulimit -f {blocks}; exec '{binary}' {line}"),
            ])
            .env_clear()
            .stdin(Stdio::null())
            .envs(&self.settings)
            .current_dir(self.folder.path());
        command
    }

    async fn started(&self, command: Command) -> Service {
        let service = self.try_started(command).await;
        assert!(service.is_ok(), "it ended: {}", self.log());
        let service = service.unwrap();
        until("readiness", async || service.is_ready().await.then_some(())).await;
        service
    }

    /// Starts it and waits until it listens, ready or not, or has ended.
    pub(crate) async fn try_start(&self) -> Result<Service, ExitStatus> {
        self.try_started(self.command(SERVE)).await
    }

    async fn try_started(&self, mut command: Command) -> Result<Service, ExitStatus> {
        let log = self.log_file();
        let mut process = command
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .map(Process)
            .unwrap();
        let address = until("listening", async || {
            if let Some(status) = process.0.try_wait().unwrap() {
                return Some(Err(status));
            }
            let lines = std::fs::read_to_string(&log).unwrap();
            lines.lines().find_map(address_in).map(Ok)
        })
        .await?;
        let identity = Identity {
            subject: "ci".to_owned(),
            agent: AGENT.to_owned(),
            subject_secret: self.settings["MTLS_BINDING_SHARED_SECRET"].clone(),
            bootstrap_secret: self.settings["BOOTSTRAP_JWT_SECRET"].clone(),
        };
        Ok(Service {
            process,
            address,
            caller: Caller::new(address, BASE_URL, identity).unwrap(),
            hooks: self.receiver.url("/hooks"),
        })
    }

    /// Every event in the ledger file, read as any other process would.
    pub(crate) async fn events(&self) -> Vec<Recorded> {
        let url = format!("sqlite://{}", self.ledger_file().display());
        let reader = Reader::open(&url).await.unwrap();
        reader.events_from(0, 100_000).await.unwrap()
    }

    /// Waits until an event of that name stands in the ledger file.
    pub(crate) async fn event(&self, name: &str) -> Recorded {
        until(name, async || {
            let events = self.events().await;
            events.into_iter().find(|event| event.event.name() == name)
        })
        .await
    }
}

/// The binary without any setting.
pub(crate) fn bare(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_llm-permission-proxy"));
    command
        .args(line.split_whitespace())
        .env_clear()
        .stdin(Stdio::null());
    command
}

/// Where a line of the log says that it listens.
pub(crate) fn address_in(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    (line["message"] == "listening")
        .then(|| line["address"].as_str()?.parse().ok())
        .flatten()
}

/// Killed when it goes, so that no test leaves one behind.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// A running service.
pub(crate) struct Service {
    pub(crate) caller: Caller,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    process: Process,
    hooks: String,
}

/// A task and what its agent holds.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl Task {
    /// What an answer gives; `None` when it gives none.
    pub(crate) fn of(reply: &Reply) -> Option<Self> {
        (reply.status == 201).then(|| Self {
            id: reply.text_at("task_id").to_owned(),
            token: reply.text_at("capability_token").to_owned(),
        })
    }
}

impl Service {
    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    /// SIGKILL: no last word.
    pub(crate) fn kill(mut self) {
        self.process.0.kill().unwrap();
        self.process.0.wait().unwrap();
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        self.signal("TERM");
    }

    /// A signal, without the SIG of its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.process.0.id().to_string();
        let sent = Command::new("kill")
            .args([&format!("-{name}"), &pid])
            .status();
        assert!(sent.unwrap().success());
    }

    /// How it has ended, when it has.
    pub(crate) fn has_ended(&mut self) -> Option<ExitStatus> {
        self.process.0.try_wait().unwrap()
    }

    /// Whether it says that it is ready.
    pub(crate) async fn is_ready(&self) -> bool {
        let reply = self.caller.ask(Method::GET, "/v1/readyz", None).await;
        reply.is_ok_and(|reply| reply.status == 200)
    }

    /// SIGTERM, and waits for the end.
    pub(crate) async fn stop(self) -> ExitStatus {
        self.terminate();
        self.end().await
    }

    /// Waits for the end.
    pub(crate) async fn end(mut self) -> ExitStatus {
        until("the end", async || self.process.0.try_wait().unwrap()).await
    }

    pub(crate) async fn grant(&self, operations: &[&str]) {
        let reply = self.try_grant(operations).await;
        assert_eq!(reply.unwrap().status, 200);
    }

    /// `None` when the service is gone before it has answered.
    pub(crate) async fn try_grant(&self, operations: &[&str]) -> Option<Reply> {
        let permissions: Vec<Value> = operations
            .iter()
            .map(|operation| {
                json!({
                    "operation_id": operation, "scope_type": "zone", "scope_id": "*",
                    "granted_level": "write",
                })
            })
            .collect();
        let body = json!({"permissions": permissions});
        let path = format!("/v1/agents/{AGENT}/permissions");
        let reply = self.caller.administer(Method::PATCH, &path, Some(&body));
        reply.await.ok()
    }

    pub(crate) async fn register(&self, approver: &SoftApprover) {
        let reply = self.caller.register(approver).await.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    /// A task for DNS, purges and Workers, with a callback for everything.
    pub(crate) async fn open_task(&self) -> Task {
        self.try_open_task().await.unwrap()
    }

    /// The same, or the refusal.
    pub(crate) async fn try_open_task(&self) -> Result<Task, Reply> {
        let reply = self.ask_for_task().await.unwrap();
        Task::of(&reply).ok_or(reply)
    }

    /// `None` when the service is gone before it has answered.
    pub(crate) async fn ask_for_task(&self) -> Option<Reply> {
        let body = json!({
            "task_name": "a task of the tests",
            "operations": [
                {"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": ZONE},
                {"operation_id": "cache.purge.execute", "scope_type": "zone", "scope_id": ZONE},
                {"operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": ACCOUNT},
            ],
            "callback": {"url": self.hooks, "secret": CALLBACK_SECRET},
            "expires_in_seconds": 3600,
        });
        let reply = self
            .caller
            .administer(Method::POST, "/v1/tasks", Some(&body));
        reply.await.ok()
    }

    /// Asks for the successor of the task's token.
    pub(crate) async fn renew(&self, task: &Task) -> Reply {
        let path = format!("/v1/tasks/{}/token", task.id);
        self.caller
            .ask_with(Method::POST, &path, &task.token, None, None)
            .await
            .unwrap()
    }

    pub(crate) async fn apply(&self, task: &Task, key: &str, operation: &Value) -> Reply {
        self.try_apply(task, key, operation).await.unwrap()
    }

    /// `None` when the service is gone before it has answered.
    pub(crate) async fn try_apply(
        &self,
        task: &Task,
        key: &str,
        operation: &Value,
    ) -> Option<Reply> {
        let path = format!("/v1/tasks/{}/apply", task.id);
        let body = json!({"operations": [operation]});
        let reply = self
            .caller
            .ask_with(Method::POST, &path, &task.token, Some(key), Some(&body));
        reply.await.ok()
    }

    /// A Worker script of that many bytes; `None` when the service is gone before it has answered.
    pub(crate) async fn try_deploy(&self, task: &Task, key: &str, bytes: usize) -> Option<Reply> {
        let path = format!("/v1/tasks/{}/workers/deploy", task.id);
        let body =
            json!({"scope_id": ACCOUNT, "script_name": "large", "script": "a".repeat(bytes)});
        let reply = self
            .caller
            .ask_with(Method::POST, &path, &task.token, Some(key), Some(&body));
        reply.await.ok()
    }

    /// `None` when the service is gone before it has answered.
    pub(crate) async fn resume(&self, task: &Task, key: &str, resume_token: &str) -> Option<Reply> {
        let path = format!("/v1/tasks/{}/apply/continue", task.id);
        let body = json!({"resume_token": resume_token});
        let reply = self
            .caller
            .ask_with(Method::POST, &path, &task.token, Some(key), Some(&body));
        reply.await.ok()
    }

    /// Asks under a key until the apply has ended.
    pub(crate) async fn ended(&self, task: &Task, key: &str, operation: &Value) -> Reply {
        until("the apply's end", async || {
            let reply = self.apply(task, key, operation).await;
            let ended = ["completed", "failed", "unknown"].contains(&reply.text_at("status"));
            ended.then_some(reply)
        })
        .await
    }
}

pub(crate) fn record(name: &str) -> Value {
    json!({
        "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": ZONE,
        "params": {"type": "A", "name": format!("{name}.example.com"), "content": "192.0.2.1", "ttl": 300},
    })
}

pub(crate) fn purge(tag: &str) -> Value {
    json!({
        "operation_id": "cache.purge.execute", "scope_type": "zone", "scope_id": ZONE,
        "params": {"tags": [tag]},
    })
}

pub(crate) fn deployment() -> Value {
    json!({
        "operation_id": "workers.deploy.write", "scope_type": "account", "scope_id": ACCOUNT,
        "params": {"script_name": "hello", "script": "export default {};"},
    })
}

/// Standard output and standard error as text.
pub(crate) fn said(output: &Output) -> (String, String) {
    let text = |mut bytes: &[u8]| {
        let mut text = String::new();
        bytes.read_to_string(&mut text).unwrap();
        text
    };
    (text(&output.stdout), text(&output.stderr))
}
