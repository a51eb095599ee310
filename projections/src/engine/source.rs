//! Sources of events: a running ledger, or what is stored of it.

use crate::error::Error;
use ledger::{Ledger, Log, ReadError, RecordHash, Recorded};
use std::sync::Arc;

/// The most bytes that the payloads of events folded together may have.
const MOST_BYTES: u64 = 16 * 1024 * 1024;

/// A ledger to fold.
pub(crate) enum Source {
    /// The one that this process writes; its newest events are in memory.
    Live(Ledger),
    /// The stored events, whoever writes them.
    Stored(Arc<dyn Log>),
}

/// What stands at a position.
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all items are events; a box for each would cost as much as its move"
)]
pub(crate) enum Item {
    /// An event that others hold too.
    Shared(Arc<Recorded>),
    Owned(Recorded),
    /// Something that this version cannot read.
    Unreadable(Unreadable),
}

/// A record that cannot be read.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) position: u64,
    /// The header's event type, where it can be trusted.
    pub(crate) event_type: Option<u16>,
    pub(crate) record_hash: RecordHash,
    /// Why it cannot be read.
    pub(crate) why: String,
}

impl Unreadable {
    pub(crate) fn error(&self) -> Error {
        Error::Unreadable {
            position: self.position,
            why: self.why.clone(),
        }
    }
}

impl Item {
    pub(crate) fn recorded(&self) -> Result<&Recorded, &Unreadable> {
        match self {
            Self::Shared(recorded) => Ok(recorded),
            Self::Owned(recorded) => Ok(recorded),
            Self::Unreadable(unreadable) => Err(unreadable),
        }
    }

    pub(crate) fn position(&self) -> u64 {
        match self.recorded() {
            Ok(recorded) => recorded.position(),
            Err(unreadable) => unreadable.position,
        }
    }

    pub(crate) fn record_hash(&self) -> RecordHash {
        match self.recorded() {
            Ok(recorded) => recorded.header.record_hash(),
            Err(unreadable) => unreadable.record_hash,
        }
    }
}

impl Source {
    /// Up to `limit` items from a position on; fewer where they are large, and where one cannot be
    /// read, which then comes alone.
    pub(crate) async fn items(&self, position: u64, limit: u32) -> Result<Vec<Item>, Error> {
        let error = match self.events(position, limit).await {
            Ok(items) => return Ok(items),
            Err(error) => error,
        };
        let (ReadError::Decode { position: at, .. } | ReadError::Damaged { position: at, .. }) =
            error
        else {
            return Err(error.into());
        };
        match u32::try_from(at.saturating_sub(position)) {
            Ok(before @ 1..) => Ok(self.events(position, before.min(limit)).await?),
            _ => Ok(vec![Item::Unreadable(self.unreadable(at, error).await?)]),
        }
    }

    async fn events(&self, position: u64, limit: u32) -> Result<Vec<Item>, ReadError> {
        match self {
            Self::Live(ledger) => {
                let events = ledger.events_from(position, limit).await?;
                Ok(events.into_iter().map(Item::Shared).collect())
            }
            Self::Stored(log) => {
                let events = log.events_within(position, limit, MOST_BYTES).await?;
                Ok(events.into_iter().map(Item::Owned).collect())
            }
        }
    }

    async fn unreadable(&self, position: u64, error: ReadError) -> Result<Unreadable, Error> {
        let log = match self {
            Self::Live(ledger) => ledger.log(),
            Self::Stored(log) => log,
        };
        // A record whose hash cannot be read either stops everything: no cursor could stand after it.
        let Some((event_type, record_hash)) = log.form(position).await? else {
            return Err(error.into());
        };
        // What a damaged record says of its type cannot be trusted.
        let is_damaged = matches!(error, ReadError::Damaged { .. });
        Ok(Unreadable {
            position,
            event_type: Some(event_type).filter(|_| !is_damaged),
            record_hash,
            why: Error::from(error).on_one_line(),
        })
    }
}
