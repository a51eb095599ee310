//! The verifier: fed record by record, it keeps what later records must agree with.

use super::check::Check;
use super::checkpoints::Checkpoints;
use super::finding::Findings;
use super::history::History;
use super::log::{AuditRecord, Log};
use super::options::{Depth, VerifyOptions};
use super::report::{NoteSource, Report};
use crate::tlog::{ConsistencyProof, Frontier, TreeHash};

/// Verifies a ledger, or a range of it, in one pass.
///
/// First the checkpoints ([`Self::checkpoint`]; those of [`VerifyOptions::since`] are taken from
/// there), then the records in their order ([`Self::record`]), then [`Self::finish`]. What it keeps
/// grows with the number of streams, not with the number of records or the size of payloads.
#[derive(Debug)]
pub struct Verifier {
    options: VerifyOptions,
    findings: Findings,
    checkpoints: Checkpoints,
    log: Log,
    history: History,
    begun: bool,
    to_the_end: bool,
    /// The root before the last position of a backtest.
    root_at: Option<TreeHash>,
}

impl Verifier {
    /// Of a whole ledger: the first record is at position 0.
    #[must_use]
    pub fn new(options: VerifyOptions) -> Self {
        Self::from_frontier(options, Frontier::empty())
    }

    /// Of a range: the first record is at the frontier's size. The frontier is taken as it comes; that
    /// it is right is proven by the first checkpoint that holds.
    #[must_use]
    pub fn from_frontier(options: VerifyOptions, frontier: Frontier) -> Self {
        let mut verifier = Self {
            findings: Findings::new(options.max_findings),
            checkpoints: Checkpoints::default(),
            history: History::new(frontier.size(), options.depth, &options),
            log: Log::new(frontier),
            options,
            begun: false,
            to_the_end: false,
            root_at: None,
        };
        for note in std::mem::take(&mut verifier.options.since) {
            verifier.checkpoint(NoteSource::Since, &note.to_string(), None);
        }
        verifier
    }

    /// Takes a checkpoint, as the text of a signed note. One that reaches beyond the last record needs
    /// a proof that it continues the records. It must come before the first record.
    pub fn checkpoint(&mut self, source: NoteSource, note: &str, bridge: Option<ConsistencyProof>) {
        self.checkpoints
            .add(source, note, bridge, &self.options, &mut self.findings);
    }

    /// From here on, records that no checkpoint covers are wrong. A ledger that is being written always
    /// has some; whoever hands records over has had the time to sign them, and anybody else can add to
    /// what is not signed.
    pub const fn must_be_signed_to_the_end(&mut self) {
        self.to_the_end = true;
    }

    /// Takes the next record.
    pub fn record(&mut self, record: &AuditRecord<'_>) {
        self.begin();
        self.log.take(record, &mut self.findings);
        self.checkpoints
            .pass(self.log.frontier(), &mut self.findings);
        self.history.take(record, &mut self.findings);
        if let Some(backtest) = &self.options.backtest
            && backtest.to == Some(self.log.next())
        {
            self.root_at = Some(self.log.frontier().root());
        }
    }

    /// Something that its source could not make a record of. The next record is expected in its place.
    pub fn unreadable(&mut self, position: Option<u64>, check: Check, reason: impl Into<String>) {
        self.findings.add(position, check, reason);
    }

    /// The position at which the next record is expected.
    #[must_use]
    pub const fn next_position(&self) -> u64 {
        self.log.next()
    }

    /// The report.
    #[must_use]
    pub fn finish(mut self) -> Report {
        self.begin();
        let mut findings = self.findings;
        let compared = self.history.compared();
        let history = self.history.finish(&mut findings);
        let from = self.log.from();
        let checkpoints =
            self.checkpoints
                .finish(from, self.log.frontier(), self.to_the_end, &mut findings);
        if let Some(policy) = &self.options.policy
            && policy.needs_witnesses()
            && !checkpoints
                .iter()
                .any(|given| given.covers(from) && given.witnessed)
        {
            let reason = "no checkpoint that covers these records is cosigned as the policy asks";
            findings.add(None, Check::WitnessPolicy, reason);
        }
        let depth = self.options.depth;
        let mut report = Report::new(&self.log, depth, checkpoints, history, findings);
        let backtest = compared.map(|compared| report.backtest_of(compared, self.root_at));
        report.backtest = backtest;
        report
    }

    fn begin(&mut self) {
        if !std::mem::replace(&mut self.begun, true) {
            self.checkpoints.arm(self.log.frontier());
            self.checkpoints
                .pass(self.log.frontier(), &mut self.findings);
        }
    }
}

impl Depth {
    /// True when payloads are read.
    #[must_use]
    pub(super) const fn reads_payloads(self) -> bool {
        matches!(self, Self::Everything)
    }
}
