//! The settings, as a start would read them.

use super::finding::Finding;
use crate::config::{Environment, Problems, is_missing};

const CHECK: &str = "settings";

/// Every setting that is refused, and every one that should be known.
pub(super) fn look(environment: &Environment) -> Vec<Finding> {
    let (config, warnings) = match environment.config() {
        Ok(read) => read,
        Err(problems) => return told(&problems),
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
        findings.extend(told(&problems));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(CHECK, "all valid, no secret is a default"));
    }
    findings
}

/// A finding for each problem, and one for all secrets that are missing.
fn told(problems: &Problems) -> Vec<Finding> {
    let (missing, others): (Vec<_>, Vec<_>) = problems.iter().partition(|it| is_missing(it));
    let names: Vec<&str> = missing.iter().map(|problem| problem.name()).collect();
    let mut findings: Vec<Finding> = others.into_iter().map(refused).collect();
    if !names.is_empty() {
        let found = match names.as_slice() {
            [name] => format!("{name} is not set"),
            names => format!("{} are not set", names.join(", ")),
        };
        findings.push(Finding::problem(
            CHECK,
            found,
            "run doctor with the service's settings. A new installation: llm-permission-proxy init makes a \
             file with all of them; or set each to the output of a run of its own of: openssl rand -hex 32",
        ));
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
