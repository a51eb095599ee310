//! What was signed of the ledger: the tree, the newest checkpoint, and whether the ledger holds it.

use super::finding::Finding;
use super::quantity::counted;
use crate::config::{SigningSource, Storage};
use crate::known_checkpoint::{KnownCheckpoint, Signer};
use ledger::tlog::Frontier;
use ledger_sqlite::{CheckedLedger, Reader};

const CHECK: &str = "checkpoint";

/// More events without a checkpoint than a second brings.
const MOST_UNSIGNED: u64 = 10_000;

/// Compares what was signed with the ledger as it was found.
pub(super) async fn look(
    storage: &Storage,
    signing: &SigningSource,
    ledger: Option<CheckedLedger>,
) -> Vec<Finding> {
    let Some(ledger) = ledger else {
        return Vec::new();
    };
    let finding = match compared(storage, signing, &ledger).await {
        Ok(finding) => finding,
        Err(error) => Finding::problem(
            CHECK,
            format!("{error:#}"),
            "the next start refuses this: put the file back, or restore with the newest checkpoint \
             that is known (docs/operations.md, Back up and restore)",
        ),
    };
    vec![finding]
}

async fn compared(
    storage: &Storage,
    signing: &SigningSource,
    ledger: &CheckedLedger,
) -> anyhow::Result<Finding> {
    let reader = Reader::open(&storage.ledger_url()).await?;
    let recorded = reader.signing().await?;
    let own = signing.public();
    if let (Some((origin, key)), Some(own)) = (&recorded, &own)
        && (origin, key) != (&own.0, &own.1)
    {
        return Ok(Finding::problem(
            CHECK,
            format!(
                "the ledger is signed as {origin} ({key}), and the settings are of {} ({})",
                own.0, own.1
            ),
            "set LEDGER_ORIGIN and the signing key back",
        ));
    }
    let was_signed = recorded.is_some();
    let signers: Vec<Signer> = recorded.into_iter().chain(own).collect();
    let state = signing.state_file();
    let Some(known) = KnownCheckpoint::read(state, &signers)? else {
        anyhow::ensure!(!was_signed, "{} is missing", state.display());
        return Ok(Finding::ok(
            CHECK,
            "none yet: the next start begins to sign",
        ));
    };
    let size = known.checkpoint.size();
    if reader
        .compute(Frontier::lookup(ledger.size)?)
        .await
        .is_err()
    {
        return Ok(Finding::warning(
            CHECK,
            "the tree of a ledger from an earlier version is not whole yet",
            "leave the service running: it fills the tree by itself, and then signs",
        ));
    }
    anyhow::ensure!(
        known.is_in(&reader).await?,
        "{} events have been signed, and this ledger does not hold them: it is an old copy, or another \
         one",
        size
    );
    let unsigned = ledger.size.saturating_sub(size);
    if unsigned > MOST_UNSIGNED {
        return Ok(Finding::warning(
            CHECK,
            format!("{} not signed yet", counted(unsigned, "event")),
            "beside a running service: its log says why it cannot sign; otherwise the next start signs",
        ));
    }
    Ok(Finding::ok(
        CHECK,
        format!(
            "{} of {} signed, as {}",
            size,
            counted(ledger.size, "event"),
            known.signer.0
        ),
    ))
}
