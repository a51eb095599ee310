//! Computations over stored hashes, apart from how the hashes are read.

use super::frontier::StoredHash;
use super::hash::{TreeHash, node_hash};
use super::node::{Node, subtrees};
use std::collections::HashMap;

/// Why something cannot be computed from the stored hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// Larger than this software numbers.
    #[error("a tree of {size} leaves is larger than is supported")]
    TooLarge {
        /// The size asked for, in leaves.
        size: u64,
    },
    /// A leaf that the tree does not have.
    #[error("leaf {leaf_index} is not in a tree of {tree_size} leaves")]
    NotInTree {
        /// The leaf asked for.
        leaf_index: u64,
        /// The size of the tree, in leaves.
        tree_size: u64,
    },
    /// A tree is not consistent with a smaller one that came later.
    #[error("from {from} to {to} is backwards: a consistency proof goes from the smaller tree on")]
    Backwards {
        /// The size given for the earlier tree.
        from: u64,
        /// The size given for the later tree.
        to: u64,
    },
    /// A tile or bundle that the tree does not have yet.
    #[error("a tree of {tree_size} leaves does not have that tile")]
    NoSuchTile {
        /// The size of the tree, in leaves.
        tree_size: u64,
    },
    /// The store gave more or fewer hashes than were asked for: some are not stored.
    #[error("{found} of {expected} stored hashes were found")]
    HashCount {
        /// How many were asked for.
        expected: usize,
        /// How many came.
        found: usize,
    },
}

/// Reads stored hashes.
pub trait HashReader {
    /// Its errors, a [`TreeError`] among them.
    type Error: From<TreeError>;

    /// The hashes under these indexes, in the order of the indexes, all of them.
    ///
    /// # Errors
    /// When they cannot be read. Hashes that are not stored may be left out: the count is checked.
    fn read(&self, indexes: &[u64]) -> Result<Vec<TreeHash>, Self::Error>;
}

type Completion<T> = Box<dyn FnOnce(&[TreeHash]) -> T + Send>;

/// Something that is computed from stored hashes: says which, and makes it of them.
#[must_use = "a lookup does nothing until its hashes have been read"]
pub struct Lookup<T> {
    indexes: Vec<u64>,
    complete: Completion<T>,
}

impl<T> Lookup<T> {
    pub(super) fn new(
        nodes: impl IntoIterator<Item = Node>,
        complete: impl FnOnce(&[TreeHash]) -> T + Send + 'static,
    ) -> Self {
        Self {
            indexes: nodes.into_iter().map(Node::stored_index).collect(),
            complete: Box::new(complete),
        }
    }

    /// The indexes of the stored hashes that it needs, none twice, in no particular order.
    #[must_use]
    pub fn indexes(&self) -> &[u64] {
        &self.indexes
    }

    /// Makes the result of the hashes, which stand in the order of [`Self::indexes`].
    ///
    /// # Errors
    /// [`TreeError::HashCount`] when there are more or fewer hashes than indexes.
    pub fn complete(self, hashes: &[TreeHash]) -> Result<T, TreeError> {
        if hashes.len() != self.indexes.len() {
            return Err(TreeError::HashCount {
                expected: self.indexes.len(),
                found: hashes.len(),
            });
        }
        Ok((self.complete)(hashes))
    }

    /// Makes the result of rows in any order, as a store gives them. Rows that were not asked for do
    /// not matter.
    ///
    /// # Errors
    /// [`TreeError::HashCount`] when some are missing.
    pub fn complete_rows(self, rows: impl IntoIterator<Item = StoredHash>) -> Result<T, TreeError> {
        let rows: HashMap<u64, TreeHash> =
            rows.into_iter().map(|row| (row.index, row.hash)).collect();
        let hashes: Vec<TreeHash> = self
            .indexes
            .iter()
            .filter_map(|index| rows.get(index).copied())
            .collect();
        self.complete(&hashes)
    }

    /// Reads the hashes in one batch and makes the result of them.
    ///
    /// # Errors
    /// The reader's, or that it gave more or fewer hashes than were asked for.
    pub fn read<R: HashReader>(self, reader: &R) -> Result<T, R::Error> {
        let hashes = reader.read(&self.indexes)?;
        Ok(self.complete(&hashes)?)
    }
}

/// The ranges of leaves whose hashes make up a proof, in the proof's order.
#[derive(Debug, Default)]
pub(super) struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    pub(super) fn push(&mut self, low: u64, high: u64) {
        self.0.push((low, high));
    }

    /// The hashes of the ranges; `make` makes the result of them. The ranges were pushed from the
    /// root down, and come out from the leaf up, as RFC 6962 has them.
    pub(super) fn lookup<T>(
        mut self,
        make: impl FnOnce(Vec<TreeHash>) -> T + Send + 'static,
    ) -> Lookup<T> {
        self.0.reverse();
        let nodes: Vec<Vec<Node>> = self
            .0
            .iter()
            .map(|(low, high)| subtrees(*low, *high).collect())
            .collect();
        let counts: Vec<usize> = nodes.iter().map(Vec::len).collect();
        Lookup::new(nodes.into_iter().flatten(), move |hashes| {
            let mut rest = hashes;
            let proof = counts.iter().filter_map(|count| {
                let (range, after) = rest.split_at_checked(*count)?;
                rest = after;
                fold(range)
            });
            make(proof.collect())
        })
    }
}

/// The hash over subtrees that stand side by side, the largest first; `None` over none.
pub(super) fn fold(subtrees: &[TreeHash]) -> Option<TreeHash> {
    let mut from_the_right = subtrees.iter().rev();
    let first = *from_the_right.next()?;
    Some(from_the_right.fold(first, |right, left| node_hash(left, &right)))
}
