//! The rows in which a tree is stored: one for each position, written with the event that stands there.

use super::error::ReadError;
use crate::tlog::{Frontier, Lookup, Node, StoredHash, TreeHash};
use std::collections::{BTreeMap, BTreeSet};

/// The hashes that one leaf adds, the leaf's own first, then, from the bottom up, those of the subtrees
/// that it completes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeRow {
    pub position: u64,
    /// 32 bytes each.
    pub hashes: Vec<u8>,
}

/// Grows the tree by leaves, and gives the rows to store for them.
///
/// # Errors
/// A tree that is larger than is supported.
pub fn grow(
    frontier: &mut Frontier,
    leaves: impl IntoIterator<Item = TreeHash>,
) -> Result<Vec<TreeRow>, ReadError> {
    let mut stored: Vec<StoredHash> = Vec::new();
    leaves
        .into_iter()
        .map(|leaf| {
            let position = frontier.size();
            stored.clear();
            frontier.append(leaf, &mut stored)?;
            let mut hashes = Vec::with_capacity(stored.len() * TreeHash::LEN);
            for row in &stored {
                hashes.extend_from_slice(row.hash.as_bytes());
            }
            Ok(TreeRow { position, hashes })
        })
        .collect()
}

/// The positions of the rows that hold what a computation needs.
///
/// # Errors
/// A tree that is larger than is supported.
pub fn rows_for<T>(lookup: &Lookup<T>) -> Result<BTreeSet<u64>, ReadError> {
    let nodes = nodes(lookup)?;
    Ok(nodes.into_iter().map(Node::last_leaf).collect())
}

/// Computes from those rows, each under its position, what a computation is for.
///
/// # Errors
/// [`ReadError::Tree`] where some are missing: the stored tree does not reach so far.
pub fn complete<T>(lookup: Lookup<T>, rows: &BTreeMap<u64, Vec<u8>>) -> Result<T, ReadError> {
    let hashes: Vec<TreeHash> = nodes(&lookup)?
        .iter()
        .filter_map(|node| {
            let level = usize::from(node.level());
            let row = rows.get(&node.last_leaf())?;
            TreeHash::from_slice(row.chunks_exact(TreeHash::LEN).nth(level)?)
        })
        .collect();
    Ok(lookup.complete(&hashes)?)
}

fn nodes<T>(lookup: &Lookup<T>) -> Result<Vec<Node>, ReadError> {
    let indexes = lookup.indexes().iter();
    let nodes = indexes.map(|index| Node::at_stored_index(*index));
    Ok(nodes.collect::<Result<_, _>>()?)
}
