//! What SECURITY.md says of attackers who meet the whole service, and that it says nothing without a
//! test that holds it.

use fixtures::process::said;
use fixtures::receiver::Answer;
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::{deployment, purge};
use ledger::DeliveryId;
use ledger::event::AttemptOutcome;
use reqwest::Method;
use rusqlite::Connection;
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::Path;

const THREAT_MODEL: &str = "SECURITY.md";

/// The `path::name` of every claim in the threat model.
fn named_tests(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    quoted
        .filter_map(|quoted| quoted.split_once(".rs::"))
        .collect()
}

/// Whether the file has a test of that name: a function behind an attribute that makes it one, or inside
/// `proptest!`.
fn is_test(source: &str, name: &str) -> bool {
    let mut is_marked = false;
    for line in source.lines().map(str::trim) {
        let declared = line.strip_prefix("async ").unwrap_or(line);
        if declared
            .strip_prefix("fn ")
            .and_then(|rest| rest.split_once('('))
            .is_some_and(|(found, _)| found == name)
        {
            return is_marked;
        }
        is_marked = line.starts_with("#[test]")
            || line.starts_with("#[tokio::test")
            || (is_marked && line.starts_with("#["));
    }
    false
}

#[test]
fn every_claim_of_the_threat_model_names_a_test_that_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join(THREAT_MODEL)).unwrap();
    let named = named_tests(&text);
    assert!(named.len() > 100, "only {} tests are named", named.len());
    let missing: Vec<String> = named
        .iter()
        .filter(|(file, name)| {
            let source = std::fs::read_to_string(root.join(format!("{file}.rs")));
            !source.is_ok_and(|source| is_test(&source, name))
        })
        .map(|(file, name)| format!("{file}.rs::{name}"))
        .collect();
    assert!(missing.is_empty(), "no such tests: {missing:#?}");

    // A row that claims without naming a test would be a promise.
    for line in text.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        let is_head = cells.last().is_some_and(|last| last.trim() == "held by");
        assert!(
            is_head || cells.len() != 2 || !named_tests(line).is_empty(),
            "no test holds: {line}"
        );
    }
}

#[test]
fn a_test_is_told_from_what_only_looks_like_one() {
    let source = "#[test]\nfn one() {}\nfn two() {}\n#[tokio::test(flavor = \"x\")]\n#[cfg(unix)]\nasync fn three() {}\n// fn four()\n";
    for (name, expected) in [
        ("one", true),
        ("two", false),
        ("three", true),
        ("four", false),
        ("on", false),
    ] {
        assert_eq!(is_test(source, name), expected, "{name}");
    }
}

/// Everything in the read tables that somebody could want to be otherwise.
fn forge_read_tables(file: &Path) {
    let db = Connection::open(file).unwrap();
    db.execute_batch(
        "UPDATE callbacks SET url = replace(url, '/hooks', '/stolen');
         UPDATE approvals SET state = 'approved', deadline = NULL, decided_by = 'alice';
         INSERT INTO execution_queue (apply_id, task_id, agent, authorised_at, position)
             SELECT apply_id, task_id, agent, accepted_at, 0 FROM applies;
         UPDATE permissions SET granted_level = 'admin';",
    )
    .unwrap();
}

#[tokio::test]
async fn what_is_written_into_the_read_tables_moves_nothing() {
    let mut sandbox = Sandbox::new().await;
    sandbox
        .settings
        .insert("CALLBACK_MAX_RETRIES", "1".to_owned());
    sandbox.receiver.answer_afterwards(Answer::status(503));
    let service = sandbox.start().await;
    let task = service.open_task().await;
    let asked = service.apply(&task, "k", &deployment()).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let tried = sandbox.event("delivery.attempt_ended").await;
    assert!(service.stop().await.success());

    forge_read_tables(&sandbox.read_tables_file());
    sandbox.receiver.answer_afterwards(Answer::status(200));
    let service = sandbox.start().await;
    let delivery = DeliveryId::from(tried.stream_id());
    let retried = sandbox.run(&format!("delivery retry {delivery} --reason again"));
    assert!(retried.status.success(), "{}", said(&retried).1);
    until("the delivery", async || {
        let events = sandbox.events().await;
        let delivered = events.iter().any(|event| match &event.event {
            ledger::Event::AttemptEnded(ended) => {
                matches!(ended.outcome, AttemptOutcome::Delivered { .. })
            }
            _ => false,
        });
        delivered.then_some(())
    })
    .await;
    let paths: BTreeSet<String> = sandbox
        .receiver
        .received()
        .iter()
        .map(|request| request.path_and_query().to_owned())
        .collect();
    assert_eq!(paths, BTreeSet::from(["/hooks".to_owned()]));

    // The question is still open, and its operations have not been sent.
    let again = service.apply(&task, "k", &deployment()).await;
    assert_eq!(
        again.text_at("status"),
        "requires_approval",
        "{}",
        again.text
    );
    let resumed = service.resume(&task, "k", again.text_at("resume_token"));
    let resumed = resumed.await.unwrap();
    assert_eq!(resumed.text_at("status"), "requires_approval");
    assert_eq!(sandbox.upstream.mutations("").len(), 0);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn no_proxy_of_the_environment_gets_to_see_a_request() {
    let mut sandbox = Sandbox::new().await;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    for name in [
        "HTTP_PROXY",
        "http_proxy",
        "HTTPS_PROXY",
        "https_proxy",
        "ALL_PROXY",
        "all_proxy",
    ] {
        sandbox.settings.insert(name, proxy.clone());
    }
    let service = sandbox.start().await;
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    let reply = service.apply(&task, "k", &purge("a")).await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    sandbox.receiver.wait_for(1).await.unwrap();
    assert_eq!(sandbox.upstream.mutations("purge_cache").len(), 1);
    assert_eq!(
        listener.accept().map(drop).unwrap_err().kind(),
        ErrorKind::WouldBlock,
        "somebody asked the proxy"
    );
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_second_service_that_would_sign_from_the_same_file_is_refused() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let mut state = sandbox.ledger_file().into_os_string();
    state.push(".signing-state");
    let other = sandbox.folder().join("other");
    let url = |name: &str| format!("sqlite://{}", other.join(name).display());
    let mut command = sandbox.command("serve --log-format json");
    command
        .env("DATABASE_URL", url("proxy.db"))
        .env("LEDGER_URL", url("proxy.ledger.db"))
        .env("LEDGER_SIGNING_STATE", state);
    let refused = command.output().unwrap();
    let (_, complained) = said(&refused);
    assert_eq!(refused.status.code(), Some(1), "{complained}");
    assert!(
        complained.contains("is in use by another process"),
        "{complained}"
    );
    let ready = service.caller.ask(Method::GET, "/v1/readyz", None);
    assert_eq!(ready.await.unwrap().status, 200);
    assert!(service.stop().await.success());
}
