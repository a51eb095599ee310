//! Text from outside as part of one line for people.

use super::hidden::is_hidden;
use super::lookalike::disguised_words;
use std::fmt::Write as _;

/// The text on one line, at most `max` characters of it. Characters that cannot be seen or move others
/// are written as `\u{…}`, and so are letters outside ASCII in words that may be taken for other words.
#[must_use]
pub fn shown(text: &str, max: usize) -> String {
    let end = text.char_indices().nth(max).map(|(at, _)| at);
    let text = text.get(..end.unwrap_or(text.len())).unwrap_or("");
    let mut words = disguised_words(text).peekable();
    let mut line = String::new();
    for (at, c) in text.char_indices() {
        while words.next_if(|word| word.at.end <= at).is_some() {}
        let is_disguised = !c.is_ascii() && words.peek().is_some_and(|word| word.at.start <= at);
        if is_disguised || is_hidden(c) {
            // Writing to a string cannot fail.
            let _ = write!(line, "\\u{{{:x}}}", u32::from(c));
        } else {
            line.push(c);
        }
    }
    if end.is_some() {
        line.push('…');
    }
    line
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
            "a\\u{a}b\\u{202e}c\\u{200b}"
        );
    }

    #[test]
    fn letters_of_disguised_words_are_spelled_out() {
        assert_eq!(
            shown("p\u{430}ypal Müller Добро", 40),
            "p\\u{430}ypal Müller Добро"
        );
        let apple = "\u{430}\u{440}\u{440}\u{4cf}\u{435}";
        assert_eq!(shown(apple, 9), "\\u{430}\\u{440}\\u{440}\\u{4cf}\\u{435}");
        assert_eq!(
            shown("a\u{17d2}\u{2d7f}\u{16fe4}", 9),
            "a\\u{17d2}\\u{2d7f}\\u{16fe4}"
        );
    }

    #[test]
    fn a_name_as_long_as_a_secret_is_not_repeated() {
        assert_eq!(shown_name("ttl\n"), "ttl\\u{a}");
        assert_eq!(shown_name(&"k".repeat(31)), "k".repeat(31));
        assert_eq!(shown_name(&"k".repeat(32)), "(a name of 32 characters)");
    }

    #[test]
    fn long_text_ends_in_an_ellipsis() {
        assert_eq!(shown("abcdef", 3), "abc…");
        assert_eq!(shown("abc", 3), "abc");
    }
}
