//! The words of a message, as JSON: `{title, body, url}`. A service worker shows them as a notification and opens the
//! address.

use crate::notifier::Text;
use crate::question::{Question, visible};
use serde_json::json;

/// How many operations are told in a line each.
const LINES: usize = 2;
/// The longest line, in characters.
const LONGEST: usize = 160;

/// The JSON in UTF-8, at most `room` bytes. What does not fit beside a long address is left to the page.
pub(super) fn of(question: &Question, url: &str, room: usize) -> Vec<u8> {
    let text = Text::of(question);
    let acts = question.sentences(LINES);
    let lines = std::iter::once(text.asks).chain(acts).chain(text.says);
    let lines: Vec<String> = lines.map(|line| visible(&line, LONGEST)).collect();
    let told = |body: &str| json!({"title": text.title, "body": body, "url": url}).to_string();
    let whole = told(&lines.join("\n"));
    let said = match whole.len() <= room {
        true => whole,
        false => told(""),
    };
    said.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::encryption::ROOM;
    use super::*;
    use crate::question::Asker;
    use ledger::aggregate::ApprovalState;
    use ledger::{Purpose, Reason, Risk};
    use serde_json::Value;

    fn question(words: &str) -> Question {
        Question {
            asker: Asker::Agent {
                name: "deployer".to_owned(),
                task: words.to_owned(),
            },
            summary: vec![words.to_owned(); 9],
            operations: 9,
            risk: Some(Risk::Sensitive),
            state: ApprovalState::Pending,
            purpose: Purpose {
                reason: Reason::parse(&words.chars().take(400).collect::<String>()).unwrap(),
                ..Purpose::default()
            },
        }
    }

    #[test]
    fn what_an_agent_writes_is_attributed_and_has_its_lines() {
        let told = of(&question("a\nb\u{202e}"), "https://p/a/x", ROOM);
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(told["title"], "A decision is wanted (risk: sensitive)");
        assert_eq!(told["url"], "https://p/a/x");
        let body = told["body"].as_str().unwrap();
        let lines: Vec<&str> = body.lines().collect();
        assert_eq!(lines.len(), 5, "{body}");
        assert!(
            lines[0].starts_with("deployer asks, in task \u{201c}a‹U+000A›b"),
            "{body}"
        );
        assert_eq!(lines[3], "and 7 more operations");
        assert_eq!(
            lines[4],
            "deployer says: \u{201c}a‹U+000A›b‹U+202E›\u{201d}"
        );
    }

    #[test]
    fn the_longest_words_fit_and_a_long_address_takes_their_place() {
        for words in [
            "\u{1f512}".repeat(2000),
            "\"".repeat(2000),
            "\u{1}".repeat(2000),
        ] {
            let told = of(&question(&words), "https://p/a/x", ROOM);
            assert!(told.len() <= ROOM, "{}", told.len());
            let told: Value = serde_json::from_slice(&told).unwrap();
            assert_ne!(told["body"], "");
        }
        let url = format!("https://p/{}", "x".repeat(2000));
        let told = of(&question(&"\u{1f512}".repeat(2000)), &url, ROOM);
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!(
            (told["body"].as_str(), told["url"].as_str()),
            (Some(""), Some(url.as_str()))
        );
    }
}
