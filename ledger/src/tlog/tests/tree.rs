//! The tree by the definitions of RFC 6962, for every small size, and what a proof must not prove.

use super::*;
use proptest::prelude::*;

const SIZES: u64 = 70;

fn leaf(n: u64) -> TreeHash {
    leaf_hash(&n.to_be_bytes())
}

fn small() -> Stored {
    Stored::of((0..SIZES).map(leaf))
}

/// MTH of RFC 6962, section 2.1, as it stands there.
fn defined_root(low: u64, high: u64) -> TreeHash {
    match high - low {
        0 => EMPTY_ROOT,
        1 => leaf(low),
        n => {
            let k = (1..n).rev().find(|k| k.is_power_of_two()).unwrap();
            let left = defined_root(low, low + k);
            node_hash(&left, &defined_root(low + k, high))
        }
    }
}

#[test]
fn the_root_of_every_size_is_the_defined_one() {
    let log = small();
    for size in 0..=SIZES {
        assert_eq!(log.root(size), defined_root(0, size), "of {size} leaves");
    }
    assert_eq!(log.frontier.root(), log.root(SIZES));
}

#[test]
fn stored_hashes_are_those_of_the_complete_subtrees() {
    let log = small();
    assert_eq!(stored_count(SIZES), Ok(log.hashes.len() as u64));
    for (index, hash) in log.hashes.iter().enumerate() {
        let node = Node::at_stored_index(index as u64).unwrap();
        assert_eq!(node.stored_index(), index as u64);
        let low = node.index() << node.level();
        assert_eq!(*hash, defined_root(low, low + (1 << node.level())));
    }
}

#[test]
fn a_tree_goes_on_from_the_stored_hashes_of_any_size() {
    let log = small();
    for size in 0..SIZES {
        let mut frontier = Frontier::lookup(size).unwrap().read(&log).unwrap();
        let mut rows = Vec::new();
        frontier.append(leaf(size), &mut rows).unwrap();
        assert_eq!(frontier.root(), log.root(size + 1));
        for row in rows {
            assert_eq!(row.hash, log.hashes[usize::try_from(row.index).unwrap()]);
        }
    }
}

#[test]
fn every_leaf_is_proven_and_nothing_else_is() {
    let log = small();
    for tree_size in 1..=SIZES {
        let root = log.root(tree_size);
        for at in 0..tree_size {
            let proof = log.inclusion(at, tree_size);
            proof.verify(&leaf(at), &root).unwrap();
            let other = InclusionProof::from_parts(at ^ 1, tree_size, proof.hashes().to_vec());
            assert!(other.verify(&leaf(at), &root).is_err());
            assert_eq!(proof.verify(&leaf(at + 1), &root), Err(ProofError::Root));
            let one_more = [proof.hashes(), &[root]].concat();
            let longer = InclusionProof::from_parts(at, tree_size, one_more);
            assert_eq!(longer.verify(&leaf(at), &root), Err(ProofError::Length));
            if let Some((_, shorter)) = proof.hashes().split_last() {
                let shorter = InclusionProof::from_parts(at, tree_size, shorter.to_vec());
                assert_eq!(shorter.verify(&leaf(at), &root), Err(ProofError::Length));
            }
        }
    }
}

#[test]
fn every_two_sizes_are_consistent_and_no_other_roots_are() {
    let log = small();
    for to in 0..=SIZES {
        for from in 0..=to {
            let (earlier, later) = (log.root(from), log.root(to));
            let proof = log.consistency(from, to);
            proof.verify(&earlier, &later).unwrap();
            let forged = leaf(9999);
            assert!(proof.verify(&forged, &later).is_err(), "{from} to {to}");
            let anything_follows_nothing = from == 0 && to > 0;
            assert_eq!(
                proof.verify(&earlier, &forged).is_ok(),
                anything_follows_nothing
            );
            let one_more = [proof.hashes(), &[later]].concat();
            let longer = ConsistencyProof::from_parts(from, to, one_more);
            assert_eq!(longer.verify(&earlier, &later), Err(ProofError::Length));
            if let Some((_, shorter)) = proof.hashes().split_last() {
                let shorter = ConsistencyProof::from_parts(from, to, shorter.to_vec());
                assert_eq!(shorter.verify(&earlier, &later), Err(ProofError::Length));
            }
        }
    }
}

#[test]
fn a_change_in_any_hash_of_a_proof_is_found() {
    let log = small();
    let inclusion = log.inclusion(37, 69);
    let consistency = log.consistency(37, 69);
    for at in 0..inclusion.hashes().len() {
        let hashes = flipped(inclusion.hashes(), at);
        let proof = InclusionProof::from_parts(37, 69, hashes);
        assert_eq!(
            proof.verify(&leaf(37), &log.root(69)),
            Err(ProofError::Root)
        );
    }
    for at in 0..consistency.hashes().len() {
        let hashes = flipped(consistency.hashes(), at);
        let proof = ConsistencyProof::from_parts(37, 69, hashes);
        assert!(proof.verify(&log.root(37), &log.root(69)).is_err());
    }
}

fn flipped(hashes: &[TreeHash], at: usize) -> Vec<TreeHash> {
    let mut hashes = hashes.to_vec();
    let mut bytes = *hashes[at].as_bytes();
    bytes[31] ^= 1;
    hashes[at] = TreeHash::from_bytes(bytes);
    hashes
}

#[test]
fn what_no_tree_has_is_refused() {
    let refused = InclusionProof::lookup(5, 5).err();
    let (leaf_index, tree_size) = (5, 5);
    assert_eq!(
        refused,
        Some(TreeError::NotInTree {
            leaf_index,
            tree_size
        })
    );
    let refused = ConsistencyProof::lookup(6, 5).err();
    assert_eq!(refused, Some(TreeError::Backwards { from: 6, to: 5 }));
    for size in [MAX_TREE_SIZE + 1, u64::MAX] {
        let refused = Some(TreeError::TooLarge { size });
        assert_eq!(Frontier::lookup(size).err(), refused);
        assert_eq!(InclusionProof::lookup(0, size).err(), refused);
        assert_eq!(ConsistencyProof::lookup(1, size).err(), refused);
        assert_eq!(stored_count(size).err(), refused);
    }
    assert!(stored_count(MAX_TREE_SIZE).unwrap() <= i64::MAX as u64);
    assert!(Node::new(64, 0).is_err());
    assert!(Node::new(62, 1).is_err());
    assert!(Node::at_stored_index(u64::MAX).is_err());
}

#[test]
fn a_proof_whose_hashes_are_not_all_stored_is_not_made() {
    let log = Stored::of((0..10).map(leaf));
    let read = Frontier::lookup(16).unwrap().read(&log);
    let (expected, found) = (1, 0);
    assert_eq!(read, Err(TreeError::HashCount { expected, found }));
}

#[test]
fn rows_may_come_in_any_order_and_with_others() {
    let log = small();
    let rows = log.hashes.iter().zip(0..);
    let rows = rows.map(|(hash, index)| StoredHash { index, hash: *hash });
    let mut rows: Vec<StoredHash> = rows.collect();
    rows.reverse();
    let proof = InclusionProof::lookup(37, 69).unwrap();
    let proof = proof.complete_rows(rows.iter().copied()).unwrap();
    assert_eq!(proof, log.inclusion(37, 69));

    let lookup = ConsistencyProof::lookup(37, 69).unwrap();
    let expected = lookup.indexes().len();
    let dropped = lookup.indexes()[0];
    let found = expected - 1;
    let rest = rows.into_iter().filter(|row| row.index != dropped);
    let refused = lookup.complete_rows(rest);
    assert_eq!(refused, Err(TreeError::HashCount { expected, found }));
}

proptest! {
    #[test]
    fn proofs_need_few_hashes_and_none_twice(to in 1..MAX_TREE_SIZE, a: u64, b: u64) {
        let at = a % to;
        let from = b % to;
        let most = 2 * to.ilog2() as usize + 2;
        for indexes in [
            InclusionProof::lookup(at, to).unwrap().indexes(),
            ConsistencyProof::lookup(from, to).unwrap().indexes(),
            Frontier::lookup(to).unwrap().indexes(),
        ] {
            prop_assert!(indexes.len() <= most);
            let mut sorted = indexes.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            prop_assert_eq!(sorted.len(), indexes.len());
            prop_assert!(sorted.iter().all(|index| *index < stored_count(to).unwrap()));
        }
    }

    #[test]
    fn stored_indexes_and_nodes_belong_together(level in 0_u8..40, index in 0_u64..(1 << 22)) {
        let node = Node::new(level, index).unwrap();
        prop_assert_eq!(Node::at_stored_index(node.stored_index()), Ok(node));
    }

    #[test]
    fn no_bytes_make_a_verifier_panic(leaf_index: u64, from: u64, size: u64, count in 0_usize..70) {
        let hash = leaf(1);
        let hashes = vec![hash; count];
        let proof = InclusionProof::from_parts(leaf_index, size, hashes.clone());
        prop_assert!(proof.verify(&hash, &hash).is_err() || count == 0);
        let proof = ConsistencyProof::from_parts(from, size, hashes);
        let _ = proof.verify(&hash, &hash);
    }
}
