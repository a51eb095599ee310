//! What a document may name.

use ledger::Providers;
use ledger::policy::{Assurance, NeedGroup};
use std::collections::BTreeMap;

/// What a document may name: groups of people, and operations with their params.
#[derive(Debug, Clone)]
pub struct Names {
    pub groups: Groups,
    pub providers: Providers,
}

/// The groups of people.
#[derive(Debug, Clone)]
pub enum Groups {
    /// These; the approvers of the configuration are one of them ([`NeedGroup::Default`], `default`).
    Known(Vec<KnownGroup>),
    /// These names, and nothing is known of people: as they stand in records. An id is taken as it is.
    Named(BTreeMap<String, NeedGroup>),
    /// Nobody is there to ask, as on a command line without a service: every name is taken, its id is made of
    /// it, and nothing is said of people.
    Unknown,
}

/// One group.
#[derive(Debug, Clone)]
pub struct KnownGroup {
    pub id: NeedGroup,
    pub name: String,
    /// Its enabled people with usable credentials, each under an id that is the same in every group, with the
    /// most that the person can show.
    pub people: BTreeMap<String, Assurance>,
}
