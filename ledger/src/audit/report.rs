//! The result of a verification.

use super::backtest::{Backtest, Compared, TriedPolicy};
use super::finding::{Finding, Findings, Impossible};
use super::log::Log;
use super::options::Depth;
use crate::assertion::KeyThumbprint;
use crate::clock::Timestamp;
use crate::id::LedgerId;
use crate::name::{ApproverName, CredentialId};
use crate::record::RecordHash;
use crate::tlog::{Checkpoint, Cosignature, TreeHash};
use serde::Serialize;

/// Where a checkpoint came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteSource {
    /// The bundle that is verified.
    Bundle,
    /// The dossier that is verified.
    Dossier,
    /// The file beside the ledger.
    Stored,
    /// The service that was asked.
    Service,
    /// The auditor, who kept it from earlier.
    Since,
}

impl NoteSource {
    /// For people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bundle => "the bundle's checkpoint",
            Self::Dossier => "the dossier's checkpoint",
            Self::Stored => "the stored checkpoint",
            Self::Service => "the service's checkpoint",
            Self::Since => "the checkpoint that was kept",
        }
    }
}

/// A valid cosignature of a trusted witness.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WitnessedBy {
    /// Its name.
    pub witness: String,
    /// When, by its clock.
    pub at: Timestamp,
}

impl From<&Cosignature> for WitnessedBy {
    fn from(cosignature: &Cosignature) -> Self {
        Self {
            witness: cosignature.witness.as_str().to_owned(),
            at: cosignature.at,
        }
    }
}

/// One checkpoint that was given, and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckedCheckpoint {
    /// Where it came from.
    pub source: NoteSource,
    /// Its log; this and the next two only where a trusted key has signed it.
    pub origin: Option<String>,
    /// How many records it covers.
    pub size: Option<u64>,
    /// The root of their tree.
    pub root: Option<TreeHash>,
    /// The valid cosignatures of the policy's witnesses.
    pub cosignatures: Vec<WitnessedBy>,
    /// They are enough for the policy.
    pub witnessed: bool,
    /// The records have this root, or are proven to be the beginning of it.
    pub holds: bool,
}

impl CheckedCheckpoint {
    pub(super) const fn unread(source: NoteSource) -> Self {
        Self {
            source,
            origin: None,
            size: None,
            root: None,
            cosignatures: Vec::new(),
            witnessed: false,
            holds: false,
        }
    }

    /// It says something about records from a position on: one that ends there does not.
    pub(super) fn covers(&self, from: u64) -> bool {
        self.holds && self.size > Some(from)
    }

    pub(super) fn name(&mut self, checkpoint: &Checkpoint) {
        self.origin = Some(checkpoint.origin().as_str().to_owned());
        self.size = Some(checkpoint.size());
        self.root = Some(*checkpoint.root());
    }
}

/// Positions from the first to the last, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Range {
    /// The first position.
    pub first: u64,
    /// The last position.
    pub last: u64,
}

impl Range {
    /// The number of its positions.
    pub(super) const fn count(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }

    /// Adds the next position to ascending ranges.
    pub(super) fn push(ranges: &mut Vec<Self>, position: u64) {
        match ranges.last_mut() {
            Some(range) if range.last.checked_add(1) == Some(position) => range.last = position,
            _ => ranges.push(Self {
                first: position,
                last: position,
            }),
        }
    }
}

/// A key that decided, and how it came into the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DecidingKey {
    /// SHA-256 thumbprint (RFC 9679) in hexadecimal, as earlier reports have it: compare it with the approver's
    /// own.
    pub thumbprint: String,
    /// Whose, as the ledger says.
    pub principal: ApproverName,
    /// The credential's id.
    pub credential_id: CredentialId,
    /// Where the key was registered.
    pub registered_at_position: u64,
    /// The actor that registered it.
    pub registered_by: String,
    /// The comment on the auditor's list.
    pub listed_as: Option<String>,
    /// The relying party ids that it signed for.
    pub rp_ids: Vec<String>,
    /// The origins that it signed at.
    pub origins: Vec<String>,
    /// How many decisions.
    pub decisions: u64,
}

impl DecidingKey {
    /// Its thumbprint in the spelling for people, which enrolment shows too.
    #[must_use]
    pub fn thumbprint_for_people(&self) -> String {
        let read = KeyThumbprint::read(&self.thumbprint);
        read.map_or_else(|_| self.thumbprint.clone(), |it| it.to_base64url())
    }
}

/// The sum of the events.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct HistoryReport {
    /// The ledger that the events name.
    pub ledger_id: Option<LedgerId>,
    /// The software that made the ledger.
    pub software_version: Option<String>,
    /// Events that were read.
    pub events: u64,
    /// Streams that they belong to.
    pub streams: u64,
    /// Agents registered.
    pub agents: u64,
    /// Tasks created.
    pub tasks: u64,
    /// Tasks closed.
    pub tasks_closed: u64,
    /// Applies accepted.
    pub applies: u64,
    /// Applies that came to an end.
    pub applies_ended: u64,
    /// Apply attempts refused.
    pub refused: u64,
    /// Approvals asked for.
    pub approvals: u64,
    /// Decisions to approve.
    pub approved: u64,
    /// Decisions to deny.
    pub denied: u64,
    /// Applies authorised by an approval that was consumed for them.
    pub continued: u64,
    /// Operations that were sent.
    pub operations_started: u64,
    /// Operations that nothing was sent for.
    pub operations_simulated: u64,
    /// Approvers registered.
    pub approvers: u64,
    /// Deliveries owed.
    pub deliveries: u64,
    /// Tries of deliveries.
    pub delivery_attempts: u64,
    /// Deliveries that arrived.
    pub delivered: u64,
    /// Calls that the proxies have sent on, as far as they are recorded.
    #[serde(skip_serializing_if = "is_none")]
    pub calls: u64,
    /// Calls that change something upstream and whose end was not recorded: upstream may have carried them out.
    #[serde(skip_serializing_if = "is_none")]
    pub calls_without_end: u64,
    /// The keys that decided.
    pub deciding_keys: Vec<DecidingKey>,
    /// Positions whose payloads were erased, as later events say.
    pub erased: Vec<Range>,
    /// How many of these held the sealed key of an upstream that had been removed. Nothing is unchecked for want of one.
    #[serde(skip)]
    pub erased_keys: u64,
    /// Where the ledger went on from an older state of itself.
    pub forks: Vec<ForkReport>,
}

/// What most ledgers have none of stands in no report.
#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
const fn is_none(count: &u64) -> bool {
    *count == 0
}

/// A place where the ledger went on from an older state, under another origin and key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ForkReport {
    /// The first position that the two logs do not share.
    pub position: u64,
    /// The log that was left.
    pub old_origin: String,
    /// How many records that log had, by its newest checkpoint that was known.
    pub old_size: u64,
    /// The origin of the log from here on.
    pub new_origin: String,
    /// Why, as the operator said.
    pub reason: String,
}

/// The result of a verification, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every rule was checked and holds.
    Verified,
    /// Nothing is wrong, but some of it could not be checked: it was erased, lies outside the range, or
    /// was recorded by another version.
    AsFarAsPossible,
    /// Something is wrong.
    NotVerified,
}

impl Verdict {
    /// Of findings, and of whether everything could be checked.
    pub(super) const fn of(nothing_is_wrong: bool, everything: bool) -> Self {
        match (nothing_is_wrong, everything) {
            (false, _) => Self::NotVerified,
            (true, false) => Self::AsFarAsPossible,
            (true, true) => Self::Verified,
        }
    }
}

/// The result of a verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The same in a word, which tells apart what was checked in full and in part.
    pub verdict: Verdict,
    /// Nothing was found wrong.
    pub verified: bool,
    /// Payloads were read too.
    pub everything: bool,
    /// The ledger, as its first record or its events name it.
    pub ledger_id: Option<LedgerId>,
    /// The position of the first record.
    pub from: u64,
    /// The position after the last record.
    pub to: u64,
    /// How many records were looked at.
    pub records: u64,
    /// When the first and the last were recorded.
    pub recorded: Option<(Timestamp, Timestamp)>,
    /// The hash of the last record, and so of all.
    pub head_hash: Option<RecordHash>,
    /// The root of the tree over everything up to the last record.
    pub root: TreeHash,
    /// Every checkpoint that was given.
    pub checkpoints: Vec<CheckedCheckpoint>,
    /// Records below this position are covered by a signed checkpoint.
    pub signed_size: u64,
    /// Records below this one by a checkpoint that was witnessed as the policy asks.
    pub witnessed_size: u64,
    /// Records below this one by a checkpoint that the auditor kept.
    pub remembered_size: u64,
    /// At least one anchor that is not the operator's own holds.
    pub anchored: bool,
    /// The sum of the events, where payloads were read.
    pub history: HistoryReport,
    /// The broken rules, the earliest records first.
    pub findings: Vec<Finding>,
    /// Findings beyond those that are kept.
    pub more_findings: u64,
    /// The rules that could not be checked.
    pub impossible: Vec<Impossible>,
    /// What a policy that was to be tried says of the applies. It means nothing where something is wrong.
    #[serde(skip)]
    pub backtest: Option<Backtest>,
}

impl Report {
    pub(super) fn new(
        log: &Log,
        depth: Depth,
        checkpoints: Vec<CheckedCheckpoint>,
        history: HistoryReport,
        findings: Findings,
    ) -> Self {
        let (findings, more_findings, impossible) = findings.into_parts();
        let covered = |wanted: fn(&CheckedCheckpoint) -> bool| {
            let held = checkpoints
                .iter()
                .filter(|given| given.holds && wanted(given));
            let size = held.filter_map(|given| given.size).max().unwrap_or(0);
            size.min(log.next())
        };
        let signed_size = covered(|_| true);
        let witnessed_size = covered(|given| given.witnessed);
        let remembered_size = covered(|given| given.source == NoteSource::Since);
        let erased = history.erased.iter().map(|range| range.count());
        let is_whole = erased.sum::<u64>() == history.erased_keys;
        let in_full = impossible.is_empty() && log.from() == 0 && is_whole;
        Self {
            verdict: Verdict::of(findings.is_empty(), in_full),
            verified: findings.is_empty(),
            everything: depth.reads_payloads(),
            ledger_id: log.ledger_id().or(history.ledger_id),
            from: log.from(),
            to: log.next(),
            records: log.records(),
            recorded: log.times(),
            head_hash: log.head(),
            root: log.frontier().root(),
            signed_size,
            witnessed_size,
            remembered_size,
            anchored: witnessed_size > 0 || remembered_size > 0,
            checkpoints,
            history,
            findings,
            more_findings,
            impossible,
            backtest: None,
        }
    }

    /// A backtest over these records; `root_at` is the root before the last position that it was to look at,
    /// where there are records beyond it.
    pub(super) fn backtest_of(&self, compared: Compared, root_at: Option<TreeHash>) -> Backtest {
        let checkpoints = self.checkpoints.iter().filter(|given| given.holds);
        let cosignatures = checkpoints.flat_map(|given| &given.cosignatures);
        let candidate = compared.candidate;
        Backtest {
            ledger_id: self.ledger_id,
            from: candidate.from.max(self.from),
            to: candidate.to.map_or(self.to, |to| to.min(self.to)),
            root: root_at.unwrap_or(self.root),
            witnesses: cosignatures.map(|one| one.witness.clone()).collect(),
            engine: candidate.policy.policy().engine,
            recorded: compared.recorded,
            candidate: TriedPolicy {
                digest: candidate.policy.digest(),
                without: candidate.without,
            },
            counts: compared.counts,
            changes: compared.changes,
        }
    }

    /// The first thing that is wrong.
    #[must_use]
    pub fn first(&self) -> Option<&Finding> {
        self.findings.first()
    }
}
