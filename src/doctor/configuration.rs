//! The settings, as a start would read them.

use super::finding::Finding;
use crate::config::Environment;

const CHECK: &str = "settings";

/// Every setting that is refused, and every one that should be known.
pub(super) fn look(environment: &Environment) -> Vec<Finding> {
    let (config, warnings) = match environment.config() {
        Ok(read) => read,
        Err(problems) => return problems.iter().map(refused).collect(),
    };
    let mut findings: Vec<Finding> = warnings
        .iter()
        .map(|warning| {
            Finding::warning(
                CHECK,
                warning.to_string(),
                "change it, unless this is intended",
            )
        })
        .collect();
    if let Err(problems) = config.check_files() {
        findings.extend(problems.iter().map(refused));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "all valid, no secret is a default"));
    }
    findings
}

fn refused(problem: &crate::config::Problem) -> Finding {
    Finding::problem(
        CHECK,
        problem.to_string(),
        "the next start refuses this; run doctor with the service's settings, then correct it",
    )
}
