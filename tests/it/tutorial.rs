//! The tutorial, run as it is printed. A person's part is done with a software passkey.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::approver::SoftApprover;
use fixtures::caller::{Caller, Identity};
use fixtures::process::binary;
use fixtures::sandbox::PATIENCE;
use reqwest::Method;
use serde_json::json;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::Command;

const TUTORIAL: &str = include_str!("../../docs/tutorial.md");
/// A line of the script's output at which a person acts.
const PERSON: &str = "@@person ";

/// The blocks as one script, which ends at the first command that fails, and waits where a person acts.
fn script() -> String {
    let mut script = "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
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
        let decided = self
            .caller
            .decide(&self.passkey, link.trim(), "approve", None)
            .await
            .unwrap();
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
fn path() -> String {
    let programs = binary().parent().unwrap().display().to_string();
    let system = std::env::var("PATH").unwrap();
    format!("{programs}:{system}")
}

fn free_port() -> u16 {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

#[tokio::test]
async fn the_tutorial_does_what_it_says_when_its_blocks_are_run_as_printed() {
    let folder = tempfile::tempdir().unwrap();
    let complaints = folder.path().join("complaints");
    let port = free_port();
    let mut shell = Command::new("bash")
        .args(["-c", &script()])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", path())
        .env("HOME", folder.path())
        .env("PORT", port.to_string())
        .env("HOOKS", free_port().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(std::fs::File::create(&complaints).unwrap())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut input = shell.stdin.take().unwrap();
    let mut lines = BufReader::new(shell.stdout.take().unwrap()).lines();
    let person = Person::new(port);
    let mut told = String::new();
    let run = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            match line.strip_prefix(PERSON) {
                Some(what) => {
                    person.acts(what, &folder.path().join("tutorial")).await;
                    input.write_all(b"\n").await.unwrap();
                }
                None => writeln!(told, "{line}").unwrap(),
            }
        }
        shell.wait().await.unwrap()
    };
    let status = tokio::time::timeout(PATIENCE * 2, run).await;
    let complained = std::fs::read_to_string(&complaints).unwrap();
    let status = status.unwrap_or_else(|_| panic!("it does not end: {complained}"));
    assert!(status.success(), "{told}\n{complained}");
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
        assert!(told.contains(expected), "{expected}: {told}\n{complained}");
    }
}
