//! Every rule of the configuration, at its edge.

mod addresses;
mod secrets;
mod sources;

use super::*;

const SECRETS: [&str; 5] = [
    "JWT_SECRET",
    "BOOTSTRAP_JWT_SECRET",
    "MTLS_BINDING_SHARED_SECRET",
    "APPROVAL_LINK_SECRET",
    "RESUME_TOKEN_SECRET",
];

type Variables = BTreeMap<String, String>;

fn secret(name: &str) -> String {
    format!("{name:-<32}")
}

fn good() -> Variables {
    SECRETS
        .iter()
        .map(|name| ((*name).to_owned(), secret(name)))
        .collect()
}

fn with(pairs: &[(&str, &str)]) -> Variables {
    let mut variables = good();
    variables.extend(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
    );
    variables
}

fn accepted(variables: &Variables) -> (Config, Vec<String>) {
    let (config, warnings) = Config::from_sources(variables, None).unwrap_or_else(|problems| {
        panic!("{problems}");
    });
    (
        config,
        warnings
            .iter()
            .map(|warning| warning.name().to_owned())
            .collect(),
    )
}

/// The names of what is wrong; proves that no value is told.
fn refused(variables: &Variables, file: Option<&str>) -> Vec<String> {
    let problems = Config::from_sources(variables, file)
        .err()
        .expect("a refusal");
    let text = problems.to_string();
    for (name, value) in variables {
        let secret = table::find(name).is_some_and(|variable| variable.is_secret);
        let told = secret && value.len() > 8 && text.contains(value.as_str());
        assert!(!told, "the value of {name} is told: {text}");
    }
    problems
        .iter()
        .map(|problem| problem.name().to_owned())
        .collect()
}

fn refuses(name: &str, value: &str) {
    assert_eq!(
        refused(&with(&[(name, value)]), None),
        [name],
        "{name}={value}"
    );
}
