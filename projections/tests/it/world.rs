//! A ledger and its read tables in one folder.

use fixtures::test_ledger::{Setup, TestLedger};
use projections::{Error, ProjectionOptions, Projections, Runner};
use std::path::{Path, PathBuf};

/// Where the read tables of a ledger stand in these tests.
pub(crate) fn path_of(ledger: &TestLedger) -> PathBuf {
    ledger.dir().join("proxy.db")
}

pub(crate) fn url_of(path: &Path) -> String {
    format!("sqlite://{}", path.display())
}

pub(crate) async fn open(ledger: &TestLedger) -> Result<(Projections, Runner), Error> {
    Projections::open(ProjectionOptions {
        url: url_of(&path_of(ledger)),
        ledger: ledger.ledger.clone(),
    })
    .await
}

/// A new ledger and its read tables.
pub(crate) async fn new() -> (TestLedger, Projections, Runner) {
    let ledger = TestLedger::with(Setup::default()).await;
    let (projections, runner) = open(&ledger).await.unwrap();
    (ledger, projections, runner)
}

/// Folds everything that the ledger holds.
pub(crate) async fn catch_up(runner: &mut Runner) {
    runner.catch_up(|_| {}).await.unwrap();
}
