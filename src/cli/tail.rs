//! `ledger tail`.

use clap::{Args, ColorChoice, ValueEnum};
use ledger::TaskId;

/// Which events, and how they are shown.
#[derive(Debug, Args)]
#[command(after_help = TAIL_HELP)]
pub(crate) struct TailArgs {
    /// How many of the newest events to begin with, of those that the other options leave; 20 without those, else all
    #[arg(short = 'n', long = "lines", value_name = "COUNT")]
    lines: Option<u64>,

    /// Only what stands at this position or after it
    #[arg(long, value_name = "POSITION")]
    pub(crate) from: Option<u64>,

    /// Only what concerns this task, from its beginning
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<TaskId>,

    /// Only what concerns this agent and its tasks, from their beginning
    #[arg(long, value_name = "NAME", conflicts_with = "task")]
    pub(crate) agent: Option<String>,

    /// How each event is written
    #[arg(long, value_enum, default_value_t = TailFormat::Text)]
    format: TailFormat,

    /// The same as --format jsonl
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// Go on with what is recorded from now on
    #[arg(short = 'f', long)]
    pub(crate) follow: bool,

    /// Colour: auto is on a terminal only, and not with NO_COLOR set
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = ColorChoice::Auto)]
    pub(crate) color: ColorChoice,

    /// Page by page, with $PAGER or less; without effect where it is not printed on a terminal
    #[arg(long, conflicts_with = "follow")]
    pub(crate) page: bool,
}

/// How an event is written; always in one line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TailFormat {
    /// For people
    Text,
    /// The whole record as a JSON object
    Jsonl,
    /// An event of the Open Cybersecurity Schema Framework, for a SIEM
    Ocsf,
}

/// Events to begin with where nobody says which.
const USUAL: u64 = 20;

impl TailArgs {
    /// The most events to begin with; `None` where it is all of them.
    pub(crate) const fn lines(&self) -> Option<u64> {
        let is_all = self.from.is_some() || self.task.is_some() || self.agent.is_some();
        match self.lines {
            None if !is_all => Some(USUAL),
            lines => lines,
        }
    }

    pub(crate) const fn format(&self) -> TailFormat {
        if self.json {
            TailFormat::Jsonl
        } else {
            self.format
        }
    }
}

const TAIL_HELP: &str = "\
Examples:
  llm-permission-proxy ledger tail -n 50
  llm-permission-proxy ledger tail -n 10 --agent deployer --follow
  llm-permission-proxy ledger tail --from 0 --page
  llm-permission-proxy ledger tail --follow --json | jq 'select(.event == \"approval.denied\")'
  llm-permission-proxy ledger tail --from 0 --follow --format ocsf

Reads the file of LEDGER_URL (beside DATABASE_URL where that is not set), whether or not the
service runs; it never writes. A line has the position, the time (UTC), the event, who acted, what
happened, and the stream; on a terminal, what fits into its width of position, time, the end of the
stream's id, who and what.
As jsonl it is an object with header, envelope and payload. As ocsf it is an object without
secrets, whose metadata.sequence is the position: a shipper that stopped goes on with --from and
the last position it has kept, plus one.";
