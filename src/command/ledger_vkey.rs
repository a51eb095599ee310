//! `ledger vkey`.

use crate::config::Environment;
use crate::output::say;
use anyhow::Context;
use std::process::ExitCode;

/// Prints the verifier key line.
pub(crate) fn ledger_vkey(environment: &Environment) -> anyhow::Result<ExitCode> {
    let storage = super::existing_storage(environment)?;
    let signing = super::runtime()?.block_on(async {
        let reader = super::read_ledger(&storage).await?;
        anyhow::Ok(reader.signing().await?)
    })?;
    let (_, key) = signing.context(
        "no checkpoint of this ledger has been signed yet: the next start of the service makes the key",
    )?;
    say!("{key}");
    Ok(ExitCode::SUCCESS)
}
