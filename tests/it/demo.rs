//! What a newcomer sees first.

use fixtures::process::{Process, bare, said};
use fixtures::sandbox::{PATIENCE, until};
use std::io::Write as _;
use std::process::Stdio;
use std::time::Instant;

#[test]
fn the_demo_goes_as_it_tells_and_leaves_nothing_behind() {
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let output = bare("demo").env("TMPDIR", folder.path()).output().unwrap();
    let (told, complained) = said(&output);
    assert!(output.status.success(), "{told}\n{complained}");
    assert!(told.contains("All of it went as told"), "{told}");
    assert!(
        told.contains("each follows from the one before it"),
        "{told}"
    );
    assert!(complained.is_empty(), "{complained}");
    assert!(!told.contains('\x1b'), "colour without a terminal");
    let wide = told.lines().find(|line| line.chars().count() > 80);
    assert_eq!(wide, None);
    assert!(began.elapsed() < PATIENCE);
    assert_eq!(folder.path().read_dir().unwrap().count(), 0);
}

#[tokio::test]
async fn a_demo_that_is_kept_ends_at_an_inbox_to_log_in_to_and_at_an_installation_of_ones_own() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let mut command = bare("demo --keep");
    command.env("TMPDIR", folder.path());
    let mut demo = Process::spawn(&mut command, &log);
    let told = until("the last command", async || {
        assert!(demo.has_ended().is_none(), "{}", demo.log());
        let told = demo.log();
        told.contains("approver invite default").then_some(told)
    })
    .await;
    for words in [" init", " serve --config llm-permission-proxy.toml"] {
        assert!(told.contains(words), "{told}");
    }
    let (_, password) = told.split_once("you, with the password ").unwrap();
    let password = password.lines().next().unwrap();
    let inbox = told.lines().find(|line| line.ends_with("/#inbox")).unwrap();
    let url = inbox.trim().trim_end_matches("#inbox");
    let mut login = bare("login you --password-stdin --url");
    login
        .arg(url)
        .env("XDG_STATE_HOME", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    let mut login = login.spawn().unwrap();
    writeln!(login.stdin.take().unwrap(), "{password}").unwrap();
    let (logged_in, _) = said(&login.wait_with_output().unwrap());
    assert!(logged_in.contains("logged in as admin"), "{logged_in}");
    demo.signal("TERM");
    assert!(demo.end(PATIENCE).await.is_some());
}
