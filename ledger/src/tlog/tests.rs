//! Trees, proofs, tiles, notes and policies, against their specifications and against two
//! implementations by others.

use super::*;
use crate::id::{EventId, StreamId};
use crate::record::{Header, PayloadDigest, RecordHash};
use crate::{Random, Timestamp};

mod golden;
mod note;
mod other_implementation;
mod policy;
mod tile;
mod tree;
mod witness_request;

/// The stored hashes of a tree, in memory; a hash that is not stored is left out of what is read.
#[derive(Default)]
struct Stored {
    frontier: Frontier,
    hashes: Vec<TreeHash>,
}

impl Stored {
    fn of(leaves: impl IntoIterator<Item = TreeHash>) -> Self {
        let mut stored = Self::default();
        for leaf in leaves {
            stored.append(leaf);
        }
        stored
    }

    /// The log whose leaf `n` is the header with position `n` and every other field zero.
    fn of_plain_records(size: u64) -> Self {
        Self::of((0..size).map(|position| record_leaf(&plain_record(position))))
    }

    fn append(&mut self, leaf: TreeHash) {
        let mut rows = Vec::new();
        self.frontier.append(leaf, &mut rows).unwrap();
        for row in rows {
            assert_eq!(row.index, self.hashes.len() as u64, "indexes are gapless");
            self.hashes.push(row.hash);
        }
    }

    fn root(&self, size: u64) -> TreeHash {
        let frontier = Frontier::lookup(size).unwrap().read(self).unwrap();
        assert_eq!(frontier.size(), size);
        frontier.root()
    }

    fn inclusion(&self, leaf_index: u64, tree_size: u64) -> InclusionProof {
        let lookup = InclusionProof::lookup(leaf_index, tree_size).unwrap();
        lookup.read(self).unwrap()
    }

    fn consistency(&self, from: u64, to: u64) -> ConsistencyProof {
        let lookup = ConsistencyProof::lookup(from, to).unwrap();
        lookup.read(self).unwrap()
    }
}

impl HashReader for Stored {
    type Error = TreeError;

    fn read(&self, indexes: &[u64]) -> Result<Vec<TreeHash>, TreeError> {
        let stored = |index: &u64| self.hashes.get(usize::try_from(*index).unwrap());
        Ok(indexes.iter().filter_map(stored).copied().collect())
    }
}

fn plain_record(position: u64) -> Header {
    Header {
        position,
        event_id: EventId::from_bytes([0; 16]),
        stream_id: StreamId::from_bytes([0; 16]),
        stream_version: 0,
        event_type: 0,
        schema_version: 0,
        recorded_at: Timestamp::from_micros(0),
        prev_hash: RecordHash::from_bytes([0; 32]),
        payload_len: 0,
        payload_digest: PayloadDigest::from_bytes([0; 32]),
    }
}

struct Sevens;

impl Random for Sevens {
    fn fill(&self, bytes: &mut [u8]) {
        bytes.fill(7);
    }
}
