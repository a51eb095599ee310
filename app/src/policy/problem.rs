//! What is wrong with a document, or may be.

use serde::Serialize;
use std::fmt;

/// One problem of a document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    pub code: Code,
    /// The id of the rule in which it is, as it is written.
    pub rule: Option<String>,
    /// The line of the text, from 1; JSON has none.
    pub line: Option<u32>,
    /// For the author.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, "rule {rule}: ")?;
        }
        write!(f, "{}: {}", self.code, self.message)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)+) => {
        /// Kinds of problems, for programs.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub enum Code {
            $($(#[$doc])* #[serde(rename = $word)] $variant,)+
        }

        impl Code {
            /// The code of that word.
            pub(super) fn of(word: &str) -> Option<Self> {
                match word {
                    $($word => Some(Self::$variant),)+
                    _ => None,
                }
            }

            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }

        impl fmt::Display for Code {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

codes! {
    /// Not TOML, not JSON, or not an expression.
    Syntax = "syntax";
    /// A key that no document has there.
    UnknownKey = "unknown_key";
    /// A value that cannot stand there, or one that is missing.
    BadValue = "bad_value";
    /// A condition whose parts do not fit together, or that is no condition.
    Type = "type";
    /// An operation, a window or a fact that there is not.
    UnknownName = "unknown_name";
    /// A param that no operation of the rule has.
    UnknownField = "unknown_field";
    /// Valid CEL that this language leaves out.
    Profile = "profile";
    /// A pattern that is none, is too long, or costs too much.
    Pattern = "pattern";
    /// More text, rules or parts than are taken.
    TooLong = "too_long";
    /// Nested deeper than is taken.
    TooDeep = "too_deep";
    /// More parts in a condition than are evaluated.
    TooCostly = "too_costly";
    /// A rule that reads params without naming its operations.
    ParamsNeedOperations = "params_need_operations";
    /// Two rules of one id.
    DuplicateId = "duplicate_id";
    /// A group that there is not.
    GroupUnknown = "group_unknown";
    /// People who would have to agree, and who are not there.
    Unsatisfiable = "unsatisfiable";
    /// A time window that cannot be read.
    Window = "window";
    /// A warning: this ask or allow is above a deny about the same operations.
    HidesDeny = "hides_deny";
    /// A warning: a rule that never decides.
    Unreachable = "unreachable";
    /// A warning: `all` is true of a list that is empty.
    AllOnEmpty = "all_on_empty";
    /// A warning: who opens a task may approve what its agent asks.
    SelfApproval = "self_approval";
}

/// Problems as they are found.
#[derive(Debug, Default)]
pub(super) struct Problems {
    pub(super) found: Vec<Problem>,
    /// The rule that is being read.
    pub(super) rule: Option<String>,
}

impl Problems {
    pub(super) fn add(&mut self, code: Code, line: Option<u32>, message: impl Into<String>) {
        self.found.push(Problem {
            code,
            rule: self.rule.clone(),
            line,
            message: plain(&message.into()),
        });
    }
}

/// A text without anything that moves a cursor: parsers quote what they were given.
pub(super) fn plain(text: &str) -> String {
    let plain = |letter: char| {
        if letter.is_control() {
            '\u{fffd}'
        } else {
            letter
        }
    };
    text.chars().map(plain).collect()
}

/// A text of the document as it is quoted in a message: short, and without anything that moves a cursor.
pub(super) fn quoted(text: &str) -> String {
    const MOST: usize = 60;
    let mut short: String = text.chars().take(MOST).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    format!("{short:?}")
}
