//! `ledger replay`.

use super::moment::{Bound, parse_bound};
use clap::{ArgGroup, Args, ColorChoice};
use ledger::TaskId;

/// Whose story, and how it is told.
#[derive(Debug, Args)]
#[command(after_help = REPLAY_HELP)]
#[command(group(ArgGroup::new("what").required(true).multiple(true).args(["task", "agent", "approver", "from", "to"])))]
#[command(group(ArgGroup::new("whose").args(["task", "agent", "approver"])))]
pub(crate) struct ReplayArgs {
    /// The story of one task
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<TaskId>,

    /// The story of an agent and of all its tasks
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,

    /// The story of an approver: their passkeys, what was put to them, what came of it
    #[arg(long, value_name = "PRINCIPAL")]
    pub(crate) approver: Option<String>,

    /// Begin at this time (RFC 3339, or a date, UTC) or position
    #[arg(long, value_name = "TIME|POSITION", value_parser = parse_bound)]
    pub(crate) from: Option<Bound>,

    /// End before this time or position
    #[arg(long, value_name = "TIME|POSITION", value_parser = parse_bound)]
    pub(crate) to: Option<Bound>,

    /// Colour: auto is on a terminal only, and not with NO_COLOR set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,

    /// One JSON object a line
    #[arg(long)]
    pub(crate) json: bool,
}

const REPLAY_HELP: &str = "\
Examples:
  llm-permission-proxy ledger replay --task 019bf0a0-7c00-7001-8001-000000000001
  llm-permission-proxy ledger replay --agent deployer --from 2026-11-01 --json
  llm-permission-proxy ledger replay --from 2026-11-22T09:00:00Z --to 2026-11-22T10:00:00Z

Reads the file of LEDGER_URL, whether or not the service runs; it never writes and checks nothing:
that is what ledger verify does. What people and agents wrote stands in quotes.

A summary stands first. Tries of one callback in a row are folded between the first and the last;
--json has every event, and no summary.";
