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

    /// Folds up to `limit` events in one transaction. When one of them cannot be read or folded,
    /// those before it are folded all the same, so that the cursor stands exactly at what stopped it.
    pub(crate) async fn fold_next(&self, folder: &mut Folder, limit: u32) -> Result<(), Error> {
        let stopped = match self.try_fold(folder, limit).await {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        let position = match &stopped {
            Error::Unfoldable { position, .. }
            | Error::Ledger(
                ledger::Error::Decode { position, .. } | ledger::Error::Damaged { position, .. },
            ) => *position,
            _ => return Err(stopped),
        };
        if let Ok(good @ 1..) = u32::try_from(position.saturating_sub(folder.state.cursor)) {
            self.try_fold(folder, good.min(limit)).await?;
        }
        Err(stopped)
    }

    async fn try_fold(&self, folder: &mut Folder, limit: u32) -> Result<(), Error> {
        match self.events_from(folder.state.cursor, limit).await? {
            Events::Shared(events) => folder.fold(events.iter().map(|event| &**event)).await,
            Events::Owned(events) => folder.fold(events.iter()).await,
        }
    }
}
