//! What a policy that was not in force would have said of the applies that a verification reads.

use super::finding::MAX_SHOWN;
use crate::canonical::{StrictJsonError, canonicalise};
use crate::id::{ApplyId, LedgerId};
use crate::name::AgentName;
use crate::operation::shown;
use crate::policy::{Engine, PolicyDigest, Prepared, RuleAction, RuleId, WindowClock};
use crate::tlog::TreeHash;
use serde::Serialize;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// The changes that are printed for people; the rest is counted. JSON has all of them.
const SHOWN: usize = 50;

/// A policy that is tried on recorded applies.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The policy.
    pub policy: Arc<Prepared>,
    /// Says which of its windows were open.
    pub windows: WindowClock,
    /// The facts that count as unknown, whatever is recorded of them.
    pub without: BTreeSet<String>,
    /// The first position whose applies are compared. Everything before it is verified all the same.
    pub from: u64,
    /// The position after the last one; the end of the records when absent.
    pub to: Option<u64>,
}

/// A difference, the gravest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeClass {
    /// People are asked as before, for something else that is no less.
    OtherRequirement,
    /// It is stricter.
    Tighter,
    /// It cannot be told from what is recorded.
    NotComparable,
    /// It is laxer, or people are asked for less: there is an answer that is enough and was not.
    Looser,
}

impl ChangeClass {
    /// Its word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OtherRequirement => "other_requirement",
            Self::Tighter => "tighter",
            Self::NotComparable => "not_comparable",
            Self::Looser => "looser",
        }
    }
}

/// The applies of each class, counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ChangeCounts {
    /// Those of which the same is said.
    pub same: u64,
    /// See [`ChangeClass::Looser`].
    pub looser: u64,
    /// See [`ChangeClass::Tighter`].
    pub tighter: u64,
    /// See [`ChangeClass::OtherRequirement`].
    pub other_requirement: u64,
    /// See [`ChangeClass::NotComparable`].
    pub not_comparable: u64,
}

/// One apply of which the policy says something else, or of which that cannot be told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The position of the event that records it.
    pub position: u64,
    /// The apply.
    pub apply_id: ApplyId,
    /// The agent that asked; absent where that was erased.
    pub agent: Option<AgentName>,
    /// The recorded outcome; absent where that was erased.
    pub was: Option<RuleAction>,
    /// The outcome by the policy; absent where that cannot be told.
    pub would: Option<RuleAction>,
    /// The rules of the policy whose action that is; none where no rule decides.
    pub rules: Vec<RuleId>,
    /// The difference.
    pub class: ChangeClass,
    /// The parts of the requirement that differ, or why it cannot be told.
    pub why: Option<String>,
}

/// A version by which applies were decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RecordedPolicy {
    /// Its number; 0 also stands for every later version without a document.
    pub version: u64,
    /// The digest of its tree; absent without a document.
    pub digest: Option<PolicyDigest>,
    /// The applies that were decided by it and are counted here.
    pub applies: u64,
}

/// The policy that was tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TriedPolicy {
    /// The digest of its tree.
    pub digest: PolicyDigest,
    /// The facts that counted as unknown.
    pub without: BTreeSet<String>,
}

/// The result of a backtest. Nothing in it comes from the clock or the machine: the same records and the same
/// policy give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Backtest {
    /// The ledger, as its records name it.
    pub ledger_id: Option<LedgerId>,
    /// The first position whose applies were compared.
    pub from: u64,
    /// The position after the last one.
    pub to: u64,
    /// The root of the tree over all records before `to`.
    pub root: TreeHash,
    /// The witnesses that cosigned checkpoints over the records, by name.
    pub witnesses: BTreeSet<String>,
    /// The language and its semantics.
    pub engine: Engine,
    /// The versions by which the applies were decided.
    pub recorded: Vec<RecordedPolicy>,
    /// The policy that was tried.
    pub candidate: TriedPolicy,
    /// The applies of each class, counted.
    pub counts: ChangeCounts,
    /// Each apply that is not the same, in the order of the records.
    pub changes: Vec<Change>,
}

impl ChangeCounts {
    pub(super) const fn add(&mut self, class: Option<ChangeClass>) {
        let count = match class {
            None => &mut self.same,
            Some(ChangeClass::Looser) => &mut self.looser,
            Some(ChangeClass::Tighter) => &mut self.tighter,
            Some(ChangeClass::OtherRequirement) => &mut self.other_requirement,
            Some(ChangeClass::NotComparable) => &mut self.not_comparable,
        };
        *count += 1;
    }
}

/// The result of the records, before they are known to be whole.
#[derive(Debug)]
pub(super) struct Compared {
    pub(super) candidate: Candidate,
    pub(super) recorded: Vec<RecordedPolicy>,
    pub(super) counts: ChangeCounts,
    pub(super) changes: Vec<Change>,
}

impl Backtest {
    /// Its canonical JSON (RFC 8785).
    ///
    /// # Errors
    /// For positions beyond 2^53, which no ledger has.
    pub fn canonical(&self) -> Result<Vec<u8>, StrictJsonError> {
        let value = serde_json::to_value(self).map_err(|error| StrictJsonError::Syntax {
            problem: error.to_string(),
        })?;
        canonicalise(&value)
    }
}

/// For people. Ends without a line end.
impl fmt::Display for Backtest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = &self.counts;
        write!(
            f,
            "positions          {} to before {}\ntree root          {}\ncandidate          {}",
            self.from, self.to, self.root, self.candidate.digest
        )?;
        for name in &self.candidate.without {
            write!(f, "\nwithout            {name}")?;
        }
        for policy in &self.recorded {
            write!(f, "\ndecided by         version {}: ", policy.version)?;
            match policy.digest {
                Some(digest) => write!(f, "{digest}, {} applies", policy.applies)?,
                None => write!(f, "no document, {} applies", policy.applies)?,
            }
        }
        write!(
            f,
            "\n\nsame               {}\nlooser             {}\ntighter            {}\nother requirement  \
             {}\nnot comparable     {}",
            counts.same,
            counts.looser,
            counts.tighter,
            counts.other_requirement,
            counts.not_comparable
        )?;
        if !self.changes.is_empty() {
            f.write_str("\n")?;
        }
        for change in self.changes.iter().take(SHOWN) {
            write!(f, "\n{change}")?;
        }
        match self.changes.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, "\nand {more} more; --json prints all"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |said: Option<RuleAction>| said.map_or("?", RuleAction::as_str);
        let agent = self.agent.as_ref().map_or("erased", AgentName::as_str);
        let agent = shown(agent, MAX_SHOWN);
        write!(
            f,
            "{}  {}  {agent}  {} -> {}  {}",
            self.position,
            self.apply_id,
            said(self.was),
            said(self.would),
            self.class.as_str()
        )?;
        let rules: Vec<_> = self.rules.iter().map(RuleId::as_str).collect();
        if !rules.is_empty() {
            write!(f, "  by {}", rules.join(", "))?;
        }
        match &self.why {
            Some(why) => write!(f, "  ({why})"),
            None => Ok(()),
        }
    }
}
