//! Blocks and allows, as those meet them who set them and are refused by them.

use super::{AGENT, Scene, dns};
use crate::testing::{Answer, SERVICE_TOKEN};
use serde_json::{Value, json};

async fn ask(scene: &Scene, method: &str, path: &str, body: &Value) -> Answer {
    scene.stage.send(method, path, SERVICE_TOKEN, body).await
}

#[tokio::test]
async fn a_blocked_agent_is_refused_until_the_block_is_lifted() {
    let scene = Scene::granted().await;
    let block =
        json!({"kind": "agent", "value": AGENT, "duration": "1h", "reason": "asks for everything"});
    let set = ask(&scene, "POST", "/v1/blocks", &block).await;
    assert_eq!(set.status, 201, "{set:?}");
    assert_eq!(set.body["value"], AGENT);
    let refused = scene.apply("k1", &[dns("a.example.com")]).await;
    assert_eq!((refused.status, refused.code()), (403, "blocked"));
    let listed = ask(&scene, "GET", "/v1/blocks", &Value::Null).await;
    assert_eq!(listed.body["blocks"], json!([set.body]));
    let path = format!("/v1/blocks/{}", set.body["id"].as_str().unwrap());
    // It is no allow.
    let as_allow = path.replace("blocks", "allows");
    let wrong = ask(&scene, "DELETE", &as_allow, &Value::Null).await;
    assert_eq!((wrong.status, wrong.code()), (404, "admission_not_found"));
    for _ in 0..2 {
        assert_eq!(ask(&scene, "DELETE", &path, &Value::Null).await.status, 204);
    }
    let applied = scene.apply("k1", &[dns("a.example.com")]).await;
    assert_eq!(applied.status, 200, "{applied:?}");
    let listed = ask(&scene, "GET", "/v1/blocks", &Value::Null).await;
    assert!(listed.body["blocks"][0]["lifted_at"].is_string());
}

#[tokio::test]
async fn what_an_allow_covers_is_not_blocked() {
    let scene = Scene::new().await;
    let allow = json!({"kind": "address", "value": "::ffff:10.0.0.0/104"});
    let set = ask(&scene, "POST", "/v1/allows", &allow).await;
    assert_eq!(set.status, 201, "{set:?}");
    assert_eq!(set.body["value"], "10.0.0.0/8", "in its one spelling");
    let block = json!({"kind": "address", "value": "10.9.9.9"});
    let refused = ask(&scene, "POST", "/v1/blocks", &block).await;
    assert_eq!((refused.status, refused.code()), (409, "allowed"));
    let listed = ask(&scene, "GET", "/v1/allows", &Value::Null).await;
    assert_eq!(listed.body["allows"].as_array().unwrap().len(), 1);
    for wrong in [
        json!({"kind": "address", "value": "example.com"}),
        json!({"kind": "address", "value": "10.0.0.1/8"}),
        json!({"kind": "zone", "value": "z1"}),
        json!({"kind": "agent", "value": "nobody"}),
        json!({"kind": "asn", "value": "64496", "until": "2027-01-01T00:00:00Z"}),
    ] {
        let answer = ask(&scene, "POST", "/v1/blocks", &wrong).await;
        assert!([400, 404].contains(&answer.status), "{wrong}: {answer:?}");
    }
}
