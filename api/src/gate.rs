//! The gate of the surface: every route with every way to be refused at its door. A route that is
//! registered but missing in [`DOORS`] fails the test, and so does a door without a route.

use crate::auth::capability::TokenStanding;
use crate::router::{build_router, described};
use crate::state::AppState;
use crate::testing::{
    CLIENT, KnownTokens, NOW, bootstrap_claims, capability_claims, config, issue, json_body,
    signed, state,
};
use axum::Router;
use axum::body::Body;
use http::request::Builder;
use http::{Method, Request};
use ledger::{TaskId, TokenId};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;
use tower::ServiceExt;

/// Who gets past a route's door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Door {
    /// Everybody.
    Open,
    /// Whoever holds a link that we signed; nobody is asked for a subject.
    Link,
    /// A bootstrap token with this claim.
    Bootstrap(&'static str),
    /// The task's capability token.
    Capability,
    /// Either of the two.
    Closer,
    /// The task's capability token, stale or expired as it may be.
    Renewal,
}

/// Every route of the description.
const DOORS: &[(&str, &str, Door)] = &[
    ("GET", "/v1/healthz", Door::Open),
    ("GET", "/v1/readyz", Door::Open),
    ("GET", "/v1/openapi.json", Door::Open),
    ("GET", "/v1/operations", Door::Open),
];

const TASK: TaskId = TaskId::from_bytes([2; 16]);
const OTHER_TASK: TaskId = TaskId::from_bytes([3; 16]);

struct House {
    state: AppState,
    known: Arc<KnownTokens>,
    router: Router,
}

/// One way to be refused: what it is, the request, status and code.
struct Refusal {
    way: &'static str,
    request: Builder,
    status: u16,
    code: &'static str,
}

impl House {
    fn build() -> Self {
        let known = Arc::new(KnownTokens::default());
        let state = state(config(), Arc::clone(&known));
        let router = build_router(state.clone()).unwrap();
        Self {
            state,
            known,
            router,
        }
    }

    fn bootstrap(&self, change: impl FnOnce(&mut Value)) -> String {
        let mut claims = bootstrap_claims(&self.state);
        change(&mut claims);
        self.state.keys.bootstrap.sign(&claims).unwrap()
    }

    /// A token that opens the door, whatever kind the door takes.
    fn fitting(&self, door: Door) -> String {
        match door {
            Door::Bootstrap(_) => self.bootstrap(|_| ()),
            Door::Capability | Door::Closer | Door::Renewal | Door::Open | Door::Link => issue(
                &self.state,
                &self.known,
                &capability_claims(&self.state, TASK),
            ),
        }
    }

    fn signed(&self, method: &str, path: &str) -> Builder {
        signed(&self.state, method.parse().unwrap(), path, CLIENT)
    }

    /// What is refused before any token is looked at.
    fn subjects(&self, method: &str, path: &str, token: &str) -> Vec<Refusal> {
        let bare = || with(Request::builder().method(method).uri(path), token);
        let ts = NOW.as_seconds();
        let headers = |subject: &str, ts: i64, sig: String| {
            bare()
                .header("x-client-subject", subject)
                .header("x-client-subject-ts", ts.to_string())
                .header("x-client-subject-sig", sig)
        };
        let sign = |ts: i64| {
            let subject = crate::auth::subject::Subject::parse(CLIENT).unwrap();
            self.state
                .keys
                .subject
                .sign(&subject, ledger::Timestamp::from_seconds(ts))
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

    /// What is refused for want of a token, whatever the door.
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

    fn bootstraps(&self, method: &str, path: &str, right: &'static str) -> Vec<Refusal> {
        let ts = NOW.as_seconds();
        let way = |way, status, code, token: String| {
            let request = with(self.signed(method, path), &token);
            Refusal {
                way,
                request,
                status,
                code,
            }
        };
        let foreign = crate::auth::jwt::TokenKey::new(
            b"another-secret-of-thirty-two-bytes",
            self.state.keys.bootstrap.issuer(),
            self.state.keys.bootstrap.audience(),
        );
        let all_but = |claims: &mut Value| claims[right] = json!(false);
        let other_client = |claims: &mut Value| {
            claims["bindings"]["mtls_subject"] = json!("client-b");
            claims[right] = json!(false);
        };
        vec![
            way(
                "foreign secret",
                401,
                "unauthorized",
                foreign.sign(&bootstrap_claims(&self.state)).unwrap(),
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
            way("missing right", 403, "forbidden", self.bootstrap(all_but)),
        ]
    }

    /// Each of these uses a token of its own, because the registry knows one standing for each.
    fn capabilities(&self, method: &str, path: &str) -> Vec<Refusal> {
        let ts = NOW.as_seconds();
        let mut next = 0;
        let mut way = |way, status, code, change: &dyn Fn(&mut Token)| {
            next += 1;
            let mut token = Token::fine(&self.state, next);
            change(&mut token);
            let request = with(self.signed(method, path), &token.hand_out(self));
            Refusal {
                way,
                request,
                status,
                code,
            }
        };
        vec![
            way("foreign secret", 401, "unauthorized", &|t| t.foreign = true),
            way("wrong audience", 401, "unauthorized", &|t| {
                t.claims["aud"] = json!("x")
            }),
            way("expired", 401, "token_expired", &|t| {
                t.claims["exp"] = json!(ts)
            }),
            way("unknown to the ledger", 401, "unauthorized", &|t| {
                t.known = false
            }),
            way("other claims than issued", 401, "unauthorized", &|t| {
                t.altered = true
            }),
            way("revoked", 401, "token_revoked", &|t| t.revoked = true),
            way("stale", 401, "token_stale", &|t| t.stale = true),
            way("another client", 403, "forbidden", &|t| {
                t.claims["bindings"]["mtls_subject"] = json!("client-b");
                t.claims["task_id"] = json!(OTHER_TASK);
            }),
            way("another task", 403, "forbidden", &|t| {
                t.claims["task_id"] = json!(OTHER_TASK)
            }),
        ]
    }

    fn refusals(&self, method: &str, path: &str, door: Door) -> Vec<Refusal> {
        let wrong_kind = |token: &str| Refusal {
            way: "the wrong kind of token",
            request: with(self.signed(method, path), token),
            status: 401,
            code: "unauthorized",
        };
        let mut all = self.subjects(method, path, &self.fitting(door));
        all.extend(self.tokens(method, path));
        match door {
            Door::Open | Door::Link => return Vec::new(),
            Door::Bootstrap(right) => {
                all.extend(self.bootstraps(method, path, right));
                all.push(wrong_kind(&self.fitting(Door::Capability)));
            }
            Door::Capability => {
                all.extend(self.capabilities(method, path));
                all.push(wrong_kind(&self.bootstrap(|_| ())));
            }
            Door::Closer => {
                all.extend(self.capabilities(method, path));
                all.extend(self.bootstraps(method, path, "can_issue_tasks"));
            }
            Door::Renewal => {
                let forgiven = ["expired", "revoked", "stale"];
                let mut some = self.capabilities(method, path);
                some.retain(|refusal| !forgiven.contains(&refusal.way));
                all.extend(some);
                all.push(wrong_kind(&self.bootstrap(|_| ())));
            }
        }
        all
    }
}

/// A capability token to be, with what is wrong about it.
struct Token {
    claims: Value,
    foreign: bool,
    known: bool,
    altered: bool,
    revoked: bool,
    stale: bool,
}

impl Token {
    fn fine(state: &AppState, number: u8) -> Self {
        let mut claims = capability_claims(state, TASK);
        claims.jti = TokenId::from_bytes([100 + number; 16]);
        let claims = serde_json::to_value(claims).unwrap();
        Self {
            claims,
            foreign: false,
            known: true,
            altered: false,
            revoked: false,
            stale: false,
        }
    }

    fn hand_out(self, house: &House) -> String {
        let keys = &house.state.keys;
        let claims =
            serde_json::from_value::<crate::auth::capability::CapabilityClaims>(self.claims)
                .unwrap();
        let mut claims_hash = *claims.hash().unwrap().as_bytes();
        claims_hash[0] ^= u8::from(self.altered);
        if self.known {
            let standing = TokenStanding {
                claims_hash,
                revoked: self.revoked,
                stale: self.stale,
            };
            house.known.put(claims.jti, standing);
        }
        let foreign = crate::auth::jwt::TokenKey::new(
            b"another-secret-of-thirty-two-bytes",
            keys.capability.issuer(),
            keys.capability.audience(),
        );
        let key = if self.foreign {
            &foreign
        } else {
            &keys.capability
        };
        key.sign(&claims).unwrap()
    }
}

fn with(request: Builder, token: &str) -> Builder {
    request.header("authorization", format!("Bearer {token}"))
}

/// A path with its parameters filled in; the task is the one that test tokens are for.
fn filled(template: &str) -> String {
    template
        .split('/')
        .map(|part| match part {
            "{task_id}" => TASK.to_string(),
            part if part.starts_with('{') => TASK.to_string(),
            part => part.to_owned(),
        })
        .collect::<Vec<_>>()
        .join("/")
}

#[test]
fn every_route_has_a_door() {
    let (_, description) = described().split_for_parts();
    let description = serde_json::to_value(description).unwrap();
    let methods = [
        "get", "put", "post", "patch", "delete", "head", "options", "trace",
    ];
    let registered: BTreeSet<(String, String)> = description["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            methods
                .iter()
                .filter(|method| item.get(**method).is_some())
                .map(|method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    let doors: BTreeSet<(String, String)> = DOORS
        .iter()
        .map(|(method, path, _)| ((*method).into(), (*path).into()))
        .collect();
    assert_eq!(registered, doors, "routes on the left, doors on the right");
}

#[tokio::test]
async fn nobody_gets_past_a_door_who_should_not() {
    let house = House::build();
    for (method, template, door) in DOORS {
        let path = filled(template);
        for Refusal {
            way,
            request,
            status,
            code,
        } in house.refusals(method, &path, *door)
        {
            // A body that no route takes: a refusal for it would show that the body came first.
            let request = request.body(Body::from("{\"nonsense\":")).unwrap();
            let response = house.router.clone().oneshot(request).await.unwrap();
            let place = format!("{method} {template}: {way}");
            assert_eq!(response.status(), status, "{place}");
            let kind = response.headers()["content-type"].clone();
            assert_eq!(kind, "application/problem+json", "{place}");
            let body = json_body(response).await;
            assert_eq!(body["code"], code, "{place}: {body}");
            assert_eq!(body["message"], body["detail"], "{place}");
        }
    }
}

#[tokio::test]
async fn an_open_door_asks_for_nothing() {
    let house = House::build();
    for (method, path, _) in DOORS.iter().filter(|(_, _, door)| *door == Door::Open) {
        let method: Method = method.parse().unwrap();
        let request = Request::builder()
            .method(method)
            .uri(*path)
            .body(Body::empty())
            .unwrap();
        let response = house.router.clone().oneshot(request).await.unwrap();
        assert!(response.status().is_success(), "{path}");
    }
}
