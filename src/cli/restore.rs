//! `restore FILE`.

use super::operate::parse_reason;
use clap::Args;
use std::path::PathBuf;

/// What is put in the ledger's place.
#[derive(Debug, Args)]
#[command(after_help = RESTORE_HELP)]
pub(crate) struct RestoreArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,

    /// The newest checkpoint of this ledger that anybody knows, as a signed note; needed where the
    /// file that remembers it is not here, as on a new machine
    #[arg(long, value_name = "NOTE")]
    pub(crate) checkpoint: Option<PathBuf>,

    /// Go on although events are missing that were signed: as another log, with a key and an origin
    /// of its own
    #[arg(long, requires = "reason")]
    pub(crate) accept_fork: bool,

    /// Why: recorded for good in the new log, beside the account's name
    #[arg(long, value_name = "TEXT", requires = "accept_fork", value_parser = parse_reason)]
    pub(crate) reason: Option<String>,
}

const RESTORE_HELP: &str = "\
Examples:
  llm-permission-proxy restore /backup/ledger-2026-11-22.db
  llm-permission-proxy restore /backup/ledger.db --checkpoint newest-known.checkpoint

The service must be stopped. Checks every record of the backup, and that it holds everything that
was signed; only then it takes the ledger's place. What stood there is moved aside
(…before-restore-TIME), never deleted. The next start makes the read tables anew.";
