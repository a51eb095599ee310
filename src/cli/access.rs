//! Commands that ask the API: where it is, and the credential for it.

use super::anchors::read_token;
use super::operate::parse_reason;
use clap::{Args, Subcommand};
use secrecy::SecretString;
use url::Url;

pub(super) const ACCESS_HELP: &str = "\
Asks the API at --url as the session of `login`, or with the token of --token; with the settings
of the service (--config) and without a session of it, with its own token. A change by an admin's
session needs a passkey, which a terminal has not: use the service token, or --local with a
--reason on the machine of the service, with its account and settings.

Exits with 0 when it is done and with 1 when it was refused; the reason is on standard error. Keys
and links are printed once, on standard output.";

/// A command that asks the API.
#[derive(Debug, Args)]
pub(crate) struct ApiArgs<C: Subcommand> {
    #[command(subcommand)]
    pub(crate) command: C,

    #[command(flatten)]
    pub(crate) access: Access,
}

/// A command that reads one thing of the API.
#[derive(Debug, Args)]
pub(crate) struct ApiRead<A: Args> {
    #[command(flatten)]
    pub(crate) asked: A,

    #[command(flatten)]
    pub(crate) access: Access,
}

/// The service, and the credential for it.
#[derive(Debug, Args)]
pub(crate) struct Access {
    #[command(flatten)]
    pub(crate) service: ServiceAddress,

    /// A session's token or the service token; - reads it from standard input, @ and a file from there.
    /// Where this is not given the session of `login`, else SERVICE_TOKEN
    #[arg(long, value_name = "TOKEN", global = true, value_parser = read_token)]
    pub(crate) token: Option<SecretString>,

    /// Print the API's answer
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Do it on the machine of the service, as an operator command: for what the API asks a passkey for
    #[arg(long, global = true, requires = "reason", conflicts_with_all = ["token", "url", "json"])]
    pub(crate) local: bool,

    /// With --local: why, recorded for good beside the account's name
    #[arg(long, value_name = "TEXT", global = true, requires = "local", value_parser = parse_reason)]
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct ServiceAddress {
    /// The service; BASE_URL where this is not given
    #[arg(long, value_name = "URL", global = true, value_parser = crate::config::service_address)]
    pub(crate) url: Option<Url>,
}

/// One page of a list.
#[derive(Debug, Clone, Args)]
pub(crate) struct Page {
    /// Go on after this row, as the page before says it
    #[arg(long, value_name = "CURSOR")]
    pub(crate) after: Option<String>,
}
