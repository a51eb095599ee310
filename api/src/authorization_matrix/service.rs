//! A surface with a task in it, and for each action every caller that it does not admit.

use crate::schemes::Scheme;
use crate::testing::{AGENT, Answer, BEGIN, CLIENT, SERVICE_TOKEN, Stage, bootstrap_claims};
use app::token::capability::CapabilityToken;
use app::token::jwt::TokenKey;
use app::{Action, Right, Who};
use axum::body::Body;
use http::request::Builder;
use http::{HeaderValue, Request, header};
use ledger::command::{CloseTask, ReplacePermissions};
use ledger::{AgentName, CapabilityClaims, ClientSubject, Origin, Timestamp};
use serde_json::{Value, json};
use tower::ServiceExt;

/// Another program's secret.
const FOREIGN: &[u8] = b"another-secret-of-thirty-two-bytes";

/// What a capability token can be wrong about, and what follows: (way, token, status, code).
type WrongToken = (&'static str, String, u16, &'static str);

pub(super) struct TestService {
    pub(super) stage: Stage,
    /// The task that paths name.
    pub(super) task: String,
    /// A token that opens it.
    token: String,
    /// Wrong tokens for it.
    wrong: Vec<WrongToken>,
}

/// One way to be refused: what it is, the request, status and code.
pub(super) struct Refusal {
    pub(super) way: &'static str,
    pub(super) request: Builder,
    pub(super) status: u16,
    pub(super) code: &'static str,
}

impl TestService {
    pub(super) async fn build() -> Self {
        Self::on(Stage::new().await).await
    }

    /// With other schemes than the service's.
    pub(super) async fn with_schemes(schemes: Vec<Box<dyn Scheme>>) -> Self {
        Self::on(Stage::with_schemes(schemes).await).await
    }

    async fn on(stage: Stage) -> Self {
        let (issued, token) = stage.task(AGENT).await;
        let mut service = Self {
            task: issued.task.id.to_string(),
            token,
            wrong: Vec::new(),
            stage,
        };
        service.wrong = service.wrong_tokens(&issued.claims).await;
        service
    }

    pub(super) fn bootstrap(&self, change: impl FnOnce(&mut Value)) -> String {
        self.stage.bootstrap(change)
    }

    fn sign(&self, claims: &CapabilityClaims) -> String {
        let key = &self.stage.state.app.keys.capability;
        CapabilityToken::sign(key, claims).unwrap().into_revealed()
    }

    /// Tokens of the service's task and client that are wrong in one way each.
    async fn wrong_tokens(&self, fine: &CapabilityClaims) -> Vec<WrongToken> {
        let key = &self.stage.state.app.keys.capability;
        let foreign = TokenKey::new(FOREIGN, key.issuer(), key.audience());
        let altered = |change: &dyn Fn(&mut CapabilityClaims)| {
            let mut claims = fine.clone();
            change(&mut claims);
            self.sign(&claims)
        };
        let execute = Origin::system("test");
        let ledger = &self.stage.state.app.ledger;
        let (closed, revoked) = self.stage.task("closed").await;
        let close = CloseTask {
            task_id: closed.task.id,
            token: None,
            reason: None,
        };
        ledger.execute(execute.clone(), close).await.unwrap();
        let (_, stale) = self.stage.task("stale").await;
        let replace = ReplacePermissions {
            agent: AgentName::unchecked("stale"),
            grants: Vec::new(),
            instead_of: None,
            reason: None,
        };
        ledger.execute(execute, replace).await.unwrap();
        let (_, other_task) = self.stage.task(AGENT).await;
        vec![
            (
                "foreign secret",
                foreign.sign(fine).unwrap(),
                401,
                "unauthorized",
            ),
            (
                "wrong audience",
                altered(&|c| c.aud = "x".into()),
                401,
                "unauthorized",
            ),
            (
                "wrong issuer",
                altered(&|c| c.iss = "x".into()),
                401,
                "unauthorized",
            ),
            (
                "expired",
                altered(&|c| c.exp = BEGIN.as_seconds()),
                401,
                "token_expired",
            ),
            (
                "other claims",
                altered(&|c| c.allowed_ops.clear()),
                401,
                "token_altered",
            ),
            (
                "unknown to the ledger",
                altered(&|c| c.jti = c.task_id.clone()),
                401,
                "token_unknown",
            ),
            ("revoked", revoked, 401, "token_revoked"),
            ("stale", stale, 401, "token_stale"),
            ("another task", other_task, 403, "forbidden"),
        ]
    }

    /// A token that the action admits, of the kind that its table names first.
    pub(super) fn fitting(&self, action: Action) -> String {
        match action.who().first() {
            Some(Who::Administrator(_)) => self.bootstrap(|_| ()),
            Some(Who::User(_) | Who::Identity) => SERVICE_TOKEN.to_owned(),
            _ => self.token.clone(),
        }
    }

    /// The capability token of the service's task.
    pub(super) fn capability_token(&self) -> String {
        self.token.clone()
    }

    pub(super) fn signed(&self, method: &str, path: &str) -> Builder {
        self.stage.signed(method, path, CLIENT)
    }

    /// What is refused before any token is looked at.
    fn subjects(&self, method: &str, path: &str, token: &str) -> Vec<Refusal> {
        let bare = || with(Request::builder().method(method).uri(path), token);
        let ts = BEGIN.as_seconds();
        let headers = |subject: &str, ts: i64, sig: String| {
            bare()
                .header("x-client-subject", subject)
                .header("x-client-subject-ts", ts.to_string())
                .header("x-client-subject-sig", sig)
        };
        let sign = |ts: i64| {
            let subject = ClientSubject::parse(CLIENT).unwrap();
            self.stage
                .state
                .keys
                .subject
                .sign(&subject, Timestamp::from_seconds(ts))
        };
        let refusal = |way, request| Refusal {
            way,
            request,
            status: 401,
            code: "unauthorized",
        };
        vec![
            refusal("no subject headers", bare()),
            refusal("stale time", headers(CLIENT, ts - 61, sign(ts - 61))),
            refusal("time ahead", headers(CLIENT, ts + 61, sign(ts + 61))),
            refusal("bad signature", headers(CLIENT, ts, "00".repeat(32))),
            refusal("another's signature", headers("client-b", ts, sign(ts))),
        ]
    }

    /// The refusals of a missing or unreadable token; they do not depend on the action.
    fn tokens(&self, method: &str, path: &str) -> Vec<Refusal> {
        let refusal = |way, request| Refusal {
            way,
            request,
            status: 401,
            code: "unauthorized",
        };
        let here = || self.signed(method, path);
        vec![
            refusal("no token", here()),
            refusal(
                "another scheme",
                here().header("authorization", "Basic YTpi"),
            ),
            refusal("nonsense", with(here(), "nonsense")),
            refusal("alg none", with(here(), "eyJhbGciOiJub25lIn0.e30.")),
        ]
    }

    fn bootstraps(&self, method: &str, path: &str, right: Right) -> Vec<Refusal> {
        let ts = BEGIN.as_seconds();
        let way = |way, status, code, token: String| {
            let request = with(self.signed(method, path), &token);
            Refusal {
                way,
                request,
                status,
                code,
            }
        };
        let key = &self.stage.state.keys.bootstrap;
        let foreign = TokenKey::new(FOREIGN, key.issuer(), key.audience());
        let fine = bootstrap_claims(&self.stage.state, BEGIN);
        let no_right = |claims: &mut Value| claims[right.claim()] = json!(false);
        let other_client = |claims: &mut Value| {
            claims["bindings"]["mtls_subject"] = json!("client-b");
            claims[right.claim()] = json!(false);
        };
        vec![
            way(
                "foreign secret",
                401,
                "unauthorized",
                foreign.sign(&fine).unwrap(),
            ),
            way(
                "wrong audience",
                401,
                "unauthorized",
                self.bootstrap(|c| c["aud"] = json!("x")),
            ),
            way(
                "wrong issuer",
                401,
                "unauthorized",
                self.bootstrap(|c| c["iss"] = json!("x")),
            ),
            way(
                "expired",
                401,
                "token_expired",
                self.bootstrap(|c| c["exp"] = json!(ts - 30)),
            ),
            way(
                "not yet",
                401,
                "unauthorized",
                self.bootstrap(|c| c["nbf"] = json!(ts + 31)),
            ),
            way(
                "another client",
                403,
                "forbidden",
                self.bootstrap(other_client),
            ),
            way("missing right", 403, "forbidden", self.bootstrap(no_right)),
        ]
    }

    fn capabilities(&self, method: &str, path: &str) -> Vec<Refusal> {
        let mut all: Vec<Refusal> = self
            .wrong
            .iter()
            .map(|(way, token, status, code)| {
                let request = with(self.signed(method, path), token);
                Refusal {
                    way,
                    request,
                    status: *status,
                    code,
                }
            })
            .collect();
        let request = with(self.stage.signed(method, path, "client-b"), &self.token);
        // The ledger names this one itself where it is asked before the guard.
        all.push(Refusal {
            way: "another client",
            request,
            status: 403,
            code: "",
        });
        all
    }

    /// What a route refuses that only users and the service token may call.
    fn users_only(&self, method: &str, path: &str) -> Vec<Refusal> {
        let refusal = |way, request| Refusal {
            way,
            request,
            status: 401,
            code: "unauthorized",
        };
        let here = || Request::builder().method(method).uri(path);
        let signed = || self.signed(method, path);
        vec![
            refusal("no token", here()),
            refusal("nonsense", with(here(), "nonsense")),
            refusal("a capability token", with(signed(), &self.token)),
            refusal("a bootstrap token", with(signed(), &self.bootstrap(|_| ()))),
        ]
    }

    /// Every caller with signed subject headers and a token that the action does not admit.
    pub(super) fn refusals(&self, method: &str, path: &str, action: Action) -> Vec<Refusal> {
        let wrong_kind = |token: &str| Refusal {
            way: "the wrong kind of token",
            request: with(self.signed(method, path), token),
            status: 401,
            code: "unauthorized",
        };
        let who = action.who();
        let by_agent = who.contains(&Who::Agent);
        let by_old_token = who.contains(&Who::AgentWithOldToken);
        let right = who.iter().find_map(|who| match who {
            Who::Administrator(right) => Some(*right),
            _ => None,
        });
        if !by_agent && !by_old_token && right.is_none() {
            let by_user = who.iter().any(|who| matches!(who, Who::User(_)));
            return match by_user {
                true => self.users_only(method, path),
                false => Vec::new(),
            };
        }
        let mut all = self.subjects(method, path, &self.fitting(action));
        all.extend(self.tokens(method, path));
        if by_agent {
            all.extend(self.capabilities(method, path));
        }
        if by_old_token {
            // Renewal admits these; a revoked token may ask for its replacement again.
            let forgiven = ["expired", "revoked", "stale"];
            let mut some = self.capabilities(method, path);
            some.retain(|refusal| !forgiven.contains(&refusal.way));
            all.extend(some);
        }
        match right {
            Some(right) => all.extend(self.bootstraps(method, path, right)),
            None => all.push(wrong_kind(&self.bootstrap(|_| ()))),
        }
        if !by_agent && !by_old_token {
            all.push(wrong_kind(&self.token));
        }
        if !who.iter().any(|who| matches!(who, Who::User(_))) {
            let bare = Request::builder().method(method).uri(path);
            all.push(Refusal {
                way: "the service token",
                request: with(bare, SERVICE_TOKEN),
                status: 403,
                code: "wrong_identity",
            });
        }
        all
    }

    /// A path with its parameters filled in.
    pub(super) fn filled(&self, template: &str) -> String {
        self.filled_with(template, &self.task)
    }

    /// A path with this id in the place of each parameter that names a thing.
    pub(super) fn filled_with(&self, template: &str, id: &str) -> String {
        // Its answer has no end.
        if template == "/v1/stream" {
            return format!("{template}?after=nonsense");
        }
        let entries = template.contains("/entries/");
        let fill = |part: &str| match part {
            "{*path}" if entries => "000.p/1".into(),
            "{*path}" => "0/000.p/1".into(),
            _ if part.starts_with('{') => id.to_owned(),
            _ => part.into(),
        };
        template
            .split('/')
            .map(fill)
            .collect::<Vec<String>>()
            .join("/")
    }

    pub(super) async fn ask(&self, request: Builder, body: &'static str) -> Answer {
        let mut request = request.body(Body::from(body)).unwrap();
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::CONTENT_TYPE, json);
        Answer::of(self.stage.router.clone().oneshot(request).await.unwrap()).await
    }
}

pub(super) fn with(request: Builder, token: &str) -> Builder {
    request.header("authorization", format!("Bearer {token}"))
}
