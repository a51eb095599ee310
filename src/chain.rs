//! Recomputing the hash chain from position 0.

use ledger::{LedgerId, Log as _, RecordHash, Recorded, genesis_hash};
use ledger_sqlite::Reader;

/// Events read at a time.
const STEP: u32 = 1000;

/// What was recomputed and found to be as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CheckedChain {
    pub(crate) ledger_id: LedgerId,
    /// How many records.
    pub(crate) size: u64,
    /// The hash of the last one, and so of all.
    pub(crate) head: RecordHash,
}

/// Where the chain breaks, or why it could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChainError {
    /// Nothing was ever recorded.
    #[error("the ledger holds no event")]
    Empty,
    /// A record does not follow from the one before it.
    #[error("the record at position {position} is not what it should be: {what} differs")]
    Broken {
        /// The first such record.
        position: u64,
        what: &'static str,
    },
    /// The file could not be read.
    #[error("the ledger cannot be read")]
    Read(#[from] ledger::ReadError),
}

/// Recomputes every record's hash and compares it with the stored one and with its successor's.
/// Payloads are decoded on the way; `on_progress` hears how many records are done.
///
/// # Errors
/// The first position that is wrong.
pub(crate) async fn check_chain(
    reader: &Reader,
    mut on_progress: impl FnMut(u64),
) -> Result<CheckedChain, ChainError> {
    let ledger_id = reader.ledger_id().await?.ok_or(ChainError::Empty)?;
    let mut size = 0;
    let mut head = genesis_hash(ledger_id);
    loop {
        let events = reader.events_from(size, STEP).await?;
        if events.is_empty() {
            break;
        }
        for event in &events {
            head = follow(event, size, head)?;
            size += 1;
        }
        let stored = reader.form(size.saturating_sub(1)).await?;
        let stored = stored.map(|(_, hash)| hash);
        if stored != Some(head) {
            return Err(ChainError::Broken {
                position: size.saturating_sub(1),
                what: "its stored hash",
            });
        }
        on_progress(size);
    }
    Ok(CheckedChain {
        ledger_id,
        size,
        head,
    })
}

/// The record's hash, when it stands where it should and names its predecessor.
fn follow(event: &Recorded, position: u64, before: RecordHash) -> Result<RecordHash, ChainError> {
    let broken = |what| ChainError::Broken { position, what };
    if event.position() != position {
        return Err(broken("its position"));
    }
    if event.header.prev_hash != before {
        return Err(broken("the hash of the record before it"));
    }
    Ok(event.header.record_hash())
}
