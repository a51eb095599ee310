//! Inclusion proofs (RFC 6962, section 2.1.1; verified as in RFC 9162, section 2.1.3.2).

use super::hash::{EMPTY_ROOT, TreeHash, node_hash};
use super::lookup::{Lookup, Ranges, TreeError};
use super::node::{checked_size, split};

/// Why a proof does not prove what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The sizes or the index contradict each other.
    #[error(transparent)]
    Impossible(#[from] TreeError),
    /// More or fewer hashes than a proof between these has.
    #[error("the proof has the wrong number of hashes")]
    Length,
    /// The hashes lead to another root than that of the tree.
    #[error("the proof does not lead to the root of the tree")]
    Root,
    /// The hashes lead to another root than that of the earlier tree.
    #[error("the proof does not lead to the root of the earlier tree")]
    EarlierRoot,
}

/// Proves that a leaf is in the tree of some size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InclusionProof {
    leaf_index: u64,
    tree_size: u64,
    hashes: Vec<TreeHash>,
}

impl InclusionProof {
    /// Takes a proof as it was sent; only [`Self::verify`] tells whether it proves anything.
    #[must_use]
    pub const fn from_parts(leaf_index: u64, tree_size: u64, hashes: Vec<TreeHash>) -> Self {
        Self {
            leaf_index,
            tree_size,
            hashes,
        }
    }

    /// The proof that leaf `leaf_index` is in the tree of `tree_size` leaves. Needs at most twice as
    /// many stored hashes as the size has bits.
    ///
    /// # Errors
    /// [`TreeError::NotInTree`] and [`TreeError::TooLarge`].
    pub fn lookup(leaf_index: u64, tree_size: u64) -> Result<Lookup<Self>, TreeError> {
        let siblings = Self::siblings(leaf_index, tree_size)?;
        Ok(siblings.lookup(move |hashes| Self::from_parts(leaf_index, tree_size, hashes)))
    }

    /// The same with the hash of the leaf, which the tree has stored beside the others.
    ///
    /// # Errors
    /// As [`Self::lookup`].
    pub fn lookup_with_leaf(
        leaf_index: u64,
        tree_size: u64,
    ) -> Result<Lookup<(TreeHash, Self)>, TreeError> {
        let mut ranges = Self::siblings(leaf_index, tree_size)?;
        // Pushed last, it comes out first.
        ranges.push(leaf_index, leaf_index + 1);
        Ok(ranges.lookup(move |hashes| {
            // As many hashes come as were asked for, so there is a first one.
            let (leaf, siblings) = hashes.split_first().unwrap_or((&EMPTY_ROOT, &[]));
            let proof = Self::from_parts(leaf_index, tree_size, siblings.to_vec());
            (*leaf, proof)
        }))
    }

    fn siblings(leaf_index: u64, tree_size: u64) -> Result<Ranges, TreeError> {
        checked_size(tree_size)?;
        if leaf_index >= tree_size {
            return Err(TreeError::NotInTree {
                leaf_index,
                tree_size,
            });
        }
        let mut siblings = Ranges::default();
        let (mut low, mut high) = (0, tree_size);
        while high - low > 1 {
            let middle = low + split(high - low);
            if leaf_index < middle {
                siblings.push(middle, high);
                high = middle;
            } else {
                siblings.push(low, middle);
                low = middle;
            }
        }
        Ok(siblings)
    }

    /// The leaf's index: the record's position.
    #[must_use]
    pub const fn leaf_index(&self) -> u64 {
        self.leaf_index
    }

    /// The size of the tree that it is in.
    #[must_use]
    pub const fn tree_size(&self) -> u64 {
        self.tree_size
    }

    /// The hashes beside the way from the leaf to the root, from the leaf up.
    #[must_use]
    pub fn hashes(&self) -> &[TreeHash] {
        &self.hashes
    }

    /// Checks that a leaf of this hash is in the tree of this root, at the proof's index.
    ///
    /// # Errors
    /// When it does not prove that; see [`ProofError`].
    pub fn verify(&self, leaf: &TreeHash, root: &TreeHash) -> Result<(), ProofError> {
        if self.leaf_index >= self.tree_size {
            return Err(ProofError::Impossible(TreeError::NotInTree {
                leaf_index: self.leaf_index,
                tree_size: self.tree_size,
            }));
        }
        let mut at = self.leaf_index;
        let mut last = self.tree_size - 1;
        let mut hash = *leaf;
        for sibling in &self.hashes {
            if last == 0 {
                return Err(ProofError::Length);
            }
            if at % 2 == 1 || at == last {
                hash = node_hash(sibling, &hash);
                while at != 0 && at.is_multiple_of(2) {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                hash = node_hash(&hash, sibling);
            }
            at >>= 1;
            last >>= 1;
        }
        if last != 0 {
            return Err(ProofError::Length);
        }
        if hash != *root {
            return Err(ProofError::Root);
        }
        Ok(())
    }
}
