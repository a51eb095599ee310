//! The note on characters of a text that may be taken for others.

use super::rest::in_thousands;
use crate::pages::hidden::MARK;
use ledger::operation::{Disguise, disguised_words, is_hidden};

/// Text that may be taken for something else: first the words that may be taken for others, each with its
/// letters outside ASCII, then the other characters outside ASCII that are drawn as they are, because
/// many look like others. `None` when there are none.
pub(in crate::pages) fn lookalikes(text: &str) -> Option<String> {
    const WORDS: usize = 16;
    const LETTERS: usize = 8;
    let mut words: Vec<(&str, Disguise)> = Vec::new();
    let mut more_words = 0_usize;
    let mut named: Vec<char> = Vec::new();
    for found in disguised_words(text) {
        let word = text.get(found.at).unwrap_or("");
        if words.iter().any(|(known, _)| *known == word) {
            continue;
        }
        if words.len() == WORDS {
            more_words += 1;
            continue;
        }
        words.push((word, found.disguise));
        named.extend(foreign(word));
    }
    let mut parts: Vec<String> = words
        .iter()
        .map(|(word, disguise)| told(word, *disguise))
        .collect();
    if more_words > 0 {
        parts.push(format!(
            "{} more such words, marked in the text",
            in_thousands(more_words)
        ));
    }
    let mut others: Vec<char> = Vec::new();
    for c in foreign(text) {
        if !is_emoji(c) && !named.contains(&c) && !others.contains(&c) {
            others.push(c);
            if others.len() > LETTERS {
                break;
            }
        }
    }
    if !others.is_empty() {
        let mut letters = letters(others.iter().take(LETTERS).copied());
        if others.len() > LETTERS {
            letters.push_str(" and more");
        }
        parts.push(letters);
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// The characters outside ASCII that are drawn as they are.
fn foreign(text: &str) -> impl Iterator<Item = char> + '_ {
    text.chars()
        .filter(|c| !c.is_ascii() && *c != MARK && !is_hidden(*c))
}

/// True for a picture, which nobody takes for a letter.
fn is_emoji(c: char) -> bool {
    matches!(c, '\u{2600}'..='\u{27bf}' | '\u{1f1e6}'..='\u{1f1ff}' | '\u{1f300}'..='\u{1faff}')
}

/// A word that may be taken for another one, with what it is made of.
fn told(word: &str, disguise: Disguise) -> String {
    const SHOWN: usize = 40;
    let why = match disguise {
        Disguise::MixedScripts => "letters of several scripts",
        Disguise::LooksLikeAscii => "looks like ASCII and is not",
    };
    let mut seen: Vec<char> = Vec::new();
    for c in foreign(word) {
        if !seen.contains(&c) {
            seen.push(c);
        }
    }
    let more = if seen.len() > 8 { " and more" } else { "" };
    let shown: String = word.chars().take(SHOWN).collect();
    let cut = if shown.len() < word.len() { "…" } else { "" };
    format!(
        "{shown}{cut} ({why}: {}{more})",
        letters(seen.into_iter().take(8))
    )
}

fn letters(of: impl Iterator<Item = char>) -> String {
    let named = of.map(|c| format!("{c}\u{a0}U+{:04X}", u32::from(c)));
    named.collect::<Vec<_>>().join(", ")
}
