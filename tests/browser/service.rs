//! The real service on a port that is known beforehand, and what orchestrators, administrators and auditors
//! ask of it.

use crate::waiting::until;
use fixtures::process::said;
use fixtures::receiver::Receiver;
use fixtures::sandbox::Sandbox;
use fixtures::service::Service as Running;
use reqwest::Method;
use serde_json::{Value, json};
use std::io::Write as _;
use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

/// The service token, with which commands and [`Service::operate`] act.
pub(crate) const OPERATOR: &str = "the-service-token-of-these-browser-tests";

/// A running service; dropping it kills it.
pub(crate) struct Service {
    running: Running,
    /// `http://localhost:PORT`: a passkey's origin has a port, so it is chosen before the start.
    pub(crate) origin: String,
    sandbox: Sandbox,
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
        let mut log = String::new();
        // Between choosing a port and binding it somebody else may take it.
        for _ in 0..3 {
            let port = free_port();
            let mut sandbox = Sandbox::new().await;
            let settings = &mut sandbox.settings;
            // Operations are simulated, and the pages say so.
            settings.remove("CLOUDFLARE_API_TOKEN");
            settings.insert("SERVICE_TOKEN", OPERATOR.to_owned());
            settings.insert("APPROVAL_APPROVERS", "default".to_owned());
            settings.insert("BIND_ADDR", format!("127.0.0.1:{port}"));
            for name in ["BASE_URL", "WEBAUTHN_ORIGIN"] {
                settings.insert(name, format!("http://localhost:{port}"));
            }
            settings.extend(
                more.iter()
                    .map(|(name, value)| (*name, (*value).to_owned())),
            );
            match sandbox.try_start().await {
                Ok(running) => {
                    until("readiness", async || running.is_ready().await.then_some(())).await;
                    return Self {
                        running,
                        origin: format!("http://localhost:{port}"),
                        sandbox,
                    };
                }
                Err(_) => log = sandbox.log(),
            }
        }
        panic!("the service ended at its start:\n{log}");
    }

    /// Runs a command with this on its standard input; gives what it prints.
    pub(crate) fn command(&self, line: &str, input: &str) -> String {
        let mut command = self.sandbox.command(line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let written = child.stdin.take().unwrap().write_all(input.as_bytes());
        // One that reads nothing may have ended before.
        drop(written);
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        said(&output).0
    }

    /// Where callbacks are received, under a certificate that the service trusts.
    pub(crate) const fn receiver(&self) -> &Receiver {
        &self.sandbox.receiver
    }

    /// Writes a file beside the settings, for a command to read; its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.sandbox.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// Asks something with the service token.
    pub(crate) async fn operate(&self, path: &str, body: Value, expected: u16) -> Value {
        self.call(Method::POST, path, Some(OPERATOR), None, body, expected)
            .await
    }

    /// The link of the first admin, which a start without a terminal leaves beside the ledger.
    pub(crate) async fn setup_link(&self) -> String {
        let mut file = self.sandbox.ledger_file().into_os_string();
        file.push(".first-admin");
        let link = until("the link of the first admin", async || {
            std::fs::read_to_string(&file).ok()
        });
        link.await.trim().to_owned()
    }

    /// The whole ledger, as an auditor exports it.
    pub(crate) fn ledger(&self) -> Vec<Value> {
        let output = self.sandbox.run("ledger tail --from 0 --json");
        assert!(output.status.success(), "{output:?}");
        said(&output)
            .0
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
            .call(Method::POST, &path, None, None, json!({}), 201)
            .await;
        opened["enrolment_url"].as_str().unwrap().to_owned()
    }

    /// The address at which a machine that asks for a key is answered.
    pub(crate) async fn pair(&self, agent: &str) -> String {
        let body = json!({ "agent": agent });
        let begun = self
            .call(Method::POST, "/v1/pairing", None, None, body, 201)
            .await;
        begun["confirm_url"].as_str().unwrap().to_owned()
    }

    /// An agent asks for operations that were not granted.
    pub(crate) async fn ask(&self, operations: &Value) -> Asked {
        self.ask_with(operations, &json!({}), &json!({})).await
    }

    /// As [`Self::ask`], with more members of the task and of the apply.
    pub(crate) async fn ask_with(
        &self,
        operations: &Value,
        opened: &Value,
        asked: &Value,
    ) -> Asked {
        let with = |mut body: Value, more: &Value| {
            let more = more.as_object().unwrap().clone();
            body.as_object_mut().unwrap().extend(more);
            body
        };
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
        let task = with(task, opened);
        let task = self
            .call(Method::POST, "/v1/tasks", None, None, task, 201)
            .await;
        let text = |answer: &Value, field: &str| answer[field].as_str().unwrap().to_owned();
        let task_id = text(&task, "task_id");
        let token = text(&task, "capability_token");
        let waiting = self
            .call(
                Method::POST,
                &format!("/v1/tasks/{task_id}/apply"),
                Some(&token),
                Some("once"),
                with(json!({"operations": operations}), asked),
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
        let body = json!({"resume_token": asked.resume_token});
        let token = Some(asked.token.as_str());
        self.call(Method::POST, &path, token, Some("once"), body, expected)
            .await
    }

    /// The agent asks for something else in the same task, under that key.
    pub(crate) async fn ask_again(
        &self,
        asked: &Asked,
        key: &str,
        operations: &Value,
        expected: u16,
    ) -> Value {
        let path = format!("/v1/tasks/{}/apply", asked.task_id);
        let body = json!({ "operations": operations });
        let token = Some(asked.token.as_str());
        self.call(Method::POST, &path, token, Some(key), body, expected)
            .await
    }

    /// One operation that needs an approval.
    pub(crate) async fn ask_for_purge(&self) -> Asked {
        self.ask(&purge("app.css")).await
    }

    /// The approval as the agent sees it.
    pub(crate) async fn approval_status(&self, asked: &Asked) -> Value {
        let path = format!("/v1/tasks/{}/approval-status", asked.task_id);
        self.call(
            Method::GET,
            &path,
            Some(&asked.token),
            None,
            Value::Null,
            200,
        )
        .await
    }

    /// A link to watch the task for a few minutes, made with the service token.
    pub(crate) async fn watch_url(&self, asked: &Asked, token: &str) -> String {
        let path = format!("/v1/tasks/{}/viewer-token", asked.task_id);
        let made = self
            .call(Method::POST, &path, Some(token), None, json!({}), 201)
            .await;
        made["watch_url"].as_str().unwrap().to_owned()
    }

    /// Ends the task, and with it every question that it has asked.
    pub(crate) async fn close(&self, asked: &Asked) {
        let path = format!("/v1/tasks/{}/close", asked.task_id);
        self.call(
            Method::POST,
            &path,
            Some(&asked.token),
            None,
            json!({}),
            200,
        )
        .await;
    }

    /// Without a token as an administrator; a body of null is none.
    async fn call(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        key: Option<&str>,
        body: Value,
        expected: u16,
    ) -> Value {
        let (caller, body) = (&self.running.caller, (!body.is_null()).then_some(&body));
        let reply = match token {
            Some(token) => caller.ask_with(method, path, token, key, body).await,
            None => caller.administer(method, path, body).await,
        };
        let reply = reply.unwrap();
        assert_eq!(reply.status, expected, "{path}: {}", reply.text);
        reply.body
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what the service logged:\n{}", self.sandbox.log());
        }
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    listener.local_addr().unwrap().port()
}

/// The least that an approval can be open.
pub(crate) const LEAST_TTL: Duration = Duration::from_secs(60);

/// Has one file of the shop fetched anew.
pub(crate) fn purge(file: &str) -> Value {
    json!([{
        "operation_id": "cache.purge.execute", "scope_type": "zone",
        "scope_id": "023e105f4ecef8ad9ca31a8372d0c353",
        "params": {"files": [format!("https://shop.example.com/{file}")]},
    }])
}
