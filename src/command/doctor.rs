//! `doctor`.

use crate::cli::DoctorArgs;
use crate::config::Environment;
use crate::doctor::examine;
use crate::terminal::Terminal;
use std::process::ExitCode;

/// Prints what was found; fails where something is wrong.
pub(crate) fn doctor(environment: &Environment, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let report = super::runtime()?.block_on(examine(environment));
    if args.json {
        print!("{}", report.for_programs());
    } else {
        print!("{}", report.for_people(Terminal::of(environment)));
    }
    Ok(if report.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
