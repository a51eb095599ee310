//! `doctor`.

use clap::Args;

/// How the findings are shown.
#[derive(Debug, Args)]
#[command(after_help = DOCTOR_HELP)]
pub(crate) struct DoctorArgs {
    /// One JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

const DOCTOR_HELP: &str = "\
Works beside a running service and without one, and changes nothing. Run it with the service's
account and settings:
  set -a; . /etc/llm-permission-proxy/environment; set +a
  llm-permission-proxy doctor

Each finding is ok, a warning (works, and should be looked at) or a problem, and says what to do.
Exits with 0 when there is no problem and with 1 otherwise.";
