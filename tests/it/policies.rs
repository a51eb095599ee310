//! `policy check`, `policy test` and `policy diff`, which need no service.

use fixtures::process::{bare, said};
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
