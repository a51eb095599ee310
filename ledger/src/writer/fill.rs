//! Filling the tree of a ledger that an earlier version wrote, between the commands.
//!
//! Commit point: the rows of a stretch of positions are one transaction. A crash leaves the tree as
//! far as it came, and the next start goes on from there.

use super::Writer;
use super::commit::Commit;
use crate::error::Error;
use crate::tlog::Frontier;

/// The writer's tree.
#[derive(Debug)]
pub(crate) struct Tree {
    frontier: Frontier,
    state: Filling,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Filling {
    /// Every event has its leaf; commits write both.
    Whole,
    /// Events stand in the log that the tree does not have yet.
    Behind,
    /// The same, and the last try failed: the next one comes with the next commands or minute.
    Paused,
}

impl Tree {
    /// The tree as it is stored, beside a log of `size` events.
    pub(crate) fn new(frontier: Frontier, size: u64) -> Self {
        let state = if frontier.size() == size {
            Filling::Whole
        } else {
            Filling::Behind
        };
        Self { frontier, state }
    }

    /// As far as it is stored.
    pub(super) const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The tree over the whole log, when it is.
    pub(crate) fn whole(&self) -> Option<&Frontier> {
        (self.state == Filling::Whole).then_some(&self.frontier)
    }

    pub(super) fn put(&mut self, frontier: Frontier, size: u64) {
        *self = Self::new(frontier, size);
    }

    pub(super) fn is_filling(&self) -> bool {
        self.state == Filling::Behind
    }

    pub(super) fn is_paused(&self) -> bool {
        self.state == Filling::Paused
    }
}

impl Writer {
    /// Adds the next leaves that are missing; nothing to do for a tree that is whole.
    ///
    /// # Errors
    /// When nobody may go on, as after a failed fsync.
    pub(super) async fn fill_some(&mut self) -> Result<(), Error> {
        if self.tree.whole().is_some() {
            return Ok(());
        }
        match self.storage.fill_tree(self.tree.frontier().clone()).await {
            Ok(tree) => {
                self.tree.put(tree, self.head.size);
                if let Some(whole) = self.tree.whole() {
                    tracing::info!(leaves = whole.size(), "the ledger's tree is complete");
                    self.shared.tree.send_replace(Some(whole.clone()));
                }
                Ok(())
            }
            Err(error) => {
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    event.position = self.tree.frontier().size(),
                    "filling the ledger's tree"
                );
                match self.settle(error, self.head).await {
                    Commit::Done | Commit::Lost(_) => {
                        self.tree.state = Filling::Paused;
                        Ok(())
                    }
                    Commit::Fatal(fatal) => Err(fatal),
                }
            }
        }
    }
}
