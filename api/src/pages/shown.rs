//! Text that somebody else wrote, made safe to read: nothing in it can act as markup, change the
//! order in which the rest is read, or hide.
//!
//! A character that draws nothing, draws something else's place, or moves its neighbours is shown as
//! its code point between single guillemets, `‹U+202E›`. The opening guillemet itself is shown that
//! way too, so what is shown can be turned back into exactly one original. Right-to-left letters are
//! laid out in the order in which they are stored (the `shown` class overrides the bidirectional
//! algorithm): `אב.1.2` must not read as another address than the one that will be sent.

use super::hidden::{MARK, is_hidden, name};
use askama::filters::HtmlSafe;
use std::fmt::{self, Write};

/// Text from a request, a principal or the ledger. Its `Display` is HTML, escaped and complete;
/// templates cannot print it in any other way.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownText {
    text: String,
    layout: Layout,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// One line: line breaks and tabs are shown as code points, and so are spaces at both ends.
    Line,
    /// Line feeds and tabs lay the text out, as in an editor.
    Block,
}

impl ShownText {
    /// A name or a short value.
    #[must_use]
    pub fn line(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            layout: Layout::Line,
        }
    }

    /// A script, a JSON document or anything else where lines matter.
    #[must_use]
    pub fn block(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            layout: Layout::Block,
        }
    }

    /// The text as it was written, for answers that are not pages.
    #[must_use]
    pub fn original(&self) -> &str {
        &self.text
    }

    /// Whether there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text on one line without markup, for messages that are no pages: what hides or moves its
    /// neighbours is spelled out as on a page.
    pub(crate) fn spelled_out(&self) -> String {
        let mut plain = String::with_capacity(self.text.len());
        for c in self.text.chars() {
            if c != ' ' && (c == MARK || is_hidden(c)) {
                plain.push_str(&format!("\u{2039}U+{:04X}\u{203a}", u32::from(c)));
            } else {
                plain.push(c);
            }
        }
        plain
    }

    /// The original's length in bytes of UTF-8.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.text.len()
    }

    /// How many lines the original has.
    #[must_use]
    pub fn lines(&self) -> usize {
        self.text.lines().count()
    }

    /// Names the characters outside ASCII that are drawn as they are, because many look like others
    /// (`а` U+0430 like `a`): at most eight different ones, then how many more. `None` when there
    /// are none.
    #[must_use]
    pub fn lookalikes(&self) -> Option<String> {
        const NAMED: usize = 8;
        let mut seen: Vec<char> = Vec::new();
        for c in self
            .text
            .chars()
            .filter(|c| !c.is_ascii() && *c != MARK && !is_hidden(*c))
        {
            if !seen.contains(&c) {
                seen.push(c);
                if seen.len() > NAMED {
                    break;
                }
            }
        }
        if seen.is_empty() {
            return None;
        }
        let named = seen
            .iter()
            .take(NAMED)
            .map(|c| format!("{c}\u{a0}U+{:04X}", u32::from(*c)));
        let mut note = named.collect::<Vec<_>>().join(", ");
        if seen.len() > NAMED {
            note.push_str(" and more");
        }
        Some(note)
    }
}

impl PartialEq<str> for ShownText {
    fn eq(&self, other: &str) -> bool {
        self.text == other
    }
}

impl fmt::Debug for ShownText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// The element that carries every foreign text; its class and direction are what keeps
/// right-to-left letters in their stored order.
const OPEN: &str = r#"<bdi class="shown" dir="ltr">"#;
const CLOSE: &str = "</bdi>";

impl fmt::Display for ShownText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(OPEN)?;
        let inner = match self.layout {
            Layout::Block => "",
            Layout::Line => self.text.trim_matches(' '),
        };
        // Byte offsets between which a space is an ordinary one.
        let (start, end) = match self.layout {
            Layout::Block => (0, self.text.len()),
            Layout::Line => {
                let start = self.text.len() - self.text.trim_start_matches(' ').len();
                (start, start + inner.len())
            }
        };
        for (at, c) in self.text.char_indices() {
            match c {
                ' ' if (start..end).contains(&at) => f.write_char(' ')?,
                ' ' => chip(f, c)?,
                '\n' | '\t' if self.layout == Layout::Block => f.write_char(c)?,
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                MARK => chip(f, c)?,
                c if is_hidden(c) => chip(f, c)?,
                c => f.write_char(c)?,
            }
        }
        f.write_str(CLOSE)
    }
}

/// `Display` escapes everything that HTML gives a meaning to.
impl HtmlSafe for ShownText {}

fn chip(f: &mut fmt::Formatter<'_>, c: char) -> fmt::Result {
    let code = u32::from(c);
    write!(
        f,
        r#"<span class="chip" title="{}">‹U+{code:04X}›</span>"#,
        name(c)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads the page's text as a person would and turns it back into the original.
    fn read_back(html: &str) -> String {
        let inner = html
            .strip_prefix(OPEN)
            .unwrap()
            .strip_suffix(CLOSE)
            .unwrap();
        let mut text = String::new();
        let mut tag = false;
        for c in inner.chars() {
            match c {
                '<' => tag = true,
                '>' if tag => tag = false,
                _ if tag => {}
                c => text.push(c),
            }
        }
        let text = text
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&#39;", "'")
            .replace("&amp;", "&");
        let mut original = String::new();
        let mut rest = text.as_str();
        while let Some((before, after)) = rest.split_once("‹U+") {
            original.push_str(before);
            let (code, after) = after.split_once('›').unwrap();
            original.push(char::from_u32(u32::from_str_radix(code, 16).unwrap()).unwrap());
            rest = after;
        }
        original + rest
    }

    fn nasty() -> impl Strategy<Value = String> {
        let c = prop_oneof![
            any::<char>(),
            prop::sample::select(vec![
                '‹',
                '›',
                '&',
                '<',
                '>',
                '"',
                '\'',
                ' ',
                '\n',
                '\r',
                '\t',
                '\0',
                '\u{202e}',
                '\u{2066}',
                '\u{200b}',
                '\u{feff}',
                '\u{e0041}',
                'U',
                '+',
                '2',
                'א',
                'а',
                ';',
                '#',
            ]),
        ];
        prop::collection::vec(c, 0..40).prop_map(|chars| chars.into_iter().collect())
    }

    proptest! {
        #[test]
        fn what_is_shown_is_harmless_and_has_one_original(text in nasty()) {
            for (shown, kept) in [
                (ShownText::line(text.clone()), &[][..]),
                (ShownText::block(text.clone()), &['\n', '\t'][..]),
            ] {
                let html = shown.to_string();
                prop_assert_eq!(read_back(&html), text.clone());
                for c in html.chars() {
                    prop_assert!(!is_hidden(c) || kept.contains(&c), "raw U+{:04X}", u32::from(c));
                }
            }
        }

        #[test]
        fn no_markup_comes_from_the_text(text in nasty()) {
            let html = ShownText::line(text).to_string();
            let ours = html
                .replace(OPEN, "")
                .replace(CLOSE, "")
                .replace("</span>", "");
            for tag in ours.split('<').skip(1) {
                prop_assert!(tag.starts_with("span class=\"chip\" title=\""), "{}", tag);
            }
        }
    }

    #[test]
    fn a_reversing_override_becomes_visible() {
        let html = ShownText::line("exe.\u{202e}gpj").to_string();
        assert!(html.contains("exe.<span class=\"chip\" title=\"right-to-left override\">"));
        assert!(html.contains("‹U+202E›</span>gpj"));
    }

    #[test]
    fn an_imitated_chip_is_told_from_a_real_one() {
        let imitated = ShownText::line("‹U+202E›").to_string();
        let real = ShownText::line("\u{202e}").to_string();
        assert_ne!(imitated, real);
        assert!(imitated.contains("‹U+2039›</span>U+202E›"));
    }

    #[test]
    fn spaces_at_the_edges_are_seen_and_inner_ones_stay() {
        let html = ShownText::line(" a b ").to_string();
        assert_eq!(html.matches("‹U+0020›").count(), 2);
        assert!(html.contains(">a b<"));
        assert_eq!(
            ShownText::line("  ")
                .to_string()
                .matches("‹U+0020›")
                .count(),
            2
        );
    }

    #[test]
    fn lookalikes_are_named_once_and_only_when_drawn() {
        assert_eq!(ShownText::line("example.com").lookalikes(), None);
        assert_eq!(ShownText::line("\u{200b}").lookalikes(), None);
        let note = ShownText::line("\u{440}\u{430}\u{443}\u{440}al")
            .lookalikes()
            .unwrap();
        assert_eq!(note, "р\u{a0}U+0440, а\u{a0}U+0430, у\u{a0}U+0443");
        let many = ShownText::block("абвгдежзик").lookalikes().unwrap();
        assert!(many.ends_with(" and more"));
    }
}
