//! Commands that ask the API: what they send, to whom, and what they print. The service is a stand-in
//! that answers what the test says.

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use fixtures::process::{bare, said};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use tempfile::TempDir;

/// A request that the stand-in was sent.
#[derive(Debug, Clone, PartialEq)]
struct Sent {
    line: String,
    token: Option<String>,
    body: Value,
}

#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

/// A stand-in for the service, and a home for the person at the command line.
struct Desk {
    script: Script,
    url: String,
    home: TempDir,
}

impl Desk {
    async fn new() -> Self {
        let script = Script::default();
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(answer).with_state(script.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        let home = tempfile::tempdir().unwrap();
        Self { script, url, home }
    }

    fn will_answer(&self, status: u16, body: Value) {
        self.script
            .answers
            .lock()
            .unwrap()
            .push_back((status, body));
    }

    /// Everything that was sent since the last look.
    fn sent(&self) -> Vec<Sent> {
        std::mem::take(&mut *self.script.sent.lock().unwrap())
    }

    async fn run(&self, line: &str) -> Output {
        self.run_with(line, "").await
    }

    /// Runs a command with this on its standard input.
    async fn run_with(&self, line: &str, input: &'static str) -> Output {
        let mut command = bare(line);
        command
            .env("BASE_URL", &self.url)
            .env("XDG_STATE_HOME", self.home.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let run = move || {
            let mut child = command.spawn().unwrap();
            let written = child.stdin.take().unwrap().write_all(input.as_bytes());
            // A command that reads nothing may have ended before.
            drop(written);
            child.wait_with_output().unwrap()
        };
        tokio::task::spawn_blocking(run).await.unwrap()
    }

    /// Logs in as anna with the token `anna's`.
    async fn log_in(&self) {
        self.will_answer(200, session("annas", false));
        let output = self
            .run_with("login anna --password-stdin", "secret\n")
            .await;
        assert!(output.status.success(), "{:?}", said(&output));
        self.sent();
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let token = request.headers().get("authorization");
    let token = token.map(|token| token.to_str().unwrap().to_owned());
    let line = format!("{} {}", request.method(), request.uri());
    let body = axum::body::to_bytes(request.into_body(), 1 << 20)
        .await
        .unwrap();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    script.sent.lock().unwrap().push(Sent { line, token, body });
    let (status, body) = script.answers.lock().unwrap().pop_front().unwrap();
    let status = StatusCode::from_u16(status).unwrap();
    match body {
        Value::Null => status.into_response(),
        Value::String(location) => (status, [("location", location)]).into_response(),
        body => (status, body.to_string()).into_response(),
    }
}

fn session(token: &str, must_change: bool) -> Value {
    json!({
        "token": token,
        "expires_at": "2026-11-29T08:00:00Z",
        "user": {"id": "u1", "name": "anna", "role": "operator"},
        "must_change_password": must_change,
    })
}

fn sent(line: &str, token: Option<&str>, body: Value) -> Sent {
    let (line, token) = (
        line.to_owned(),
        token.map(|token| format!("Bearer {token}")),
    );
    Sent { line, token, body }
}

#[tokio::test]
async fn login_keeps_a_session_for_its_owner_and_prints_no_secret() {
    let desk = Desk::new().await;
    let before = desk.run("user list").await;
    assert_eq!(before.status.code(), Some(1));
    assert!(said(&before).1.contains("login NAME"), "{before:?}");

    desk.will_answer(200, session("annas", false));
    let output = desk
        .run_with("login anna --password-stdin", "a b c \r\n")
        .await;
    let (told, complained) = said(&output);
    assert!(output.status.success(), "{complained}");
    assert!(
        told.contains("anna is logged in as operator until 2026"),
        "{told}"
    );
    let body = json!({"username": "anna", "password": "a b c "});
    assert_eq!(desk.sent(), [sent("POST /v1/auth/login", None, body)]);
    for secret in ["annas", "a b c"] {
        assert!(!told.contains(secret) && !complained.contains(secret));
    }
    let file = desk.home.path().join("llm-permission-proxy/session");
    assert_eq!(file.metadata().unwrap().mode() & 0o777, 0o600);

    desk.will_answer(204, Value::Null);
    let output = desk.run("logout").await;
    assert!(output.status.success(), "{:?}", said(&output));
    assert_eq!(
        desk.sent(),
        [sent("POST /v1/auth/logout", Some("annas"), json!({}))]
    );
    assert!(!file.exists());
}

#[tokio::test]
async fn a_password_of_somebody_else_is_changed_at_the_first_login() {
    let desk = Desk::new().await;
    desk.will_answer(200, session("first", true));
    let refused = desk
        .run_with("login anna --password-stdin", "given\n")
        .await;
    assert_eq!(refused.status.code(), Some(1), "no new password");
    assert!(!desk.home.path().join("llm-permission-proxy").exists());
    desk.sent();

    desk.will_answer(200, session("first", true));
    desk.will_answer(200, session("second", false));
    let output = desk
        .run_with("login anna --password-stdin", "given\nown\n")
        .await;
    assert!(output.status.success(), "{:?}", said(&output));
    let change = json!({"current": "given", "new": "own"});
    let asked = desk.sent();
    assert_eq!(
        asked[1],
        sent("POST /v1/auth/password", Some("first"), change)
    );
    desk.will_answer(200, json!({"users": [], "as_of": 1, "next": null}));
    desk.run("user list").await;
    assert_eq!(desk.sent()[0].token.as_deref(), Some("Bearer second"));
}

#[tokio::test]
async fn a_token_is_shown_to_no_other_host() {
    let (desk, other) = (Desk::new().await, Desk::new().await);
    desk.log_in().await;
    let refused = desk.run(&format!("user list --url {}", other.url)).await;
    assert_eq!(refused.status.code(), Some(1));
    assert!(
        said(&refused).1.contains("the session is of"),
        "{refused:?}"
    );
    desk.will_answer(307, json!(format!("{}/v1/users", other.url)));
    let redirected = desk.run("user list").await;
    assert_eq!(redirected.status.code(), Some(1));
    assert!(said(&redirected).1.contains("redirect"), "{redirected:?}");
    assert!(other.sent().is_empty());
}

#[tokio::test]
async fn refusals_are_told_as_the_service_says_them() {
    let desk = Desk::new().await;
    desk.log_in().await;
    let ended = json!({"code": "session_ended", "detail": "the session has ended"});
    desk.will_answer(401, ended);
    let refused = desk.run("user list --json").await;
    let (told, complained) = said(&refused);
    assert_eq!((refused.status.code(), &*told), (Some(1), ""));
    assert!(
        complained.contains("the session has ended; log in:"),
        "{complained}"
    );
    desk.will_answer(
        403,
        json!({"code": "step_up_required", "detail": "use your\u{1b} passkey"}),
    );
    let refused = desk.run("user delete u1").await;
    assert!(
        said(&refused).1.contains("use your‹U+001B› passkey"),
        "{refused:?}"
    );
    assert!(!said(&refused).1.contains("log in"));
    // A session that the service knows no more is forgotten.
    desk.will_answer(401, json!({"code": "session_ended", "detail": "ended"}));
    assert!(desk.run("logout").await.status.success());
}

#[tokio::test]
async fn commands_send_what_the_api_takes() {
    let desk = Desk::new().await;
    let tokened = "--token the-token";
    let cases: &[(&str, &str, Value)] = &[
        (
            "user create bo --role viewer --can-audit",
            "POST /v1/users",
            json!({"name": "bo", "role": "viewer", "can_audit": true}),
        ),
        (
            "user set u1 --role admin --disabled true --revoke-keys",
            "PATCH /v1/users/u1?revoke=keys",
            json!({"role": "admin", "disabled": true}),
        ),
        ("user show u1", "GET /v1/users/u1", Value::Null),
        ("user delete u1", "DELETE /v1/users/u1", Value::Null),
        (
            "user delete u1 --revoke-keys",
            "DELETE /v1/users/u1?revoke=keys",
            Value::Null,
        ),
        (
            "agent list --site b --after c",
            "GET /v1/agents?limit=200&after=c&site=b",
            Value::Null,
        ),
        (
            "agent create a --owner u1 --tag x --tag y",
            "POST /v1/agents",
            json!({"agent": "a", "owner": "u1", "tags": ["x", "y"]}),
        ),
        (
            "agent set a --site b",
            "PATCH /v1/agents/a",
            json!({"site": "b"}),
        ),
        ("key list a", "GET /v1/agents/a/keys?limit=200", Value::Null),
        (
            "key revoke a k1",
            "DELETE /v1/agents/a/keys/k1",
            Value::Null,
        ),
        (
            "pairing show 23456789",
            "GET /v1/pairing/23456789",
            Value::Null,
        ),
        (
            "pairing confirm AB",
            "POST /v1/pairing/AB/confirm",
            json!({}),
        ),
        ("pairing deny AB", "DELETE /v1/pairing/AB", Value::Null),
        (
            "template create t --agent a --operation dns.record.write:zone:* --expires-in 2h",
            "POST /v1/task-templates",
            json!({
                "name": "t", "agents": ["a"], "expires_in_seconds": 7200, "needs_approval": false,
                "operations": [{"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*"}],
            }),
        ),
        (
            "template create t --agent a --operation dns.record.write:zone:* --needs-approval --approval-ttl 7d",
            "POST /v1/task-templates",
            json!({
                "name": "t", "agents": ["a"], "expires_in_seconds": 3600, "needs_approval": true,
                "operations": [{"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*"}],
                "approval_ttl_seconds": 604_800,
            }),
        ),
        (
            "template delete t",
            "DELETE /v1/task-templates/t",
            Value::Null,
        ),
        ("approver list", "GET /v1/approvers?limit=200", Value::Null),
        (
            "approver invite bo",
            "POST /v1/approvers/bo/enrolment",
            json!({}),
        ),
        (
            "task list --state open --agent a",
            "GET /v1/tasks?limit=200&state=open&agent=a",
            Value::Null,
        ),
        ("task show t1", "GET /v1/tasks/t1", Value::Null),
        (
            "task open t --agent a --operation dns.record.write:zone:* --expires-in 5m \
             --callback https://hooks.example --callback-secret s",
            "POST /v1/tasks",
            json!({
                "task_name": "t", "agent": "a", "subject": "a", "expires_in_seconds": 300,
                "operations": [{"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*"}],
                "callback": {"url": "https://hooks.example", "secret": "s"},
            }),
        ),
        (
            "task open t --agent a --operation dns.record.write:zone:* --approval-ttl 7d \
             --why Friday --link https://t.example/1",
            "POST /v1/tasks",
            json!({
                "task_name": "t", "agent": "a", "subject": "a", "approval_ttl_seconds": 604_800,
                "operations": [{"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "*"}],
                "reason": "Friday", "link": "https://t.example/1",
            }),
        ),
        (
            "approval list --state pending --approver bo --agent a --after c",
            "GET /v1/approvals?limit=200&after=c&state=pending&approver=bo&agent=a",
            Value::Null,
        ),
        (
            "approval show t1",
            "GET /v1/tasks/t1/approval-status",
            Value::Null,
        ),
        (
            "grant list --agent a",
            "GET /v1/agents/a/permissions",
            Value::Null,
        ),
    ];
    let answer = json!({
        "agents": [], "keys": [], "approvers": [], "tasks": [], "approvals": [], "permissions": [],
        "enrolment_url": "https://proxy.example/v1/enrol/x", "capability_token": "eyJ",
    });
    for (line, expected, body) in cases {
        desk.will_answer(200, answer.clone());
        let output = desk.run(&format!("{line} {tokened}")).await;
        assert!(output.status.success(), "{line}: {:?}", said(&output));
        let expected = sent(expected, Some("the-token"), body.clone());
        assert_eq!(desk.sent(), [expected], "{line}");
    }
    let output = desk.run_with("user password u1 --password-stdin --token t", "new one\n");
    desk.will_answer(204, Value::Null);
    assert_eq!(said(&output.await).0, "done\n");
    assert_eq!(desk.sent()[0].body, json!({"password": "new one"}));
}

#[tokio::test]
async fn members_of_a_group_are_changed_from_those_of_today() {
    let desk = Desk::new().await;
    desk.log_in().await;
    let group = |members: &[&str]| json!({"id": "g", "name": "night", "members": members});
    desk.will_answer(200, group(&["u1", "u2"]));
    desk.will_answer(200, group(&["u2", "u3"]));
    let output = desk.run("group members g --add u3 --remove u1").await;
    assert!(said(&output).0.contains("u2, u3"), "{output:?}");
    let asked = desk.sent();
    assert_eq!(asked[0].line, "GET /v1/groups/g");
    let change = json!({"members": ["u2", "u3"]});
    assert_eq!(asked[1], sent("PATCH /v1/groups/g", Some("annas"), change));
}

#[tokio::test]
async fn a_grant_is_added_to_those_that_hold_in_the_place_of_its_like() {
    let desk = Desk::new().await;
    let grant = |scope: &str, level: &str, until: Value| {
        json!({"operation_id": "dns.record.write", "scope_type": "zone", "scope_id": scope,
               "granted_level": level, "expires_at": until})
    };
    let (kept, over) = (
        grant("a", "write", Value::Null),
        grant("b", "write", json!("2020-01-01T00:00:00Z")),
    );
    let read = json!([kept, over, grant("c", "read", Value::Null)]);
    desk.will_answer(200, json!({"agent_id": "x", "permissions": read}));
    desk.will_answer(200, json!({"agent_id": "x", "permissions": [kept]}));
    let line =
        "grant add --agent x --operation dns.record.write:zone:c --level write --why so --token t";
    let output = desk.run(line).await;
    assert!(output.status.success(), "{:?}", said(&output));
    let asked = desk.sent();
    assert_eq!(asked[0].line, "GET /v1/agents/x/permissions");
    let after = [kept, grant("c", "write", Value::Null)];
    let after = json!({"permissions": after, "instead_of": read, "reason": "so"});
    assert_eq!(
        asked[1],
        sent("PATCH /v1/agents/x/permissions", Some("t"), after)
    );
}

/// A browser's command line is seen by others of the machine.
#[tokio::test]
async fn the_address_that_is_opened_holds_no_secret_and_is_of_the_question_that_ends_first() {
    let desk = Desk::new().await;
    let question = |id: &str, task: &str, until: &str| {
        json!({"approval_id": id, "task_id": task, "agent": "x", "state": "pending",
               "expires_at": until, "approval_url": "https://p/v1/approve/secret"})
    };
    let all = json!({"as_of": 9, "next": null, "approvals": [
        question("q2", "t2", "2026-11-29T09:00:00Z"), question("q1", "t1", "2026-11-29T08:00:00Z"),
    ]});
    for (line, id) in [("approval open", "q1"), ("approvals open t2", "q2")] {
        desk.will_answer(200, all.clone());
        let output = desk.run(&format!("{line} --token t")).await;
        let (told, complained) = said(&output);
        assert_eq!(
            told,
            format!("{}/requests/{id}\n", desk.url),
            "{complained}"
        );
        assert_eq!(
            desk.sent()[0].line,
            "GET /v1/approvals?limit=200&state=pending"
        );
    }
    desk.will_answer(200, all);
    let output = desk.run("approval open t3 --token t").await;
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).1.contains("nothing waits"), "{output:?}");
}

/// The reason stands in a sentence, and in none of a program's words.
#[tokio::test]
async fn a_service_that_is_not_reached_is_told_of_in_a_sentence() {
    let desk = Desk::new().await;
    let authority = fixtures::receiver::Receiver::start().await.unwrap();
    let unknown = format!("user list --token t --url {}", authority.url(""));
    let plain = format!(
        "user list --token t --url {}",
        desk.url.replace("http:", "https:")
    );
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = format!(
        "user list --token t --url http://{}",
        free.local_addr().unwrap()
    );
    drop(free);
    for (line, sentence) in [
        (unknown, "an authority that this machine does not trust"),
        (plain, "it does not speak TLS"),
        (nobody, "nothing listens there"),
    ] {
        let output = desk.run(&line).await;
        let (_, complained) = said(&output);
        assert_eq!(output.status.code(), Some(1), "{line}");
        assert!(complained.contains(sentence), "{line}: {complained}");
        for word in ["InvalidCertificate", "UnknownIssuer", "Connect", "os error"] {
            assert!(!complained.contains(word), "{complained}");
        }
    }
}

/// What a shell evaluates is names and values, whatever answers.
#[tokio::test]
async fn a_shell_is_given_no_command_by_an_answer() {
    let desk = Desk::new().await;
    let line = "task open t --agent a --operation dns.record.write:zone:* --shell --token t";
    for (token, is_taken) in [
        ("eyJ.a-b_c.d", true),
        ("eyJ;rm -rf .", false),
        ("$(x)", false),
    ] {
        desk.will_answer(201, json!({"task_id": "t1", "capability_token": token}));
        let output = desk.run(line).await;
        assert_eq!(output.status.success(), is_taken, "{token}");
        let expected = match is_taken {
            true => format!("TASK=t1\nTOKEN={token}\n"),
            false => String::new(),
        };
        assert_eq!(said(&output).0, expected);
    }
}

#[tokio::test]
async fn keys_and_links_are_printed_once_on_standard_output() {
    let desk = Desk::new().await;
    let key = json!({"id": "k1", "agent": "a", "key": "cak_secret", "created_at": "now"});
    let link = json!({"enrolment_url": "https://p/e/secret", "expires_at": "soon"});
    for (line, answer, secret) in [
        ("key create a", key.clone(), "cak_secret"),
        ("user enrol u1", link, "https://p/e/secret"),
    ] {
        desk.will_answer(201, answer);
        let output = desk
            .run_with(&format!("{line} --token -"), "the-token\n")
            .await;
        let (told, complained) = said(&output);
        assert_eq!(told.trim_end(), secret);
        assert!(
            !complained.contains(secret) && complained.contains("once"),
            "{complained}"
        );
        assert_eq!(desk.sent()[0].token.as_deref(), Some("Bearer the-token"));
    }
    desk.will_answer(201, key.clone());
    let output = desk.run("key create a --json --token t").await;
    assert_eq!(
        serde_json::from_slice::<Value>(&output.stdout).unwrap(),
        key
    );
    assert!(output.stderr.is_empty());
}

#[tokio::test]
async fn the_key_of_an_upstream_is_read_from_standard_input_and_printed_nowhere() {
    let desk = Desk::new().await;
    desk.will_answer(204, Value::Null);
    let line = "key store a anthropic --token t";
    let output = desk.run_with(line, "sk-ant-api03-real\n").await;
    assert!(output.status.success(), "{output:?}");
    let (told, complained) = said(&output);
    assert!(!told.contains("real") && !complained.contains("real"));
    let state = json!({"configured": true, "configured_at": "now"});
    desk.will_answer(200, state);
    let output = desk.run("key stored a anthropic --token t").await;
    assert!(said(&output).0.contains("now"), "{output:?}");
    desk.will_answer(204, Value::Null);
    let output = desk.run("key forget a anthropic --token t").await;
    assert!(output.status.success(), "{output:?}");
    let path = "/v1/agents/a/upstream-keys/anthropic";
    let line = |method: &str| format!("{method} {path}");
    let expected = [
        sent(
            &line("PUT"),
            Some("t"),
            json!({"api_key": "sk-ant-api03-real"}),
        ),
        sent(&line("GET"), Some("t"), Value::Null),
        sent(&line("DELETE"), Some("t"), Value::Null),
    ];
    assert_eq!(desk.sent(), expected);
}
