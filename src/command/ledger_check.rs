//! `ledger check`.

use crate::chain::check_chain;
use crate::config::{Environment, MasterKeySource};
use crate::output::{note, say};
use anyhow::{Context, bail};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

/// Records between two words about progress.
const EVERY: u64 = 100_000;

/// Recomputes the chain and prints what it came to.
pub(crate) fn ledger_check(environment: &Environment) -> anyhow::Result<ExitCode> {
    let storage = super::existing_storage(environment)?;
    // Without the key the rest is checked, and the last line says so.
    let keys = environment.part(MasterKeySource::read_with_storage).ok();
    let keys = keys.and_then(|(keys, _)| keys.existing().ok().flatten());
    let has_key = keys.is_some();
    let watched = std::io::stderr().is_terminal();
    let (checked, erased, unproven) = super::runtime()?.block_on(async {
        let reader = super::read_ledger(&storage).await?;
        let progress = |done: u64| {
            if watched && done.is_multiple_of(EVERY) {
                note!("{done} records follow from one another so far");
            }
        };
        let checked = check_chain(&reader, progress).await?;
        let erased = reader
            .verify_erasures()
            .await
            .context("what was erased is not what the ledger says was erased")?;
        reader
            .verify_lookups()
            .await
            .context("what decisions look up is not what the events make it")?;
        let unproven = reader
            .check_file(keys.map(Arc::new), providers::all())
            .await?;
        anyhow::Ok((checked, erased, unproven))
    })?;
    say!("ledger     {}", checked.ledger_id);
    say!(
        "records    {}, each follows from the one before it",
        checked.size
    );
    if erased > 0 {
        say!("erased     {erased} payloads, as events of the ledger say");
    }
    say!("lookups    what decisions look up follows from the records");
    say!("head hash  {}", checked.head);
    match unproven {
        None => say!("proof      the MAC of the head is right"),
        Some(why) if !has_key => say!("proof      none: {why}"),
        Some(why) => bail!(
            "nothing proves that a service with these keys wrote the ledger: {why} (docs/operations.md, \
             Nothing proves the ledger)"
        ),
    }
    Ok(ExitCode::SUCCESS)
}
