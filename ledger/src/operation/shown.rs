//! Text from outside as part of one line for people.

use std::fmt::Write as _;

/// The text on one line, at most `max` characters of it, with control characters, line breaks and
/// characters that change the direction of reading or cannot be seen written as `\u{…}`.
#[must_use]
pub fn shown(text: &str, max: usize) -> String {
    let mut line = String::new();
    for (index, character) in text.chars().enumerate() {
        if index == max {
            line.push('…');
            break;
        }
        if character.is_control() || is_invisible(character) {
            // Writing to a string cannot fail.
            let _ = write!(line, "\\u{{{:x}}}", u32::from(character));
        } else {
            line.push(character);
        }
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

/// Zero-width, bidirectional and other format characters with which a text can look like another.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    )
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
