//! What the doctor finds, beside a running service and without one.

use crate::notifiers::writing_to;
use fixtures::approver::SoftApprover;
use fixtures::mail::{Conduct, MailServer, Security, Step};
use fixtures::process::{bare, said};
use fixtures::sandbox::Sandbox;
use serde_json::Value;
use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;

/// The exit code and the findings.
fn examined(sandbox: &Sandbox) -> (Option<i32>, Vec<Value>) {
    let output = sandbox.run("doctor --json");
    let (told, complained) = said(&output);
    assert!(complained.is_empty(), "{complained}");
    let report: Value = serde_json::from_str(&told).unwrap();
    let well = report["well"].as_bool().unwrap();
    assert_eq!(output.status.success(), well, "{told}");
    for finding in report["findings"].as_array().unwrap() {
        let advised = finding.get("advice").is_some();
        assert_eq!(advised, finding["grade"] != "ok", "{finding}");
    }
    let findings = report["findings"].as_array().unwrap().clone();
    (output.status.code(), findings)
}

/// What was found to be a problem or a warning under that name.
fn bad<'f>(findings: &'f [Value], check: &str) -> Vec<&'f str> {
    findings
        .iter()
        .filter(|finding| finding["check"] == check && finding["grade"] != "ok")
        .map(|finding| finding["found"].as_str().unwrap())
        .collect()
}

/// Sandbox whose service can be asked.
async fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new().await;
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    sandbox.settings.insert("BIND_ADDR", address);
    sandbox
}

fn damage(file: &Path, at: u64) {
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.write_all_at(&[0xA5; 64], at).unwrap();
}

#[tokio::test]
async fn all_is_well_beside_a_running_service_and_after_it() {
    let sandbox = sandbox().await;
    let service = sandbox.start().await;
    service.open_task().await;
    let before = sandbox.events().await;
    let (code, findings) = examined(&sandbox);
    assert_eq!(code, Some(0), "{findings:?}");
    let running = findings.iter().find(|f| f["check"] == "service").unwrap();
    assert!(
        running["found"].as_str().unwrap().contains("ready"),
        "{running}"
    );
    assert!(service.stop().await.success());
    let (code, findings) = examined(&sandbox);
    assert_eq!(code, Some(0), "{findings:?}");
    assert_eq!(sandbox.events().await, before, "nothing is recorded");
    let (told, _) = said(&sandbox.run("doctor"));
    assert!(told.contains("not running"), "{told}");
}

#[test]
fn secrets_that_are_missing_are_one_problem_with_the_command_that_makes_them() {
    let output = bare("doctor").env("BIND_ADDR", "nowhere").output().unwrap();
    let (told, _) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    let missing: Vec<&str> = told
        .lines()
        .filter(|line| line.contains("JWT_SECRET"))
        .collect();
    assert_eq!(missing.len(), 1, "{told}");
    for part in ["RESUME_TOKEN_SECRET", "are not set"] {
        assert!(missing[0].contains(part), "{told}");
    }
    for part in ["openssl rand -hex 32", "init", "BIND_ADDR"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(told.contains("problems to solve"), "{told}");
}

#[tokio::test]
async fn approvers_without_a_passkey_are_found_until_they_have_one() {
    let sandbox = sandbox().await;
    let service = sandbox.start().await;
    service.open_task().await;
    let (code, findings) = examined(&sandbox);
    let found = bad(&findings, "approvers");
    assert_eq!((code, found.len()), (Some(0), 1), "{findings:?}");
    assert!(
        found[0].contains("alice, so nobody can decide"),
        "{found:?}"
    );
    service.register(&SoftApprover::new("alice")).await;
    assert!(service.stop().await.success());
    let service = sandbox.start().await;
    let (_, findings) = examined(&sandbox);
    assert!(bad(&findings, "approvers").is_empty(), "{findings:?}");
    service.kill();
}

#[tokio::test]
async fn what_lets_people_or_agents_in_too_easily_is_warned_of_in_the_log_and_by_the_doctor() {
    const KEY: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
    let mut sandbox = sandbox().await;
    sandbox.settings.insert("AGENT_API_KEY", KEY.to_owned());
    sandbox.settings.insert("AUTH_DISABLE", "1".to_owned());
    let service = sandbox.start().await;
    let (code, findings) = examined(&sandbox);
    assert_eq!(
        code,
        Some(0),
        "what is warned of is not wrong: {findings:?}"
    );
    assert!(service.stop().await.success());
    let log = sandbox.log();
    let found = bad(&findings, "settings");
    for warning in ["AGENT_API_KEY is deprecated", "AUTH_DISABLE is on"] {
        assert!(log.contains(warning), "{warning}: {log}");
        let is_found = found.iter().any(|found| found.contains(warning));
        assert!(is_found, "{warning}: {found:?}");
    }
    assert!(!log.contains(KEY) && !format!("{findings:?}").contains(KEY));
}

/// What was found under that name, with its grade.
fn told<'f>(findings: &'f [Value], check: &str) -> (&'f str, &'f str) {
    let of = |finding: &&Value| finding["check"] == check;
    let finding = findings.iter().find(of).unwrap();
    (
        finding["grade"].as_str().unwrap(),
        finding["found"].as_str().unwrap(),
    )
}

// The server answers while this test waits for the command.
#[tokio::test(flavor = "multi_thread")]
async fn the_mail_server_is_asked_whether_it_takes_both_addresses_and_nothing_is_sent() {
    const SECRET: &str = "secret-of-the-mailbox";
    let server = MailServer::start(Security::Tls).await.unwrap();
    let mut sandbox = sandbox().await;
    let (_, findings) = examined(&sandbox);
    assert_eq!(told(&findings, "e-mail").0, "ok", "none is configured");
    assert_eq!(told(&findings, "web push").0, "ok");

    writing_to(&mut sandbox, &server, "me", SECRET);
    server.demand_login("me", SECRET);
    let (_, findings) = examined(&sandbox);
    let (grade, found) = told(&findings, "e-mail");
    assert_eq!(grade, "ok", "{found}");
    for part in [
        "proxy@example.com",
        "TLS with the connection, with a login",
        "takes both addresses",
    ] {
        assert!(found.contains(part), "{part}: {found}");
    }
    server.at(Step::Mail, Conduct::Say("550 5.7.1 not your sender"));
    let (code, findings) = examined(&sandbox);
    let (grade, found) = told(&findings, "e-mail");
    assert_eq!((code, grade), (Some(0), "warning"), "{found}");
    assert!(
        found.contains("MAIL FROM") && found.contains("550"),
        "{found}"
    );
    server.behave();
    assert!(server.received().is_empty());
    assert_eq!(server.violations(), Vec::<String>::new());

    // A server that offers no TLS where it was to begin with the connection.
    let clear = MailServer::start(Security::Plain).await.unwrap();
    writing_to(&mut sandbox, &clear, "me", SECRET);
    let (_, findings) = examined(&sandbox);
    let (grade, found) = told(&findings, "e-mail");
    assert_eq!(grade, "warning", "{found}");
    assert!(!format!("{findings:?}").contains(SECRET));

    sandbox.settings.remove("NOTIFY_EMAIL_TO");
    let (code, findings) = examined(&sandbox);
    let (grade, found) = told(&findings, "e-mail");
    assert_eq!((code, grade), (Some(1), "problem"), "{found}");
    assert!(found.contains("NOTIFY_EMAIL_TO"), "{found}");
    sandbox.settings.remove("NOTIFY_EMAIL_URL");
    let (_, findings) = examined(&sandbox);
    let warned = bad(&findings, "settings");
    assert!(warned[0].contains("NOTIFY_EMAIL_FROM"), "{warned:?}");
}

#[tokio::test]
async fn what_others_may_read_or_replace_is_found() {
    let sandbox = sandbox().await;
    let service = sandbox.start().await;
    assert!(service.stop().await.success());
    let ledger = sandbox.ledger_file();
    let folder = ledger.parent().unwrap();
    let set = |file: &Path, mode| {
        std::fs::set_permissions(file, Permissions::from_mode(mode)).unwrap();
    };
    set(&ledger, 0o644);
    set(&ledger.with_extension("db.key"), 0o640);
    set(folder, 0o777);
    let (code, findings) = examined(&sandbox);
    assert_eq!(code, Some(1));
    assert_eq!(bad(&findings, "files").len(), 2, "{findings:?}");
    assert_eq!(bad(&findings, "keys").len(), 1, "{findings:?}");
}

#[tokio::test]
async fn a_backup_that_was_broken_off_is_found() {
    let sandbox = sandbox().await;
    let service = sandbox.start().await;
    assert!(service.stop().await.success());
    let left = sandbox.ledger_file().with_file_name(".l.db.x1.partial");
    std::fs::write(left, "half").unwrap();
    let (code, findings) = examined(&sandbox);
    assert_eq!(code, Some(0), "a warning is no problem");
    let found = bad(&findings, "leftovers");
    assert!(found[0].contains(".l.db.x1.partial"), "{found:?}");
}

#[tokio::test]
async fn a_damaged_ledger_and_damaged_read_tables_are_found_without_a_start() {
    let mut sandbox = sandbox().await;
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let ledger = sandbox.ledger_file().with_file_name("copy.db");
    let made = sandbox.run(&format!("backup {}", ledger.display()));
    assert!(made.status.success(), "{made:?}");
    let url = format!("sqlite://{}", ledger.display());
    sandbox.settings.insert("LEDGER_URL", url);
    let bytes = std::fs::read(&ledger).unwrap();
    let name = b"a task of the tests";
    let at = bytes.windows(name.len()).position(|window| window == name);
    damage(&ledger, at.unwrap() as u64);
    std::fs::write(sandbox.read_tables_file(), [0xA5; 8192]).unwrap();

    let (code, findings) = examined(&sandbox);
    assert_eq!(code, Some(1));
    let found = bad(&findings, "ledger");
    assert!(found[0].contains("damaged"), "{findings:?}");
    assert_eq!(bad(&findings, "read tables").len(), 1, "{findings:?}");
}

#[tokio::test]
async fn a_service_that_is_not_ready_is_asked_why() {
    let sandbox = sandbox().await;
    let service = sandbox.start_with_room(512).await;
    while service.try_open_task().await.is_ok() {}
    let (code, findings) = examined(&sandbox);
    assert_eq!(code, Some(1));
    let found = bad(&findings, "service");
    assert!(found[0].contains("not ready"), "{findings:?}");
    service.kill();
}
