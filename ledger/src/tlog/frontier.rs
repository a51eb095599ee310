//! The right edge of the tree: all that appending needs to know.

use super::hash::{EMPTY_ROOT, TreeHash, node_hash};
use super::lookup::{Lookup, TreeError, fold};
use super::node::{checked_size, stored_before, subtrees};

/// One hash to store, and the index to store it under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredHash {
    /// The row's key; each is the one before and one.
    pub index: u64,
    /// The hash of the complete subtree of that index.
    pub hash: TreeHash,
}

/// A tree's size and the hashes of the complete subtrees that it is made of, the largest first: at
/// most one for each bit of the size. Whoever appends keeps one; a failed commit leaves the clone from
/// before it right.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Frontier {
    size: u64,
    subtrees: Vec<TreeHash>,
}

impl Frontier {
    /// Of the tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Of the tree that had `size` leaves, from the stored hashes of it or of any later one.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`].
    pub fn lookup(size: u64) -> Result<Lookup<Self>, TreeError> {
        checked_size(size)?;
        Ok(Lookup::new(subtrees(0, size), move |hashes| Self {
            size,
            subtrees: hashes.to_vec(),
        }))
    }

    /// How many leaves the tree has; the index that the next leaf gets.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The hashes of the complete subtrees, the largest first.
    #[must_use]
    pub fn subtrees(&self) -> &[TreeHash] {
        &self.subtrees
    }

    /// The root of the tree, as checkpoints have it.
    #[must_use]
    pub fn root(&self) -> TreeHash {
        fold(&self.subtrees).unwrap_or(EMPTY_ROOT)
    }

    /// Appends a leaf by its hash ([`super::record_leaf`]) and adds to `rows` what must be stored, in
    /// the transaction that stores the record: the leaf's hash, and the hash of each subtree that it
    /// completes. Two rows on average.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`]; then nothing has changed.
    pub fn append(&mut self, leaf: TreeHash, rows: &mut Vec<StoredHash>) -> Result<(), TreeError> {
        let size = checked_size(self.size + 1)?;
        let completed = self.size.trailing_ones();
        let mut row = StoredHash {
            index: stored_before(self.size),
            hash: leaf,
        };
        rows.push(row);
        for _ in 0..completed {
            let Some(left) = self.subtrees.pop() else {
                break;
            };
            row = StoredHash {
                index: row.index + 1,
                hash: node_hash(&left, &row.hash),
            };
            rows.push(row);
        }
        self.subtrees.push(row.hash);
        self.size = size;
        Ok(())
    }
}
