//! `proxy …`.

use clap::{Args, Subcommand, ValueEnum};

const INFO_HELP: &str = "\
Example:
  llm-permission-proxy proxy info anthropic

Needs BASE_URL alone, asks nobody, and prints no secret.";

/// Clients of other APIs, through this service.
#[derive(Debug, Subcommand)]
pub(crate) enum ProxyCommand {
    /// Print the settings of clients that go through this service
    #[command(after_help = INFO_HELP)]
    Info(ProxyInfoArgs),
}

/// The upstream whose clients are to be set up.
#[derive(Debug, Args)]
pub(crate) struct ProxyInfoArgs {
    /// The upstream; without it both
    pub(crate) upstream: Option<ProxiedUpstream>,
}

/// An API whose clients can go through this service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProxiedUpstream {
    /// Anthropic's API
    Anthropic,
    /// Cloudflare's API
    Cloudflare,
}
