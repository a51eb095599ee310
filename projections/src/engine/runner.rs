//! The one task that folds: it wakes when the ledger grows and brings the tables up to its head.

use crate::engine::online::{Rebuilding, Step};
use crate::engine::opening::{self, ProjectionOptions};
use crate::engine::projector::Projector;
use crate::engine::source::Source;
use crate::error::Error;
use crate::progress::{
    Demand, Progress, ProgressSender, ProgressSenders, ProjectionStatus, RebuildRequest, Status,
    measure,
};
use crate::projection::{Projection, Stop};
use crate::projections::Projections;
use crate::store::{ProjectorLock, TableSet, connect_readers};
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

/// Folds the ledger into the read tables.
pub struct Runner {
    source: Source,
    size: watch::Receiver<u64>,
    projector: Arc<Mutex<Projector>>,
    progress: Arc<ProgressSenders>,
    demand: Arc<Demand>,
    /// When a batch was folded last.
    folded_at: Option<Instant>,
    path: PathBuf,
    requests: mpsc::Receiver<RebuildRequest>,
    /// Keeps the channel open when no handle is left.
    _sender: mpsc::Sender<RebuildRequest>,
    rebuilding: Option<Rebuilding>,
    /// Wakes the runner when a comparison has ended.
    compared: Arc<Notify>,
    /// No tables are left that are not in use.
    is_clean: bool,
    /// Held for as long as anything may be folded.
    _lock: ProjectorLock,
}

impl Runner {
    async fn open(options: ProjectionOptions) -> Result<(Projections, Self), Error> {
        let opened = opening::open(&options).await?;
        let projector = opened.projector;
        let progress = Projection::ALL.map(|projection| {
            let live = projector
                .fold_of(projection, TableSet::Live)
                .map(|live| live.state.cursor);
            ProgressSender {
                cursor: watch::Sender::new(live.unwrap_or_default()),
                stop: watch::Sender::new(None),
            }
        });
        let (sender, requests) = mpsc::channel(1);
        let runner = Self {
            requests,
            rebuilding: None,
            compared: Arc::default(),
            is_clean: true,
            size: options.ledger.size(),
            source: Source::Live(options.ledger),
            projector: Arc::new(Mutex::new(projector)),
            progress: Arc::new(progress),
            demand: Arc::default(),
            folded_at: None,
            path: opened.path,
            _sender: sender.clone(),
            _lock: opened.lock,
        };
        let projections = Projections::new(
            connect_readers(&runner.path).await?,
            Arc::clone(&runner.progress),
            Arc::clone(&runner.demand),
            runner.size.clone(),
            sender,
        );
        Ok((projections, runner))
    }

    /// Folds everything that the ledger holds now. A projection that meets what it cannot fold
    /// stops there, which is no error here: the others go on, and [`crate::Status`] says which and
    /// why.
    ///
    /// # Errors
    /// When the ledger cannot be read or the file fails repeatedly; what was folded before stays.
    pub async fn catch_up(&mut self, mut on_progress: impl FnMut(Progress)) -> Result<(), Error> {
        let head = *self.size.borrow();
        let Some((start, _)) = self.projector().next(TableSet::Live, head, BATCH) else {
            return Ok(());
        };
        loop {
            let next = self.projector().next(TableSet::Live, head, BATCH);
            let Some((from, limit)) = next else {
                return Ok(());
            };
            self.fold_next(from, limit).await?;
            let next = self.projector().next(TableSet::Live, head, BATCH);
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
            let next = self.projector().next(TableSet::Live, head, BATCH);
            if let Some((from, limit)) = next {
                if let Some(due) = self.due(from, limit) {
                    let requests = &mut self.requests;
                    tokio::select! {
                        () = stop.cancelled() => break,
                        () = tokio::time::sleep_until(due) => {}
                        () = self.demand.raised.notified() => {}
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
        if is_full || self.rebuilding.is_some() || self.demand.includes(from) {
            return None;
        }
        let due = self.folded_at? + PACE;
        (Instant::now() < due).then_some(due)
    }

    /// Makes empty tables for what somebody wants anew.
    fn begin(&mut self, request: RebuildRequest) {
        let names = request.names.clone();
        let rebuilding = Rebuilding::new(request);
        let begun = self.projector().begin_beside(&names);
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

    /// The next step of a rebuild; a comparison is begun here, between two batches.
    fn next_step(&mut self, head: u64) -> Option<Step> {
        let rebuilding = self.rebuilding.as_mut()?;
        let projector = self
            .projector
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        rebuilding.tell(&projector, head);
        Some(rebuilding.step(&projector, head, &self.path, &self.compared))
    }

    /// Puts the new tables in use, and tells.
    async fn switch(&mut self, head: u64) -> Result<(), Error> {
        let switched = self.projector().switch();
        let names = match switched {
            Ok(names) => names,
            Err(error) => {
                self.abandon(error);
                return Ok(());
            }
        };
        for (projection, told) in Projection::ALL.into_iter().zip(&*self.progress) {
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
        if let Err(error) = self.projector().abandon() {
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
        let projector = Arc::clone(&self.projector);
        let cleaned = tokio::task::spawn_blocking(move || {
            let mut projector = projector.lock().unwrap_or_else(PoisonError::into_inner);
            projector.clean()
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
        if !self.projector().is_dirty {
            return false;
        }
        let projector = Arc::clone(&self.projector);
        // SQLite blocks.
        let scrubbed = tokio::task::spawn_blocking(move || {
            let mut projector = projector.lock().unwrap_or_else(PoisonError::into_inner);
            projector.scrub()
        });
        if let Ok(Err(error)) = scrubbed.await {
            tracing::error!(
                error = &error as &dyn std::error::Error,
                "what was erased may still stand in the read tables' files; it is tried again"
            );
            return false;
        }
        self.projector().is_dirty
    }

    fn projector(&self) -> MutexGuard<'_, Projector> {
        // A fold that panicked has left its transaction open, and the next BEGIN says so.
        self.projector
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
        let projector = Arc::clone(&self.projector);
        // SQLite blocks.
        let folded = tokio::task::spawn_blocking(move || {
            let mut projector = projector.lock().unwrap_or_else(PoisonError::into_inner);
            projector.fold(from, &items)
        });
        folded.await.map_err(|_| Error::Ended)?
    }

    /// Tells readers and logs where the projections stand.
    fn tell(&self) {
        for (projection, told) in Projection::ALL.into_iter().zip(&*self.progress) {
            let (cursor, stop) = {
                let projector = self.projector();
                let Some(fold) = projector.fold_of(projection, TableSet::Live) else {
                    continue;
                };
                (fold.state.cursor, fold.stop.clone())
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
        for (projection, told) in Projection::ALL.into_iter().zip(&*self.progress) {
            let position = *told.cursor.borrow();
            let why = error.on_one_line();
            stop_telling(projection, told, Stop { position, why });
        }
        self.measure();
    }

    fn measure(&self) {
        let told = Projection::ALL.into_iter().zip(&*self.progress);
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

impl Projections {
    /// Opens the read tables, making them where they are missing and emptying them where their
    /// definitions have changed; the [`Runner`] then folds what they lack.
    ///
    /// # Errors
    /// When the file is not ours, is the ledger's or is being folded into by another process, and
    /// when what it remembers of the ledger is not what the ledger holds.
    pub async fn open(options: ProjectionOptions) -> Result<(Self, Runner), Error> {
        Runner::open(options).await
    }
}

fn stop_telling(projection: Projection, told: &ProgressSender, stop: Stop) {
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
