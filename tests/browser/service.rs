//! The real service as a child process on a free port, and what orchestrators, administrators and
//! auditors ask of it.

use crate::waiting::{PATIENCE, until};
use hmac::{Hmac, KeyInit as _, Mac as _};
use ledger::Clock as _;
use ledger_sqlite::SystemClock;
use serde_json::{Value, json};
use sha2::Sha256;
use std::fs::File;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_llm-permission-proxy");
const SUBJECT: &str = "browser-tests";
const SUBJECT_SECRET: &str = "subject-secret-of-the-browser-tests-0001";

/// A running service; dropping it kills it.
pub(crate) struct Service {
    process: Child,
    /// `http://localhost:PORT`: a passkey's origin has a port, so it is chosen before the start.
    pub(crate) origin: String,
    settings: Vec<(&'static str, String)>,
    folder: TempDir,
    http: reqwest::Client,
    bootstrap: String,
}

/// A question that waits for a person.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) url: String,
    pub(crate) approval_id: String,
    pub(crate) task_id: String,
    /// The task's capability token.
    token: String,
    resume_token: String,
}

impl Service {
    /// Starts one where the principal `default` decides, for ten minutes.
    pub(crate) async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// As [`Self::start`], with more settings.
    pub(crate) async fn start_with(more: &[(&'static str, &str)]) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let http = reqwest::Client::builder()
            .timeout(PATIENCE)
            .no_proxy()
            .build()
            .unwrap();
        let mut log = String::new();
        // Between choosing a port and binding it somebody else may take it.
        for _ in 0..3 {
            let port = free_port();
            let folder = tempfile::tempdir().unwrap();
            let settings = settings(port, folder.path(), more);
            let mut service = Self {
                process: spawn(&settings, folder.path()),
                origin: format!("http://localhost:{port}"),
                settings,
                folder,
                http: http.clone(),
                bootstrap: String::new(),
            };
            if service.is_ready().await {
                service.bootstrap = service.mint();
                return service;
            }
            log = service.log();
        }
        panic!("the service ended at its start:\n{log}");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// False when the process has ended instead.
    async fn is_ready(&mut self) -> bool {
        let url = format!("http://127.0.0.1:{}/v1/readyz", self.port());
        let http = self.http.clone();
        until("the service is ready", async || {
            if self.process.try_wait().unwrap().is_some() {
                return Some(false);
            }
            let answer = http.get(&url).send().await.ok()?;
            answer.status().is_success().then_some(true)
        })
        .await
    }

    fn port(&self) -> &str {
        self.origin.rsplit_once(':').unwrap().1
    }

    /// Runs a command of the same binary on the same storage; its standard output.
    fn run(&self, arguments: &[&str]) -> String {
        let output = command(&self.settings, arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn mint(&self) -> String {
        let minted = self.run(&[
            "token",
            "bootstrap",
            "--agent",
            "deploy-bot",
            "--subject",
            SUBJECT,
            "--can-issue-tasks",
            "--can-manage-approvers",
        ]);
        minted.trim().to_owned()
    }

    /// The whole ledger, as an auditor exports it.
    pub(crate) fn ledger(&self) -> Vec<Value> {
        let lines = self.run(&["ledger", "tail", "--from", "0", "--json"]);
        lines
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The payloads of all events of one name, in order.
    pub(crate) fn payloads(&self, event: &str) -> Vec<Value> {
        let events = self.ledger().into_iter();
        events
            .filter(|recorded| recorded["event"] == event)
            .map(|mut recorded| recorded["payload"].take())
            .collect()
    }

    /// An invitation for one passkey; its link.
    pub(crate) async fn invite(&self, principal: &str) -> String {
        let path = format!("/v1/approvers/{principal}/enrolment");
        let opened = self
            .call("POST", &path, &self.bootstrap, &[], json!({}), 201)
            .await;
        opened["enrolment_url"].as_str().unwrap().to_owned()
    }

    /// An agent asks for operations that were not granted.
    pub(crate) async fn ask(&self, operations: &Value) -> Asked {
        let mut allowed: Vec<Value> = Vec::new();
        for operation in operations.as_array().unwrap() {
            let entry = json!({
                "operation_id": operation["operation_id"],
                "scope_type": operation["scope_type"],
                "scope_id": "*",
            });
            if !allowed.contains(&entry) {
                allowed.push(entry);
            }
        }
        let task = json!({
            "task_name": "Harden the shop", "operations": allowed, "expires_in_seconds": 3600,
        });
        let task = self
            .call("POST", "/v1/tasks", &self.bootstrap, &[], task, 201)
            .await;
        let text = |answer: &Value, field: &str| answer[field].as_str().unwrap().to_owned();
        let task_id = text(&task, "task_id");
        let token = text(&task, "capability_token");
        let waiting = self
            .call(
                "POST",
                &format!("/v1/tasks/{task_id}/apply"),
                &token,
                &[("idempotency-key", "once")],
                json!({"operations": operations}),
                202,
            )
            .await;
        Asked {
            url: text(&waiting, "approval_url"),
            approval_id: text(&waiting, "approval_id"),
            task_id,
            token,
            resume_token: text(&waiting, "resume_token"),
        }
    }

    /// The agent goes on with what was approved, and is answered with this status.
    pub(crate) async fn go_on(&self, asked: &Asked, expected: u16) -> Value {
        let path = format!("/v1/tasks/{}/apply/continue", asked.task_id);
        let key = [("idempotency-key", "once")];
        let body = json!({"resume_token": asked.resume_token});
        self.call("POST", &path, &asked.token, &key, body, expected)
            .await
    }

    /// One operation that needs an approval.
    pub(crate) async fn ask_for_purge(&self) -> Asked {
        let zone = "023e105f4ecef8ad9ca31a8372d0c353";
        let purge = json!([{
            "operation_id": "cache.purge.execute", "scope_type": "zone", "scope_id": zone,
            "params": {"files": ["https://shop.example.com/app.css"]},
        }]);
        self.ask(&purge).await
    }

    /// The approval as the agent sees it.
    pub(crate) async fn approval_status(&self, asked: &Asked) -> Value {
        let path = format!("/v1/tasks/{}/approval-status", asked.task_id);
        self.call("GET", &path, &asked.token, &[], Value::Null, 200)
            .await
    }

    /// Ends the task, and with it every question that it has asked.
    pub(crate) async fn close(&self, asked: &Asked) {
        let path = format!("/v1/tasks/{}/close", asked.task_id);
        self.call("POST", &path, &asked.token, &[], json!({}), 200)
            .await;
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: Value,
        expected: u16,
    ) -> Value {
        let method = method.parse().unwrap();
        let url = format!("http://127.0.0.1:{}{path}", self.port());
        let mut request = self.http.request(method, url).bearer_auth(token);
        for (name, value) in signed_subject() {
            request = request.header(name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let text = answer.text().await.unwrap();
        assert_eq!(status, expected, "{path}: {text}");
        serde_json::from_str(&text).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if std::thread::panicking() {
            eprintln!("what the service logged:\n{}", self.log());
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

fn settings(
    port: u16,
    folder: &Path,
    more: &[(&'static str, &str)],
) -> Vec<(&'static str, String)> {
    let secret = |of: &str| format!("{of}-secret-of-the-browser-tests-0001");
    let mut settings = vec![
        ("BIND_ADDR", format!("127.0.0.1:{port}")),
        ("BASE_URL", format!("http://localhost:{port}")),
        ("WEBAUTHN_ORIGIN", format!("http://localhost:{port}")),
        (
            "DATABASE_URL",
            format!("sqlite://{}", folder.join("proxy.db").display()),
        ),
        ("JWT_SECRET", secret("jwt")),
        ("BOOTSTRAP_JWT_SECRET", secret("bootstrap")),
        ("MTLS_BINDING_SHARED_SECRET", SUBJECT_SECRET.to_owned()),
        ("APPROVAL_LINK_SECRET", secret("approval-link")),
        ("RESUME_TOKEN_SECRET", secret("resume-token")),
    ];
    settings.extend(
        more.iter()
            .map(|(name, value)| (*name, (*value).to_owned())),
    );
    settings
}

fn command(settings: &[(&'static str, String)], arguments: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    command
        .args(arguments)
        .env_clear()
        .envs(settings.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null());
    command
}

fn spawn(settings: &[(&'static str, String)], folder: &Path) -> Child {
    let log = File::create(folder.join("log")).unwrap();
    command(settings, &["serve", "--log", "info"])
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap()
}

fn signed_subject() -> [(&'static str, String); 3] {
    let now = SystemClock.now().as_seconds();
    let mut mac = Hmac::<Sha256>::new_from_slice(SUBJECT_SECRET.as_bytes()).unwrap();
    mac.update(format!("{SUBJECT}\n{now}").as_bytes());
    [
        ("x-client-subject", SUBJECT.to_owned()),
        ("x-client-subject-ts", now.to_string()),
        (
            "x-client-subject-sig",
            hex::encode(mac.finalize().into_bytes()),
        ),
    ]
}

/// The least that an approval can be open.
pub(crate) const LEAST_TTL: Duration = Duration::from_secs(60);
