//! Passwords, from a terminal that does not show them or from standard input.

use crate::output::write_error;
use anyhow::{Context, ensure};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};

/// More than a password that the service takes.
const MOST_BYTES: u64 = 4096;
/// Ctrl-C, while it does not interrupt.
const INTERRUPT: char = '\u{3}';

/// Where passwords come from.
pub(crate) enum Passwords {
    /// The lines of standard input.
    Lines(BufReader<std::io::Stdin>),
    /// A person at the terminal.
    Terminal,
}

impl Passwords {
    pub(crate) fn new(from_stdin: bool) -> Self {
        match from_stdin {
            true => Self::Lines(BufReader::new(std::io::stdin())),
            false => Self::Terminal,
        }
    }

    /// The next password: a line, or the answer to the prompt.
    ///
    /// # Errors
    /// No terminal, or nothing on it.
    pub(crate) fn read(&mut self, prompt: &str) -> anyhow::Result<SecretString> {
        let text = match self {
            Self::Lines(lines) => line_of(lines)?,
            Self::Terminal => from_terminal(prompt)?,
        };
        ensure!(!text.is_empty(), "no password was given");
        Ok(text.as_str().into())
    }

    /// The next password, which a person types twice.
    ///
    /// # Errors
    /// As [`Self::read`], and two that differ.
    pub(crate) fn read_new(&mut self, prompt: &str) -> anyhow::Result<SecretString> {
        let text = match self {
            Self::Lines(_) => return self.read(prompt),
            Self::Terminal => from_terminal(prompt)?,
        };
        ensure!(!text.is_empty(), "no password was given");
        let again = from_terminal("The same again: ")?;
        ensure!(text == again, "the two passwords differ");
        Ok(text.as_str().into())
    }
}

fn line_of(lines: &mut impl BufRead) -> anyhow::Result<Zeroizing<String>> {
    let mut line = Zeroizing::new(String::new());
    lines
        .take(MOST_BYTES)
        .read_line(&mut line)
        .context("reading a password")?;
    let bare = line.strip_suffix('\n').unwrap_or(&line);
    Ok(Zeroizing::new(
        bare.strip_suffix('\r').unwrap_or(bare).to_owned(),
    ))
}

fn from_terminal(prompt: &str) -> anyhow::Result<Zeroizing<String>> {
    let terminal = File::options().read(true).write(true).open("/dev/tty");
    let terminal = terminal.context("there is no terminal to ask for a password at; --password-stdin reads it from standard input")?;
    write_error(format_args!("{prompt}"));
    let silent = Silent::new(&terminal)?;
    let line = line_of(&mut BufReader::new(&terminal));
    drop(silent);
    write_error(format_args!("\n"));
    let line = line?;
    ensure!(!line.contains(INTERRUPT), "interrupted");
    Ok(line)
}

/// A terminal that shows nothing of what is typed, until this goes. Ctrl-C does not end the process
/// meanwhile: the terminal would stay silent.
struct Silent<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn new(terminal: &'a File) -> anyhow::Result<Self> {
        let before = tcgetattr(terminal).context("asking the terminal")?;
        let mut silent = before.clone();
        silent.local_modes -= LocalModes::ECHO | LocalModes::ISIG;
        tcsetattr(terminal, OptionalActions::Flush, &silent).context("silencing the terminal")?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // Nobody is left to tell, and the person sees it.
        let _ = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_the_line_without_its_end() {
        let mut lines = "first one\r\n second \nlast".as_bytes();
        let mut read = || line_of(&mut lines).unwrap().to_string();
        assert_eq!([read(), read(), read()], ["first one", " second ", "last"]);
        assert_eq!(read(), "");
    }
}
