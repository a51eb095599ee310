//! Policy documents, from text to tree: what a person wrote is read, held to the language, and lowered to the
//! [`Policy`] that decisions and the auditor evaluate.

mod cases;
mod condition;
mod difference;
mod document;
mod doubts;
mod duration;
mod fields;
mod names;
mod people;
mod problem;
mod source;
mod windows;

pub use crate::zones::tzdata;
pub use cases::{
    Case, CaseResult, OperationResult, Report, Traced, cases_from_json, read_cases, run_cases,
};
pub use difference::{Change, difference};
pub use names::{Groups, KnownGroup, Names};
pub use problem::{Code, Problem};
pub use windows::windows_at;

use ledger::policy::Policy;

/// Longest document, in bytes.
pub const MOST_BYTES: usize = 64 * 1024;

/// Most rules of a document.
pub const MOST_RULES: usize = ledger::policy::bounds::MAX_RULES;

/// How a document is written. Both have the same keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Toml,
    Json,
}

/// A document that can be saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read {
    pub policy: Policy,
    /// What its author should look at again.
    pub warnings: Vec<Problem>,
}

/// Reads a document, whatever its bytes are: bounds are checked before anything is parsed, and time and memory
/// grow with its length only.
///
/// # Errors
/// Everything that is wrong with it, in the order of its lines.
pub fn read(source: &[u8], format: Format, names: &Names) -> Result<Read, Vec<Problem>> {
    condition::on_a_large_stack(|| {
        let root = source::parse(source, format, MOST_BYTES)?;
        document::read(&root, names)
    })
}

#[cfg(test)]
mod tests;
