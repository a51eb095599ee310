//! The binary as a witness of other logs (C2SP tlog-witness, tlog-cosignature).
//!
//! For each log it remembers the newest checkpoint that it has cosigned, and cosigns only what goes on
//! from there. What it remembers is on disk before a cosignature leaves; whatever moment it ends at, the
//! next start knows of every cosignature that anybody may hold.
//!
//! | file | holds |
//! |---|---|
//! | `key_file` | the witness's key |
//! | `logs_file` | the logs that it watches, and their keys |
//! | `state_folder` | the newest checkpoint of each log, on disk |
//! | `watched` | the checks and the cosigning, one log at a time |
//! | `server` | `add-checkpoint` over HTTP |

mod key_file;
mod logs_file;
mod server;
mod state_folder;
mod watched;

pub(crate) use key_file::{make_key, read_key};
pub(crate) use logs_file::WatchedLogs;
pub(crate) use server::serve;
pub(crate) use state_folder::StateFolder;
pub(crate) use watched::Witness;
