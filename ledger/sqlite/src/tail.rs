//! The head of the log, and the check of the chain's tail at start.

use crate::append::signed;
use crate::failure::database;
use crate::read::{record_of, stored_payloads, stored_size, stream_records};
use crate::script::Script;
use crate::tree::{check_tree, compute, read_frontier};
use futures_util::TryStreamExt as _;
use ledger::LedgerId;
use ledger::record::{RecordHash, genesis_hash};
use ledger::storage::{Head, ReadError, StoredRecord, grow};
use ledger::tlog::{Frontier, record_leaf};
use sqlx::{Row as _, SqliteConnection};

/// How many events lie at least between the bookmark and the head, so that each start checks that
/// the newest ones stand on disk as they were written.
const BOOKMARK_LAG: u64 = 4096;

/// Where the log ends, and up to where it was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileHead {
    pub(super) head: Head,
    /// The bookmark: up to here the chain was checked.
    verified: (u64, RecordHash),
    /// The next bookmark, once the head is far enough ahead of it.
    candidate: (u64, RecordHash),
}

impl FileHead {
    pub(super) fn genesis(ledger_id: LedgerId) -> Self {
        let head = Head::genesis(ledger_id);
        Self::found(head, (0, head.record_hash))
    }

    pub(super) const fn found(head: Head, verified: (u64, RecordHash)) -> Self {
        Self {
            head,
            verified,
            candidate: verified,
        }
    }

    /// The head after records were appended.
    pub(super) const fn advanced(mut self, head: Head) -> Self {
        self.head = head;
        if head.size.saturating_sub(self.candidate.0) >= BOOKMARK_LAG {
            self.verified = self.candidate;
            self.candidate = (head.size, head.record_hash);
        }
        self
    }

    /// The same head with nothing checked yet, so that a check begins at position 0.
    pub(super) fn unchecked(self) -> Self {
        Self {
            verified: (0, genesis_hash(self.head.ledger_id)),
            ..self
        }
    }

    /// Up to where the chain was checked.
    pub(super) const fn bookmark(&self) -> (u64, RecordHash) {
        self.verified
    }

    pub(super) fn write(&self, script: &mut Script, mac: Option<&[u8]>) {
        script.add(
            "INSERT INTO head
                 (id, ledger_id, size, record_hash, verified_size, verified_hash, mac)
             VALUES (1, ?, ?, ?, ?, ?, ?)
             ON CONFLICT (id) DO UPDATE
             SET size = excluded.size, record_hash = excluded.record_hash,
                 verified_size = excluded.verified_size, verified_hash = excluded.verified_hash,
                 mac = excluded.mac",
        );
        script
            .bind(self.head.ledger_id.as_bytes().as_slice())
            .bind(signed(self.head.size))
            .bind(self.head.record_hash.as_bytes().as_slice())
            .bind(signed(self.verified.0))
            .bind(self.verified.1.as_bytes().as_slice())
            .bind(mac);
    }
}

/// Reads the head as it stands in the file; `None` in a new ledger.
pub(super) async fn read_head(
    connection: &mut SqliteConnection,
) -> Result<Option<FileHead>, ReadError> {
    let failed = || database("reading the head");
    let row = sqlx::query(
        "SELECT ledger_id, size, record_hash, verified_size, verified_hash FROM head WHERE id = 1",
    )
    .fetch_optional(connection)
    .await
    .map_err(failed())?;
    let Some(row) = row else { return Ok(None) };
    let number = |index: usize| -> Result<u64, ReadError> {
        let value: i64 = row.try_get(index).map_err(failed())?;
        u64::try_from(value).map_err(|_| damaged(0, "the head row holds a negative size"))
    };
    let hash = |index: usize| -> Result<RecordHash, ReadError> {
        let value: Vec<u8> = row.try_get(index).map_err(failed())?;
        RecordHash::from_slice(&value).ok_or_else(|| damaged(0, "the head row's hash is not one"))
    };
    let ledger_id: Vec<u8> = row.try_get(0).map_err(failed())?;
    let ledger_id = LedgerId::from_slice(&ledger_id)
        .ok_or_else(|| damaged(0, "the head row's ledger id is not one"))?;
    let head = Head {
        ledger_id,
        size: number(1)?,
        record_hash: hash(2)?,
    };
    Ok(Some(FileHead::found(head, (number(3)?, hash(4)?))))
}

fn damaged(position: u64, what: &str) -> ReadError {
    ReadError::Damaged {
        position,
        what: what.to_owned(),
    }
}

/// Checks everything from the bookmark to the head: positions without a gap, each record linked to
/// the one before, each payload matching its digest, and the log exactly as long as the head says.
pub(super) async fn check_tail(
    connection: &mut SqliteConnection,
    head: &FileHead,
) -> Result<(), ReadError> {
    check_sizes(connection, head).await?;
    check_start(connection, head).await?;
    let (from, mut expected) = head.verified;
    let mut next = from;
    let mut rows = Vec::new();
    let stored = read_frontier(connection).await?;
    // One that is still being filled is compared when it is whole.
    let is_whole = stored.size() == head.head.size && next <= head.head.size;
    let mut tree = match is_whole {
        true => Some(compute(connection, Frontier::lookup(next)?).await?),
        false => None,
    };
    {
        let mut records = stream_records(connection, next);
        while let Some(row) = records
            .try_next()
            .await
            .map_err(database("checking the tail of the chain"))?
        {
            let raw = record_of(&row)?;
            expected = check_record(&raw, next, expected)?;
            if let Some(tree) = &mut tree {
                rows.extend(grow(tree, [record_leaf(&raw.header)])?);
            }
            next += 1;
        }
    }
    if next != head.head.size || expected != head.head.record_hash {
        return Err(ReadError::Damaged {
            position: next,
            what: format!(
                "the chain ends at {expected}, the head says {}",
                head.head.record_hash
            ),
        });
    }
    match tree {
        Some(_) => check_tree(connection, from, &rows).await,
        None => Ok(()),
    }
}

/// A file without a head is one that nothing was ever written to.
pub(super) async fn check_empty(connection: &mut SqliteConnection) -> Result<(), ReadError> {
    let stored = stored_size(connection).await?;
    let leaves = read_frontier(connection).await?.size();
    if stored == 0 && leaves == 0 {
        return Ok(());
    }
    Err(ReadError::Damaged {
        position: stored,
        what: "the head row is gone, but events stand in the log".to_owned(),
    })
}

async fn check_sizes(connection: &mut SqliteConnection, head: &FileHead) -> Result<(), ReadError> {
    let stored = stored_size(connection).await?;
    if stored < head.head.size {
        return Err(ReadError::Damaged {
            position: stored,
            what: format!(
                "the log ends here, but {} events had been committed",
                head.head.size
            ),
        });
    }
    if stored > head.head.size {
        return Err(ReadError::Damaged {
            position: head.head.size,
            what: format!(
                "{} events stand beyond the committed head",
                stored - head.head.size
            ),
        });
    }
    let payloads = stored_payloads(connection).await?;
    if payloads != stored {
        return Err(ReadError::Damaged {
            position: payloads.min(stored),
            what: format!("there are {stored} events, but payloads up to {payloads}"),
        });
    }
    let leaves = read_frontier(connection).await?.size();
    if leaves > stored {
        return Err(ReadError::Damaged {
            position: stored,
            what: format!("there are {stored} events, but leaves of the tree up to {leaves}"),
        });
    }
    Ok(())
}

/// The chain begins in the ledger that the head names. What hangs on the id (statements,
/// fingerprints, sealed values) would otherwise come apart from the log.
async fn check_start(connection: &mut SqliteConnection, head: &FileHead) -> Result<(), ReadError> {
    let genesis = genesis_hash(head.head.ledger_id);
    let mut rows = stream_records(connection, 0);
    let first = rows
        .try_next()
        .await
        .map_err(database("checking the start of the chain"))?;
    let Some(first) = first else {
        return Err(damaged(0, "this position is missing"));
    };
    let first = record_of(&first)?;
    if first.header.position != 0 {
        return Err(damaged(0, "this position is missing"));
    }
    if first.header.prev_hash != genesis {
        return Err(damaged(
            0,
            "it does not begin the ledger that the head names",
        ));
    }
    if head.verified.0 == 0 && head.verified.1 != genesis {
        return Err(damaged(0, "the head does not begin at the first event"));
    }
    Ok(())
}

/// Checks one record against its place, and gives its hash.
fn check_record(
    raw: &StoredRecord,
    position: u64,
    expected: RecordHash,
) -> Result<RecordHash, ReadError> {
    let header = &raw.header;
    if header.position != position {
        return Err(damaged(position, "this position is missing"));
    }
    if header.prev_hash != expected {
        return Err(ReadError::Damaged {
            position,
            what: format!(
                "it names {} as the record before it, which is {expected}",
                header.prev_hash
            ),
        });
    }
    raw.check_hashes()
}
