//! `clearance …`.

use super::access::{ACCESS_HELP, Page};
use crate::api_client::{ApiRequest, Shown};
use clap::Subcommand;

const COLUMNS: &[&str] = &[
    "id",
    "decision",
    "agent",
    "binding",
    "breadth",
    "made_at",
    "until",
    "ended_at",
    "end_reason",
    "uses",
    "by",
];

/// `clearance …`
#[derive(Debug, Subcommand)]
#[command(after_help = ACCESS_HELP)]
pub(crate) enum ClearanceCommand {
    /// Print the decisions that are kept, those that have ended too
    List(Page),
    /// End one: it answers nothing any more, and what it authorised ends before its next operation
    End {
        /// Its id, as `clearance list` prints it
        id: String,
    },
}

impl From<ClearanceCommand> for ApiRequest {
    fn from(command: ClearanceCommand) -> Self {
        match command {
            ClearanceCommand::List(page) => {
                let form = Shown::Rows("clearances", COLUMNS);
                Self::get(&["clearances"], form).with_page(page)
            }
            ClearanceCommand::End { id } => Self::delete(&["clearances", &id]),
        }
    }
}
