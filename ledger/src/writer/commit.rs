//! The commit: one transaction for a batch, and what to believe when it fails.

use super::transaction::{Batch, Decided};
use super::{CommitPoint, NewEvent, Writer};
use crate::clock::{Random, Timestamp};
use crate::error::Error;
use crate::event::{Actor, Envelope, Event, LedgerCreated, Recorded};
use crate::id::{CommandId, LedgerId, StreamId};
use crate::record::{FORMAT, Header, RecordHash, payload_digest};
use crate::store::{
    Addition, Head, Lookups, Staged, begin_and_append, check_tail, connect_writer, erase, grow,
    read_data_version, read_frontier, read_head, read_head_mac, scrub,
};
use crate::tlog::Frontier;
use sqlx::Connection as _;
use std::collections::HashMap;
use std::time::Instant;

/// How a commit ended.
pub(super) enum Commit {
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
    let head = head.advanced(1, staged.record_hash());
    Ok((staged, head))
}

pub(super) fn stage(
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
    let recorded = Recorded {
        header,
        envelope,
        event: new.event,
    };
    Ok(Staged::new(recorded, salt, payload))
}

/// What a batch made of the log, once it is there.
pub(super) struct Committed {
    pub(super) batch: Batch,
    pub(super) staged: Vec<Staged>,
    pub(super) head: Head,
    pub(super) tree: Frontier,
}

impl Writer {
    pub(super) async fn commit(
        &mut self,
        batch: Batch,
        now: Timestamp,
        commands: usize,
    ) -> (Commit, Committed) {
        let started = Instant::now();
        let Batch {
            changed,
            lookups,
            events,
            erasing,
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
                    prev_hash = event.record_hash();
                    size += 1;
                    staged.push(event);
                }
                Err(error) => {
                    let nothing = Committed {
                        batch: Batch::default(),
                        staged,
                        head: self.head.clone(),
                        tree: self.tree.frontier().clone(),
                    };
                    return (Commit::Lost(error), nothing);
                }
            }
        }
        let next = self.head.advanced(size, prev_hash);
        let mut tree = self.tree.frontier().clone();
        let erasure = erasing.as_ref().and_then(|erasing| {
            let by = positions.get(&erasing.event_id).copied()?;
            Some((by, erasing.positions.as_slice()))
        });
        let written = self
            .write(&staged, &lookups, erasure, &next, &mut tree)
            .await;
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
        let batch = Batch {
            changed,
            lookups,
            events: Vec::new(),
            erasing,
        };
        let committed = Committed {
            batch,
            staged,
            head: next,
            tree,
        };
        (commit, committed)
    }

    async fn write(
        &mut self,
        staged: &[Staged],
        lookups: &Lookups,
        erasure: Option<(u64, &[u64])>,
        next: &Head,
        tree: &mut Frontier,
    ) -> Result<(), Error> {
        if erasure.is_some() {
            scrub::mark(&self.path)?;
        }
        let faults = self.faults.clone();
        let strike = |point, doing| match faults.as_ref().and_then(|f| f.strike(point)) {
            Some(source) => Err(Error::Database { doing, source }),
            None => Ok(()),
        };
        strike(CommitPoint::Write, "starting a commit")?;
        // A tree that is still being filled gets these leaves in their turn.
        let rows = if tree.size() == self.head.size {
            grow(tree, staged.iter().map(Staged::leaf))?
        } else {
            Vec::new()
        };
        let mac = self.head_key.mac(next);
        let addition = Addition {
            staged,
            lookups,
            tree: &rows,
            head: next,
            mac: Some(&mac),
        };
        let found = begin_and_append(&mut self.connection, &addition).await?;
        if found != self.data_version {
            return Err(Error::WrittenBeside);
        }
        if let Some((by, positions)) = erasure {
            erase(&mut self.connection, by, positions).await?;
        }
        strike(CommitPoint::Commit, "committing")?;
        sqlx::query("COMMIT")
            .execute(&mut self.connection)
            .await
            .map_err(Error::database("committing"))?;
        strike(CommitPoint::Committed, "committing")
    }

    /// After a failed or uncertain commit nothing in memory is trusted: the file is opened anew,
    /// and what it shows is what happened.
    pub(super) async fn settle(&mut self, error: Error, next: &Head) -> Commit {
        if matches!(error, Error::WrittenBeside) {
            return Commit::Fatal(error);
        }
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

    /// Whether only this process has written, as far as the connection that failed can still tell.
    async fn refuse_written_beside(&mut self) -> Result<(), Error> {
        // Only outside of a transaction does it see what others did. There may be none.
        let rolled_back = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
        drop(rolled_back);
        match read_data_version(&mut self.connection).await {
            Ok(found) if found != self.data_version => Err(Error::WrittenBeside),
            // A connection that cannot tell is left; the head is compared after this.
            Ok(_) | Err(_) => Ok(()),
        }
    }

    async fn reopen(&mut self) -> Result<Head, Error> {
        self.refuse_written_beside().await?;
        let mut connection = connect_writer(&self.path).await?;
        self.data_version = read_data_version(&mut connection).await?;
        std::mem::swap(&mut connection, &mut self.connection);
        // The old connection may hold an open transaction: closing it rolls that back, and only
        // then does the file show what will stay.
        if let Err(error) = connection.close().await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "closing after a failed commit"
            );
        }
        let Some(head) = read_head(&mut self.connection).await? else {
            return Err(Error::Damaged {
                position: 0,
                what: "the head row is gone".to_owned(),
            });
        };
        let mac = read_head_mac(&mut self.connection).await?;
        if let Some(why) = self.head_key.check(&head, mac.as_deref()).why_not() {
            return Err(Error::Damaged {
                position: head.size,
                what: format!("after a failed commit {why}"),
            });
        }
        check_tail(&mut self.connection, &head).await?;
        let tree = read_frontier(&mut self.connection).await?;
        self.tree.put(tree, head.size);
        Ok(head)
    }
}

/// `SQLITE_IOERR_FSYNC` and `SQLITE_IOERR_DIR_FSYNC`.
pub(super) fn is_failed_sync(error: &Error) -> bool {
    let Error::Database {
        source: sqlx::Error::Database(source),
        ..
    } = error
    else {
        return false;
    };
    matches!(source.code().as_deref(), Some("1034" | "1290"))
}
