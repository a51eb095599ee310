//! `ledger …`: reading the log.

use clap::{Args, Subcommand};

/// What can be asked of the log.
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// Print the newest events, one a line
    #[command(after_help = TAIL_HELP)]
    Tail(TailArgs),
    /// Recompute every record's hash from position 0 and compare it with what is stored
    #[command(after_help = CHECK_HELP)]
    Check,
    /// Print the key that verifies this ledger's checkpoints
    #[command(after_help = VKEY_HELP)]
    Vkey,
}

const VKEY_HELP: &str = "\
The line is name+id+key, as C2SP signed-note writes verifier keys; it is public. Give it to auditors by
a way that they trust more than this machine. Reads the file of LEDGER_URL, whether or not the service
runs; the first start makes the key.";

const TAIL_HELP: &str = "\
Examples:
  llm-permission-proxy ledger tail -n 50
  llm-permission-proxy ledger tail --follow --json | jq 'select(.event == \"approval.denied\")'

Reads the file of LEDGER_URL (beside DATABASE_URL where that is not set), whether or not the
service runs; it never writes. A line has the position, the time (UTC), the event, who acted, what
happened, and the stream. With --json it is an object with header, envelope and payload.";

const CHECK_HELP: &str = "\
Exits with 0 when every record follows from the one before it, and with 1 at the first that does
not. Reads the file of LEDGER_URL, whether or not the service runs.";

/// Which events, and how they are shown.
#[derive(Debug, Args)]
pub(crate) struct TailArgs {
    /// How many of the newest events to begin with
    #[arg(
        short = 'n',
        long = "lines",
        value_name = "COUNT",
        default_value_t = 20
    )]
    pub(crate) lines: u64,

    /// Begin at this position instead
    #[arg(long, value_name = "POSITION", conflicts_with = "lines")]
    pub(crate) from: Option<u64>,

    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,

    /// Go on with what is recorded from now on
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,
}
