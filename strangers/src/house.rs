//! The whole surface over a ledger of its own, with somebody in every role.

#![expect(
    clippy::expect_used,
    reason = "a house that cannot be built ends the run"
)]

use api::passkey::RelyingParty;
use api::{ApiConfig, AppState, JwtSettings, Services, build_router};
use app::Subject;
use app::token::capability::CapabilityToken;
use app::token::link::{EnrolmentLink, Resume};
use axum::Router;
use axum::body::Body;
use fixtures::approver::SoftApprover;
use fixtures::clock::TestClock;
use fixtures::commands::{administrator, agent, create_task, ssl_mode, submit};
use fixtures::rules::{APPROVER, MASTER_KEY};
use fixtures::test_ledger::signing;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt as _;
use ledger::aggregate::Approval;
use ledger::command::{CreateTask, IssuedToken};
use ledger::seal::MasterKeys;
use ledger::{
    CallbackPolicy, ChallengeKey, Clock as _, EnrolmentId, Ledger, LedgerOptions, Rules, WriterTask,
};
use projections::{ProjectionOptions, Projections};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;
use zeroize::Zeroizing;

/// What every secret of the house contains.
pub(crate) const SECRET: &str = "0123456789-secret-0123456789-secret";
const CLIENT: &str = "client-a";

/// A request and what its path, headers and body say.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// What came back, read to its end.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A task and its token.
struct Resident {
    task_id: String,
    token: String,
}

impl Resident {
    fn of(state: &AppState, issued: &IssuedToken) -> Self {
        let token = CapabilityToken::sign(&state.keys.capability, &issued.claims);
        Self {
            task_id: issued.task.id.to_string(),
            token: token.expect("a token").into_revealed(),
        }
    }
}

pub(crate) struct House {
    runtime: Runtime,
    router: Router,
    state: AppState,
    clock: TestClock,
    /// `(method, path template)` of every route.
    pub(crate) routes: Vec<(String, String)>,
    staying: Resident,
    /// Whose task may be closed.
    leaving: Resident,
    bootstrap: String,
    resume_token: String,
    apply_id: String,
    approval_link: String,
    enrolment_link: String,
    _writer: WriterTask,
    _folder: tempfile::TempDir,
}

impl House {
    pub(crate) fn build() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(Building::begin()).into_house(runtime)
    }

    /// A path template with what is there in its places.
    pub(crate) fn filled(&self, template: &str) -> String {
        let link = if template.contains("/enrol/") {
            &self.enrolment_link
        } else {
            &self.approval_link
        };
        template
            .replace("{task_id}", &self.resident(template).task_id)
            .replace("{resume_token}", &self.resume_token)
            .replace("{apply_id}", &self.apply_id)
            .replace("{link}", link)
            .replace("entries/{path}", "entries/000.p/1")
            .replace("{path}", "0/000.p/1")
            .replace("{agent}", "somebody")
            .replace("{principal}", "somebody")
    }

    /// Signs as the client that everything is bound to.
    pub(crate) fn sign(&self, headers: &mut HeaderMap) {
        let subject = Subject::parse(CLIENT).expect("a subject");
        let now = self.clock.now();
        let signature = self.state.keys.subject.sign(&subject, now);
        set(headers, "x-client-subject", CLIENT);
        set(
            headers,
            "x-client-subject-ts",
            &now.as_seconds().to_string(),
        );
        set(headers, "x-client-subject-sig", &signature);
    }

    fn resident(&self, template: &str) -> &Resident {
        if template.ends_with("/close") {
            &self.leaving
        } else {
            &self.staying
        }
    }

    /// Shows the task's token, or the administrator's.
    pub(crate) fn show_token(&self, headers: &mut HeaderMap, template: &str, is_agent: bool) {
        let token = if is_agent {
            &self.resident(template).token
        } else {
            &self.bootstrap
        };
        set(headers, "authorization", &format!("Bearer {token}"));
    }

    /// Asks. `None` where it is not a request that a server would hand on.
    pub(crate) fn ask(&self, asked: Asked<'_>) -> Option<Answered> {
        let mut request = Request::builder()
            .method(asked.method)
            .uri(asked.path)
            .body(Body::from(asked.body))
            .ok()?;
        *request.headers_mut() = asked.headers;
        let router = self.router.clone();
        Some(self.runtime.block_on(async {
            let response: Response<Body> = match router.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            let (parts, body) = response.into_parts();
            let body = body.collect().await.expect("an answer has a body");
            Answered {
                status: parts.status.as_u16(),
                headers: parts.headers,
                body: body.to_bytes().to_vec(),
            }
        }))
    }
}

fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    headers.insert(name, value.parse().expect("a header's value"));
}

/// A house whose people have not moved in.
struct Building {
    state: AppState,
    clock: TestClock,
    staying: IssuedToken,
    leaving: IssuedToken,
    approval: Arc<Approval>,
    apply_id: String,
    writer: WriterTask,
    folder: tempfile::TempDir,
}

impl Building {
    async fn begin() -> Self {
        let (config, clock) = (config(), TestClock::default());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = |name: &str| format!("sqlite://{}/{name}.db", folder.path().display());
        let mut options = LedgerOptions::new(file("test.ledger"), rules(&config));
        options.clock = Arc::new(clock.clone());
        options.signing = Some(signing(&[7; 32], folder.path().join("state")));
        let (ledger, writer) = Ledger::open(options).await.expect("a ledger");
        let options = ProjectionOptions {
            url: file("test"),
            ledger: ledger.clone(),
        };
        let (projections, runner) = Projections::open(options).await.expect("read tables");
        tokio::spawn(runner.run(CancellationToken::new()));
        let (staying, apply_id, approval) = people(&ledger).await;
        let leaving = task(&ledger).await;
        let services = Services {
            ledger,
            projections,
            readiness: Arc::new(Vec::new),
            metrics: None,
            ending: CancellationToken::new(),
        };
        let state = AppState::new(config, services);
        Self {
            state,
            clock,
            staying,
            leaving,
            approval,
            apply_id,
            writer,
            folder,
        }
    }

    fn into_house(self, runtime: Runtime) -> House {
        let Self {
            state,
            clock,
            staying,
            leaving,
            approval,
            apply_id,
            writer,
            folder,
        } = self;
        let link = |url: &str| url.rsplit('/').next().unwrap_or_default().to_owned();
        let enrolment = EnrolmentLink {
            enrolment_id: EnrolmentId::from_bytes([1; 16]),
            principal: "somebody".to_owned(),
            exp: clock.now().as_seconds() + 600,
        };
        let enrolment = state.enrolment_url(enrolment).expect("a link");
        let approval_url = state.approval_url(&approval).expect("a link");
        let resume = Resume {
            approval_id: approval.id,
            task_id: approval.task_id,
            fingerprint: approval.fingerprint.to_string(),
            iat: clock.now().as_seconds(),
        };
        let resume = state.keys.resume.sign(resume).expect("a token");
        let claims = bootstrap(&state, clock.now().as_seconds());
        let router = build_router(state.clone()).expect("the surface");
        let mut house = House {
            staying: Resident::of(&state, &staying),
            leaving: Resident::of(&state, &leaving),
            bootstrap: state.keys.bootstrap.sign(&claims).expect("a token"),
            resume_token: resume.into_revealed(),
            apply_id,
            approval_link: link(&approval_url),
            enrolment_link: link(&enrolment),
            routes: Vec::new(),
            runtime,
            router,
            state,
            clock,
            _writer: writer,
            _folder: folder,
        };
        house.routes = house.described();
        house
    }
}

impl House {
    fn described(&self) -> Vec<(String, String)> {
        let asked = Asked {
            method: "GET",
            path: "/v1/openapi.json".to_owned(),
            headers: HeaderMap::new(),
            body: Vec::new(),
        };
        let answer = self.ask(asked).expect("a request");
        let description: Value = serde_json::from_slice(&answer.body).expect("it is JSON");
        let paths = description.get("paths").and_then(Value::as_object);
        let mut routes = Vec::new();
        for (path, item) in paths.into_iter().flatten() {
            for method in ["get", "post", "patch"] {
                if item.get(method).is_some() {
                    routes.push((method.to_ascii_uppercase(), path.clone()));
                }
            }
        }
        routes
    }
}

/// A task whose apply waits for a human, who has a passkey.
async fn people(ledger: &Ledger) -> (IssuedToken, String, Arc<Approval>) {
    let alice = SoftApprover::new(APPROVER);
    let registered = ledger.execute(administrator(), alice.registration()).await;
    let _ = registered.expect("a passkey is registered");
    let token = task(ledger).await;
    let asked = submit(&token, "first", vec![ssl_mode("strict")]);
    let asked = ledger
        .execute(agent(&token), asked)
        .await
        .expect("it is decided");
    let asked = asked.expect("it is asked for");
    let approval = asked.approval.clone().expect("it waits");
    (token, asked.apply.id.to_string(), approval)
}

async fn task(ledger: &Ledger) -> IssuedToken {
    let task = CreateTask {
        subject: CLIENT.to_owned(),
        token_ttl: Duration::from_secs(3600),
        ..create_task()
    };
    let made = ledger.execute(administrator(), task).await;
    made.expect("a task is made")
}

fn bootstrap(state: &AppState, now: i64) -> Value {
    json!({
        "iss": state.keys.bootstrap.issuer(),
        "aud": state.keys.bootstrap.audience(),
        "sub": "agent:ci",
        "jti": "bootstrap-1",
        "exp": now + 3600,
        "bindings": {"mtls_subject": CLIENT},
        "can_issue_tasks": true,
        "can_manage_permissions": true,
        "can_manage_approvers": true,
        "can_audit": true,
    })
}

fn secret(name: &str) -> SecretString {
    SecretString::from(format!("{name}-{SECRET}"))
}

fn jwt(name: &str) -> JwtSettings {
    JwtSettings {
        secret: secret(name),
        issuer: name.to_owned(),
        audience: format!("{name}-api"),
    }
}

fn config() -> ApiConfig {
    let ttl = Duration::from_secs(90);
    let origin = "http://localhost:8080";
    ApiConfig {
        base_url: origin.parse().expect("a URL"),
        capability_jwt: jwt("capability"),
        bootstrap_jwt: jwt("bootstrap"),
        subject_secret: secret("subject"),
        approval_link_secret: secret("link"),
        resume_token_secret: secret("resume"),
        challenge_ttl: ttl,
        relying_party: RelyingParty::new("localhost", origin, ttl).expect("a relying party"),
        simulated: true,
        callback_policy: CallbackPolicy::new(["localhost"]).expect("a policy"),
        rate_limit_rps: 0,
        body_patience: Duration::from_secs(30),
    }
}

fn rules(config: &ApiConfig) -> Rules {
    let link_secret = config.approval_link_secret.expose_secret().as_bytes();
    Rules {
        approval_ttl: Duration::from_secs(600),
        approvers: vec![APPROVER.to_owned()],
        callback_max_attempts: 5,
        rp_id: "localhost".to_owned(),
        origin: "http://localhost:8080".to_owned(),
        challenge_key: ChallengeKey::derive(link_secret),
        master_keys: Arc::new(MasterKeys::new(&Zeroizing::new(MASTER_KEY), &[])),
        token_issuer: config.capability_jwt.issuer.clone(),
        token_audience: config.capability_jwt.audience.clone(),
        quotas: ledger::Quotas::default(),
    }
}
