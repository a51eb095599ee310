//! Schedules, as operators put, read and delete them.

use super::{AGENT, Scene, dns, ssl};
use crate::testing::{Answer, SERVICE_TOKEN};
use ledger::Origin;
use ledger::command::{RunSchedule, SCHEDULER};
use serde_json::{Value, json};
use std::time::Duration;

async fn ask(scene: &Scene, method: &str, path: &str, body: &Value) -> Answer {
    scene.stage.send(method, path, SERVICE_TOKEN, body).await
}

/// A minute goes by, and the schedule comes to its instant. Whether it fires.
async fn fires(scene: &Scene) -> bool {
    let ledger = &scene.stage.state.app.ledger;
    let schedule_id = ledger.schedules().all().next().unwrap().id;
    scene.stage.clock.advance(Duration::from_secs(60));
    let run = RunSchedule { schedule_id };
    let ran = ledger.execute(Origin::system(SCHEDULER), run).await;
    ran.unwrap().fired.is_some()
}

fn wanted() -> Value {
    json!({
        "cron": "30 2 * * mon-fri", "zone": "Europe/Berlin", "misfire": "skip",
        "agent": AGENT, "operations": [dns("a.example.com")],
    })
}

const PATH: &str = "/v1/schedules/nightly";

#[tokio::test]
async fn a_schedule_is_put_read_listed_paused_and_deleted() {
    let scene = Scene::granted().await;
    let put = ask(&scene, "PUT", PATH, &wanted()).await;
    assert_eq!(put.status, 200, "{put:?}");
    assert_eq!(put.body["state"], "active");
    assert_eq!(put.body["runs"], json!([]));
    assert!(put.body["next"].as_str().unwrap().ends_with("30:00Z"));
    let again = ask(&scene, "PUT", PATH, &wanted()).await;
    assert_eq!(again.body, put.body, "the same changes nothing");
    let read = ask(&scene, "GET", PATH, &Value::Null).await;
    assert_eq!(read.body, put.body);
    let listed = ask(&scene, "GET", "/v1/schedules", &Value::Null).await;
    assert_eq!(listed.body, json!({"schedules": [put.body]}));
    let mut paused = wanted();
    paused["enabled"] = json!(false);
    let paused = ask(&scene, "PUT", PATH, &paused).await;
    assert_eq!(
        (&paused.body["state"], &paused.body["next"]),
        (&json!("paused"), &Value::Null)
    );
    let deleted = ask(&scene, "DELETE", PATH, &Value::Null).await;
    assert_eq!(deleted.status, 204);
    for method in ["GET", "DELETE"] {
        let gone = ask(&scene, method, PATH, &Value::Null).await;
        assert_eq!((gone.status, gone.code()), (404, "schedule_not_found"));
    }
}

#[tokio::test]
async fn a_schedule_that_needs_people_waits_for_them_as_a_whole() {
    let scene = Scene::granted().await;
    let mut sensitive = wanted();
    sensitive["cron"] = json!("* * * * *");
    sensitive["operations"] = json!([ssl()]);
    let put = ask(&scene, "PUT", PATH, &sensitive).await;
    assert_eq!(put.body["state"], "waiting_approval", "{put:?}");
    let id = put.body["approval_id"].as_str().unwrap().to_owned();
    let url = put.body["approval_url"].as_str().unwrap();
    assert!(url.starts_with("http"), "{url}");
    let question = ask(&scene, "GET", &format!("/v1/approvals/{id}"), &Value::Null).await;
    assert_eq!(question.body["kind"], "schedule", "{question:?}");
    assert_eq!(question.body["subject"]["act"], "let schedule nightly run");
    assert!(!fires(&scene).await, "before it is approved");
    let waits = ask(&scene, "GET", PATH, &Value::Null).await;
    assert_eq!(waits.body["runs"][0]["state"], "refused");
    assert_eq!(waits.body["runs"][0]["code"], "schedule_not_approved");
    sensitive["enabled"] = json!(false);
    let paused = ask(&scene, "PUT", PATH, &sensitive).await;
    assert_eq!(paused.body["state"], "paused");
    assert_eq!(paused.body["approval_url"], Value::Null);
    let withdrawn = ask(&scene, "GET", &format!("/v1/approvals/{id}"), &Value::Null).await;
    assert_eq!(withdrawn.body["state"], "cancelled", "{withdrawn:?}");
}

#[tokio::test]
async fn what_is_no_schedule_is_refused() {
    let scene = Scene::granted().await;
    let with = |name: &str, value: Value| {
        let mut body = wanted();
        body[name] = value;
        body
    };
    for (body, status) in [
        (with("cron", json!("* * * * * *")), 400),
        (with("cron", json!("@hourly")), 400),
        (with("cron", json!("0 0 30 2 *")), 400),
        (with("zone", json!("Europe/Nowhere")), 400),
        (with("misfire", json!("twice")), 400),
        (with("operations", json!([])), 400),
        (with("agent", json!("nobody")), 404),
        (with("until", json!("2027-01-01T00:00:00Z")), 400),
    ] {
        let answer = ask(&scene, "PUT", PATH, &body).await;
        assert_eq!(answer.status, status, "{body}: {answer:?}");
    }
    for name in ["preview", "-a", "a%20b"] {
        let path = format!("/v1/schedules/{name}");
        let answer = ask(&scene, "PUT", &path, &wanted()).await;
        assert!([400, 405].contains(&answer.status), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn a_preview_names_instants_and_records_nothing() {
    let scene = Scene::new().await;
    let before = *scene.stage.state.app.ledger.size().borrow();
    let body = json!({
        "cron": "30 2 * * *", "zone": "Europe/Berlin", "from": "2026-03-28T12:00:00Z", "count": 2,
    });
    let preview = ask(&scene, "POST", "/v1/schedules/preview", &body).await;
    let instants = json!(["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]);
    assert_eq!(preview.body, json!({"instants": instants}), "{preview:?}");
    assert_eq!(*scene.stage.state.app.ledger.size().borrow(), before);
    for (name, value) in [
        ("count", json!(1001)),
        ("count", json!(0)),
        ("cron", json!("* * *")),
        ("zone", json!("")),
        ("from", json!("yesterday")),
    ] {
        let mut body = body.clone();
        body[name] = value;
        let answer = ask(&scene, "POST", "/v1/schedules/preview", &body).await;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
    }
}
