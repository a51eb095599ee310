//! `projections …`: the read tables.

use clap::Subcommand;

/// What can be asked of the read tables.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectionsCommand {
    /// Say how far the read tables reach, how far the ledger does, and how many rows stand in each
    #[command(after_help = STATUS_HELP)]
    Status,
    /// Drop the read tables and make them again from the ledger; nothing outside is touched
    #[command(after_help = REBUILD_HELP)]
    Rebuild,
}

const STATUS_HELP: &str = "\
Works while the service runs. Exits with 0 when the read tables can be used as they are (a lag of
some events is usual beside a running service) and with 1 when they are missing, of another version
or of another ledger.";

const REBUILD_HELP: &str = "\
The service must be stopped: it is refused while one uses the read tables. Reads the ledger of
LEDGER_URL (beside DATABASE_URL where that is not set) and changes nothing in it.";
