//! Entries of a list in the params that people read one by one: the rules of a firewall.

use super::Warning;
use serde_json::{Map, Value};

/// An entry beside what stands upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryChange {
    /// There now, and not sent: it goes.
    Lost,
    /// There now under the same id or reference, and otherwise.
    Changed,
    /// There now as it is sent, in another order among the entries that stay.
    Moved,
    /// Not there now.
    Added,
    /// There now as it is sent.
    Same,
    /// Upstream was not read.
    Unknown,
}

/// One field of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntryField {
    /// For people.
    pub name: &'static str,
    /// As it will be, or as it is where the entry is lost.
    pub value: String,
    /// As it is upstream, where that is something else.
    pub was: Option<String>,
}

/// One entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Its place in the list that is sent, from 1; in the one upstream where it is lost.
    pub number: usize,
    /// Its fate.
    pub change: EntryChange,
    /// Its fields, the most telling first.
    pub fields: Vec<EntryField>,
    /// Its other fields, as they are sent.
    pub more: Map<String, Value>,
    /// Its own risks.
    pub warnings: Vec<Warning>,
}

/// The entries of one param.
#[derive(Debug, Clone, PartialEq)]
pub struct Entries {
    /// The param that holds the list.
    pub param: &'static str,
    /// What one entry is called: `rule`.
    pub noun: &'static str,
    /// Those that are sent, in their order, and then those that are lost.
    pub entries: Vec<Entry>,
}
