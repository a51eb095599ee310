//! Completions and man pages, made of the command line's own description.

use crate::cli::{Cli, CompletionsArgs, ManArgs};
use crate::output::{Stdout, note};
use anyhow::Context;
use clap::CommandFactory;
use std::io::Write;
use std::process::ExitCode;

/// Prints a script for a shell.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitCode> {
    let mut command = Cli::command();
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, name, &mut script);
    Stdout.write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a page for each command.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<ExitCode> {
    let folder = &args.folder;
    let failed = || format!("writing man pages to {}", folder.display());
    clap_mangen::generate_to(Cli::command(), folder).with_context(failed)?;
    note!("man pages are in {}", folder.display());
    Ok(ExitCode::SUCCESS)
}
