//! Characters that are never shown as themselves, because they draw nothing, overprint their
//! neighbours, or change the order in which the rest is read.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};

/// True when the character is shown to people as its code point: control and format characters, separators
/// other than the space, marks that are drawn onto their neighbours (Mn, Me), private use, code points
/// that nothing is assigned to, and those that are letters or symbols by category and draw nothing.
#[must_use]
pub fn is_hidden(c: char) -> bool {
    match c {
        ' '..='~' => false,
        c if draws_nothing(c) => true,
        c => matches!(
            c.general_category(),
            GeneralCategory::Control
                | GeneralCategory::Format
                | GeneralCategory::SpaceSeparator
                | GeneralCategory::LineSeparator
                | GeneralCategory::ParagraphSeparator
                | GeneralCategory::NonspacingMark
                | GeneralCategory::EnclosingMark
                | GeneralCategory::PrivateUse
                | GeneralCategory::Surrogate
                | GeneralCategory::Unassigned
        ),
    }
}

/// Characters that no category tells: fillers and blanks, the other default-ignorable code points
/// (DerivedCoreProperties.txt), and the places of objects and of characters that could not be read.
const fn draws_nothing(c: char) -> bool {
    matches!(
        c,
        '\u{115f}'
            | '\u{1160}'
            | '\u{17b4}'
            | '\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{2065}'
            | '\u{2800}'
            | '\u{3164}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffd}'
            | '\u{13430}'..='\u{13455}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d159}'
            | '\u{1d165}'..='\u{1d182}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_draws_nothing_or_onto_its_neighbours_is_hidden() {
        for c in [
            '\0',
            '\u{7f}',
            '\u{85}',
            '\u{a0}',
            '\u{ad}',
            '\u{300}',
            '\u{34f}',
            '\u{488}',
            '\u{5b0}',
            '\u{61c}',
            '\u{64b}',
            '\u{115f}',
            '\u{1160}',
            '\u{17b4}',
            '\u{17d2}',
            '\u{180b}',
            '\u{180e}',
            '\u{200b}',
            '\u{200d}',
            '\u{2028}',
            '\u{202e}',
            '\u{2061}',
            '\u{2064}',
            '\u{2065}',
            '\u{2069}',
            '\u{206a}',
            '\u{20dd}',
            '\u{2800}',
            '\u{2d7f}',
            '\u{3000}',
            '\u{302a}',
            '\u{3099}',
            '\u{3164}',
            '\u{e000}',
            '\u{fdd0}',
            '\u{fe0f}',
            '\u{feff}',
            '\u{ffa0}',
            '\u{fff9}',
            '\u{fffc}',
            '\u{13441}',
            '\u{16fe4}',
            '\u{1bca0}',
            '\u{1d159}',
            '\u{1d173}',
            '\u{e0001}',
            '\u{e0041}',
            '\u{e0100}',
            '\u{e0fff}',
            '\u{f0000}',
            '\u{10ffff}',
            '\u{378}',
        ] {
            assert!(is_hidden(c), "U+{:04X}", u32::from(c));
        }
    }

    #[test]
    fn what_is_drawn_is_shown() {
        for c in " a~é漢カか한אبкωऄก€→…’🙂①".chars() {
            assert!(!is_hidden(c), "U+{:04X}", u32::from(c));
        }
    }
}
