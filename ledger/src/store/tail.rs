//! The head of the log, and the check of the chain's tail at start.

use super::append::signed;
use super::read::{StoredRecord, stored_payloads, stored_size};
use super::script::Script;
use super::tree::{check_tree, compute, grow, read_frontier};
use crate::error::Error;
use crate::id::LedgerId;
use crate::record::{RecordHash, genesis_hash};
use crate::tlog::{Frontier, record_leaf};
use futures_util::TryStreamExt as _;
use sqlx::{Row as _, SqliteConnection};

/// How many events lie at least between the bookmark and the head, so that each start checks that
/// the newest ones stand on disk as they were written.
const BOOKMARK_LAG: u64 = 4096;

/// Where the log ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) ledger_id: LedgerId,
    /// The next position.
    pub(crate) size: u64,
    /// The hash of the last record; the genesis hash when there is none.
    pub(crate) record_hash: RecordHash,
    /// The bookmark: up to here the chain was checked.
    verified: (u64, RecordHash),
    /// What the bookmark becomes once the head is far enough ahead of it.
    candidate: (u64, RecordHash),
}

impl Head {
    pub(crate) fn genesis(ledger_id: LedgerId) -> Self {
        let start = (0, genesis_hash(ledger_id));
        Self {
            ledger_id,
            size: 0,
            record_hash: start.1,
            verified: start,
            candidate: start,
        }
    }

    /// As it stands in a file that somebody looks at.
    pub(super) const fn found(
        ledger_id: LedgerId,
        (size, record_hash): (u64, RecordHash),
        verified: (u64, RecordHash),
    ) -> Self {
        Self {
            ledger_id,
            size,
            record_hash,
            verified,
            candidate: verified,
        }
    }

    /// The head after records were appended.
    pub(crate) fn advanced(&self, size: u64, record_hash: RecordHash) -> Self {
        let mut next = Self {
            size,
            record_hash,
            ..self.clone()
        };
        if size.saturating_sub(next.candidate.0) >= BOOKMARK_LAG {
            next.verified = next.candidate;
            next.candidate = (size, record_hash);
        }
        next
    }

    /// The same head with nothing checked yet, so that a check begins at position 0.
    pub(super) fn unchecked(self) -> Self {
        let start = (0, genesis_hash(self.ledger_id));
        Self {
            verified: start,
            ..self
        }
    }

    /// Up to where the chain was checked.
    pub(super) const fn bookmark(&self) -> (u64, RecordHash) {
        self.verified
    }

    /// Adds what writes it, with its MAC.
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
            .bind(self.ledger_id.as_bytes().as_slice())
            .bind(signed(self.size))
            .bind(self.record_hash.as_bytes().as_slice())
            .bind(signed(self.verified.0))
            .bind(self.verified.1.as_bytes().as_slice())
            .bind(mac);
    }
}

/// Reads the head as it stands in the file; `None` in a new ledger.
pub(crate) async fn read_head(connection: &mut SqliteConnection) -> Result<Option<Head>, Error> {
    let failed = || Error::database("reading the head");
    let row = sqlx::query(
        "SELECT ledger_id, size, record_hash, verified_size, verified_hash FROM head WHERE id = 1",
    )
    .fetch_optional(connection)
    .await
    .map_err(failed())?;
    let Some(row) = row else { return Ok(None) };
    let number = |index: usize| -> Result<u64, Error> {
        let value: i64 = row.try_get(index).map_err(failed())?;
        u64::try_from(value).map_err(|_| damaged(0, "the head row holds a negative size"))
    };
    let hash = |index: usize| -> Result<RecordHash, Error> {
        let value: Vec<u8> = row.try_get(index).map_err(failed())?;
        RecordHash::from_slice(&value).ok_or_else(|| damaged(0, "the head row's hash is not one"))
    };
    let ledger_id: Vec<u8> = row.try_get(0).map_err(failed())?;
    let ledger_id = LedgerId::from_slice(&ledger_id)
        .ok_or_else(|| damaged(0, "the head row's ledger id is not one"))?;
    let verified = (number(3)?, hash(4)?);
    Ok(Some(Head {
        ledger_id,
        size: number(1)?,
        record_hash: hash(2)?,
        verified,
        candidate: verified,
    }))
}

fn damaged(position: u64, what: &str) -> Error {
    Error::Damaged {
        position,
        what: what.to_owned(),
    }
}

/// Checks everything from the bookmark to the head: positions without a gap, each record linked to
/// the one before, each payload matching its digest, and the log exactly as long as the head says.
pub(crate) async fn check_tail(
    connection: &mut SqliteConnection,
    head: &Head,
) -> Result<(), Error> {
    check_sizes(connection, head).await?;
    check_start(connection, head).await?;
    let (from, mut expected) = head.verified;
    let mut next = from;
    let mut rows = Vec::new();
    let stored = read_frontier(connection).await?;
    // One that is still being filled is compared when it is whole.
    let is_whole = stored.size() == head.size && next <= head.size;
    let mut tree = match is_whole {
        true => Some(compute(connection, Frontier::lookup(next)?).await?),
        false => None,
    };
    {
        let mut records = StoredRecord::stream(connection, next);
        while let Some(row) = records
            .try_next()
            .await
            .map_err(Error::database("checking the tail of the chain"))?
        {
            let raw = StoredRecord::from_row(&row)?;
            expected = check_record(&raw, next, expected)?;
            if let Some(tree) = &mut tree {
                rows.extend(grow(tree, [record_leaf(&raw.header)])?);
            }
            next += 1;
        }
    }
    if next != head.size || expected != head.record_hash {
        return Err(Error::Damaged {
            position: next,
            what: format!(
                "the chain ends at {expected}, the head says {}",
                head.record_hash
            ),
        });
    }
    match tree {
        Some(_) => check_tree(connection, from, &rows).await,
        None => Ok(()),
    }
}

/// A file without a head is one that nothing was ever written to.
pub(crate) async fn check_empty(connection: &mut SqliteConnection) -> Result<(), Error> {
    let stored = stored_size(connection).await?;
    let leaves = read_frontier(connection).await?.size();
    if stored == 0 && leaves == 0 {
        return Ok(());
    }
    Err(Error::Damaged {
        position: stored,
        what: "the head row is gone, but events stand in the log".to_owned(),
    })
}

async fn check_sizes(connection: &mut SqliteConnection, head: &Head) -> Result<(), Error> {
    let stored = stored_size(connection).await?;
    if stored < head.size {
        return Err(Error::Damaged {
            position: stored,
            what: format!(
                "the log ends here, but {} events had been committed",
                head.size
            ),
        });
    }
    if stored > head.size {
        return Err(Error::Damaged {
            position: head.size,
            what: format!(
                "{} events stand beyond the committed head",
                stored - head.size
            ),
        });
    }
    let payloads = stored_payloads(connection).await?;
    if payloads != stored {
        return Err(Error::Damaged {
            position: payloads.min(stored),
            what: format!("there are {stored} events, but payloads up to {payloads}"),
        });
    }
    let leaves = read_frontier(connection).await?.size();
    if leaves > stored {
        return Err(Error::Damaged {
            position: stored,
            what: format!("there are {stored} events, but leaves of the tree up to {leaves}"),
        });
    }
    Ok(())
}

/// The chain begins in the ledger that the head names. What hangs on the id (statements,
/// fingerprints, sealed values) would otherwise come apart from the log.
async fn check_start(connection: &mut SqliteConnection, head: &Head) -> Result<(), Error> {
    let genesis = genesis_hash(head.ledger_id);
    let mut rows = StoredRecord::stream(connection, 0);
    let first = rows
        .try_next()
        .await
        .map_err(Error::database("checking the start of the chain"))?;
    let Some(first) = first else {
        return Err(damaged(0, "this position is missing"));
    };
    let first = StoredRecord::from_row(&first)?;
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
) -> Result<RecordHash, Error> {
    let header = &raw.header;
    if header.position != position {
        return Err(damaged(position, "this position is missing"));
    }
    if header.prev_hash != expected {
        return Err(Error::Damaged {
            position,
            what: format!(
                "it names {} as the record before it, which is {expected}",
                header.prev_hash
            ),
        });
    }
    raw.check_hashes()
}
