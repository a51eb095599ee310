//! A surface for tests: fixed time, known secrets, and a registry that vouches for what it is told.

use crate::auth::bootstrap::Bindings;
use crate::auth::capability::{
    Answer, CapabilityClaims, CapabilityToken, ResourceScope, TokenRegistry, TokenStanding,
};
use crate::auth::subject::Subject;
use crate::state::{ApiConfig, AppState, JwtSettings, Services};
use axum::body::Body;
use axum::response::Response;
use http::request::Builder;
use http::{Method, Request};
use ledger::{Clock, SystemRandom, TaskId, Timestamp, TokenId};
use secrecy::SecretString;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The time of every test request.
pub(crate) const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);

/// The client that test tokens are bound to.
pub(crate) const CLIENT: &str = "client-a";

struct FixedClock;

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        NOW
    }
}

/// Vouches for tokens that a test has put in.
#[derive(Default)]
pub(crate) struct KnownTokens(Mutex<HashMap<TokenId, TokenStanding>>);

impl KnownTokens {
    pub(crate) fn put(&self, id: TokenId, standing: TokenStanding) {
        self.0.lock().unwrap().insert(id, standing);
    }
}

impl TokenRegistry for KnownTokens {
    fn standing(&self, id: TokenId) -> Answer<'_, Option<TokenStanding>> {
        let standing = self.0.lock().unwrap().get(&id).cloned();
        Box::pin(async move { Ok(standing) })
    }
}

fn jwt(secret: &str, issuer: &str, audience: &str) -> JwtSettings {
    JwtSettings {
        secret: secret.into(),
        issuer: issuer.into(),
        audience: audience.into(),
    }
}

/// Settings with secrets of the right length.
pub(crate) fn config() -> ApiConfig {
    let secret =
        |name: &str| SecretString::from(format!("{name}-0123456789-0123456789-0123456789"));
    ApiConfig {
        base_url: "http://localhost:8080".parse().unwrap(),
        capability_jwt: jwt(
            "capability-0123456789-0123456789",
            "llm-permission-proxy",
            "llm-proxy-api",
        ),
        bootstrap_jwt: jwt(
            "bootstrap-0123456789-0123456789",
            "llm-permission-proxy-bootstrap",
            "llm-proxy-bootstrap",
        ),
        subject_secret: secret("subject"),
        approval_link_secret: secret("link"),
        resume_token_secret: secret("resume"),
        approval_ttl: Duration::from_secs(600),
        challenge_ttl: Duration::from_secs(90),
        approvers: vec!["default".into()],
        webauthn_rp_id: "localhost".into(),
        webauthn_origin: "http://localhost:8080".parse().unwrap(),
        rate_limit_rps: 0,
    }
}

/// A state over a registry.
pub(crate) fn state(config: ApiConfig, tokens: Arc<KnownTokens>) -> AppState {
    let services = Services {
        clock: Arc::new(FixedClock),
        random: Arc::new(SystemRandom),
        tokens,
        readiness: Arc::new(Vec::new),
        metrics: None,
    };
    AppState::new(config, services)
}

/// A request with signed subject headers.
pub(crate) fn signed(state: &AppState, method: Method, path: &str, client: &str) -> Builder {
    let subject = Subject::parse(client).unwrap();
    Request::builder()
        .method(method)
        .uri(path)
        .header("x-client-subject", client)
        .header("x-client-subject-ts", NOW.as_seconds().to_string())
        .header(
            "x-client-subject-sig",
            state.keys.subject.sign(&subject, NOW),
        )
}

/// The claims of a bootstrap token with every right.
pub(crate) fn bootstrap_claims(state: &AppState) -> Value {
    json!({
        "iss": state.keys.bootstrap.issuer(),
        "aud": state.keys.bootstrap.audience(),
        "sub": "agent:ci",
        "jti": "bootstrap-1",
        "exp": NOW.as_seconds() + 300,
        "bindings": {"mtls_subject": CLIENT},
        "can_issue_tasks": true,
        "can_manage_permissions": true,
        "can_manage_approvers": true,
    })
}

/// The claims of a capability token for a task.
pub(crate) fn capability_claims(state: &AppState, task_id: TaskId) -> CapabilityClaims {
    CapabilityClaims {
        iss: state.keys.capability.issuer().into(),
        sub: "agent:ci".into(),
        aud: state.keys.capability.audience().into(),
        jti: TokenId::from_bytes([9; 16]),
        iat: NOW.as_seconds() - 10,
        nbf: NOW.as_seconds() - 10,
        exp: NOW.as_seconds() + 290,
        task_id,
        agent_id: "ci".into(),
        allowed_ops: vec!["dns.record.write".into()],
        resource_scopes: vec![ResourceScope {
            kind: "zone".into(),
            id: "z1".into(),
        }],
        bindings: Bindings {
            mtls_subject: CLIENT.into(),
        },
        perms_rev: 0,
    }
}

/// Signs claims and makes the registry vouch for them.
pub(crate) fn issue(state: &AppState, known: &KnownTokens, claims: &CapabilityClaims) -> String {
    let claims_hash = *claims.hash().unwrap().as_bytes();
    known.put(
        claims.jti,
        TokenStanding {
            claims_hash,
            revoked: false,
            stale: false,
        },
    );
    CapabilityToken::sign(&state.keys.capability, claims)
        .unwrap()
        .reveal()
        .to_owned()
}

/// An answer's body as JSON.
pub(crate) async fn json_body(response: Response<Body>) -> Value {
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    serde_json::from_slice(&body).unwrap()
}
