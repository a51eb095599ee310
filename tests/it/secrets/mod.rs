//! After a full run, with everything logged, no secret and no token stands anywhere but where it has to:
//! in no file, log, metric or answer, in no form that somebody could undo.

mod misplaced;
mod people;
mod search;

use crate::notifiers::writing_to;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fixtures::approver::SoftApprover;
use fixtures::caller::Reply;
use fixtures::mail::{MailServer, Security};
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{AGENT, CALLBACK_SECRET, Service, Task, deployment, purge, record};
use fixtures::upstream::Fault;
use misplaced::misplaced;
use reqwest::Method;
use search::{HOLDERS, LINK_HOLDER, Search, Secrets, look_through};
use serde_json::json;
use std::collections::BTreeMap;

const MAIL_PASSWORD: &str = "8d1f60c2b75e4a93f0d2c6b81e7a5493";

/// What was answered, but for what had to hand a secret out.
#[derive(Default)]
struct Answers(Vec<(String, String)>);

impl Answers {
    fn keep(&mut self, of: &str, reply: &Reply) {
        self.0
            .push((format!("{of}: {}", reply.status), reply.text.clone()));
    }
}

/// The whole of what the service does, with what must stay secret noted on the way.
async fn live(
    sandbox: &Sandbox,
    service: &Service,
    secrets: &mut Secrets,
    answers: &mut Answers,
) -> Task {
    let bootstrap = service.caller.bootstrap_token().unwrap();
    secrets.keep_token("a bootstrap token", &bootstrap);
    let alice = SoftApprover::new("alice");
    answers.keep("a passkey", &service.caller.register(&alice).await.unwrap());
    let enrolment = service
        .caller
        .administer(
            Method::POST,
            "/v1/approvers/bob/enrolment",
            Some(&json!({})),
        )
        .await
        .unwrap();
    assert_eq!(enrolment.status, 201, "{}", enrolment.text);
    let link = enrolment.text_at("enrolment_url").to_owned();
    secrets.keep_token("an enrolment link", &link);
    let page = service.caller.ask(Method::GET, &link, None).await.unwrap();
    assert_eq!(page.status, 200);

    service.grant(&["dns.record.write"]).await;
    let task = service.open_task().await;
    secrets.keep_token("a capability token", &task.token);
    let done = service.apply(&task, "k1", &record("a")).await;
    assert_eq!(done.status, 200, "{}", done.text);
    answers.keep("an apply", &done);
    // Upstream refuses, and repeats what it was sent.
    let token = sandbox.upstream.token();
    sandbox.upstream.on_next_mutation(Fault::Refuse {
        status: 403,
        code: 9109,
        message: format!("Invalid access token in 'Authorization: Bearer {token}'"),
    });
    let refused = service.apply(&task, "k2", &record("b")).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    answers.keep("an apply that upstream refused", &refused);

    for (key, decision, operation) in [("k3", "approve", deployment()), ("k4", "deny", purge("a"))]
    {
        let asked = service.apply(&task, key, &operation).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        let url = asked.text_at("approval_url").to_owned();
        secrets.keep_token("an approval link", &url);
        secrets.keep_token("a resume token", asked.text_at("resume_token"));
        let decided = service
            .caller
            .decide(&alice, &url, decision, Some("as agreed"))
            .await
            .unwrap();
        assert_eq!(decided.status, 200, "{}", decided.text);
        answers.keep("a decision", &decided);
        let ended = service
            .resume(&task, key, asked.text_at("resume_token"))
            .await
            .unwrap();
        answers.keep("a continuation", &ended);
    }
    // A change of grants makes the token stale, and its successor takes its place.
    service
        .grant(&["dns.record.write", "cache.purge.execute"])
        .await;
    let stale = service.apply(&task, "k5", &record("c")).await;
    assert_eq!(stale.status, 401, "{}", stale.text);
    answers.keep("a stale token", &stale);
    let renewed = service.renew(&task).await;
    assert!(renewed.status < 300, "{}", renewed.text);
    let task = Task {
        id: task.id,
        token: renewed.text_at("capability_token").to_owned(),
    };
    secrets.keep_token("a renewed token", &task.token);
    task
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_full_run_no_secret_stands_anywhere_but_where_it_has_to() {
    let mut sandbox = Sandbox::new().await;
    sandbox.settings.insert("RUST_LOG", "trace".to_owned());
    sandbox.settings.insert("RATE_LIMIT_RPS", "0".to_owned());
    for (name, value) in [
        ("SERVICE_TOKEN", "5f2c81d0b7e94a36c1d8e0f7a2b49c63"),
        ("AGENT_API_KEY", "c97b3e5d0a1f48266f8d2c4b7a90e1d3"),
    ] {
        sandbox.settings.insert(name, value.to_owned());
    }
    let mut secrets = Secrets::default();
    for (name, value) in &sandbox.settings {
        let is_secret = ["_SECRET", "_TOKEN", "_API_KEY"]
            .iter()
            .any(|end| name.ends_with(end));
        if is_secret {
            secrets.keep(name, value);
        }
    }
    assert_eq!(secrets.0.len(), 8, "five secrets, two tokens and a key");
    secrets.keep("the callback's secret", CALLBACK_SECRET);
    let mail_server = MailServer::start(Security::Tls).await.unwrap();
    mail_server.demand_login("proxy", MAIL_PASSWORD);
    writing_to(&mut sandbox, &mail_server, "proxy", MAIL_PASSWORD);
    secrets.keep("the mail server's password", MAIL_PASSWORD);

    let service = sandbox.start().await;
    let ledger = sandbox.ledger_file().display().to_string();
    for holder in HOLDERS {
        let text = std::fs::read_to_string(format!("{ledger}{holder}")).unwrap();
        // A signing key stands behind its name and id.
        let key = text.trim();
        let key = key
            .splitn(5, '+')
            .nth(4)
            .filter(|_| key.starts_with("PRIVATE"))
            .unwrap_or(key);
        secrets.keep(holder, key);
        secrets.keep(
            &format!("{holder}, its bytes"),
            STANDARD.decode(key).unwrap(),
        );
    }
    let link = std::fs::read_to_string(format!("{ledger}{LINK_HOLDER}")).unwrap();
    let link = link.trim();
    secrets.keep("the first admin's link", link.rsplit('/').next().unwrap());
    let mut answers = Answers::default();
    let page = service.caller.ask(Method::GET, link, None).await.unwrap();
    answers.keep("the page of the first admin", &page);
    let begin = format!("{link}/options");
    let begin = service
        .caller
        .ask(Method::POST, &begin, Some(&json!({"username": "zoe"})))
        .await
        .unwrap();
    assert_eq!(begin.status, 200, "{}", begin.text);
    answers.keep("a passkey of the first admin", &begin);
    let task = live(&sandbox, &service, &mut secrets, &mut answers).await;
    people::live(&sandbox, &service, &mut secrets, &mut answers, &task).await;
    let own = service.caller.bootstrap_token().unwrap();
    for secret in [
        task.token.clone(),
        own,
        sandbox.settings["JWT_SECRET"].replace([' ', ','], "_"),
    ] {
        if !secret.contains('.') {
            secrets.keep("a secret in a wrong place", &secret);
        }
        misplaced(&service, &task, &secret, &mut answers).await;
    }
    until("all callbacks", async || {
        let path = format!("/v1/tasks/{}/deliveries", task.id);
        let reply = service
            .caller
            .ask_with(Method::GET, &path, &task.token, None, None)
            .await
            .unwrap();
        (reply.status == 200 && !reply.text.contains("\"owed\"")).then(|| {
            answers.keep("deliveries", &reply);
        })
    })
    .await;
    for path in ["", "/applies", "/approval-status"] {
        let path = format!("/v1/tasks/{}{path}", task.id);
        let reply = service
            .caller
            .ask_with(Method::GET, &path, &task.token, None, None);
        answers.keep("a look", &reply.await.unwrap());
    }
    let path = format!("/v1/agents/{AGENT}/permissions");
    let grants = service.caller.administer(Method::GET, &path, None).await;
    answers.keep("grants", &grants.unwrap());
    for path in ["/metrics", "/v1/openapi.json", "/v1/readyz"] {
        let reply = service.caller.ask(Method::GET, path, None).await.unwrap();
        answers.keep(path, &reply);
    }
    assert!(!mail_server.received().is_empty());
    let events = sandbox.events().await;
    let refused = events
        .iter()
        .filter(|it| it.event.name() == "apply.refused");
    assert!(refused.count() >= 60, "what was misplaced is on record");
    // What may be found is found: the search reaches into what is recorded.
    let mut recorded = Secrets::default();
    recorded.keep("a task's name", "a task of the tests");
    let file = std::fs::read(sandbox.read_tables_file()).unwrap();
    let wal = sandbox.read_tables_file().with_extension("db-wal");
    let wal = std::fs::read(wal).unwrap_or_default();
    assert!(!recorded.found_in(&[file, wal].concat()).is_empty());
    // While it runs, SQLite's logs hold what was written last.
    let running = look_through(sandbox.folder(), &secrets);
    assert!(running >= 6, "{running} files");
    let lines = [
        "backup copy.db".to_owned(),
        "ledger export --out bundle".to_owned(),
        format!("ledger dossier {} --out dossier.json", task.id),
        format!("ledger replay --task {}", task.id),
        "ledger tail -n 1000 --format jsonl".to_owned(),
        "ledger tail -n 1000 --format ocsf".to_owned(),
        "doctor --json".to_owned(),
        "--check-config".to_owned(),
        "projections status".to_owned(),
        format!("task close {} --reason done", task.id),
    ];
    for line in lines {
        let output = sandbox.run(&line);
        let (out, error) = fixtures::process::said(&output);
        let may_fail = line.starts_with("doctor");
        assert!(output.status.success() || may_fail, "{line}: {error}");
        answers.0.push((line.clone(), out));
        answers.0.push((line, error));
    }
    assert!(service.stop().await.success());
    assert!(sandbox.log().contains("\"level\":\"TRACE\""));
    look_through(sandbox.folder(), &secrets);
    let search = Search::new(&secrets);
    let mut leaks = BTreeMap::new();
    for (of, text) in &answers.0 {
        let found = search.found_in(text.as_bytes());
        if !found.is_empty() {
            leaks.insert(of, (found, text));
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
}
