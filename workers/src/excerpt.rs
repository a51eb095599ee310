//! Keeping what others send within bounds before it is recorded for good.

use serde_json::{Value, json};

/// The largest result that is recorded whole, in bytes of JSON.
pub(crate) const MOST_RESULT_BYTES: usize = 256 * 1024;
/// The largest list of upstream errors that is recorded whole.
pub(crate) const MOST_ERRORS_BYTES: usize = 16 * 1024;
/// The longest message, in characters.
const MOST_MESSAGE_CHARS: usize = 2000;

/// JSON text of at most `most` bytes. A longer one is replaced by
/// `{"cut": true, "bytes": N, "beginning": "…"}`, N being its length.
pub(crate) fn json_text(value: &Value, most: usize) -> String {
    let text = value.to_string();
    if text.len() <= most {
        return text;
    }
    // JSON text as a JSON string at most doubles: of what must be escaped, it holds only `"` and `\`.
    let mut end = most.saturating_sub(128) / 2;
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let beginning = text.get(..end).unwrap_or_default();
    json!({"cut": true, "bytes": text.len(), "beginning": beginning}).to_string()
}

/// A message of bounded length; `…` says that it was longer.
pub(crate) fn message(text: String) -> String {
    match text.char_indices().nth(MOST_MESSAGE_CHARS) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_kept_as_it_is() {
        let value = json!({"id": "r1", "name": "é"});
        assert_eq!(json_text(&value, 1024), value.to_string());
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        for filling in ["a", "\"", "\\", "é", "\u{1}", "🦀"] {
            let value = json!({"records": filling.repeat(5000)});
            let text = json_text(&value, 2048);
            assert!(text.len() <= 2048, "{filling:?}: {}", text.len());
            let read: Value = serde_json::from_str(&text).unwrap();
            assert_eq!(read["cut"], true);
            assert_eq!(read["bytes"], value.to_string().len());
            let beginning = read["beginning"].as_str().unwrap();
            assert!(value.to_string().starts_with(beginning));
            assert!(beginning.len() > 900);
        }
    }

    #[test]
    fn a_message_is_bounded_in_characters() {
        assert_eq!(message("é".repeat(2000)), "é".repeat(2000));
        assert_eq!(message("é".repeat(2001)), "é".repeat(2000) + "…");
    }
}
