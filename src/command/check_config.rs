//! `--check-config`.

use super::tell;
use crate::config::Environment;
use crate::output::{self, say};
use std::process::ExitCode;

/// Validates everything a start would, changes nothing, and prints the configuration as it holds.
pub(crate) fn check_config(environment: &Environment) -> anyhow::Result<ExitCode> {
    let (config, warnings) = environment.config()?;
    tell(&warnings);
    config.check_files()?;
    output::write(format_args!("{}", config.effective()));
    if let Some(file) = config.master_key.file() {
        let does = if file.exists() {
            "stands"
        } else {
            "will be made at first start"
        };
        say!("# the master key {does} in {}", file.display());
    }
    Ok(ExitCode::SUCCESS)
}
