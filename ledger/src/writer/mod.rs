//! The single writer: takes waiting commands, lets each decide, and commits them together.
//!
//! Commit point: a batch's events, lookups and head are one SQLite transaction. Answers leave after
//! it; a crash before it leaves nothing of the batch, a crash after it leaves all of it and callers
//! who ask again find it.

mod job;
mod known;
mod refusals;
mod state;
mod tail;
mod unit;
mod watchers;

pub(crate) use job::{Job, Outcome, TypedJob};
pub(crate) use known::KnownKeys;
pub use state::Stored;
pub(crate) use state::{Cache, Entry};
pub(crate) use tail::RecentEvents;
pub use unit::{Context, NewEvent, Unit};
pub(crate) use watchers::Watchers;

use crate::clock::{Clock, Random, Timestamp};
use crate::error::Error;
use crate::event::{Actor, Envelope, Event, LedgerCreated, Recorded, RefusalsCounted};
use crate::id::{CommandId, LedgerId, StreamId};
use crate::record::{FORMAT, Header, RecordHash, payload_digest};
use crate::rules::Rules;
use crate::store::{Head, Staged, append, check_tail, connect_writer, read_head};
use refusals::Refusals;
use sqlx::{Connection as _, SqliteConnection};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{mpsc, watch};
use unit::{Batch, Decided};

/// The most commands that share one commit.
const MAX_BATCH: usize = 256;

/// A place in the commit at which a test can let it fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitPoint {
    /// Before anything of the batch is written.
    Write,
    /// Before the transaction commits.
    Commit,
    /// After it has committed.
    Committed,
}

/// Lets commits fail; for tests of the failure contract.
pub trait CommitFaults: Send + Sync + 'static {
    /// An error here is taken as if SQLite had reported it at that point.
    fn strike(&self, point: CommitPoint) -> Option<sqlx::Error>;
}

/// What the writer and the readers of its work share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) ledger_id: LedgerId,
    pub(crate) cache: Cache,
    pub(crate) recent: RecentEvents,
    pub(crate) watchers: Watchers,
    /// The log's size as of the last commit.
    pub(crate) size: watch::Sender<u64>,
    /// Why the last commit failed, while nothing has been committed since.
    pub(crate) failing: watch::Sender<Option<String>>,
    /// `recorded_at` of the newest event, in microseconds.
    pub(crate) newest: std::sync::atomic::AtomicI64,
}

/// The writer's own belongings.
pub(crate) struct Writer {
    pub(crate) path: PathBuf,
    pub(crate) connection: SqliteConnection,
    pub(crate) head: Head,
    pub(crate) shared: Arc<Shared>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) rules: Arc<Rules>,
    pub(crate) faults: Option<Arc<dyn CommitFaults>>,
    pub(crate) refusals: Refusals,
    pub(crate) known: KnownKeys,
    pub(crate) newest: Timestamp,
}

/// How a commit ended.
enum Commit {
    /// The batch is in the log.
    Done,
    /// Nothing of it is.
    Lost(Error),
    /// Nobody may go on: what the disk holds cannot be trusted to be what it says.
    Fatal(Error),
}

/// Writes position 0 of a new ledger.
pub(crate) fn genesis(
    ledger_id: LedgerId,
    random: &dyn Random,
    now: Timestamp,
) -> Result<(Staged, Head), Error> {
    let head = Head::genesis(ledger_id);
    let created = Decided {
        new: NewEvent {
            stream: StreamId::from(ledger_id),
            event_id: random.event_id(now),
            event: Event::from(LedgerCreated {
                ledger_id,
                format: FORMAT,
                software_version: env!("CARGO_PKG_VERSION").to_owned(),
            }),
            cause: None,
        },
        version: 0,
        envelope: Envelope {
            actor: Actor::system("ledger"),
            request_id: None,
            cause: None,
            command_id: CommandId::from_bytes(random.uuid_v7(now)),
        },
    };
    let staged = stage(created, 0, head.record_hash, now, random)?;
    let head = head.advanced(1, staged.header().record_hash());
    Ok((staged, head))
}

fn stage(
    decided: Decided,
    position: u64,
    prev_hash: RecordHash,
    now: Timestamp,
    random: &dyn Random,
) -> Result<Staged, Error> {
    let Decided {
        new,
        version,
        envelope,
    } = decided;
    let payload = new.event.encode(&envelope).map_err(Error::Encode)?;
    let salt = random.sixteen();
    let header = Header {
        position,
        event_id: new.event_id,
        stream_id: new.stream,
        stream_version: version,
        event_type: new.event.event_type(),
        schema_version: new.event.schema_version(),
        recorded_at: now,
        prev_hash,
        payload_len: u32::try_from(payload.len())
            .map_err(|_| Error::Encode(postcard::Error::SerializeBufferFull))?,
        payload_digest: payload_digest(&salt, &payload),
    };
    Ok(Staged {
        recorded: Recorded {
            header,
            envelope,
            event: new.event,
        },
        salt,
        payload,
    })
}

impl Writer {
    /// Serves commands until all senders are gone (then the log is complete) or writing cannot go
    /// on, which is the error.
    pub(crate) async fn run(mut self, mut jobs: mpsc::Receiver<Box<dyn Job>>) -> Result<(), Error> {
        let mut waiting: Vec<Box<dyn Job>> = Vec::with_capacity(MAX_BATCH);
        while jobs.recv_many(&mut waiting, MAX_BATCH).await > 0 {
            let outcome = self.serve(&mut waiting).await;
            if let Err(error) = outcome {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the ledger cannot be written any more"
                );
                return Err(error);
            }
        }
        if let Err(error) = self.connection.close().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "closing the ledger"
            );
        }
        Ok(())
    }

    /// One batch: decide, commit, publish, answer.
    async fn serve(&mut self, waiting: &mut Vec<Box<dyn Job>>) -> Result<(), Error> {
        let now = self.clock.now().max(self.newest);
        let mut batch = Batch::default();
        let keys = waiting.iter().flat_map(|job| job.looks_up()).collect();
        if let Err(error) = self.known.prefetch(keys, &mut self.connection).await {
            // Each command meets the error itself, where it matters to it.
            tracing::warn!(error = &error as &dyn std::error::Error, "looking up keys");
        }
        for job in waiting.iter_mut() {
            let mut unit = Unit {
                connection: &mut self.connection,
                cache: &self.shared.cache,
                known: &mut self.known,
                batch: &batch,
                own: Batch::default(),
                envelope: job.envelope(),
                context: Context {
                    now,
                    ledger_id: self.shared.ledger_id,
                    random: &*self.random,
                    rules: &self.rules,
                },
                refusals: &mut self.refusals,
            };
            // A command that fails leaves nothing behind in its batch.
            if job.decide(&mut unit).await {
                let decided = unit.into_decided();
                batch.absorb(decided);
            }
        }
        self.count_refusals(&mut batch, now);
        if batch.events.is_empty() {
            for job in waiting.drain(..) {
                job.answer(Outcome::Recorded);
            }
            return Ok(());
        }
        let commands = waiting.len();
        let (commit, staged) = self.commit(batch, now, commands).await;
        match commit {
            Commit::Done => {
                self.shared
                    .failing
                    .send_if_modified(|failing| failing.take().is_some());
                self.publish(staged);
                for job in waiting.drain(..) {
                    job.answer(Outcome::Recorded);
                }
                Ok(())
            }
            Commit::Lost(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    commands,
                    "a commit was lost"
                );
                self.shared.failing.send_replace(Some(describe(&error)));
                for job in waiting.drain(..) {
                    job.answer(Outcome::NotRecorded);
                }
                Ok(())
            }
            Commit::Fatal(error) => {
                self.shared.failing.send_replace(Some(describe(&error)));
                for job in waiting.drain(..) {
                    job.answer(Outcome::Stopped);
                }
                Err(error)
            }
        }
    }

    fn count_refusals(&mut self, batch: &mut Batch, now: Timestamp) {
        for (task_id, minute, count) in self.refusals.take_ended(now) {
            let stream = StreamId::from_bytes(self.random.uuid_v7(now));
            batch.events.push(Decided {
                new: NewEvent {
                    stream,
                    event_id: self.random.event_id(now),
                    event: RefusalsCounted {
                        task_id,
                        minute,
                        count,
                    }
                    .into(),
                    cause: None,
                },
                version: 0,
                envelope: Envelope {
                    actor: Actor::system("ledger"),
                    request_id: None,
                    cause: None,
                    command_id: CommandId::from_bytes(self.random.uuid_v7(now)),
                },
            });
        }
    }

    async fn commit(
        &mut self,
        batch: Batch,
        now: Timestamp,
        commands: usize,
    ) -> (Commit, (Batch, Vec<Staged>, Head)) {
        let started = Instant::now();
        let Batch {
            changed,
            lookups,
            events,
        } = batch;
        let mut staged = Vec::with_capacity(events.len());
        let mut size = self.head.size;
        let mut prev_hash = self.head.record_hash;
        let mut positions = HashMap::with_capacity(events.len());
        for mut decided in events {
            if let Some(cause) = decided.new.cause {
                decided.envelope.cause = positions.get(&cause).copied();
            }
            positions.insert(decided.new.event_id, size);
            match stage(decided, size, prev_hash, now, &*self.random) {
                Ok(event) => {
                    prev_hash = event.header().record_hash();
                    size += 1;
                    staged.push(event);
                }
                Err(error) => {
                    let rest = (
                        Batch {
                            changed,
                            lookups,
                            events: Vec::new(),
                        },
                        staged,
                        self.head.clone(),
                    );
                    return (Commit::Lost(error), rest);
                }
            }
        }
        let next = self.head.advanced(size, prev_hash);
        let written = self.write(&staged, &lookups, &next).await;
        let commit = match written {
            Ok(()) => Commit::Done,
            Err(error) => self.settle(error, &next).await,
        };
        if matches!(commit, Commit::Done) {
            let seconds = started.elapsed().as_secs_f64();
            metrics::histogram!("ledger_commit_seconds").record(seconds);
            metrics::counter!("ledger_commits_total").increment(1);
            metrics::counter!("ledger_events_total")
                .increment(u64::try_from(staged.len()).unwrap_or(0));
            metrics::histogram!("ledger_commit_commands")
                .record(f64::from(u32::try_from(commands).unwrap_or(u32::MAX)));
        }
        (
            commit,
            (
                Batch {
                    changed,
                    lookups,
                    events: Vec::new(),
                },
                staged,
                next,
            ),
        )
    }

    async fn write(
        &mut self,
        staged: &[Staged],
        lookups: &crate::store::Lookups,
        next: &Head,
    ) -> Result<(), Error> {
        let faults = self.faults.clone();
        let strike = |point, doing| match faults.as_ref().and_then(|f| f.strike(point)) {
            Some(source) => Err(Error::Database { doing, source }),
            None => Ok(()),
        };
        strike(CommitPoint::Write, "starting a commit")?;
        sqlx::query("BEGIN IMMEDIATE")
            .execute(&mut self.connection)
            .await
            .map_err(Error::database("starting a commit"))?;
        append(&mut self.connection, staged, lookups, next).await?;
        strike(CommitPoint::Commit, "committing")?;
        sqlx::query("COMMIT")
            .execute(&mut self.connection)
            .await
            .map_err(Error::database("committing"))?;
        strike(CommitPoint::Committed, "committing")
    }

    /// After a failed or uncertain commit nothing in memory is trusted: the file is opened anew,
    /// and what it shows is what happened.
    async fn settle(&mut self, error: Error, next: &Head) -> Commit {
        if is_failed_sync(&error) {
            // The kernel may have dropped the pages that it could not write: reading them back
            // proves nothing about the disk.
            return Commit::Fatal(error);
        }
        self.shared.cache.clear();
        self.known.clear();
        match self.reopen().await {
            Ok(head) if head.size == next.size && head.record_hash == next.record_hash => {
                Commit::Done
            }
            Ok(head)
                if head.size == self.head.size && head.record_hash == self.head.record_hash =>
            {
                Commit::Lost(error)
            }
            Ok(head) => Commit::Fatal(Error::Damaged {
                position: head.size,
                what: "after a failed commit the log shows neither the state before nor after it"
                    .to_owned(),
            }),
            Err(fatal) => Commit::Fatal(fatal),
        }
    }

    async fn reopen(&mut self) -> Result<Head, Error> {
        let mut connection = connect_writer(&self.path).await?;
        std::mem::swap(&mut connection, &mut self.connection);
        // The old connection may hold an open transaction: closing it rolls that back.
        if let Err(error) = connection.close_hard().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "closing after a failed commit"
            );
        }
        let Some(mut head) = read_head(&mut self.connection).await? else {
            return Err(Error::Damaged {
                position: 0,
                what: "the head row is gone".to_owned(),
            });
        };
        check_tail(&mut self.connection, &mut head).await?;
        Ok(head)
    }

    /// From here on the batch is visible: states first, then the size, then whoever waits.
    fn publish(&mut self, (batch, staged, next): (Batch, Vec<Staged>, Head)) {
        for (stream, entry) in batch.changed {
            self.shared.cache.put(stream, entry);
        }
        self.known.learn(batch.lookups);
        self.newest = staged.last().map_or(self.newest, Staged::recorded_at);
        self.shared.newest.store(
            self.newest.as_micros(),
            std::sync::atomic::Ordering::Release,
        );
        let streams: Vec<StreamId> = staged
            .iter()
            .map(|event| event.header().stream_id)
            .collect();
        self.shared
            .recent
            .push(staged.into_iter().map(|event| Arc::new(event.recorded)));
        self.head = next;
        self.shared.size.send_replace(self.head.size);
        for stream in streams {
            self.shared.watchers.wake(stream);
        }
    }
}

fn describe(error: &Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}

/// `SQLITE_IOERR_FSYNC` and `SQLITE_IOERR_DIR_FSYNC`.
fn is_failed_sync(error: &Error) -> bool {
    let Error::Database {
        source: sqlx::Error::Database(source),
        ..
    } = error
    else {
        return false;
    };
    matches!(source.code().as_deref(), Some("1034" | "1290"))
}
