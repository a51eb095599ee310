//! Standard output and standard error, as every command writes to them.
//!
//! A write that fails must neither end the process in a panic nor decide what a command came to. Who reads
//! may stop at any line (`… | head -1`): then the rest goes nowhere, in silence. Any other failure, such as a
//! full disk, is kept until the command has ended and told then; see [`finish`].

use serde::Serialize;
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Stands for standard output where a file to write is named.
pub(crate) const STDOUT: &str = "-";
/// Stands for standard input where a file to read is named.
pub(crate) const STDIN: &str = "-";

/// The first write to standard output that failed.
static FAILED: Mutex<Option<io::Error>> = Mutex::new(None);

/// A line on standard output.
macro_rules! say {
    () => { $crate::output::write(format_args!("\n")) };
    ($($text:tt)*) => { $crate::output::write(format_args!("{}\n", format_args!($($text)*))) };
}

/// A line on standard error, for people beside what a script reads.
macro_rules! note {
    ($($text:tt)*) => { $crate::output::write_error(format_args!("{}\n", format_args!($($text)*))) };
}

pub(crate) use {note, say};

/// Writes to standard output, until a write fails.
pub(crate) fn write(text: fmt::Arguments<'_>) {
    let mut failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner);
    if failed.is_none()
        && let Err(error) = io::stdout().lock().write_fmt(text)
    {
        *failed = Some(error);
    }
}

/// Writes to standard error, where that can be written.
pub(crate) fn write_error(text: fmt::Arguments<'_>) {
    // There is nobody left to tell.
    drop(io::stderr().lock().write_fmt(text));
}

/// Standard output as a writer, for what is streamed.
#[derive(Debug)]
pub(crate) struct Stdout;

/// Writes an object in a line of its own.
///
/// # Errors
/// As writing.
pub(crate) fn write_json(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    writeln!(out)
}

/// Whoever read standard output has gone. A socket's broken pipe is not told apart from this by its kind.
#[derive(Debug, thiserror::Error)]
#[error("whoever read standard output has gone")]
struct ReaderGone;

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout().lock().write(bytes).map_err(gone)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().lock().flush().map_err(gone)
    }
}

/// The error of writing to who reads, told apart where they have gone.
pub(crate) fn gone(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::BrokenPipe => io::Error::new(ErrorKind::BrokenPipe, ReaderGone),
        _ => error,
    }
}

/// Whether a command ended because whoever read what it writes has gone.
pub(crate) fn reader_has_gone(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            .is_some_and(|inner| inner.is::<ReaderGone>())
    })
}

/// What a command's exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// What was looked at. A report that could not be written changes nothing of that.
    Verdict,
    /// That the command did what it is for; what it prints is part of that.
    Done,
}

/// The exit code of a command that has ended, once everything is written.
pub(crate) fn finish(code: ExitCode, meaning: Meaning) -> ExitCode {
    let flushed = io::stdout().lock().flush();
    let failed = FAILED.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(error) = failed.or_else(|| flushed.err()) else {
        return code;
    };
    if error.kind() == ErrorKind::BrokenPipe {
        return code;
    }
    note!("error: standard output could not be written: {error}");
    match meaning {
        Meaning::Verdict => code,
        Meaning::Done if code == ExitCode::SUCCESS => ExitCode::FAILURE,
        Meaning::Done => code,
    }
}
