//! Sessions: each way of taking one away counts with the very next request.

use super::super::{Scene, ssl};
use super::*;
use std::time::Duration;

#[tokio::test]
async fn a_session_ends_with_its_logout_and_in_time() {
    let stage = Stage::new().await;
    user(&stage, "ann", Role::Viewer).await;
    let token = logged_in(&stage, "ann").await;
    let other = logged_in(&stage, "ann").await;
    let out = Ask::new("POST", "/v1/auth/logout")
        .bearer(&token)
        .of(&stage)
        .await;
    assert_eq!(out.status, 204, "{out:?}");
    assert_eq!(is_somebody(&stage, &token).await, nobody());
    assert_eq!(is_somebody(&stage, &other).await, somebody());
    stage.clock.advance(Duration::from_secs(43_199));
    assert_eq!(is_somebody(&stage, &other).await, somebody());
    stage.clock.advance(Duration::from_secs(1));
    assert_eq!(is_somebody(&stage, &other).await, nobody());
}

#[tokio::test]
async fn a_logged_out_browser_is_told_to_forget() {
    let stage = Stage::new().await;
    let session = stage.session_of(Role::Viewer).await;
    let ask = |method, path| Ask::new(method, path).cookie(&session.cookie);
    let out = ask("POST", "/v1/auth/logout").of(&stage).await;
    assert_eq!(out.status, 204, "{out:?}");
    assert_eq!(cookie_of(&out), "");
    let dead = ask("GET", "/v1/me").of(&stage).await;
    assert_eq!((dead.status, dead.code()), (401, "session_ended"));
    assert_eq!(cookie_of(&dead), "");
    assert_eq!(dead.body["message"], dead.body["detail"]);
}

#[tokio::test]
async fn whatever_an_administrator_takes_is_gone_with_the_next_request() {
    let stage = Stage::new().await;
    stage.user("root", Role::Admin).await;
    let changes = [
        ("PATCH", "", json!({"role": "viewer"})),
        ("PATCH", "", json!({"disabled": true})),
        (
            "POST",
            "/password",
            json!({"password": "another horse battery"}),
        ),
        ("DELETE", "", Value::Null),
    ];
    for (method, rest, body) in changes {
        let session = stage.session_of(Role::Operator).await;
        assert_eq!(is_somebody(&stage, &session.bearer).await, somebody());
        let path = format!("/v1/users/{}{rest}", session.user);
        let changed = as_service(&stage, method, &path, body.clone()).await;
        assert!(changed.status < 300, "{changed:?}");
        assert_eq!(
            is_somebody(&stage, &session.bearer).await,
            nobody(),
            "{body}"
        );
        let browser = Ask::new("GET", "/v1/me").cookie(&session.cookie);
        assert_eq!(browser.of(&stage).await.status, 401, "{body}");
    }
    // A change of what is no right ends nothing.
    let session = stage.session_of(Role::Operator).await;
    let path = format!("/v1/users/{}", session.user);
    for body in [json!({"name": "renamed"}), json!({"role": "operator"})] {
        let changed = as_service(&stage, "PATCH", &path, body).await;
        assert_eq!(changed.status, 200, "{changed:?}");
    }
    assert_eq!(is_somebody(&stage, &session.bearer).await, somebody());
}

#[tokio::test]
async fn a_lowered_role_counts_with_the_next_login() {
    let stage = Stage::new().await;
    stage.user("root", Role::Admin).await;
    let session = stage.session_of(Role::Admin).await;
    let path = format!("/v1/users/{}", session.user);
    let users = async |bearer: &str| {
        let answer = Ask::new("GET", "/v1/users").bearer(bearer).of(&stage).await;
        (answer.status, answer.code().to_owned())
    };
    assert_eq!(users(&session.bearer).await.0, 200);
    let demoted = as_service(&stage, "PATCH", &path, json!({"role": "viewer"})).await;
    assert_eq!(demoted.status, 200, "{demoted:?}");
    assert_eq!(users(&session.bearer).await, nobody());
    let again = stage.log_in(session.user).await;
    assert_eq!(
        users(&again.bearer).await,
        (403, "role_required".to_owned())
    );
}

#[tokio::test]
async fn deleting_and_making_again_revives_no_token() {
    let stage = Stage::new().await;
    stage.user("root", Role::Admin).await;
    let ann = user(&stage, "ann", Role::Viewer).await;
    let token = logged_in(&stage, "ann").await;
    let gone = as_service(&stage, "DELETE", &format!("/v1/users/{ann}"), Value::Null).await;
    assert!(gone.status < 300, "{gone:?}");
    let again = user(&stage, "ann", Role::Viewer).await;
    assert_ne!(ann, again);
    assert_eq!(is_somebody(&stage, &token).await, nobody());
    let fresh = logged_in(&stage, "ann").await;
    assert_eq!(is_somebody(&stage, &fresh).await, somebody());
    assert_eq!(is_somebody(&stage, &token).await, nobody());
}

#[tokio::test]
async fn logging_out_everywhere_leaves_the_one_who_asks_with_another_session() {
    let stage = Stage::new().await;
    user(&stage, "ann", Role::Viewer).await;
    let (own, other) = (
        logged_in(&stage, "ann").await,
        logged_in(&stage, "ann").await,
    );
    let everywhere = Ask::new("POST", "/v1/auth/logout-everywhere").bearer(&own);
    let begun = everywhere.of(&stage).await;
    assert_eq!(begun.status, 200, "{begun:?}");
    for ended in [&own, &other] {
        assert_eq!(is_somebody(&stage, ended).await, nobody());
    }
    let new = begun.body["token"].as_str().unwrap();
    assert_eq!(is_somebody(&stage, new).await, somebody());
}

#[tokio::test]
async fn a_change_of_the_password_ends_all_sessions_but_goes_on_as_another() {
    let stage = Stage::new().await;
    user(&stage, "ann", Role::Viewer).await;
    let change = async |bearer: &str, body: Value| {
        let ask = Ask::new("POST", "/v1/auth/password").bearer(bearer);
        ask.body(body).of(&stage).await
    };
    let (own, other) = (
        logged_in(&stage, "ann").await,
        logged_in(&stage, "ann").await,
    );
    let new = "another horse battery";
    for (body, status, code) in [
        (json!({"new": new}), 403, "password_wrong"),
        (
            json!({"current": "wrong", "new": new}),
            403,
            "password_wrong",
        ),
        (
            json!({"current": PASSWORD, "new": "short"}),
            400,
            "bad_request",
        ),
    ] {
        let refused = change(&own, body).await;
        assert_eq!(
            (refused.status, refused.code()),
            (status, code),
            "{refused:?}"
        );
    }
    let begun = change(&own, json!({"current": PASSWORD, "new": new})).await;
    assert_eq!(begun.status, 200, "{begun:?}");
    for ended in [&own, &other] {
        assert_eq!(is_somebody(&stage, ended).await, nobody());
    }
    let next = begun.body["token"].as_str().unwrap();
    assert_eq!(is_somebody(&stage, next).await, somebody());
    assert_eq!(login("ann", PASSWORD).of(&stage).await.status, 401);
    assert_eq!(login("ann", new).of(&stage).await.status, 200);
}

#[tokio::test]
async fn a_stolen_session_does_not_guess_the_password() {
    let stage = Stage::new().await;
    user(&stage, "ann", Role::Viewer).await;
    let own = logged_in(&stage, "ann").await;
    let change = async |current: &str| {
        let ask = Ask::new("POST", "/v1/auth/password").bearer(&own);
        let body = json!({"current": current, "new": "another horse battery"});
        ask.body(body).of(&stage).await
    };
    for _ in 0..5 {
        assert_eq!(change("wrong horse battery").await.code(), "password_wrong");
    }
    let limited = change(PASSWORD).await;
    assert_eq!((limited.status, limited.code()), (429, "rate_limited"));
}

#[tokio::test]
async fn a_password_that_was_given_is_changed_before_anything_else() {
    let stage = Stage::new().await;
    let made = json!({"name": "ann", "role": "viewer"});
    let made = as_service(&stage, "POST", "/v1/users", made).await;
    let path = format!("/v1/users/{}/password", made.body["id"].as_str().unwrap());
    let set = as_service(&stage, "POST", &path, json!({"password": PASSWORD})).await;
    assert_eq!(set.status, 204, "{set:?}");
    let begun = login("ann", PASSWORD).of(&stage).await;
    assert_eq!(begun.body["must_change_password"], true, "{begun:?}");
    let token = begun.body["token"].as_str().unwrap();
    let ask = |method, path| Ask::new(method, path).bearer(token);
    let sessions = ask("GET", "/v1/me/sessions").of(&stage).await;
    let refused = (sessions.status, sessions.code());
    assert_eq!(refused, (403, "password_change_required"));
    let body = json!({"current": PASSWORD, "new": "another horse battery"});
    let changed = ask("POST", "/v1/auth/password").body(body).of(&stage).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    assert_eq!(changed.body["must_change_password"], false);
    let token = changed.body["token"].as_str().unwrap();
    let sessions = Ask::new("GET", "/v1/me/sessions")
        .bearer(token)
        .of(&stage)
        .await;
    assert_eq!(sessions.status, 200, "{sessions:?}");
}

#[tokio::test]
async fn who_asks_sees_and_ends_their_own_sessions_alone() {
    let stage = Stage::new().await;
    let ann = user(&stage, "ann", Role::Viewer).await;
    let begun = async || {
        stage.clock.advance(Duration::from_secs(1));
        stage.log_in(ann).await
    };
    let (own, old) = (begun().await, begun().await);
    let bob = stage.session_of(Role::Viewer).await;
    let list = async || {
        let ask = Ask::new("GET", "/v1/me/sessions").bearer(&own.bearer);
        ask.of(&stage).await.body["sessions"].clone()
    };
    let listed = list().await;
    let ids = |listed: &Value| -> Vec<String> {
        let each = listed.as_array().unwrap().iter();
        each.map(|it| it["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&listed), [old.id.to_string(), own.id.to_string()]);
    let expected = json!({
        "id": own.id.to_string(), "current": true, "via": "password", "address": "203.0.113.7",
        "created_at": "2027-01-15T08:00:01Z", "expires_at": "2027-01-15T20:00:01Z",
    });
    assert_eq!(listed[1], expected);
    let end = async |id: String| {
        let path = format!("/v1/me/sessions/{id}");
        let answer = Ask::new("DELETE", &path)
            .bearer(&own.bearer)
            .of(&stage)
            .await;
        (answer.status, answer.code().to_owned())
    };
    for foreign in [bob.id.to_string(), ann.to_string(), "nonsense".to_owned()] {
        let refused = (404, "session_not_found".to_owned());
        assert_eq!(end(foreign.clone()).await, refused, "{foreign}");
    }
    assert_eq!(is_somebody(&stage, &bob.bearer).await, somebody());
    assert_eq!(end(old.id.to_string()).await.0, 204);
    assert_eq!(is_somebody(&stage, &old.bearer).await, nobody());
    assert_eq!(ids(&list().await), [own.id.to_string()]);
    // Those that ended with the epoch are not shown either.
    let third = begun().await;
    let everywhere = Ask::new("POST", "/v1/auth/logout-everywhere").bearer(&third.bearer);
    let begun = everywhere.of(&stage).await;
    let token = begun.body["token"].as_str().unwrap();
    let left = Ask::new("GET", "/v1/me/sessions")
        .bearer(token)
        .of(&stage)
        .await;
    assert_eq!(ids(&left.body["sessions"]).len(), 1, "{left:?}");
    assert_eq!(left.body["sessions"][0]["current"], true);
}

#[tokio::test]
async fn a_reader_who_waits_is_refused_once_the_session_has_ended() {
    let scene = Scene::new().await;
    assert_eq!(scene.apply("k1", &[ssl()]).await.status, 202);
    let stage = &scene.stage;
    let session = stage.session_of(Role::Viewer).await;
    let path = scene.path("/approval-status");
    let waiting = Ask::new("GET", &path).bearer(&session.bearer);
    let mut waiting = Box::pin(waiting.with("prefer", "wait=50").of(stage));
    let admitted = Duration::from_millis(300);
    let early = tokio::time::timeout(admitted, &mut waiting).await;
    assert!(early.is_err(), "{early:?}");
    stage.log_out(&session).await;
    let refused = waiting.await;
    assert_eq!((refused.status, refused.code()), (401, "session_ended"));
}
