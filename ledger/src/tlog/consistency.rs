//! Consistency proofs (RFC 6962, section 2.1.2; verified as in RFC 9162, section 2.1.4.2).

use super::hash::{EMPTY_ROOT, TreeHash, node_hash};
use super::inclusion::ProofError;
use super::lookup::{Lookup, Ranges, TreeError};
use super::node::{checked_size, split};

/// Proves that a tree begins with all the leaves of an earlier one, in the same order: that nothing
/// was changed, only appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsistencyProof {
    from: u64,
    to: u64,
    hashes: Vec<TreeHash>,
}

impl ConsistencyProof {
    /// Takes a proof as it was sent; only [`Self::verify`] tells whether it proves anything.
    #[must_use]
    pub const fn from_parts(from: u64, to: u64, hashes: Vec<TreeHash>) -> Self {
        Self { from, to, hashes }
    }

    /// The proof that the tree of `to` leaves begins with the tree of `from` leaves. Needs at most
    /// twice as many stored hashes as `to` has bits. From 0, and between equal sizes, the proof is
    /// empty.
    ///
    /// # Errors
    /// [`TreeError::Backwards`] and [`TreeError::TooLarge`].
    pub fn lookup(from: u64, to: u64) -> Result<Lookup<Self>, TreeError> {
        checked_size(to)?;
        if from > to {
            return Err(TreeError::Backwards { from, to });
        }
        let mut ranges = Ranges::default();
        let (mut low, mut high) = (0, to);
        // Whoever verifies knows the root of the earlier tree, and needs its hash only where it is
        // not the subtree at the left edge.
        let mut known = true;
        while 0 < from && from < high {
            let middle = low + split(high - low);
            if from <= middle {
                ranges.push(middle, high);
                high = middle;
            } else {
                ranges.push(low, middle);
                low = middle;
                known = false;
            }
        }
        if !known {
            ranges.push(low, high);
        }
        Ok(ranges.lookup(move |hashes| Self::from_parts(from, to, hashes)))
    }

    /// The size of the earlier tree.
    #[must_use]
    pub const fn from(&self) -> u64 {
        self.from
    }

    /// The size of the later tree.
    #[must_use]
    pub const fn to(&self) -> u64 {
        self.to
    }

    /// The hashes, in the order of RFC 6962.
    #[must_use]
    pub fn hashes(&self) -> &[TreeHash] {
        &self.hashes
    }

    /// Checks that the tree with root `later` begins with the tree with root `earlier`.
    ///
    /// # Errors
    /// When it does not prove that; see [`ProofError`].
    pub fn verify(&self, earlier: &TreeHash, later: &TreeHash) -> Result<(), ProofError> {
        let (from, to) = (self.from, self.to);
        if from > to {
            return Err(TreeError::Backwards { from, to }.into());
        }
        if from == 0 || from == to {
            return self.verify_without_hashes(earlier, later);
        }
        let mut rest = self.hashes.iter();
        // The tree of `from` leaves is itself a subtree of the later one where `from` is a power of
        // two, and then its hash is left out.
        let start = if from.is_power_of_two() {
            earlier
        } else {
            rest.next().ok_or(ProofError::Length)?
        };
        let left_out = (from - 1).trailing_ones();
        let mut at = (from - 1) >> left_out;
        let mut last = (to - 1) >> left_out;
        let (mut earlier_hash, mut later_hash) = (*start, *start);
        for hash in rest {
            if last == 0 {
                return Err(ProofError::Length);
            }
            if at % 2 == 1 || at == last {
                earlier_hash = node_hash(hash, &earlier_hash);
                later_hash = node_hash(hash, &later_hash);
                while at != 0 && at.is_multiple_of(2) {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                later_hash = node_hash(&later_hash, hash);
            }
            at >>= 1;
            last >>= 1;
        }
        if last != 0 {
            return Err(ProofError::Length);
        }
        if earlier_hash != *earlier {
            return Err(ProofError::EarlierRoot);
        }
        if later_hash != *later {
            return Err(ProofError::Root);
        }
        Ok(())
    }

    fn verify_without_hashes(
        &self,
        earlier: &TreeHash,
        later: &TreeHash,
    ) -> Result<(), ProofError> {
        if !self.hashes.is_empty() {
            return Err(ProofError::Length);
        }
        if self.from == 0 && *earlier != EMPTY_ROOT {
            return Err(ProofError::EarlierRoot);
        }
        if self.from == self.to && earlier != later {
            return Err(ProofError::Root);
        }
        Ok(())
    }
}
