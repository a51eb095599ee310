//! The command line beside the service.

use fixtures::process::{bare, binary, said};
use fixtures::sandbox::Sandbox;
use fixtures::service::purge;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

#[test]
fn a_command_line_that_is_wrong_is_told_apart_from_a_refusal() {
    assert_eq!(bare("ledger tial").output().unwrap().status.code(), Some(2));
    assert_eq!(bare("ledger tail").output().unwrap().status.code(), Some(1));
    let help = bare("--help").output().unwrap();
    let (told, _) = said(&help);
    assert!(help.status.success());
    for command in [
        "serve",
        "demo",
        "ready",
        "ledger",
        "projections",
        "apply",
        "credential",
    ] {
        assert!(told.contains(&format!("  {command}")), "{told}");
    }
}

#[test]
fn every_shell_completes_the_commands_and_every_command_has_a_man_page() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = bare(&format!("completions {shell}")).output().unwrap();
        let (script, _) = said(&script);
        for word in ["approval", "verify-dossier", "reason"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let line = format!("man {}", folder.path().display());
    let written = bare(&line).output().unwrap();
    assert!(written.status.success(), "{:?}", said(&written));
    for (page, text) in [
        ("llm-permission-proxy.1", "capability"),
        (
            "llm-permission-proxy-task-close.1",
            "cancel what is pending",
        ),
    ] {
        let page = std::fs::read_to_string(folder.path().join(page)).unwrap();
        assert!(page.to_lowercase().contains(text), "{page}");
    }
    let nowhere = bare("man /nowhere/at/all").output().unwrap();
    assert_eq!(nowhere.status.code(), Some(1));
}

#[test]
fn the_settings_of_clients_need_no_secrets_and_another_upstream_is_a_wrong_command_line() {
    let mut info = bare("proxy info");
    info.env("BASE_URL", "https://proxy.example.com");
    let (told, error) = said(&info.output().unwrap());
    assert_eq!(error, "");
    for line in [
        "export ANTHROPIC_BASE_URL=https://proxy.example.com/proxy/anthropic",
        "export CLOUDFLARE_BASE_URL=https://proxy.example.com/proxy/cloudflare/client/v4",
        "export CLOUDFLARE_API_BASE_URL=https://proxy.example.com/proxy/cloudflare/client/v4",
    ] {
        assert!(told.lines().any(|told| told == line), "{told}");
    }
    let one = said(&bare("proxy info anthropic").output().unwrap()).0;
    assert!(one.contains("ANTHROPIC_AUTH_TOKEN=<agent key>") && !one.contains("CLOUDFLARE"));
    let wrong = bare("proxy info openai").output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[tokio::test]
async fn the_tail_shows_people_one_line_and_programs_everything() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let task = service.open_task().await;
    let (lines, _) = said(&sandbox.run("ledger tail -n 1000"));
    let events = sandbox.events().await;
    assert_eq!(lines.lines().count(), events.len(), "{lines}");
    let created = lines
        .lines()
        .find(|line| line.contains("task.created"))
        .unwrap();
    assert!(created.contains("a task of the tests"), "{created}");
    assert!(
        created.contains("administrator agent:deployer"),
        "{created}"
    );
    assert!(created.ends_with(&task.id), "{created}");

    let (one, _) = said(&sandbox.run("ledger tail --json --from 0 "));
    let first: Value = serde_json::from_str(one.lines().next().unwrap()).unwrap();
    assert_eq!(first["event"], "ledger.created");
    assert_eq!(first["position"], 0);
    assert_eq!(first["header"]["stream_version"], 0);
    assert_eq!(first["envelope"]["actor"]["system"]["component"], "ledger");
    assert!(first["payload"]["ledger_id"].is_string(), "{first}");
    let hash = events[0].header.record_hash().to_string();
    assert_eq!(first["header"]["record_hash"], hash);

    let (two, _) = said(&sandbox.run("ledger tail -n 2"));
    assert_eq!(two.lines().count(), 2);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn the_tail_is_in_colour_and_in_pages_as_the_person_asks_and_never_where_programs_read() {
    let sandbox = Sandbox::new().await;
    assert!(sandbox.start().await.stop().await.success());
    let colour = "\u{1b}[";
    for (words, no_color, is_coloured) in [
        ("", "", false),
        ("--color auto", "", false),
        ("--color never", "", false),
        ("--color always", "", true),
        // What stands on the command line is newer than the environment.
        ("--color always", "1", true),
    ] {
        let mut tail = sandbox.command(&format!("ledger tail --page {words}"));
        tail.env("PAGER", "sed s/^/paged:/")
            .env("NO_COLOR", no_color);
        let (lines, _) = said(&tail.output().unwrap());
        assert!(lines.contains("ledger.created"), "{lines}");
        assert!(!lines.contains("paged:"), "{words}: {lines}");
        assert_eq!(lines.contains(colour), is_coloured, "{words}: {lines}");
    }
    let on_terminal = |words: &str, pager: &str| {
        let line = format!("{} ledger tail {words}", binary().display());
        let like = sandbox.command("");
        let mut terminal = Command::new("script");
        terminal
            .args(["-qec", &line, "/dev/null"])
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .envs(
                like.get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env("TERM", "xterm")
            .env("PAGER", pager)
            .stdin(Stdio::null());
        let output = terminal.output().unwrap();
        (said(&output).0, output.status.success())
    };
    let pager = "sed s/^/paged:/";
    let (paged, _) = on_terminal("--page", pager);
    assert!(
        paged.contains("paged:") && paged.contains(colour),
        "{paged}"
    );
    let (plain, _) = on_terminal("--page --color never", pager);
    assert!(
        plain.contains("paged:") && !plain.contains(colour),
        "{plain}"
    );
    for (words, pager) in [("", pager), ("--page", ""), ("--page", "cat")] {
        let (unpaged, went_well) = on_terminal(words, pager);
        assert!(went_well && unpaged.contains("ledger"), "{unpaged}");
        assert!(!unpaged.contains("paged:"), "{words} {pager}: {unpaged}");
    }
    // Who ends the pager early has seen enough; one that is not there has shown nothing.
    assert!(on_terminal("--page", "true").1);
    let (told, went_well) = on_terminal("--page", "no-such-pager-at-all");
    assert!(!went_well && told.contains("PAGER names"), "{told}");
}

#[tokio::test]
async fn the_tail_follows_a_service_that_runs() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    let mut tail = sandbox
        .command("ledger tail --follow --json --from 1")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(tail.stdout.take().unwrap()).lines();
    let task = service.open_task().await;
    let found = tokio::task::spawn_blocking(move || {
        lines
            .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
            .find(|event| event["event"] == "task.token_issued")
    });
    let found = found.await.unwrap().unwrap();
    assert_eq!(found["header"]["stream_id"], task.id);
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[tokio::test]
async fn the_chain_is_checked_from_its_first_record() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let checked = sandbox.run("ledger check");
    let (told, complained) = said(&checked);
    assert!(checked.status.success(), "{complained}");
    let events = sandbox.events().await;
    assert!(
        told.contains(&format!("records    {}", events.len())),
        "{told}"
    );
    let head = events.last().unwrap().header.record_hash().to_string();
    assert!(told.contains(&head), "{told}");
}

#[tokio::test]
async fn the_read_tables_can_be_made_again() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.grant(&["cache.purge.execute"]).await;
    let task = service.open_task().await;
    assert_eq!(service.apply(&task, "k", &purge("a")).await.status, 200);
    let refused = sandbox.run("projections rebuild");
    assert_eq!(refused.status.code(), Some(1), "a service uses them");
    assert!(said(&refused).1.contains("stop the service first"));
    assert!(sandbox.run("projections status").status.success());
    assert!(service.stop().await.success());
    let (before, _) = said(&sandbox.run("projections status"));
    assert!(before.contains("all of them"), "{before}");

    let rebuilt = sandbox.run("projections rebuild");
    let (told, complained) = said(&rebuilt);
    assert!(rebuilt.status.success(), "{complained}");
    assert!(told.contains(" events folded and in use"), "{told}");
    let (after, _) = said(&sandbox.run("projections status"));
    assert_eq!(after, before);
    assert_eq!(sandbox.upstream.mutations("purge_cache").len(), 1);
}

#[tokio::test]
async fn readiness_can_be_asked_for() {
    let mut sandbox = Sandbox::new().await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    sandbox.settings.insert("BIND_ADDR", address);
    assert_eq!(sandbox.run("ready").status.code(), Some(1));
    let service = sandbox.start().await;
    let ready = sandbox.run("ready");
    assert!(ready.status.success());
    assert_eq!(said(&ready).0.trim(), r#"{"ready":true}"#);
    assert!(service.stop().await.success());
}
