//! `doctor`.

use crate::cli::DoctorArgs;
use crate::config::Environment;
use crate::doctor::examine;
use crate::output;
use crate::terminal::Terminal;
use std::process::ExitCode;

/// Prints what was found; fails where something is wrong.
pub(crate) fn doctor(environment: &Environment, args: &DoctorArgs) -> anyhow::Result<ExitCode> {
    let report = super::runtime()?.block_on(examine(environment));
    if args.json {
        output::write(format_args!("{}", report.for_programs()));
    } else {
        output::write(format_args!(
            "{}",
            report.for_people(Terminal::of(environment))
        ));
    }
    Ok(super::verdict(report.is_well()))
}
