//! Text from outside as part of one line for people.

use super::hidden::is_hidden;
use super::lookalike::disguised_words;
use std::fmt::Write as _;

/// Opens a code point that is written out, and is written out itself.
pub const MARK: char = '\u{2039}';

/// The text on one line, at most `max` characters of it. Characters that cannot be seen or move others
/// are written out, as `‹U+202E›`, and so are letters outside ASCII in words that may be taken for other words.
/// Pages spell them in the same way.
#[must_use]
pub fn shown(text: &str, max: usize) -> String {
    let end = text.char_indices().nth(max).map(|(at, _)| at);
    let text = text.get(..end.unwrap_or(text.len())).unwrap_or("");
    let mut words = disguised_words(text).peekable();
    let mut line = String::new();
    for (at, c) in text.char_indices() {
        while words.next_if(|word| word.at.end <= at).is_some() {}
        let is_disguised = !c.is_ascii() && words.peek().is_some_and(|word| word.at.start <= at);
        if is_disguised || is_hidden(c) || c == MARK {
            // Writing to a string cannot fail.
            let _ = write!(line, "{MARK}U+{:04X}›", u32::from(c));
        } else {
            line.push(c);
        }
    }
    if end.is_some() {
        line.push('…');
    }
    line
}

/// As [`shown`], of a line parts of which were spelled already: each character is spelled once.
#[must_use]
pub fn shown_once(line: &str, max: usize) -> String {
    shown(&unspelled(line), max)
}

/// A text in quotes, so that what somebody else wrote cannot pass for words of ours: a quote and a backslash in it
/// have a backslash before them. What it hides stays in it, for [`shown`] to spell with the rest of the line.
#[must_use]
pub fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted.push('"');
    quoted
}

/// A line of [`shown`] with the characters that were written out, for who shows them in another way.
#[must_use]
pub fn unspelled(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once(MARK) {
        text.push_str(before);
        let spelled = after.split_once('›').and_then(|(code, after)| {
            let code = u32::from_str_radix(code.strip_prefix("U+")?, 16).ok()?;
            Some((char::from_u32(code)?, after))
        });
        match spelled {
            Some((c, after)) => {
                text.push(c);
                rest = after;
            }
            None => {
                text.push(MARK);
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

/// True where every character of the text can be seen, and none of its words may be taken for another one.
#[must_use]
pub fn is_plain(text: &str) -> bool {
    !text.chars().any(is_hidden) && disguised_words(text).next().is_none()
}

/// The longest name that a refusal repeats, in characters. The service's secrets are longer.
const MOST_NAME: usize = 31;

/// A name from outside in a refusal, which is answered and may be recorded. One that is as long as a
/// secret may be one in the wrong place, and is not repeated.
#[must_use]
pub fn shown_name(name: &str) -> String {
    match name.chars().count() {
        0..=MOST_NAME => shown(name, MOST_NAME),
        count => format!("(a name of {count} characters)"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_mislead_is_spelled_out() {
        assert_eq!(
            shown("a\nb\u{202e}c\u{200b}", 20),
            "a‹U+000A›b‹U+202E›c‹U+200B›"
        );
        // What only looks written out is another text.
        assert_eq!(shown("‹U+202E›", 20), "‹U+2039›U+202E›");
        for text in ["a\nb\u{202e}‹U+202E›", "‹", "U+›", "‹U+›"] {
            assert_eq!(unspelled(&shown(text, 99)), text);
        }
        assert_eq!(shown_once("a‹U+202E›\u{202e}b", 20), "a‹U+202E›‹U+202E›b");
        assert_eq!(shown(&quoted("a\"\n\\"), 20), "\"a\\\"‹U+000A›\\\\\"");
        assert!(is_plain("a‹b") && !is_plain("a\u{202e}") && !is_plain("p\u{430}ypal"));
    }

    #[test]
    fn letters_of_disguised_words_are_spelled_out() {
        assert_eq!(
            shown("p\u{430}ypal Müller Добро", 40),
            "p‹U+0430›ypal Müller Добро"
        );
        let apple = "\u{430}\u{440}\u{440}\u{4cf}\u{435}";
        let spelled = "‹U+0430›‹U+0440›‹U+0440›‹U+04CF›‹U+0435›";
        assert_eq!(shown(apple, 9), spelled);
        assert_eq!(
            shown("a\u{17d2}\u{2d7f}\u{16fe4}", 9),
            "a‹U+17D2›‹U+2D7F›‹U+16FE4›"
        );
    }

    #[test]
    fn a_name_as_long_as_a_secret_is_not_repeated() {
        assert_eq!(shown_name("ttl\n"), "ttl‹U+000A›");
        assert_eq!(shown_name(&"k".repeat(31)), "k".repeat(31));
        assert_eq!(shown_name(&"k".repeat(32)), "(a name of 32 characters)");
    }

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        assert_eq!(shown("abcdef", 3), "abc…");
        assert_eq!(shown("abc", 3), "abc");
    }
}
