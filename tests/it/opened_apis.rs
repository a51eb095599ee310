//! A client of an API that an administrator opened, against the real binary.

use crate::logins::{TOKEN, ask};
use fixtures::approver::SoftApprover;
use fixtures::sandbox::{BASE_URL, Sandbox};
use fixtures::service::Service;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

const STORED: &str = "ghp_a-stored-token-of-the-agent";
const SHARED: &str = "ghp_a-token-of-all-the-agents";

/// What stands for the API: it keeps each request, and has one issue.
async fn upstream() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let heads = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut read = Vec::new();
            while !is_whole(&read) {
                let mut piece = [0; 4096];
                let count = stream.read(&mut piece).await.unwrap();
                read.extend_from_slice(&piece[..count]);
            }
            kept.lock().unwrap().push(String::from_utf8(read).unwrap());
            let body = r#"[{"number":1,"title":"It is slow"}]"#;
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nlink: <next>\r\n\
                 x-ratelimit-remaining: 4999\r\nset-cookie: a=b\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).await.unwrap();
        }
    });
    (base, heads)
}

/// Whether a request is there with its body.
fn is_whole(read: &[u8]) -> bool {
    let text = String::from_utf8_lossy(read).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let mut lines = head.lines();
    let length = lines.find_map(|line| line.strip_prefix("content-length: "));
    body.len() >= length.map_or(0, |length| length.parse().unwrap())
}

fn described(base: &str) -> Value {
    let route = |method: &str, what: &str, level: &str| {
        json!({
            "method": method, "path": "/repos/{owner}/{repo}/issues", "operation": format!("github.issues.{what}"),
            "level": level, "risk": "safe", "scope": {"type": "repo", "id": "{owner}/{repo}"},
        })
    };
    json!({
        "base_url": base, "auth": {"send": "bearer"}, "request_headers": ["x-github-api-version"],
        "response_headers": ["link", "x-ratelimit-*"],
        "routes": [route("GET", "read", "read"), route("POST", "write", "write")],
    })
}

async fn admin(service: &Service, method: &str, path: &str, body: &Value) -> (u16, Value) {
    ask(service, method, path, TOKEN, body).await.unwrap()
}

async fn agent(service: &Service) -> String {
    assert_eq!(
        admin(service, "POST", "/v1/agents", &json!({"agent": "ci"}))
            .await
            .0,
        201
    );
    let made = admin(service, "POST", "/v1/agents/ci/keys", &json!({}))
        .await
        .1;
    made["key"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_opened_api_is_read_as_far_as_it_is_granted_and_closed_again() {
    let (base, heads) = upstream().await;
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.insert("SERVICE_TOKEN", TOKEN.to_owned());
    let service = sandbox.start().await;
    let key = agent(&service).await;
    let path = "/proxy/github/repos/octo/hello.world/issues";
    assert_eq!(
        ask(&service, "GET", path, &key, &Value::Null)
            .await
            .unwrap()
            .0,
        404
    );
    let (status, opened) = admin(&service, "PUT", "/v1/upstreams/github", &described(&base)).await;
    assert_eq!(status, 200, "{opened}");
    assert_eq!(opened["routes"][0]["operation"], "github.issues.read");
    let stored = json!({"api_key": STORED});
    let own = "/v1/agents/ci/upstream-keys/github";
    assert_eq!(admin(&service, "PUT", own, &stored).await.0, 204);

    let (status, refused) = ask(&service, "GET", path, &key, &Value::Null)
        .await
        .unwrap();
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("forbidden")),
        "{refused}"
    );
    let grant = json!({"permissions": [{
        "operation_id": "github.issues.read", "scope_type": "repo", "scope_id": "octo/hello.world",
        "granted_level": "read",
    }]});
    let (status, granted) = admin(&service, "PATCH", "/v1/agents/ci/permissions", &grant).await;
    assert_eq!(status, 200, "{granted}");
    let (status, issues) = ask(&service, "GET", path, &key, &Value::Null)
        .await
        .unwrap();
    assert_eq!((status, &issues[0]["title"]), (200, &json!("It is slow")));
    let head = heads.lock().unwrap().last().cloned().unwrap();
    assert!(
        head.starts_with("GET /repos/octo/hello.world/issues HTTP/1.1\r\n"),
        "{head}"
    );
    assert!(
        head.contains(&format!("authorization: Bearer {STORED}\r\n")),
        "{head}"
    );
    assert!(!head.contains(&key), "{head}");

    // Without a key of its own the agent's calls go with the one that agents share.
    let shared = json!({"api_key": SHARED});
    assert_eq!(
        admin(&service, "PUT", "/v1/upstreams/github/key", &shared)
            .await
            .0,
        204
    );
    let calls_with = async |expected: &str| {
        let read = ask(&service, "GET", path, &key, &Value::Null).await;
        assert_eq!(read.unwrap().0, 200);
        let head = heads.lock().unwrap().last().cloned().unwrap();
        assert!(
            head.contains(&format!("authorization: Bearer {expected}\r\n")),
            "{head}"
        );
    };
    calls_with(STORED).await;
    assert_eq!(admin(&service, "DELETE", own, &Value::Null).await.0, 204);
    calls_with(SHARED).await;
    assert_eq!(admin(&service, "PUT", own, &stored).await.0, 204);

    let before = heads.lock().unwrap().len();
    for (method, path, status) in [
        ("GET", "/proxy/github/repos/octo/other/issues", 403),
        ("DELETE", path, 405),
        ("GET", "/proxy/github/user", 404),
        ("GET", "/proxy/github/repos/octo/../x/issues", 400),
    ] {
        let told = ask(&service, method, path, &key, &Value::Null).await;
        let (refused, told) = told.unwrap();
        // The client of this test folds dots away by itself.
        let folded = path.contains("..") && refused == 404;
        assert!(
            refused == status || folded,
            "{method} {path}: {refused} {told}"
        );
    }
    assert_eq!(heads.lock().unwrap().len(), before, "nothing of it went up");

    // It is open after a restart, and its operations are known.
    service.stop().await;
    let service = sandbox.start().await;
    let listed = admin(&service, "GET", "/v1/operations", &Value::Null)
        .await
        .1;
    let ids: Vec<_> = listed["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["operation_id"].clone())
        .collect();
    assert!(ids.contains(&json!("github.issues.write")), "{ids:?}");
    assert_eq!(
        ask(&service, "GET", path, &key, &Value::Null)
            .await
            .unwrap()
            .0,
        200
    );
    assert_eq!(
        admin(&service, "DELETE", "/v1/upstreams/github", &Value::Null)
            .await
            .0,
        204
    );
    assert_eq!(
        ask(&service, "GET", path, &key, &Value::Null)
            .await
            .unwrap()
            .0,
        404
    );
    let all = admin(&service, "GET", "/v1/upstreams", &Value::Null)
        .await
        .1;
    assert_eq!(all["upstreams"], json!([]));
    assert!(!sandbox.log().contains(STORED) && !sandbox.log().contains(SHARED));
}

/// The description with a route whose body has a secret.
fn with_secrets(base: &str) -> Value {
    let mut described = described(base);
    let route = json!({
        "method": "PUT", "path": "/repos/{owner}/{repo}/actions/secrets/{name}", "operation": "github.secrets.write",
        "level": "write", "risk": "sensitive", "scope": {"type": "repo", "id": "{owner}/{repo}"},
        "title": "Set the secret {name} of {owner}/{repo}", "seal": ["/encrypted_value"],
    });
    described["routes"].as_array_mut().unwrap().push(route);
    described
}

/// The link of a question in the answer to a call that was held.
fn link(told: &(u16, Value)) -> String {
    assert_eq!(
        (told.0, &told.1["code"]),
        (403, &json!("waiting")),
        "{}",
        told.1
    );
    let mut words = told.1["detail"].as_str().unwrap().split_whitespace();
    let link = words.find(|word| word.starts_with(BASE_URL)).unwrap();
    link.to_owned()
}

#[tokio::test]
async fn a_write_to_an_opened_api_waits_for_a_person_and_goes_where_it_went_when_they_were_asked() {
    const SECRET: &str = "what-nobody-else-reads";
    let (base, heads) = upstream().await;
    let sent = || heads.lock().unwrap().clone();
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.insert("SERVICE_TOKEN", TOKEN.to_owned());
    sandbox
        .settings
        .insert("PROXY_HOLD_SECONDS", "3".to_owned());
    let service = sandbox.start().await;
    let alice = SoftApprover::new("alice");
    service.register(&alice).await;
    let key = agent(&service).await;
    let opened = admin(
        &service,
        "PUT",
        "/v1/upstreams/github",
        &with_secrets(&base),
    )
    .await;
    assert_eq!(opened.0, 200, "{}", opened.1);
    let own = "/v1/agents/ci/upstream-keys/github";
    let stored = admin(&service, "PUT", own, &json!({"api_key": STORED})).await;
    assert_eq!(stored.0, 204);
    let path = "/proxy/github/repos/octo/hello/actions/secrets/TOKEN";
    let body = json!({"encrypted_value": SECRET, "key_id": "1"});
    let put = async || ask(&service, "PUT", path, &key, &body).await.unwrap();
    let approve = async |link: &str| {
        let decided = service.caller.decide(&alice, link, "approve", None);
        assert_eq!(decided.await.unwrap().status, 200);
    };

    let asked = link(&put().await);
    assert!(sent().is_empty());
    approve(&asked).await;
    assert!(sent().is_empty(), "nobody waits for it");
    let (status, answer) = put().await;
    assert_eq!(status, 200, "{answer}");
    let requests = sent();
    assert_eq!(requests.len(), 1);
    assert!(requests[0].starts_with("PUT /repos/octo/hello/actions/secrets/TOKEN HTTP/1.1\r\n"));
    assert!(requests[0].contains(SECRET) && requests[0].contains(STORED));

    // Described anew, it may be somewhere else.
    let second = link(&put().await);
    assert_ne!(second, asked);
    approve(&second).await;
    let again = admin(&service, "PUT", "/v1/upstreams/github", &described(&base)).await;
    assert_eq!(again.0, 200, "{}", again.1);
    let again = admin(
        &service,
        "PUT",
        "/v1/upstreams/github",
        &with_secrets(&base),
    )
    .await;
    assert_eq!(again.0, 200, "{}", again.1);
    let (status, told) = put().await;
    assert_eq!((status, &told["code"]), (403, &json!("ended")), "{told}");
    assert_eq!(sent().len(), 1);

    assert!(service.stop().await.success());
    let checked = sandbox.run("ledger check");
    assert!(checked.status.success(), "{checked:?}");
    let ledger = std::fs::read(sandbox.ledger_file()).unwrap();
    let is_there = |text: &str| ledger.windows(text.len()).any(|it| it == text.as_bytes());
    assert!(is_there("actions/secrets/TOKEN") && !is_there(SECRET));
    assert!(!sandbox.log().contains(SECRET));
}

/// The same operation may be another request by then, of which nobody was shown the address.
#[tokio::test]
async fn a_kept_approval_ends_where_its_operation_is_described_anew_or_is_of_another_api() {
    let (base, heads) = upstream().await;
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.insert("SERVICE_TOKEN", TOKEN.to_owned());
    sandbox
        .settings
        .insert("PROXY_HOLD_SECONDS", "1".to_owned());
    let service = sandbox.start().await;
    let alice = SoftApprover::new("alice");
    service.register(&alice).await;
    let key = agent(&service).await;
    let own = json!({"api_key": STORED});
    let open = async |name: &str, path: &str, operation: &str| {
        let route = json!({
            "method": "POST", "path": path, "operation": operation, "level": "write", "risk": "safe",
            "scope": {"type": "repo", "id": "{repo}"},
        });
        let api = json!({"base_url": base, "auth": {"send": "bearer"}, "routes": [route]});
        let opened = admin(&service, "PUT", &format!("/v1/upstreams/{name}"), &api).await;
        assert_eq!(opened.0, 200, "{}", opened.1);
        let place = format!("/v1/agents/ci/upstream-keys/{name}");
        assert_eq!(admin(&service, "PUT", &place, &own).await.0, 204);
    };
    let post = async |path: String| {
        ask(&service, "POST", &path, &key, &json!({"n": 1}))
            .await
            .unwrap()
    };
    for (number, other) in [("1", false), ("2", true), ("3", true)] {
        let (first, second) = (format!("first{number}"), format!("second{number}"));
        let operation = format!("topic{number}.issues.write");
        open(&first, "/issues/{repo}", &operation).await;
        let asked = link(&post(format!("/proxy/{first}/issues/r")).await);
        let kept = json!({"mode": "cache", "duration": "1h", "breadth": "scope"});
        let how = ("approve", None);
        let decided = service
            .caller
            .decide_and_keep(&alice, &asked, how, Some(&kept));
        assert_eq!(decided.await.unwrap().status, 200);
        assert_eq!(post(format!("/proxy/{first}/issues/r")).await.0, 200);
        assert_eq!(post(format!("/proxy/{first}/issues/s")).await.0, 403);
        let sent = heads.lock().unwrap().len();
        // The first is described anew, goes, or leaves its operation to another one.
        let name = if other { &second } else { &first };
        if number == "2" {
            let place = format!("/v1/upstreams/{first}");
            let gone = admin(&service, "DELETE", &place, &json!({})).await;
            assert_eq!(gone.0, 204);
        }
        if number == "3" {
            open(&first, "/issues/{repo}", "topic3.others.write").await;
        }
        open(name, "/wipe/{repo}", &operation).await;
        let (status, answer) = post(format!("/proxy/{name}/wipe/r")).await;
        assert_eq!(
            (status, &answer["code"]),
            (403, &json!("waiting")),
            "{number}: {answer}"
        );
        assert_eq!(heads.lock().unwrap().len(), sent, "{number}");
    }
    assert!(service.stop().await.success());
    let checked = sandbox.run("ledger check");
    assert!(checked.status.success(), "{checked:?}");
}

#[tokio::test]
async fn the_headers_that_people_approved_go_up_and_with_others_it_is_another_write() {
    let (base, heads) = upstream().await;
    let sent = || heads.lock().unwrap().clone();
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.insert("SERVICE_TOKEN", TOKEN.to_owned());
    let service = sandbox.start().await;
    let alice = SoftApprover::new("alice");
    service.register(&alice).await;
    let key = agent(&service).await;
    let mut api = with_secrets(&base);
    api["request_headers"] = json!(["x-tenant"]);
    let opened = admin(&service, "PUT", "/v1/upstreams/github", &api).await;
    assert_eq!(opened.0, 200, "{}", opened.1);
    let shared = json!({"api_key": SHARED});
    let stored = admin(&service, "PUT", "/v1/upstreams/github/key", &shared).await;
    assert_eq!(stored.0, 204);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let put = async |tenant: &str, agent: &str, seconds: u32| {
        let path = "/proxy/github/repos/octo/hello/actions/secrets/TOKEN";
        let request = client
            .put(format!("http://{}{path}", service.address))
            .header("host", BASE_URL.trim_start_matches("http://"))
            .header("x-tenant", tenant)
            .header("user-agent", agent)
            .header("x-stainless-timeout", seconds.to_string())
            .bearer_auth(&key)
            .json(&json!({"encrypted_value": "what-nobody-else-reads"}));
        let answer = request.send().await.unwrap();
        (
            answer.status().as_u16(),
            answer.json::<Value>().await.unwrap(),
        )
    };
    // What says that it is a secret is neither recorded nor shown.
    let request = client
        .put(format!(
            "http://{}/proxy/github/repos/octo/hello/actions/secrets/TOKEN?page=1&access_token=hidden",
            service.address
        ))
        .header("host", BASE_URL.trim_start_matches("http://"))
        .header("x-stainless-timeout", "2")
        .bearer_auth(&key)
        .json(&json!({"encrypted_value": "x"}));
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 400);
    let told = refused.text().await.unwrap();
    assert!(
        told.contains("access_token") && !told.contains("hidden"),
        "{told}"
    );
    let mut carries = api.clone();
    carries["request_headers"] = json!(["x-tenant", "x-token"]);
    let refused = admin(&service, "PUT", "/v1/upstreams/github", &carries).await;
    assert_eq!(refused.0, 400, "{}", refused.1);
    let asked = link(&put("test", "first/1", 2).await);
    let other = link(&put("prod", "first/1", 2).await);
    assert_ne!(asked, other);
    let decided = service.caller.decide(&alice, &asked, "approve", None).await;
    assert_eq!(decided.unwrap().status, 200);
    // What is not approved does not go along with what is.
    assert_eq!(link(&put("prod", "first/1", 2).await), other);
    assert!(sent().is_empty());
    let (status, answer) = put("test", "second/1", 60).await;
    assert_eq!(status, 200, "{answer}");
    let requests = sent();
    assert_eq!(requests.len(), 1);
    let sent = &requests[0];
    assert!(sent.contains("x-tenant: test\r\n"), "{sent}");
    assert!(sent.contains("user-agent: first/1\r\n"), "{sent}");
    assert!(sent.contains("what-nobody-else-reads") && sent.contains(SHARED));
    assert!(service.stop().await.success());
    let checked = sandbox.run("ledger check");
    assert!(checked.status.success(), "{checked:?}");
}

#[tokio::test]
async fn no_key_goes_to_another_address_or_a_later_api_of_the_same_name() {
    let (first, heads) = upstream().await;
    let (second, elsewhere) = upstream().await;
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.insert("SERVICE_TOKEN", TOKEN.to_owned());
    let service = sandbox.start().await;
    let key = agent(&service).await;
    let grant = json!({"permissions": [{
        "operation_id": "github.issues.read", "scope_type": "repo", "scope_id": "*", "granted_level": "read",
    }]});
    let open = async |base: &str| {
        let put = admin(&service, "PUT", "/v1/upstreams/github", &described(base)).await;
        assert_eq!(put.0, 200, "{}", put.1);
    };
    let store = async || {
        for path in [
            "/v1/agents/ci/upstream-keys/github",
            "/v1/upstreams/github/key",
        ] {
            let stored = admin(&service, "PUT", path, &json!({"api_key": STORED})).await;
            assert_eq!(stored.0, 204, "{}", stored.1);
        }
    };
    let read = async || {
        let path = "/proxy/github/repos/octo/hello/issues";
        ask(&service, "GET", path, &key, &Value::Null)
            .await
            .unwrap()
    };
    open(&first).await;
    let granted = admin(&service, "PATCH", "/v1/agents/ci/permissions", &grant).await;
    assert_eq!(granted.0, 200, "{}", granted.1);
    store().await;
    assert_eq!(read().await.0, 200);
    open(&second).await;
    let (status, refused) = read().await;
    assert_eq!(
        (status, &refused["code"]),
        (403, &json!("forbidden")),
        "{refused}"
    );
    open(&first).await;
    store().await;
    assert_eq!(read().await.0, 200);
    let removed = admin(&service, "DELETE", "/v1/upstreams/github", &Value::Null).await;
    assert_eq!(removed.0, 204);
    open(&second).await;
    assert_eq!(read().await.0, 403);
    assert_eq!(heads.lock().unwrap().len(), 2);
    assert!(elsewhere.lock().unwrap().is_empty(), "nothing went there");
    assert!(service.stop().await.success());
    let checked = sandbox.run("ledger check");
    assert!(checked.status.success(), "{checked:?}");
}

#[tokio::test]
async fn an_api_whose_name_leads_to_no_public_address_is_unreachable_and_its_refusal_says_why() {
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.insert("SERVICE_TOKEN", TOKEN.to_owned());
    let service = sandbox.start().await;
    let key = agent(&service).await;
    let described = described("https://localhost:9");
    let opened = admin(&service, "PUT", "/v1/upstreams/github", &described).await;
    assert_eq!(opened.0, 200, "{}", opened.1);
    let own = "/v1/agents/ci/upstream-keys/github";
    let stored = admin(&service, "PUT", own, &json!({"api_key": STORED})).await;
    assert_eq!(stored.0, 204);
    let grant = json!({"permissions": [{
        "operation_id": "github.issues.read", "scope_type": "repo", "scope_id": "octo/hello", "granted_level": "read",
    }]});
    let granted = admin(&service, "PATCH", "/v1/agents/ci/permissions", &grant).await;
    assert_eq!(granted.0, 200, "{}", granted.1);
    let path = "/proxy/github/repos/octo/hello/issues";
    let (status, refused) = ask(&service, "GET", path, &key, &Value::Null)
        .await
        .unwrap();
    assert_eq!(
        (status, &refused["code"]),
        (502, &json!("unreachable")),
        "{refused}"
    );
    let said = refused["detail"].as_str().unwrap();
    assert!(said.contains("no address of the public network"), "{said}");
    assert!(
        said.contains("UPSTREAM_ALLOWED_NETS does not name it"),
        "{said}"
    );
}

#[tokio::test]
async fn a_description_that_would_let_a_credential_pass_or_is_of_ours_opens_nothing() {
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.insert("SERVICE_TOKEN", TOKEN.to_owned());
    let service = sandbox.start().await;
    let fine = described("https://api.github.com");
    let with = |field: &str, value: Value| {
        let mut described = fine.clone();
        described[field] = value;
        described
    };
    let mut sealed = fine.clone();
    sealed["routes"][0]["seal"] = json!(["/secret"]);
    let mut ours = fine.clone();
    ours["routes"][0]["operation"] = json!("anthropic.things.read");
    for (name, body) in [
        ("anthropic", fine.clone()),
        ("Git", fine.clone()),
        ("me", fine.clone()),
        ("github", sealed),
        ("github", ours),
        (
            "github",
            with("base_url", json!("https://api.github.com/a/../b")),
        ),
        (
            "github",
            with("base_url", json!("https://api.github.com/a/%2E%2e/b")),
        ),
        ("github", with("base_url", json!("http://api.github.com"))),
        ("github", with("response_headers", json!(["set-cookie"]))),
        ("github", with("auth", json!({"send": "basic"}))),
        ("github", with("more", json!(1))),
    ] {
        let path = format!("/v1/upstreams/{name}");
        let (status, refused) = admin(&service, "PUT", &path, &body).await;
        assert_eq!(status, 400, "{name}: {refused}");
    }
    let all = admin(&service, "GET", "/v1/upstreams", &Value::Null)
        .await
        .1;
    assert_eq!(all["upstreams"], json!([]));
}
