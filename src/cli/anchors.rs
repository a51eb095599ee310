//! What an auditor brings along, read from files that the command line names. One that cannot be read
//! is a mistake in the command line.

use crate::output::STDIN;
use crate::text_file;
use ledger::audit::PinnedApprovers;
use ledger::tlog::{LogKey, MAX_NOTE_BYTES, Note, WitnessPolicy};
use secrecy::SecretString;
use std::fmt::Display;
use std::path::Path;
use std::str::FromStr;

/// A verifier key, or `@` and the file that holds it.
pub(super) fn read_key(text: &str) -> Result<LogKey, String> {
    match text.strip_prefix('@') {
        Some(file) => read(file)?.trim().parse().map_err(describe),
        None => text.trim().parse().map_err(describe),
    }
}

/// A token; or `@` and the file that holds it, or `-` for standard input, where no process list shows it.
pub(super) fn read_token(text: &str) -> Result<SecretString, String> {
    let text = match text.strip_prefix('@') {
        Some(file) => read(file)?,
        None if text == STDIN => read(STDIN)?,
        None => text.to_owned(),
    };
    Ok(text.trim().into())
}

/// A signed note in a file.
pub(super) fn read_note(file: &str) -> Result<Note, String> {
    let text = read(file)?;
    if text.len() > MAX_NOTE_BYTES {
        return Err("it is too large to be a signed note".to_owned());
    }
    text.parse().map_err(describe)
}

/// A witness policy in a file.
pub(super) fn read_policy(file: &str) -> Result<WitnessPolicy, String> {
    parse(file)
}

/// A list of thumbprints in a file.
pub(super) fn read_approvers(file: &str) -> Result<PinnedApprovers, String> {
    parse(file)
}

fn parse<T: FromStr<Err: Display>>(file: &str) -> Result<T, String> {
    read(file)?.parse().map_err(describe)
}

pub(super) fn read(file: &str) -> Result<String, String> {
    let text = match file {
        STDIN => text_file::read_from(std::io::stdin()),
        file => text_file::read(Path::new(file)),
    };
    text.map(|text| text.to_string())
        .map_err(|error| format!("it cannot be read: {error}"))
}

fn describe(error: impl Display) -> String {
    error.to_string()
}
