//! The commit: one addition for a batch, and what to believe when it fails.

use super::transaction::Batch;
use super::{CommitPoint, Writer};
use crate::clock::Timestamp;
use crate::error::Error;
use crate::storage::{Addition, Head, ReadError, Removal, Staged, grow};
use crate::tlog::Frontier;
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

/// The log after a batch was committed.
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
            locks,
            questions,
            policy,
            admissions,
            denials,
            counted,
            schedules,
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
            match decided.stage((size, prev_hash), now, &*self.random) {
                Ok(event) => {
                    prev_hash = event.record_hash;
                    size += 1;
                    staged.push(event);
                }
                Err(error) => {
                    let nothing = Committed {
                        batch: Batch::default(),
                        staged,
                        head: self.head,
                        tree: self.tree.frontier().clone(),
                    };
                    return (Commit::Lost(error.into()), nothing);
                }
            }
        }
        let mut tree = self.tree.frontier().clone();
        let removal = erasing.as_ref().and_then(|erasing| {
            Some(Removal {
                erased_by: positions.get(&erasing.event_id).copied()?,
                positions: &erasing.positions,
            })
        });
        let addition = Addition {
            staged: &staged,
            lookups: &lookups,
            tree: &[],
            removal,
            head: self.head.after(&staged),
        };
        let head = addition.head;
        let commit = match self.write(addition, &mut tree).await {
            Ok(()) => Commit::Done,
            Err(error) => self.settle(error, head).await,
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
            locks,
            questions,
            policy,
            admissions,
            denials,
            counted,
            schedules,
            erasing,
        };
        let committed = Committed {
            batch,
            staged,
            head,
            tree,
        };
        (commit, committed)
    }

    async fn write(&mut self, addition: Addition<'_>, tree: &mut Frontier) -> Result<(), Error> {
        let faults = self.faults.clone();
        let strike = |point| match faults.as_ref().and_then(|f| f.strike(point)) {
            Some(error) => Err(Error::from(error)),
            None => Ok(()),
        };
        strike(CommitPoint::Write)?;
        // A tree that is still being filled gets these leaves in their turn.
        let rows = if tree.size() == self.head.size {
            grow(tree, addition.staged.iter().map(|event| event.leaf))?
        } else {
            Vec::new()
        };
        let addition = Addition {
            tree: &rows,
            ..addition
        };
        self.storage.stage(&addition).await?;
        strike(CommitPoint::Commit)?;
        self.storage.commit().await?;
        strike(CommitPoint::Committed)
    }

    /// After a failed or uncertain commit nothing in memory is trusted: the storage is asked anew, and
    /// what it shows is what happened.
    pub(super) async fn settle(&mut self, error: Error, next: Head) -> Commit {
        if error.is_fatal() {
            return Commit::Fatal(error);
        }
        self.shared.cache.clear();
        self.known.clear();
        let (head, tree) = match self.storage.settle().await {
            Ok(found) => found,
            Err(fatal) => return Commit::Fatal(fatal),
        };
        self.tree.put(tree, head.size);
        if head == next {
            Commit::Done
        } else if head == self.head {
            Commit::Lost(error)
        } else {
            let what = "after a failed commit the log shows neither the state before nor after it";
            let damage = ReadError::Damaged {
                position: head.size,
                what: what.to_owned(),
            };
            Commit::Fatal(damage.into())
        }
    }
}
