//! A new installation: the settings that `init` makes, and the commands that it names.

use fixtures::process::{bare, said};
use fixtures::sandbox::until;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Output;

/// Runs a command in the folder, with nothing in its environment but a place for a session.
fn run(folder: &Path, line: &str) -> Output {
    let mut command = bare(line);
    command
        .current_dir(folder)
        .env("XDG_STATE_HOME", folder.join("state"));
    command.output().unwrap()
}

fn done(folder: &Path, line: &str) -> (String, String) {
    let output = run(folder, line);
    assert!(output.status.success(), "{line}: {:?}", said(&output));
    said(&output)
}

/// The values in the file that look like secrets.
fn secrets(text: &str) -> Vec<String> {
    let settings: toml::Table = text.parse().unwrap();
    let values = settings.values().filter_map(toml::Value::as_str);
    let secrets = values.filter(|value| value.len() == 64);
    secrets.map(str::to_owned).collect()
}

#[test]
fn new_settings_are_for_their_owner_alone_and_nothing_of_them_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let (told, complained) = done(folder.path(), "init --approver anna --approver bo");
    let file = folder.path().join("llm-permission-proxy.toml");
    let mode = file.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    let text = std::fs::read_to_string(&file).unwrap();
    let secrets = secrets(&text);
    assert_eq!(secrets.len(), 6, "{text}");
    for secret in &secrets {
        assert!(!told.contains(secret) && !complained.contains(secret));
    }
    let is_own = |secret: &String| secrets.iter().filter(|other| *other == secret).count() == 1;
    assert!(secrets.iter().all(is_own));
    for next in ["serve --config", "approver invite bo", "task open"] {
        assert!(told.contains(next), "{told}");
    }
    let beside = std::fs::read_dir(folder.path()).unwrap();
    assert_eq!(beside.count(), 1, "nothing is left beside it");
    done(
        folder.path(),
        "--check-config --config llm-permission-proxy.toml",
    );
}

#[test]
fn settings_that_are_there_are_never_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("llm-permission-proxy.toml");
    std::fs::write(&file, "mine").unwrap();
    let output = run(folder.path(), "init");
    let (_, complained) = said(&output);
    assert_eq!(output.status.code(), Some(1));
    assert!(complained.contains("never written over"), "{complained}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
    std::fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &file).unwrap();
    assert_eq!(run(folder.path(), "init").status.code(), Some(1));
    assert!(!folder.path().join("elsewhere").exists());
}

#[test]
fn settings_that_no_start_would_take_are_not_made() {
    let folder = tempfile::tempdir().unwrap();
    for (line, code) in [
        ("init --url http://proxy.example", 2),
        ("init --approver a,b", 2),
        ("init --url https://192.0.2.1", 1),
        ("init nowhere/file.toml", 1),
    ] {
        let output = run(folder.path(), line);
        assert_eq!(
            output.status.code(),
            Some(code),
            "{line}: {:?}",
            said(&output)
        );
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    done(
        folder.path(),
        "init --url https://proxy.example/gate file.toml",
    );
    let text = std::fs::read_to_string(folder.path().join("file.toml")).unwrap();
    let settings: toml::Table = text.parse().unwrap();
    assert_eq!(
        settings["WEBAUTHN_ORIGIN"].as_str(),
        Some("https://proxy.example")
    );
    assert_eq!(settings["BIND_ADDR"].as_str(), Some("127.0.0.1:8080"));
}

/// With nothing but the file: no environment, no login.
#[tokio::test]
async fn the_commands_that_init_names_are_enough_for_a_first_task() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    done(folder, &format!("init --url http://localhost:{port}"));
    let with = |line: &str| format!("{line} --config llm-permission-proxy.toml");
    let mut serve = bare(&with("serve --log-format json"));
    serve.current_dir(folder);
    let mut service = fixtures::process::Process::spawn(&mut serve, &folder.join("log"));
    let ready = with("ready");
    until("a service that is ready", async || {
        assert!(service.has_ended().is_none(), "{}", service.log());
        run(folder, &ready).status.success().then_some(())
    })
    .await;

    let (link, _) = done(folder, &with("approver invite default"));
    assert!(
        link.starts_with(&format!("http://localhost:{port}/")),
        "{link}"
    );
    let open = "task open first --agent deployer --operation dns.record.write:zone:*";
    let (assignments, _) = done(folder, &with(&format!("{open} --shell")));
    let (task, token) = assignments.split_once('\n').unwrap();
    let task = task.strip_prefix("TASK=").unwrap();
    let token = token.trim().strip_prefix("TOKEN=").unwrap();
    assert_eq!(token.split('.').count(), 3);
    let (shown, _) = done(folder, &with(&format!("task show {task} --json")));
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["task_name"], "first");
    let (screen, _) = done(folder, &with("status"));
    assert!(screen.starts_with("service     up and ready"), "{screen}");
    assert!(screen.contains("questions   0 wait"), "{screen}");
    let (alone, beside) = done(folder, &with(open));
    assert!(alone.starts_with("eyJ") && alone.lines().count() == 1);
    assert!(beside.contains("task id") && !beside.contains(alone.trim()));
}

/// The service token is of one service: another one that is named is not shown it.
#[tokio::test]
async fn the_settings_open_no_other_service_than_their_own() {
    let folder = tempfile::tempdir().unwrap();
    done(folder.path(), "init");
    let line = "task list --config llm-permission-proxy.toml --url http://localhost:9";
    let output = run(folder.path(), line);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).1.contains("nobody is logged in"),
        "{output:?}"
    );
}

#[test]
fn a_status_of_nobody_has_an_exit_code_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), "status --url http://127.0.0.1:9");
    assert_eq!(output.status.code(), Some(3), "{:?}", said(&output));
    assert!(said(&output).0.is_empty());
}
