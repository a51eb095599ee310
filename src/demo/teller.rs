//! How the demo talks: at most 80 columns, colour on a terminal only.

use crate::terminal::{Style, Terminal};
use std::fmt::Display;
use std::io::{self, Write};
use std::time::Duration;

/// Columns of the narrowest terminal that people still use.
const COLUMNS: usize = 80;

/// In front of everything that belongs to a scene.
const INDENT: &str = "   ";

/// Columns for who acted.
const WHO: usize = 16;

/// Tells and counts what was seen to hold.
pub(super) struct Teller {
    terminal: Terminal,
    scenes: u32,
    seen: u32,
}

impl Teller {
    pub(super) const fn new(terminal: Terminal) -> Self {
        Self {
            terminal,
            scenes: 0,
            seen: 0,
        }
    }

    /// How many scenes were told and how many things were seen to hold in them.
    pub(super) const fn told(&self) -> (u32, u32) {
        (self.scenes, self.seen)
    }

    /// The title of everything.
    pub(super) fn title(&self, text: &str) -> io::Result<()> {
        line(&self.terminal.paint(Style::Strong, text))
    }

    /// The heading of a numbered scene.
    pub(super) fn scene(&mut self, heading: &str) -> io::Result<()> {
        self.scenes += 1;
        line(&"")?;
        let text = format!("{}  {heading}", self.scenes);
        line(&self.terminal.paint(Style::Strong, text))
    }

    /// A heading without a number.
    pub(super) fn heading(&self, text: &str) -> io::Result<()> {
        line(&"")?;
        line(&self.terminal.paint(Style::Strong, text))
    }

    /// What somebody does and why, in words.
    pub(super) fn say(&self, text: &str) -> io::Result<()> {
        for part in wrapped(text, COLUMNS - INDENT.len()) {
            line(&format_args!("{INDENT}{part}"))?;
        }
        Ok(())
    }

    /// What was seen to hold.
    pub(super) fn seen(&mut self, text: &str) -> io::Result<()> {
        self.seen += 1;
        let mut mark = self.terminal.paint(Style::Good, "✓").to_string();
        for part in wrapped(text, COLUMNS - INDENT.len() - 2) {
            line(&format_args!("{INDENT}{mark} {part}"))?;
            mark = " ".to_owned();
        }
        Ok(())
    }

    /// A name and what it stands for, or a command to copy: never wrapped.
    pub(super) fn fact(&self, name: &str, value: &str) -> io::Result<()> {
        let name = format!("{name:<11}");
        let name = self.terminal.paint(Style::Faint, name);
        line(&format_args!("{INDENT}{name}{value}"))
    }

    /// A command that a person could type, or does.
    pub(super) fn command(&self, text: &str) -> io::Result<()> {
        let prompt = self.terminal.paint(Style::Faint, "$");
        line(&format_args!("{INDENT}{prompt} {text}"))
    }

    /// One event of the timeline, cut at the edge.
    pub(super) fn event(&self, position: u64, who: &str, summary: &str) -> io::Result<()> {
        let room = COLUMNS.saturating_sub(INDENT.len() + 6 + WHO + 1);
        let summary = cut(summary, room);
        let who = cut(who, WHO);
        let position = self.terminal.paint(Style::Faint, format!("{position:>4}"));
        line(&format_args!("{INDENT}{position}  {who:<WHO$} {summary}"))
    }

    /// The last word.
    pub(super) fn end(&self, good: bool, text: &str) -> io::Result<()> {
        let style = if good { Style::Good } else { Style::Bad };
        line(&"")?;
        line(&self.terminal.paint(style, text))
    }
}

/// Milliseconds for people.
pub(super) fn shortly(time: Duration) -> String {
    format!("{} ms", time.as_millis().max(1))
}

fn line(text: &dyn Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{text}")
}

fn cut(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(room.saturating_sub(1)).collect();
    short.push('…');
    short
}

fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut current = String::new();
    let mut length = 0;
    for word in text.split_whitespace() {
        let more = word.chars().count();
        if length > 0 && length + 1 + more > room {
            lines.push(std::mem::take(&mut current));
            length = 0;
        }
        if length > 0 {
            current.push(' ');
            length += 1;
        }
        current.push_str(word);
        length += more;
    }
    lines.push(current);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_line_is_wider_than_its_room() {
        let text = "The agent did not get the answer and asks again with the same key.";
        let lines = wrapped(text, 20);
        assert!(
            lines.iter().all(|line| line.chars().count() <= 20),
            "{lines:?}"
        );
        assert_eq!(lines.join(" "), text);
        assert_eq!(cut("abcdef", 4), "abc…");
        assert_eq!(cut("abcd", 4), "abcd");
    }
}
