//! `completions …` and `man …`.

use clap::Args;
use clap_complete::Shell;
use std::path::PathBuf;

const COMPLETIONS_HELP: &str = "\
Examples:
  llm-permission-proxy completions bash > /etc/bash_completion.d/llm-permission-proxy
  llm-permission-proxy completions fish > ~/.config/fish/completions/llm-permission-proxy.fish";

/// The shell that completes.
#[derive(Debug, Args)]
#[command(after_help = COMPLETIONS_HELP)]
pub(crate) struct CompletionsArgs {
    /// The shell
    pub(crate) shell: Shell,
}

const MAN_HELP: &str = "\
Example:
  llm-permission-proxy man ~/.local/share/man/man1 && man llm-permission-proxy";

/// Where the pages go.
#[derive(Debug, Args)]
#[command(after_help = MAN_HELP)]
pub(crate) struct ManArgs {
    /// The folder, which must be there; pages of the same names are replaced
    #[arg(value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
}
