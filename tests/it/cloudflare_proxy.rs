//! A client of Cloudflare's API against the real binary, which leads to a stand-in for Cloudflare.

use crate::logins::{TOKEN, ask};
use fixtures::sandbox::{BASE_URL, Sandbox};
use fixtures::service::Service;
use serde_json::{Value, json};

const PLACE: &str = "/proxy/cloudflare/client/v4";

struct Stage {
    service: Service,
    key: String,
}

impl Stage {
    /// A service with an agent that has grants, and no Cloudflare key of its own.
    async fn new(sandbox: &mut Sandbox, grants: &[(&str, &str, &str)]) -> Self {
        sandbox.settings.insert("SERVICE_TOKEN", TOKEN.to_owned());
        let service = sandbox.start().await;
        let agent = json!({"agent": "ci"});
        let made = ask(&service, "POST", "/v1/agents", TOKEN, &agent).await;
        assert_eq!(made.unwrap().0, 201);
        let permissions: Vec<Value> = grants
            .iter()
            .map(|(operation, scope_type, scope)| {
                json!({
                    "operation_id": operation, "scope_type": scope_type, "scope_id": scope,
                    "granted_level": "write",
                })
            })
            .collect();
        let permissions = json!({"permissions": permissions});
        let path = "/v1/agents/ci/permissions";
        let granted = ask(&service, "PATCH", path, TOKEN, &permissions).await;
        let (status, granted) = granted.unwrap();
        assert_eq!(status, 200, "{granted}");
        let made = ask(&service, "POST", "/v1/agents/ci/keys", TOKEN, &json!({})).await;
        let key = made.unwrap().1["key"].as_str().unwrap().to_owned();
        Self { service, key }
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let path = format!("{PLACE}{path}");
        let answer = ask(&self.service, "GET", &path, &self.key, &Value::Null).await;
        answer.unwrap()
    }

    async fn put_policy(&self, document: &'static str) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let put = client
            .put(format!("http://{}/v1/policy", self.service.address))
            .header("host", BASE_URL.trim_start_matches("http://"))
            .header("content-type", "application/toml")
            .header("if-match", "\"0\"")
            .bearer_auth(TOKEN)
            .body(document);
        let answer = put.send().await.unwrap();
        let status = answer.status();
        assert!(status.is_success(), "{}", answer.text().await.unwrap());
    }

    async fn put_stored_key(&self, key: &str) {
        let path = "/v1/agents/ci/upstream-keys/cloudflare";
        let put = ask(&self.service, "PUT", path, TOKEN, &json!({"api_key": key})).await;
        assert_eq!(put.unwrap().0, 204);
    }
}

#[tokio::test]
async fn an_agent_reads_what_is_granted_with_the_services_token_and_nothing_else() {
    let mut sandbox = Sandbox::new().await;
    let grants = [
        ("dns.record.read", "zone", "z1"),
        ("zone.read", "zone", "z1"),
        ("account.read", "account", "*"),
    ];
    let stage = Stage::new(&mut sandbox, &grants).await;
    let record = json!({"type": "A", "name": "www.example.com", "content": "192.0.2.1"});
    sandbox.upstream.put_record("z1", &record);
    sandbox.upstream.name_account("a1", "Example");
    let (status, body) = stage.get("/zones/z1/dns_records").await;
    assert_eq!(status, 200, "{body}");
    assert_eq!(body["result"][0]["content"], "192.0.2.1");
    assert_eq!(stage.get("/zones/z1").await.0, 200);
    assert_eq!(stage.get("/accounts/a1").await.0, 200);
    let count = sandbox.upstream.requests().len();
    for path in ["/zones/z2/dns_records", "/zones", "/zones/z1/rulesets"] {
        let (status, body) = stage.get(path).await;
        assert_eq!((status, &body["errors"][0]["code"]), (403, &json!(99403)));
        let message = body["errors"][0]["message"].as_str().unwrap();
        assert!(message.contains("no grant"), "{message}");
    }
    assert_eq!(sandbox.upstream.requests().len(), count);
    // Upstream has the service's token, and nothing of the agent's.
    for request in sandbox.upstream.requests() {
        let headers = format!("{:?}", request.headers);
        assert!(!headers.contains(&stage.key), "{headers}");
    }
}

#[tokio::test]
async fn an_agents_own_cloudflare_key_goes_before_the_services() {
    let mut sandbox = Sandbox::new().await;
    let grants = [("zone.read", "zone", "z1")];
    let stage = Stage::new(&mut sandbox, &grants).await;
    stage.put_stored_key("an-own-token-of-this-agent").await;
    let (status, body) = stage.get("/zones/z1").await;
    // Cloudflare's own refusal of a token that it does not know.
    assert_eq!((status, &body["errors"][0]["code"]), (403, &json!(10_000)));
    let requests = sandbox.upstream.requests();
    let sent = requests.last().unwrap().header("authorization").to_owned();
    assert_eq!(sent, "Bearer an-own-token-of-this-agent");
    stage.put_stored_key(sandbox.upstream.token()).await;
    assert_eq!(stage.get("/zones/z1").await.0, 200);
}

#[tokio::test]
async fn a_lock_a_block_and_a_rule_hold_for_reads() {
    let mut sandbox = Sandbox::new().await;
    let grants = [("zone.read", "zone", "*"), ("dns.record.read", "zone", "*")];
    let stage = Stage::new(&mut sandbox, &grants).await;
    stage
        .put_policy(
            "engine = \"lpp-cel/1\"\n[[rule]]\nid = \"no-zone\"\npriority = 100\naction = \"deny\"\n\
             operations = [\"zone.read\"]\nwhen = 'scope.id == \"z2\"'\nreason = \"z2 is not yours\"\n",
        )
        .await;
    assert_eq!(stage.get("/zones/z1").await.0, 200);
    for path in ["/zones/z2", "/zones"] {
        let (status, body) = stage.get(path).await;
        assert_eq!(status, 403, "{path}: {body}");
        assert_eq!(body["errors"][0]["code"], 99403);
        assert!(body.to_string().contains("no-zone"), "{body}");
    }
    let lock =
        json!({"target": {"kind": "operation", "id": "dns.record.read"}, "reason": "it loops"});
    let set = ask(&stage.service, "POST", "/v1/locks", TOKEN, &lock).await;
    assert!(set.unwrap().0 < 300);
    let (status, body) = stage.get("/zones/z1/dns_records").await;
    assert_eq!((status, &body["errors"][0]["code"]), (403, &json!(99423)));
    let block = json!({"kind": "agent", "value": "ci", "duration": "1h", "reason": "it loops"});
    let set = ask(&stage.service, "POST", "/v1/blocks", TOKEN, &block).await;
    assert_eq!(set.unwrap().0, 201);
    let (status, body) = stage.get("/zones/z1").await;
    assert_eq!((status, &body["errors"][0]["code"]), (403, &json!(99403)));
    assert!(body.to_string().contains("blocked"), "{body}");
}

#[tokio::test]
async fn what_only_the_proxy_carries_is_no_apply_and_can_be_granted_and_allowed() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox, &[("zone.read", "zone", "z1")]).await;
    let (status, catalog) = ask(&stage.service, "GET", "/v1/operations", TOKEN, &Value::Null)
        .await
        .unwrap();
    assert_eq!(status, 200);
    let operations = catalog["operations"].as_array().unwrap();
    assert!(
        operations
            .iter()
            .any(|operation| operation["operation_id"] == "workers.secret.write")
    );
    stage.service.grant(&["zone.read"]).await;
    let task = stage.service.open_task().await;
    let operation = json!({
        "operation_id": "zone.read", "scope_type": "zone", "scope_id": "z1", "params": {},
    });
    let reply = stage.service.apply(&task, "first", &operation).await;
    assert_eq!(reply.status, 400, "{}", reply.text);
    assert!(reply.text.contains("through the proxy"), "{}", reply.text);
}
