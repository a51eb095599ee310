//! Tiles, entry bundles and proofs: what is published of a log, as its readers get it.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use crate::cut::Cut;
use crate::notes::LOG;
use ledger::tlog::{
    ConsistencyProof, EntryBundle, InclusionProof, MAX_TREE_SIZE, TilePath, TreeHash, leaf_hash,
};

/// A path on the first line, what stands there behind it.
pub(crate) fn tile(bytes: &[u8]) {
    let mut cut = Cut::new(bytes);
    let Ok(text) = std::str::from_utf8(cut.line()) else {
        return;
    };
    let Ok(path) = text.parse::<TilePath>() else {
        return;
    };
    assert_eq!(path.to_string(), text, "a tile has two paths");
    let content = cut.rest();
    match path {
        TilePath::Hashes(tile) => {
            let _ = (
                tile.is_in(u64::MAX),
                tile.lookup(37),
                tile.lookup(MAX_TREE_SIZE),
            );
            if let Some(hashes) = tile.hashes(content) {
                assert_eq!(hashes.len(), usize::from(tile.width()));
                let written: Vec<u8> = hashes.iter().flat_map(|hash| *hash.as_bytes()).collect();
                assert_eq!(written, content);
            }
        }
        TilePath::Entries(bundle) => entries(bundle, content),
    }
}

fn entries(bundle: EntryBundle, content: &[u8]) {
    let _ = bundle.positions(u64::MAX);
    if let Ok(headers) = bundle.decode(content) {
        let written = bundle
            .encode(&headers)
            .expect("there are as many as there were");
        assert_eq!(written, content, "a bundle is written in two ways");
    }
}

/// Only the one proof that there is holds.
pub(crate) fn proof(bytes: &[u8]) {
    let mut cut = Cut::new(bytes);
    let inclusion = cut.byte().is_multiple_of(2);
    let (a, b) = (
        u64::from_le_bytes(cut.array()),
        u64::from_le_bytes(cut.array()),
    );
    let hashes = cut.rest().chunks_exact(TreeHash::LEN);
    let hashes: Vec<TreeHash> = hashes.filter_map(TreeHash::from_slice).collect();
    let known = |size: u64| *LOG.checkpoint(size.min(37)).root();
    if inclusion {
        let leaf = leaf_hash(format!("{a} false").as_bytes());
        let proof = InclusionProof::from_parts(a, b, hashes);
        if proof.verify(&leaf, &known(b)).is_ok() {
            let honest = InclusionProof::lookup(a, b).expect("it holds, so it is there");
            assert_eq!(honest.read(&*LOG), Ok(proof));
        }
    } else {
        let proof = ConsistencyProof::from_parts(a, b, hashes);
        if proof.verify(&known(a), &known(b)).is_ok() {
            // All sizes from 37 on stand for the same root here.
            let (from, to) = (a.min(37), b.min(37));
            let honest = ConsistencyProof::lookup(from, to).expect("it holds, so it is there");
            let honest = honest.read(&*LOG).expect("the log has its hashes");
            assert_eq!(honest.hashes(), proof.hashes());
        }
    }
}

pub(crate) fn tile_seeds() -> Vec<Vec<u8>> {
    let hashes = [b"tile/0/000.p/2\n".as_slice(), &[7; 64]].concat();
    let header = crate::events::header_seeds()
        .into_iter()
        .next()
        .unwrap_or_default();
    let length = u16::try_from(header.len()).unwrap_or(0).to_be_bytes();
    let entries = [b"tile/entries/x001/234.p/1\n".as_slice(), &length, &header].concat();
    vec![hashes, entries, b"tile/7/x999/x999/000\n".to_vec()]
}

pub(crate) fn proof_seeds() -> Vec<Vec<u8>> {
    let sizes = [(0, 1), (3, 37), (36, 37), (16, 32)];
    let inclusion = sizes.iter().map(|(at, size)| {
        let lookup = InclusionProof::lookup(*at, *size).expect("it is there");
        let proof = lookup.read(&*LOG).expect("the log has its hashes");
        written(0, *at, *size, proof.hashes())
    });
    let consistency = sizes.iter().map(|(from, to)| {
        let lookup = ConsistencyProof::lookup(*from, *to).expect("it is there");
        let proof = lookup.read(&*LOG).expect("the log has its hashes");
        written(1, *from, *to, proof.hashes())
    });
    inclusion.chain(consistency).collect()
}

fn written(kind: u8, a: u64, b: u64, hashes: &[TreeHash]) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(a.to_le_bytes());
    bytes.extend(b.to_le_bytes());
    bytes.extend(hashes.iter().flat_map(|hash| *hash.as_bytes()));
    bytes
}
