//! Everything that the demo stands on: the service as it is, a stand-in for Cloudflare, a receiver
//! of callbacks, and the people.

use crate::config::{Config, REQUIRED, random_text};
use crate::service;
use crate::telemetry::Metrics;
use anyhow::{Context, ensure};
use fixtures::approver::SoftApprover;
use fixtures::caller::{Caller, Identity, Reply};
use fixtures::receiver::{ReceivedRequest, Receiver};
use fixtures::upstream::FakeUpstream;
use ledger_sqlite::SystemRandom;
use reqwest::Method;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::Duration;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The zone that the demo's records are in.
pub(super) const ZONE: &str = "shop-zone";
/// The account that its Workers are in.
pub(super) const ACCOUNT: &str = "shop-account";
/// The agent that asks.
pub(super) const AGENT: &str = "deployer";
/// The client that the agent and the orchestrator speak as.
pub(super) const SUBJECT: &str = "ci";
/// The approver with the software passkey.
pub(super) const ALICE: &str = "alice";
/// The approver at the keyboard, for `--keep`.
pub(super) const YOU: &str = "you";
/// Signs the demo's callbacks.
const CALLBACK_SECRET: &str = "the secret that callbacks are signed with";

/// How long the service may take to be ready.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether it is.
const PAUSE: Duration = Duration::from_millis(20);

/// The settings under which the service of the demo runs.
pub(super) type Settings = BTreeMap<String, String>;

/// A task and what its agent holds.
pub(super) struct Task {
    pub(super) id: String,
    pub(super) token: String,
}

pub(super) struct Stage {
    pub(super) upstream: FakeUpstream,
    pub(super) receiver: Receiver,
    pub(super) caller: Caller,
    pub(super) alice: SoftApprover,
    pub(super) settings: Settings,
    pub(super) config: Config,
    pub(super) base_url: String,
    service: JoinHandle<anyhow::Result<()>>,
    stop: CancellationToken,
    folder: TempDir,
}

impl Stage {
    /// Starts everything on free ports and waits until the service takes requests.
    pub(super) async fn raise() -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix("llm-permission-proxy-demo-")
            .tempdir()
            .context("making a temporary folder")?;
        let upstream = FakeUpstream::start().await?;
        let receiver = Receiver::start().await?;
        let ca_file = folder.path().join("callback-ca.pem");
        std::fs::write(&ca_file, receiver.ca_pem()).context("writing the receiver's authority")?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("taking a free port")?;
        let address = listener.local_addr()?;
        let base_url = format!("http://localhost:{}", address.port());
        let mut settings = settings(folder.path(), &ca_file, &base_url, &upstream);
        // For `ready` in another shell.
        settings.insert("BIND_ADDR".to_owned(), address.to_string());
        let (config, _) = Config::from_sources(&settings, None)?;
        let (for_service, _) = Config::from_sources(&settings, None)?;
        let identity = Identity {
            subject: SUBJECT.to_owned(),
            agent: AGENT.to_owned(),
            subject_secret: config.auth.subject_secret.expose_secret().to_owned(),
            bootstrap_secret: config.auth.bootstrap.secret.expose_secret().to_owned(),
        };
        let caller = Caller::new(address, &base_url, identity)?;
        let stop = CancellationToken::new();
        let told = stop.clone();
        let metrics = Metrics::start()?;
        let service = tokio::spawn(async move {
            service::run(&for_service, listener, Some(metrics), told, None).await
        });
        let mut stage = Self {
            upstream,
            receiver,
            caller,
            alice: SoftApprover::new(ALICE),
            settings,
            config,
            base_url,
            service,
            stop,
            folder,
        };
        tokio::time::timeout(PATIENCE, stage.until_ready())
            .await
            .context("the service did not become ready")??;
        Ok(stage)
    }

    async fn until_ready(&mut self) -> anyhow::Result<()> {
        loop {
            let ready = self.caller.ask(Method::GET, "/v1/readyz", None);
            tokio::select! {
                ended = &mut self.service => {
                    ended.context("the service broke down")??;
                    anyhow::bail!("the service ended before it was ready");
                }
                reply = ready => {
                    if reply.is_ok_and(|reply| reply.status == 200) {
                        return Ok(());
                    }
                }
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Where everything lies.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Ends the service as SIGTERM would, and takes the folder away.
    pub(super) async fn end(self) -> anyhow::Result<()> {
        self.stop.cancel();
        self.service.await.context("the service broke down")??;
        self.folder.close().context("removing the temporary folder")
    }

    /// Opens a task whose callbacks go to the receiver.
    pub(super) async fn open_task(
        &self,
        name: &str,
        allowed: &[(&str, &str, &str)],
    ) -> anyhow::Result<Task> {
        let operations: Vec<Value> = allowed
            .iter()
            .map(|(operation, scope_type, scope_id)| {
                json!({"operation_id": operation, "scope_type": scope_type, "scope_id": scope_id})
            })
            .collect();
        let body = json!({
            "task_name": name,
            "operations": operations,
            "callback": {"url": self.receiver.url("/hooks"), "secret": CALLBACK_SECRET},
            "expires_in_seconds": 3600,
        });
        let opened = self
            .caller
            .administer(Method::POST, "/v1/tasks", Some(&body))
            .await?;
        let opened = expect(opened, 201)?;
        Ok(Task {
            id: opened.text_at("task_id").to_owned(),
            token: opened.text_at("capability_token").to_owned(),
        })
    }

    /// Asks for one operation.
    pub(super) async fn apply(
        &self,
        task: &Task,
        key: &str,
        operation: &Value,
    ) -> anyhow::Result<Reply> {
        let path = format!("/v1/tasks/{}/apply", task.id);
        let body = json!({"operations": [operation]});
        let reply = self
            .caller
            .ask_with(Method::POST, &path, &task.token, Some(key), Some(&body));
        Ok(reply.await?)
    }

    /// Goes on with what a human was asked.
    pub(super) async fn resume(
        &self,
        task: &Task,
        key: &str,
        resume_token: &str,
    ) -> anyhow::Result<Reply> {
        let path = format!("/v1/tasks/{}/apply/continue", task.id);
        let body = json!({"resume_token": resume_token});
        let reply = self
            .caller
            .ask_with(Method::POST, &path, &task.token, Some(key), Some(&body));
        Ok(reply.await?)
    }

    /// Waits for a callback about the task and checks its signatures as its receiver would.
    pub(super) async fn callback(
        &self,
        name: &str,
        task: &Task,
    ) -> anyhow::Result<ReceivedRequest> {
        let mut seen = 0;
        loop {
            let received = self
                .receiver
                .wait_for(seen + 1)
                .await
                .with_context(|| format!("no callback {name} came"))?;
            let found = received.iter().find(|request| {
                let body = request.json();
                let at = |pointer| body.pointer(pointer).and_then(Value::as_str);
                at("/event/event_type") == Some(name)
                    && at("/event/task_id") == Some(task.id.as_str())
            });
            if let Some(request) = found {
                request
                    .verify(CALLBACK_SECRET.as_bytes())
                    .with_context(|| format!("the signatures of callback {name}"))?;
                return Ok(request.clone());
            }
            seen = received.len();
        }
    }
}

/// The reply, when it has that status.
pub(super) fn expect(reply: Reply, status: u16) -> anyhow::Result<Reply> {
    ensure!(
        reply.status == status,
        "the service answered {} instead of {status}: {}",
        reply.status,
        reply.text
    );
    Ok(reply)
}

/// Fails with both when they differ.
pub(super) fn expect_same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    got: &T,
    wanted: &T,
) -> anyhow::Result<()> {
    ensure!(got == wanted, "{what}: {got:?} instead of {wanted:?}");
    Ok(())
}

fn settings(folder: &Path, ca_file: &Path, base_url: &str, upstream: &FakeUpstream) -> Settings {
    let mut settings: Settings = [
        ("BASE_URL", base_url.to_owned()),
        ("WEBAUTHN_ORIGIN", base_url.to_owned()),
        (
            "DATABASE_URL",
            format!("sqlite://{}/proxy.db", folder.display()),
        ),
        ("CALLBACK_CA_FILE", ca_file.display().to_string()),
        ("CALLBACK_WORKER_INTERVAL_SECS", "1".to_owned()),
        ("CLOUDFLARE_API_BASE", upstream.base_url()),
        ("CLOUDFLARE_API_TOKEN", upstream.token().to_owned()),
        ("APPROVAL_APPROVERS", format!("{ALICE},{YOU}")),
        ("APPROVAL_TTL_SECONDS", "3600".to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    for variable in REQUIRED {
        let secret = random_text(&SystemRandom);
        settings.insert(variable.name.to_owned(), secret.to_string());
    }
    settings
}
