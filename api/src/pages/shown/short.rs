//! The beginning of a text, for rows of lists.

use super::{HtmlSafe, ShownText};
use std::fmt;

/// One line of somebody else's text, which says where it was cut. The page that the row leads to has all of
/// it. Its `Display` is HTML, as that of [`ShownText`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Short {
    text: ShownText,
    is_cut: bool,
}

impl Short {
    /// As much of a line as takes about so many bytes of HTML.
    pub(crate) fn of(mut text: ShownText, most: usize) -> Self {
        let end = text.end_within(most);
        if let Some(end) = end {
            text.cut_at(end);
        }
        let rest = text.rest.take();
        Self {
            is_cut: end.is_some() || rest.is_some(),
            text,
        }
    }

    pub(crate) fn line(text: impl Into<String> + AsRef<str>, most: usize) -> Self {
        Self::of(ShownText::line(text), most)
    }

    /// The same as plain text, for answers that are not pages.
    pub(crate) fn spelled_out(&self) -> String {
        let mut text = self.text.spelled_out();
        if self.is_cut {
            text.push('…');
        }
        text
    }
}

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.text, f)?;
        if self.is_cut {
            f.write_str(r#" <span class="quiet">(cut here)</span>"#)?;
        }
        Ok(())
    }
}

/// As that of [`ShownText`].
impl HtmlSafe for Short {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_where_it_was_cut_and_takes_no_more_than_its_room() {
        let whole = Short::line("a name", 100);
        assert!(!whole.to_string().contains("cut here"));
        for text in [
            "a".repeat(5000),
            "\u{202e}b".repeat(5000),
            "<".repeat(2 << 20),
        ] {
            let cut = Short::line(text, 300).to_string();
            assert!(cut.ends_with("(cut here)</span>"), "{cut}");
            assert!(cut.len() < 450, "{}", cut.len());
        }
    }
}
