//! What is bounded in memory says how much of it is in use.

use super::{Bystander, surroundings};
use reqwest::Method;

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
    let surroundings = surroundings(&[]).await;
    let service = surroundings.start().await;
    let bystander = Bystander::new(&surroundings, &service).await;
    bystander.is_served("a").await;
    let text = service.caller.ask(Method::GET, "/metrics", None).await;
    let text = text.unwrap().text;
    let series: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split(['{', ' ']).next())
        .collect();
    let listed = listed();
    assert!(listed.len() >= 20, "{listed:?}");
    for name in listed {
        assert!(series.contains(&name), "{name} is not in\n{text}");
    }
}
