//! A message for a channel of Slack: blocks of plain text, which Slack neither formats nor searches for mentions.
//!
//! Limits (<https://docs.slack.dev/reference/block-kit/blocks>): 50 blocks, 150 characters of a header, 3,000 of the
//! text of a section.

use super::{REVIEW, Text};
use serde_json::{Value, json};

pub(super) fn message(text: &Text, url: &str) -> Value {
    let plain = |text: &str| json!({"type": "plain_text", "emoji": false, "text": escaped(text)});
    let mut blocks = vec![json!({"type": "header", "text": plain(&text.title)})];
    // A line has fewer than 600 characters, at most five for each when they are escaped.
    let section = |line: String| json!({"type": "section", "text": plain(&line)});
    blocks.extend(text.lines().map(section));
    let link = format!("<{}|{REVIEW}>", escaped(url).replace('|', "%7C"));
    blocks.push(json!({"type": "section", "text": {"type": "mrkdwn", "text": link}}));
    json!({
        // Shown where blocks are not, in words of this service.
        "text": escaped(&text.title),
        "unfurl_links": false,
        "unfurl_media": false,
        "blocks": blocks,
    })
}

/// The three characters that Slack reads, as its documentation has them written.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}
