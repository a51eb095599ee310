//! `status`.

use super::access::ServiceAddress;
use clap::Args;

const STATUS_HELP: &str = "\
Asks /v1/readyz and /metrics of the service at --url; no login is needed. A proxy in front may hide
/metrics: name the service's own address then.

Exit codes:
  0  it is ready, and at most questions wait for people
  1  it is not ready, or outcomes are to be settled, or callbacks were given up
  2  the command line is wrong
  3  nothing answers there, or something else";

/// Which service, and how it is shown.
#[derive(Debug, Args)]
#[command(after_help = STATUS_HELP)]
pub(crate) struct StatusArgs {
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,

    #[command(flatten)]
    pub(crate) service: ServiceAddress,
}
