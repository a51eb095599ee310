//! What people and agents prove themselves by: passwords, sessions, keys, viewer tokens.

use super::{Answers, Secrets};
use fixtures::sandbox::{BASE_URL, Sandbox};
use fixtures::service::{Service, Task, record};
use serde_json::{Value, json};

const GIVEN: &str = "a password that was given";
const OWN_KEY: &str = "/v1/me/anthropic-key";
const AGENTS_KEY: &str = "/v1/agents/keyed/upstream-keys/cloudflare";
const SHARED_KEY: &str = "/v1/upstreams/github/key";
const OWN: &str = "a password of one's own choice";

/// By what a request proves who it is from.
enum By<'a> {
    Nothing,
    /// From a page of ours.
    Page,
    Bearer(&'a str),
    Cookie(&'a str),
}

struct Reply {
    status: u16,
    cookie: String,
    body: Value,
}

async fn ask(
    service: &Service,
    answers: &mut Answers,
    (method, path): (&str, &str),
    by: By<'_>,
    body: Value,
) -> Reply {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("http://{}{path}", service.address);
    let mut request = client.request(method.parse().unwrap(), url);
    request = request.header("host", BASE_URL.trim_start_matches("http://"));
    request = match by {
        By::Nothing => request,
        By::Page => request.header("origin", BASE_URL),
        By::Bearer(token) => request.bearer_auth(token),
        By::Cookie(token) => request
            .header("origin", BASE_URL)
            .header("cookie", format!("__Host-lpp={token}")),
    };
    if !body.is_null() {
        request = request.json(&body);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status().as_u16();
    let cookie = answer.headers().get("set-cookie");
    let cookie = cookie.map_or("", |cookie| cookie.to_str().unwrap());
    let cookie = cookie.trim_start_matches("__Host-lpp=");
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let text = answer.text().await.unwrap();
    // A page is searched as it is.
    let mut body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    let reply = body.clone();
    // What is to be handed out is, and nothing else.
    for handed_out in ["token", "key", "watch_url", "device_secret"] {
        if let Some(member) = body.get_mut(handed_out) {
            *member = Value::Null;
        }
    }
    answers
        .0
        .push((format!("{method} {path}: {status}"), body.to_string()));
    Reply {
        status,
        cookie,
        body: reply,
    }
}

/// Has people and agents do about everything by what they prove themselves with, each of which is noted.
pub(super) async fn live(
    sandbox: &Sandbox,
    service: &Service,
    secrets: &mut Secrets,
    answers: &mut Answers,
    task: &Task,
) {
    let token = &sandbox.settings["SERVICE_TOKEN"];
    let mut tell = async |what: (&str, &str), by: By<'_>, body: Value, expected: u16| {
        let reply = ask(service, answers, what, by, body).await;
        assert_eq!(reply.status, expected, "{what:?}: {}", reply.body);
        reply
    };
    let text = |reply: &Reply, member: &str| reply.body[member].as_str().unwrap().to_owned();
    let ann = json!({"name": "ann", "role": "operator"});
    let made = tell(("POST", "/v1/users"), By::Bearer(token), ann, 201).await;
    secrets.keep("a password that was given", GIVEN);
    let path = format!("/v1/users/{}/password", text(&made, "id"));
    let given = json!({"password": GIVEN});
    tell(("POST", &path), By::Bearer(token), given, 204).await;

    const LOGIN: (&str, &str) = ("POST", "/v1/auth/login");
    let login = |name: &str, password: &str| json!({"username": name, "password": password});
    for (name, password) in [
        ("ann", "a password that is wrong"),
        ("a password in the wrong field", "x"),
    ] {
        secrets.keep(
            "what was typed in vain",
            if name == "ann" { password } else { name },
        );
        tell(LOGIN, By::Nothing, login(name, password), 401).await;
    }
    let program = tell(LOGIN, By::Nothing, login("ann", GIVEN), 200).await;
    let bearer = text(&program, "token");
    secrets.keep_token("a session's token", &bearer);
    secrets.keep("a password of one's own", OWN);
    let change = json!({"current": GIVEN, "new": OWN});
    let changed = tell(
        ("POST", "/v1/auth/password"),
        By::Bearer(&bearer),
        change,
        200,
    )
    .await;
    let bearer = text(&changed, "token");
    secrets.keep_token("the token of the session that goes on", &bearer);
    let browser = tell(LOGIN, By::Page, login("ann", OWN), 200).await;
    secrets.keep("a cookie", &browser.cookie);
    tell(
        ("GET", "/v1/me"),
        By::Cookie(&browser.cookie),
        Value::Null,
        200,
    )
    .await;
    tell(
        ("GET", "/v1/me/sessions"),
        By::Cookie(&browser.cookie),
        Value::Null,
        200,
    )
    .await;

    let agent = json!({"agent": "keyed"});
    tell(("POST", "/v1/agents"), By::Bearer(token), agent, 201).await;
    let keys = ("POST", "/v1/agents/keyed/keys");
    let key = tell(keys, By::Bearer(token), json!({}), 201).await;
    let key = text(&key, "key");
    secrets.keep("an agent's key", &key);
    tell(
        ("GET", "/v1/agents/keyed/keys"),
        By::Bearer(&bearer),
        Value::Null,
        200,
    )
    .await;
    let opened = json!({
        "base_url": "https://api.github.example", "auth": {"send": "bearer"},
        "routes": [{
            "method": "GET", "path": "/user", "operation": "github.user.read", "level": "read", "risk": "safe",
            "scope": {"type": "user", "id": "me"},
        }],
    });
    let upstream = ("PUT", "/v1/upstreams/github");
    tell(upstream, By::Bearer(token), opened, 200).await;
    // Keys of upstreams, and what is refused as one.
    for (of, key, path, by, status) in [
        (
            "a replaced key",
            "sk-ant-api03-9b1c7e50d2f84a63",
            OWN_KEY,
            &*bearer,
            204,
        ),
        (
            "an Anthropic key",
            "sk-ant-api03-4e7a90d3c5b8126f",
            OWN_KEY,
            &bearer,
            204,
        ),
        (
            "a key of no use",
            "sk-ant-admin01-77d0c3b1a9f2e845",
            OWN_KEY,
            &bearer,
            400,
        ),
        (
            "a login of no use",
            "sk-ant-oat01-c0a4f7d2983be516",
            OWN_KEY,
            &bearer,
            400,
        ),
        (
            "a Cloudflare token",
            "v8Kq2xWz41nPd7RtYb30Lm",
            AGENTS_KEY,
            token,
            204,
        ),
        (
            "a token of no use",
            "sk-ant-api03-e5d2b7401c9f3a86",
            AGENTS_KEY,
            token,
            400,
        ),
        (
            "a key with a blank",
            "q7Tn5 sVe82kHc1XwZr96Bd",
            AGENTS_KEY,
            token,
            400,
        ),
        (
            "a replaced key of all agents",
            "ghp_2c9f7e61b0d84a35",
            SHARED_KEY,
            token,
            204,
        ),
        (
            "a key of all agents",
            "ghp_81d5b3f0c7a2964e",
            SHARED_KEY,
            token,
            204,
        ),
        ("a short key", "ghp_6a0e4d9c27b", SHARED_KEY, token, 400),
        (
            "a key of all agents by who may not",
            "ghp_f37b92ce5a104d68",
            SHARED_KEY,
            &bearer,
            403,
        ),
        (
            "a key of who may not",
            "sk-ant-api03-1f6d8c2e7b04a593",
            OWN_KEY,
            token,
            403,
        ),
    ] {
        secrets.keep(of, key);
        let body = json!({ "api_key": key });
        tell(("PUT", path), By::Bearer(by), body, status).await;
        tell(
            ("GET", path),
            By::Bearer(token),
            Value::Null,
            if path == OWN_KEY { 403 } else { 200 },
        )
        .await;
    }
    for page in [OWN_KEY, "/me/proxy", "/agents/keyed", "/ledger"] {
        let by = By::Cookie(&browser.cookie);
        tell(("GET", page), by, Value::Null, 200).await;
    }
    let template = json!({
        "name": "records", "agents": ["keyed"], "expires_in_seconds": 600,
        "operations": [{
            "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*",
        }],
    });
    tell(
        ("POST", "/v1/task-templates"),
        By::Bearer(&bearer),
        template,
        201,
    )
    .await;
    let new = json!({"task_name": "by a key", "template": "records"});
    let opened = tell(("POST", "/v1/tasks"), By::Bearer(&key), new, 201).await;
    let plan = format!("/v1/tasks/{}/plan", text(&opened, "task_id"));
    let operations = json!({"operations": [record("keyed")]});
    tell(("POST", &plan), By::Bearer(&key), operations, 200).await;

    let new = json!({"agent": "paired"});
    let begun = tell(("POST", "/v1/pairing"), By::Nothing, new, 201).await;
    let device = text(&begun, "device_secret");
    secrets.keep("a device secret", &device);
    let confirm = format!("/v1/pairing/{}/confirm", text(&begun, "code"));
    tell(("POST", &confirm), By::Bearer(&bearer), json!({}), 200).await;
    let poll = ("POST", "/v1/pairing/poll");
    let shown = json!({"device_secret": device});
    let paired = tell(poll, By::Nothing, shown.clone(), 200).await;
    secrets.keep("a paired key", text(&paired, "key"));
    tell(poll, By::Nothing, shown, 410).await;

    let path = format!("/v1/tasks/{}", task.id);
    let mint = format!("{path}/viewer-token");
    let viewer = tell(("POST", &mint), By::Bearer(&bearer), Value::Null, 201).await;
    let viewer = text(&viewer, "token");
    secrets.keep_token("a viewer token", &viewer);
    tell(("GET", &path), By::Bearer(&viewer), Value::Null, 200).await;

    // In the wrong places: as each other, in paths and in queries.
    let null = || Value::Null;
    for secret in [&key, &browser.cookie, &bearer, &viewer, &device, token] {
        let cookie = format!("{secret}x");
        let reply = ask(
            service,
            answers,
            ("GET", "/v1/me"),
            By::Cookie(&cookie),
            null(),
        )
        .await;
        assert_eq!(reply.status, 401);
        for path in [
            format!("/v1/agents/{secret}x/keys"),
            format!("/v1/stream?after={secret}"),
            format!("/v1/timeline?topic={secret}"),
            format!("/v1/users/{secret}"),
            format!("/v1/pairing/{secret}"),
        ] {
            let reply = ask(service, answers, ("GET", &path), By::Bearer(token), null()).await;
            assert!(reply.status >= 400, "{path}");
        }
    }
    let left = ask(
        service,
        answers,
        ("POST", "/v1/auth/logout"),
        By::Cookie(&browser.cookie),
        Value::Null,
    );
    assert_eq!(left.await.status, 204);
}
