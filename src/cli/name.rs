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
