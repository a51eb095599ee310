//! A message for a channel of Microsoft Teams: an Adaptive Card of text runs, which hold no markup, and one button
//! that opens the page.
//!
//! Limit (<https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors>): 28 KB of JSON.

use super::{REVIEW, Text};
use serde_json::{Value, json};

pub(super) fn message(text: &Text, url: &str) -> Value {
    let run = |line: &str, weight: &str| {
        let run = json!({"type": "TextRun", "text": line, "weight": weight});
        json!({"type": "RichTextBlock", "inlines": [run]})
    };
    let mut body = vec![run(&text.title, "Bolder")];
    body.extend(text.lines().map(|line| run(&line, "Default")));
    let card = json!({
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": REVIEW, "url": url}],
    });
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "contentUrl": null,
            "content": card,
        }],
    })
}
