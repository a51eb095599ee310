//! Files made by an earlier version (`fixtures/data/compat`) open, verify, rebuild and serve as they
//! did in the version that made them.

use crate::shim::Shim;
use fixtures::approver::SoftApprover;
use fixtures::process::{bare, said};
use fixtures::sandbox::Sandbox;
use fixtures::service::{Service, Task};
use ledger::Clock as _;
use ledger_sqlite::SystemClock;
use reqwest::Method;
use rusqlite::Connection;
use rusqlite::types::Value as Cell;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/data/compat");
const SETTINGS: [&str; 7] = [
    "JWT_SECRET",
    "BOOTSTRAP_JWT_SECRET",
    "MTLS_BINDING_SHARED_SECRET",
    "APPROVAL_LINK_SECRET",
    "RESUME_TOKEN_SECRET",
    "APPROVAL_APPROVERS",
    "CALLBACK_MAX_RETRIES",
];
const FILES: [&str; 3] = [
    "proxy.ledger.db",
    "proxy.ledger.db.signing-state",
    "proxy.db",
];
const KEYS: [&str; 2] = ["proxy.ledger.db.key", "proxy.ledger.db.signing-key"];

fn kept(name: &str) -> PathBuf {
    Path::new(FOLDER).join(name)
}

/// Copies of the files, on a machine whose clock goes on where theirs stopped.
struct Copied {
    sandbox: Sandbox,
    recorded: Value,
    ahead: i64,
}

impl Copied {
    /// `files` is a folder of `fixtures/data/compat`.
    async fn of(files: &str, names: &[&str]) -> Self {
        let text = std::fs::read_to_string(kept("recorded.json")).unwrap();
        let recorded: Value = serde_json::from_str(&text).unwrap();
        let mut sandbox = Sandbox::new().await;
        let data = sandbox.folder().join("data");
        std::fs::create_dir(&data).unwrap();
        for name in names.iter().chain(&KEYS) {
            let copy = data.join(name);
            std::fs::copy(kept(files).join(name), &copy).unwrap();
            std::fs::set_permissions(&copy, Permissions::from_mode(0o600)).unwrap();
        }
        for name in SETTINGS {
            let value = recorded["settings"][name].as_str().unwrap();
            sandbox.settings.insert(name, value.to_owned());
        }
        let shim = Shim::new(sandbox.folder());
        let until = recorded["recorded_until"].as_i64().unwrap();
        let ahead = until / 1_000_000 + 1 - SystemClock.now().as_seconds();
        shim.set_clock(ahead);
        sandbox.settings.extend(shim.envs());
        Self {
            sandbox,
            recorded,
            ahead,
        }
    }

    async fn start(&self) -> Service {
        let mut service = self.sandbox.start().await;
        service.caller = service.caller.ahead(self.ahead);
        service
    }

    fn run(&self, line: &str) -> String {
        let output = self.sandbox.run(line);
        let (told, complained) = said(&output);
        assert!(output.status.success(), "{line}: {told}{complained}");
        told
    }

    fn task(&self, name: &str) -> Task {
        let task = &self.recorded["tasks"][name];
        Task {
            id: task["task_id"].as_str().unwrap().to_owned(),
            token: task["capability_token"].as_str().unwrap().to_owned(),
        }
    }

    /// What each path answered is answered again.
    async fn answers_as_before(&self, service: &Service) {
        for (path, before) in self.recorded["answers"].as_object().unwrap() {
            let token = self.recorded["tasks"].as_object().unwrap().values();
            let mut token = token.filter(|task| path.contains(task["task_id"].as_str().unwrap()));
            let token = token.next().filter(|_| !path.ends_with("/deliveries"));
            let reply = match token {
                Some(task) => {
                    let token = task["capability_token"].as_str().unwrap();
                    let asked = service
                        .caller
                        .ask_with(Method::GET, path, token, None, None);
                    asked.await.unwrap()
                }
                None => service
                    .caller
                    .administer(Method::GET, path, None)
                    .await
                    .unwrap(),
            };
            assert_eq!(
                Value::from(reply.status),
                before["status"],
                "{path}: {}",
                reply.text
            );
            assert_eq!(reply.body, before["body"], "{path}");
        }
    }

    /// Each event of `files` is read out as it was.
    async fn tells_the_same_events(&self, service: &Service, files: &str) {
        let before = |files: &str| {
            let events = self.recorded[files]["events"].as_array().unwrap();
            let at = |event: &Value| event["position"].as_u64().unwrap();
            let by_position = events.iter().map(|event| (at(event), event.clone()));
            by_position.collect::<BTreeMap<_, _>>()
        };
        // Of the erased ledger those stand there that differ.
        let mut expected = before("whole");
        expected.extend(before(files));
        let token = self.recorded["auditor_token"].as_str().unwrap();
        let path = "/v1/ledger/events?from=0&limit=1000";
        let asked = service
            .caller
            .ask_with(Method::GET, path, token, None, None);
        let reply = asked.await.unwrap();
        let told = reply.body["events"].as_array().unwrap();
        assert!(told.len() >= expected.len(), "{}", reply.text);
        for (told, expected) in told.iter().zip(expected.values()) {
            assert_eq!(told, expected);
        }
    }
}

/// Runs a command that needs nothing but files; its standard output.
fn told(line: &str, code: i32) -> String {
    let output = bare(line).output().unwrap();
    let (told, complained) = said(&output);
    assert_eq!(
        output.status.code(),
        Some(code),
        "{line}: {told}{complained}"
    );
    told
}

/// The auditor's report over a file, with the key alone.
fn report(file: &Path, code: i32) -> Value {
    let key = kept("log.vkey");
    let line = format!(
        "ledger verify {} --key @{} --json",
        file.display(),
        key.display()
    );
    serde_json::from_str(&told(&line, code)).unwrap()
}

/// A row, with the name of each column.
type Row = Vec<(String, Cell)>;

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort_by_key(|row| format!("{row:?}"));
    rows
}

fn columns_of(rows: &[Row]) -> Vec<String> {
    let first = rows.first().into_iter().flatten();
    first.map(|(name, _)| name.clone()).collect()
}

/// Every row of every table, but for what a file says of itself.
fn rows(file: &Path) -> BTreeMap<String, Vec<Row>> {
    let db = Connection::open(file).unwrap();
    let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
    let mut names = db.prepare(sql).unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap();
    let names: Vec<String> = names.map(Result::unwrap).collect();
    let rows_of = |name: &String| {
        let mut rows = db.prepare(&format!("SELECT * FROM \"{name}\"")).unwrap();
        let columns: Vec<String> = rows.column_names().into_iter().map(str::to_owned).collect();
        let rows = rows.query_map([], |row| {
            let cells = columns.iter().enumerate();
            let cells = cells.map(|(at, name)| Ok((name.clone(), row.get(at)?)));
            cells.collect::<rusqlite::Result<Row>>()
        });
        sorted(rows.unwrap().map(Result::unwrap).collect())
    };
    names
        .iter()
        .map(|name| (name.clone(), rows_of(name)))
        .collect()
}

#[tokio::test]
async fn an_earlier_ledger_verifies_as_it_did() {
    for (files, code) in [("whole", 0), ("erased", 3)] {
        let copied = Copied::of(files, &FILES).await;
        copied.run("ledger check");
        let report = report(&copied.sandbox.ledger_file(), code);
        assert_eq!(report, copied.recorded[files]["report"]);
    }
}

#[tokio::test]
async fn earlier_read_tables_are_what_the_events_make_them_now() {
    for files in ["whole", "erased"] {
        let copied = Copied::of(files, &FILES).await;
        let file = copied.sandbox.read_tables_file();
        let before = rows(&file);
        assert!(before.values().filter(|rows| !rows.is_empty()).count() > 10);
        copied.run("projections rebuild");
        copied.run("projections verify");
        let now = rows(&file);
        // Two tables tell of the file itself: its version, and how far it has got.
        let of_events = |name: &str| !name.starts_with("projection");
        for (table, before) in before.iter().filter(|(name, _)| of_events(name)) {
            // A table may say more than it did, in columns and in rows.
            let columns = columns_of(before);
            let of_before = |row: &Row| -> Row {
                let kept = row.iter().filter(|(name, _)| columns.contains(name));
                kept.cloned().collect()
            };
            let now: Vec<Row> = now[table].iter().map(of_before).collect();
            let lost: Vec<&Row> = before.iter().filter(|row| !now.contains(row)).collect();
            assert!(lost.is_empty(), "{files}: {table}: {lost:?}");
        }
        std::fs::remove_file(&file).unwrap();
        copied.run("projections rebuild");
        assert_eq!(rows(&file), now);
    }
}

#[tokio::test]
async fn an_earlier_ledger_is_served_as_it_was_and_gone_on_from() {
    let copied = Copied::of("whole", &FILES).await;
    let service = copied.start().await;
    copied.answers_as_before(&service).await;
    copied.tells_the_same_events(&service, "whole").await;
    for apply in copied.recorded["replayed"].as_array().unwrap() {
        let (task, key) = (apply["task"].as_str(), apply["key"].as_str().unwrap());
        let task = copied.task(task.unwrap());
        let reply = service.apply(&task, key, &apply["operation"]).await;
        assert_eq!(
            Value::from(reply.status),
            apply["status"],
            "{key}: {}",
            reply.text
        );
        // A resume token is made anew, for the time that is left. The link is a short one now, and leads to
        // what the link of before leads to.
        let but_tokens = |body: &Value| {
            let mut body = body.clone();
            body["resume_token"] = Value::Null;
            if let Some(url) = body.get_mut("approval_url") {
                *url = Value::Null;
            }
            body
        };
        for body in [&reply.body, &apply["body"]] {
            if let Some(url) = body["approval_url"].as_str() {
                let page = service.caller.ask(Method::GET, url, None).await.unwrap();
                assert_eq!(page.status, 200, "{url}: {}", page.text);
            }
        }
        assert_eq!(but_tokens(&reply.body), but_tokens(&apply["body"]), "{key}");
    }
    assert!(copied.sandbox.upstream.mutations("").is_empty());

    // What was asked of people then is decided and carried out now.
    let waiting = &copied.recorded["waiting"];
    let text = |name: &str| waiting[name].as_str().unwrap();
    let alice = SoftApprover::new("alice");
    alice.set_counter(100);
    let decided = service
        .caller
        .decide(&alice, text("approval_url"), "approve", None);
    let decided = decided.await.unwrap();
    assert_eq!(decided.status, 200, "{}", decided.text);
    let task = copied.task(text("task"));
    let done = service
        .resume(&task, text("key"), text("resume_token"))
        .await
        .unwrap();
    assert_eq!(
        (done.status, done.text_at("status")),
        (200, "completed"),
        "{}",
        done.text
    );
    assert!(service.stop().await.success());
    let report = report(&copied.sandbox.ledger_file(), 0);
    assert_eq!(report["history"]["continued"], 3);
    copied.run("projections verify");
}

#[tokio::test]
async fn what_was_erased_earlier_stays_erased() {
    let copied = Copied::of("erased", &FILES).await;
    let service = copied.start().await;
    copied.tells_the_same_events(&service, "erased").await;
    let task = copied.task("erased");
    let path = format!("/v1/tasks/{}", task.id);
    let asked = service
        .caller
        .ask_with(Method::GET, &path, &task.token, None, None);
    let reply = asked.await.unwrap();
    assert_eq!(
        (reply.status, reply.text_at("code")),
        (410, "erased"),
        "{}",
        reply.text
    );
    assert!(service.stop().await.success());
}

#[tokio::test]
async fn an_earlier_bundle_and_dossier_verify() {
    let whole = report(&kept("ledger.bundle"), 0);
    assert_eq!(
        (&whole["verdict"], &whole["to"]),
        (&"verified".into(), &176.into())
    );
    let (dossier, key) = (kept("dossier.json"), kept("log.vkey"));
    let line = format!(
        "ledger verify-dossier {} --key @{}",
        dossier.display(),
        key.display()
    );
    assert!(told(&line, 0).contains("approval.approved"));
}

#[tokio::test]
async fn an_earlier_backup_is_restored_and_served() {
    let copied = Copied::of("whole", &[]).await;
    let (backup, checkpoint) = (kept("backup.db"), kept("backup.db.checkpoint"));
    copied.run(&format!(
        "restore {} --checkpoint {}",
        backup.display(),
        checkpoint.display()
    ));
    let service = copied.start().await;
    copied.answers_as_before(&service).await;
    copied.tells_the_same_events(&service, "whole").await;
    assert!(service.stop().await.success());
}
