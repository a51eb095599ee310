//! One kind of credential for another: none is taken for what it is not.

use super::*;
use crate::testing::AGENT;
use app::token::link::{ApprovalLink, LinkKey};
use ledger::ApprovalId;

#[tokio::test]
async fn no_token_is_taken_for_one_of_another_kind() {
    let stage = Stage::new().await;
    let (issued, capability) = stage.task(AGENT).await;
    let session = stage.session_of(Role::Admin).await;
    let link = ApprovalLink {
        approval_id: ApprovalId::from_bytes([1; 16]),
        task_id: Some(issued.task.id),
    };
    let link = stage.state.app.keys.approval_link.sign(link).unwrap();
    let mint = format!("/v1/tasks/{}/viewer-token", issued.task.id);
    let viewer = as_service(&stage, "POST", &mint, Value::Null).await;
    let kinds = [
        ("viewer", viewer.body["token"].as_str().unwrap().to_owned()),
        ("service", SERVICE_TOKEN.to_owned()),
        ("user", session.bearer.clone()),
        ("cookie", session.cookie.clone()),
        ("task", capability),
        ("bootstrap", stage.bootstrap(|_| ())),
        ("link", link.into_revealed()),
    ];
    for (kind, token) in &kinds {
        // Where any identity is taken, each is taken for what it is.
        let me = stage.send("GET", "/v1/me", token, &Value::Null).await;
        match *kind {
            "cookie" | "link" => assert_eq!(me.status, 401, "{kind}: {me:?}"),
            kind => assert_eq!(me.body["kind"], kind, "{me:?}"),
        }
        // As a browser's cookie nothing is taken but a session's own.
        let browser = Ask::new("GET", "/v1/me").cookie(token).of(&stage).await;
        let expected = if *kind == "cookie" { 200 } else { 401 };
        assert_eq!(browser.status, expected, "{kind}: {browser:?}");
        // For each kind a route that is its own alone, and the others' answer.
        let task = format!("/v1/tasks/{}", issued.task.id);
        let plan = format!("{task}/plan");
        for (owner, method, path, holder) in [
            (
                "task",
                "POST",
                &*plan,
                "the agent of the task, with its own credential,",
            ),
            ("user", "GET", "/v1/me/sessions", "a user who is logged in"),
        ] {
            let answer = stage.send(method, path, token, &Value::Null).await;
            let is_own = owner == *kind;
            let is_other_identity = ["user", "service", "viewer"].contains(kind);
            let place = format!("{kind} at {path}: {answer:?}");
            match (is_own, is_other_identity) {
                (true, _) => assert!(![401, 403].contains(&answer.status), "{place}"),
                (false, true) => {
                    assert_eq!(
                        (answer.status, answer.code()),
                        (403, "wrong_identity"),
                        "{place}"
                    );
                    let detail = answer.body["detail"].as_str().unwrap();
                    assert!(detail.contains(&format!("only {holder} can")), "{place}");
                }
                (false, false) => assert_eq!(answer.status, 401, "{place}"),
            }
        }
    }
}

#[tokio::test]
async fn a_sessions_token_is_signed_for_that_alone() {
    let stage = Stage::new().await;
    let session = stage.session_of(Role::Admin).await;
    let keys = &stage.state.app.keys;
    let pointer = keys.session.open(&session.bearer).unwrap();
    // The secret that signs capability tokens is not the key of sessions.
    let secret = "capability-0123456789-0123456789-0123456789";
    let undiverted = LinkKey::new(secret.as_bytes());
    let forged = undiverted.sign(pointer.clone()).unwrap();
    let answer = is_somebody(&stage, forged.reveal()).await;
    assert_eq!(answer, (401, "unauthorized".to_owned()));
    // A pointer says which session, and nothing more than the ledger says of it.
    let bob = stage.session_of(Role::Viewer).await;
    let other = keys.session.open(&bob.bearer).unwrap();
    let mut altered = vec![pointer.clone(); 4];
    altered[0].sub = other.sub;
    altered[1].sid = other.sid;
    altered[2].epoch += 1;
    altered[3].exp += 1;
    for pointer in altered {
        let signed = keys.session.sign(pointer.clone()).unwrap();
        assert_eq!(
            is_somebody(&stage, signed.reveal()).await,
            nobody(),
            "{pointer:?}"
        );
    }
}

#[tokio::test]
async fn a_user_named_like_an_agent_is_not_the_agent() {
    let stage = Stage::new().await;
    let (issued, _) = stage.task("ann").await;
    user(&stage, "ann", Role::Operator).await;
    let token = logged_in(&stage, "ann").await;
    for rest in ["/plan", "/apply", "/apply/continue", "/token", "/approve"] {
        let path = format!("/v1/tasks/{}{rest}", issued.task.id);
        let answer = Ask::new("POST", &path).bearer(&token).of(&stage).await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "wrong_identity"),
            "{rest}"
        );
    }
}

#[tokio::test]
async fn who_may_read_payloads_is_given_that_apart_from_the_role() {
    let stage = Stage::new().await;
    stage.user("root", Role::Admin).await;
    let events = async |bearer: &str| {
        let answer = Ask::new("GET", "/v1/ledger/events")
            .bearer(bearer)
            .of(&stage)
            .await;
        (answer.status, answer.code().to_owned())
    };
    let admin = stage.session_of(Role::Admin).await;
    assert_eq!(events(&admin.bearer).await, (403, "forbidden".to_owned()));
    let viewer = stage.session_of(Role::Viewer).await;
    let path = format!("/v1/users/{}", viewer.user);
    let given = as_service(&stage, "PATCH", &path, json!({"can_audit": true})).await;
    assert_eq!(given.status, 200, "{given:?}");
    assert_eq!(events(&viewer.bearer).await, (200, String::new()));
    let taken = as_service(&stage, "PATCH", &path, json!({"can_audit": false})).await;
    assert_eq!(taken.status, 200, "{taken:?}");
    assert_eq!(events(&viewer.bearer).await.0, 403);
}

#[tokio::test]
async fn an_operator_opens_tasks_for_an_agent_and_its_client() {
    let stage = Stage::new().await;
    let session = stage.session_of(Role::Operator).await;
    let open = async |change: fn(&mut Value)| {
        let mut body = json!({
            "task_name": "release", "agent": "ci", "subject": "client-a",
            "operations": [{
                "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*",
            }],
        });
        change(&mut body);
        let ask = Ask::new("POST", "/v1/tasks").bearer(&session.bearer);
        ask.body(body).of(&stage).await
    };
    let made = open(|_| ()).await;
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/v1/tasks/{}", made.body["task_id"].as_str().unwrap());
    let token = made.body["capability_token"].as_str().unwrap();
    let task = stage.send("GET", &path, token, &Value::Null).await;
    assert_eq!(task.status, 200, "{task:?}");
    for change in [
        (|body: &mut Value| body["agent"] = Value::Null) as fn(&mut Value),
        |body: &mut Value| body["subject"] = Value::Null,
        |body: &mut Value| body["subject"] = "".into(),
        |body: &mut Value| body["agent"] = "".into(),
    ] {
        assert_eq!(open(change).await.status, 400);
    }
    // An orchestrator's token says both already.
    let body = json!({"task_name": "x", "agent": "ci", "subject": "client-a", "operations": []});
    let bootstrap = stage.bootstrap(|_| ());
    let both = stage.send("POST", "/v1/tasks", &bootstrap, &body).await;
    assert_eq!(both.status, 400, "{both:?}");
}

#[tokio::test]
async fn a_viewer_reads_every_task_and_an_unknown_one_is_none() {
    let stage = Stage::new().await;
    let (issued, _) = stage.task(AGENT).await;
    let session = stage.session_of(Role::Viewer).await;
    let status = async |path: &str| {
        let answer = Ask::new("GET", path)
            .bearer(&session.bearer)
            .of(&stage)
            .await;
        (answer.status, answer.code().to_owned())
    };
    let path = format!("/v1/tasks/{}", issued.task.id);
    assert_eq!(status(&path).await.0, 200);
    assert_eq!(status(&format!("{path}/applies")).await.0, 200);
    let none = format!("{path}/approval-status");
    assert_eq!(status(&none).await, (404, "approval_not_found".to_owned()));
    for unknown in [session.id.to_string(), session.user.to_string()] {
        let unknown = format!("/v1/tasks/{unknown}");
        assert_eq!(status(&unknown).await, (404, "task_not_found".to_owned()));
    }
}

#[tokio::test]
async fn disabled_authentication_makes_an_admin_of_who_shows_nothing() {
    let stage = Stage::with(|config| config.is_open = true).await;
    let me = Ask::new("GET", "/v1/me").of(&stage).await;
    assert_eq!(me.body["name"], "auth-disabled", "{me:?}");
    assert_eq!(me.body["role"], "admin");
    let new = || Ask::new("POST", "/v1/users").body(json!({"name": "ann", "role": "viewer"}));
    assert_eq!(new().of(&stage).await.status, 201);
    // A web page drives nothing, under our name or another.
    for (name, value) in [
        ("sec-fetch-site", "cross-site"),
        ("origin", "https://evil.example"),
        ("host", "evil.example"),
    ] {
        let answer = new().with(name, value).of(&stage).await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "cross_site"),
            "{name}"
        );
    }
    // Who shows something is held to it.
    for token in ["nonsense", ""] {
        let answer = new().bearer(token).of(&stage).await;
        assert_eq!(answer.status, 401, "{token:?}");
    }
    let session = stage.session_of(Role::Viewer).await;
    let refused = new().bearer(&session.bearer).of(&stage).await;
    assert_eq!((refused.status, refused.code()), (403, "role_required"));
    stage.log_out(&session).await;
    let dead = Ask::new("GET", "/v1/me")
        .cookie(&session.cookie)
        .of(&stage)
        .await;
    assert_eq!(dead.status, 401, "{dead:?}");
}

#[tokio::test]
async fn an_operator_takes_grants_away_and_gives_none() {
    let stage = Stage::new().await;
    let path = format!("/v1/agents/{AGENT}/permissions");
    let grant = |scope: &str| {
        json!({
            "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": scope,
            "granted_level": "write",
        })
    };
    let patch = async |bearer: &str, grants: &[&str]| {
        let grants: Vec<Value> = grants.iter().map(|scope| grant(scope)).collect();
        let body = json!({"permissions": grants});
        let answer = Ask::new("PATCH", &path)
            .bearer(bearer)
            .body(body)
            .of(&stage)
            .await;
        (answer.status, answer.code().to_owned())
    };
    let refusal = |code: &str| (403, code.to_owned());
    let given = patch(SERVICE_TOKEN, &["z1", "z2"]).await;
    assert_eq!(given.0, 200, "{given:?}");
    let viewer = stage.session_of(Role::Viewer).await.bearer;
    assert_eq!(patch(&viewer, &[]).await, refusal("role_required"));
    let operator = stage.session_of(Role::Operator).await.bearer;
    assert_eq!(
        patch(&operator, &["z1", "z3"]).await,
        refusal("role_required")
    );
    assert_eq!(patch(&operator, &["z1"]).await.0, 200);
    assert_eq!(
        patch(&operator, &["z1", "z2"]).await,
        refusal("role_required")
    );
    let admin = stage.session_of(Role::Admin).await.bearer;
    assert_eq!(patch(&admin, &["z2"]).await, refusal("step_up_required"));
    assert_eq!(patch(&admin, &[]).await.0, 200);
}
