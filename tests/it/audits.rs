//! `ledger export` and `ledger verify` of the real binary: what leaves the service's machine, and what
//! an auditor who has nothing else makes of it.

use fixtures::process::{bare, said};
use fixtures::sandbox::Sandbox;
use rusqlite::Connection;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Output;

/// An auditor's folder: the service's is not in it.
struct Auditor {
    folder: tempfile::TempDir,
}

impl Auditor {
    fn new(key: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("log.vkey"), key).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs `ledger verify` with nothing of the service around it.
    fn verify(&self, file: &Path, more: &str) -> Output {
        let line = format!("ledger verify {} --key @log.vkey {more}", file.display());
        bare(line.trim())
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }
}

fn beside(file: &Path, end: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// A service that did a little and was stopped, and an auditor who was given its key.
async fn served() -> (Sandbox, Auditor) {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    for _ in 0..3 {
        service.open_task().await;
    }
    assert!(service.stop().await.success());
    let key = said(&sandbox.run("ledger vkey")).0;
    (sandbox, Auditor::new(&key))
}

fn exported(sandbox: &Sandbox, auditor: &Auditor, more: &str) -> PathBuf {
    let bundle = auditor.path("ledger.bundle");
    let line = format!("ledger export --out {} {more}", bundle.display());
    let output = sandbox.run(line.trim());
    assert!(output.status.success(), "{}", said(&output).1);
    bundle
}

#[tokio::test]
async fn an_exported_bundle_is_verified_elsewhere_with_the_key_alone() {
    let (sandbox, auditor) = served().await;
    let size = sandbox.events().await.len();
    let bundle = exported(&sandbox, &auditor, "");
    let output = auditor.verify(&bundle, "");
    let (told, complained) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{told}{complained}");
    assert!(told.contains(&format!("records       {size},")), "{told}");
    assert!(told.starts_with("VERIFIED: nothing is wrong"), "{told}");
    assert!(
        told.contains("only caught by somebody who remembers"),
        "{told}"
    );

    let output = auditor.verify(&bundle, "--json");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["verified"], true);
    assert_eq!(report["signed_size"], size);
    assert_eq!(report["anchored"], false);
    assert_eq!(report["history"]["tasks"], 3);
}

#[tokio::test]
async fn a_part_of_the_ledger_is_exported_with_what_leads_to_the_checkpoint() {
    let (sandbox, auditor) = served().await;
    let bundle = exported(&sandbox, &auditor, "--from 2 --to 6");
    let output = auditor.verify(&bundle, "--json");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(3), "{report}");
    assert_eq!((&report["from"], &report["to"]), (&2.into(), &6.into()));
    assert_eq!(report["signed_size"], 6);
    assert_ne!(report["impossible"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn a_checkpoint_that_was_kept_tells_a_later_history_from_another_one() {
    let (sandbox, auditor) = served().await;
    let state = beside(&sandbox.ledger_file(), ".signing-state");
    std::fs::copy(&state, auditor.path("kept.note")).unwrap();
    let service = sandbox.start().await;
    service.open_task().await;
    assert!(service.stop().await.success());
    let bundle = exported(&sandbox, &auditor, "");
    let output = auditor.verify(&bundle, "--since kept.note");
    let (told, _) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("remembered"), "{told}");
    assert!(!told.contains("no anchor"), "{told}");

    let (elsewhere, _) = served().await;
    let other = auditor.path("other.bundle");
    let line = format!("ledger export --out {}", other.display());
    assert!(elsewhere.run(&line).status.success());
    let output = auditor.verify(&other, "--since kept.note");
    assert_eq!(output.status.code(), Some(1));
    let (told, _) = said(&output);
    assert!(told.starts_with("NOT VERIFIED"), "{told}");
}

#[tokio::test]
async fn a_ledgers_file_is_verified_beside_a_running_service() {
    let (sandbox, auditor) = served().await;
    let service = sandbox.start().await;
    service.open_task().await;
    for more in ["", "--hashes-only"] {
        let output = auditor.verify(&sandbox.ledger_file(), more);
        let (told, complained) = said(&output);
        assert_eq!(output.status.code(), Some(0), "{told}{complained}");
    }
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn a_running_service_is_verified_over_http_by_whoever_may_audit() {
    let (sandbox, auditor) = served().await;
    let service = sandbox.start().await;
    service.open_task().await;
    let log = sandbox.log();
    let listening = |line: &str| {
        let line: Value = serde_json::from_str(line).ok()?;
        (line["message"] == "listening").then(|| line["address"].as_str().unwrap().to_owned())
    };
    let address = log.lines().find_map(listening).unwrap();
    let verify = |right: &str| {
        let line = format!("token bootstrap --agent auditor --subject audit {right}");
        let token = said(&sandbox.run(&line)).0;
        std::fs::write(auditor.path("token"), token).unwrap();
        let file = |name: &str| auditor.path(name).display().to_string();
        sandbox.run(&format!(
            "ledger verify http://{address} --key @{} --token @{} --subject audit --json",
            file("log.vkey"),
            file("token"),
        ))
    };
    let output = verify("--can-audit");
    let (told, complained) = said(&output);
    assert_eq!(output.status.code(), Some(0), "{told}{complained}");
    let report: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(report["checkpoints"][0]["source"], "service");
    assert_eq!(report["signed_size"], report["to"]);
    let output = verify("--can-issue-tasks");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).1.contains("403"), "{}", said(&output).1);
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn what_was_changed_in_a_ledgers_file_is_named_with_its_position() {
    let (sandbox, auditor) = served().await;
    let file = sandbox.ledger_file();
    let connection = Connection::open(&file).unwrap();
    connection
        .execute_batch(
            "DROP TRIGGER events_no_update;
             UPDATE events SET recorded_at = recorded_at + 1 WHERE position = 4;",
        )
        .unwrap();
    drop(connection);
    let output = auditor.verify(&file, "");
    let (told, _) = said(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("NOT VERIFIED: at position 4:"), "{told}");
    assert!(told.contains("(record_hash)"), "{told}");
}

#[tokio::test]
async fn a_changed_bundle_and_a_foreign_key_are_told_apart() {
    let (sandbox, auditor) = served().await;
    let bundle = exported(&sandbox, &auditor, "");
    let mut bytes = std::fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(auditor.path("changed.bundle"), bytes).unwrap();
    let output = auditor.verify(&auditor.path("changed.bundle"), "");
    assert_eq!(output.status.code(), Some(1));

    let (stranger, _) = served().await;
    let key = said(&stranger.run("ledger vkey")).0;
    std::fs::write(auditor.path("log.vkey"), key).unwrap();
    let output = auditor.verify(&bundle, "");
    assert_eq!(output.status.code(), Some(1));
    let (told, _) = said(&output);
    assert!(told.contains("checkpoint_origin"), "{told}");
}

#[tokio::test]
async fn what_the_command_line_names_wrongly_is_a_mistake_of_the_command_line() {
    let auditor = Auditor::new("not a key");
    let file = auditor.path("none");
    assert_eq!(auditor.verify(&file, "").status.code(), Some(2));
    let output = bare("ledger verify some.bundle").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn an_anchor_that_would_not_be_looked_at_is_refused() {
    let (sandbox, auditor) = served().await;
    let state = beside(&sandbox.ledger_file(), ".signing-state");
    std::fs::copy(&state, auditor.path("kept.note")).unwrap();
    let bundle = exported(&sandbox, &auditor, "");
    let output = auditor.verify(&bundle, "--checkpoint kept.note");
    assert!(!output.status.success());
    assert!(said(&output).1.contains("--since"));
    std::fs::write(auditor.path("approvers.txt"), "").unwrap();
    let output = auditor.verify(&bundle, "--hashes-only --approvers approvers.txt");
    assert_eq!(output.status.code(), Some(2));
}

#[tokio::test]
async fn an_export_never_replaces_a_file_and_says_what_is_not_signed() {
    let (sandbox, auditor) = served().await;
    let bundle = exported(&sandbox, &auditor, "");
    let before = std::fs::read(&bundle).unwrap();
    let line = format!("ledger export --out {}", bundle.display());
    let output = sandbox.run(&line);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(std::fs::read(&bundle).unwrap(), before);

    let state = beside(&sandbox.ledger_file(), ".signing-state");
    std::fs::rename(&state, beside(&state, ".aside")).unwrap();
    let unsigned = auditor.path("unsigned.bundle");
    let output = sandbox.run(&format!("ledger export --out {}", unsigned.display()));
    let (told, complained) = said(&output);
    assert!(output.status.success(), "{complained}");
    assert!(told.contains("nobody has signed these records"), "{told}");
    let output = auditor.verify(&unsigned, "");
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).0.contains("checkpoint_missing"));
}
