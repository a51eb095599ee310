//! The one task that folds: it wakes when the ledger grows and brings the tables up to its head.

use crate::error::Error;
use crate::fold::Folder;
use crate::projections::{ProjectionOptions, Told, set_lag};
use crate::source::Source;
use crate::store::{
    FolderLock, State, connect_writer, create_all, file_of, refuse_ledger, schema_hash,
};
use ledger::Ledger;
use sqlx::{Connection as _, SqliteConnection};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The most events that share one transaction.
pub(crate) const BATCH: u32 = 2000;

/// How often a batch is tried again after the database failed, before folding stops.
const TRIES: u32 = 5;

/// How far a long fold is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Events folded.
    pub done: u64,
    /// Events to fold, as of the start.
    pub total: u64,
}

/// Folds the ledger into the read tables.
pub struct Runner {
    ledger: Ledger,
    folder: Folder,
    told: Arc<Told>,
    /// Held for as long as anything may be folded.
    _lock: FolderLock,
}

impl Runner {
    pub(crate) async fn open(options: ProjectionOptions) -> Result<(Self, PathBuf), Error> {
        let ledger = options.ledger;
        let path = file_of(&options.url)?;
        refuse_ledger(&path, ledger.path())?;
        make_folder(&path)?;
        let lock = FolderLock::acquire(&path)?;
        let mut db = connect_writer(&path).await?;
        let state = match State::read(&mut db).await {
            Some(state) => {
                check(&state, &ledger).await?;
                if state.schema_hash == schema_hash() {
                    state
                } else {
                    tracing::info!(
                        events = *ledger.size().borrow(),
                        "the read tables' definitions have changed: they are made anew"
                    );
                    remake(&mut db, ledger.id(), Some(&state)).await?
                }
            }
            None => remake(&mut db, ledger.id(), None).await?,
        };
        let told = Arc::new(Told {
            cursor: watch::Sender::new(state.cursor),
            stopped: watch::Sender::new(None),
        });
        let runner = Self {
            ledger,
            folder: Folder::new(db, state),
            told,
            _lock: lock,
        };
        Ok((runner, path))
    }

    pub(crate) fn told(&self) -> Arc<Told> {
        Arc::clone(&self.told)
    }

    /// Folds everything that the ledger holds now.
    ///
    /// # Errors
    /// When an event cannot be read or folded, or the database fails repeatedly; what was folded
    /// before stays, and [`crate::Status::stopped`] says why.
    pub async fn catch_up(&mut self, mut on_progress: impl FnMut(Progress)) -> Result<(), Error> {
        let head = *self.ledger.size().borrow();
        let start = self.folder.state.cursor;
        let source = Source::Live(self.ledger.clone());
        while self.folder.state.cursor < head {
            let folded = self.fold_next(&source).await;
            let cursor = self.folder.state.cursor;
            self.told.cursor.send_replace(cursor);
            if let Err(error) = folded {
                self.told.stopped.send_replace(Some(describe(&error)));
                return Err(error);
            }
            on_progress(Progress {
                done: cursor.saturating_sub(start),
                total: head.saturating_sub(start),
            });
        }
        Ok(())
    }

    /// Catches up, then follows the ledger until `stop` is cancelled.
    ///
    /// # Errors
    /// What stops the folding, as in [`Runner::catch_up`].
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let mut size = self.ledger.size();
        loop {
            size.borrow_and_update();
            self.measure_lag();
            let caught_up = stop.run_until_cancelled(self.catch_up(|_| {})).await;
            match caught_up {
                None => break,
                Some(Err(error)) => {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        event.position = self.folder.state.cursor,
                        "the read tables have stopped"
                    );
                    return Err(error);
                }
                Some(Ok(())) => {}
            }
            self.measure_lag();
            match stop.run_until_cancelled(size.changed()).await {
                Some(Ok(())) => {}
                // The ledger is gone, and with it whatever could still come.
                Some(Err(_)) | None => break,
            }
        }
        if let Err(error) = self.folder.db.close().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "closing the read tables"
            );
        }
        Ok(())
    }

    /// Folds the next batch; a failing database is given a few more chances.
    async fn fold_next(&mut self, source: &Source) -> Result<(), Error> {
        let mut tries = 1;
        loop {
            let folded = source.fold_next(&mut self.folder, BATCH).await;
            match folded {
                Err(error @ Error::Database { .. }) if tries < TRIES => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        tries,
                        "a batch was not folded; trying again"
                    );
                    tokio::time::sleep(Duration::from_millis(100) * 2_u32.pow(tries)).await;
                    tries += 1;
                }
                other => return other,
            }
        }
    }

    fn measure_lag(&self) {
        let head = *self.ledger.size().borrow();
        set_lag(head.saturating_sub(self.folder.state.cursor));
    }
}

/// The error with its sources, on one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

pub(crate) fn make_folder(path: &std::path::Path) -> Result<(), Error> {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            std::fs::create_dir_all(folder).map_err(|source| Error::File {
                path: folder.to_owned(),
                doing: "made",
                source,
            })
        }
        _ => Ok(()),
    }
}

/// Drops what was there and makes empty tables, in one transaction.
pub(crate) async fn remake(
    db: &mut SqliteConnection,
    ledger_id: ledger::LedgerId,
    before: Option<&State>,
) -> Result<State, Error> {
    let mut transaction = db
        .begin_with("BEGIN IMMEDIATE")
        .await
        .map_err(Error::database("making the read tables"))?;
    let drop = match before {
        Some(state) => state.tables.clone(),
        None => crate::store::table_names()
            .into_iter()
            .map(str::to_owned)
            .collect(),
    };
    let state = create_all(&mut transaction, ledger_id, &drop).await?;
    transaction
        .commit()
        .await
        .map_err(Error::database("making the read tables"))?;
    Ok(state)
}

/// Whether the ledger holds what was folded. A shorter or another one stops the start: going on
/// would skip events, or mix two histories.
async fn check(state: &State, ledger: &Ledger) -> Result<(), Error> {
    if state.ledger_id != ledger.id() {
        return Err(Error::OtherLedger {
            remembered: state.ledger_id.to_string(),
            found: ledger.id().to_string(),
        });
    }
    let size = *ledger.size().borrow();
    if state.cursor > size {
        return Err(Error::LedgerShorter {
            remembered: state.cursor,
            found: size,
        });
    }
    let Some(position) = state.cursor.checked_sub(1) else {
        return Ok(());
    };
    let found = ledger.reader().record_hash(position).await?;
    if found != state.record_hash {
        let text = |hash: Option<ledger::RecordHash>| {
            hash.map_or_else(|| "none".to_owned(), |hash| hash.to_string())
        };
        return Err(Error::OtherHistory {
            position,
            remembered: text(state.record_hash),
            found: text(found),
        });
    }
    Ok(())
}
