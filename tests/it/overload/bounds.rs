//! What is bounded in memory says how much of it is in use.

use super::{Bystander, sandbox};
use fixtures::sandbox::PATIENCE;
use reqwest::Method;
use std::time::Instant;

const OPERATIONS: &str = include_str!("../../../docs/operations.md");

/// The series that the section on memory names: the third column of its table.
fn listed() -> Vec<&'static str> {
    let section = OPERATIONS
        .split("\n## What bounds memory\n")
        .nth(1)
        .unwrap();
    let section = section.split("\n## ").next().unwrap();
    section
        .lines()
        .filter(|line| line.starts_with('|'))
        .skip(2)
        .flat_map(|line| {
            let column = line.split('|').nth(3).unwrap();
            column.split('`').skip(1).step_by(2)
        })
        .collect()
}

#[tokio::test]
async fn every_bound_that_is_documented_has_its_metric() {
    let sandbox = sandbox(&[]).await;
    let service = sandbox.start().await;
    let bystander = Bystander::new(&sandbox, &service).await;
    bystander.is_served("a").await;
    let listed = listed();
    assert!(listed.len() >= 20, "{listed:?}");
    // Some are told with the next fold, or the next look of a worker.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = service.caller.ask(Method::GET, "/metrics", None).await;
        let text = text.unwrap().text;
        let missing: Vec<_> = listed.iter().filter(|name| !has(&text, name)).collect();
        if missing.is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{missing:?} not in\n{text}");
        tokio::task::yield_now().await;
    }
}

/// Whether there is such a series: a name, and a label where one is named.
fn has(text: &str, listed: &str) -> bool {
    let (name, label) = listed.split_once('{').unwrap_or((listed, ""));
    let label = label.trim_end_matches('}');
    text.lines().any(|line| {
        line.strip_prefix(name)
            .is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(label))
    })
}
