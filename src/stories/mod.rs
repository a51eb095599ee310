//! What the log says, told to people: who asked for what, what was refused and why, who decided with
//! which key, what was sent, what came back, and who was told.
//!
//! A story is one ordered pass. What a line needs from earlier events (whose apply this is, where a
//! callback goes) is kept for each stream within a bound, and read again where it has been let go.

mod entry;
mod line;
mod moment;
mod operations;
mod source;
mod subject;
mod teller;
mod topic;
mod topics;
mod words;

pub(crate) use entry::Entry;
pub(crate) use line::Line;
pub(crate) use moment::clock;
pub(crate) use source::{LedgerFile, read_entries};
pub(crate) use subject::Subject;
pub(crate) use teller::Teller;
pub(crate) use topic::Topic;

#[cfg(test)]
mod tests;
