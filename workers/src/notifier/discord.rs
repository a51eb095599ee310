//! A message for a channel of Discord: text in which nothing is markup, and which mentions nobody.
//!
//! Limits (<https://docs.discord.com/developers/resources/webhook>): 2,000 characters of content. Counted in UTF-16
//! code units a text is never longer than it may be, however that is meant.

use super::Text;
use serde_json::{Value, json};

const LONGEST: usize = 2_000;
/// No preview of the address is fetched.
const SUPPRESS_EMBEDS: u32 = 1 << 2;

pub(super) fn message(text: &Text, url: &str) -> Value {
    let link = format!("\n<{url}>");
    let cut = "\n…";
    let room = LONGEST.saturating_sub(units(&link) + units(cut));
    let mut content = escaped(&text.title);
    for line in text.lines() {
        let line = format!("\n{}", escaped(&line));
        if units(&content) + units(&line) > room {
            content.push_str(cut);
            break;
        }
        content.push_str(&line);
    }
    content.push_str(&link);
    json!({
        "content": content,
        "allowed_mentions": {"parse": []},
        "flags": SUPPRESS_EMBEDS,
    })
}

/// How long a text is, in UTF-16 code units.
fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Clients look for mentions and addresses behind a backslash as well, so a space of no width breaks them.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if "\\*_~`|<>[]()#@".contains(c) {
            escaped.push('\\');
        }
        escaped.push(c);
        if "@#<:".contains(c) {
            escaped.push('\u{200b}');
        }
    }
    escaped
}
