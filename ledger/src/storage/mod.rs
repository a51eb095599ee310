//! Storage: what the writer and the readers of a ledger need of whatever keeps it.
//!
//! A storage keeps the records, what decisions look up, which streams are open, the rows of the tree, and
//! the head. [`Storage`] is the writer's side, of which there is one for a ledger at a time; [`Log`] is
//! everybody's. What a caller may conclude from each answer, and from each error, stands at the method;
//! the contract suite (`tests/it/contract/`) holds every storage to it.

mod addition;
mod error;
mod lookup;
mod lookup_fold;
mod lookup_held;
mod record;
mod tree;

pub use addition::{Addition, Decided, Head, NewEvent, Removal, Staged};
pub use error::{ReadError, StorageError, StorageErrorKind};
pub use lookup::{LookupKey, LookupKind, Lookups, RowClass, Rows};
pub(crate) use lookup::{NO_TASK, credential_counter};
pub use lookup_fold::LookupFold;
pub(crate) use lookup_held::{Held, of_group, of_user};
/// An event that has no form that can be stored.
pub use postcard::Error as EncodeError;
pub use record::{StoredRecord, push_of_stream};
pub use tree::{TreeRow, complete, grow, rows_for};

use crate::audit::AuditRecord;
use crate::error::Error;
use crate::event::{Event, Recorded};
use crate::id::{StreamId, TaskId};
use crate::record::{Header, RecordHash};
use crate::tlog::{Frontier, Lookup};
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::ops::ControlFlow;
use std::path::Path;
use std::pin::Pin;

/// An answer that is waited for.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Keys with the values that they have.
pub type LookupValues = Vec<(LookupKey, Vec<u8>)>;

/// Takes the first event of each stream.
pub type TakeFirst<'a> = &'a mut (dyn FnMut(StreamId, Event) + Send);

/// The writer's side of a storage. One owner calls it, one method at a time.
///
/// Every read gives what was committed; none is made between [`Storage::stage`] and the end of what was
/// staged. An error of a read says nothing of what is stored, unless it is damage; reading again is always
/// allowed.
pub trait Storage: Send + 'static {
    /// The values of those of the keys that have one, in any order. A value is not proven: the caller
    /// compares what it leads to with what was sought.
    fn lookups<'a>(
        &'a mut self,
        keys: &'a [LookupKey],
    ) -> BoxFuture<'a, Result<LookupValues, ReadError>>;

    /// Every row of a kind of which there are few, in any order.
    fn all_lookups(&mut self, kind: LookupKind) -> BoxFuture<'_, Result<LookupValues, ReadError>>;

    /// The applies and approvals of a task that have not ended.
    fn open_streams(&mut self, task: TaskId) -> BoxFuture<'_, Result<Vec<StreamId>, ReadError>>;

    /// The events of one stream below a position, in order, each held to its hash and to its place in the
    /// stream (see [`push_of_stream`]); none where there is no such stream.
    fn stream(
        &mut self,
        stream: StreamId,
        size: u64,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, ReadError>>;

    /// Gives the first event of each stream that begins at that position or later, but of those that were
    /// erased. The answer is the size of the log up to which there is no other.
    fn first_events<'a>(
        &'a mut self,
        from: u64,
        take: TakeFirst<'a>,
    ) -> BoxFuture<'a, Result<u64, ReadError>>;

    /// Writes what a commit adds. Nothing of it is visible or survives a crash before
    /// [`Storage::commit`].
    ///
    /// # Errors
    /// Nothing was committed, and nothing may be concluded about what the storage shows now: the caller
    /// goes on with [`Storage::settle`]. After [`Error::WrittenBeside`] nobody may go on: another
    /// process has written, and what was decided rests on something else than what is stored.
    fn stage<'a>(&'a mut self, addition: &'a Addition<'a>) -> BoxFuture<'a, Result<(), Error>>;

    /// Commits what was staged. When it answers, all of it is durable and visible to readers.
    ///
    /// # Errors
    /// Whether it was committed is not known: the caller goes on with [`Storage::settle`]. After an error
    /// of kind [`StorageErrorKind::NotSynced`] nobody may go on: reading back proves nothing about
    /// what is durable.
    fn commit(&mut self) -> BoxFuture<'_, Result<(), Error>>;

    /// Finds out, after any error of the others, how the log ends: what is given as the head and the
    /// stored tree is durable, and proven as at a start. Nothing is left of what was staged and not
    /// committed.
    ///
    /// # Errors
    /// Nobody may go on.
    fn settle(&mut self) -> BoxFuture<'_, Result<(Head, Frontier), Error>>;

    /// Writes something that changes nothing, to learn whether it can be written again.
    ///
    /// # Errors
    /// As [`Storage::commit`].
    fn probe(&mut self) -> BoxFuture<'_, Result<(), Error>>;

    /// Stores some of the rows that the stored tree lacks, and gives the tree as far as it is stored
    /// then. Only a log that an earlier release wrote lacks any.
    ///
    /// # Errors
    /// As [`Storage::commit`].
    fn fill_tree(&mut self, tree: Frontier) -> BoxFuture<'_, Result<Frontier, Error>> {
        Box::pin(async move { Ok(tree) })
    }

    /// After a commit with a removal: takes what is left of the bytes off the medium, as far as it can be
    /// done now. `true` once nothing is left; otherwise a reader holds it, and it is asked again.
    ///
    /// # Errors
    /// Something may be left. [`Error::WrittenBeside`] and [`StorageErrorKind::NotSynced`] mean what they
    /// mean at [`Storage::commit`]; after any other error it may be asked again.
    fn clean(&mut self) -> BoxFuture<'_, Result<bool, Error>> {
        Box::pin(async { Ok(true) })
    }

    /// Lets go of it, and of what its [`Log`] reads with: reading fails from then on. Everything that was
    /// committed is durable whether or not this succeeds.
    ///
    /// # Errors
    /// What is left to be tidied up is left to the next start.
    fn close(self: Box<Self>) -> BoxFuture<'static, Result<(), Error>>;
}

/// A committed log as anybody reads it, any number at a time, while the writer goes on. What is read may be
/// newer than what this process has published; callers that must not see that say up to where they want to read.
///
/// An error says nothing of what is stored, unless it is damage.
pub trait Log: Send + Sync + 'static {
    /// Where the log ends; `None` where nothing was ever recorded.
    fn head(&self) -> BoxFuture<'_, Result<Option<Head>, ReadError>>;

    /// As [`Storage::lookups`].
    fn lookups<'a>(
        &'a self,
        keys: &'a [LookupKey],
    ) -> BoxFuture<'a, Result<LookupValues, ReadError>>;

    /// As [`Storage::all_lookups`].
    fn all_lookups(&self, kind: LookupKind) -> BoxFuture<'_, Result<LookupValues, ReadError>>;

    /// Every apply and approval that has not ended, of all tasks, in any order.
    fn all_open_streams(&self) -> BoxFuture<'_, Result<Vec<StreamId>, ReadError>>;

    /// As [`Storage::stream`].
    fn stream(
        &self,
        stream: StreamId,
        size: u64,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, ReadError>>;

    /// As [`Storage::first_events`].
    fn first_events<'a>(
        &'a self,
        from: u64,
        take: TakeFirst<'a>,
    ) -> BoxFuture<'a, Result<u64, ReadError>>;

    /// Up to `limit` events from a position on; it ends with the event whose payload brings their sum to
    /// `most_bytes`.
    fn events_within(
        &self,
        position: u64,
        limit: u32,
        most_bytes: u64,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, ReadError>>;

    /// Up to `limit` events from a position on.
    fn events_from(
        &self,
        position: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, ReadError>> {
        self.events_within(position, limit, u64::MAX)
    }

    /// The newest events below a size in their order: at most so many, with payloads of at most so many
    /// bytes together.
    fn newest_events(
        &self,
        size: u64,
        limit: u32,
        most_bytes: u64,
    ) -> BoxFuture<'_, Result<Vec<Recorded>, ReadError>>;

    /// Up to `limit` records from a position on, as they are stored: nothing is decoded or compared. It
    /// ends with the record whose payload brings their sum to `most_bytes`; never empty where there is a
    /// record, however large its payload is.
    fn records_within(
        &self,
        position: u64,
        limit: u32,
        most_bytes: u64,
    ) -> BoxFuture<'_, Result<Vec<StoredRecord>, ReadError>>;

    /// The headers from a position on, up to `limit` of them. Payloads, which can be large, are not
    /// read.
    fn headers_from(
        &self,
        position: u64,
        limit: u32,
    ) -> BoxFuture<'_, Result<Vec<Header>, ReadError>>;

    /// The event type and the hash of the record at a position, whether or not this version can read
    /// what it says; `None` when the log is shorter or what is stored is neither.
    fn form(&self, position: u64) -> BoxFuture<'_, Result<Option<(u16, RecordHash)>, ReadError>>;

    /// The tree's rows at these positions, as far as they are stored.
    fn tree_rows(
        &self,
        positions: BTreeSet<u64>,
    ) -> BoxFuture<'_, Result<BTreeMap<u64, Vec<u8>>, ReadError>>;

    /// Begins to read the log from one end to the other. It blocks.
    ///
    /// # Errors
    /// When it cannot be read.
    fn scan(&self) -> Result<Box<dyn Scan>, ReadError>;

    /// True when this file is one in which the log is kept.
    fn is_kept_in(&self, _file: &Path) -> bool {
        false
    }

    /// The room that is left for what is to be written; `None` where that cannot be told.
    fn bytes_free(&self) -> Option<u64> {
        None
    }

    /// Sets the gauges of what only the storage knows of.
    fn measure(&self) {}
}

impl dyn Log {
    /// Computes a proof, a tile or a frontier from the stored tree.
    ///
    /// # Errors
    /// [`ReadError::Tree`] when the tree does not reach so far (yet), and what keeps it from being read.
    pub async fn compute<T>(&self, lookup: Lookup<T>) -> Result<T, ReadError> {
        let rows = self.tree_rows(rows_for(&lookup)?).await?;
        complete(lookup, &rows)
    }
}

/// A log as of one moment, read in the order of the positions, as fast as the storage gives it. It blocks.
pub trait Scan {
    /// Gives the records from a position to before another, in their order, until `take` has enough.
    ///
    /// # Errors
    /// When the log cannot be read on. What can be read and is wrong goes to `take`.
    fn for_each(
        &self,
        from: u64,
        to: u64,
        take: &mut dyn FnMut(Scanned<'_>) -> ControlFlow<()>,
    ) -> Result<(), ReadError>;

    /// The position of the event that erased the payload at a position; `None` when none did.
    ///
    /// # Errors
    /// When it cannot be read.
    fn erased_by(&self, position: u64) -> Result<Option<u64>, ReadError>;
}

/// The record at one position.
#[derive(Debug)]
pub enum Scanned<'a> {
    /// A record; nothing of it is compared or decoded.
    Record(AuditRecord<'a>),
    /// Rows that cannot be a record.
    Malformed { position: u64, what: &'static str },
}
