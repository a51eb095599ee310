//! `restore`.

use crate::cli::RestoreArgs;
use crate::config::{Environment, SigningSource};
use crate::output::say;
use crate::restore::Restoration;
use std::process::ExitCode;

/// Puts the backup in the ledger's place and says what is so from then on.
pub(crate) fn restore(environment: &Environment, args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let ((storage, signing), _) = environment.part(SigningSource::read_with_storage)?;
    let restoration = Restoration {
        storage: &storage,
        signing: &signing,
        backup: &args.file,
        checkpoint: args.checkpoint.as_deref(),
        fork: args.reason.as_deref().filter(|_| args.accept_fork),
    };
    let restored = super::runtime()?.block_on(restoration.carry_out())?;
    say!("restored    {}", storage.ledger.display());
    say!("ledger      {}", restored.ledger.ledger_id);
    say!(
        "records     {}, each follows from the one before it",
        restored.ledger.size
    );
    say!("head hash   {}", restored.ledger.record_hash);
    match &restored.checkpoint {
        Some((origin, size)) if args.accept_fork => {
            say!("goes on as  {origin}, first signed over {size} events");
        }
        Some((origin, size)) => say!("signed      {size} events, as {origin}"),
        None => say!("signed      nothing that is known here"),
    }
    if restored.left_behind > 0 {
        say!(
            "left behind {} events of the ledger that stood here, in what was moved aside",
            restored.left_behind
        );
    }
    for file in &restored.aside {
        say!("moved aside {}", file.display());
    }
    if restored.key_is_missing {
        say!(
            "before the next start: put the signing key back, into {} or LEDGER_SIGNING_KEY",
            storage.signing_key_file().display()
        );
    }
    say!(
        "\nWhat was recorded after the backup is not in it: look through the upstream's own audit log for \
         that time."
    );
    Ok(ExitCode::SUCCESS)
}
