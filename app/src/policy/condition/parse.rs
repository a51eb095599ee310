//! The parser, behind bounds: it recurses, and what it is given can be nested until a stack ends, which
//! nothing catches.

use super::super::problem::{Code, Problem, Problems};
use super::MOST_BYTES;
use cel::common::ast::{IdedExpr, SourceInfo};
use cel::parser::Parser;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Deepest brackets inside one another.
const MOST_BRACKETS: usize = 32;
/// Most brackets that open. With these, inside one another, the parser needs a part of the stack only.
const MOST_OPENING: usize = 200;
/// The stack on which documents are read.
const STACK: usize = 16 * 1024 * 1024;
/// Most mistakes of one condition that are said.
const MOST_MISTAKES: usize = 3;
/// Longest mistake, in characters: the parser quotes the text.
const LONGEST_MISTAKE: usize = 200;

/// A condition as CEL's own tree.
pub(super) struct Parsed<'a> {
    pub(super) root: IdedExpr,
    source: &'a str,
    places: SourceInfo,
    line: Option<u32>,
}

impl Parsed<'_> {
    /// The line of a node.
    pub(super) fn line_of(&self, node: &IdedExpr) -> Option<u32> {
        let start = self
            .places
            .offset_for(node.id)
            .map_or(0, |(start, _)| start);
        let before = self.source.chars().take(usize::try_from(start).ok()?);
        let breaks = before.filter(|character| *character == '\n').count();
        Some(self.line? + u32::try_from(breaks).ok()?)
    }
}

/// Does something that recurses into what a document holds.
///
/// # Errors
/// `syntax` where it panics.
pub(in super::super) fn on_a_large_stack<T: Send>(
    work: impl FnOnce() -> Result<T, Vec<Problem>> + Send,
) -> Result<T, Vec<Problem>> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK);
        let running = thread.spawn_scoped(scope, work);
        let ended = running.ok().and_then(|running| running.join().ok());
        ended.unwrap_or_else(|| {
            let mut problems = Problems::default();
            problems.add(Code::Syntax, None, "the document could not be read");
            Err(problems.found)
        })
    })
}

/// Parses a condition whose bounds hold.
pub(super) fn parse<'a>(
    source: &'a str,
    line: Option<u32>,
    problems: &mut Problems,
) -> Option<Parsed<'a>> {
    if source.len() > MOST_BYTES {
        let message = format!(
            "a condition has {MOST_BYTES} bytes at most, this one {}",
            source.len()
        );
        problems.add(Code::TooLong, line, message);
        return None;
    }
    let (deepest, opening) = brackets(source);
    if deepest > MOST_BRACKETS || opening > MOST_OPENING {
        let message = format!(
            "brackets are nested {MOST_BRACKETS} deep at most, and there are {MOST_OPENING} at most"
        );
        problems.add(Code::TooDeep, line, message);
        return None;
    }
    // The parser holds nothing that outlives it: there is nothing that a panic could leave half done.
    let parsed = catch_unwind(AssertUnwindSafe(|| {
        Parser::new().parse_with_source_info(source)
    }));
    match parsed {
        Ok(Ok((root, places))) => Some(Parsed {
            root,
            source,
            places,
            line,
        }),
        Ok(Err(mistakes)) => {
            for mistake in mistakes.errors.iter().take(MOST_MISTAKES) {
                let beyond = u32::try_from(mistake.pos.0.max(1) - 1).unwrap_or(0);
                let said = mistake.msg.chars().filter(|one| !one.is_control());
                let said: String = said.take(LONGEST_MISTAKE).collect();
                problems.add(Code::Syntax, line.map(|line| line + beyond), said);
            }
            if mistakes.errors.is_empty() {
                problems.add(Code::Syntax, line, "not an expression");
            }
            None
        }
        Err(_) => {
            problems.add(Code::Syntax, line, "not an expression");
            None
        }
    }
}

/// How deep brackets stand inside one another, those in texts not counted, and how many open, those in texts
/// counted: where a text is taken for another than the parser's, the second still bounds what it does.
fn brackets(source: &str) -> (usize, usize) {
    let (mut depth, mut deepest, mut opening) = (0_usize, 0, 0);
    let mut quote = None;
    let mut escaped = false;
    for character in source.chars() {
        if "([{".contains(character) {
            opening += 1;
        }
        match (quote, character) {
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(open), _) if character == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(character),
            (None, '(' | '[' | '{') => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            (None, ')' | ']' | '}') => depth = depth.saturating_sub(1),
            (None, _) => {}
        }
    }
    (deepest, opening)
}
