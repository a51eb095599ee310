//! The MAC in the head's row: the proof that a service with the master key wrote the log up to there.
//!
//! Hashes, chain and tree can be computed by anybody who can write the file; without the key nobody can
//! make the MAC of another head. It covers the ledger's id, the head, the bookmark and who signs, so that
//! none of them can be set back by itself. It does not tell an old copy of the whole file from
//! the newest: that is what the newest checkpoint, in a file of its own, is for.

use crate::append::signed;
use crate::failure::database;
use crate::tail::FileHead;
use ledger::seal::{MasterKeyId, MasterKeys};
use ledger::storage::ReadError;
use ledger::tlog::{LogKey, LogOrigin};
use sqlx::{Row as _, SqliteConnection};
use std::sync::Arc;

/// Makes and checks the MACs of one ledger's heads.
#[derive(Debug, Clone)]
pub(super) struct HeadKey {
    keys: Arc<MasterKeys>,
    /// The signer of checkpoints, as lines; empty while there is none.
    signer: String,
}

/// The result of checking a head's MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HeadProof {
    /// A service with one of the configured keys wrote this head.
    Proven,
    /// There is none, as in a ledger of an earlier release.
    Missing,
    /// It was made with another master key.
    UnknownKey(MasterKeyId),
    /// It is of another head, or of none.
    Wrong,
}

impl HeadProof {
    /// Why nothing is proven; `None` where it is.
    pub(super) fn why_not(self) -> Option<String> {
        match self {
            Self::Proven => None,
            Self::Missing => Some("its head has no MAC".to_owned()),
            Self::UnknownKey(id) => Some(format!(
                "the MAC of its head is of master key {id}, which is not configured"
            )),
            Self::Wrong => Some("the MAC of its head is wrong".to_owned()),
        }
    }
}

impl HeadKey {
    pub(super) fn new(keys: Arc<MasterKeys>, signer: Option<&(LogOrigin, LogKey)>) -> Self {
        let signer = signer.map_or_else(String::new, |(origin, key)| format!("{origin}\n{key}\n"));
        Self { keys, signer }
    }

    /// The MAC under the current key, as it is stored: the key's id, then 32 bytes.
    pub(super) fn mac(&self, head: &FileHead) -> Vec<u8> {
        self.keys.head_mac(&self.covered(head))
    }

    pub(super) fn check(&self, head: &FileHead, stored: Option<&[u8]>) -> HeadProof {
        match stored {
            None => HeadProof::Missing,
            Some(mac) => match self.keys.check_head_mac(&self.covered(head), mac) {
                Ok(true) => HeadProof::Proven,
                Ok(false) => HeadProof::Wrong,
                Err(id) => HeadProof::UnknownKey(id),
            },
        }
    }

    /// The parts of fixed length first, so that no two heads give the same bytes.
    fn covered(&self, head: &FileHead) -> Vec<u8> {
        let (verified_size, verified_hash) = head.bookmark();
        [
            head.head.ledger_id.as_bytes().as_slice(),
            &head.head.size.to_le_bytes(),
            head.head.record_hash.as_bytes(),
            &verified_size.to_le_bytes(),
            verified_hash.as_bytes(),
            self.signer.as_bytes(),
        ]
        .concat()
    }
}

/// The MAC as it stands in the file.
pub(super) async fn read_head_mac(
    connection: &mut SqliteConnection,
) -> Result<Option<Vec<u8>>, ReadError> {
    let failed = || database("reading the head's MAC");
    let row = sqlx::query("SELECT mac FROM head WHERE id = 1")
        .fetch_optional(connection)
        .await
        .map_err(failed())?;
    row.map_or(Ok(None), |row| row.try_get(0).map_err(failed()))
}

/// Puts the MAC of a head that stays as it is.
pub(super) async fn write_head_mac(
    connection: &mut SqliteConnection,
    head: &FileHead,
    mac: &[u8],
) -> Result<(), ReadError> {
    sqlx::query("UPDATE head SET mac = ? WHERE id = 1 AND size = ?")
        .bind(mac)
        .bind(signed(head.head.size))
        .execute(connection)
        .await
        .map(drop)
        .map_err(database("writing the head's MAC"))
}

/// A number that changes when another connection, of whatever process, has changed the file. It can only
/// be compared with one of the same connection.
pub(super) async fn read_data_version(connection: &mut SqliteConnection) -> Result<i64, ReadError> {
    let failed = || database("asking whether others wrote to the file");
    let row = sqlx::query("PRAGMA data_version")
        .fetch_one(connection)
        .await
        .map_err(failed())?;
    row.try_get(0).map_err(failed())
}
