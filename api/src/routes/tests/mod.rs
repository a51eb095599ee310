//! The routes over a real ledger, from the outside. A stand-in for the executor carries out what
//! was authorised.

mod administration;
mod admissions;
mod agent_keys;
mod applying;
mod approving;
mod continuing;
mod executor;
mod lists;
mod locks;
mod pairing;
mod people;
mod policy;
mod reading;
mod receipts;
mod refusing;
mod releasing;
mod renewing;
mod ruled;
mod schedules;
mod stream;
mod stream_connections;
mod stream_identities;
mod threats;
mod upstream_keys;
mod viewers;
mod views;

use crate::testing::{AGENT, Answer, Stage};
use executor::Executor;
use fixtures::approver::SoftApprover;
use ledger::aggregate::Approval;
use ledger::command::IssuedToken;
use ledger::{CatalogEntry, Decision, Event, Origin};
use providers::cloudflare;
use serde_json::{Value, json};

/// A task on a stage, with its token, and whoever carries out what is authorised.
struct Scene {
    stage: Stage,
    task: IssuedToken,
    token: String,
    executor: Executor,
}

impl Scene {
    async fn new() -> Self {
        let stage = Stage::new().await;
        let (task, token) = stage.task(AGENT).await;
        let executor = Executor::start(stage.state.app.ledger.clone());
        Self {
            stage,
            task,
            token,
            executor,
        }
    }

    /// The agent may write DNS records without asking; its token was renewed since.
    async fn granted() -> Self {
        let stage = Stage::new().await;
        let permissions = json!({"permissions": [grant(cloudflare::DNS_RECORD_WRITE, "write")]});
        let path = format!("/v1/agents/{AGENT}/permissions");
        let bootstrap = stage.bootstrap(|_| ());
        let answer = stage.send("PATCH", &path, &bootstrap, &permissions).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let (task, token) = stage.task(AGENT).await;
        let executor = Executor::start(stage.state.app.ledger.clone());
        Self {
            stage,
            task,
            token,
            executor,
        }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/tasks/{}{rest}", self.task.task.id)
    }

    async fn get(&self, rest: &str) -> Answer {
        self.stage
            .send("GET", &self.path(rest), &self.token, &Value::Null)
            .await
    }

    async fn post(&self, rest: &str, body: &Value) -> Answer {
        self.stage
            .send("POST", &self.path(rest), &self.token, body)
            .await
    }

    async fn keyed(&self, rest: &str, key: &str, body: &Value) -> Answer {
        let headers = [("idempotency-key", key)];
        let path = self.path(rest);
        self.stage
            .send_with("POST", &path, &self.token, &headers, body)
            .await
    }

    async fn apply(&self, key: &str, operations: &[Value]) -> Answer {
        self.keyed("/apply", key, &json!({"operations": operations}))
            .await
    }

    async fn resume(&self, key: &str, resume_token: &Value) -> Answer {
        self.keyed(
            "/apply/continue",
            key,
            &json!({"resume_token": resume_token}),
        )
        .await
    }

    /// The events so far that a closure picks.
    async fn events(&self, pick: impl Fn(&Event) -> bool) -> usize {
        let ledger = &self.stage.state.app.ledger;
        let events = ledger.events_from(0, 10_000).await.unwrap();
        events
            .iter()
            .filter(|recorded| pick(&recorded.event))
            .count()
    }

    async fn started(&self) -> usize {
        self.events(|event| matches!(event, Event::OperationStarted(_)))
            .await
    }

    /// A human decides the task's newest approval.
    async fn decide(&self, decision: Decision, reason: Option<&str>) {
        let ledger = &self.stage.state.app.ledger;
        let approver = SoftApprover::new("default");
        let origin = || Origin::system("test");
        ledger
            .execute(origin(), approver.registration())
            .await
            .unwrap();
        let approval = ledger
            .newest_approval(self.task.task.id)
            .await
            .unwrap()
            .unwrap();
        let command = approver.decide(ledger, &approval, decision, reason);
        let ruling = ledger.execute(origin(), command).await.unwrap();
        ruling.accepted().unwrap();
    }

    async fn approval(&self) -> std::sync::Arc<Approval> {
        let ledger = &self.stage.state.app.ledger;
        ledger
            .newest_approval(self.task.task.id)
            .await
            .unwrap()
            .unwrap()
    }
}

fn grant(operation: CatalogEntry, level: &str) -> Value {
    json!({
        "operation_id": operation.id.as_str(), "scope_type": operation.scope_type.as_str(),
        "scope_id": "*", "granted_level": level,
    })
}

/// A write that the granted scene may do without asking.
fn dns(name: &str) -> Value {
    json!({
        "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "z1",
        "params": {"type": "A", "name": name, "content": "192.0.2.1", "ttl": 60},
    })
}

/// A write that always needs a human.
fn ssl() -> Value {
    json!({
        "operation_id": "ssl.mode.write", "scope_type": "zone", "scope_id": "z1",
        "params": {"value": "strict"},
    })
}
