//! `init`.

use clap::Args;
use ledger::ApproverName;
use std::net::SocketAddr;
use std::path::PathBuf;
use url::Url;

const INIT_HELP: &str = "\
Examples:
  llm-permission-proxy init
  llm-permission-proxy init --url https://proxy.example --approver anna /etc/proxy.toml

The file is for its owner alone (mode 0600) and is never written over. It holds a secret for each
purpose and the service token, with which commands that are given the file act; nothing of that is
printed. The data stand in the folder data beside it. `serve --config FILE` starts with it.";

/// What a new installation is to be like.
#[derive(Debug, Args)]
#[command(after_help = INIT_HELP)]
pub(crate) struct NewSettingsArgs {
    /// The file to make
    #[arg(value_name = "FILE", default_value = "llm-permission-proxy.toml")]
    pub(crate) file: PathBuf,

    /// Where people reach the service, also by passkey; https, except on this machine
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://localhost:8080",
        value_parser = crate::config::service_address
    )]
    pub(crate) url: Url,

    /// Where it listens; loopback where this is not given
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) bind: Option<SocketAddr>,

    /// Who may decide; again for more
    #[arg(
        long = "approver",
        value_name = "NAME",
        default_value = "default",
        value_parser = parse_approver
    )]
    pub(crate) approvers: Vec<ApproverName>,
}

fn parse_approver(text: &str) -> Result<ApproverName, String> {
    match ApproverName::parse(text) {
        Ok(name) if text.trim() == text && !text.contains(',') => Ok(name),
        _ => Err("expected 1 to 200 visible characters, without commas".to_owned()),
    }
}
