//! Names on the command line, as the service would accept them.

const MOST_CHARACTERS: usize = 200;

/// A client subject: it stands in a header, so visible ASCII, blanks inside allowed.
pub(super) fn parse_subject(text: &str) -> Result<String, String> {
    let fits = (1..=MOST_CHARACTERS).contains(&text.len())
        && text.trim() == text
        && text
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if fits {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 200 visible ASCII characters".into())
    }
}

/// The name of an agent, without the `agent:` in front.
pub(super) fn parse_agent(text: &str) -> Result<String, String> {
    if text.starts_with("agent:") {
        return Err("give the name alone; the token says agent:NAME by itself".into());
    }
    let fits = (1..=MOST_CHARACTERS).contains(&text.chars().count())
        && text.trim() == text
        && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err("expected 1 to 200 visible characters".into())
    }
}
