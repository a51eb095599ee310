//! Colour and pictures on terminals.

use crate::config::{Environment, is_local};
use crate::narrative::Told;
use crate::output::say;
use clap::ColorChoice;
use ledger::describe::{Act, Change, Facts, Severity, Status};
use qrcode::render::unicode::Dense1x2;
use qrcode::{EcLevel, QrCode};
use std::fmt;
use std::io::IsTerminal;
use url::Url;

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

    /// The same with the colour that the command line says, which wins over the environment.
    pub(crate) const fn coloured(self, choice: ColorChoice) -> Self {
        match choice {
            ColorChoice::Auto => self,
            ColorChoice::Always => Self { colour: true },
            ColorChoice::Never => Self { colour: false },
        }
    }

    /// The columns of standard output; `None` where it is no terminal.
    pub(crate) fn width(self) -> Option<usize> {
        let output = std::io::stdout();
        if !output.is_terminal() {
            return None;
        }
        let size = rustix::termios::tcgetwinsize(&output).ok();
        let columns = size.map_or(0, |size| usize::from(size.ws_col));
        // A terminal that does not say it is as wide as the lines of the help.
        Some(if columns < LEAST_WIDTH { 100 } else { columns })
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

/// No terminal that people read is narrower.
const LEAST_WIDTH: usize = 20;

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

    /// The style of a line; plain where what it tells could not be read.
    pub(crate) fn of_told(told: &Told) -> Self {
        told.facts.as_ref().map_or(Self::Plain, Self::of)
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

/// Prints a link that is handed out; on a terminal also as a QR code, for the camera of a phone.
pub(crate) fn say_link(link: &str) {
    say!("{link}");
    if std::io::stdout().is_terminal()
        && let Some(lines) = qr_code(link)
    {
        say!("{lines}");
    }
}

/// The code in black on white, two rows a line; `None` for a link that leads to this machine, which a phone
/// does not reach, or that no code holds.
fn qr_code(link: &str) -> Option<String> {
    let url = Url::parse(link).ok()?;
    if is_local(&url) {
        return None;
    }
    let code = QrCode::with_error_correction_level(link, EcLevel::L).ok()?;
    let picture = code.render::<Dense1x2>().build();
    let lines = picture
        .lines()
        .map(|line| format!("\x1b[30;107m{line}\x1b[0m"));
    Some(lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_a_phone_can_open_is_drawn_for_its_camera() {
        let link = format!("https://proxy.example/v1/setup/{}", "x".repeat(43));
        let picture = qr_code(&link).unwrap();
        let widths = picture.lines().map(|line| line.chars().count());
        let widest = widths.max().unwrap() - "\x1b[30;107m\x1b[0m".len();
        assert!(widest < 80, "{widest}");
        for local in [
            "http://localhost:8080/x",
            "http://127.0.0.1/x",
            "http://[::1]/x",
            "no link",
        ] {
            assert_eq!(qr_code(local), None, "{local}");
        }
    }

    #[test]
    fn a_painted_text_pads_like_a_plain_one() {
        let shown = |colour| format!("[{:<4}]", Terminal { colour }.paint(Style::Good, "ok"));
        assert_eq!(shown(false), "[ok  ]");
        assert_eq!(shown(true), "[\x1b[32mok  \x1b[0m]");
    }
}
