//! Names on the command line, as the service would accept them.

use ledger::{AgentName, ClientSubject};

/// A client subject, by the rule of the service that reads it.
pub(super) fn parse_subject(text: &str) -> Result<String, String> {
    match ClientSubject::parse(text) {
        Some(subject) => Ok(subject.as_str().to_owned()),
        None => Err(format!("expected {}", ClientSubject::FORM)),
    }
}

/// The name of an agent, without the `agent:` in front.
pub(super) fn parse_agent(text: &str) -> Result<String, String> {
    if text.starts_with("agent:") {
        return Err("give the name alone; the token says agent:NAME by itself".into());
    }
    match AgentName::parse(text) {
        Ok(name) if text.trim() == text => Ok(name.into()),
        _ => Err("expected 1 to 200 visible characters".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is printed or signed for a subject is taken by the service that checks it.
    #[test]
    fn a_subject_is_one_that_the_service_reads() {
        for fine in ["ci", "CN=ci, O=Example Corp"] {
            assert_eq!(parse_subject(fine).as_deref(), Ok(fine));
        }
        for refused in ["", " ci", "ci ", "CN=\u{fc}", "a\tb", &"x".repeat(257)] {
            assert!(parse_subject(refused).is_err(), "{refused:?}");
        }
    }
}
