//! A program that shows a long text page by page.

use crate::config::Environment;
use crate::output::gone;
use anyhow::{Context, ensure};
use std::io::{self, ErrorKind, Write};
use std::process::{Child, Command, Stdio};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// The pager where none is named.
const USUAL: &str = "less";
/// Its options, as git gives them: end where the text fits on the screen, pass colours on, leave the text there.
const OPTIONS: &str = "FRX";
/// A shell's exit code for a program that is not there.
const NOT_FOUND: i32 = 127;

/// A pager that runs.
#[derive(Debug)]
pub(crate) struct Pager {
    child: Child,
}

impl Pager {
    /// Starts the command of `PAGER`, else `less`. `None` where the command is empty or `cat`, or there is no `less`: then the
    /// text is printed as it is. From here on an interrupt from the keyboard is the pager's to answer.
    ///
    /// # Errors
    /// When no shell starts, or the signal cannot be caught.
    pub(crate) fn start(
        environment: &Environment,
        runtime: &Runtime,
    ) -> anyhow::Result<Option<Self>> {
        let named = environment.pager();
        let mut command = match named.map(str::trim) {
            Some("" | "cat") => return Ok(None),
            Some(named) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", named]);
                shell
            }
            None => Command::new(USUAL),
        };
        if !environment.has_pager_options() {
            command.env("LESS", OPTIONS);
        }
        let child = match command.stdin(Stdio::piped()).spawn() {
            Ok(child) => child,
            Err(error) if named.is_none() && error.kind() == ErrorKind::NotFound => {
                return Ok(None);
            }
            Err(error) => return Err(error).context("the pager does not start"),
        };
        // Caught once, it does not end this process any more, however long the pager goes on.
        drop(runtime.block_on(async { signal(SignalKind::interrupt()) })?);
        Ok(Some(Self { child }))
    }

    /// Waits until the person has ended it. That they did so before the end of the text is no error.
    ///
    /// # Errors
    /// What printing came to, and a pager that is not there.
    pub(crate) fn end(mut self, printed: anyhow::Result<()>) -> anyhow::Result<()> {
        drop(self.child.stdin.take());
        let status = self.child.wait().context("waiting for the pager")?;
        ensure!(
            status.code() != Some(NOT_FOUND),
            "PAGER names a program that is not there"
        );
        printed
    }
}

impl Write for Pager {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match &mut self.child.stdin {
            Some(input) => input.write(bytes).map_err(gone),
            None => Err(ErrorKind::BrokenPipe.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
