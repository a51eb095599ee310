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
    /// Letters begin that are read from the right, with nothing among them that could be moved.
    OpenRightToLeft,
    CloseRightToLeft,
}

impl Piece {
    /// About how many bytes of HTML it takes.
    pub(super) const fn cost(self) -> usize {
        match self {
            Self::Char('&' | '<' | '>' | '"' | '\'') => 6,
            // A line may have an element of its own.
            Self::Char('\n') => 24,
            Self::Char(c) => c.len_utf8(),
            Self::Chip(..) => 100,
            Self::Open(_) => 60,
            Self::Close => 7,
            Self::OpenRightToLeft => 32,
            Self::CloseRightToLeft => 6,
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
    let mut run_end = None;
    std::iter::from_fn(move || {
        let at = chars.peek().map_or(text.len(), |(at, _)| *at);
        if word_end.is_some_and(|end| at >= end) {
            word_end = None;
            return Some((at, Piece::Close));
        }
        if run_end.is_some_and(|end| at >= end) {
            run_end = None;
            return Some((at, Piece::CloseRightToLeft));
        }
        if word_end.is_none()
            && let Some(word) = words.next_if(|word| word.at.start <= at)
        {
            word_end = Some(word.at.end);
            return Some((at, Piece::Open(word.disguise)));
        }
        if word_end.is_none() && run_end.is_none() {
            let next = words.peek().map_or(text.len(), |word| word.at.start);
            run_end = right_to_left(text, at, next);
            if run_end.is_some() {
                return Some((at, Piece::OpenRightToLeft));
            }
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

/// The end of the words of Hebrew or Arabic letters that begin there, before `limit`; `None` where none do.
fn right_to_left(text: &str, at: usize, limit: usize) -> Option<usize> {
    let mut end = None;
    let mut is_after_space = false;
    for (offset, c) in text.get(at..limit)?.char_indices() {
        if is_right_to_left(c) {
            end = Some(at + offset + c.len_utf8());
            is_after_space = false;
        } else if c == ' ' && end.is_some() && !is_after_space {
            is_after_space = true;
        } else {
            break;
        }
    }
    end
}

/// True for letters that are read from the right, digits and everything that joins or hides apart.
const fn is_right_to_left(c: char) -> bool {
    matches!(c,
        '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{63f}' | '\u{641}'..='\u{64a}' | '\u{66e}'..='\u{66f}'
        | '\u{671}'..='\u{6d3}' | '\u{6d5}' | '\u{6fa}'..='\u{6fc}')
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
