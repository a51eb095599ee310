//! `schedule …`.

use super::access::ACCESS_HELP;
use super::anchors::read;
use crate::api_client::{ApiRequest, Shown};
use clap::Subcommand;
use serde_json::{Value, json};

const COLUMNS: &[&str] = &["name", "state", "next", "agent", "cron", "zone", "misfire"];

/// `schedule …`
#[derive(Debug, Subcommand)]
#[command(after_help = ACCESS_HELP)]
pub(crate) enum ScheduleCommand {
    /// Print the schedules
    List,
    /// Print one, with its next instant and what became of the newest ones
    Show {
        /// Its name
        name: String,
    },
    /// Make a schedule, or put another one in its place
    Put {
        /// Its name
        name: String,
        /// A file with cron, zone, misfire, agent and operations as JSON; - reads it from standard input
        #[arg(value_name = "FILE", value_parser = read_json)]
        schedule: Value,
    },
    /// Delete one: it never fires again, and what waits for people is withdrawn
    Delete {
        /// Its name
        name: String,
    },
    /// Print the instants that an expression names
    Preview {
        /// Five fields, such as '30 2 * * mon-fri'
        cron: String,
        /// The IANA name of a time zone
        #[arg(default_value = "UTC")]
        zone: String,
        /// After this time (RFC 3339); from now on where this is not given
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// How many, at most 1000
        #[arg(long, value_name = "NUMBER", default_value_t = 10)]
        count: u32,
    },
}

fn read_json(file: &str) -> Result<Value, String> {
    serde_json::from_str(&read(file)?).map_err(|error| error.to_string())
}

impl From<ScheduleCommand> for ApiRequest {
    fn from(command: ScheduleCommand) -> Self {
        match command {
            ScheduleCommand::List => Self::get(&["schedules"], Shown::Rows("schedules", COLUMNS)),
            ScheduleCommand::Show { name } => Self::get(&["schedules", &name], Shown::Members),
            ScheduleCommand::Put { name, schedule } => Self::put(&["schedules", &name], schedule),
            ScheduleCommand::Delete { name } => Self::delete(&["schedules", &name]),
            ScheduleCommand::Preview {
                cron,
                zone,
                from,
                count,
            } => {
                let body = json!({"cron": cron, "zone": zone, "from": from, "count": count});
                Self::post(&["schedules", "preview"], body, Shown::Members)
            }
        }
    }
}
