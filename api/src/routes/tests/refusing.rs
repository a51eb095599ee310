//! Applies that are refused: nothing is executed, and the attempt is in the ledger.

use super::{Scene, dns, ssl};
use crate::testing::{AGENT, CLIENT, Stage};
use app::token::link::{LinkKey, Resume};
use ledger::command::{AllowedEntry, CreateTask};
use ledger::{AgentName, ClientSubject, Event, Origin, TaskId};
use providers::cloudflare;
use serde_json::{Value, json};
use std::time::Duration;

async fn refusals(scene: &Scene) -> usize {
    scene
        .events(|event| matches!(event, Event::ApplyRefused(_)))
        .await
}

#[tokio::test]
async fn one_bad_operation_refuses_all_of_them() {
    let scene = Scene::granted().await;
    let mut bad = dns("b.example.com");
    bad["params"]["ttl"] = json!(7);
    let answer = scene.apply("k1", &[dns("a.example.com"), bad]).await;
    assert_eq!((answer.status, answer.code()), (400, "bad_request"));
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("operations[1].params.ttl"), "{detail}");
    assert_eq!(refusals(&scene).await, 1);
    assert_eq!(scene.started().await, 0);
    // The key was not used up.
    assert_eq!(scene.apply("k1", &[dns("a.example.com")]).await.status, 200);
}

#[tokio::test]
async fn every_malformed_request_is_refused_and_recorded() {
    let scene = Scene::granted().await;
    let fine = json!({"operations": [dns("a.example.com")]});
    assert_eq!(scene.post("/apply", &fine).await.status, 400, "no key");
    assert_eq!(scene.keyed("/apply", "a b", &fine).await.status, 400);
    assert_eq!(
        scene.keyed("/apply", &"k".repeat(256), &fine).await.status,
        400
    );
    assert_eq!(
        scene
            .keyed("/apply", "k", &json!({"operations": []}))
            .await
            .status,
        400
    );
    assert_eq!(
        scene.keyed("/apply", "k", &json!({"ops": []})).await.status,
        400
    );
    assert_eq!(scene.keyed("/apply", "k", &json!([])).await.status, 400);
    assert_eq!(scene.keyed("/apply", "k", &Value::Null).await.status, 400);
    assert_eq!(refusals(&scene).await, 7);
}

#[tokio::test]
async fn outside_the_allowlist_is_a_403_on_record() {
    let stage = Stage::new().await;
    let command = CreateTask {
        agent: AgentName::unchecked(AGENT),
        subject: ClientSubject::unchecked(CLIENT),
        name: "only one zone".into(),
        operations: vec![AllowedEntry {
            operation: cloudflare::DNS_RECORD_WRITE,
            scope_id: ledger::ScopePattern::unchecked("z9"),
            required_level: None,
            risk_tier: None,
        }],
        agent_callbacks: true,
        proxy: false,
        callback: None,
        token_ttl: Some(Duration::from_secs(300)),
        question: None,
        purpose: ledger::Purpose::default(),
    };
    let ledger = stage.state.app.ledger.clone();
    let task = ledger
        .execute(Origin::system("test"), command)
        .await
        .unwrap();
    let token = stage.sign(&task);
    let executor = super::Executor::start(ledger);
    let scene = Scene {
        stage,
        task,
        token,
        executor,
    };
    for operation in [dns("a.example.com"), ssl()] {
        let answer = scene.apply("k1", &[operation]).await;
        assert_eq!((answer.status, answer.code()), (403, "outside_allowlist"));
    }
    assert_eq!(refusals(&scene).await, 2);
}

#[tokio::test]
async fn a_resume_token_opens_what_it_was_made_for() {
    let scene = Scene::new().await;
    let waiting = scene.apply("k1", &[ssl()]).await;
    let token = &waiting.body["resume_token"];
    let foreign = LinkKey::<Resume>::new(b"another-secret-of-thirty-two-bytes");
    let approval = scene.approval().await;
    let said = |task_id, fingerprint: &str| Resume {
        approval_id: approval.id,
        task_id,
        fingerprint: fingerprint.into(),
        iat: 0,
    };
    let right = approval.fingerprint.to_string();
    let ours = &scene.stage.state.app.keys.resume;
    let task = scene.task.task.id;
    for (resume, status) in [
        (json!("nonsense"), 401),
        (
            json!(foreign.sign(said(task, &right)).unwrap().reveal()),
            401,
        ),
        (json!(scene.token), 401),
        (
            json!(
                ours.sign(said(TaskId::from_bytes([9; 16]), &right))
                    .unwrap()
                    .reveal()
            ),
            403,
        ),
        (
            json!(ours.sign(said(task, &"00".repeat(32))).unwrap().reveal()),
            403,
        ),
        (token.clone(), 202),
    ] {
        let answer = scene.resume("k1", &resume).await;
        assert_eq!(answer.status, status, "{answer:?}");
    }
    assert_eq!(refusals(&scene).await, 5);
}

#[tokio::test]
async fn requests_are_limited_for_each_subject() {
    let stage = Stage::with(|config| config.rate_limit_rps = 1).await;
    let (task, token) = stage.task(AGENT).await;
    let path = format!("/v1/tasks/{}/approval-status", task.task.id);
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.push(stage.send("GET", &path, &token, &Value::Null).await);
    }
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [404, 404, 429]);
    assert_eq!(answers[2].code(), "rate_limited");
    assert_eq!(answers[2].headers["retry-after"], "1");
}

#[tokio::test]
async fn a_large_body_waits_its_turn_and_is_not_recorded_as_refused() {
    let scene = Scene::granted().await;
    let state = &scene.stage.state;
    let large = 10 * 1024 * 1024;
    let hold = || {
        let mut room = state.bodies.none(CLIENT.into());
        room.grow(large).map(|()| room).unwrap()
    };
    let held = [hold(), hold()];
    let upload = json!({"scope_id": "a1", "script_name": "hello",
        "script": "x".repeat(5 * 1024 * 1024)});
    let answer = scene.keyed("/workers/deploy", "k1", &upload).await;
    assert_eq!((answer.status, answer.code()), (503, "unavailable"));
    assert_eq!(answer.headers["retry-after"], "1");
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(refusals(&scene).await, 0);
    let small = scene.apply("k2", &[dns("a.example.com")]).await;
    assert_eq!(small.status, 200, "{small:?}");
    drop(held);
    for key in ["k1", "k3", "k4"] {
        let answer = scene.keyed("/workers/deploy", key, &upload).await;
        assert_eq!(answer.status, 202, "room is given back: {answer:?}");
    }
}
