//! What is listed and shown never goes back in time.

use super::{Scene, dns, ssl};
use crate::testing::Answer;
use ledger::Decision;
use serde_json::{Value, json};

async fn view(scene: &Scene) -> (String, String) {
    let view = scene.get("").await;
    assert_eq!(view.status, 200, "{view:?}");
    let word = |field: &str| view.body[field].as_str().unwrap().to_owned();
    (word("status"), word("apply_state"))
}

fn words(status: &str, apply_state: &str) -> (String, String) {
    (status.to_owned(), apply_state.to_owned())
}

#[tokio::test]
async fn a_task_follows_its_newest_apply() {
    let scene = Scene::granted().await;
    assert_eq!(view(&scene).await, words("open", "idle"));
    scene.apply("k1", &[dns("a.example.com")]).await;
    assert_eq!(view(&scene).await, words("completed", "completed"));
    scene.apply("k2", &[ssl()]).await;
    assert_eq!(
        view(&scene).await,
        words("requires_approval", "waiting_approval")
    );
    scene.decide(Decision::Approve, None).await;
    assert_eq!(view(&scene).await, words("approved", "ready"));
    let waiting = scene.apply("k2", &[ssl()]).await;
    scene.resume("k2", &waiting.body["resume_token"]).await;
    assert_eq!(view(&scene).await, words("completed", "completed"));
}

#[tokio::test]
async fn applies_are_listed_newest_first_page_by_page() {
    let scene = Scene::granted().await;
    for key in ["k1", "k2", "k3"] {
        scene
            .apply(key, &[dns(&format!("{key}.example.com"))])
            .await;
    }
    let keys = |page: &Answer| -> Vec<Value> {
        let applies = page.body["applies"].as_array().unwrap();
        applies
            .iter()
            .map(|apply| apply["idempotency_key"].clone())
            .collect()
    };
    let first = scene.get("/applies?limit=2").await;
    assert_eq!(first.status, 200, "{first:?}");
    assert_eq!(keys(&first), [json!("k3"), json!("k2")]);
    assert_eq!(first.body["applies"][0]["status"], "completed");
    assert_eq!(
        first.body["applies"][0]["operations"],
        json!(["dns.record.write"])
    );
    let before = first.body["next_before"].as_str().unwrap();
    let second = scene
        .get(&format!("/applies?limit=2&before={before}"))
        .await;
    assert_eq!(keys(&second), [json!("k1")]);
    assert!(second.body.get("next_before").is_none());
    for wrong in ["limit=0", "limit=101", "limit=x", "before=x", "page=2"] {
        let answer = scene.get(&format!("/applies?{wrong}")).await;
        assert_eq!(
            (answer.status, answer.code()),
            (400, "bad_request"),
            "{wrong}"
        );
    }
}

#[tokio::test]
async fn what_callbacks_are_owed_is_visible() {
    let scene = Scene::granted().await;
    let none = scene.get("/deliveries").await;
    assert_eq!(none.body, json!({"deliveries": []}));
    let callback = json!({"url": "https://localhost:9/hook", "secret": "s"});
    let body = json!({"operations": [dns("a.example.com")], "callback": callback});
    scene.keyed("/apply", "k1", &body).await;
    let owed = scene.get("/deliveries").await;
    let delivery = &owed.body["deliveries"][0];
    assert_eq!(delivery["event_type"], "apply.finished", "{owed:?}");
    assert_eq!(delivery["endpoint"], "https://localhost:9");
    assert_eq!(delivery["attempts"], 0);

    let bootstrap = scene.stage.bootstrap(|_| ());
    let path = scene.path("/deliveries");
    let seen = scene
        .stage
        .send("GET", &path, &bootstrap, &Value::Null)
        .await;
    assert_eq!(seen.body, owed.body, "an administrator sees the same");
    let retry = format!(
        "/v1/callbacks/{}/retry",
        delivery["delivery_id"].as_str().unwrap()
    );
    let early = scene
        .stage
        .send("POST", &retry, &bootstrap, &Value::Null)
        .await;
    assert_eq!((early.status, early.code()), (409, "delivery_not_given_up"));
}
