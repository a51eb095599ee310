//! The check that the master keys open what the ledger holds.

use anyhow::Context;
use ledger::command::NewCallback;
use ledger::{Ledger, SealContext, StreamId};
use projections::Projections;

/// How many sealed values are tried: a sample, so that a start costs the same whatever the ledger's
/// length is.
const MOST: u32 = 64;

/// Opens some of the sealed values. With a wrong key every callback would fail, one after the other
/// and long after the start; so the start fails instead, unless the operator has said that the key
/// is lost.
///
/// # Errors
/// The first value that does not open.
pub(crate) async fn check_sealed(
    ledger: &Ledger,
    projections: &Projections,
    key_is_lost: bool,
) -> anyhow::Result<()> {
    let mut unopened = 0_u32;
    for callback in projections.sample_of_callbacks(MOST).await? {
        let place = SealContext {
            ledger_id: ledger.id(),
            stream: StreamId::from(callback.task_id),
            field: NewCallback::SECRET_FIELD,
        };
        let opened = ledger
            .rules()
            .master_keys
            .open(&place, &callback.sealed_secret);
        match opened {
            Err(_) if key_is_lost => unopened += 1,
            opened => drop(opened.with_context(|| {
                format!(
                    "the secret of callback {} does not open; MASTER_KEY and MASTER_KEY_PREVIOUS \
                     (or the key file) must hold the keys of this ledger",
                    callback.callback_id
                )
            })?),
        }
    }
    if unopened > 0 {
        tracing::error!(
            unopened,
            "MASTER_KEY_LOST is true: secrets of callbacks do not open; their deliveries will fail \
             with secret_unreadable"
        );
    }
    Ok(())
}
