//! Where the hash of each complete subtree is stored.
//!
//! Hashes are numbered in the order in which appending leaves makes them: the hash of leaf `n`, then,
//! from the bottom up, the hashes of the subtrees that leaf `n` completes. This is the numbering of
//! Go's checksum database. A stored index never changes its meaning, and a tree of `n` leaves fills
//! exactly the indexes below [`stored_count`]`(n)`.

use super::lookup::TreeError;

/// The largest tree: every stored index of it fits into SQLite's signed integers.
pub const MAX_TREE_SIZE: u64 = 1 << 62;

/// How many hashes are stored for a tree of `size` leaves; at most `2 * size`.
///
/// # Errors
/// [`TreeError::TooLarge`] above [`MAX_TREE_SIZE`].
pub fn stored_count(size: u64) -> Result<u64, TreeError> {
    checked_size(size).map(stored_before)
}

/// A complete subtree: the leaves from `index * 2^level` on, `2^level` of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Node {
    level: u8,
    index: u64,
}

impl Node {
    /// The subtree over the leaves from `index * 2^level` to before `(index + 1) * 2^level`; a leaf
    /// has level 0.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`] when its last leaf is beyond [`MAX_TREE_SIZE`].
    pub fn new(level: u8, index: u64) -> Result<Self, TreeError> {
        let end = index
            .checked_add(1)
            .and_then(|after| after.checked_mul(1_u64.checked_shl(level.into())?))
            .unwrap_or(u64::MAX);
        checked_size(end).map(|_| Self { level, index })
    }

    /// The subtree whose hash is stored under this index.
    ///
    /// # Errors
    /// [`TreeError::TooLarge`] when no tree that is allowed has so many hashes.
    pub fn at_stored_index(stored: u64) -> Result<Self, TreeError> {
        // Leaf `n` is stored at `2n` less the ones in `n`, so `stored / 2` is at or a little before it.
        let mut leaf = checked_size(stored / 2)?;
        while stored_before(leaf + 1) <= stored {
            leaf += 1;
        }
        let level = stored - stored_before(leaf);
        let level = u8::try_from(level).map_err(|_| TreeError::TooLarge { size: leaf })?;
        Self::new(level, leaf >> level)
    }

    /// How far above the leaves it is.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.level
    }

    /// How many subtrees of its level are to the left of it.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Its last leaf, the one that completes it.
    #[must_use]
    pub const fn last_leaf(self) -> u64 {
        ((self.index + 1) << self.level) - 1
    }

    /// The index under which its hash is stored.
    #[must_use]
    pub fn stored_index(self) -> u64 {
        stored_before(self.last_leaf()) + u64::from(self.level)
    }
}

/// How many hashes are stored before the hash of leaf `leaf`.
pub(super) fn stored_before(leaf: u64) -> u64 {
    2 * leaf - u64::from(leaf.count_ones())
}

/// Refuses sizes whose stored indexes would not fit.
pub(super) fn checked_size(size: u64) -> Result<u64, TreeError> {
    if size > MAX_TREE_SIZE {
        return Err(TreeError::TooLarge { size });
    }
    Ok(size)
}

/// The subtrees, from the left and so from the largest, that together are the leaves from `low` to
/// before `high`. The range must be one that RFC 6962 splits a tree into: `low` is a multiple of the
/// largest power of two that is not above its length.
pub(super) fn subtrees(low: u64, high: u64) -> impl Iterator<Item = Node> {
    let mut low = low;
    std::iter::from_fn(move || {
        let level = (high.checked_sub(low)?).checked_ilog2()?;
        let node = Node {
            level: u8::try_from(level).ok()?,
            index: low >> level,
        };
        low += 1 << level;
        Some(node)
    })
}

/// The largest power of two below `leaves`, where RFC 6962 splits a tree of more than one leaf.
pub(super) fn split(leaves: u64) -> u64 {
    1 << leaves.saturating_sub(1).max(1).ilog2()
}
