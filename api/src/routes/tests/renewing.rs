//! Tokens that went stale or expired.

use super::{Scene, ssl};
use crate::testing::{AGENT, Answer};
use ledger::Clock;
use serde_json::{Value, json};
use std::time::Duration;

async fn renew(scene: &Scene, token: &str) -> Answer {
    scene
        .stage
        .send("POST", &scene.path("/token"), token, &Value::Null)
        .await
}

#[tokio::test]
async fn a_stale_token_is_renewed_and_gone() {
    let scene = Scene::new().await;
    let fresh = renew(&scene, &scene.token).await;
    assert_eq!((fresh.status, fresh.code()), (409, "token_not_renewable"));

    let path = format!("/v1/agents/{AGENT}/permissions");
    let bootstrap = scene.stage.bootstrap(|_| ());
    let nothing = json!({"permissions": []});
    let replaced = scene.stage.send("PATCH", &path, &bootstrap, &nothing).await;
    assert_eq!(replaced.status, 200, "{replaced:?}");
    let stale = scene.apply("k1", &[ssl()]).await;
    assert_eq!(
        (stale.status, stale.code()),
        (401, "token_stale"),
        "with the very next request"
    );

    let renewed = renew(&scene, &scene.token).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    assert_eq!(renewed.body["capability_ttl_seconds"], 300);
    let again = renew(&scene, &scene.token).await;
    assert_eq!(
        again.body["capability_token"],
        renewed.body["capability_token"]
    );
    scene.stage.clock.advance(Duration::from_secs(61));
    assert_eq!(
        renew(&scene, &scene.token).await.status,
        401,
        "only for a minute"
    );

    let token = renewed.body["capability_token"].as_str().unwrap();
    let scene = Scene {
        token: token.into(),
        ..scene
    };
    assert_eq!(scene.apply("k1", &[ssl()]).await.status, 202);
}

#[tokio::test]
async fn an_expired_token_is_renewed_only_while_an_approval_is_open() {
    let scene = Scene::new().await;
    let (idle, idle_token) = scene.stage.task(AGENT).await;
    assert_eq!(scene.apply("k1", &[ssl()]).await.status, 202);
    scene.stage.clock.advance(Duration::from_secs(300));
    let expired = scene.apply("k1", &[ssl()]).await;
    assert_eq!((expired.status, expired.code()), (401, "token_expired"));
    assert_eq!(renew(&scene, &scene.token).await.status, 200);

    let path = format!("/v1/tasks/{}/token", idle.task.id);
    let refused = scene
        .stage
        .send("POST", &path, &idle_token, &Value::Null)
        .await;
    assert_eq!(
        (refused.status, refused.code()),
        (409, "token_not_renewable")
    );
}

#[tokio::test]
async fn a_clock_that_is_set_back_a_little_does_not_lock_out_new_tokens() {
    let scene = Scene::new().await;
    let begin = scene.stage.clock.now();
    let back = |seconds| ledger::Timestamp::from_seconds(begin.as_seconds() - seconds);
    scene.stage.clock.set(back(60));
    assert_eq!(scene.apply("k1", &[ssl()]).await.status, 202);
    let (_, token) = scene.stage.task(AGENT).await;
    let scene = Scene { token, ..scene };
    let other = scene.apply("k1", &[ssl()]).await;
    assert_eq!(
        (other.status, other.code()),
        (403, "forbidden"),
        "known, for another task"
    );
    scene.stage.clock.set(back(61));
    assert_eq!(scene.apply("k1", &[ssl()]).await.status, 401);
}
