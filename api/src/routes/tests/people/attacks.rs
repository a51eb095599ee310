//! What somebody tries who holds a session, a viewer token or a page of another site.

use super::*;
use crate::testing::AGENT;

/// A stage with an admin and a viewer who are logged in.
async fn two() -> (
    Stage,
    crate::testing::OpenedSession,
    crate::testing::OpenedSession,
) {
    let stage = Stage::new().await;
    let admin = stage.session_of(Role::Admin).await;
    let viewer = stage.session_of(Role::Viewer).await;
    (stage, admin, viewer)
}

fn told(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.code())
}

#[tokio::test]
async fn of_two_credentials_neither_lends_to_the_other() {
    let (stage, admin, viewer) = two().await;
    let (task, capability) = stage.task(AGENT).await;
    let users = || Ask::new("GET", "/v1/users").cookie(&admin.cookie);
    assert_eq!(users().of(&stage).await.status, 200);
    let by_both = users().bearer(&viewer.bearer).of(&stage).await;
    assert_eq!(told(&by_both), (403, "role_required"));
    for (authorization, expected) in [
        ("Bearer nonsense".to_owned(), 401),
        ("Bearer ".to_owned(), 401),
        (String::new(), 401),
        ("Basic YWRtaW46cGFzc3dvcmQ=".to_owned(), 401),
        (format!("Bearer {}", admin.cookie), 401),
        (format!("Bearer {capability}"), 401),
    ] {
        let answer = users()
            .with("authorization", &authorization)
            .of(&stage)
            .await;
        assert_eq!(answer.status, expected, "{authorization}: {answer:?}");
        // Whoever adds a header to a request does not log its browser out by that.
        assert!(
            !answer.headers.contains_key("set-cookie"),
            "{authorization}"
        );
    }
    // Nor is one taken from a place where it does not belong.
    let path = format!("/v1/tasks/{}", task.task.id);
    for query in ["token", "access_token", "authorization"] {
        let asked = format!("{path}?{query}={}", admin.bearer);
        let answer = Ask::new("GET", &asked).of(&stage).await;
        assert!([400, 401].contains(&answer.status), "{query}: {answer:?}");
    }
    let two = Ask::new("GET", "/v1/users").bearer(&admin.bearer);
    let mut two = two;
    two.headers
        .push(("authorization", format!("Bearer {}", viewer.bearer)));
    assert_eq!(two.of(&stage).await.status, 401);
}

#[tokio::test]
async fn two_cookies_are_none_and_a_cookie_that_somebody_adds_makes_nobody_somebody_else() {
    let (stage, admin, viewer) = two().await;
    let (own, other) = (&viewer.cookie, &admin.cookie);
    for cookies in [
        format!("__Host-lpp={own}; __Host-lpp={other}"),
        format!("__Host-lpp={other}; __Host-lpp={own}"),
        format!("__Host-lpp={own}; __Host-lpp={own}"),
        format!("__Host-lpp={own}; __Host-lpp="),
    ] {
        let ask = Ask::new("GET", "/v1/me").with("cookie", &cookies);
        assert_eq!(ask.of(&stage).await.status, 401, "{cookies}");
    }
    // Names that only look like it are others'.
    for prefix in ["__host-lpp", "lpp", "__Secure-lpp", "__Host-lpp2"] {
        let cookies = format!("{prefix}={other}; __Host-lpp={own}");
        let me = Ask::new("GET", "/v1/me").with("cookie", &cookies);
        let me = me.of(&stage).await;
        assert_eq!(me.body["id"], viewer.user.to_string(), "{cookies}");
    }
}

#[tokio::test]
async fn a_cookie_counts_for_no_other_name_of_this_machine() {
    let (stage, admin, _) = two().await;
    for host in [
        "evil.example",
        "localhost",
        "127.0.0.1:8080",
        "localhost:8080.evil.example",
        "",
    ] {
        for path in ["/v1/me", "/v1/users", "/v1/stream"] {
            let ask = Ask::new("GET", path).cookie(&admin.cookie);
            let answer = ask.with("host", host).of(&stage).await;
            assert_eq!(told(&answer), (403, "cross_site"), "{host} {path}");
        }
    }
    let mut twice = Ask::new("GET", "/v1/me").cookie(&admin.cookie);
    twice.headers.push(("host", "evil.example".to_owned()));
    assert_eq!(twice.of(&stage).await.status, 403);
}

#[tokio::test]
async fn a_viewer_token_is_nothing_but_that() {
    let stage = Stage::new().await;
    let (task, _) = stage.task(AGENT).await;
    let task = task.task.id;
    let operator = stage.session_of(Role::Operator).await;
    let mint = format!("/v1/tasks/{task}/viewer-token");
    let minted = Ask::new("POST", &mint)
        .bearer(&operator.bearer)
        .of(&stage)
        .await;
    assert_eq!(minted.status, 201, "{minted:?}");
    let token = minted.body["token"].as_str().unwrap();
    let path = format!("/v1/tasks/{task}");
    assert_eq!(
        Ask::new("GET", &path).bearer(token).of(&stage).await.status,
        200
    );
    // It makes no other one, and outlives nobody by one.
    let again = Ask::new("POST", &mint).bearer(token).of(&stage).await;
    assert_eq!(told(&again), (403, "wrong_identity"));
    assert_eq!(
        Ask::new("GET", &path).cookie(token).of(&stage).await.status,
        401
    );
    for other in [
        "/v1/me/sessions",
        "/v1/tasks",
        "/v1/approvals",
        "/v1/approvers",
        "/v1/users",
    ] {
        let answer = Ask::new("GET", other).bearer(token).of(&stage).await;
        assert_eq!(told(&answer), (403, "wrong_identity"), "{other}");
    }
    for topic in [
        "agent:ci",
        "user:1",
        "task:00000000-0000-0000-0000-000000000000",
    ] {
        let other = format!("/v1/timeline?topic={topic}");
        let answer = Ask::new("GET", &other).bearer(token).of(&stage).await;
        assert!([400, 403].contains(&answer.status), "{topic}: {answer:?}");
    }
    // A part of it, or another part for it, is none.
    let parts: Vec<&str> = token.split('.').collect();
    for forged in [
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], parts[2], parts[1]),
        format!("{token}x"),
        token[..token.len() - 2].to_owned(),
    ] {
        let answer = Ask::new("GET", &path).bearer(&forged).of(&stage).await;
        assert_eq!(answer.status, 401, "{forged}");
    }
}

/// A request that was under way while its user's sessions were ended comes back when the browser has the
/// cookie of the session that goes on: it must not take that one from it.
#[tokio::test]
async fn an_answer_that_comes_late_does_not_log_a_browser_out() {
    let stage = Stage::new().await;
    let session = stage.session_of(Role::Viewer).await;
    let everywhere = Ask::new("POST", "/v1/auth/logout-everywhere").cookie(&session.cookie);
    let goes_on = everywhere.of(&stage).await;
    assert_eq!(goes_on.status, 200, "{goes_on:?}");
    let late = Ask::new("GET", "/v1/me")
        .cookie(&session.cookie)
        .of(&stage)
        .await;
    assert_eq!(told(&late), (401, "session_ended"));
    assert!(!late.headers.contains_key("set-cookie"), "{late:?}");
    let next = Ask::new("GET", "/v1/me")
        .cookie(&cookie_of(&goes_on))
        .of(&stage)
        .await;
    assert_eq!(next.status, 200);
    // One that does not go on is forgotten.
    let session = stage.session_of(Role::Viewer).await;
    stage.log_out(&session).await;
    let dead = Ask::new("GET", "/v1/me")
        .cookie(&session.cookie)
        .of(&stage)
        .await;
    assert!(dead.headers.contains_key("set-cookie"), "{dead:?}");
}
