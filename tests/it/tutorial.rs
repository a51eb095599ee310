//! The tutorial and README's first commands, run as they are printed. A person's part is done with a software passkey.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::approver::SoftApprover;
use fixtures::caller::{Caller, Identity};
use fixtures::process::binary;
use fixtures::sandbox::PATIENCE;
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use std::fmt::Write as _;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU16, Ordering};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

const TUTORIAL: &str = include_str!("../../docs/tutorial.md");
const README: &str = include_str!("../../README.md");
/// What README calls as cargo makes it: the program that is built already, at the address of this test.
const CARGO: &str = r#"#!/bin/sh
test "$1 $2 $3" = "run -q --" || exit 64
shift 3
case $1 in
  init) exec llm-permission-proxy "$@" --url "http://localhost:$PORT" ;;
  *) exec llm-permission-proxy "$@" ;;
esac
"#;
/// How README marks a command that goes on beside the others.
const BESIDE: &str = "# in a shell of its own";
/// A line of the script's output at which a person acts.
const PERSON: &str = "@@person ";

/// The beginning of a script, which ends at the first command that fails, and nothing of it goes on after that.
const BEGIN: &str = "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n";

/// The blocks as one script, which waits where a person acts.
fn script() -> String {
    let mut script = BEGIN.to_owned();
    let (mut in_block, mut is_run) = (false, true);
    for line in TUTORIAL.lines() {
        if let Some(what) = line.strip_prefix("<!-- a person: ") {
            let what = what.trim_end_matches(" -->");
            writeln!(script, "echo '{PERSON}{what}'; read -r _").unwrap();
        } else if line.starts_with("<!-- not run") {
            is_run = false;
        } else if let Some(kind) = line.strip_prefix("```") {
            assert_eq!(kind, if in_block { "" } else { "sh" }, "{line}");
            in_block = !in_block;
            is_run = is_run || !in_block;
        } else if in_block && is_run {
            writeln!(script, "{line}").unwrap();
        }
    }
    assert!(!in_block);
    script
}

/// README's first block under "Use it" as a script: a person acts after it, and what became of it is shown.
fn readme_script(port: u16) -> String {
    let (_, block) = README.split_once("## Use it\n```sh\n").unwrap();
    let (block, _) = block.split_once("```").unwrap();
    let mut script = BEGIN.to_owned();
    for line in block.lines() {
        match line.strip_suffix(BESIDE) {
            Some(command) => {
                writeln!(script, "{command} > service.log 2>&1 &").unwrap();
                let ready = "ready --config llm-permission-proxy.toml";
                writeln!(
                    script,
                    "until cargo run -q -- {ready} >/dev/null 2>&1; do sleep 0.2; done"
                )
                .unwrap();
            }
            None => writeln!(script, "{line}").unwrap(),
        }
    }
    writeln!(script, "echo; echo '{PERSON}decides'; read -r _").unwrap();
    let carried_out = "$PROXY ledger tail --task \"$TASK\" | grep apply.ended";
    writeln!(script, "until {carried_out}; do sleep 0.2; done").unwrap();
    script.replace("localhost:8080", &format!("localhost:{port}"))
}

/// The approver with a browser.
struct Person {
    passkey: SoftApprover,
    caller: Caller,
    origin: String,
}

impl Person {
    fn new(port: u16) -> Self {
        let nobody = || "nobody".to_owned();
        let identity = Identity {
            subject: nobody(),
            agent: nobody(),
            subject_secret: nobody(),
            bootstrap_secret: nobody(),
        };
        let origin = format!("http://localhost:{port}");
        let address = ([127, 0, 0, 1], port).into();
        Self {
            passkey: SoftApprover::new("default"),
            caller: Caller::new(address, &origin, identity).unwrap(),
            origin,
        }
    }

    async fn acts(&self, what: &str, folder: &Path) {
        let (verb, file) = (what.split(' ').next(), what.rsplit(' ').next().unwrap());
        let link = std::fs::read_to_string(folder.join(file)).unwrap();
        if verb == Some("registers") {
            return self.enrol(link.trim()).await;
        }
        assert_eq!(verb, Some("approves"), "nobody can do this: {what}");
        self.approve(link.trim()).await;
    }

    async fn approve(&self, link: &str) {
        let decided = self.caller.decide(&self.passkey, link, "approve", None);
        let decided = decided.await.unwrap();
        assert_eq!(decided.status, 200, "{}", decided.text);
    }

    async fn enrol(&self, link: &str) {
        let ask = async |path: &str, body| {
            let url = format!("{link}/{path}");
            self.caller
                .ask(Method::POST, &url, Some(body))
                .await
                .unwrap()
        };
        let nothing = json!({});
        let options = ask("options", &nothing).await;
        assert_eq!(options.status, 200, "{}", options.text);
        let options: serde_json::Value = serde_json::from_str(&options.text).unwrap();
        let of = |pointer| options.pointer(pointer).unwrap().as_str().unwrap();
        let (client_data, attestation) =
            self.passkey
                .attest(of("/rp/id"), &self.origin, of("/challenge"));
        let made = json!({
            "credential_id": URL_SAFE_NO_PAD.encode(self.passkey.credential_id()),
            "client_data_json": URL_SAFE_NO_PAD.encode(client_data),
            "attestation_object": URL_SAFE_NO_PAD.encode(attestation),
        });
        let registered = ask("verify", &made).await;
        assert_eq!(registered.status, 201, "{}", registered.text);
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a shell finds the system's programs by it"
)]
fn path(folder: &Path) -> String {
    let programs = binary().parent().unwrap().display().to_string();
    let system = std::env::var("PATH").unwrap();
    format!("{}:{programs}:{system}", folder.display())
}

/// A port that nobody listens on, below those that the system gives to connections and to others who ask for any.
fn free_port() -> u16 {
    static TRIED: AtomicU16 = AtomicU16::new(0);
    let first = u16::try_from(std::process::id() % 10_000).unwrap();
    let mut ports = std::iter::repeat_with(|| {
        let tried = TRIED.fetch_add(1, Ordering::Relaxed);
        20_000 + (first + tried) % 12_000
    });
    let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).unwrap()
}

/// The shell and all that it has started, killed when it goes: a shell that is killed alone leaves a service behind.
struct Group(Pid);

impl Drop for Group {
    fn drop(&mut self) {
        // After a script that went well nobody is left.
        kill_process_group(self.0, Signal::KILL).ok();
    }
}

/// Runs the script until it ends well, and gives what it printed. The person acts on a line for people and on all
/// that was printed before it.
async fn run(
    script: &str,
    (folder, port): (&Path, u16),
    mut person: impl AsyncFnMut(&str, &str),
) -> String {
    let complaints = folder.join("complaints");
    let mut shell = Command::new("bash")
        .args(["-c", script])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path(folder))
        .env("HOME", folder)
        .env("PORT", port.to_string())
        .env("HOOKS", free_port().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&complaints).unwrap())
        .process_group(0)
        .spawn()
        .unwrap();
    let leader = shell.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
    let _group = Group(leader.unwrap());
    let mut input = shell.stdin.take().unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    let mut told = String::new();
    let run = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            match line.strip_prefix(PERSON) {
                Some(what) => {
                    person(what, &told).await;
                    input.write_all(b"\n").await.unwrap();
                }
                None => writeln!(told, "{line}").unwrap(),
            }
        }
        shell.wait().await.unwrap()
    };
    let status = tokio::time::timeout(PATIENCE * 2, run).await;
    let complained = std::fs::read_to_string(&complaints).unwrap();
    assert!(status.is_ok(), "it does not end: {told}\n{complained}");
    assert!(status.unwrap().success(), "{told}\n{complained}");
    told
}

#[tokio::test]
async fn the_tutorial_does_what_it_says_when_its_blocks_are_run_as_printed() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let approver = Person::new(port);
    let beside = folder.path().join("tutorial");
    let told = run(&script(), (folder.path(), port), async |what, _| {
        approver.acts(what, &beside).await;
    })
    .await;
    let left = std::net::TcpStream::connect(("127.0.0.1", port));
    assert!(left.is_err(), "the service goes on after the last block");
    for expected in [
        "service     up and ready",
        "requires_approval",
        "/v1/enrol/",
        "approved",
        "completed",
        "apply.finished",
    ] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[tokio::test]
async fn readmes_commands_lead_from_a_clone_to_an_operation_that_a_person_approved() {
    let folder = tempfile::tempdir().unwrap();
    let made = folder.path().join("target/debug/llm-permission-proxy");
    std::fs::create_dir_all(made.parent().unwrap()).unwrap();
    std::os::unix::fs::symlink(binary(), made).unwrap();
    let cargo = folder.path().join("cargo");
    std::fs::write(&cargo, CARGO).unwrap();
    std::fs::set_permissions(&cargo, Permissions::from_mode(0o755)).unwrap();
    let port = free_port();
    let approver = Person::new(port);
    let place = (folder.path(), port);
    let told = run(&readme_script(port), place, async |_, told| {
        let mut words = told.split_whitespace();
        let link = words.find(|word| word.contains("/v1/enrol/")).unwrap();
        approver.enrol(link).await;
        let answer = told.lines().find(|line| line.starts_with('{')).unwrap();
        let answer: serde_json::Value = serde_json::from_str(answer).unwrap();
        let link = answer["approval_url"].as_str();
        assert!(link.is_some(), "nothing was asked: {answer}");
        approver.approve(link.unwrap()).await;
    })
    .await;
    assert!(told.contains("apply.ended"), "{told}");
}
