//! What commands print, where it cannot be printed: no panic, and no exit code that the output decides.

use fixtures::approver::SoftApprover;
use fixtures::process::{bare, said};
use fixtures::sandbox::Sandbox;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::process::{Command, ExitStatus, Stdio};

/// A disk that is full (null(4)).
fn full() -> Stdio {
    OpenOptions::new()
        .write(true)
        .open("/dev/full")
        .unwrap()
        .into()
}

/// A pipe that nobody reads.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn ends(mut command: Command, out: Stdio, error: Stdio) -> ExitStatus {
    command.stdout(out).stderr(error).status().unwrap()
}

/// A stopped service with a task, and its key in a file.
async fn stopped() -> (Sandbox, String) {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.register(&SoftApprover::new("alice")).await;
    let task = service.open_task().await;
    assert!(service.stop().await.success());
    let key = said(&sandbox.run("ledger vkey")).0;
    std::fs::write(sandbox.folder().join("log.vkey"), key).unwrap();
    (sandbox, task.id)
}

fn audits(sandbox: &Sandbox) -> Vec<String> {
    let ledger = sandbox.ledger_file();
    vec![
        format!("ledger verify {} --key @log.vkey", ledger.display()),
        format!("ledger verify {} --key @log.vkey --json", ledger.display()),
        "ledger verify-dossier task.json --key @log.vkey".to_owned(),
        "ledger verify-dossier task.json --key @log.vkey --json".to_owned(),
        "ledger check".to_owned(),
        "projections verify".to_owned(),
    ]
}

#[tokio::test]
async fn an_audit_of_a_good_ledger_succeeds_wherever_its_report_goes() {
    let (sandbox, task) = stopped().await;
    let made = sandbox.run(&format!("ledger dossier {task} --out task.json"));
    assert!(made.status.success(), "{}", said(&made).1);
    for line in audits(&sandbox) {
        for (out, error) in [
            (closed(), Stdio::null()),
            (full(), Stdio::null()),
            (full(), full()),
            (closed(), closed()),
        ] {
            let code = ends(sandbox.command(&line), out, error).code();
            assert_eq!(code, Some(0), "{line}");
        }
    }
    // And one of a ledger that is not good fails, wherever that is told.
    let dossier = sandbox.folder().join("task.json");
    let text = std::fs::read_to_string(&dossier).unwrap();
    std::fs::write(&dossier, text.replace("task.created", "task.crested")).unwrap();
    let line = "ledger verify-dossier task.json --key @log.vkey";
    for out in [closed(), full()] {
        let code = ends(sandbox.command(line), out, Stdio::null()).code();
        assert_eq!(code, Some(1));
    }
}

#[tokio::test]
async fn no_command_panics_where_nobody_reads_or_the_disk_is_full() {
    let (sandbox, task) = stopped().await;
    let lines = [
        "--help".to_owned(),
        "--version".to_owned(),
        "--check-config".to_owned(),
        "ledger --help".to_owned(),
        "completions bash".to_owned(),
        "ledger vkey".to_owned(),
        "ledger tail -n 100".to_owned(),
        "ledger tail -n 100 --json".to_owned(),
        format!("ledger replay --task {task}"),
        format!("ledger replay --task {task} --json"),
        "ledger export --out -".to_owned(),
        format!("ledger dossier {task} --out -"),
        "projections status".to_owned(),
        "doctor".to_owned(),
        "subject-headers ci".to_owned(),
        "proxy info".to_owned(),
        "token bootstrap --subject ci --can-audit".to_owned(),
    ];
    for line in lines {
        for (out, error) in [
            (closed(), Stdio::null()),
            (full(), Stdio::null()),
            (closed(), closed()),
            (full(), full()),
        ] {
            // A panic ends with 101, a signal with none.
            let code = ends(sandbox.command(&line), out, error).code();
            assert!(matches!(code, Some(0..=3)), "{line}: {code:?}");
        }
    }
    // Where the reader has had enough nothing has failed; where the disk is full something has.
    for line in ["ledger vkey", "ledger tail -n 100", "ledger export --out -"] {
        let gone = ends(sandbox.command(line), closed(), Stdio::null());
        assert_eq!(gone.code(), Some(0), "{line}");
        let lost = ends(sandbox.command(line), full(), Stdio::null());
        assert_eq!(lost.code(), Some(1), "{line}");
    }
}

#[tokio::test]
async fn a_dash_is_standard_output_where_a_file_is_written_and_standard_input_where_one_is_read() {
    let (sandbox, task) = stopped().await;
    let bundle = sandbox.run("ledger export --out -");
    assert!(bundle.status.success());
    assert!(bundle.stdout.starts_with(b"LPPLBNDL"));
    let told = String::from_utf8_lossy(&bundle.stderr);
    assert!(told.contains("bundle      standard output"), "{told}");
    let dossier = sandbox.run(&format!("ledger dossier {task} --out -"));
    assert!(dossier.status.success(), "{}", said(&dossier).1);
    for (line, input) in [
        ("ledger verify - --key @log.vkey", &bundle.stdout),
        ("ledger verify-dossier - --key @log.vkey", &dossier.stdout),
    ] {
        let mut command = bare(line);
        command.current_dir(sandbox.folder());
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{:?}", said(&output));
    }
    // The key too.
    let ledger = sandbox.ledger_file();
    let mut command = bare(&format!("ledger verify {} --key @-", ledger.display()));
    command.stdin(File::open(sandbox.folder().join("log.vkey")).unwrap());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{:?}", said(&output));
    let page = sandbox.run(&format!("ledger dossier {task} --out task.json --html -"));
    assert!(page.stdout.starts_with(b"<!doctype html>"));
    let both = sandbox.run(&format!("ledger dossier {task} --out - --html -"));
    assert!(said(&both).1.contains("would be one file"));
    // What cannot be a stream says so, and no file of that name is ever made.
    let backup = sandbox.run("backup -");
    assert_eq!(backup.status.code(), Some(1));
    assert!(
        said(&backup).1.contains("name a file"),
        "{:?}",
        said(&backup)
    );
    assert!(!sandbox.folder().join("-").exists());
}

#[tokio::test]
async fn what_was_verified_in_part_has_an_exit_code_of_its_own() {
    let (sandbox, task) = stopped().await;
    let part = sandbox.run("ledger export --out part.bundle --from 2");
    assert!(part.status.success(), "{}", said(&part).1);
    let verified = sandbox.run("ledger verify part.bundle --key @log.vkey");
    let (told, complained) = said(&verified);
    assert_eq!(verified.status.code(), Some(3), "{told}{complained}");
    assert!(told.contains("VERIFIED AS FAR AS POSSIBLE"), "{told}");
    let json = sandbox.run("ledger verify part.bundle --key @log.vkey --json");
    let report: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(report["verdict"], "as_far_as_possible");
    assert_eq!(report["verified"], true);
    // A dossier of the first version told a story that nothing proved.
    let made = sandbox.run(&format!("ledger dossier {task} --out task.json"));
    assert!(made.status.success());
    let file = sandbox.folder().join("task.json");
    let mut dossier: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert!(dossier["story"].is_null());
    let line = "ledger verify-dossier task.json --key @log.vkey";
    assert_eq!(sandbox.run(line).status.code(), Some(0));
    dossier["version"] = 1.into();
    dossier["software_version"] = "0.1.0".into();
    dossier["story"] = serde_json::json!([{"text": "mallory approved it"}]);
    std::fs::write(&file, dossier.to_string()).unwrap();
    let verified = sandbox.run(line);
    assert_eq!(verified.status.code(), Some(3), "{:?}", said(&verified));
    assert!(!said(&verified).0.contains("mallory"));
}
