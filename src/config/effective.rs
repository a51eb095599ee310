//! The configuration as it holds, for people to read: secrets redacted, each value with its origin.

use super::sources::{Origin, Sources};
use super::storage::{self, Storage};
use super::variable;
use std::fmt::Write;

/// What stands where a secret was set.
const REDACTED: &str = "[redacted]";

/// One line for each variable, in TOML, such as `BIND_ADDR = "127.0.0.1:8080" # default`. What is
/// not set stands as a comment.
pub(crate) fn render(sources: &Sources, storage: &Storage) -> String {
    let mut text = String::new();
    for variable in variable::ALL {
        let name = variable.name();
        let set = sources.set(variable);
        let line = match (set, variable.default()) {
            (Some(value), _) if variable.is_secret() => {
                if value.trim().is_empty() {
                    unset(name)
                } else {
                    assigned(name, REDACTED)
                }
            }
            (Some(value), _) => assigned(name, value.trim()),
            (None, Some(default)) => assigned(name, default),
            (None, None) if name == variable::LEDGER_URL.name() => {
                format!(
                    "{} # beside DATABASE_URL",
                    assigned(name, &storage::as_url(&storage.ledger))
                )
            }
            (None, None) if name == variable::LEDGER_SIGNING_STATE.name() => {
                let file = storage.signing_state_file();
                format!(
                    "{} # beside the ledger",
                    assigned(name, &file.display().to_string())
                )
            }
            (None, None) => unset(name),
        };
        let origin = match sources.origin(variable) {
            Origin::Default if variable.default().is_none() => "",
            origin => origin.as_str(),
        };
        // Writing to a String cannot fail.
        let _ = if origin.is_empty() {
            writeln!(text, "{line}")
        } else {
            writeln!(text, "{line} # {origin}")
        };
    }
    text
}

fn assigned(name: &str, value: &str) -> String {
    format!("{name} = {}", toml::Value::from(value))
}

fn unset(name: &str) -> String {
    format!("# {name} is not set")
}
