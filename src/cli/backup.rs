//! `backup FILE`.

use clap::Args;
use std::path::PathBuf;

/// Where a copy of the ledger goes.
#[derive(Debug, Args)]
#[command(after_help = BACKUP_HELP)]
pub(crate) struct BackupArgs {
    /// The file to write; it must not exist, its folder must
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
}

const BACKUP_HELP: &str = "\
Example:
  llm-permission-proxy backup /backup/ledger-$(date +%F).db

Copies the ledger of LEDGER_URL as it is at one moment, whether or not the service runs, checks
every record of the copy, and only then gives it its name. The newest checkpoint that was signed
goes beside it, as FILE.checkpoint. Keys are not in it: keep those apart. Nor are the read tables,
which are made again from the ledger.";
