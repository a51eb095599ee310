//! Broken rules, and rules that could not be checked.

use super::check::Check;
use crate::operation::shown;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// How many findings are kept where nothing else is asked for.
pub const MAX_FINDINGS: usize = 100;

/// The longest reason that is kept, in bytes: names in it may be as long as a payload.
const MAX_REASON: usize = 8 * 1024;

/// Characters of a text from the ledger that are printed.
pub(super) const MAX_SHOWN: usize = 500;

/// One thing that is wrong. Printed on one line, in which nothing of the ledger's can move a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The record that it is about, where it is about one.
    pub position: Option<u64>,
    /// The rule that does not hold.
    pub check: Check,
    /// The finding and the expectation.
    pub reason: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(position) = self.position {
            write!(f, "at position {position}: ")?;
        }
        write!(f, "{} ({})", shown(&self.reason, MAX_SHOWN), self.check)
    }
}

/// Checks that could not be made, and why: nothing is wrong, but less is proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Impossible {
    /// The rule.
    pub check: Check,
    /// Why it could not be checked.
    pub why: Obstacle,
    /// How often.
    pub count: u64,
    /// The first record for which it was so.
    pub first_position: u64,
}

/// The reason why a rule cannot be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// It depends on something recorded before the first record at hand.
    BeforeRange,
    /// It depends on something that may be recorded after the last record at hand.
    AfterRange,
    /// It depends on something that was erased.
    Erased,
    /// It depends on something that cannot be read, which is a finding of its own.
    Unreadable,
    /// It depends on an operation that this version cannot read.
    OtherVersion,
    /// It depends on the service's configuration, which is not recorded.
    Configuration,
}

impl Obstacle {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::BeforeRange => "it depends on records before the first one here",
            Self::AfterRange => "it depends on records after the last one here",
            Self::Erased => "it depends on payloads that are not there",
            Self::Unreadable => "it depends on payloads that cannot be read",
            Self::OtherVersion => {
                "it depends on operations that this version cannot read: verify with the version that recorded them"
            }
            Self::Configuration => {
                "it depends on the configuration of the service, which is not recorded"
            }
        }
    }
}

/// Collects both, within a bound. The first findings are kept, later ones counted.
#[derive(Debug)]
pub(super) struct Findings {
    kept: Vec<Finding>,
    more: u64,
    limit: usize,
    impossible: BTreeMap<(Check, Obstacle), (u64, u64)>,
}

impl Findings {
    pub(super) const fn new(limit: usize) -> Self {
        Self {
            kept: Vec::new(),
            more: 0,
            limit,
            impossible: BTreeMap::new(),
        }
    }

    pub(super) fn add(&mut self, position: Option<u64>, check: Check, reason: impl Into<String>) {
        self.add_with(position, check, || reason.into());
    }

    /// The reason is put into words only where it is kept.
    pub(super) fn add_with(
        &mut self,
        position: Option<u64>,
        check: Check,
        reason: impl FnOnce() -> String,
    ) {
        if self.kept.len() >= self.limit.max(1) {
            self.more += 1;
            return;
        }
        let mut reason = reason();
        if reason.len() > MAX_REASON {
            reason.truncate(reason.floor_char_boundary(MAX_REASON));
            reason.push('…');
            reason.shrink_to_fit();
        }
        self.kept.push(Finding {
            position,
            check,
            reason,
        });
    }

    pub(super) fn cannot(&mut self, position: u64, check: Check, why: Obstacle) {
        let (count, _) = self.impossible.entry((check, why)).or_insert((0, position));
        *count += 1;
    }

    /// The findings, those of the earliest records first, those about no record last; how many more
    /// there were; and what could not be checked.
    pub(super) fn into_parts(mut self) -> (Vec<Finding>, u64, Vec<Impossible>) {
        self.kept
            .sort_by_key(|finding| finding.position.unwrap_or(u64::MAX));
        let impossible = self.impossible.into_iter();
        let impossible = impossible.map(|((check, why), (count, first_position))| Impossible {
            check,
            why,
            count,
            first_position,
        });
        (self.kept, self.more, impossible.collect())
    }
}
