//! How much is logged, and in which form.

use clap::{Args, ValueEnum};

/// The logging flags of commands that run for long.
#[derive(Debug, Clone, Args)]
pub(crate) struct LogArgs {
    /// What to log, such as info or warn,workers=debug; RUST_LOG where this is not given
    #[arg(long, value_name = "FILTER")]
    pub(crate) log: Option<String>,

    /// The form of log lines
    #[arg(long, value_name = "FORM", default_value = "auto")]
    pub(crate) log_format: LogFormat,
}

/// The form of log lines, which go to standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// Text on a terminal, JSON otherwise
    Auto,
    /// One line for people
    Text,
    /// One JSON object a line
    Json,
}
