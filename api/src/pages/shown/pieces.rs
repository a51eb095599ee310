//! A text taken apart into what is shown: characters, code points written out, and marks around words.

use super::Layout;
use crate::pages::hidden::MARK;
use ledger::operation::{Disguise, disguised_words, is_hidden};
use std::iter::Peekable;
use std::str::CharIndices;

/// So many of the same hidden character in a row are shown once, with their number.
const RUN: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    Char(char),
    /// Written out as its code point: so many of the same.
    Chip(char, usize),
    /// A word begins that may be taken for another one.
    Open(Disguise),
    Close,
}

impl Piece {
    /// About how many bytes of HTML it takes.
    pub(super) const fn cost(self) -> usize {
        match self {
            Self::Char('&' | '<' | '>' | '"' | '\'') => 6,
            Self::Char(c) => c.len_utf8(),
            Self::Chip(..) => 100,
            Self::Open(_) => 60,
            Self::Close => 7,
        }
    }
}

/// The pieces of a text, each with the number of bytes of it that are shown then.
pub(super) fn pieces(text: &str, layout: Layout) -> impl Iterator<Item = (usize, Piece)> + '_ {
    // Byte offsets between which a space is an ordinary one.
    let inner = match layout {
        Layout::Block => (0, text.len()),
        Layout::Line => {
            let start = text.len() - text.trim_start_matches(' ').len();
            (start, text.trim_end_matches(' ').len())
        }
    };
    let mut words = disguised_words(text).peekable();
    let mut chars = text.char_indices().peekable();
    let mut word_end = None;
    std::iter::from_fn(move || {
        let at = chars.peek().map_or(text.len(), |(at, _)| *at);
        if word_end.is_some_and(|end| at >= end) {
            word_end = None;
            return Some((at, Piece::Close));
        }
        if word_end.is_none()
            && let Some(word) = words.next_if(|word| word.at.start <= at)
        {
            word_end = Some(word.at.end);
            return Some((at, Piece::Open(word.disguise)));
        }
        let (at, c) = chars.next()?;
        let is_chip = match c {
            ' ' => !(inner.0..inner.1).contains(&at),
            '\n' | '\t' if layout == Layout::Block => false,
            c => c == MARK || is_hidden(c),
        };
        if !is_chip {
            return Some((at + c.len_utf8(), Piece::Char(c)));
        }
        let times = run(&mut chars, text, at, c);
        Some((at + times * c.len_utf8(), Piece::Chip(c, times)))
    })
}

/// How many of the same character stand there, where they are to be shown as one; the others of them are
/// taken.
fn run(chars: &mut Peekable<CharIndices<'_>>, text: &str, at: usize, c: char) -> usize {
    let rest = text.get(at..).unwrap_or("");
    let times = rest.chars().take_while(|next| *next == c).count();
    if times < RUN {
        return 1;
    }
    for _ in 1..times {
        chars.next();
    }
    times
}
