//! The operator's actions: through the running service, or on the ledger itself.

use super::tell;
use crate::config::{Environment, Storage};
use crate::operator::{Account, Action, Links, Performed, ask_service, perform};
use crate::service::OpenedLedger;
use anyhow::Context;
use std::process::ExitCode;

/// Has the action recorded and prints how it ended.
pub(crate) fn operate(environment: &Environment, action: Action) -> anyhow::Result<ExitCode> {
    let (storage, _) = environment.part(Storage::read)?;
    let performed = match ask_service(&storage.control_socket(), &action)? {
        Some(performed) => performed,
        None => without_service(environment, action)?,
    };
    Ok(super::report(&performed))
}

/// What follows from the action is owed from here on and happens at the next start.
fn without_service(environment: &Environment, action: Action) -> anyhow::Result<Performed> {
    let (config, warnings) = environment
        .config()
        .context("no service answers, and to open its ledger here its settings are needed")?;
    tell(&warnings);
    super::runtime()?.block_on(async {
        let opened = OpenedLedger::open_existing(&config).await?;
        let account = Account::own().context("asking who runs this command")?;
        let performed = perform(&opened.ledger, &Links::of(&config), &account, action).await;
        opened.close().await?;
        Ok(performed)
    })
}
