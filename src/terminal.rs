//! Colour on terminals.

use crate::config::Environment;
use ledger::describe::{Act, Change, Facts, Severity, Status};
use std::fmt;
use std::io::IsTerminal;

/// Whether standard output takes colour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Terminal {
    colour: bool,
}

impl Terminal {
    /// Looks at standard output and at what the person asked for.
    pub(crate) fn of(environment: &Environment) -> Self {
        Self {
            colour: std::io::stdout().is_terminal() && !environment.no_color(),
        }
    }

    /// One that takes no colour.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { colour: false }
    }

    /// The text in that style, where colour is taken.
    pub(crate) fn paint<T: fmt::Display>(self, style: Style, text: T) -> Painted<T> {
        Painted {
            style: self.colour.then_some(style),
            text,
        }
    }
}

/// What a colour stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Strong,
    /// Beside the point: times, positions.
    Faint,
    Good,
    /// Waits or was refused.
    Odd,
    Bad,
    Plain,
}

impl Style {
    /// What went well, what went badly, and what somebody may want to look at.
    pub(crate) fn of(facts: &Facts) -> Self {
        match (&facts.act, facts.status, facts.severity) {
            (
                Act::Managed {
                    change: Change::Unknown,
                    ..
                },
                ..,
            ) => Self::Faint,
            (_, Status::Failure, Severity::Informational | Severity::Low)
            | (_, Status::Unknown, Severity::High) => Self::Odd,
            (_, Status::Failure, _) => Self::Bad,
            (Act::Decision { .. }, ..) => Self::Good,
            (Act::Managed { .. }, _, Severity::Low | Severity::Medium | Severity::High) => {
                Self::Odd
            }
            _ if facts.detail.as_deref() == Some("completed") => Self::Good,
            (
                Act::Managed {
                    change: Change::Created,
                    ..
                },
                ..,
            ) => Self::Strong,
            _ => Self::Plain,
        }
    }

    /// The parameters of ECMA-48's SGR.
    const fn code(self) -> &'static str {
        match self {
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Odd => "33",
            Self::Bad => "31",
            Self::Plain => "0",
        }
    }
}

/// A text with its style; pads like the text itself.
#[derive(Debug)]
pub(crate) struct Painted<T> {
    style: Option<Style>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(style) = self.style else {
            return self.text.fmt(f);
        };
        write!(f, "\x1b[{}m", style.code())?;
        self.text.fmt(f)?;
        f.write_str("\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_painted_text_pads_like_a_plain_one() {
        let shown = |colour| format!("[{:<4}]", Terminal { colour }.paint(Style::Good, "ok"));
        assert_eq!(shown(false), "[ok  ]");
        assert_eq!(shown(true), "[\x1b[32mok  \x1b[0m]");
    }
}
