//! The transparency log over the records: what makes "nothing was changed" a thing that a stranger can
//! check. Everything here is pure; stored hashes, time and keys come in as arguments.
//!
//! - an RFC 6962 Merkle tree with SHA-256 whose leaf at index `n` is the canonical header of the record
//!   at position `n` ([`Frontier`], [`InclusionProof`], [`ConsistencyProof`]),
//! - signed notes, checkpoints and cosignatures as C2SP specifies them (signed-note, tlog-checkpoint,
//!   tlog-cosignature, tlog-policy), and what is sent to a witness (tlog-witness),
//! - the tiles and entry bundles of C2SP tlog-tiles.
//!
//! # How hashes are stored
//! The hash of each complete subtree is stored once, under a gapless index ([`Node::stored_index`]):
//! appending a leaf stores the leaf's hash and the hashes of the subtrees that it completes, two on
//! average. Every root, proof and tile is computed from few of them: a [`Lookup`] says which indexes it
//! needs and makes the result of their hashes, so that one statement can read them, awaited or not.

mod checkpoint;
mod consistency;
mod cosignature;
mod entry_bundle;
mod frontier;
mod hash;
mod inclusion;
mod key;
mod lookup;
mod node;
mod note;
mod policy;
mod policy_file;
mod tile;
mod witness_request;

pub use checkpoint::{Checkpoint, CheckpointError, LogOrigin};
pub use consistency::ConsistencyProof;
pub use cosignature::Cosignature;
pub use entry_bundle::{EntryBundle, EntryBundleError};
pub use frontier::{Frontier, StoredHash};
pub use hash::{EMPTY_ROOT, InvalidTreeHash, TreeHash, leaf_hash, node_hash, record_leaf};
pub use inclusion::{InclusionProof, ProofError};
pub use key::{KeyId, KeyName, LogKey, LogSigner, NoteKeyError, WitnessKey, WitnessSigner};
pub use lookup::{HashReader, Lookup, TreeError};
pub use node::{MAX_TREE_SIZE, Node, stored_count};
pub use note::{MAX_NOTE_BYTES, Note, NoteError, NoteSignature};
pub use policy::{PolicyError, PolicyLog, PolicyWitness, QuorumReport, WitnessPolicy};
pub use tile::{InvalidTilePath, TILE_WIDTH, Tile, TilePath};
pub use witness_request::{WitnessRefusal, WitnessRequest, Witnessed};

#[cfg(test)]
mod tests;
