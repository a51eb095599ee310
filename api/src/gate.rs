//! The gate of the surface: every route with every way to be refused at its door. A route that is
//! registered but missing in [`DOORS`] fails the test, and so does a door without a route.

use crate::auth::capability::CapabilityToken;
use crate::auth::jwt::TokenKey;
use crate::auth::link::{ApprovalLink, EnrolmentLink};
use crate::auth::subject::Subject;
use crate::router::described;
use crate::testing::{AGENT, Answer, BEGIN, CLIENT, Stage, bootstrap_claims};
use axum::body::Body;
use http::Request;
use http::request::Builder;
use ledger::command::{CloseTask, ReplacePermissions};
use ledger::{ApprovalId, CapabilityClaims, EnrolmentId, Origin, TaskId, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeSet;
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
    ("GET", "/v1/approve/{link}", Door::Link),
    ("GET", "/v1/approve/{link}/options", Door::Link),
    ("POST", "/v1/approve/{link}/options", Door::Link),
    ("POST", "/v1/approve/{link}/verify", Door::Link),
    ("GET", "/v1/enrol/{link}", Door::Link),
    ("POST", "/v1/enrol/{link}/options", Door::Link),
    ("POST", "/v1/enrol/{link}/verify", Door::Link),
    ("POST", "/v1/tasks", Door::Bootstrap("can_issue_tasks")),
    ("POST", "/v1/tasks/{task_id}/close", Door::Closer),
    ("POST", "/v1/tasks/{task_id}/token", Door::Renewal),
    ("POST", "/v1/tasks/{task_id}/plan", Door::Capability),
    ("POST", "/v1/tasks/{task_id}/apply", Door::Capability),
    (
        "POST",
        "/v1/tasks/{task_id}/apply/continue",
        Door::Capability,
    ),
    (
        "GET",
        "/v1/tasks/{task_id}/applies/{apply_id}",
        Door::Capability,
    ),
    (
        "POST",
        "/v1/applies/{apply_id}/resolve",
        Door::Bootstrap("can_issue_tasks"),
    ),
    ("POST", "/v1/tasks/{task_id}/dns/create", Door::Capability),
    ("POST", "/v1/tasks/{task_id}/cache/purge", Door::Capability),
    (
        "POST",
        "/v1/tasks/{task_id}/workers/deploy",
        Door::Capability,
    ),
    (
        "GET",
        "/v1/tasks/{task_id}/approval-status",
        Door::Capability,
    ),
    ("POST", "/v1/tasks/{task_id}/approve", Door::Capability),
    (
        "GET",
        "/v1/tasks/{task_id}/approve/discord-message",
        Door::Capability,
    ),
    (
        "GET",
        "/v1/agents/{agent}/permissions",
        Door::Bootstrap("can_manage_permissions"),
    ),
    (
        "PATCH",
        "/v1/agents/{agent}/permissions",
        Door::Bootstrap("can_manage_permissions"),
    ),
    (
        "GET",
        "/v1/approvers/{principal}/credentials",
        Door::Bootstrap("can_manage_approvers"),
    ),
    (
        "POST",
        "/v1/approvers/{principal}/credentials",
        Door::Bootstrap("can_manage_approvers"),
    ),
    (
        "DELETE",
        "/v1/approvers/{principal}/credentials/{credential_id}",
        Door::Bootstrap("can_manage_approvers"),
    ),
    (
        "POST",
        "/v1/approvers/{principal}/enrolment",
        Door::Bootstrap("can_manage_approvers"),
    ),
    (
        "POST",
        "/v1/callbacks/{delivery_id}/retry",
        Door::Bootstrap("can_issue_tasks"),
    ),
];

/// Another program's secret.
const FOREIGN: &[u8] = b"another-secret-of-thirty-two-bytes";

/// What a capability token can be wrong about, and what follows: (way, token, status, code).
type WrongToken = (&'static str, String, u16, &'static str);

struct House {
    stage: Stage,
    /// The task that paths name.
    task: String,
    /// A token that opens it.
    token: String,
    /// Wrong tokens for it.
    wrong: Vec<WrongToken>,
}

/// One way to be refused: what it is, the request, status and code.
struct Refusal {
    way: &'static str,
    request: Builder,
    status: u16,
    code: &'static str,
}

impl House {
    async fn build() -> Self {
        let stage = Stage::new().await;
        let (issued, token) = stage.task(AGENT).await;
        let mut house = Self {
            task: issued.task.id.to_string(),
            token,
            wrong: Vec::new(),
            stage,
        };
        house.wrong = house.wrong_tokens(&issued.claims).await;
        house
    }

    fn bootstrap(&self, change: impl FnOnce(&mut Value)) -> String {
        self.stage.bootstrap(change)
    }

    fn sign(&self, claims: &CapabilityClaims) -> String {
        let key = &self.stage.state.keys.capability;
        CapabilityToken::sign(key, claims).unwrap().into_revealed()
    }

    /// Tokens of the house's task and client that are wrong in one way each.
    async fn wrong_tokens(&self, fine: &CapabilityClaims) -> Vec<WrongToken> {
        let key = &self.stage.state.keys.capability;
        let foreign = TokenKey::new(FOREIGN, key.issuer(), key.audience());
        let altered = |change: &dyn Fn(&mut CapabilityClaims)| {
            let mut claims = fine.clone();
            change(&mut claims);
            self.sign(&claims)
        };
        let execute = Origin::system("test");
        let ledger = &self.stage.state.services.ledger;
        let (closed, revoked) = self.stage.task("closed").await;
        let close = CloseTask {
            task_id: closed.task.id,
            token: None,
            reason: None,
        };
        ledger.execute(execute.clone(), close).await.unwrap();
        let (_, stale) = self.stage.task("stale").await;
        let replace = ReplacePermissions {
            agent: "stale".into(),
            grants: Vec::new(),
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

    /// A token that opens the door, whatever kind the door takes.
    fn fitting(&self, door: Door) -> String {
        match door {
            Door::Bootstrap(_) => self.bootstrap(|_| ()),
            Door::Capability | Door::Closer | Door::Renewal | Door::Open | Door::Link => {
                self.token.clone()
            }
        }
    }

    fn signed(&self, method: &str, path: &str) -> Builder {
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
            let subject = Subject::parse(CLIENT).unwrap();
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
        let no_right = |claims: &mut Value| claims[right] = json!(false);
        let other_client = |claims: &mut Value| {
            claims["bindings"]["mtls_subject"] = json!("client-b");
            claims[right] = json!(false);
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
                // These two are what renewal is for; they fail on the path's task here.
                let forgiven = ["expired", "revoked", "stale"];
                let mut some = self.capabilities(method, path);
                some.retain(|refusal| !forgiven.contains(&refusal.way));
                all.extend(some);
                all.push(wrong_kind(&self.bootstrap(|_| ())));
            }
        }
        all
    }

    /// A path with its parameters filled in.
    fn filled(&self, template: &str) -> String {
        let fill = |part: &str| {
            if part.starts_with('{') {
                self.task.clone()
            } else {
                part.into()
            }
        };
        template
            .split('/')
            .map(fill)
            .collect::<Vec<String>>()
            .join("/")
    }

    async fn ask(&self, request: Builder, body: &'static str) -> Answer {
        let request = request.body(Body::from(body)).unwrap();
        Answer::of(self.stage.router.clone().oneshot(request).await.unwrap()).await
    }
}

fn with(request: Builder, token: &str) -> Builder {
    request.header("authorization", format!("Bearer {token}"))
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
    let house = House::build().await;
    for (method, template, door) in DOORS {
        let path = house.filled(template);
        for Refusal {
            way,
            request,
            status,
            code,
        } in house.refusals(method, &path, *door)
        {
            // A body that no route takes: a refusal for it would show that the body came first.
            let answer = house.ask(request, "{\"nonsense\":").await;
            let place = format!("{method} {template}: {way}");
            assert_eq!(answer.status, status, "{place}: {answer:?}");
            assert_eq!(
                answer.headers["content-type"], "application/problem+json",
                "{place}"
            );
            assert_eq!(answer.body["message"], answer.body["detail"], "{place}");
            if !code.is_empty() {
                assert_eq!(answer.code(), code, "{place}: {answer:?}");
            }
        }
    }
}

/// Without this, a door that refuses everybody would pass the test above.
#[tokio::test]
async fn who_should_gets_past_every_door() {
    let house = House::build().await;
    for (method, template, door) in DOORS.iter().filter(|(_, _, door)| *door != Door::Link) {
        let path = house.filled(template);
        let request = with(house.signed(method, &path), &house.fitting(*door));
        let answer = house.ask(request, "{\"nonsense\":").await;
        let refused = [401, 403].contains(&answer.status);
        assert!(!refused, "{method} {template}: {answer:?}");
    }
}

#[tokio::test]
async fn an_open_door_asks_for_nothing() {
    let house = House::build().await;
    for (method, path, _) in DOORS.iter().filter(|(_, _, door)| *door == Door::Open) {
        let answer = house
            .ask(Request::builder().method(*method).uri(*path), "")
            .await;
        assert!((200..300).contains(&answer.status), "{path}");
    }
}

#[tokio::test]
async fn a_link_door_opens_to_its_own_kind_of_link_only() {
    let house = House::build().await;
    let state = &house.stage.state;
    let approval = ApprovalLink {
        approval_id: ApprovalId::from_bytes([1; 16]),
        task_id: TaskId::from_bytes([2; 16]),
    };
    let approval = state.keys.approval_link.sign(approval).unwrap();
    let enrolment = EnrolmentLink {
        enrolment_id: EnrolmentId::from_bytes([1; 16]),
        principal: "default".to_owned(),
        exp: i64::MAX / 2_000_000,
    };
    let enrolment = state.keys.enrolment_link.sign(enrolment).unwrap();
    for (method, path, _) in DOORS.iter().filter(|(_, _, door)| *door == Door::Link) {
        let (right, wrong) = if path.contains("approve") {
            (&approval, &enrolment)
        } else {
            (&enrolment, &approval)
        };
        let ask = async |link: &str| {
            let path = path.replace("{link}", link);
            let request = Request::builder().method(*method).uri(path);
            house.ask(request, "{\"nonsense\":").await
        };
        for link in ["nonsense", "a.b.c", wrong.reveal()] {
            let answer = ask(link).await;
            assert_eq!(answer.status, 401, "{method} {path}: {answer:?}");
            assert_eq!(answer.code(), "unauthorized");
        }
        let answer = ask(right.reveal()).await;
        assert!(
            [400, 404].contains(&answer.status),
            "{method} {path}: {answer:?}"
        );
    }
}
