//! Text that somebody else wrote, made safe to read: nothing in it can act as markup, change the
//! order in which the rest is read, hide, or fill a page.
//!
//! A character that draws nothing, draws something else's place, or moves its neighbours is shown as
//! its code point between single guillemets, `‹U+202E›`; four or more of the same in a row are shown once,
//! `‹U+007F × 9,900,000›`. The opening guillemet itself is shown that way too, so what is shown can be
//! turned back into exactly one original. Everything is laid out in the order in which it is stored (the
//! `shown` class overrides the bidirectional algorithm): `אב.1.2` must not read as another address than the
//! one that will be sent. Only words of Hebrew or Arabic letters with nothing else between them but a space
//! are read as they are written, from the right, and move nothing around them. Words that may be taken for
//! others are marked where they stand.
//!
//! A text that is too long is cut, says so, and names where all of it is, with its SHA-256 digest.

mod lookalikes;
mod pieces;
mod rest;
mod short;

use super::hidden::name;
use askama::filters::HtmlSafe;
use ledger::operation::{Disguise, unspelled};
pub(super) use lookalikes::lookalikes;
use pieces::{Piece, pieces};
use rest::Rest;
pub(crate) use rest::in_thousands;
pub(crate) use short::Short;
use std::fmt::{self, Write};

/// Text from a request, a principal or the ledger. Its `Display` is HTML, escaped, and complete or marked
/// as cut; templates cannot print it in any other way.
#[derive(Clone, PartialEq, Eq)]
pub struct ShownText {
    text: String,
    layout: Layout,
    /// The rest of it; `None` where nothing was cut.
    rest: Option<Box<Rest>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// One line: line breaks and tabs are shown as code points, and so are spaces at both ends.
    Line,
    /// Line feeds and tabs lay the text out, as in an editor.
    Block,
}

/// No page shows more of one text than this, in bytes: what lies beyond is not kept in memory.
const LONGEST: usize = 1024 * 1024;

impl ShownText {
    /// A name or a short value.
    #[must_use]
    pub fn line(text: impl Into<String> + AsRef<str>) -> Self {
        Self::of(text, Layout::Line)
    }

    /// A script, a JSON document or anything else where lines matter.
    #[must_use]
    pub fn block(text: impl Into<String> + AsRef<str>) -> Self {
        Self::of(text, Layout::Block)
    }

    /// A line of ours in which what others wrote is spelled already, as `ledger::operation::shown` spells it: the page
    /// spells it, once.
    #[must_use]
    pub fn sentence(line: impl AsRef<str>) -> Self {
        Self::line(unspelled(line.as_ref()))
    }

    fn of(text: impl Into<String> + AsRef<str>, layout: Layout) -> Self {
        let whole = text.as_ref();
        if whole.len() <= LONGEST {
            let text = text.into();
            return Self {
                text,
                layout,
                rest: None,
            };
        }
        let rest = Some(Box::new(Rest::of(whole)));
        let end = whole.floor_char_boundary(LONGEST);
        let text = whole.get(..end).unwrap_or("").to_owned();
        Self { text, layout, rest }
    }

    /// A note in the place of so many entries of a list that a page does not show; `lookalikes` is the one over
    /// the whole list.
    pub(super) fn left_out(entries: usize, file: String, lookalikes: Option<String>) -> Self {
        Self {
            text: format!("{} more are not shown on this page", in_thousands(entries)),
            layout: Layout::Line,
            rest: Some(Box::new(Rest::entries(file, lookalikes))),
        }
    }

    /// The text as it was written, as far as it is shown; for answers that are not pages.
    #[must_use]
    pub fn original(&self) -> &str {
        &self.text
    }

    /// True when there is nothing to show.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty() && self.rest.is_none()
    }

    /// The text on one line without markup, for messages that are no pages: what hides or moves its
    /// neighbours is spelled out as on a page, and so are letters outside ASCII in words that may be taken
    /// for others.
    pub(crate) fn spelled_out(&self) -> String {
        let mut plain = String::with_capacity(self.text.len());
        let mut is_disguised = false;
        for (_, piece) in pieces(&self.text, self.layout) {
            // Writing to a String cannot fail.
            let _ = match piece {
                Piece::Open(_) => {
                    is_disguised = true;
                    Ok(())
                }
                Piece::Close => {
                    is_disguised = false;
                    Ok(())
                }
                Piece::OpenRightToLeft | Piece::CloseRightToLeft => Ok(()),
                Piece::Chip(' ', times) => {
                    (0..times.min(3)).try_for_each(|_| plain.write_char(' '))
                }
                Piece::Chip(c, times) => write_chip(&mut plain, c, times),
                Piece::Char(c) if is_disguised && !c.is_ascii() => write_chip(&mut plain, c, 1),
                Piece::Char(c) => plain.write_char(c),
            };
        }
        plain
    }

    /// The original's length in bytes of UTF-8.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rest
            .as_ref()
            .map_or(self.text.len(), |rest| rest.bytes)
    }

    /// How many lines the original has.
    #[must_use]
    pub fn lines(&self) -> usize {
        let of_text = || self.text.lines().count();
        self.rest.as_ref().map_or_else(of_text, |rest| rest.lines)
    }

    /// How many bytes of HTML it takes; no more is counted than `most`.
    pub(super) fn cost(&self, most: usize) -> usize {
        let mut cost = 0;
        for (_, piece) in pieces(&self.text, self.layout) {
            cost += piece.cost();
            if cost >= most {
                break;
            }
        }
        cost
    }

    /// Cuts it to about so many bytes of HTML. Where it is or was cut, it says that `file` has all of it.
    pub(super) fn fit(&mut self, most: usize, file: impl FnOnce() -> String) {
        if let Some(end) = self.end_within(most) {
            if self.rest.is_none() {
                self.rest = Some(Box::new(Rest::of(&self.text)));
            }
            self.cut_at(end);
        }
        if let Some(rest) = &mut self.rest {
            rest.file.get_or_insert_with(file);
        }
    }

    /// Where it has to be cut to take about so many bytes of HTML; `None` where it need not be.
    fn end_within(&self, most: usize) -> Option<usize> {
        let mut cost = 0;
        let mut end = 0;
        let mut is_in_word = false;
        for (upto, piece) in pieces(&self.text, self.layout) {
            cost += piece.cost();
            if cost > most {
                return Some(end);
            }
            is_in_word = match piece {
                Piece::Open(_) | Piece::OpenRightToLeft => true,
                Piece::Close | Piece::CloseRightToLeft => false,
                Piece::Char(_) | Piece::Chip(..) => is_in_word,
            };
            if !is_in_word {
                end = upto;
            }
        }
        None
    }

    fn cut_at(&mut self, end: usize) {
        self.text.truncate(end);
        self.text.shrink_to_fit();
    }

    /// See [`lookalikes()`]; of all of it, also where it is cut.
    #[must_use]
    pub fn lookalikes(&self) -> Option<String> {
        match &self.rest {
            Some(rest) => rest.lookalikes.clone(),
            None => lookalikes(&self.text),
        }
    }

    /// The note over a list, from the text that stands for the entries that are left out of it.
    pub(super) fn lookalikes_of_list(&self) -> Option<Option<&str>> {
        let rest = self.rest.as_ref().filter(|rest| rest.is_of_entries());
        rest.map(|rest| rest.lookalikes.as_deref())
    }
}

impl PartialEq<str> for ShownText {
    fn eq(&self, other: &str) -> bool {
        self.rest.is_none() && self.text == other
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
        self.write(f, Lines::Plain)
    }
}

/// A text with each line in an element of its own, which the style sheet numbers, or colours as lines of a diff.
#[derive(Debug)]
pub(super) struct InLines<'a>(&'a ShownText, Lines);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lines {
    Plain,
    Numbered,
    Diff,
}

impl Lines {
    /// The beginning of the line that begins there.
    fn open(self, f: &mut fmt::Formatter<'_>, rest: &str) -> fmt::Result {
        f.write_str(match (self, rest.as_bytes().first()) {
            (Self::Plain, _) => return Ok(()),
            (Self::Diff, Some(b'+')) => r#"<span class="l plus">"#,
            (Self::Diff, Some(b'-')) => r#"<span class="l minus">"#,
            (Self::Diff, Some(b'@' | b'\\')) => r#"<span class="l place">"#,
            (Self::Diff | Self::Numbered, _) => r#"<span class="l">"#,
        })
    }
}

impl fmt::Display for InLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.write(f, self.1)
    }
}

impl HtmlSafe for InLines<'_> {}

impl ShownText {
    /// The text with its lines numbered.
    pub(super) fn numbered(&self) -> InLines<'_> {
        InLines(self, Lines::Numbered)
    }

    /// The text as a unified diff.
    pub(super) fn diffed(&self) -> InLines<'_> {
        InLines(self, Lines::Diff)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, lines: Lines) -> fmt::Result {
        f.write_str(OPEN)?;
        lines.open(f, &self.text)?;
        let numbered = lines != Lines::Plain;
        let end = self.text.len();
        for (upto, piece) in pieces(&self.text, self.layout) {
            match piece {
                Piece::Open(Disguise::MixedScripts) => {
                    f.write_str(r#"<mark class="mixed" title="letters of several scripts">"#)?;
                }
                Piece::Open(Disguise::LooksLikeAscii) => {
                    f.write_str(r#"<mark class="mixed" title="looks like ASCII and is not">"#)?;
                }
                Piece::Close => f.write_str("</mark>")?,
                Piece::OpenRightToLeft => f.write_str(r#"<bdi class="natural" dir="rtl">"#)?,
                Piece::CloseRightToLeft => f.write_str(CLOSE)?,
                Piece::Char('\n') if numbered => {
                    f.write_str("\n</span>")?;
                    // A final line feed ends a line and begins none.
                    if upto < end {
                        lines.open(f, self.text.get(upto..).unwrap_or(""))?;
                    }
                }
                Piece::Char('&') => f.write_str("&amp;")?,
                Piece::Char('<') => f.write_str("&lt;")?,
                Piece::Char('>') => f.write_str("&gt;")?,
                Piece::Char('"') => f.write_str("&quot;")?,
                Piece::Char('\'') => f.write_str("&#39;")?,
                Piece::Char(c) => f.write_char(c)?,
                Piece::Chip(c, times) => {
                    write!(f, r#"<span class="chip" title="{}">"#, name(c))?;
                    write_chip(f, c, times)?;
                    f.write_str("</span>")?;
                }
            }
        }
        if numbered && !self.text.ends_with('\n') {
            f.write_str("</span>")?;
        }
        f.write_str(CLOSE)?;
        match &self.rest {
            Some(rest) => rest.write(f, end),
            None => Ok(()),
        }
    }
}

/// `Display` escapes everything that HTML gives a meaning to.
impl HtmlSafe for ShownText {}

/// A character as its code point, and how many there are where it is a run.
fn write_chip(out: &mut impl Write, c: char, times: usize) -> fmt::Result {
    let code = u32::from(c);
    if times == 1 {
        write!(out, "‹U+{code:04X}›")
    } else {
        write!(out, "‹U+{code:04X} × {}›", in_thousands(times))
    }
}

#[cfg(test)]
mod tests;
