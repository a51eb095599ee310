//! The tree beside the one of crate `ct-merkle`, which shares no code with it.

use super::*;
use ct_merkle::mem_backed_tree::MemoryBackedTree;
use ct_merkle::{ConsistencyProof as TheirConsistency, InclusionProof as TheirInclusion};
use proptest::prelude::*;
use sha2::Sha256;

type Theirs = MemoryBackedTree<Sha256, Vec<u8>>;

fn theirs(leaves: &[Vec<u8>]) -> Theirs {
    let mut tree = Theirs::new();
    for leaf in leaves {
        tree.push(leaf.clone());
    }
    tree
}

fn bytes(hashes: &[TreeHash]) -> Vec<u8> {
    hashes
        .iter()
        .flat_map(TreeHash::as_bytes)
        .copied()
        .collect()
}

fn leaves() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let leaf = prop::collection::vec(any::<u8>(), 0..140);
    prop::collection::vec(leaf, 1..200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn roots_and_proofs_are_equal_and_verify_on_both_sides(
        leaves in leaves(),
        a: prop::sample::Index,
        b: prop::sample::Index,
    ) {
        let size = leaves.len();
        let ours = Stored::of(leaves.iter().map(|leaf| leaf_hash(leaf)));
        let whole = theirs(&leaves);
        let root = whole.root();
        prop_assert_eq!(ours.frontier.root().as_bytes().to_vec(), root.as_bytes().to_vec());

        let at = a.index(size);
        let proof = ours.inclusion(at as u64, size as u64);
        prop_assert_eq!(bytes(proof.hashes()), whole.prove_inclusion(at).as_bytes().to_vec());
        let sent = TheirInclusion::from_bytes(bytes(proof.hashes()));
        root.verify_inclusion(&leaves[at], at as u64, &sent).unwrap();
        proof.verify(&leaf_hash(&leaves[at]), &ours.frontier.root()).unwrap();

        let from = b.index(size) + 1;
        let earlier = theirs(&leaves[..from]).root();
        let proof = ours.consistency(from as u64, size as u64);
        prop_assert_eq!(bytes(proof.hashes()), whole.prove_consistency(size - from).as_bytes().to_vec());
        let sent = TheirConsistency::try_from_bytes(bytes(proof.hashes())).unwrap();
        root.verify_consistency(&earlier, &sent).unwrap();
        proof.verify(&ours.root(from as u64), &ours.frontier.root()).unwrap();
    }
}
