//! `upstream …`.

use super::access::ACCESS_HELP;
use super::anchors::read_token;
use crate::api_client::{ApiRequest, Shown};
use crate::output::STDIN;
use clap::Subcommand;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

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
        /// The description: JSON, also as `upstream show NAME --json` prints it; - is standard input
        #[arg(value_name = "FILE", value_parser = description)]
        description: Value,
    },
    /// Close an API to its clients
    Remove {
        /// The API's name
        name: String,
    },
    /// Store the key that calls of agents go with for which no key of their own is stored
    Store {
        /// The API's name
        name: String,
        /// The API's key: - reads it from standard input, @ and a file from there
        #[arg(long, value_name = "KEY", default_value = "-", hide_default_value = true, value_parser = read_token)]
        key: SecretString,
    },
    /// Print whether a key is stored that agents share
    Stored {
        /// The API's name
        name: String,
    },
    /// Remove the key that agents share
    Forget {
        /// The API's name
        name: String,
    },
}

fn description(path: &str) -> Result<Value, String> {
    let text = match path {
        STDIN => std::io::read_to_string(std::io::stdin()),
        path => std::fs::read_to_string(path),
    };
    read(&text.map_err(|error| error.to_string())?)
}

/// A description, without what the service adds where it shows one.
fn read(text: &str) -> Result<Value, String> {
    let mut description: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(members) = description.as_object_mut() {
        members.remove("name");
        members.remove("defined_at");
    }
    Ok(description)
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
            UpstreamCommand::Store { name, key } => Self {
                shown: Shown::Done,
                ..Self::put(
                    &["upstreams", &name, "key"],
                    json!({"api_key": key.expose_secret()}),
                )
            },
            UpstreamCommand::Stored { name } => {
                Self::get(&["upstreams", &name, "key"], Shown::Members)
            }
            UpstreamCommand::Forget { name } => Self::delete(&["upstreams", &name, "key"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_shown_can_be_put_back() {
        let shown = r#"{"name":"github","base_url":"https://api.github.com","defined_at":"2026-11-30T00:00:00Z"}"#;
        let put = json!({"base_url": "https://api.github.com"});
        assert_eq!(read(shown), Ok(put));
    }
}
