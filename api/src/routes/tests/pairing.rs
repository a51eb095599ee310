//! Pairing over HTTP: a machine asks, an operator answers, and the machine gets its key once.

use crate::schemes::client_address::PeerAddress;
use crate::testing::{Answer, OpenedSession, SERVICE_TOKEN, Stage};
use axum::body::Body;
use http::Request;
use ledger::{AgentName, KeyId, Role};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

const INTERVAL: Duration = Duration::from_secs(5);

/// Asks with a bearer token, or as a stranger, from an address.
async fn ask(
    stage: &Stage,
    token: &str,
    from: &str,
    method: &str,
    path: &str,
    body: Value,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    request = request.header("content-type", "application/json");
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let peer = PeerAddress(format!("{from}:4711").parse().unwrap());
    let body = match body {
        Value::Null => Body::empty(),
        body => Body::from(body.to_string()),
    };
    let request = request.extension(peer).body(body).unwrap();
    Answer::of(stage.router.clone().oneshot(request).await.unwrap()).await
}

async fn begin(stage: &Stage, agent: &str) -> Answer {
    let body = json!({ "agent": agent });
    ask(stage, "", "192.0.2.9", "POST", "/v1/pairing", body).await
}

/// The code and the secret of a new pairing.
async fn begun(stage: &Stage, agent: &str) -> (String, String) {
    let begun = begin(stage, agent).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let text = |name: &str| begun.body[name].as_str().unwrap().to_owned();
    (text("code"), text("device_secret"))
}

async fn poll(stage: &Stage, secret: &str) -> Answer {
    let body = json!({ "device_secret": secret });
    ask(stage, "", "192.0.2.9", "POST", "/v1/pairing/poll", body).await
}

/// An answer of an operator to a code: GET, DELETE or POST.
async fn answer(stage: &Stage, token: &str, method: &str, code: &str) -> Answer {
    let path = match method {
        "POST" => format!("/v1/pairing/{code}/confirm"),
        _ => format!("/v1/pairing/{code}"),
    };
    ask(stage, token, "192.0.2.1", method, &path, Value::Null).await
}

async fn operator(stage: &Stage) -> OpenedSession {
    stage.session_of(Role::Operator).await
}

fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn a_machine_gets_its_key_once_after_an_operator_has_confirmed() {
    let stage = Stage::new().await;
    let otto = operator(&stage).await;
    let size = *stage.state.app.ledger.size().borrow();
    let begun = begin(&stage, "new-bot").await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let code = begun.body["code"].as_str().unwrap();
    let secret = begun.body["device_secret"].as_str().unwrap();
    assert_eq!(begun.body["interval_seconds"], 5);
    assert_eq!(begun.body["expires_at"], "2027-01-15T08:10:00Z");
    let url = format!("http://localhost:8080/pairing/{code}");
    assert_eq!(begun.body["confirm_url"], url);
    let pending = poll(&stage, secret).await;
    assert_eq!(
        (pending.status, &pending.body),
        (202, &json!({"status": "pending"}))
    );

    let seen = answer(&stage, &otto.bearer, "GET", &code.to_lowercase()).await;
    let expected = json!({
        "code": code, "agent": "new-bot", "known": false, "address": "192.0.2.9",
        "created_at": "2027-01-15T08:00:00Z", "expires_at": "2027-01-15T08:10:00Z",
    });
    assert_eq!((seen.status, &seen.body), (200, &expected));
    let ledger = &stage.state.app.ledger;
    assert_eq!(*ledger.size().borrow(), size, "nothing is recorded before");
    let confirmed = answer(&stage, &otto.bearer, "POST", code).await;
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
    assert!(
        !confirmed.body.to_string().contains("cak_"),
        "{confirmed:?}"
    );
    let again = answer(&stage, &otto.bearer, "POST", code).await;
    assert_eq!(refusal(&again), (409, "pairing_confirmed"));

    stage.clock.advance(INTERVAL);
    let given = poll(&stage, secret).await;
    assert_eq!(given.status, 200, "{given:?}");
    assert_eq!(given.body["agent"], "new-bot");
    assert_eq!(given.body["key_id"], confirmed.body["key_id"]);
    let key = given.body["key"].as_str().unwrap();
    let me = ask(&stage, key, "192.0.2.9", "GET", "/v1/me", Value::Null).await;
    assert_eq!((me.status, &me.body["name"]), (200, &json!("new-bot")));
    let agent = ledger
        .agent(&AgentName::unchecked("new-bot"))
        .await
        .unwrap();
    assert_eq!(agent.unwrap().described.owner, Some(otto.user));
    for _ in 0..2 {
        let over = poll(&stage, secret).await;
        assert_eq!(refusal(&over), (410, "pairing_ended"));
        stage.clock.advance(INTERVAL);
    }
    let again = answer(&stage, &otto.bearer, "POST", code).await;
    assert_eq!(refusal(&again), (409, "pairing_confirmed"));
}

#[tokio::test]
async fn a_machine_that_is_denied_late_or_unknown_gets_nothing() {
    let stage = Stage::new().await;
    let otto = operator(&stage).await;
    let (code, denied) = begun(&stage, "new-bot").await;
    let (_, late) = begun(&stage, "new-bot").await;
    let gone = answer(&stage, &otto.bearer, "DELETE", &code).await;
    assert_eq!(gone.status, 204, "{gone:?}");
    assert_eq!(
        refusal(&poll(&stage, &denied).await),
        (410, "pairing_ended")
    );
    let again = answer(&stage, &otto.bearer, "DELETE", &code).await;
    assert_eq!(refusal(&again), (404, "pairing_not_found"));
    assert_eq!(poll(&stage, &late).await.status, 202);
    let fast = poll(&stage, &late).await;
    assert_eq!(refusal(&fast), (429, "rate_limited"));
    assert_eq!(fast.headers["retry-after"], "5");
    stage.clock.advance(Duration::from_secs(600));
    assert_eq!(refusal(&poll(&stage, &late).await), (410, "pairing_ended"));
    for unknown in ["", "nonsense", &code, &late[1..]] {
        let refused = poll(&stage, unknown).await;
        assert_eq!(refusal(&refused), (401, "unauthorized"), "{unknown}");
    }
    for wrong in ["", &"a".repeat(201), "a\nb"] {
        assert_eq!(begin(&stage, wrong).await.status, 400, "{wrong}");
    }
}

#[tokio::test]
async fn who_may_confirm_follows_from_the_agent() {
    let stage = Stage::new().await;
    let otto = operator(&stage).await;
    let ada = stage.session_of(Role::Admin).await;
    let viewer = stage.session_of(Role::Viewer).await;
    let create = json!({"agent": "known-bot"});
    let made = ask(
        &stage,
        SERVICE_TOKEN,
        "192.0.2.1",
        "POST",
        "/v1/agents",
        create,
    )
    .await;
    assert_eq!(made.status, 201, "{made:?}");
    let (code, secret) = begun(&stage, "known-bot").await;
    let seen = answer(&stage, &otto.bearer, "GET", &code).await;
    assert_eq!(seen.body["known"], true, "{seen:?}");
    let refused = answer(&stage, &viewer.bearer, "POST", &code).await;
    assert_eq!(refusal(&refused), (403, "role_required"));
    assert_eq!(refused.body["required_role"], "operator");
    let refused = answer(&stage, &otto.bearer, "POST", &code).await;
    assert_eq!(refusal(&refused), (403, "role_required"));
    assert_eq!(refused.body["required_role"], "admin");
    let refused = answer(&stage, &ada.bearer, "POST", &code).await;
    assert_eq!(refusal(&refused), (403, "step_up_required"));
    // Who was refused has left it as it was.
    let pending = poll(&stage, &secret).await;
    assert_eq!(pending.status, 202, "{pending:?}");
    let confirmed = answer(&stage, SERVICE_TOKEN, "POST", &code).await;
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
}

#[tokio::test]
async fn of_many_who_confirm_and_deny_at_once_one_does() {
    let stage = Stage::new().await;
    for round in 0..8 {
        stage.clock.advance(Duration::from_secs(60));
        let agent = format!("bot-{round}");
        let (code, secret) = begun(&stage, &agent).await;
        let (one, other, third) = (
            operator(&stage).await,
            operator(&stage).await,
            operator(&stage).await,
        );
        let (first, second, denied) = tokio::join!(
            answer(&stage, &one.bearer, "POST", &code),
            answer(&stage, &other.bearer, "POST", &code),
            answer(&stage, &third.bearer, "DELETE", &code),
        );
        let confirmed = [&first, &second].map(|answer| answer.status == 200);
        let done = confirmed.iter().filter(|it| **it).count() + usize::from(denied.status == 204);
        assert_eq!(done, 1, "{first:?} {second:?} {denied:?}");
        let polled = poll(&stage, &secret).await;
        let expected = if denied.status == 204 { 410 } else { 200 };
        assert_eq!(polled.status, expected, "{polled:?}");
        let agent = AgentName::unchecked(agent);
        let agent = stage.state.app.ledger.agent(&agent).await.unwrap();
        assert_eq!(agent.is_some(), expected == 200);
    }
}

#[tokio::test]
async fn a_pairing_that_its_confirmer_does_not_wait_for_is_confirmed() {
    let stage = Stage::new().await;
    let otto = operator(&stage).await;
    let (code, secret) = begun(&stage, "new-bot").await;
    let mut left = Box::pin(answer(&stage, &otto.bearer, "POST", &code));
    // It has asked the ledger, and then goes away.
    let mut size = stage.state.app.ledger.size();
    let size_before = *size.borrow();
    tokio::select! {
        biased;
        grown = size.wait_for(|size| *size > size_before) => drop(grown.unwrap()),
        done = &mut left => assert_eq!(done.status, 200),
    }
    drop(left);
    let polled = loop {
        let polled = poll(&stage, &secret).await;
        stage.clock.advance(INTERVAL);
        if polled.status != 202 {
            break polled;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(polled.status, 200, "{polled:?}");
    let key: KeyId = polled.body["key_id"].as_str().unwrap().parse().unwrap();
    assert!(
        stage
            .state
            .app
            .ledger
            .load::<ledger::aggregate::Key>(key)
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn codes_are_guessed_five_times_a_minute_by_a_session() {
    let stage = Stage::new().await;
    let (otto, other) = (operator(&stage).await, operator(&stage).await);
    let (code, _) = begun(&stage, "new-bot").await;
    for (method, wrong) in [
        ("GET", "AAAAAAAA"),
        ("DELETE", "nonsense"),
        ("POST", "23456789"),
        ("GET", "%20"),
        ("POST", "2345678I"),
    ] {
        let refused = answer(&stage, &otto.bearer, method, wrong).await;
        assert_eq!(refusal(&refused), (404, "pairing_not_found"), "{wrong}");
    }
    for method in ["GET", "DELETE", "POST"] {
        let refused = answer(&stage, &otto.bearer, method, &code).await;
        assert_eq!(refusal(&refused), (429, "rate_limited"), "{method}");
        assert_eq!(refused.headers["retry-after"], "60");
    }
    let seen = answer(&stage, &other.bearer, "GET", &code).await;
    assert_eq!(seen.status, 200, "{seen:?}");
    stage.clock.advance(Duration::from_secs(60));
    let confirmed = answer(&stage, &otto.bearer, "POST", &code).await;
    assert_eq!(confirmed.status, 200, "{confirmed:?}");
}

#[tokio::test]
async fn five_pairings_of_an_address_are_open_at_a_time() {
    let stage = Stage::new().await;
    for n in 0..5 {
        begun(&stage, &format!("bot-{n}")).await;
    }
    let refused = begin(&stage, "bot-5").await;
    assert_eq!(refusal(&refused), (429, "rate_limited"));
    assert_eq!(refused.headers["retry-after"], "600");
    let body = json!({"agent": "bot-5"});
    let elsewhere = ask(&stage, "", "192.0.2.10", "POST", "/v1/pairing", body).await;
    assert_eq!(elsewhere.status, 201, "{elsewhere:?}");
}
