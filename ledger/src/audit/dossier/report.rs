//! The result of verifying a dossier.

use crate::audit::finding::{Finding, Impossible};
use crate::audit::report::{CheckedCheckpoint, HistoryReport, Range, Verdict};
use crate::id::{LedgerId, TaskId};
use serde::Serialize;

/// The limits of every dossier, whatever is in it.
pub const DOSSIER_LIMITS: &[&str] = &[
    "That these are all events of the task. The versions of each stream are gapless up to the last \
     record here, so nothing is left out in between; that nothing came after it, and that no other \
     apply, approval or delivery of the task was left out, only the whole ledger shows (ledger verify).",
    "That the log is the only one. The key is trusted because you trust where you have it from; only \
     witnesses, or a checkpoint that you kept, tell whether others were shown another history.",
    "Whose the approvers' keys are. Compare their thumbprints with those that the approvers have.",
    "What the upstream did beyond what its answers said, and what was in a request beyond its digest.",
];

/// The result of verifying a dossier.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DossierReport {
    /// The same in a word, which tells apart what was checked in full and in part.
    pub verdict: Verdict,
    /// Nothing was found wrong.
    pub verified: bool,
    /// The ledger, as the dossier names it.
    pub ledger_id: LedgerId,
    /// The task, as the dossier names it.
    pub task_id: TaskId,
    /// The checkpoint that everything is proven against.
    pub checkpoint: CheckedCheckpoint,
    /// How many records there are.
    pub records: u64,
    /// How many of them are the task's own.
    pub task_records: u64,
    /// Positions whose payloads are not there any more.
    pub erased: Vec<Range>,
    /// The sum of the events.
    pub history: HistoryReport,
    /// The broken rules, the earliest records first.
    pub findings: Vec<Finding>,
    /// Findings beyond those that are kept.
    pub more_findings: u64,
    /// The rules that could not be checked.
    pub impossible: Vec<Impossible>,
    /// The limits of every dossier ([`DOSSIER_LIMITS`]).
    pub limits: &'static [&'static str],
}
