//! The loop that signs.

use super::{BoxError, CheckpointStore, Checkpoints, SignedCheckpoint, SigningFrom};
use crate::tlog::{Checkpoint, Frontier, LogSigner};
use crate::writer::describe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

/// The least time between two checkpoints, and until one that could not be written is tried again.
const PACE: Duration = Duration::from_secs(1);

/// Signs the tree when it has grown.
pub(crate) struct Signer {
    signer: Arc<LogSigner>,
    store: Arc<dyn CheckpointStore>,
    checkpoints: Checkpoints,
    /// The size of the newest checkpoint.
    signed: u64,
    /// The size that was tried last: it may stand in the file although its writing was said to fail.
    tried: u64,
    tree: watch::Receiver<Option<Frontier>>,
}

impl Signer {
    /// With the checkpoints that it will sign. `tree` tells how the log grows.
    pub(crate) fn new(
        from: SigningFrom,
        tree: &watch::Sender<Option<Frontier>>,
    ) -> (Self, Checkpoints) {
        let SigningFrom {
            origin,
            signer,
            newest,
            store,
        } = from;
        let signed = newest.size();
        // The empty tree is nobody's news.
        let newest = (signed > 0).then_some(newest);
        let checkpoints = Checkpoints::new(origin, signer.public(), newest);
        let mut tree = tree.subscribe();
        // What stands there at the start has perhaps not been signed.
        tree.mark_changed();
        let signer = Self {
            signer,
            store,
            checkpoints: checkpoints.clone(),
            signed,
            tried: signed,
            tree,
        };
        (signer, checkpoints)
    }

    /// Signs at most once in a second, until the writer has ended: then once more, when it ended well.
    /// `ended` tells.
    pub(crate) async fn run(mut self, mut ended: oneshot::Receiver<bool>) {
        metrics::gauge!("ledger_checkpoint_size").set(gauge(self.signed));
        let mut next = Instant::now();
        loop {
            let grown = async {
                let grown = self.tree.changed().await;
                tokio::time::sleep_until(next).await;
                grown
            };
            let well = tokio::select! {
                grown = grown => {
                    if grown.is_ok() {
                        self.sign().await;
                        next = Instant::now() + PACE;
                        continue;
                    }
                    true
                }
                well = &mut ended => well.unwrap_or(false),
            };
            if well {
                self.sign().await;
            }
            return;
        }
    }

    /// Signs the tree as it is now, if it has grown. What cannot be written is tried again in a
    /// second, and told until then.
    async fn sign(&mut self) {
        let tree = self.tree.borrow_and_update().clone();
        let Some(tree) = tree.filter(|tree| tree.size() > self.signed) else {
            return;
        };
        match self.put(&tree).await {
            Ok(signed) => {
                self.signed = signed.size();
                metrics::gauge!("ledger_checkpoint_size").set(gauge(signed.size()));
                self.checkpoints.publish(signed);
            }
            Err(error) => {
                let error = describe(&*error);
                tracing::error!(
                    error,
                    size = tree.size(),
                    "a checkpoint could not be kept, so it is not published"
                );
                self.checkpoints.fail(error);
                self.tree.mark_changed();
            }
        }
    }

    /// Signs a tree and has the note kept.
    async fn put(&mut self, tree: &Frontier) -> Result<SignedCheckpoint, BoxError> {
        let origin = self.checkpoints.origin().clone();
        let checkpoint = Checkpoint::new(origin, tree.size(), tree.root());
        let signed = SignedCheckpoint::sign(&self.signer, checkpoint);
        let store = Arc::clone(&self.store);
        let key = self.checkpoints.key().clone();
        let ours = [self.signed, std::mem::replace(&mut self.tried, tree.size())];
        // Writing to a disk takes as long as it takes, and must not hold up what else runs.
        let written = tokio::task::spawn_blocking(move || {
            store.replace(&signed, &key, ours).map(|()| signed)
        });
        written.await?
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "a gauge of events is exact up to 2^53 of them"
)]
fn gauge(size: u64) -> f64 {
    size as f64
}
