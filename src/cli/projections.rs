//! `projections …`: the read tables.

use clap::{Args, Subcommand};
use projections::Projection;

/// What can be asked of the read tables.
#[derive(Debug, Subcommand)]
pub(crate) enum ProjectionsCommand {
    /// Say how far the read tables reach, how far the ledger does, and how many rows stand in each
    #[command(after_help = STATUS_HELP)]
    Status,
    /// Rebuild the read tables from the ledger; nothing else is changed
    #[command(after_help = REBUILD_HELP)]
    Rebuild(Rebuild),
    /// Fold the ledger once more and compare: name the first differing row of each table
    #[command(after_help = VERIFY_HELP)]
    Verify,
}

/// What to make again, and how.
#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// The projections to rebuild: agents, approvers, tasks, callbacks, timeline; all when none is named
    #[arg(value_name = "NAME")]
    pub(crate) names: Vec<Projection>,
    /// Have the running service do it: it makes new tables beside those in use, then replaces them at once
    #[arg(long)]
    pub(crate) online: bool,
}

const STATUS_HELP: &str = "\
Works while the service runs. Exits with 0 when the read tables can be used as they are (a lag of
some events is usual beside a running service) and with 1 when they are missing, of another version
or of another ledger.";

const REBUILD_HELP: &str = "\
Without --online the service must be stopped: it is refused while one uses the read tables. Reads
the ledger of LEDGER_URL (beside DATABASE_URL where that is not set) and changes nothing in it.
The old tables are in use until the new ones are complete, and are compared with them where both
were made of the same events; what differed is named. Killed at any moment it leaves the old ones.";

const VERIFY_HELP: &str = "\
Works while the service runs. Needs room for a second set of tables beside the first, for as long as
it takes. Exits with 0 when every row is what the events make it and with 1 when one is not.";
