//! The views around the inbox: what they show, to whom, and that nothing in them acts.

use super::{HOSTILE, Page, Scene};
use crate::routes::tests::{dns, ssl};
use crate::testing::{AGENT, Answer, OpenedSession, SERVICE_TOKEN, Stage};
use app::pairing;
use axum::body::Body;
use fixtures::approver::SoftApprover;
use fixtures::commands::agent_with_key;
use fixtures::sandbox::until;
use http::Request;
use ledger::aggregate::{AdmissionKind, Approval};
use ledger::command::{
    AgentChanges, CloseTask, CreateAgent, CreateKey, EndAttempt, ForwardWrite, OpenAssetUpload,
    OpenUserEnrolment, PutSchedule, RecordUsage, ReplacePermissions, Ruling, SetAdmission,
    StartAttempt, UsageSum,
};
use ledger::event::{
    AttemptOutcome, CallCredential, ClientTarget, KeyOrigin, UploadTokenDigest, UpstreamKeyOwner,
    UsageCounts,
};
use ledger::operation::{
    AlsoAllowed, ForwardedRequest, MatchedWrite, Method, Operation, Scope, ScopeId, UploadOf,
    UploadedFile,
};
use ledger::policy::Edge;
use ledger::{
    AgentKeyHash, AgentName, ApprovalId, ApproverName, Binding, Breadth, Choice, Decision,
    KeptMode, Level, OperationId, Origin, Retention, Risk, Role, ScopeType, UpstreamName,
};
use serde_json::{Value, json};
use std::time::Duration;
use tower::ServiceExt as _;

async fn seen(stage: &Stage, path: &str, by: &OpenedSession) -> Page {
    let page = stage.view(path, Some(by)).await;
    page.is_harmless();
    page
}

#[tokio::test]
async fn a_task_is_found_with_how_far_it_is_and_what_happened() {
    let scene = Scene::granted().await;
    let reader = scene.stage.session_of(Role::Viewer).await;
    scene
        .apply("k1", &[dns("a.example.com"), dns("b.example.com")])
        .await;
    let waiting = scene.apply("k2", &[ssl()]).await;
    let id = scene.task.task.id.to_string();
    let list = seen(&scene.stage, "/tasks", &reader).await;
    let link = format!("href=\"./tasks/{id}\"");
    assert!(list.html.contains(&link), "{}", list.html);
    assert!(
        list.html
            .contains(">requires approval</strong><span>0 of 1 done</span>")
    );
    let none = seen(&scene.stage, "/tasks?state=denied", &reader).await;
    assert!(!none.html.contains(&link) && none.html.contains("No tasks are here."));
    let task = seen(&scene.stage, &format!("/tasks/{id}"), &reader).await;
    let question = waiting.body["approval_id"].as_str().unwrap();
    for part in [
        &*format!("href=\"../requests/{question}\""),
        "href=\"../ledger\"",
        "src=\"../assets/",
        "dns.record.write on zone z1",
        "<span class=\"end good\">succeeded</span>",
        "approval.requested",
    ] {
        assert!(task.html.contains(part), "{part}: {}", task.html);
    }
}

#[tokio::test]
async fn lists_of_views_go_on_where_their_page_ends() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    let reader = stage.session_of(Role::Operator).await;
    for number in 0..4 {
        stage.task(&format!("agent {number}/..?")).await;
    }
    let id = scene.task.task.id;
    for (path, kept) in [
        ("/tasks?limit=2", "tasks?after="),
        ("/tasks?limit=2&state=open", "tasks?state=open&#38;after="),
        ("/agents?limit=2", "agents?after="),
        ("/ledger?limit=2", "ledger?after="),
        (&*format!("/tasks/{id}?limit=1"), &*format!("{id}?after=")),
    ] {
        let page = seen(stage, path, &reader).await;
        let (_, rest) = page
            .html
            .split_once("<p class=\"more\"><a href=\"")
            .expect(path);
        let (address, _) = rest.split_once('"').unwrap();
        assert!(address.starts_with(kept), "{path}: {address}");
        let folder = path.rsplit_once('/').unwrap().0;
        let next = format!("{folder}/{}", address.replace("&#38;", "&"));
        seen(stage, &next, &reader).await;
    }
}

#[tokio::test]
async fn the_ledger_marks_what_is_signed_and_nothing_that_nobody_checked() {
    let scene = Scene::new().await;
    let ledger = &scene.stage.state.app.ledger;
    let reader = scene.stage.session_of(Role::Viewer).await;
    let size = *ledger.size().borrow();
    let checkpoints = ledger.checkpoints().unwrap();
    checkpoints
        .covering(size - 1, crate::testing::PATIENCE)
        .await
        .unwrap();
    let page = seen(&scene.stage, "/ledger", &reader).await;
    assert_eq!(page.html.matches("<li id=\"e-").count() as u64, size);
    assert_eq!(
        page.html.matches("class=\"mark signed\"").count() as u64,
        size
    );
    for mark in ["mark witnessed", "mark checked"] {
        assert!(!page.html.contains(mark), "{mark}");
    }
    let unsigned = Stage::unsigned().await;
    let reader = unsigned.session_of(Role::Viewer).await;
    let page = seen(&unsigned, "/ledger", &reader).await;
    assert!(!page.html.contains("mark signed"));
    assert!(page.html.contains("no key for checkpoints"));
}

#[tokio::test]
async fn an_agent_is_shown_with_its_grants_its_keys_and_its_record() {
    let scene = Scene::granted().await;
    let stage = &scene.stage;
    let operator = stage.session_of(Role::Operator).await;
    scene.apply("k1", &[ssl()]).await;
    scene.decide(Decision::Deny, Some("no")).await;
    let keys = format!("/v1/agents/{AGENT}/keys");
    let made = stage.send("POST", &keys, SERVICE_TOKEN, &Value::Null).await;
    assert_eq!(made.status, 201, "{made:?}");
    let list = seen(stage, "/agents", &operator).await;
    assert!(list.html.contains(&format!("href=\"./agents/{AGENT}\"")));
    let agent = seen(stage, &format!("/agents/{AGENT}"), &operator).await;
    for part in [
        "dns.record.write on any zone",
        "up to <strong>write</strong>, for good",
        "Asked 1: 0 approved, 1 denied, 0 not decided, 0 open.",
        made.body["id"].as_str().unwrap(),
        "in force</span>",
        "never used",
        &*format!("../tasks?agent={AGENT}"),
    ] {
        assert!(agent.html.contains(part), "{part}: {}", agent.html);
    }
    assert!(!agent.html.contains(made.body["key"].as_str().unwrap()));
    let nobody = stage.view("/agents/nobody", Some(&operator)).await;
    assert_eq!(nobody.status, 404);
}

#[tokio::test]
async fn an_operator_locks_an_agent_from_its_view_which_says_that_it_is_locked() {
    let scene = Scene::granted().await;
    let stage = &scene.stage;
    let path = format!("/agents/{AGENT}");
    let operator = stage.session_of(Role::Operator).await;
    let page = seen(stage, &path, &operator).await;
    assert!(
        page.html
            .contains("id=\"lock\" data-method=\"POST\" data-path=\"locks\"")
    );
    assert!(!page.html.contains("id=\"locked\""));
    let lock = json!({"target": {"kind": "agent", "id": AGENT}, "reason": "drill"});
    let set = stage.send("POST", "/v1/locks", SERVICE_TOKEN, &lock).await;
    assert_eq!(set.status, 201, "{set:?}");
    let page = seen(stage, &path, &operator).await;
    assert!(page.html.contains("A lock on the agent stands since"));
}

#[tokio::test]
async fn a_grant_says_how_often_it_was_used_and_when() {
    let scene = Scene::granted().await;
    let stage = &scene.stage;
    let operator = stage.session_of(Role::Operator).await;
    let path = format!("/agents/{AGENT}");
    assert!(
        seen(stage, &path, &operator)
            .await
            .html
            .contains("not used")
    );
    for key in ["k1", "k2"] {
        scene.apply(key, &[dns("a.example.com")]).await;
    }
    // What a person approves uses no grant.
    scene.apply("k3", &[dns("b.example.com"), ssl()]).await;
    scene.decide(Decision::Approve, None).await;
    stage.clock.advance(Duration::from_secs(120));
    let page = seen(stage, &path, &operator).await;
    assert!(page.html.contains("used 2 times, "), "{}", page.html);
    assert!(page.html.contains("2 min ago"));
}

#[tokio::test]
async fn what_was_approved_each_time_is_suggested_as_a_grant() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    let operator = stage.session_of(Role::Operator).await;
    let path = format!("/agents/{AGENT}");
    let suggested = async || {
        let page = seen(stage, &path, &operator).await;
        page.html.contains("id=\"suggestions\"")
    };
    let approver = SoftApprover::new("default");
    let ledger = &stage.state.app.ledger;
    let origin = || Origin::system("test");
    ledger
        .execute(origin(), approver.registration())
        .await
        .unwrap();
    let decide = async |decision| {
        let approval = scene.approval().await;
        let command = approver.decide(ledger, &approval, decision, None);
        let ruling = ledger.execute(origin(), command).await.unwrap();
        ruling.accepted().unwrap();
    };
    for number in 0..5 {
        assert!(!suggested().await, "after {number}");
        let (name, key) = (format!("n{number}"), format!("k{number}"));
        // What is sensitive is asked for each time, granted or not.
        scene.apply(&key, &[dns(&name), ssl()]).await;
        decide(Decision::Approve).await;
    }
    let page = seen(stage, &path, &operator).await;
    let (_, list) = page.html.split_once("id=\"suggestions\"").unwrap();
    let (list, _) = list.split_once("</ul>").unwrap();
    assert!(list.contains("approved 5 of 5 times"), "{list}");
    assert!(list.contains("dns.record.write on zone"), "{list}");
    assert!(!list.contains("ssl.mode.write"), "{list}");
    // Giving is for administrators; the page says to them what would be given.
    assert!(
        !list.contains("<button") && list.contains("grant it?"),
        "{list}"
    );
    let admin = stage.session_of(Role::Admin).await;
    let page = seen(stage, &path, &admin).await;
    let (_, list) = page.html.split_once("id=\"suggestions\"").unwrap();
    let added = "&quot;granted_level&quot;:&quot;write&quot;";
    let shown = list.contains("<button") && list.contains(added);
    assert!(
        shown || list.contains("&#34;granted_level&#34;:&#34;write&#34;"),
        "{list}"
    );
    assert!(list.contains("without asking anybody"), "{list}");
    scene.apply("no", &[dns("no")]).await;
    decide(Decision::Deny).await;
    assert!(!suggested().await, "it was denied once");
}

#[tokio::test]
async fn the_system_says_how_far_its_read_tables_are() {
    let scene = Scene::new().await;
    let operator = scene.stage.session_of(Role::Operator).await;
    let views = scene
        .stage
        .state
        .app
        .current_views(&projections::Projection::ALL);
    views.await.unwrap();
    let page = seen(&scene.stage, "/system", &operator).await;
    assert_eq!(
        page.html
            .matches("<span class=\"end good\">follows</span>")
            .count(),
        5
    );
    assert!(page.html.contains("<td data-name=\"behind\">0</td>"));
    assert!(page.html.contains("<strong>Ready</strong>"));
    assert!(page.html.contains("No witness has cosigned a checkpoint"));
    let signed = page.html.split("<dt>Signed</dt><dd>").nth(1).unwrap();
    assert!(!signed.starts_with("0 of"), "{signed}");
    assert!(page.html.contains("data-path=\"projections/rebuild\""));
}

#[tokio::test]
async fn an_operator_has_the_read_tables_made_anew() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    let rebuild = async |session: &OpenedSession| {
        let path = "/v1/projections/rebuild";
        stage
            .send("POST", path, &session.bearer, &Value::Null)
            .await
    };
    let viewer = stage.session_of(Role::Viewer).await;
    let refused = rebuild(&viewer).await;
    assert_eq!((refused.status, refused.code()), (403, "role_required"));
    assert_eq!(stage.state.app.projections.rebuilding(), None);
    let operator = stage.session_of(Role::Operator).await;
    let begun = rebuild(&operator).await;
    assert_eq!((begun.status, &begun.body["begun"]), (202, &json!(true)));
    until("its end", async || {
        stage
            .state
            .app
            .projections
            .rebuilding()
            .is_none()
            .then_some(())
    })
    .await;
    assert_eq!(rebuild(&operator).await.body["begun"], true);
}

#[tokio::test]
async fn approvers_are_shown_with_what_decides_and_only_admins_invite() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    let viewer = stage.session_of(Role::Viewer).await;
    let admin = stage.session_of(Role::Admin).await;
    stage.link_default(viewer.user).await;
    let user = stage.user("anna", Role::Viewer).await.id;
    let invite = OpenUserEnrolment { user_id: user };
    let ledger = &stage.state.app.ledger;
    ledger
        .execute(Origin::system("test"), invite)
        .await
        .unwrap();
    let of_admin = seen(stage, "/approvers", &admin).await;
    let of_viewer = seen(stage, "/approvers", &viewer).await;
    for page in [&of_admin, &of_viewer] {
        assert!(
            page.html.contains("<p>one passkey · of user "),
            "{}",
            page.html
        );
        assert!(page.html.contains("no passkey: decides nothing"));
    }
    let button = "data-path=\"approvers/default/enrolment\"";
    assert!(of_admin.html.contains(button), "{}", of_admin.html);
    assert_eq!(
        of_admin.html.matches("class=\"plain small act\"").count(),
        1
    );
    assert!(!of_viewer.html.contains("<button"));
}

#[tokio::test]
async fn users_are_shown_with_what_they_log_in_by() {
    let scene = Scene::new().await;
    let stage = &scene.stage;
    let admin = stage.session_of(Role::Admin).await;
    let anna = stage.user("anna", Role::Operator).await.id;
    let users = seen(stage, "/users", &admin).await;
    for part in [
        "<p>operator</p>",
        "no passkey, a password",
        &*format!("title=\"{anna}\""),
        &*format!("data-path=\"users/{anna}/enrolment\""),
    ] {
        assert!(users.html.contains(part), "{part}: {}", users.html);
    }
    let first = seen(stage, "/users?limit=1", &admin).await;
    let (_, address) = first
        .html
        .split_once("<p class=\"more\"><a href=\"")
        .unwrap();
    let (address, _) = address.split_once('"').unwrap();
    let second = seen(stage, &format!("/{address}"), &admin).await;
    // Users of one moment stand in either order.
    let has_anna = |page: &Page| page.html.contains(&*format!("title=\"{anna}\""));
    assert_ne!(has_anna(&first), has_anna(&second));
}

#[tokio::test]
async fn callbacks_that_were_given_up_are_shown_and_operators_have_them_sent_again() {
    let scene = Scene::granted().await;
    let stage = &scene.stage;
    let viewer = stage.session_of(Role::Viewer).await;
    let operator = stage.session_of(Role::Operator).await;
    let callback = json!({"url": "https://localhost:9/hook", "secret": "s"});
    let body = json!({"operations": [dns("a.example.com")], "callback": callback});
    scene.keyed("/apply", "k1", &body).await;
    let owed = scene.get("/deliveries").await;
    let id = owed.body["deliveries"][0]["delivery_id"].as_str().unwrap();
    let delivery_id = id.parse().unwrap();
    let ledger = &stage.state.app.ledger;
    let system = || Origin::system("test");
    let started = ledger.execute(system(), StartAttempt { delivery_id }).await;
    let ended = EndAttempt {
        delivery_id,
        attempt: started.unwrap().attempt,
        outcome: AttemptOutcome::Failed {
            http_status: Some(410),
            code: "http_status".to_owned(),
            message: HOSTILE.to_owned(),
        },
        retry_at: ledger.now(),
        duration: Duration::ZERO,
    };
    ledger.execute(system(), ended).await.unwrap();
    let button = format!("data-path=\"callbacks/{id}/retry\"");
    for (session, acts) in [(&viewer, false), (&operator, true)] {
        let page = seen(stage, "/callbacks", session).await;
        for part in [
            "1 given up, ",
            "apply.finished",
            "the last answer was 410",
            "onerror",
        ] {
            assert!(page.html.contains(part), "{part}: {}", page.html);
        }
        assert_eq!(page.html.contains(&button), acts);
    }
}

#[tokio::test]
async fn a_view_that_is_not_for_a_role_says_so_and_no_link_leads_there() {
    let scene = Scene::new().await;
    for (role, hidden) in [
        (
            Role::Viewer,
            &["agents", "blocks", "schedules", "policy", "system", "users"][..],
        ),
        (Role::Operator, &["users"]),
        (Role::Admin, &[]),
    ] {
        let session = scene.stage.session_of(role).await;
        let inbox = seen(&scene.stage, "/inbox", &session).await;
        for path in [
            "agents",
            "blocks",
            "schedules",
            "policy",
            "system",
            "users",
            "approvers",
            "callbacks",
            "clearances",
            "history",
        ] {
            let is_hidden = hidden.contains(&path);
            let link = format!("href=\"./{path}\"");
            assert_eq!(inbox.html.contains(&link), !is_hidden, "{path}");
            let page = scene.stage.view(&format!("/{path}"), Some(&session)).await;
            let expected = if is_hidden { 403 } else { 200 };
            assert_eq!(page.status, expected, "{path} as {role:?}");
            assert_eq!(page.html.contains("not for your role"), is_hidden);
        }
    }
}

#[tokio::test]
async fn a_pairing_says_where_it_was_asked_and_what_a_key_would_open() {
    let stage = Stage::new().await;
    let (app, address) = (&stage.state.app, "203.0.113.7".parse().unwrap());
    let operator = stage.session_of(Role::Operator).await;
    let viewer = stage.session_of(Role::Viewer).await;
    let begun = pairing::begin(&app.pairings, &app.ledger, HOSTILE, address).unwrap();
    let code = begun.code.reveal();
    let path = format!("/pairing/{code}");
    let page = seen(&stage, &path.to_lowercase(), &operator).await;
    for told in [
        "A machine at <strong>203.0.113.7</strong> says that it is the agent",
        "There is no agent of that name yet",
        &format!("data-method=\"POST\" data-path=\"pairing/{code}/confirm\""),
        &format!("data-method=\"DELETE\" data-path=\"pairing/{code}\""),
        "onerror=alert(1)",
        "10 min left",
    ] {
        assert!(page.html.contains(told), "{told}: {}", page.html);
    }
    assert_eq!(stage.view(&path, Some(&viewer)).await.status, 403);
    let stranger = stage.view(&path, None).await;
    assert_eq!(stranger.status, 303);
    let back = format!("../#pairing/{code}");
    assert_eq!(stranger.headers["location"], back);
    let confirm = format!("/v1/pairing/{code}/confirm");
    let given = stage
        .send("POST", &confirm, &operator.bearer, &json!({}))
        .await;
    assert_eq!(given.status, 200, "{given:?}");
    let over = seen(&stage, &path, &operator).await;
    assert!(over.html.contains("It was given a key."), "{}", over.html);
    let wrong = seen(&stage, "/pairing/22222222", &operator).await;
    assert!(wrong.html.contains("No machine waits with that code"));
    assert!(!wrong.html.contains("data-method"), "{}", wrong.html);
}

/// Calls of an agent have used some.
async fn use_tokens(stage: &Stage, agent: &AgentName, model: &str) {
    let ledger = &stage.state.app.ledger;
    let agent = ledger.agent(agent).await.unwrap().unwrap().id;
    let used = UsageSum {
        owner: UpstreamKeyOwner::Agent(agent),
        task_id: None,
        model: model.to_owned(),
        from: ledger.now(),
        to: ledger.now(),
        counts: UsageCounts {
            requests: 12,
            interrupted: 1,
            input_tokens: 1000,
            output_tokens: 900,
            cache_creation_1h: 234,
            cache_read: 2000,
            ..UsageCounts::default()
        },
    };
    let record = RecordUsage { used: vec![used] };
    ledger
        .execute(Origin::system("test"), record)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_page_of_an_agent_says_what_its_calls_used() {
    let scene = Scene::granted().await;
    let reader = scene.stage.session_of(Role::Operator).await;
    let path = format!("/agents/{AGENT}");
    let page = seen(&scene.stage, &path, &reader).await;
    assert!(!page.html.contains("Used by its calls"));
    let agent = AgentName::unchecked(AGENT);
    for model in ["claude-opus", "claude-opus", ""] {
        use_tokens(&scene.stage, &agent, model).await;
    }
    let page = seen(&scene.stage, &path, &reader).await;
    for part in [
        "claude-opus</bdi></strong>: 24 requests (2 cut short), 6,468 tokens in (4,000 of them read from the cache), 1,800 out",
        "model not named",
    ] {
        assert!(page.html.contains(part), "{part}: {}", page.html);
    }
    // What was used more than thirty days ago is not told.
    scene.stage.clock.advance(Duration::from_secs(32 * 86_400));
    let page = seen(
        &scene.stage,
        &path,
        &scene.stage.session_of(Role::Operator).await,
    )
    .await;
    assert!(!page.html.contains("24 requests"));
}

fn hostile_record() -> Operation {
    let content = format!("\"{HOSTILE}\"");
    let params = json!({"type": "TXT", "name": "b.example.com", "content": content});
    let record = providers::all().parse("dns.record.write", "zone", "z1", &params);
    record.unwrap()
}

/// A question about a write that came through a proxy, with hostile text in each place that a client or a route
/// writes.
async fn held_write(stage: &Stage, agent: &AgentName) -> ApprovalId {
    let ledger = &stage.state.app.ledger;
    let create = CreateKey {
        agent: agent.clone(),
        hash: AgentKeyHash::of("cak_held"),
        how: KeyOrigin::Created,
    };
    let key = ledger
        .execute(Origin::system("test"), create)
        .await
        .unwrap();
    let name = HOSTILE.replace('"', "%22");
    let body = format!(
        "--x\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\r\n{HOSTILE}\r\n--x--\r\n"
    );
    let content_type = "multipart/form-data; boundary=x".to_owned();
    let headers = [
        ("content-type".to_owned(), content_type),
        ("x-tenant".to_owned(), HOSTILE.replace('\u{202e}', "")),
    ];
    let uploads = vec![UploadedFile {
        path: HOSTILE.to_owned(),
        hash: "0a".to_owned(),
        bytes: 1,
        sha256: None,
    }];
    let token = UploadTokenDigest::from_bytes([7; 32]);
    let manifest = UploadedFile::manifest(&uploads).unwrap();
    let upload = OpenAssetUpload {
        agent_id: key.agent_id,
        credential: CallCredential::AgentKey(key.id),
        task_id: None,
        account: ScopeId::parse("a1").unwrap(),
        script: "s".to_owned(),
        manifest,
        files: 1,
        token,
        expires_at: ledger.now().plus(Duration::from_secs(60)),
        is_complete: true,
    };
    let upload = ledger.execute(Origin::system("gateway"), upload).await;
    upload.unwrap();
    let request = ForwardedRequest {
        upstream: UpstreamName::cloudflare(),
        title: Some(HOSTILE.to_owned()),
        level: Level::Write,
        risk: Risk::Sensitive,
        method: Method::Put,
        base_url: Some("https://api.cloudflare.com/client/v4".to_owned()),
        target: format!("/accounts/a1/workers/scripts/s?{HOSTILE}"),
        headers: headers.into(),
        body: body.into_bytes(),
        secrets: Vec::new(),
        uploads,
        upload: Some(UploadOf {
            place: "/metadata/assets/jwt".to_owned(),
            script: "s".to_owned(),
            manifest,
        }),
        also_allowed: vec![AlsoAllowed {
            name: HOSTILE.to_owned(),
            text: HOSTILE.to_owned(),
        }],
        follows: None,
    };
    let scope = Scope {
        scope_type: ScopeType::of("account"),
        id: ScopeId::parse("a1").unwrap(),
    };
    let id = OperationId::of("workers.deploy.write");
    let write = ForwardWrite {
        by: ledger::command::WriteBy::Key(key.id),
        agent_id: key.agent_id,
        write: MatchedWrite::of(providers::all().forward(id, scope, request).unwrap()).unwrap(),
        told: None,
        upload: Some(token),
        edge: Edge::default(),
    };
    let asked = ledger.execute(agent_with_key(&key), write).await.unwrap();
    asked.accepted().unwrap().approval.unwrap().id
}

#[tokio::test]
async fn nothing_that_anybody_wrote_acts_in_any_view() {
    let stage = Stage::new().await;
    let ledger = &stage.state.app.ledger;
    let admin = stage.session_of(Role::Admin).await;
    let system = || Origin::system(HOSTILE);
    let agent = AgentName::unchecked(HOSTILE);
    let create = CreateAgent {
        agent: agent.clone(),
        described: AgentChanges {
            organization: Some(Some(HOSTILE.to_owned())),
            site: Some(Some(HOSTILE.to_owned())),
            tags: Some(vec![HOSTILE.to_owned()]),
            ..AgentChanges::default()
        },
    };
    ledger.execute(system(), create).await.unwrap();
    let approver = SoftApprover::new(&ApproverName::unchecked(HOSTILE)).registration();
    ledger.execute(system(), approver).await.unwrap();
    let replace = ReplacePermissions {
        agent: agent.clone(),
        grants: Vec::new(),
        instead_of: None,
        reason: Some(HOSTILE.to_owned()),
    };
    ledger.execute(system(), replace).await.unwrap();
    let (issued, token) = stage.task(HOSTILE).await;
    let path = format!("/v1/tasks/{}/apply", issued.task.id);
    let operation = json!({
        "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "z1",
        "params": {"type": "TXT", "name": "a.example.com", "content": format!("\"{HOSTILE}\""), "ttl": 60},
    });
    let mut kept = operation.clone();
    kept["params"]["ttl"] = json!(120);
    let mut questions = Vec::new();
    for (key, operation) in [("key-1", operation), ("key-2", kept)] {
        let headers = [("idempotency-key", key)];
        let body = json!({"operations": [operation]});
        let asked = stage
            .send_with("POST", &path, &token, &headers, &body)
            .await;
        assert_eq!(asked.status, 202, "{asked:?}");
        let id = asked.body["approval_id"].as_str().unwrap();
        questions.push(id.parse::<ApprovalId>().unwrap());
    }
    let keeper = SoftApprover::new(&ApproverName::unchecked("default"));
    let registration = keeper.registration();
    ledger.execute(system(), registration).await.unwrap();
    let question = ledger.load::<Approval>(questions[1]).await.unwrap();
    let choice = Choice {
        retention: Some(Retention {
            mode: KeptMode::Cache,
            breadth: Breadth::Exact,
            binding: Binding::Agent,
            until: Some(ledger.now().plus(Duration::from_secs(3600))),
        }),
        ..Choice::default()
    };
    let question = question.unwrap();
    let denial = keeper.choose(ledger, &question, Decision::Deny, Some(HOSTILE), choice);
    let denied = ledger.execute(system(), denial).await.unwrap();
    assert!(matches!(denied, Ruling::Accepted(_)), "{denied:?}");
    let held = held_write(&stage, &agent).await;
    use_tokens(&stage, &agent, HOSTILE).await;
    let blocked = ledger.agent(&agent).await.unwrap().unwrap().id;
    for (kind, target) in [
        (AdmissionKind::Block, ClientTarget::Agent(blocked)),
        (AdmissionKind::Allow, ClientTarget::Asn(64496)),
    ] {
        let set = SetAdmission {
            kind,
            target,
            reason: Some(HOSTILE.to_owned()),
            duration: None,
        };
        ledger.execute(system(), set).await.unwrap();
    }
    let schedule = PutSchedule {
        agent: agent.clone(),
        ..fixtures::commands::put_schedule("nightly", vec![hostile_record()])
    };
    ledger.execute(system(), schedule).await.unwrap();
    let policy = json!({
        "engine": "lpp-cel/1",
        "rule": [{
            "id": "none", "priority": 1, "action": "deny", "operations": ["ssl.mode.write"],
            "when": "params.value == \"off\"", "reason": HOSTILE,
        }],
    });
    let saved = Request::builder()
        .method("PUT")
        .uri("/v1/policy")
        .header("authorization", format!("Bearer {SERVICE_TOKEN}"))
        .header("content-type", "application/json")
        .header("if-match", "\"0\"")
        .body(Body::from(policy.to_string()))
        .unwrap();
    let saved = stage.router.clone().oneshot(saved).await.unwrap();
    let saved = Answer::of(saved).await;
    assert_eq!(saved.status, 200, "{saved:?}");
    let task = issued.task.id;
    let encoded: String = HOSTILE.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let paths = [
        "/inbox".to_owned(),
        "/tasks".to_owned(),
        format!("/tasks/{task}"),
        format!("/tasks?agent={encoded}"),
        "/agents".to_owned(),
        format!("/agents/{encoded}"),
        "/ledger".to_owned(),
        "/system".to_owned(),
        "/users".to_owned(),
        "/approvers".to_owned(),
        "/history".to_owned(),
        "/clearances".to_owned(),
        "/blocks".to_owned(),
        "/allows".to_owned(),
        "/policy".to_owned(),
        "/schedules".to_owned(),
        "/callbacks".to_owned(),
        "/me/proxy".to_owned(),
    ];
    for question in [questions[0], held] {
        let opened = format!("/requests/{question}");
        let opened = stage.view(&opened, Some(&admin)).await;
        let link = opened.headers["location"].to_str().unwrap().to_owned();
        let link = link.trim_start_matches("http://localhost:8080");
        let page = stage.view(link.trim_start_matches(".."), None).await;
        page.is_harmless();
        assert!(page.html.contains("onerror=alert(1)"), "{}", page.html);
    }
    for is_closed in [false, true] {
        if is_closed {
            let close = CloseTask {
                task_id: task,
                token: None,
                reason: Some(HOSTILE.to_owned()),
            };
            ledger.execute(system(), close).await.unwrap();
        }
        for path in &paths {
            let page = seen(&stage, path, &admin).await;
            let has_it = page.html.contains("onerror=alert(1)");
            let has_it_now = !matches!(
                path.as_str(),
                "/system" | "/users" | "/callbacks" | "/me/proxy"
            );
            assert_eq!(has_it, has_it_now, "{path}");
            assert!(page.html.len() < 200_000, "{path}");
        }
    }
}
