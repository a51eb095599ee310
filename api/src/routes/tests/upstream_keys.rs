//! Keys of upstreams, as those meet them who store, look for and remove them.

use super::agent_keys::Keyed;
use crate::testing::{AGENT, Answer, SERVICE_TOKEN};
use app::upstream_keys::key_of;
use ledger::event::UpstreamKeyOwner;
use ledger::{Role, UpstreamName};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

const OWN: &str = "/v1/me/anthropic-key";
const KEY: &str = "sk-ant-api03-of-a-user-0123456789";

fn refusal(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.code())
}

fn of_agent(upstream: &str) -> String {
    format!("/v1/agents/{AGENT}/upstream-keys/{upstream}")
}

fn body(key: &str) -> Value {
    json!({ "api_key": key })
}

async fn opened(keyed: &Keyed, owner: UpstreamKeyOwner, upstream: &str) -> Option<String> {
    let ledger = &keyed.stage.state.app.ledger;
    let upstream = UpstreamName::unchecked(upstream);
    let key = key_of(ledger, owner, &upstream).await.unwrap();
    key.map(|(key, _)| key.expose_secret().to_owned())
}

#[tokio::test]
async fn a_user_of_any_role_stores_replaces_and_removes_their_own_key_and_never_reads_it() {
    let keyed = Keyed::new().await;
    for role in [Role::Viewer, Role::Operator, Role::Admin] {
        let session = keyed.stage.session_of(role).await;
        let owner = UpstreamKeyOwner::User(session.user);
        let ask = |method, body| {
            let bearer = session.bearer.clone();
            let keyed = &keyed;
            async move { keyed.with(&bearer, method, OWN, &[], &body).await }
        };
        let none = json!({"configured": false, "configured_at": null});
        assert_eq!(ask("GET", Value::Null).await.body, none);
        for key in ["sk-ant-api03-the-first-one", KEY] {
            assert_eq!(ask("PUT", body(key)).await.status, 204);
            assert_eq!(opened(&keyed, owner, "anthropic").await.unwrap(), key);
        }
        let read = ask("GET", Value::Null).await;
        assert_eq!(read.body["configured"], true, "{read:?}");
        assert!(read.body["configured_at"].is_string());
        assert!(!read.body.to_string().contains("sk-ant"), "{read:?}");
        for _ in 0..2 {
            assert_eq!(ask("DELETE", Value::Null).await.status, 204);
        }
        assert_eq!(ask("GET", Value::Null).await.body, none);
        assert_eq!(opened(&keyed, owner, "anthropic").await, None);
    }
}

#[tokio::test]
async fn nobody_but_a_user_has_a_key_of_their_own() {
    let keyed = Keyed::new().await;
    let (_, agent_key) = keyed.key().await;
    for token in [SERVICE_TOKEN, &agent_key] {
        for method in ["GET", "PUT", "DELETE"] {
            let refused = keyed.with(token, method, OWN, &[], &body(KEY)).await;
            assert_eq!(refusal(&refused), (403, "wrong_identity"), "{method}");
            let why = refused.body["detail"].as_str().unwrap();
            assert!(why.contains("logged in"), "{why}");
        }
    }
    let refused = keyed.with("none", "GET", OWN, &[], &Value::Null).await;
    assert_eq!(refused.status, 401);
}

#[tokio::test]
async fn an_agents_keys_are_an_administrators_with_a_fresh_passkey_or_the_service_tokens() {
    let keyed = Keyed::new().await;
    let token = "cloudflare-token-of-the-agent-01";
    let stored = keyed
        .ask("PUT", &of_agent("cloudflare"), &body(token))
        .await;
    assert_eq!(stored.status, 204, "{stored:?}");
    let agent = ledger::AgentName::unchecked(AGENT);
    let agent = keyed.stage.state.app.ledger.agent(&agent).await;
    let owner = UpstreamKeyOwner::Agent(agent.unwrap().unwrap().id);
    assert_eq!(opened(&keyed, owner, "cloudflare").await.unwrap(), token);
    assert_eq!(opened(&keyed, owner, "anthropic").await, None);

    let operator = keyed.stage.session_of(Role::Operator).await.bearer;
    let admin = keyed.stage.session_of(Role::Admin).await.bearer;
    let path = of_agent("cloudflare");
    let read = keyed.with(&operator, "GET", &path, &[], &Value::Null).await;
    assert_eq!(read.body["configured"], true, "{read:?}");
    for method in ["PUT", "DELETE"] {
        let refused = keyed
            .with(&operator, method, &path, &[], &body(token))
            .await;
        assert_eq!(refusal(&refused), (403, "role_required"), "{method}");
        let refused = keyed.with(&admin, method, &path, &[], &body(token)).await;
        assert_eq!(refusal(&refused), (403, "step_up_required"), "{method}");
    }
    for _ in 0..2 {
        let removed = keyed.ask("DELETE", &path, &Value::Null).await;
        assert_eq!(removed.status, 204, "{removed:?}");
    }
    assert_eq!(opened(&keyed, owner, "cloudflare").await, None);
}

#[tokio::test]
async fn an_agent_or_an_upstream_that_nobody_knows_is_not_found() {
    let keyed = Keyed::new().await;
    for method in ["GET", "PUT", "DELETE"] {
        let key = body(KEY);
        let agent = "/v1/agents/nobody/upstream-keys/anthropic";
        let refused = keyed.ask(method, agent, &key).await;
        assert_eq!(refusal(&refused), (404, "agent_not_found"), "{method}");
        let refused = keyed.ask(method, &of_agent("openai"), &key).await;
        assert_eq!(refusal(&refused), (404, "upstream_not_found"), "{method}");
    }
}

#[tokio::test]
async fn what_is_no_key_of_the_upstream_is_refused_and_not_repeated() {
    let keyed = Keyed::new().await;
    let session = keyed.stage.session_of(Role::Viewer).await;
    let (_, agent_key) = keyed.key().await;
    let long = format!("sk-ant-{}", "x".repeat(250));
    for wrong in [
        "",
        " sk-ant-api03-secret",
        "sk-ant-api03-sec ret",
        "sk-ant-admin01-secret",
        "sk-ant-oat01-secret",
        "sk-other-secret",
        &long,
        &agent_key,
        &session.bearer,
    ] {
        let refused = keyed
            .with(&session.bearer, "PUT", OWN, &[], &body(wrong))
            .await;
        assert_eq!(refusal(&refused), (400, "invalid_key"), "{wrong}");
        let told = refused.body.to_string();
        assert!(wrong.is_empty() || !told.contains(wrong), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }
    for wrong in [
        "sk-ant-api03-secret-0123456789",
        "too-short",
        &agent_key,
        SERVICE_TOKEN,
    ] {
        let path = of_agent("cloudflare");
        let refused = keyed.ask("PUT", &path, &body(wrong)).await;
        assert_eq!(refusal(&refused), (400, "invalid_key"), "{wrong}");
        let told = refused.body.to_string();
        assert!(!told.contains(wrong), "{told}");
    }
}

#[tokio::test]
async fn the_key_that_agents_share_is_an_administrators_and_an_agents_own_goes_first() {
    const SHARED: &str = "/v1/upstreams/github/key";
    let keyed = Keyed::new().await;
    let text = "a-key-of-all-agents-0123456789";
    for method in ["GET", "PUT", "DELETE"] {
        let refused = keyed.ask(method, SHARED, &body(text)).await;
        assert_eq!(refusal(&refused), (404, "upstream_not_found"), "{method}");
    }
    let opened_api = json!({
        "base_url": "https://api.github.example", "auth": {"send": "bearer"},
        "routes": [{
            "method": "GET", "path": "/user", "operation": "github.user.read", "level": "read", "risk": "safe",
            "scope": {"type": "user", "id": "me"},
        }],
    });
    let put = keyed.ask("PUT", "/v1/upstreams/github", &opened_api).await;
    assert_eq!(put.status, 200, "{put:?}");
    let agent = ledger::AgentName::unchecked(AGENT);
    let agent = keyed.stage.state.app.ledger.agent(&agent).await;
    let owner = UpstreamKeyOwner::Agent(agent.unwrap().unwrap().id);
    assert_eq!(opened(&keyed, owner, "github").await, None);

    let none = json!({"configured": false, "configured_at": null});
    assert_eq!(keyed.ask("GET", SHARED, &Value::Null).await.body, none);
    assert_eq!(keyed.ask("PUT", SHARED, &body(text)).await.status, 204);
    assert_eq!(opened(&keyed, owner, "github").await.unwrap(), text);
    assert_eq!(opened(&keyed, owner, "anthropic").await, None);
    let user = UpstreamKeyOwner::User(ledger::UserId::from_bytes([1; 16]));
    assert_eq!(opened(&keyed, user, "github").await, None);
    let own = "a-key-of-the-agent-0123456789";
    let stored = keyed.ask("PUT", &of_agent("github"), &body(own)).await;
    assert_eq!(stored.status, 204, "{stored:?}");
    assert_eq!(opened(&keyed, owner, "github").await.unwrap(), own);
    let reader = keyed.stage.session_of(Role::Admin).await;
    let page = format!("/agents/{AGENT}");
    let page = keyed.stage.read_view(&page, &reader).await;
    for part in [
        "Key of github: <span class=\"end good\">stored",
        "id=\"remove-key-github\"",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    keyed.ask("DELETE", &of_agent("github"), &Value::Null).await;

    let operator = keyed.stage.session_of(Role::Operator).await.bearer;
    let viewer = keyed.stage.session_of(Role::Viewer).await.bearer;
    let admin = keyed.stage.session_of(Role::Admin).await.bearer;
    let read = keyed
        .with(&operator, "GET", SHARED, &[], &Value::Null)
        .await;
    assert_eq!(read.body["configured"], true, "{read:?}");
    let refused = keyed.with(&viewer, "GET", SHARED, &[], &Value::Null).await;
    assert_eq!(refusal(&refused), (403, "role_required"));
    for method in ["PUT", "DELETE"] {
        let refused = keyed
            .with(&operator, method, SHARED, &[], &body(text))
            .await;
        assert_eq!(refusal(&refused), (403, "role_required"), "{method}");
        let refused = keyed.with(&admin, method, SHARED, &[], &body(text)).await;
        assert_eq!(refusal(&refused), (403, "step_up_required"), "{method}");
    }
    for wrong in ["sk-ant-api03-secret-0123456789", "too-short", SERVICE_TOKEN] {
        let refused = keyed.ask("PUT", SHARED, &body(wrong)).await;
        assert_eq!(refusal(&refused), (400, "invalid_key"), "{wrong}");
        assert!(!refused.body.to_string().contains(wrong), "{refused:?}");
    }
    for _ in 0..2 {
        let removed = keyed.ask("DELETE", SHARED, &Value::Null).await;
        assert_eq!(removed.status, 204, "{removed:?}");
    }
    assert_eq!(opened(&keyed, owner, "github").await, None);
}
