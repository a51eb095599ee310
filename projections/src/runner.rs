//! The one task that folds: it wakes when the ledger grows and brings the tables up to its head.

use crate::error::Error;
use crate::folder::Folder;
use crate::online::{Rebuilding, Request, Step};
use crate::opening;
use crate::projection::Projection;
use crate::projections::{
    ProjectionOptions, ProjectionStatus, Status, Stop, Told, ToldAll, Wanted, measure,
};
use crate::source::Source;
use crate::store::{FolderLock, Place};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// The most events that share one transaction.
const BATCH: u64 = 2000;

/// How long new events may wait for others to be folded with, while nobody waits for them: a commit
/// for each of them would cost more than they do.
const PACE: Duration = Duration::from_millis(50);

/// How often a batch is tried again after the file failed, before folding stops.
const TRIES: u32 = 5;

/// How long a reader is given before what was erased is tried to be taken from the file again.
const READER: Duration = Duration::from_millis(200);

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
    source: Source,
    size: watch::Receiver<u64>,
    folder: Arc<Mutex<Folder>>,
    told: Arc<ToldAll>,
    wanted: Arc<Wanted>,
    /// When a batch was folded last.
    folded_at: Option<Instant>,
    path: PathBuf,
    asks: mpsc::Sender<Request>,
    requests: mpsc::Receiver<Request>,
    rebuilding: Option<Rebuilding>,
    /// Wakes the runner when a comparison has ended.
    compared: Arc<Notify>,
    /// No tables are left that are not in use.
    is_clean: bool,
    /// Held for as long as anything may be folded.
    _lock: FolderLock,
}

impl Runner {
    pub(crate) async fn open(options: ProjectionOptions) -> Result<(Self, PathBuf), Error> {
        let opened = opening::open(&options).await?;
        let folder = opened.folder;
        let told = Projection::ALL.map(|projection| {
            let live = folder
                .fold_of(projection, Place::Live)
                .map(|live| live.standing.cursor);
            Told {
                cursor: watch::Sender::new(live.unwrap_or_default()),
                stop: watch::Sender::new(None),
            }
        });
        let (asks, requests) = mpsc::channel(1);
        let runner = Self {
            path: opened.path.clone(),
            asks,
            requests,
            rebuilding: None,
            compared: Arc::default(),
            is_clean: true,
            size: options.ledger.size(),
            source: Source::Live(options.ledger),
            folder: Arc::new(Mutex::new(folder)),
            told: Arc::new(told),
            wanted: Arc::default(),
            folded_at: None,
            _lock: opened.lock,
        };
        Ok((runner, opened.path))
    }

    pub(crate) fn told(&self) -> Arc<ToldAll> {
        Arc::clone(&self.told)
    }

    pub(crate) fn wanted(&self) -> Arc<Wanted> {
        Arc::clone(&self.wanted)
    }

    pub(crate) fn requests(&self) -> mpsc::Sender<Request> {
        self.asks.clone()
    }

    /// Folds everything that the ledger holds now. A projection that meets what it cannot fold
    /// stops there, which is no error here: the others go on, and [`crate::Status`] says which and
    /// why.
    ///
    /// # Errors
    /// When the ledger cannot be read or the file fails repeatedly; what was folded before stays.
    pub async fn catch_up(&mut self, mut on_progress: impl FnMut(Progress)) -> Result<(), Error> {
        let head = *self.size.borrow();
        let Some((start, _)) = self.folder().next(Place::Live, head, BATCH) else {
            return Ok(());
        };
        loop {
            let next = self.folder().next(Place::Live, head, BATCH);
            let Some((from, limit)) = next else {
                return Ok(());
            };
            self.fold_next(from, limit).await?;
            let next = self.folder().next(Place::Live, head, BATCH);
            let reached = next.map_or(head, |(from, _)| from);
            on_progress(Progress {
                done: reached.saturating_sub(start),
                total: head.saturating_sub(start),
            });
        }
    }

    /// Catches up, then follows the ledger until `stop` is cancelled.
    ///
    /// # Errors
    /// What ends the folding, as in [`Runner::catch_up`].
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        let ended = self.follow(&stop).await;
        if let Err(error) = &ended {
            tracing::error!(error = error.on_one_line(), "the read tables have stopped");
            self.stop_all(error);
        }
        ended
    }

    async fn follow(&mut self, stop: &CancellationToken) -> Result<(), Error> {
        while !stop.is_cancelled() {
            let head = *self.size.borrow_and_update();
            let next = self.folder().next(Place::Live, head, BATCH);
            if let Some((from, limit)) = next {
                if let Some(due) = self.due(from, limit) {
                    let requests = &mut self.requests;
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep_until(due) => {}
                        () = self.wanted.more.notified() => {}
                        // Under load there may be no better moment. None is under way, or it would be due.
                        Some(request) = requests.recv() => self.begin(request),
                    }
                    // With what has come in the meantime.
                    continue;
                }
                self.folded_at = Some(Instant::now());
                match self.fold_next(from, limit).await {
                    // What cannot be done for both sets may be for the one in use.
                    Err(error) if self.rebuilding.is_some() => self.abandon(error),
                    folded => folded?,
                }
                continue;
            }
            self.measure();
            if self.go_on_rebuilding(head).await? || self.clean().await? {
                continue;
            }
            let is_free = self.rebuilding.is_none();
            let is_dirty = is_free && self.scrub().await;
            let requests = &mut self.requests;
            tokio::select! {
                () = stop.cancelled() => break,
                // The ledger is gone, and with it whatever could still come.
                changed = self.size.changed() => if changed.is_err() { break },
                () = self.compared.notified() => {}
                Some(request) = requests.recv(), if is_free => self.begin(request),
                () = tokio::time::sleep(READER), if is_dirty => {}
            }
        }
        Ok(())
    }

    /// When the events from there on are to be folded; `None` when that is now.
    fn due(&self, from: u64, limit: u32) -> Option<Instant> {
        let is_full = u64::from(limit) >= BATCH;
        if is_full || self.rebuilding.is_some() || self.wanted.includes(from) {
            return None;
        }
        let due = self.folded_at? + PACE;
        (Instant::now() < due).then_some(due)
    }

    /// Makes empty tables for what somebody wants anew.
    fn begin(&mut self, request: Request) {
        let names = request.names.clone();
        let rebuilding = Rebuilding::new(request);
        let begun = self.folder().begin_beside(&names);
        match begun {
            Ok(()) => {
                let names: Vec<_> = names.iter().map(|name| name.as_str()).collect();
                tracing::info!(projections = names.join(" "), "a rebuild begins");
                self.rebuilding = Some(rebuilding);
            }
            Err(error) => rebuilding.fail(error),
        }
    }

    /// Does the next step of a rebuild, when there is one to be done.
    async fn go_on_rebuilding(&mut self, head: u64) -> Result<bool, Error> {
        match self.next_step(head) {
            Some(Step::Fold(from, limit)) => {
                // Not tried again and again: the tables in use would wait for that.
                if let Err(error) = self.try_fold(from, limit).await {
                    self.abandon(error);
                }
            }
            Some(Step::Compared) => {}
            Some(Step::Switch) => self.switch(head).await?,
            Some(Step::GiveUp(error)) => self.abandon(error),
            Some(Step::Wait) | None => return Ok(false),
        }
        Ok(true)
    }

    /// What is to be done about a rebuild; a comparison is begun here, between two batches.
    fn next_step(&mut self, head: u64) -> Option<Step> {
        let rebuilding = self.rebuilding.as_mut()?;
        let folder = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        rebuilding.tell(&folder, head);
        Some(rebuilding.step(&folder, head, &self.path, &self.compared))
    }

    /// Puts the new tables in use, and tells.
    async fn switch(&mut self, head: u64) -> Result<(), Error> {
        let switched = self.folder().switch();
        let names = match switched {
            Ok(names) => names,
            Err(error) => {
                self.abandon(error);
                return Ok(());
            }
        };
        for (projection, told) in Projection::ALL.into_iter().zip(&*self.told) {
            if names.contains(&projection) {
                told.stop.send_replace(None);
            }
        }
        self.tell();
        self.is_clean = false;
        tracing::info!(events = head, "the rebuilt tables are in use");
        if let Some(rebuilding) = self.rebuilding.take() {
            rebuilding.succeed(head).await;
        }
        Ok(())
    }

    /// Ends a rebuild without result.
    fn abandon(&mut self, error: Error) {
        if let Some(rebuilding) = self.rebuilding.take() {
            rebuilding.fail(error);
        }
        self.is_clean = false;
        if let Err(error) = self.folder().abandon() {
            // Nobody folds into those tables any more; the next rebuild, or start, removes them.
            tracing::warn!(
                error = error.on_one_line(),
                "the tables of a rebuild that was given up are not removed"
            );
        }
    }

    /// Removes some of what was replaced or given up; whether there may be more.
    async fn clean(&mut self) -> Result<bool, Error> {
        if self.is_clean || self.rebuilding.is_some() {
            return Ok(false);
        }
        let folder = Arc::clone(&self.folder);
        let cleaned = tokio::task::spawn_blocking(move || {
            let mut folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
            folder.clean()
        });
        self.is_clean = match cleaned.await.map_err(|_| Error::Ended)? {
            Ok(more) => !more,
            Err(error) => {
                // The next start removes it.
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    "replaced tables are not removed"
                );
                true
            }
        };
        Ok(!self.is_clean)
    }

    /// Takes what was erased from the file for good; whether something is left to be done.
    async fn scrub(&self) -> bool {
        if !self.folder().is_dirty {
            return false;
        }
        let folder = Arc::clone(&self.folder);
        // SQLite blocks.
        let scrubbed = tokio::task::spawn_blocking(move || {
            let mut folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
            folder.scrub()
        });
        if let Ok(Err(error)) = scrubbed.await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "what was erased may still stand in the read tables' files; it is tried again"
            );
            return false;
        }
        self.folder().is_dirty
    }

    fn folder(&self) -> MutexGuard<'_, Folder> {
        // A fold that panicked has left its transaction open, and the next BEGIN says so.
        self.folder.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Folds a batch; what may pass is given a few more chances.
    async fn fold_next(&mut self, from: u64, limit: u32) -> Result<(), Error> {
        let mut tries = 1;
        loop {
            let folded = self.try_fold(from, limit).await;
            self.tell();
            match folded {
                Err(error) if error.may_pass() && tries < TRIES => {
                    tracing::warn!(
                        error = error.on_one_line(),
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

    async fn try_fold(&self, from: u64, limit: u32) -> Result<(), Error> {
        let items = self.source.items(from, limit).await?;
        let folder = Arc::clone(&self.folder);
        // SQLite blocks.
        let folded = tokio::task::spawn_blocking(move || {
            let mut folder = folder.lock().unwrap_or_else(PoisonError::into_inner);
            folder.fold(from, &items)
        });
        folded.await.map_err(|_| Error::Ended)?
    }

    /// Tells readers and logs where the projections stand.
    fn tell(&self) {
        for (projection, told) in Projection::ALL.into_iter().zip(&*self.told) {
            let (cursor, stop) = {
                let folder = self.folder();
                let Some(fold) = folder.fold_of(projection, Place::Live) else {
                    continue;
                };
                (fold.standing.cursor, fold.stop.clone())
            };
            told.cursor.send_if_modified(|told| {
                let moved = *told != cursor;
                *told = cursor;
                moved
            });
            if let Some(stop) = stop {
                stop_telling(projection, told, stop);
            }
        }
    }

    /// Nothing is folded any more, for a reason that concerns all projections.
    fn stop_all(&self, error: &Error) {
        for (projection, told) in Projection::ALL.into_iter().zip(&*self.told) {
            let position = *told.cursor.borrow();
            let why = error.on_one_line();
            stop_telling(projection, told, Stop { position, why });
        }
        self.measure();
    }

    fn measure(&self) {
        let told = Projection::ALL.into_iter().zip(&*self.told);
        let projections = told.map(|(projection, told)| ProjectionStatus {
            projection,
            cursor: *told.cursor.borrow(),
            stop: told.stop.borrow().clone(),
        });
        measure(&Status {
            projections: projections.collect(),
            head: *self.size.borrow(),
        });
    }
}

fn stop_telling(projection: Projection, told: &Told, stop: Stop) {
    told.stop.send_if_modified(|told| {
        if told.is_some() {
            return false;
        }
        tracing::error!(
            projection = projection.as_str(),
            event.position = stop.position,
            why = stop.why,
            "a projection has stopped"
        );
        *told = Some(stop);
        true
    });
}
