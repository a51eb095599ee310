//! A surface for tests: a ledger of its own in a temporary folder, a clock that stands still until it
//! is moved, and known secrets.

use crate::problem::Fault;
use crate::router::build_router;
use crate::schemes::{self, Scheme};
use crate::state::{ApiConfig, AppState, JwtSettings, Services};
use app::identity::session::SessionPointer;
use app::passkey::RelyingParty;
use app::token::capability::CapabilityToken;
use axum::Router;
use axum::body::Body;
use axum::response::Response;
use fixtures::clock::TestClock;
use fixtures::people;
use fixtures::scope_names::KnownNames;
use fixtures::test_ledger::{SIGNING_SEED, Setup, TestLedger};
use http::Request;
use http::request::Builder;
use ledger::aggregate::User;
use ledger::command::{AllowedEntry, CreateTask, EndSession, IssuedToken};
use ledger::event::{Assurance, SessionEnd, SessionTokenHash, Via};
use ledger::{
    Actor, AgentName, ApproverName, CallbackPolicy, ChallengeKey, ClientSubject, Clock, MasterKeys,
    Origin, Role, Rules, ScopePattern, SessionId, Timestamp, UserId,
};
use ledger_sqlite::SystemRandom;
use projections::{ProjectionOptions, Projections};
use providers::cloudflare;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The time at which every stage begins.
pub(crate) const BEGIN: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// The client that test tokens are bound to.
pub(crate) const CLIENT: &str = "client-a";

/// The agent that test tasks belong to.
pub(crate) const AGENT: &str = "ci";

pub(crate) const SERVICE_TOKEN: &str = "service-token-of-forty-random-characters";

pub(crate) const AGENT_API_KEY: &str = "agent-api-key-of-forty-random-characters";

/// How long a test waits for what must come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// The whole surface over a fresh ledger that signs checkpoints and has one.
pub(crate) struct Stage {
    pub(crate) state: AppState,
    pub(crate) clock: TestClock,
    pub(crate) router: Router,
    _ledger: TestLedger,
}

impl Stage {
    pub(crate) async fn new() -> Self {
        Self::with(|_| ()).await
    }

    /// With other settings than the usual ones.
    pub(crate) async fn with(change: impl FnOnce(&mut ApiConfig)) -> Self {
        Self::build(change, true, schemes::all()).await
    }

    /// Without a key for checkpoints.
    pub(crate) async fn unsigned() -> Self {
        Self::build(|_| (), false, schemes::all()).await
    }

    /// With other ways of proving who calls.
    pub(crate) async fn with_schemes(schemes: Vec<Box<dyn Scheme>>) -> Self {
        Self::build(|_| (), true, schemes).await
    }

    async fn build(
        change: impl FnOnce(&mut ApiConfig),
        is_signed: bool,
        schemes: Vec<Box<dyn Scheme>>,
    ) -> Self {
        let mut config = config();
        change(&mut config);
        let clock = TestClock::at(BEGIN);
        let setup = Setup {
            rules: rules(&config),
            clock: clock.clone(),
            random: Arc::new(SystemRandom),
            signing: is_signed.then_some(SIGNING_SEED),
            ..Setup::default()
        };
        let ledger = TestLedger::with(setup).await;
        if let Some(checkpoints) = ledger.checkpoints() {
            checkpoints.covering(0, PATIENCE).await.unwrap();
        }
        let options = ProjectionOptions {
            url: format!("sqlite://{}/test.db", ledger.dir().display()),
            ledger: ledger.ledger.clone(),
        };
        let (projections, runner) = Projections::open(options).await.unwrap();
        tokio::spawn(runner.run(CancellationToken::new()));
        let services = Services {
            ledger: ledger.ledger.clone(),
            projections,
            scope_names: Arc::new(KnownNames),
            places: app::edge::Places::default(),
            readiness: Arc::new(Vec::new),
            metrics: None,
            ending: CancellationToken::new(),
        };
        let state = AppState::with_schemes(config, services, schemes);
        let router = build_router(state.clone()).unwrap();
        Self {
            state,
            clock,
            router,
            _ledger: ledger,
        }
    }

    /// A request with signed subject headers, whose body is JSON if it has one.
    pub(crate) fn signed(&self, method: &str, path: &str, client: &str) -> Builder {
        let subject = ClientSubject::parse(client).unwrap();
        let now = self.clock.now();
        Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("host", "localhost:8080")
            .header("x-client-subject", client)
            .header("x-client-subject-ts", now.as_seconds().to_string())
            .header(
                "x-client-subject-sig",
                self.state.keys.subject.sign(&subject, now),
            )
    }

    /// Sends a request of the usual client.
    pub(crate) async fn send(&self, method: &str, path: &str, token: &str, body: &Value) -> Answer {
        self.send_with(method, path, token, &[], body).await
    }

    /// As [`Self::send`], with more headers; a null body is no body.
    pub(crate) async fn send_with(
        &self,
        method: &str,
        path: &str,
        token: &str,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Answer {
        let mut request = self
            .signed(method, path, CLIENT)
            .header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            Body::from(body.to_string())
        };
        let response = self
            .router
            .clone()
            .oneshot(request.body(body).unwrap())
            .await
            .unwrap();
        Answer::of(response).await
    }

    /// A bootstrap token, its claims changed as the test needs it.
    pub(crate) fn bootstrap(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = bootstrap_claims(&self.state, self.clock.now());
        change(&mut claims);
        self.state.keys.bootstrap.sign(&claims).unwrap()
    }

    /// A task of an agent that may do everything everywhere, and its token.
    pub(crate) async fn task(&self, agent: &str) -> (IssuedToken, String) {
        let operations = cloudflare::CATALOG
            .map(|operation| AllowedEntry {
                operation,
                scope_id: ScopePattern::every(),
                required_level: None,
                risk_tier: None,
            })
            .to_vec();
        let command = CreateTask {
            agent: AgentName::unchecked(agent),
            subject: ClientSubject::unchecked(CLIENT),
            name: "a task".to_owned(),
            operations,
            agent_callbacks: true,
            proxy: false,
            callback: None,
            token_ttl: Some(Duration::from_secs(300)),
            question: None,
            purpose: ledger::Purpose::default(),
        };
        let ledger = &self.state.app.ledger;
        let issued = ledger
            .execute(Origin::system("test"), command)
            .await
            .unwrap();
        let token = self.sign(&issued);
        (issued, token)
    }

    /// A user of that role, who has a password that nobody knows.
    pub(crate) async fn user(&self, name: &str, role: Role) -> Arc<User> {
        let ledger = &self.state.app.ledger;
        let create = people::create_user(name, role);
        let origin = Origin::system("test");
        ledger.execute(origin, create).await.unwrap()
    }

    /// A session of a new user of that role, who has not shown a passkey.
    pub(crate) async fn session_of(&self, role: Role) -> OpenedSession {
        let mut name = [0; 8];
        self.state.app.ledger.random().fill(&mut name);
        let user = self.user(&hex::encode(name), role).await;
        self.log_in(user.id).await
    }

    /// A session of a user, without asking for the password.
    pub(crate) async fn log_in(&self, user_id: UserId) -> OpenedSession {
        let app = &self.state.app;
        let user = app.ledger.existing::<User>(user_id).await.unwrap();
        let mut open = people::open_session(&app.ledger, user_id, user.epoch);
        let cookie = hex::encode(app.ledger.random().sixteen());
        open.token_hash = SessionTokenHash::from_bytes(Sha256::digest(&cookie).into());
        let actor = Actor::User {
            user_id,
            via: Via::Session,
            via_id: open.session_id,
            assurance: Assurance::Password,
        };
        let origin = Origin {
            actor,
            request_id: None,
        };
        let opened = app.ledger.execute(origin, open).await.unwrap();
        let pointer = SessionPointer {
            sub: user_id,
            sid: opened.session.id,
            epoch: opened.session.epoch,
            exp: opened.session.expires_at.as_seconds(),
        };
        OpenedSession {
            user: user_id,
            id: opened.session.id,
            cookie,
            bearer: app.keys.session.sign(pointer).unwrap().into_revealed(),
        }
    }

    /// Ends a session.
    pub(crate) async fn log_out(&self, session: &OpenedSession) {
        let end = EndSession {
            session_id: session.id,
            why: SessionEnd::LoggedOut,
        };
        let ledger = &self.state.app.ledger;
        ledger.execute(Origin::system("test"), end).await.unwrap();
    }

    /// Another session of the user, who has to change the password.
    pub(crate) async fn must_change(&self, session: OpenedSession) -> OpenedSession {
        let mut set = people::set_password(session.user);
        set.password.must_change = true;
        let ledger = &self.state.app.ledger;
        ledger.execute(Origin::system("test"), set).await.unwrap();
        self.log_in(session.user).await
    }

    /// The token that was issued, signed.
    pub(crate) fn sign(&self, issued: &IssuedToken) -> String {
        let token = CapabilityToken::sign(&self.state.app.keys.capability, &issued.claims).unwrap();
        token.into_revealed()
    }
}

/// A session with what proves it.
pub(crate) struct OpenedSession {
    pub(crate) user: UserId,
    pub(crate) id: SessionId,
    /// The cookie's value.
    pub(crate) cookie: String,
    pub(crate) bearer: String,
}

/// An answer, read.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: http::HeaderMap,
    /// Null when it was not JSON.
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) async fn of(response: Response<Body>) -> Self {
        let (parts, body) = response.into_parts();
        if let Some(Fault(cause)) = parts.extensions.get::<Fault>() {
            // No test expects one, and the answer does not say why.
            println!("{}: {cause:?}", parts.status);
        }
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        Self {
            status: parts.status.as_u16(),
            headers: parts.headers,
            body,
        }
    }

    pub(crate) fn code(&self) -> &str {
        self.body["code"].as_str().unwrap_or("")
    }
}

fn jwt(name: &str, issuer: &str, audience: &str) -> JwtSettings {
    JwtSettings {
        secret: secret(name),
        issuer: issuer.into(),
        audience: audience.into(),
    }
}

fn secret(name: &str) -> SecretString {
    SecretString::from(format!("{name}-0123456789-0123456789-0123456789"))
}

fn config() -> ApiConfig {
    ApiConfig {
        service_token: Some(SERVICE_TOKEN.into()),
        agent_api_key: Some(AGENT_API_KEY.into()),
        body_patience: std::time::Duration::from_secs(30),
        base_url: "http://localhost:8080".parse().unwrap(),
        capability_jwt: jwt("capability", "llm-permission-proxy", "llm-proxy-api"),
        bootstrap_jwt: jwt(
            "bootstrap",
            "llm-permission-proxy-bootstrap",
            "llm-proxy-bootstrap",
        ),
        subject_secret: secret("subject"),
        approval_link_secret: secret("link"),
        resume_token_secret: secret("resume"),
        session_ttl: Duration::from_secs(43_200),
        is_open: false,
        trusted_proxies: Vec::new(),
        challenge_ttl: Duration::from_secs(90),
        relying_party: RelyingParty::new(
            "localhost",
            "http://localhost:8080",
            Duration::from_secs(90),
        )
        .unwrap(),
        simulated: true,
        callback_policy: CallbackPolicy::new(["localhost"]).unwrap(),
        rate_limit_rps: 0,
    }
}

fn rules(config: &ApiConfig) -> Rules {
    let link_secret = config.approval_link_secret.expose_secret().as_bytes();
    Rules {
        approval_ttl: Duration::from_secs(600),
        approvers: ["default", "security"]
            .map(ApproverName::unchecked)
            .to_vec(),
        callback_max_attempts: 5,
        notifiers: Vec::new(),
        push: ledger::PushRules {
            key: ledger::VapidKey::derive(link_secret),
            services: CallbackPolicy::with_domains(["push.example"]).unwrap(),
        },
        rp_id: "localhost".into(),
        origin: "http://localhost:8080".into(),
        challenge_key: ChallengeKey::derive(link_secret),
        master_keys: Arc::new(MasterKeys::new(&[7; 32].into(), &[])),
        token_issuer: config.capability_jwt.issuer.clone(),
        token_audience: config.capability_jwt.audience.clone(),
        quotas: ledger::Quotas::default(),
        providers: providers::all(),
        windows: ledger::policy::WindowClock::new(app::policy::windows_at),
        schedules: app::cron::schedule_clock(),
    }
}

/// The claims of a bootstrap token with every right.
pub(crate) fn bootstrap_claims(state: &AppState, now: Timestamp) -> Value {
    json!({
        "iss": state.keys.bootstrap.issuer(),
        "aud": state.keys.bootstrap.audience(),
        "sub": format!("agent:{AGENT}"),
        "jti": "bootstrap-1",
        "exp": now.as_seconds() + 300,
        "bindings": {"mtls_subject": CLIENT},
        "can_issue_tasks": true,
        "can_manage_permissions": true,
        "can_manage_approvers": true,
        "can_audit": true,
    })
}
