//! People at the command line, against the real service.

use fixtures::process::{Process, said};
use fixtures::sandbox::{Sandbox, until};
use fixtures::service::record;
use serde_json::Value;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Output, Stdio};

const PASSWORD: &str = "a password of the tests\n";
pub(crate) const TOKEN: &str = "the-service-token-of-the-tests-of-people";

/// A sandbox whose service is reached where its settings say, with a home for the person.
pub(crate) async fn desk() -> Sandbox {
    let mut sandbox = Sandbox::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let url = format!("http://localhost:{}", address.port());
    let state = sandbox.folder().join("state").display().to_string();
    for (name, value) in [
        ("BIND_ADDR", address.to_string()),
        ("BASE_URL", url.clone()),
        ("WEBAUTHN_ORIGIN", url),
        ("SERVICE_TOKEN", TOKEN.to_owned()),
        ("XDG_STATE_HOME", state),
    ] {
        sandbox.settings.insert(name, value);
    }
    sandbox
}

/// Runs a command with this on its standard input.
pub(crate) fn run(sandbox: &Sandbox, line: &str, input: &str) -> Output {
    let mut command = sandbox.command(line);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let written = child.stdin.take().unwrap().write_all(input.as_bytes());
    // One that reads nothing may have ended before.
    drop(written);
    child.wait_with_output().unwrap()
}

pub(crate) fn done(sandbox: &Sandbox, line: &str, input: &str) -> String {
    let output = run(sandbox, line, input);
    assert!(output.status.success(), "{line}: {:?}", said(&output));
    said(&output).0
}

pub(crate) fn refused(sandbox: &Sandbox, line: &str, input: &str) -> String {
    let output = run(sandbox, line, input);
    assert_eq!(output.status.code(), Some(1), "{line}: {:?}", said(&output));
    said(&output).1
}

fn json(sandbox: &Sandbox, line: &str) -> Value {
    serde_json::from_str(&done(sandbox, &format!("{line} --json"), "")).unwrap()
}

#[tokio::test]
async fn the_first_admin_is_made_while_no_other_can_log_in() {
    let sandbox = desk().await;
    let service = sandbox.start().await;
    assert!(service.stop().await.success());
    let create = "user create-admin anna --password-stdin";
    let short = refused(&sandbox, create, "short\n");
    assert!(short.contains("too short"), "{short}");
    let told = done(&sandbox, create, PASSWORD);
    assert!(told.contains("anna is the first admin"), "{told}");
    assert!(told.contains("; made by the account "), "{told}");

    let service = sandbox.start().await;
    let second = refused(&sandbox, "user create-admin bob --password-stdin", PASSWORD);
    assert!(second.contains("there is an administrator"), "{second}");
    let invited = refused(&sandbox, "user create-admin bob", "");
    assert!(invited.contains("there is an administrator"), "{invited}");
    let told = done(&sandbox, "login anna --password-stdin", PASSWORD);
    assert!(told.contains("anna is logged in as admin"), "{told}");
    let users = json(&sandbox, "user list");
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
    assert!(service.stop().await.success());
    let log = sandbox.log();
    assert!(!log.contains(PASSWORD.trim()), "{log}");
}

#[tokio::test]
async fn an_invited_admin_is_given_the_link_again_and_no_log_holds_it() {
    let sandbox = desk().await;
    let service = sandbox.start().await;
    let first = run(&sandbox, "user create-admin anna", "");
    let (link, about) = said(&first);
    assert!(first.status.success(), "{about}");
    assert!(
        link.contains("/v1/enrol/") && !about.contains("/v1/enrol/"),
        "{about}"
    );
    assert_eq!(link.lines().count(), 1);
    let again = done(&sandbox, "user create-admin anna", "");
    assert_ne!(again, link);
    let users = json(&sandbox, &format!("user list --token {TOKEN}"));
    assert_eq!(users["users"].as_array().unwrap().len(), 1);
    // Whoever can log in is the first, whatever was begun before.
    let other = done(&sandbox, "user create-admin bob --password-stdin", PASSWORD);
    assert!(other.contains("bob is the first admin"));
    refused(&sandbox, "user create-admin anna", "");
    assert!(service.stop().await.success());
    let token = link.trim().rsplit('/').next().unwrap();
    assert!(!sandbox.log().contains(token));
}

#[tokio::test]
async fn a_session_of_the_command_line_ends_with_its_logout_and_its_user() {
    let sandbox = desk().await;
    let service = sandbox.start().await;
    let made = json(
        &sandbox,
        &format!("user create bob --role operator --token {TOKEN}"),
    );
    let id = made["id"].as_str().unwrap();
    let set = format!("user password {id} --password-stdin --token {TOKEN}");
    done(&sandbox, &set, "given by the admin\n");
    let login = "login bob --password-stdin";
    let told = refused(&sandbox, login, "given by the admin\n");
    assert!(told.contains("nothing was changed"), "{told}");
    done(
        &sandbox,
        login,
        "given by the admin\nchosen by bob himself\n",
    );
    // An operator lists no users.
    let told = refused(&sandbox, "user list", "");
    assert!(
        told.contains("admin") && !told.contains("log in:"),
        "{told}"
    );

    let disable = format!("user set {id} --disabled true --token {TOKEN}");
    done(&sandbox, &disable, "");
    let told = refused(&sandbox, "user list", "");
    assert!(
        told.contains("log in: llm-permission-proxy login"),
        "{told}"
    );
    assert_eq!(done(&sandbox, "logout", ""), "logged out\n");
    let told = refused(&sandbox, login, "chosen by bob himself\n");
    assert!(!told.contains("log in:"), "{told}");
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_user_who_may_audit_verifies_the_service_in_the_session_of_login() {
    let sandbox = desk().await;
    let service = sandbox.start().await;
    let url = sandbox.settings["BASE_URL"].clone();
    let verify = format!(
        "ledger verify {url} --key {}",
        done(&sandbox, "ledger vkey", "").trim()
    );
    let nobody = run(&sandbox, &verify, "");
    assert_eq!(nobody.status.code(), Some(2));
    assert!(said(&nobody).1.contains("login NAME --url"), "{nobody:?}");
    for (name, right) in [("bob", ""), ("eve", "--can-audit")] {
        let create = format!("user create {name} --role viewer {right} --token {TOKEN}");
        let id = json(&sandbox, create.trim())["id"].clone();
        let set = format!(
            "user password {} --password-stdin --token {TOKEN}",
            id.as_str().unwrap()
        );
        done(&sandbox, &set, "given by the admin\n");
        let passwords = "given by the admin\nchosen by themselves\n";
        done(
            &sandbox,
            &format!("login {name} --password-stdin"),
            passwords,
        );
        let output = run(&sandbox, &verify, "");
        match right {
            "" => assert!(said(&output).1.contains("403"), "{output:?}"),
            _ => {
                assert_eq!(output.status.code(), Some(0), "{output:?}");
                assert!(said(&output).0.starts_with("VERIFIED: "), "{output:?}");
            }
        }
    }
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn what_needs_a_passkey_is_done_on_the_machine_and_recorded_with_its_reason() {
    let sandbox = desk().await;
    let service = sandbox.start().await;
    let local = |line: &str, input: &str| {
        done(&sandbox, &format!("{line} --local --reason because"), input)
    };
    let told = local("user create bob --role operator", "");
    assert!(told.contains("user bob is made as operator"), "{told}");
    let users = json(&sandbox, &format!("user list --token {TOKEN}"));
    let id = users["users"][0]["id"].as_str().unwrap().to_owned();
    local(&format!("user set {id} --role viewer"), "");
    local(
        &format!("user password {id} --password-stdin"),
        "given on the machine\n",
    );
    let link = local(&format!("user enrol {id}"), "");
    assert!(link.contains("/v1/enrol/"), "{link}");
    let told = local("group create night", "");
    assert!(told.contains("group night is made"), "{told}");
    let groups = json(&sandbox, &format!("group list --token {TOKEN}"));
    let group = groups["groups"][0]["id"].as_str().unwrap().to_owned();
    let told = local(&format!("group members {group} --add {id}"), "");
    assert!(told.contains("has 1 members"), "{told}");
    local("agent create crawler --site attic", "");
    let key = local("key create crawler", "");
    assert!(key.starts_with("cak_"), "{key}");
    let told = refused(&sandbox, "user list --local --reason because", "");
    assert!(told.contains("without --local"), "{told}");
    assert!(service.stop().await.success());
    local(&format!("user delete {id}"), "");
    for event in sandbox.events().await {
        let name = event.event.name();
        if name.starts_with("user.") || name.starts_with("group.") {
            assert!(
                matches!(event.envelope.actor, ledger::Actor::Operator { .. }),
                "{name}"
            );
        }
    }
    let log = sandbox.log();
    assert!(!log.contains(key.trim()) && !log.contains("given on the machine"));
}

/// What stands in the file of the first admin's link, once it is there.
async fn link_beside(sandbox: &Sandbox) -> String {
    let mut file = sandbox.ledger_file().into_os_string();
    file.push(".first-admin");
    let found = until("the link of the first admin", async || {
        std::fs::read_to_string(&file).ok()
    });
    let link = found.await;
    let mode = std::fs::metadata(&file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    link
}

async fn link_is_gone(sandbox: &Sandbox) {
    let mut file = sandbox.ledger_file().into_os_string();
    file.push(".first-admin");
    let file = std::path::PathBuf::from(file);
    let gone = until("the link to go", async || (!file.exists()).then_some(()));
    gone.await;
}

#[tokio::test]
async fn a_start_leaves_a_link_for_the_first_admin_until_there_is_one() {
    let sandbox = desk().await;
    let service = sandbox.start().await;
    let link = link_beside(&sandbox).await;
    let begin = format!("{}/v1/setup/", sandbox.settings["BASE_URL"]);
    assert!(link.starts_with(&begin), "{link}");
    assert!(service.stop().await.success());
    link_is_gone(&sandbox).await;
    // Each start has a link of its own; what a kill left is not taken for one.
    let mut left = sandbox.ledger_file().into_os_string();
    left.push(".first-admin");
    std::fs::write(&left, &link).unwrap();
    let service = sandbox.start().await;
    let next = link_beside(&sandbox).await;
    assert_ne!(next, link);
    done(
        &sandbox,
        "user create-admin anna --password-stdin",
        PASSWORD,
    );
    link_is_gone(&sandbox).await;
    assert!(service.stop().await.success());
    let service = sandbox.start().await;
    assert!(!std::path::Path::new(&left).exists());
    assert!(service.stop().await.success());
    let log = sandbox.log();
    for link in [&link, &next] {
        let secret = link.trim().rsplit('/').next().unwrap();
        assert!(!log.contains(secret), "{log}");
    }
}

#[tokio::test]
async fn questions_are_watched_as_they_come_up_and_end_also_over_a_restart() {
    let sandbox = desk().await;
    let service = sandbox.start().await;
    let mut command = sandbox.command(&format!("approval watch --token {TOKEN}"));
    let watch = Process::spawn(&mut command, &sandbox.folder().join("watch"));
    let lines = async |count: usize, word: &str| {
        let told = until("the watch", async || {
            let told = watch.log();
            (told.matches(word).count() == count).then_some(told)
        });
        told.await
    };
    let task = service.open_task().await;
    let asked = service.apply(&task, "k1", &record("www")).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let told = lines(1, "pending").await;
    assert!(
        told.contains("elevated   deployer  Create www.example.com A"),
        "the act and its risk: {told}"
    );
    assert!(told.contains(" UTC  http"), "{told}");
    assert!(told.contains("/requests/"), "{told}");
    done(
        &sandbox,
        &format!("task close {} --reason done", task.id),
        "",
    );
    lines(1, "cancelled").await;
    assert!(service.stop().await.success());
    lines(1, "asking again").await;
    let service = sandbox.start().await;
    let task = service.open_task().await;
    let asked = service.apply(&task, "k2", &record("api")).await;
    assert_eq!(asked.status, 202, "{}", asked.text);
    let told = lines(2, "pending").await;
    assert!(!told.contains("/v1/approve/"), "no secret is shown: {told}");
    assert!(service.stop().await.success());
}
