//! The auditor's verifier: whether a ledger is what its operator says, from its records, a trusted key
//! and an anchor of the auditor's own. Pure: it builds without SQLite and async runtimes, and for
//! WebAssembly.
//!
//! - [`Verifier`] takes records one by one and ends in a [`Report`]; each rule is a [`Check`].
//! - [`verify_bundle`] reads a bundle, the file that `ledger export` writes ([`BundleWriter`]).
//!
//! What a report proves, and to whom, stands in `docs/audit.md`.

mod backtest;
mod bundle;
pub(crate) mod check;
mod checkpoints;
mod dossier;
mod finding;
mod history;
mod log;
mod options;
mod report;
mod text;
mod verifier;

pub use backtest::{
    Backtest, Candidate, Change, ChangeClass, ChangeCounts, RecordedPolicy, TriedPolicy,
};
pub use bundle::{
    BUNDLE_FORMAT, BundleError, BundleFrame, BundleMeta, BundleNote, BundleReader, BundleRecord,
    BundleWriter, MAX_FRAME_BYTES, verify_bundle,
};
pub use check::Check;
pub use dossier::{
    Bytes, DOSSIER_FORMAT, DOSSIER_LIMITS, DOSSIER_VERSION, Dossier, DossierError, DossierLog,
    DossierPart, DossierProof, DossierRecord, DossierReport, verify_dossier,
};
pub use finding::{Finding, Impossible, MAX_FINDINGS, Obstacle};
pub use log::{AuditRecord, Content};
pub use options::{Depth, InvalidPin, PinnedApprovers, VerifyOptions};
pub use report::{
    CheckedCheckpoint, DecidingKey, ForkReport, HistoryReport, NoteSource, Range, Report, Verdict,
    WitnessedBy,
};
pub use verifier::Verifier;
