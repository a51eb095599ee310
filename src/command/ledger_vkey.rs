//! `ledger vkey`.

use crate::config::{Environment, Storage};
use crate::output::say;
use crate::service::refuse_missing;
use anyhow::Context;
use ledger_sqlite::Reader;
use std::process::ExitCode;

/// Prints the verifier key line.
pub(crate) fn ledger_vkey(environment: &Environment) -> anyhow::Result<ExitCode> {
    let (storage, _) = environment.part(Storage::read)?;
    refuse_missing(&storage.ledger)?;
    let signing = super::runtime()?.block_on(async {
        let reader = Reader::open(&storage.ledger_url())
            .await
            .context("the ledger cannot be read")?;
        anyhow::Ok(reader.signing().await?)
    })?;
    let (_, key) = signing.context(
        "no checkpoint of this ledger has been signed yet: the next start of the service makes the key",
    )?;
    say!("{key}");
    Ok(ExitCode::SUCCESS)
}
