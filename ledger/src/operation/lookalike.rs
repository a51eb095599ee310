//! Words that a reader may take for other words: letters of several scripts in one word, or letters that
//! are all drawn like ASCII (Unicode Technical Standard 39, sections 4 and 5).

use super::hidden::is_hidden;
use std::ops::Range;
use unicode_security::{MixedScript as _, confusable_detection::skeleton};

/// Why a word may be taken for another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disguise {
    /// Its letters are of scripts that are not written together: Latin and Cyrillic.
    MixedScripts,
    /// It is not ASCII, and every letter is drawn like an ASCII letter: `аррӏе` in Cyrillic.
    LooksLikeAscii,
}

/// A word that may be taken for another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisguisedWord {
    /// Where it stands in the text, in bytes.
    pub at: Range<usize>,
    /// Why.
    pub disguise: Disguise,
}

/// The words of a text that may be taken for others, in their order. A word is a run of letters and
/// digits; one of the signs that names and addresses are made of (`.`, `/`, `:` …) is a word by itself.
pub fn disguised_words(text: &str) -> impl Iterator<Item = DisguisedWord> + '_ {
    let mut from = 0;
    std::iter::from_fn(move || {
        loop {
            let word = next_foreign_word(text, from)?;
            from = word.end;
            if let Some(disguise) = text.get(word.clone()).and_then(disguise_of) {
                return Some(DisguisedWord { at: word, disguise });
            }
        }
    })
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() && !is_hidden(c)
}

/// The next word with a character outside ASCII in it.
fn next_foreign_word(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = text.get(from..)?;
    let at = from + rest.bytes().position(|byte| !byte.is_ascii())?;
    let (before, after) = (text.get(from..at)?, text.get(at..)?);
    let first = after.chars().next()?;
    if !is_letter(first) {
        return Some(at..at + first.len_utf8());
    }
    let start = before
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_letter(*c))
        .last()
        .map_or(at, |(index, _)| from + index);
    let length = after.find(|c| !is_letter(c)).unwrap_or(after.len());
    Some(start..at + length)
}

/// Signs with which names, addresses and conditions are made.
const SIGNS: &str = ".,:;/\\@-_?#%&=|~";

fn disguise_of(word: &str) -> Option<Disguise> {
    let first = word.chars().next()?;
    if !is_letter(first) {
        let is_sign = !is_hidden(first) && {
            let mut drawn = skeleton(word);
            drawn.next().is_some_and(|c| SIGNS.contains(c)) && drawn.next().is_none()
        };
        return is_sign.then_some(Disguise::LooksLikeAscii);
    }
    if !word.is_single_script() {
        return Some(Disguise::MixedScripts);
    }
    skeleton(word)
        .all(|c| c.is_ascii())
        .then_some(Disguise::LooksLikeAscii)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<(&str, Disguise)> {
        disguised_words(text)
            .map(|word| (&text[word.at], word.disguise))
            .collect()
    }

    #[test]
    fn words_of_mixed_scripts_are_found_wherever_they_stand() {
        use Disguise::MixedScripts as Mixed;
        // Cyrillic а and р, Greek ο, Armenian օ.
        assert_eq!(found("www.p\u{430}ypal.com"), [("p\u{430}ypal", Mixed)]);
        assert_eq!(
            found("\u{440}aypal and g\u{3bf}ogle, n\u{585}w"),
            [
                ("\u{440}aypal", Mixed),
                ("g\u{3bf}ogle", Mixed),
                ("n\u{585}w", Mixed)
            ]
        );
        let many = "é".repeat(1000) + " p\u{430}y";
        assert_eq!(found(&many), [("p\u{430}y", Mixed)]);
    }

    #[test]
    fn a_word_of_one_script_that_is_drawn_like_ascii_is_found() {
        use Disguise::LooksLikeAscii as Ascii;
        for word in [
            "\u{430}\u{440}\u{440}\u{4cf}\u{435}",
            "\u{217c}og",
            "\u{251}\u{261}e",
            "\u{1d41a}\u{1d41b}",
        ] {
            assert_eq!(found(word), [(word, Ascii)], "{word}");
        }
        // Full stops and slashes of other scripts.
        for sign in ["\u{2024}", "\u{2044}", "\u{2215}"] {
            let text = format!("example{sign}com");
            assert_eq!(found(&text), [(sign, Ascii)], "U+{sign:?}");
        }
    }

    #[test]
    fn words_that_people_write_are_left_alone() {
        for text in [
            "plain ASCII 123",
            "Müller, naïve, Łódź, Ærø, señor",
            "Добро пожаловать",
            "漢字とカナ",
            "한국어",
            "“quoted” … ’",
            "→ 5 €",
        ] {
            assert_eq!(found(text), [], "{text}");
        }
    }
}
