//! `continue` that waits for the decision.

use super::{Scene, dns, ssl};
use crate::testing::{AGENT, Answer};
use futures_util::future::{Either, select};
use ledger::command::ExpireApproval;
use ledger::{Decision, Event, Origin};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// A scene with an apply that waits for a human, and its resume token.
async fn asked() -> (Scene, Value) {
    let scene = Scene::new().await;
    let waiting = scene.apply("k1", &[ssl()]).await;
    assert_eq!(waiting.status, 202, "{waiting:?}");
    let token = waiting.body["resume_token"].clone();
    (scene, token)
}

async fn waiting(scene: &Scene, key: &str, resume_token: &Value) -> Answer {
    let headers = [("idempotency-key", key), ("prefer", "wait=50")];
    let body = json!({"resume_token": resume_token});
    let path = scene.path("/apply/continue");
    scene
        .stage
        .send_with("POST", &path, &scene.token, &headers, &body)
        .await
}

#[tokio::test]
async fn continue_waits_for_the_decision_and_then_executes() {
    let (scene, token) = asked().await;
    let decide = scene.decide(Decision::Approve, None);
    let (answer, ()) = tokio::join!(waiting(&scene, "k1", &token), decide);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body["status"], "completed");
    assert_eq!(scene.started().await, 1);
}

#[tokio::test]
async fn continue_that_waits_is_told_of_a_denial() {
    let (scene, token) = asked().await;
    let decide = scene.decide(Decision::Deny, Some("not on a Friday"));
    let (answer, ()) = tokio::join!(waiting(&scene, "k1", &token), decide);
    assert_eq!((answer.status, answer.code()), (409, "approval_denied"));
    assert_eq!(scene.started().await, 0);
}

#[tokio::test]
async fn continue_that_waits_is_told_that_time_ran_out() {
    let (mut scene, token) = asked().await;
    // The task's token lives five minutes, the question ten.
    scene.stage.clock.advance(Duration::from_secs(599));
    let renewed = scene.post("/token", &Value::Null).await;
    assert_eq!(renewed.status, 200, "{renewed:?}");
    scene.token = renewed.body["capability_token"].as_str().unwrap().into();
    let expire = async {
        let approval_id = scene.approval().await.id;
        scene.stage.clock.advance(Duration::from_secs(1));
        let ledger = &scene.stage.state.app.ledger;
        // Whoever of the two sees it first records it.
        let expire = ExpireApproval { approval_id };
        drop(ledger.execute(Origin::system("test"), expire).await);
    };
    let (answer, ()) = tokio::join!(waiting(&scene, "k1", &token), expire);
    assert_eq!((answer.status, answer.code()), (410, "approval_expired"));
    assert_eq!(scene.started().await, 0);
}

#[tokio::test]
async fn whoever_waits_to_continue_there_is_one_execution() {
    let (scene, token) = asked().await;
    let decide = scene.decide(Decision::Approve, None);
    let (one, again, other, ()) = tokio::join!(
        waiting(&scene, "k1", &token),
        waiting(&scene, "k1", &token),
        waiting(&scene, "k2", &token),
        decide
    );
    assert_eq!((one.status, &one.body), (again.status, &again.body));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409], "{one:?} {other:?}");
    assert_eq!(scene.started().await, 1);
    let consumed = scene
        .events(|event| matches!(event, Event::ApprovalConsumed(_)))
        .await;
    assert_eq!(consumed, 1);
}

/// Nobody executes for a client that is gone; the approval is there for its next request.
#[tokio::test]
async fn a_client_that_hangs_up_while_it_waits_has_not_used_the_approval() {
    let (scene, token) = asked().await;
    let gone = Box::pin(waiting(&scene, "k1", &token));
    let other = Box::pin(scene.get("/approval-status"));
    match select(gone, other).await {
        Either::Left((answer, _)) => panic!("{answer:?}"),
        Either::Right((_, gone)) => drop(gone),
    }
    scene.decide(Decision::Approve, None).await;
    assert_eq!(scene.started().await, 0);
    let answer = waiting(&scene, "k1", &token).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(scene.started().await, 1);
}

/// What the requests of an agent that wait for a human are told, once something happens to its token.
async fn told_when(elapsed: Duration, happens: impl AsyncFnOnce(&Scene)) -> [(u16, String); 3] {
    let (scene, resume_token) = asked().await;
    scene.stage.clock.advance(elapsed);
    let send = async |method: &'static str, rest: &'static str, body: Value| {
        let headers = [("idempotency-key", "k1"), ("prefer", "wait=50")];
        let path = scene.path(rest);
        let stage = &scene.stage;
        let sent = stage.send_with(method, &path, &scene.token, &headers, &body);
        let answer = sent.await;
        (answer.status, answer.code().to_owned())
    };
    let begun = Instant::now();
    let happening = async {
        // All wait by now: each is polled before this goes on.
        tokio::task::yield_now().await;
        happens(&scene).await;
    };
    let (applied, continued, status, ()) = tokio::join!(
        send("POST", "/apply", json!({"operations": [ssl()]})),
        send(
            "POST",
            "/apply/continue",
            json!({"resume_token": resume_token})
        ),
        send("GET", "/approval-status", Value::Null),
        happening
    );
    assert!(
        begun.elapsed() < Duration::from_secs(25),
        "they did not end at once"
    );
    assert_eq!(scene.started().await, 0);
    [applied, continued, status]
}

#[tokio::test]
async fn a_request_that_waits_ends_when_its_token_counts_no_more() {
    let refused = |code: &str| [(); 3].map(|()| (401, code.to_owned()));
    let closed = told_when(Duration::ZERO, async |scene: &Scene| {
        let bootstrap = scene.stage.bootstrap(|_| ());
        let path = scene.path("/close");
        let closed = scene.stage.send("POST", &path, &bootstrap, &Value::Null);
        assert_eq!(closed.await.status, 200);
    });
    assert_eq!(closed.await, refused("token_revoked"));
    let stale = told_when(Duration::ZERO, async |scene: &Scene| {
        let bootstrap = scene.stage.bootstrap(|_| ());
        let path = format!("/v1/agents/{AGENT}/permissions");
        let none = json!({"permissions": []});
        let replaced = scene.stage.send("PATCH", &path, &bootstrap, &none);
        assert_eq!(replaced.await.status, 200);
    });
    assert_eq!(stale.await, refused("token_stale"));
    let expired = told_when(Duration::from_millis(299_900), async |scene: &Scene| {
        scene.stage.clock.advance(Duration::from_secs(1));
    });
    assert_eq!(expired.await, refused("token_expired"));
}

#[tokio::test]
async fn an_agent_that_did_not_ask_to_wait_hears_how_its_apply_ended() {
    let scene = Scene::granted().await;
    scene.executor.hold();
    let happening = async {
        while scene
            .events(|event| matches!(event, Event::ApplyAccepted(_)))
            .await
            == 0
        {
            tokio::task::yield_now().await;
        }
        // Its token expires meanwhile, and goes stale.
        let bootstrap = scene.stage.bootstrap(|_| ());
        let path = format!("/v1/agents/{AGENT}/permissions");
        let none = json!({"permissions": []});
        let replaced = scene.stage.send("PATCH", &path, &bootstrap, &none);
        assert_eq!(replaced.await.status, 200);
        scene.stage.clock.advance(Duration::from_secs(301));
        scene.executor.release();
    };
    let dns = [dns("a.example.com")];
    let (applied, ()) = tokio::join!(scene.apply("k1", &dns), happening);
    assert_eq!(
        (applied.status, &applied.body["status"]),
        (200, &json!("completed"))
    );
}

#[tokio::test]
async fn an_agent_that_asked_to_wait_for_an_apply_is_told_nothing_once_the_task_was_closed() {
    let scene = Scene::granted().await;
    scene.executor.hold();
    let closing = async {
        while scene
            .events(|event| matches!(event, Event::ApplyAccepted(_)))
            .await
            == 0
        {
            tokio::task::yield_now().await;
        }
        scene.post("/close", &Value::Null).await
    };
    let headers = [("idempotency-key", "k1"), ("prefer", "wait=50")];
    let body = json!({"operations": [dns("a.example.com")]});
    let path = scene.path("/apply");
    let asking = scene
        .stage
        .send_with("POST", &path, &scene.token, &headers, &body);
    let (applied, closed) = tokio::join!(asking, closing);
    assert_eq!(closed.status, 200, "{closed:?}");
    assert_eq!((applied.status, applied.code()), (401, "token_revoked"));
}
