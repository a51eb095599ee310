//! Deploys of Workers as clients make them, through the real binary: files first, then the script that names them, then
//! what follows from it, with one approval.

use crate::logins::{TOKEN, ask};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fixtures::approver::SoftApprover;
use fixtures::sandbox::{BASE_URL, Sandbox};
use fixtures::service::Service;
use serde_json::{Value, json};

const BASE: &str = "/proxy/cloudflare/client/v4";
const SCRIPT: &str = "/accounts/a1/workers/scripts/shop";
/// The waits that a client declares, for calls that are held for one and for 45 seconds.
const SHORT: u32 = 2;
const LONG: u32 = 60;

struct Stage {
    service: Service,
    key: String,
    other: String,
    alice: SoftApprover,
}

/// What a request is answered.
#[derive(Debug)]
struct Answered {
    status: u16,
    body: Value,
}

impl Answered {
    fn number(&self) -> u64 {
        self.body["errors"][0]["code"].as_u64().unwrap_or_default()
    }

    /// The link of the question that it tells of.
    fn link(&self) -> String {
        assert_eq!((self.status, self.number()), (403, 99202), "{self:?}");
        let message = self.body["errors"][0]["message"].as_str().unwrap();
        let from = message.find(BASE_URL).unwrap();
        let mut words = message[from..].split_whitespace();
        words.next().unwrap().to_owned()
    }
}

impl Stage {
    async fn new(sandbox: &mut Sandbox) -> Self {
        sandbox.settings.insert("SERVICE_TOKEN", TOKEN.to_owned());
        let service = sandbox.start().await;
        let mut keys = Vec::new();
        for agent in ["ci", "rival"] {
            let made = ask(
                &service,
                "POST",
                "/v1/agents",
                TOKEN,
                &json!({"agent": agent}),
            )
            .await;
            assert_eq!(made.unwrap().0, 201);
            let permissions = json!({"permissions": [{
                "operation_id": "workers.read", "scope_type": "account", "scope_id": "*", "granted_level": "read",
            }]});
            let path = format!("/v1/agents/{agent}/permissions");
            let granted = ask(&service, "PATCH", &path, TOKEN, &permissions).await;
            assert_eq!(granted.unwrap().0, 200);
            let path = format!("/v1/agents/{agent}/keys");
            let made = ask(&service, "POST", &path, TOKEN, &json!({})).await;
            keys.push(made.unwrap().1["key"].as_str().unwrap().to_owned());
        }
        let alice = SoftApprover::new("alice");
        service.register(&alice).await;
        let other = keys.pop().unwrap();
        Self {
            service,
            key: keys.pop().unwrap(),
            other,
            alice,
        }
    }

    async fn send(
        &self,
        (method, path): (&str, &str),
        credential: &str,
        (content_type, body): (&str, Vec<u8>),
        declared: u32,
    ) -> Answered {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("http://{}{BASE}{path}", self.service.address);
        let request = client
            .request(method.parse().unwrap(), url)
            .header("host", BASE_URL.trim_start_matches("http://"))
            .header("content-type", content_type)
            .header("x-stainless-timeout", declared.to_string())
            .bearer_auth(credential)
            .body(body);
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let body = answer.bytes().await.unwrap();
        Answered {
            status,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    async fn json(&self, line: (&str, &str), body: &Value, declared: u32) -> Answered {
        let body = ("application/json", body.to_string().into_bytes());
        self.send(line, &self.key, body, declared).await
    }

    /// Opens an upload; the token, and the hashes of files that are missing.
    async fn open(&self, key: &str, script: &str) -> (String, Value) {
        let manifest = json!({"manifest": {"/index.html": {"hash": "0a0a", "size": 4}}});
        let path = format!("/accounts/a1/workers/scripts/{script}/assets-upload-session");
        let body = ("application/json", manifest.to_string().into_bytes());
        let opened = self.send(("POST", &path), key, body, SHORT).await;
        assert_eq!(opened.status, 200, "{opened:?}");
        let result = &opened.body["result"];
        (
            result["jwt"].as_str().unwrap().to_owned(),
            result["buckets"].clone(),
        )
    }

    async fn upload(&self, token: &str, content: &str) -> Answered {
        let coded = STANDARD.encode(content);
        let form = form(&[("0a0a", "text/html", &coded)]);
        let line = ("POST", "/accounts/a1/workers/assets/upload?base64=true");
        self.send(line, token, form, SHORT).await
    }

    /// The token that stands for the files, however far they were uploaded before.
    async fn files(&self, script: &str) -> String {
        let (token, missing) = self.open(&self.key, script).await;
        if missing == json!([]) {
            return token;
        }
        let uploaded = self.upload(&token, "page").await;
        assert_eq!(uploaded.status, 200, "{uploaded:?}");
        uploaded.body["result"]["jwt"].as_str().unwrap().to_owned()
    }

    async fn version(&self, assets: Option<&str>, declared: u32) -> Answered {
        let mut metadata = json!({"main_module": "a.js"});
        if let Some(token) = assets {
            metadata["assets"] = json!({"jwt": token});
        }
        let form = form(&[
            ("metadata", "application/json", &metadata.to_string()),
            ("a.js", "application/javascript+module", "export default {}"),
        ]);
        let path = format!("{SCRIPT}/versions?bindings_inherit=strict");
        self.send(("POST", &path), &self.key, form, declared).await
    }

    async fn deploy(&self, version: &str, declared: u32) -> Answered {
        let body = json!({
            "strategy": "percentage", "versions": [{"version_id": version, "percentage": 100}], "annotations": {},
        });
        let path = format!("{SCRIPT}/deployments");
        self.json(("POST", &path), &body, declared).await
    }

    async fn decide(&self, link: &str, decision: &str) {
        let caller = &self.service.caller;
        let decided = caller.decide(&self.alice, link, decision, None).await;
        let reply = decided.unwrap();
        assert_eq!(reply.status, 200, "{}", reply.text);
    }

    async fn page(&self, link: &str) -> String {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let path = link.strip_prefix(BASE_URL).unwrap();
        let page = client
            .get(format!("http://{}{path}", self.service.address))
            .header("host", BASE_URL.trim_start_matches("http://"))
            .header("accept", "text/html");
        page.send().await.unwrap().text().await.unwrap()
    }

    async fn check(self, sandbox: &Sandbox) {
        assert!(self.service.stop().await.success());
        let checked = sandbox.run("ledger check");
        assert!(checked.status.success(), "{checked:?}");
    }
}

fn form(parts: &[(&str, &str, &str)]) -> (&'static str, Vec<u8>) {
    let mut body = String::new();
    for (name, content_type, content) in parts {
        body.push_str(&format!(
            "--edge\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{name}\"\r\n\
             Content-Type: {content_type}\r\n\r\n{content}\r\n"
        ));
    }
    body.push_str("--edge--\r\n");
    ("multipart/form-data; boundary=edge", body.into_bytes())
}

#[tokio::test]
async fn one_approval_covers_the_version_its_deployment_settings_and_address_once_each() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let subdomain = format!("{SCRIPT}/subdomain");
    let subdomain = ("POST", subdomain.as_str());
    let published = json!({"enabled": true});
    // What ended before the upload does not go before its approval.
    let early = stage.json(subdomain, &published, SHORT).await.link();
    stage.decide(&early, "deny").await;
    let asked = stage.version(None, SHORT).await.link();
    let page = stage.page(&asked).await;
    assert!(
        page.contains("Also allowed, once each, within 10 minutes"),
        "{page}"
    );
    let (made, ()) = tokio::join!(stage.version(None, LONG), stage.decide(&asked, "approve"));
    assert_eq!(made.status, 200, "{made:?}");
    let version = made.body["result"]["id"].as_str().unwrap().to_owned();
    let settings = format!("{SCRIPT}/script-settings");
    let settings = ("PATCH", settings.as_str());
    let more = json!({"observability": {"enabled": false}, "tags": [], "logpush": true});
    stage.json(settings, &more, SHORT).await.link();
    let allowed = json!({"observability": {"enabled": false}, "tags": []});
    // Previews of every version would be public, of which the page says nothing.
    let previews = json!({"enabled": true, "previews_enabled": true});
    stage.json(subdomain, &previews, SHORT).await.link();
    for answered in [
        stage.deploy(&version, SHORT).await,
        stage.json(settings, &allowed, SHORT).await,
        stage.json(subdomain, &published, SHORT).await,
    ] {
        assert_eq!(answered.status, 200, "{answered:?}");
    }
    // Each once, and nothing else.
    stage
        .json(subdomain, &json!({"enabled": false}), SHORT)
        .await
        .link();
    stage.deploy(&version, SHORT).await.link();
    let schedules = format!("{SCRIPT}/schedules");
    let link = stage
        .json(("PUT", &schedules), &json!([{"cron": "0 3 * * *"}]), SHORT)
        .await
        .link();
    let page = stage.page(&link).await;
    assert!(
        page.contains("It follows a request that was carried out"),
        "{page}"
    );
    assert_eq!(sandbox.upstream.mutations("deployments").len(), 1);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn what_a_deploys_approval_allows_besides_outlives_a_restart_and_is_still_allowed_once() {
    let mut sandbox = Sandbox::new().await;
    let mut stage = Stage::new(&mut sandbox).await;
    let asked = stage.version(None, SHORT).await.link();
    let (made, ()) = tokio::join!(stage.version(None, LONG), stage.decide(&asked, "approve"));
    assert_eq!(made.status, 200, "{made:?}");
    let version = made.body["result"]["id"].as_str().unwrap().to_owned();
    let subdomain = format!("{SCRIPT}/subdomain");
    let subdomain = ("POST", subdomain.as_str());
    let published = stage
        .json(subdomain, &json!({"enabled": true}), SHORT)
        .await;
    assert_eq!(published.status, 200, "{published:?}");
    assert!(stage.service.stop().await.success());
    stage.service = sandbox.start().await;
    // What is in force is the same; what was used up stays used up.
    stage
        .json(subdomain, &json!({"enabled": false}), SHORT)
        .await
        .link();
    let deployed = stage.deploy(&version, SHORT).await;
    assert_eq!(deployed.status, 200, "{deployed:?}");
    stage.deploy(&version, SHORT).await.link();
    assert_eq!(sandbox.upstream.mutations("deployments").len(), 1);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn a_denial_of_what_follows_ends_what_was_allowed() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let asked = stage.version(None, SHORT).await.link();
    let (made, ()) = tokio::join!(stage.version(None, LONG), stage.decide(&asked, "approve"));
    let version = made.body["result"]["id"].as_str().unwrap().to_owned();
    let schedules = format!("{SCRIPT}/schedules");
    let link = stage
        .json(("PUT", &schedules), &json!([]), SHORT)
        .await
        .link();
    stage.decide(&link, "deny").await;
    stage.deploy(&version, SHORT).await.link();
    assert_eq!(sandbox.upstream.mutations("deployments").len(), 0);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn the_same_deploy_with_the_token_of_another_upload_finds_the_approval() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let first = stage.files("shop").await;
    let asked = stage.version(Some(&first), SHORT).await.link();
    let page = stage.page(&asked).await;
    assert!(page.contains("/index.html"), "{page}");
    stage.decide(&asked, "approve").await;
    let second = stage.files("shop").await;
    assert_ne!(first, second);
    let made = stage.version(Some(&second), SHORT).await;
    assert_eq!(made.status, 200, "{made:?}");
    let sent = sandbox.upstream.mutations("versions");
    assert_eq!(sent.len(), 1);
    let body = String::from_utf8_lossy(&sent[0].body).into_owned();
    assert!(
        body.contains(&second) && !body.contains(&format!("{first}\"")),
        "{body}"
    );
    stage.check(&sandbox).await;
    let bytes = std::fs::read(sandbox.ledger_file()).unwrap();
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(!holds("-complete"), "no token is recorded");
}

#[tokio::test]
async fn a_tasks_token_deploys_with_static_files_to_the_account_that_it_names_and_no_other() {
    let mut sandbox = Sandbox::new().await;
    let mut stage = Stage::new(&mut sandbox).await;
    let operations = ["workers.read", "workers.deploy.write"].map(
        |operation| json!({"operation_id": operation, "scope_type": "account", "scope_id": "a1"}),
    );
    let task = json!({
        "task_name": "deploy", "agent": "ci", "subject": "client-a", "proxy": true, "operations": operations,
    });
    let made = ask(&stage.service, "POST", "/v1/tasks", TOKEN, &task).await;
    let (status, made) = made.unwrap();
    assert_eq!(status, 201, "{made}");
    stage.key = made["capability_token"].as_str().unwrap().to_owned();
    let elsewhere = "/accounts/a2/workers/scripts/shop/assets-upload-session";
    let manifest = json!({"manifest": {"/index.html": {"hash": "0a0a", "size": 4}}});
    let refused = stage.json(("POST", elsewhere), &manifest, SHORT).await;
    assert_eq!(
        (refused.status, refused.number()),
        (403, 99403),
        "{refused:?}"
    );
    let files = stage.files("shop").await;
    let asked = stage.version(Some(&files), SHORT).await.link();
    let (made, ()) = tokio::join!(
        stage.version(Some(&files), LONG),
        stage.decide(&asked, "approve")
    );
    assert_eq!(made.status, 200, "{made:?}");
    let version = made.body["result"]["id"].as_str().unwrap().to_owned();
    let deployed = stage.deploy(&version, SHORT).await;
    assert_eq!(deployed.status, 200, "{deployed:?}");
    assert_eq!(sandbox.upstream.mutations("assets/upload").len(), 1);
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn files_go_up_with_their_own_token_and_as_the_manifest_says_alone() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let (token, _) = stage.open(&stage.key, "shop").await;
    let key = stage.key.clone();
    for credential in [key.as_str(), "upload-99", "another"] {
        let refused = stage.upload(credential, "page").await;
        assert_eq!(
            (refused.status, refused.number()),
            (401, 99401),
            "{refused:?}"
        );
    }
    let refused = stage.upload(&token, "pages").await;
    assert_eq!(
        (refused.status, refused.number()),
        (400, 99400),
        "another length: {refused:?}"
    );
    assert_eq!(stage.upload(&token, "page").await.status, 200);
    let sent = sandbox.upstream.mutations("assets/upload");
    let [sent] = sent.as_slice() else {
        panic!("{sent:?}");
    };
    assert_eq!(sent.header("authorization"), format!("Bearer {token}"));
    let refused = stage.upload(&token, "Page").await;
    assert_eq!(
        (refused.status, refused.number()),
        (400, 99400),
        "other bytes: {refused:?}"
    );
    stage.check(&sandbox).await;
}

#[tokio::test]
async fn files_of_another_agent_or_script_and_tokens_of_nobody_are_refused() {
    let mut sandbox = Sandbox::new().await;
    let stage = Stage::new(&mut sandbox).await;
    let own = stage.files("shop").await;
    let (of_rival, missing) = stage.open(&stage.other, "shop").await;
    assert_eq!(missing, json!([]), "upstream has the file");
    let (of_other_script, _) = stage.open(&stage.key, "other").await;
    for token in [of_rival.as_str(), of_other_script.as_str(), "forged"] {
        let refused = stage.version(Some(token), SHORT).await;
        assert_eq!(
            (refused.status, refused.number()),
            (403, 99403),
            "{token}: {refused:?}"
        );
    }
    stage.version(Some(&own), SHORT).await.link();
    assert_eq!(sandbox.upstream.mutations("versions").len(), 0);
    stage.check(&sandbox).await;
}
