//! Readying a copy of a ledger to take the ledger's place, and going on from it as another log. The
//! file is one that nobody else has open and that has no name of a ledger yet: whatever fails here, the
//! ledger itself is as it was.

use crate::append::{HeadRow, append};
use crate::checked::newest_at;
use crate::error::OpenError;
use crate::failure::database;
use crate::read::read_stream;
use crate::schema::connect_writer;
use crate::signing::write_signing;
use crate::tail::{FileHead, read_head};
use crate::tree::{append_tree, read_frontier, read_leaves};
use ledger::event::{Envelope, Event};
use ledger::storage::{Addition, Decided, Lookups, NewEvent, grow};
use ledger::tlog::{Checkpoint, Frontier};
use ledger::{Clock, CommandId, Fork, ForkError, Origin, Random, StreamId};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use std::path::Path;

/// Leaves that are added to the tree in one transaction.
const STEP: usize = 1000;

/// Brings a copy to the newest schema and its tree up to its log. Nothing is checked; afterwards one
/// file holds everything, without a log of SQLite's beside it.
///
/// # Errors
/// A foreign file, one of a newer schema or with changed triggers, one that cannot be written.
pub async fn ready_copy(file: &Path) -> Result<(), OpenError> {
    let mut connection = connect_writer(file).await?;
    if let Some(head) = read_head(&mut connection).await? {
        fill(&mut connection, &head).await?;
    }
    settle(connection, file).await
}

/// Records in a copy that was readied and checked that it goes on as another log, and notes whose it is
/// from then on. Gives what the new key has to sign: the checkpoint over the log with that event.
///
/// # Errors
/// [`OpenError::Fork`] when it must not be recorded, and what keeps the file from being written.
pub async fn fork_copy(
    file: &Path,
    fork: Fork,
    origin: Origin,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Checkpoint, OpenError> {
    let mut connection = connect_writer(file).await?;
    let head = read_head(&mut connection).await?;
    let file_head = head.ok_or(ForkError::Empty)?;
    let head = file_head.head;
    let (new_origin, new_key) = (fork.new_origin.clone(), fork.new_key.clone());
    let forked = fork.decide(head.size)?;
    let now = clock
        .now()
        .max(newest_at(&mut connection, head.size).await?);
    let stream = StreamId::from(head.ledger_id);
    let version = read_stream(&mut connection, stream, head.size).await?.len();
    let decided = Decided {
        new: NewEvent {
            stream,
            event_id: random.event_id(now),
            event: Event::from(forked),
            cause: None,
        },
        version: u64::try_from(version).unwrap_or(u64::MAX),
        envelope: Envelope {
            actor: origin.actor,
            request_id: origin.request_id,
            cause: None,
            command_id: CommandId::from_bytes(random.uuid_v7(now)),
        },
    };
    let staged = [decided.stage((head.size, head.record_hash), now, random)?];
    let next = file_head.advanced(head.after(&staged));
    let mut tree = read_frontier(&mut connection).await?;
    let rows = grow(&mut tree, staged.iter().map(|event| event.leaf))?;
    let failed = || database("recording a fork");
    let mut transaction = connection.begin().await.map_err(failed())?;
    let addition = Addition {
        staged: &staged,
        lookups: &Lookups::default(),
        tree: &rows,
        removal: None,
        head: next.head,
    };
    // The checkpoint that the new key signs proves it at the next start.
    let row = HeadRow {
        head: &next,
        mac: None,
    };
    append(&mut transaction, &addition, row).await?;
    write_signing(&mut transaction, &new_origin, &new_key).await?;
    transaction.commit().await.map_err(failed())?;
    settle(connection, file).await?;
    Ok(Checkpoint::new(new_origin, tree.size(), tree.root()))
}

async fn fill(connection: &mut SqliteConnection, head: &FileHead) -> Result<(), OpenError> {
    let mut tree: Frontier = read_frontier(connection).await?;
    while tree.size() < head.head.size {
        let leaves = read_leaves(connection, tree.size(), STEP).await?;
        if leaves.is_empty() {
            // Shorter than its head: the check that follows says so.
            return Ok(());
        }
        let rows = grow(&mut tree, leaves)?;
        let failed = || database("filling the tree");
        let mut transaction = connection.begin().await.map_err(failed())?;
        append_tree(&mut transaction, &rows).await?;
        transaction.commit().await.map_err(failed())?;
    }
    Ok(())
}

/// Leaves one file, which can be renamed without losing anything.
async fn settle(mut connection: SqliteConnection, file: &Path) -> Result<(), OpenError> {
    let failed = || database("closing the copy");
    let row = sqlx::query("PRAGMA journal_mode = DELETE")
        .fetch_one(&mut connection)
        .await
        .map_err(failed())?;
    let mode: String = row.try_get(0).map_err(failed())?;
    connection.close().await.map_err(failed())?;
    if mode != "delete" {
        return Err(OpenError::File {
            path: file.to_owned(),
            doing: "brought into one file",
            source: std::io::Error::other("somebody else has it open"),
        });
    }
    Ok(())
}
