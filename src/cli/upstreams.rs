//! `upstream …`.

use super::access::ACCESS_HELP;
use crate::api_client::{ApiRequest, Shown};
use clap::Subcommand;
use serde_json::Value;

const COLUMNS: &[&str] = &["name", "base_url", "defined_at"];

/// `upstream …`
#[derive(Debug, Subcommand)]
#[command(after_help = ACCESS_HELP)]
pub(crate) enum UpstreamCommand {
    /// Print the APIs that are open to their own clients
    List,
    /// Print how an API is open
    Show {
        /// The API's name
        name: String,
    },
    /// Open an API, in the place of the one that has its name
    Put {
        /// The API's name, and its place below /proxy/
        name: String,
        /// The description: JSON
        #[arg(value_name = "FILE", value_parser = description)]
        description: Value,
    },
    /// Close an API to its clients
    Remove {
        /// The API's name
        name: String,
    },
}

fn description(path: &str) -> Result<Value, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    serde_json::from_str(&text).map_err(|error| error.to_string())
}

impl From<UpstreamCommand> for ApiRequest {
    fn from(command: UpstreamCommand) -> Self {
        match command {
            UpstreamCommand::List => Self::get(&["upstreams"], Shown::Rows("upstreams", COLUMNS)),
            UpstreamCommand::Show { name } => Self::get(&["upstreams", &name], Shown::Members),
            UpstreamCommand::Put { name, description } => {
                Self::put(&["upstreams", &name], description)
            }
            UpstreamCommand::Remove { name } => Self::delete(&["upstreams", &name]),
        }
    }
}
