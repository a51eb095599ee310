//! What a secret must be like before the service starts with it.

use super::sources::Sources;
use super::variable::{self, Variable};
use secrecy::SecretString;

/// The least length of a secret, in bytes: that of the HMAC-SHA256 output it keys (RFC 2104, section 3).
const LEAST_BYTES: usize = 32;

const DEVELOPMENT_PREFIX: &str = "insecure-development-only-";

/// The secrets without which nothing starts.
const REQUIRED: [&Variable; 5] = [
    &variable::JWT_SECRET,
    &variable::BOOTSTRAP_JWT_SECRET,
    &variable::MTLS_BINDING_SHARED_SECRET,
    &variable::APPROVAL_LINK_SECRET,
    &variable::RESUME_TOKEN_SECRET,
];

/// The value that stands in for a secret on a developer's machine.
fn development_default(variable: &Variable) -> String {
    format!(
        "{DEVELOPMENT_PREFIX}{}",
        variable.name().to_ascii_lowercase()
    )
}

/// A required secret. Every rule it breaks is a problem, or a warning where insecure defaults are
/// allowed.
pub(crate) fn required(sources: &mut Sources, variable: &Variable) -> SecretString {
    let value = sources.set(variable).unwrap_or_default().to_owned();
    if value.trim().is_empty() {
        if sources.insecure() {
            sources.warn(
                variable,
                "is not set: a development default that everybody knows is used",
            );
        } else if sources.set(variable).is_some() {
            sources.problem(variable, "is empty; set it to at least 32 random bytes");
        } else {
            sources.problem(variable, "is not set; set it to at least 32 random bytes");
        }
        return development_default(variable).into();
    }
    if value.trim() != value {
        sources.problem(
            variable,
            "begins or ends with a blank or a line break; remove it",
        );
    }
    if value.starts_with(DEVELOPMENT_PREFIX) {
        weak(
            sources,
            variable,
            "is a development default that everybody knows",
        );
    } else if value.len() < LEAST_BYTES {
        weak(sources, variable, "is shorter than 32 bytes");
    }
    value.into()
}

/// Reports secrets that are equal to each other: whoever learns one of them must not have another.
pub(crate) fn refuse_equal(sources: &mut Sources) {
    let others = [
        &variable::MASTER_KEY,
        &variable::MASTER_KEY_PREVIOUS,
        &variable::CLOUDFLARE_API_TOKEN,
    ];
    let all: Vec<&Variable> = REQUIRED.into_iter().chain(others).collect();
    for (at, variable) in all.iter().enumerate() {
        let Some(value) = sources.set(variable).filter(|value| !value.is_empty()) else {
            continue;
        };
        let twin = all
            .iter()
            .take(at)
            .find(|earlier| sources.set(earlier).is_some_and(|it| it == value));
        if let Some(twin) = twin {
            let text = format!(
                "is equal to {}; every secret must be one of its own",
                twin.name()
            );
            weak(sources, variable, &text);
        }
    }
}

fn weak(sources: &mut Sources, variable: &Variable, text: &str) {
    if sources.insecure() {
        sources.warn(variable, text);
    } else {
        sources.problem(variable, text);
    }
}
