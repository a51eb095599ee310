//! `policy check`, `policy test`, `policy diff` and `policy backtest`, which need no service.

use fixtures::process::{bare, said};
use fixtures::sandbox::Sandbox;
use fixtures::service::{purge, record};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::Output;
use tempfile::TempDir;

const PAGE: &str = include_str!("../../docs/policy.md");

/// A folder of files, and commands about them.
struct Desk(TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn put(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn run(&self, line: &str) -> Output {
        let folder = self.0.path();
        bare(line).current_dir(folder).output().unwrap()
    }

    #[track_caller]
    fn ends(&self, line: &str, code: i32) -> (String, String) {
        let output = self.run(line);
        let (told, noted) = said(&output);
        assert_eq!(output.status.code(), Some(code), "{line}: {told}{noted}");
        (told, noted)
    }
}

/// The documents of the page, each with the cases behind it.
fn examples() -> Vec<(String, String)> {
    let blocks = PAGE.split("```toml\n").skip(1);
    let blocks: Vec<_> = blocks
        .filter_map(|rest| rest.split_once("```"))
        .map(|(block, _)| block.to_owned())
        .collect();
    let pairs = blocks.chunks_exact(2);
    assert!(pairs.remainder().is_empty());
    pairs
        .map(|pair| (pair[0].clone(), pair[1].clone()))
        .collect()
}

#[test]
fn the_examples_do_what_the_page_says() {
    let examples = examples();
    assert_eq!(examples.len(), 13);
    let desk = Desk::new();
    for (document, cases) in examples {
        desk.put("policy.toml", &document);
        desk.put("cases.toml", &cases);
        desk.ends("policy check policy.toml", 0);
        let (told, _) = desk.ends("policy test policy.toml cases.toml", 0);
        let count = cases.matches("[[case]]").count();
        assert!(
            told.ends_with(&format!("{count} passed, 0 failed\n")),
            "{told}"
        );
    }
}

#[test]
fn a_document_that_is_wrong_is_told_with_its_lines() {
    let desk = Desk::new();
    desk.put(
        "p.toml",
        "engine = \"lpp-cel/1\"\ncolour = 1\n[[rule]]\nid = \"a\"\n",
    );
    let (told, _) = desk.ends("policy check p.toml", 1);
    let lines: Vec<_> = told.lines().collect();
    assert!(lines[0].starts_with("line 2: unknown_key: "), "{told}");
    assert!(
        lines[1].starts_with("line 3: rule a: bad_value: "),
        "{told}"
    );
    let (told, _) = desk.ends("policy check p.toml --json", 1);
    let first: serde_json::Value = serde_json::from_str(told.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["code"], &first["line"]),
        (&"unknown_key".into(), &2.into())
    );
    let (_, noted) = desk.ends("policy check nowhere.toml", 1);
    assert!(noted.contains("nowhere.toml"), "{noted}");
    desk.ends("policy check", 2);
    desk.ends("policy chekc p.toml", 2);
}

#[test]
fn rules_about_another_api_are_checked_and_tried_by_its_description() {
    let desk = Desk::new();
    let route = json!({
        "method": "POST", "path": "/repos/{owner}/{repo}/issues", "operation": "github.issues.write",
        "level": "write", "risk": "elevated", "scope": {"type": "repo", "id": "{owner}/{repo}"},
    });
    let api = json!({
        "base_url": "https://api.github.example", "auth": {"send": "bearer"}, "routes": [route],
    });
    desk.put("github.json", &api.to_string());
    desk.put(
        "p.toml",
        "engine = \"lpp-cel/1\"\n[[rule]]\nid = \"a\"\npriority = 1\naction = \"deny\"\n\
         operations = [\"github.issues.write\"]\n",
    );
    desk.put(
        "cases.toml",
        "[[case]]\nname = \"a\"\nat = \"2026-03-02T10:00:00Z\"\n\
         operations = [{ operation_id = \"dns.record.read\", scope_type = \"zone\", scope_id = \"shop\", params = {} }]\n\
         expect = { outcome = \"ask\", rules = [] }\n",
    );
    let (told, _) = desk.ends("policy check p.toml", 1);
    assert!(told.contains("there is no operation"), "{told}");
    desk.ends("policy check p.toml --upstream github.json", 0);
    desk.ends("policy test p.toml cases.toml --upstream github.json", 0);
    let (_, noted) = desk.ends("policy check p.toml --upstream p.toml", 1);
    assert!(noted.contains("p.toml describes no API"), "{noted}");
}

#[test]
fn a_case_that_does_not_come_out_fails_the_test() {
    let desk = Desk::new();
    let (document, cases) = examples().swap_remove(1);
    desk.put("p.toml", &document);
    desk.put(
        "c.toml",
        &cases.replace("outcome = \"deny\"", "outcome = \"ask\""),
    );
    let (told, _) = desk.ends("policy test p.toml c.toml", 1);
    assert!(
        told.contains("expected ask by no-tls-off, found deny by no-tls-off"),
        "{told}"
    );
    assert!(told.ends_with("1 passed, 1 failed\n"), "{told}");
    let (told, _) = desk.ends("policy test p.toml c.toml --json", 1);
    let report: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (&report["passed"], &report["failed"]),
        (&1.into(), &1.into())
    );
    desk.put("c.toml", "[[case]]\nname = 1\n");
    desk.ends("policy test p.toml c.toml", 1);
}

#[test]
fn documents_that_mean_the_same_do_not_differ() {
    let desk = Desk::new();
    let document = examples().swap_remove(3).0;
    desk.put("a.toml", &document);
    desk.put(
        "b.toml",
        &format!("# said again\n{}", document.replace("100", "0x64")),
    );
    let (told, _) = desk.ends("policy diff a.toml b.toml", 0);
    assert_eq!(told, "");
    desk.put("c.toml", &document.replace("100", "101"));
    let (told, _) = desk.ends("policy diff a.toml c.toml", 1);
    assert_eq!(told, "~ rule foreign priority: 100 -> 101\n");
    desk.put("wrong.toml", "engine = 1");
    desk.ends("policy diff a.toml wrong.toml", 1);
    // Version 0 of every service is no document.
    desk.put("none.toml", "engine = \"lpp-cel/1\"");
    desk.ends("policy diff 0 none.toml", 0);
    let (told, _) = desk.ends("policy diff 0 a.toml", 1);
    assert!(told.contains("+ rule foreign"), "{told}");
}

const DENIES: &str = r#"
engine = "lpp-cel/1"

[[rule]]
id = "no-purges"
priority = 100
action = "deny"
operations = ["cache.purge.execute"]
"#;

const ALLOWS: &str = r#"
engine = "lpp-cel/1"

[[rule]]
id = "purges"
priority = 100
action = "allow"
operations = ["cache.purge.execute"]
"#;

const ASKS_ABROAD: &str = r#"
engine = "lpp-cel/1"

[[rule]]
id = "abroad"
priority = 100
action = "ask"
when = 'country != "DE"'
needs = [{ group = "ops" }]
"#;

#[tokio::test]
async fn a_backtest_reads_a_ledger_beside_its_service_and_a_bundle_without_one() {
    let sandbox = Sandbox::new().await;
    let service = sandbox.start().await;
    service.grant(&["dns.record.write"]).await;
    let task = service.open_task().await;
    assert_eq!(service.ended(&task, "k1", &record("www")).await.status, 200);
    assert_eq!(service.apply(&task, "k2", &purge("a")).await.status, 202);

    let desk = Desk::new();
    let documents = [
        ("none", "engine = \"lpp-cel/1\"\n"),
        ("denies", DENIES),
        ("allows", ALLOWS),
        ("abroad", ASKS_ABROAD),
        ("wrong", "engine = 1\n"),
    ];
    let files = documents.map(|(name, text)| {
        let file = desk.put(&format!("{name}.toml"), text);
        (name, file.display().to_string())
    });
    let file = |name: &str| {
        files
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap()
            .1
            .clone()
    };
    let beside = |name: &str, more: &str, code: i32| {
        let output = sandbox.run(format!("policy backtest {} {more}", file(name)).trim_end());
        let (told, noted) = said(&output);
        assert_eq!(output.status.code(), Some(code), "{name}: {told}{noted}");
        (told, noted)
    };
    let (told, _) = beside("none", "", 0);
    assert!(told.contains("same               2"), "{told}");
    let (told, _) = beside("denies", "", 0);
    assert!(
        told.contains("ask -> deny  tighter  by no-purges"),
        "{told}"
    );
    let (told, _) = beside("allows", "", 3);
    assert!(told.contains("ask -> allow  looser  by purges"), "{told}");
    let (_, noted) = beside("wrong", "", 1);
    assert!(noted.contains("wrong.toml: line 1"), "{noted}");
    let (_, noted) = beside("abroad", "", 1);
    assert!(noted.contains("there is no group \"ops\""), "{noted}");
    let (told, _) = beside("denies", "--json --without country --from 1", 0);
    let json: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(json["candidate"]["without"][0], "country");
    assert_eq!(json["counts"]["tighter"], 1);
    assert_eq!(json["changes"][0]["class"], "tighter");
    beside("denies", "--without colour", 2);
    beside("denies", "--ledger x.bundle", 2);
    assert!(service.stop().await.success());

    let (key, _) = said(&sandbox.run("ledger vkey"));
    let bundle = desk.0.path().join("ledger.bundle");
    let line = format!("ledger export --out {}", bundle.display());
    assert!(sandbox.run(&line).status.success());
    let line = format!(
        "policy backtest allows.toml --ledger ledger.bundle --key {} --json",
        key.trim()
    );
    let (first, _) = desk.ends(&line, 3);
    let (second, _) = desk.ends(&line, 3);
    assert_eq!(first, second);
    // Nothing is compared with records that break a rule.
    let mut bytes = std::fs::read(&bundle).unwrap();
    let end = bytes.len() - 100;
    bytes[end] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let (told, noted) = desk.ends(&line, 1);
    assert_eq!(told, "");
    assert!(noted.contains("not verified"), "{noted}");
}
