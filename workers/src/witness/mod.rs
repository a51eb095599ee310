//! Asks witnesses to cosign the ledger's checkpoints (C2SP tlog-witness), in the background.
//!
//! Cosignatures are collected on one checkpoint at a time, until the policy says that it is witnessed;
//! then it is put on disk and published, and the newest checkpoint is next. A witness that is slow or
//! away holds up nothing but itself: whoever is needed is asked again, whoever is not is left behind.
//!
//! | file | holds |
//! |---|---|
//! | `settings` | whom to ask, what is enough, where the result is kept |
//! | `client` | one request, one answer |
//! | `asking` | one witness and one checkpoint, from the size that the witness has seen |
//! | `schedule` | when each witness is asked again |
//! | `round` | the cosignatures on one checkpoint |
//! | `cosigner` | the worker |
//! | `kept` | the witnessed checkpoint on disk |
//! | `gate` | what waits for it |

mod asking;
mod client;
mod cosigner;
mod gate;
mod kept;
mod round;
mod schedule;
mod settings;
#[cfg(test)]
mod tests;

pub(crate) use cosigner::Cosigner;
pub(crate) use gate::Gate;
pub use kept::{KeptError, publish_kept};
pub use settings::{WitnessSettings, WitnessSettingsError};
