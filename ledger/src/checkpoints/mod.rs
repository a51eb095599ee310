//! Checkpoints: signed statements of the tree's size and root (C2SP tlog-checkpoint), made when the
//! log has grown.
//!
//! A signature is for good: a log that signs two trees of one size, or a tree that does not go on from
//! one signed before, has forked. So the signed note stands on disk, in a file apart from the ledger,
//! before anybody sees it, and a ledger that does not go on from it is not opened. A crash after the
//! file was replaced leaves a checkpoint that nobody has seen; it is of events that are committed, and
//! the next start publishes it.

mod signer;
mod witnessed;

pub(crate) use signer::Signer;

use crate::tlog::{Checkpoint, CheckpointError, LogKey, LogOrigin, LogSigner, Note};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A checkpoint with the note that the log signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: Note,
}

impl SignedCheckpoint {
    #[must_use]
    pub fn sign(signer: &LogSigner, checkpoint: Checkpoint) -> Self {
        let note = signer.sign_checkpoint(&checkpoint);
        Self { checkpoint, note }
    }

    /// Reads a note that this log has signed.
    ///
    /// # Errors
    /// Where it has not, or the note states something else.
    pub fn open(note: Note, key: &LogKey, origin: &LogOrigin) -> Result<Self, CheckpointError> {
        let checkpoint = Checkpoint::open(&note, key, origin)?;
        Ok(Self { checkpoint, note })
    }

    #[must_use]
    pub const fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// The size of the tree: how many events it covers.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.checkpoint.size()
    }

    /// The statement as it was signed.
    #[must_use]
    pub const fn note(&self) -> &Note {
        &self.note
    }
}

/// An error of whatever keeps checkpoints.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Where the newest checkpoint is kept, apart from the log. Whoever has one is the only one that signs.
pub trait CheckpointStore: Send + Sync + 'static {
    /// Puts the next checkpoint in the place of the newest. When it answers, it is durable: only then may
    /// anybody see it. `ours` are the sizes of those that this process may have put there. It blocks.
    ///
    /// # Errors
    /// The signature must not leave. Either checkpoint may stand there, or one of another size than
    /// `ours`: then somebody else signs a copy of this ledger, and one more signature would fork the log.
    fn replace(
        &self,
        next: &SignedCheckpoint,
        key: &LogKey,
        ours: [u64; 2],
    ) -> Result<(), BoxError>;
}

/// The state that signing goes on from.
pub struct SigningFrom {
    /// The log's identity, the first line of each checkpoint.
    pub origin: LogOrigin,
    pub signer: Arc<LogSigner>,
    /// The newest checkpoint, which the log was compared with; of an empty tree where there was none.
    pub newest: SignedCheckpoint,
    /// Where it is kept.
    pub store: Arc<dyn CheckpointStore>,
}

/// The checkpoints of an open ledger. Clones see the same.
#[derive(Debug, Clone)]
pub struct Checkpoints(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    origin: LogOrigin,
    key: LogKey,
    newest: watch::Sender<Option<Arc<SignedCheckpoint>>>,
    witnessed: watch::Sender<Option<Arc<SignedCheckpoint>>>,
    failing: watch::Sender<Option<String>>,
}

impl Checkpoints {
    fn new(origin: LogOrigin, key: LogKey, newest: Option<SignedCheckpoint>) -> Self {
        Self(Arc::new(Inner {
            origin,
            key,
            newest: watch::Sender::new(newest.map(Arc::new)),
            witnessed: watch::Sender::new(None),
            failing: watch::Sender::new(None),
        }))
    }

    /// The origin of the checkpoints.
    #[must_use]
    pub fn origin(&self) -> &LogOrigin {
        &self.0.origin
    }

    #[must_use]
    pub fn key(&self) -> &LogKey {
        &self.0.key
    }

    /// The newest; `None` while the tree of a ledger from an earlier version is still being filled.
    #[must_use]
    pub fn newest(&self) -> Option<Arc<SignedCheckpoint>> {
        self.0.newest.borrow().clone()
    }

    /// The newest, and those to come.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<Option<Arc<SignedCheckpoint>>> {
        self.0.newest.subscribe()
    }

    /// The newest as soon as it covers the event at a position; `None` when none does after `patience`.
    pub async fn covering(
        &self,
        position: u64,
        patience: Duration,
    ) -> Option<Arc<SignedCheckpoint>> {
        let mut newest = self.subscribe();
        let covering = newest.wait_for(|newest| {
            newest
                .as_ref()
                .is_some_and(|newest| newest.size() > position)
        });
        let newest = tokio::time::timeout(patience, covering).await.ok()?.ok()?;
        newest.clone()
    }

    /// Why no checkpoint can be signed at the moment; `None` while they can.
    #[must_use]
    pub fn failing(&self) -> Option<String> {
        self.0.failing.borrow().clone()
    }

    fn publish(&self, signed: SignedCheckpoint) {
        self.0.failing.send_replace(None);
        self.0.newest.send_replace(Some(Arc::new(signed)));
    }

    fn fail(&self, why: String) {
        self.0.failing.send_replace(Some(why));
    }
}
