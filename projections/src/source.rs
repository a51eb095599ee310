//! Where events come from: a running ledger, or its file.

use crate::error::Error;
use crate::fold::Folder;
use ledger::{Ledger, Reader, Recorded};
use std::sync::Arc;

/// A ledger to fold.
pub(crate) enum Source {
    /// The one that this process writes; its newest events are in memory.
    Live(Ledger),
    /// A file that nobody writes.
    File(Reader),
}

/// Events as their source holds them.
enum Events {
    Shared(Vec<Arc<Recorded>>),
    Owned(Vec<Recorded>),
}

impl Source {
    async fn events_from(&self, position: u64, limit: u32) -> Result<Events, ledger::Error> {
        match self {
            Self::Live(ledger) => ledger
                .events_from(position, limit)
                .await
                .map(Events::Shared),
            Self::File(reader) => reader.events_from(position, limit).await.map(Events::Owned),
        }
    }

    /// Folds up to `limit` events in one transaction. When one of them cannot be read, those before
    /// it are folded first, so that the cursor stands exactly at what stopped it.
    pub(crate) async fn fold_next(&self, folder: &mut Folder, limit: u32) -> Result<(), Error> {
        let cursor = folder.state.cursor;
        match self.events_from(cursor, limit).await {
            Ok(events) => fold(folder, events).await,
            Err(
                error @ (ledger::Error::Decode { position, .. }
                | ledger::Error::Damaged { position, .. }),
            ) => {
                let readable = position.saturating_sub(cursor);
                if let Ok(readable @ 1..) = u32::try_from(readable) {
                    let events = self.events_from(cursor, readable).await?;
                    fold(folder, events).await?;
                }
                Err(error.into())
            }
            Err(error) => Err(error.into()),
        }
    }
}

async fn fold(folder: &mut Folder, events: Events) -> Result<(), Error> {
    match events {
        Events::Shared(events) => folder.fold(events.iter().map(|event| &**event)).await,
        Events::Owned(events) => folder.fold(events.iter()).await,
    }
}
