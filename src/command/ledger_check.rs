//! `ledger check`.

use crate::chain::check_chain;
use crate::config::{Environment, Storage};
use crate::service::refuse_missing;
use anyhow::Context;
use ledger::Reader;
use std::io::IsTerminal;
use std::process::ExitCode;

/// Records between two words about progress.
const EVERY: u64 = 100_000;

/// Recomputes the chain and prints what it came to.
pub(crate) fn ledger_check(environment: &Environment) -> anyhow::Result<ExitCode> {
    let (storage, _) = environment.part(Storage::read)?;
    refuse_missing(&storage.ledger)?;
    let watched = std::io::stderr().is_terminal();
    let (checked, erased) = super::runtime()?.block_on(async {
        let reader = Reader::open(&storage.ledger_url())
            .await
            .context("the ledger cannot be read")?;
        let progress = |done: u64| {
            if watched && done.is_multiple_of(EVERY) {
                eprintln!("{done} records follow from one another so far");
            }
        };
        let checked = check_chain(&reader, progress).await?;
        let erased = reader
            .verify_erasures()
            .await
            .context("what was erased is not what the ledger says was erased")?;
        anyhow::Ok((checked, erased))
    })?;
    println!("ledger     {}", checked.ledger_id);
    println!(
        "records    {}, each follows from the one before it",
        checked.size
    );
    if erased > 0 {
        println!("erased     {erased} payloads, as events of the ledger say");
    }
    println!("head hash  {}", checked.head);
    Ok(ExitCode::SUCCESS)
}
