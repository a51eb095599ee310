//! Agents, their keys and task templates, and what agents do with their keys.

use super::executor::Executor;
use super::{dns, grant, ssl};
use crate::testing::{AGENT, Answer, SERVICE_TOKEN, Stage};
use axum::body::Body;
use http::Request;
use ledger::{Actor, Event, Origin, Role};
use providers::cloudflare;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tower::ServiceExt as _;

/// A stage with an agent, and a template from which it opens tasks.
pub(super) struct Keyed {
    pub(super) stage: Stage,
    _executor: Executor,
}

impl Keyed {
    pub(super) async fn new() -> Self {
        let stage = Stage::new().await;
        let executor = Executor::start(stage.state.app.ledger.clone());
        let keyed = Self {
            stage,
            _executor: executor,
        };
        let made = keyed
            .ask("POST", "/v1/agents", &json!({"agent": AGENT}))
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        let granted = json!({"permissions": [grant(cloudflare::DNS_RECORD_WRITE, "write")]});
        let path = format!("/v1/agents/{AGENT}/permissions");
        assert_eq!(keyed.ask("PATCH", &path, &granted).await.status, 200);
        let made = keyed.ask("POST", "/v1/task-templates", &template()).await;
        assert_eq!(made.status, 201, "{made:?}");
        keyed
    }

    /// Asks with the service token.
    pub(super) async fn ask(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.with(SERVICE_TOKEN, method, path, &[], body).await
    }

    /// Asks with a bearer token, without a signed subject.
    pub(super) async fn with(
        &self,
        token: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = match body {
            Value::Null => Body::empty(),
            body => Body::from(body.to_string()),
        };
        let request = request.body(body).unwrap();
        Answer::of(self.stage.router.clone().oneshot(request).await.unwrap()).await
    }

    /// The id and the text of a new key of the agent.
    pub(super) async fn key(&self) -> (String, String) {
        let path = format!("/v1/agents/{AGENT}/keys");
        let made = self.ask("POST", &path, &Value::Null).await;
        assert_eq!(made.status, 201, "{made:?}");
        let text = |field: &str| made.body[field].as_str().unwrap().to_owned();
        (text("id"), text("key"))
    }

    async fn keys(&self) -> Vec<Value> {
        let path = format!("/v1/agents/{AGENT}/keys");
        let listed = self.ask("GET", &path, &Value::Null).await;
        assert_eq!(listed.status, 200, "{listed:?}");
        listed.body["keys"].as_array().unwrap().clone()
    }

    pub(super) async fn open(&self, key: &str) -> Answer {
        let body = json!({"task_name": "a task", "template": "deploy"});
        self.with(key, "POST", "/v1/tasks", &[], &body).await
    }

    pub(super) async fn opened(&self, key: &str) -> String {
        let opened = self.open(key).await;
        assert_eq!(opened.status, 201, "{opened:?}");
        opened.body["task_id"].as_str().unwrap().to_owned()
    }

    pub(super) async fn apply(
        &self,
        key: &str,
        task: &str,
        name: &str,
        operation: Value,
    ) -> Answer {
        let path = format!("/v1/tasks/{task}/apply");
        let body = json!({"operations": [operation]});
        let headers = [("idempotency-key", name)];
        self.with(key, "POST", &path, &headers, &body).await
    }

    async fn revoke(&self, id: &str) -> Answer {
        let path = format!("/v1/agents/{AGENT}/keys/{id}");
        self.ask("DELETE", &path, &Value::Null).await
    }
}

fn template() -> Value {
    let allowed =
        |operation: &str| json!({"operation_id": operation, "scope_type": "zone", "scope_id": "*"});
    json!({
        "name": "deploy", "agents": [AGENT], "expires_in_seconds": 600,
        "operations": [allowed("dns.record.write"), allowed("ssl.mode.write")],
    })
}

fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn agents_are_described_and_found_by_their_descriptions() {
    let keyed = Keyed::new().await;
    let user = fixtures::people::create_user("zoe", Role::Operator);
    let ledger = &keyed.stage.state.app.ledger;
    let user = ledger.execute(Origin::system("test"), user).await.unwrap();
    let owner = user.id.to_string();
    for (name, site) in [("a", "fra1"), ("b", "fra1"), ("c", "ams1")] {
        let body = json!({"agent": name, "site": site, "owner": owner, "tags": ["ci", name]});
        let made = keyed.ask("POST", "/v1/agents", &body).await;
        let shown = keyed
            .ask("GET", &format!("/v1/agents/{name}"), &Value::Null)
            .await;
        assert_eq!((made.status, &made.body), (201, &shown.body));
        assert_eq!(shown.body["organization"], Value::Null);
        assert_eq!(shown.body["tags"], json!([name, "ci"]));
    }
    let again = keyed
        .ask("POST", "/v1/agents", &json!({"agent": "a"}))
        .await;
    assert_eq!(refusal(&again), (409, "agent_exists"));
    let change = json!({"organization": "ops", "site": null});
    let changed = keyed.ask("PATCH", "/v1/agents/a", &change).await;
    assert_eq!(changed.status, 200);
    assert_eq!(changed.body["site"], Value::Null);
    assert_eq!(changed.body["owner"], owner, "what is left out stays");
    let unknown = keyed.ask("PATCH", "/v1/agents/none", &change).await;
    assert_eq!(refusal(&unknown), (404, "agent_not_found"));
    let nobody = json!({"owner": "0193f5a0-0000-7000-8000-000000000001"});
    let nobody = keyed.ask("PATCH", "/v1/agents/a", &nobody).await;
    assert_eq!(refusal(&nobody), (404, "user_not_found"));

    let names = async |query: &str| {
        let listed = keyed
            .ask("GET", &format!("/v1/agents{query}"), &Value::Null)
            .await;
        assert_eq!(listed.status, 200, "{listed:?}");
        let agents = listed.body["agents"].as_array().unwrap().clone();
        let names: Vec<Value> = agents.iter().map(|agent| agent["agent"].clone()).collect();
        (
            json!(names),
            listed.body["next"].clone(),
            listed.body["as_of"].clone(),
        )
    };
    assert_eq!(names("").await.0, json!(["c", "b", "a", AGENT]));
    assert_eq!(names("?site=fra1").await.0, json!(["b"]));
    assert_eq!(names("?tag=ci&organization=ops").await.0, json!(["a"]));
    assert_eq!(
        names(&format!("?owner={owner}&tag=c")).await.0,
        json!(["c"])
    );
    let (first, next, as_of) = names("?limit=3").await;
    assert_eq!(first, json!(["c", "b", "a"]));
    let size = *keyed.stage.state.app.ledger.size().borrow();
    assert_eq!(as_of, json!(size));
    let (second, end, _) = names(&format!("?limit=3&after={}", next.as_str().unwrap())).await;
    assert_eq!((second, end), (json!([AGENT]), Value::Null));
    for wrong in [
        "?colour=red",
        "?limit=0",
        "?limit=201",
        "?owner=me",
        "?after=x",
    ] {
        let refused = keyed
            .ask("GET", &format!("/v1/agents{wrong}"), &Value::Null)
            .await;
        assert_eq!(refusal(&refused), (400, "bad_request"), "{wrong}");
    }
}

#[tokio::test]
async fn a_key_is_shown_once_and_listed_with_its_last_use() {
    let keyed = Keyed::new().await;
    let (id, text) = keyed.key().await;
    let (other, _) = keyed.key().await;
    let listed = keyed.keys().await;
    let ids: Vec<&Value> = listed.iter().map(|key| &key["id"]).collect();
    assert_eq!(ids, [&json!(other), &json!(id)]);
    for key in &listed {
        assert_eq!(key["agent"], AGENT);
        assert_eq!(key["created_by"], "the service token");
        assert_eq!(
            (&key["last_used_at"], &key["revoked_at"]),
            (&Value::Null, &Value::Null)
        );
        assert!(!key.to_string().contains("cak_"), "{key}");
    }
    keyed.stage.clock.advance(Duration::from_secs(5));
    keyed.opened(&text).await;
    let used = keyed.keys().await[1]["last_used_at"].clone();
    assert_eq!(used, json!(keyed.stage.state.app.ledger.now().to_string()));

    assert_eq!(keyed.revoke(&id).await.status, 204);
    let revoked = keyed.keys().await;
    assert_ne!(revoked[1]["revoked_at"], Value::Null);
    let size = *keyed.stage.state.app.ledger.size().borrow();
    assert_eq!(keyed.revoke(&id).await.status, 204);
    assert_eq!(*keyed.stage.state.app.ledger.size().borrow(), size);
    assert_eq!(refusal(&keyed.open(&text).await), (401, "key_revoked"));
    let body = json!({"agent": "another"});
    assert_eq!(keyed.ask("POST", "/v1/agents", &body).await.status, 201);
    for (path, code) in [
        (format!("/v1/agents/another/keys/{other}"), "key_not_found"),
        (format!("/v1/agents/none/keys/{other}"), "agent_not_found"),
        (format!("/v1/agents/{AGENT}/keys/{AGENT}"), "key_not_found"),
    ] {
        let refused = keyed.ask("DELETE", &path, &Value::Null).await;
        assert_eq!(refusal(&refused), (404, code), "{path}");
    }
    let none = keyed
        .ask("POST", "/v1/agents/none/keys", &Value::Null)
        .await;
    assert_eq!(refusal(&none), (404, "agent_not_found"));
}

#[tokio::test]
async fn an_agent_opens_tasks_from_templates_with_its_key_and_needs_no_token() {
    let keyed = Keyed::new().await;
    let (_, key) = keyed.key().await;
    let opened = keyed.open(&key).await;
    assert_eq!(opened.status, 201, "{opened:?}");
    assert_eq!(opened.body.get("capability_token"), None);
    assert_eq!(opened.body["status"], "open");
    let task = opened.body["task_id"].as_str().unwrap();
    let path = format!("/v1/tasks/{task}");
    let read = keyed.with(&key, "GET", &path, &[], &Value::Null).await;
    assert_eq!((read.status, &read.body["status"]), (200, &json!("open")));
    let done = keyed.apply(&key, task, "k1", dns("a.example.com")).await;
    assert_eq!(done.status, 200, "{done:?}");
    let waiting = keyed.apply(&key, task, "k2", ssl()).await;
    assert_eq!(waiting.status, 202, "{waiting:?}");
    let actors = keyed
        .stage
        .state
        .app
        .ledger
        .events_from(0, 1000)
        .await
        .unwrap();
    let accepted = actors
        .iter()
        .filter(|recorded| matches!(recorded.event, Event::ApplyAccepted(_)))
        .all(|recorded| matches!(&recorded.envelope.actor, Actor::AgentKey { name, .. } if name.as_str() == AGENT));
    assert!(accepted);

    let ask = async |body: Value| keyed.with(&key, "POST", "/v1/tasks", &[], &body).await;
    let allowed =
        json!([{"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "z1"}]);
    let own = ask(json!({"task_name": "t", "operations": allowed})).await;
    assert_eq!(refusal(&own), (403, "template_required"));
    let unknown = ask(json!({"task_name": "t", "template": "none"})).await;
    assert_eq!(refusal(&unknown), (403, "template_not_allowed"));
    let more = ask(json!({"task_name": "t", "template": "deploy", "operations": allowed})).await;
    assert_eq!(refusal(&more), (400, "bad_request"));
    let close = format!("{path}/close");
    let closed = keyed.with(&key, "POST", &close, &[], &Value::Null).await;
    assert_eq!(closed.status, 200, "{closed:?}");
    let late = keyed.apply(&key, task, "k3", dns("b.example.com")).await;
    assert_eq!(refusal(&late), (409, "task_closed"));

    let orchestrated = json!({"task_name": "t", "template": "deploy"});
    let bootstrap = keyed.stage.bootstrap(|_| ());
    let refused = keyed
        .stage
        .send("POST", "/v1/tasks", &bootstrap, &orchestrated)
        .await;
    assert_eq!(refusal(&refused), (400, "bad_request"));
}

#[tokio::test]
async fn a_task_is_open_to_its_agents_keys_for_the_time_of_its_template() {
    let keyed = Keyed::new().await;
    let (_, key) = keyed.key().await;
    let task = keyed.opened(&key).await;
    let gone = keyed
        .ask("DELETE", "/v1/task-templates/deploy", &Value::Null)
        .await;
    assert_eq!(gone.status, 204);
    keyed.stage.clock.advance(Duration::from_secs(599));
    let done = keyed.apply(&key, &task, "k1", dns("a.example.com")).await;
    assert_eq!(done.status, 200, "{done:?}");
    keyed.stage.clock.advance(Duration::from_secs(1));
    let late = keyed.apply(&key, &task, "k1", dns("a.example.com")).await;
    assert_eq!(refusal(&late), (410, "task_expired"));
    let path = format!("/v1/tasks/{task}");
    let read = keyed.with(&key, "GET", &path, &[], &Value::Null).await;
    assert_eq!(refusal(&read), (410, "task_expired"));
    let reopened = keyed.open(&key).await;
    assert_eq!(refusal(&reopened), (403, "template_not_allowed"));
}

#[tokio::test]
async fn templates_are_made_listed_and_taken_away() {
    let keyed = Keyed::new().await;
    let again = keyed.ask("POST", "/v1/task-templates", &template()).await;
    assert_eq!(refusal(&again), (409, "name_taken"));
    let mut second = template();
    second["name"] = json!("read");
    second["needs_approval"] = json!(true);
    second["approval_ttl_seconds"] = json!(604_800);
    let made = keyed.ask("POST", "/v1/task-templates", &second).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(made.body["agents"], json!([AGENT]));
    assert_eq!(made.body["approval_ttl_seconds"], 604_800);
    let listed = keyed.ask("GET", "/v1/task-templates", &Value::Null).await;
    assert_eq!(listed.body["templates"][0], made.body);
    assert_eq!(listed.body["templates"][1]["name"], "deploy");
    assert_eq!(listed.body["next"], Value::Null);
    for (field, value, status) in [
        ("expires_in_seconds", json!(59), 400),
        ("expires_in_seconds", json!(86_401), 400),
        ("approval_ttl_seconds", json!(59), 400),
        ("approval_ttl_seconds", json!(604_801), 400),
        ("approval_ttl_seconds", json!("60"), 400),
        ("operations", json!([]), 400),
        ("agents", json!([]), 400),
        ("agents", json!(["none"]), 404),
        ("colour", json!("red"), 400),
    ] {
        let mut wrong = template();
        wrong["name"] = json!("wrong");
        wrong[field] = value;
        let refused = keyed.ask("POST", "/v1/task-templates", &wrong).await;
        assert_eq!(refused.status, status, "{field}: {refused:?}");
    }
    let path = "/v1/task-templates/read";
    assert_eq!(keyed.ask("DELETE", path, &Value::Null).await.status, 204);
    let gone = keyed.ask("DELETE", path, &Value::Null).await;
    assert_eq!(refusal(&gone), (404, "template_not_found"));
}

/// 64 clients ask with a key while it is taken away: none that begins after the answer to that is answered,
/// and the ledger has nothing of the key after it.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_with_a_key_is_answered_after_it_was_revoked() {
    let keyed = Arc::new(Keyed::new().await);
    let (id, key) = keyed.key().await;
    let task = keyed.opened(&key).await;
    let is_revoked = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..64)
        .map(|client| {
            let (keyed, is_revoked) = (Arc::clone(&keyed), Arc::clone(&is_revoked));
            let (key, task) = (key.clone(), task.clone());
            tokio::spawn(async move {
                let mut answered = 0;
                for turn in 0_u32.. {
                    let begun_after = is_revoked.load(Ordering::SeqCst);
                    let answer = match client % 3 {
                        0 => {
                            let path = format!("/v1/tasks/{task}");
                            keyed.with(&key, "GET", &path, &[], &Value::Null).await
                        }
                        1 => {
                            let name = format!("c{client}-{turn}");
                            keyed.apply(&key, &task, &name, dns("a.example.com")).await
                        }
                        _ => keyed.open(&key).await,
                    };
                    if begun_after {
                        assert_eq!(refusal(&answer), (401, "key_revoked"));
                        break;
                    }
                    answered += u32::from(answer.status < 300);
                }
                answered
            })
        })
        .collect();
    while *keyed.stage.state.app.ledger.size().borrow() < 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(keyed.revoke(&id).await.status, 204);
    is_revoked.store(true, Ordering::SeqCst);
    let mut answered = 0;
    for client in clients {
        answered += client.await.unwrap();
    }
    assert!(answered > 0);
    let ledger = &keyed.stage.state.app.ledger;
    let events = ledger.events_from(0, 100_000).await.unwrap();
    let revoked = events
        .iter()
        .position(|recorded| matches!(recorded.event, Event::KeyRevoked(_)));
    let late = events[revoked.unwrap()..]
        .iter()
        .find(|recorded| matches!(recorded.envelope.actor, Actor::AgentKey { .. }));
    assert_eq!(late, None);
}

/// What the requests that wait for a human are told, of an agent with a key, once something happens after that
/// time of its task.
async fn told_when(
    elapsed: Duration,
    happens: impl AsyncFnOnce(&Keyed, String),
) -> [(u16, String); 3] {
    let keyed = Arc::new(Keyed::new().await);
    let (id, key) = keyed.key().await;
    let task = keyed.opened(&key).await;
    keyed.stage.clock.advance(elapsed);
    let waits = |rest: &'static str, method: &'static str, body: Value| {
        let keyed = Arc::clone(&keyed);
        let (key, path) = (key.clone(), format!("/v1/tasks/{task}/{rest}"));
        tokio::spawn(async move {
            let headers = [("idempotency-key", "k1"), ("prefer", "wait=50")];
            keyed.with(&key, method, &path, &headers, &body).await
        })
    };
    let begun = std::time::Instant::now();
    let asked = keyed.apply(&key, &task, "k1", ssl()).await;
    assert_eq!(asked.status, 202);
    let resume = json!({"resume_token": asked.body["resume_token"]});
    let waiting = [
        waits("apply", "POST", json!({"operations": [ssl()]})),
        waits("apply/continue", "POST", resume),
        waits("approval-status", "GET", Value::Null),
    ];
    happens(&keyed, id).await;
    let told = waiting.map(async |waiting| {
        let ended = waiting.await.unwrap();
        (ended.status, ended.code().to_owned())
    });
    let [one, two, three] = told;
    let told = [one.await, two.await, three.await];
    assert!(begun.elapsed() < Duration::from_secs(40));
    told
}

#[tokio::test]
async fn a_request_that_waits_ends_when_its_key_is_revoked() {
    let revoked = told_when(Duration::ZERO, async |keyed: &Keyed, id: String| {
        assert_eq!(keyed.revoke(&id).await.status, 204);
    });
    let refused = [(); 3].map(|()| (401, "key_revoked".to_owned()));
    assert_eq!(revoked.await, refused);
}

#[tokio::test]
async fn a_request_that_waits_ends_with_the_time_of_its_template() {
    let ended = told_when(Duration::from_millis(599_500), async |keyed: &Keyed, _| {
        // All wait by now: each is polled before this goes on.
        tokio::task::yield_now().await;
        keyed.stage.clock.advance(Duration::from_secs(1));
    });
    let refused = [(); 3].map(|()| (410, "task_expired".to_owned()));
    assert_eq!(ended.await, refused);
}
