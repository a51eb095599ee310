//! Vectors made by a second implementation, in another language.

use super::*;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

const GOLDEN: &str = include_str!("../../../../fixtures/data/tlog.json");

#[derive(Deserialize)]
struct Golden {
    roots: Vec<Root>,
    inclusion: Vec<Inclusion>,
    consistency: Vec<Consistency>,
    tiles: Vec<Published>,
    log: Key,
    witnesses: Vec<Key>,
    checkpoints: Vec<Signed>,
}

#[derive(Deserialize)]
struct Root {
    size: u64,
    root: TreeHash,
}

#[derive(Deserialize)]
struct Inclusion {
    leaf_index: u64,
    tree_size: u64,
    hashes: Vec<TreeHash>,
}

#[derive(Deserialize)]
struct Consistency {
    from: u64,
    to: u64,
    hashes: Vec<TreeHash>,
}

#[derive(Deserialize)]
struct Published {
    size: u64,
    count: usize,
    paths_sha256: String,
    tiles: Vec<Resource>,
}

#[derive(Deserialize)]
struct Resource {
    path: String,
    bytes: usize,
    sha256: String,
}

#[derive(Deserialize)]
struct Key {
    name: String,
    seed: String,
    key: String,
    private: String,
}

impl Key {
    fn name(&self) -> KeyName {
        self.name.parse().unwrap()
    }

    fn seed(&self) -> [u8; 32] {
        hex::decode(&self.seed).unwrap().try_into().unwrap()
    }
}

#[derive(Deserialize)]
struct Signed {
    size: u64,
    root: TreeHash,
    extensions: Vec<String>,
    cosigned: Vec<By>,
    note: String,
}

#[derive(Deserialize)]
struct By {
    witness: usize,
    at: i64,
}

fn golden() -> Golden {
    serde_json::from_str(GOLDEN).unwrap()
}

fn largest() -> Stored {
    Stored::of_plain_records(70_000)
}

#[test]
fn roots_and_proofs_are_those_of_the_other_implementation() {
    let (golden, log) = (golden(), largest());
    for Root { size, root } in golden.roots {
        assert_eq!(log.root(size), root, "of {size} leaves");
    }
    for case in golden.inclusion {
        let proof = log.inclusion(case.leaf_index, case.tree_size);
        let name = format!("leaf {} of {}", case.leaf_index, case.tree_size);
        assert_eq!(proof.hashes(), case.hashes, "{name}");
        let leaf = record_leaf(&plain_record(case.leaf_index));
        proof.verify(&leaf, &log.root(case.tree_size)).unwrap();
    }
    for Consistency { from, to, hashes } in golden.consistency {
        let proof = log.consistency(from, to);
        assert_eq!(proof.hashes(), hashes, "from {from} to {to}");
        proof.verify(&log.root(from), &log.root(to)).unwrap();
    }
}

#[test]
fn tiles_and_bundles_are_those_of_the_other_implementation() {
    let log = largest();
    for published in golden().tiles {
        let size = published.size;
        let tiles = Tile::all_of(size).map(|tile| TilePath::Hashes(tile).to_string());
        let bundles = EntryBundle::all_of(size).map(|bundle| bundle.path().to_string());
        let mut paths: Vec<String> = tiles.chain(bundles).collect();
        paths.sort();
        assert_eq!(paths.len(), published.count, "of {size} leaves");
        assert_eq!(sha256(paths.join("\n").as_bytes()), published.paths_sha256);
        for resource in published.tiles {
            let bytes = read(&log, &resource.path, size);
            assert_eq!(bytes.len(), resource.bytes, "{}", resource.path);
            assert_eq!(sha256(&bytes), resource.sha256, "{}", resource.path);
        }
    }
}

fn read(log: &Stored, path: &str, size: u64) -> Vec<u8> {
    match path.parse().unwrap() {
        TilePath::Hashes(tile) => tile.lookup(size).unwrap().read(log).unwrap(),
        TilePath::Entries(bundle) => {
            let headers: Vec<Header> = bundle.positions(size).unwrap().map(plain_record).collect();
            let bytes = bundle.encode(&headers).unwrap();
            assert_eq!(bundle.decode(&bytes).unwrap(), headers);
            bytes
        }
    }
}

#[test]
fn keys_are_written_as_the_other_implementation_writes_them() {
    let Golden { log, witnesses, .. } = golden();
    let signer = LogSigner::from_seed(log.name(), &log.seed());
    assert_eq!(signer.public().to_string(), log.key);
    assert_eq!(*signer.to_private_text(), log.private);
    assert_eq!(log.key.parse(), Ok(signer.public()));
    let again = LogSigner::parse(&log.private).unwrap();
    assert_eq!(again.public(), signer.public());

    for witness in witnesses {
        let signer = WitnessSigner::from_seed(witness.name(), &witness.seed());
        assert_eq!(signer.public().to_string(), witness.key);
        assert_eq!(*signer.to_private_text(), witness.private);
        assert_eq!(witness.key.parse(), Ok(signer.public()));
    }
}

#[test]
fn checkpoints_are_signed_and_cosigned_as_by_the_other_implementation() {
    let golden = golden();
    let signer = LogSigner::from_seed(golden.log.name(), &golden.log.seed());
    let origin = LogOrigin::from(signer.public().name());
    for case in golden.checkpoints {
        let mut checkpoint = Checkpoint::new(origin.clone(), case.size, case.root);
        for line in &case.extensions {
            checkpoint = checkpoint.with_extension(line).unwrap();
        }
        let mut note = signer.sign_checkpoint(&checkpoint);
        for By { witness, at } in &case.cosigned {
            let witness = &golden.witnesses[*witness];
            let witness = WitnessSigner::from_seed(witness.name(), &witness.seed());
            let line = witness.cosign(&checkpoint, Timestamp::from_seconds(*at));
            note = note.with_signature(line);
        }
        assert_eq!(note.to_string(), case.note);

        let received: Note = case.note.parse().unwrap();
        assert_eq!(received, note);
        let opened = Checkpoint::open(&received, &signer.public(), &origin);
        assert_eq!(opened, Ok(checkpoint));
        for (number, witness) in golden.witnesses.iter().enumerate() {
            let key: WitnessKey = witness.key.parse().unwrap();
            let expected = case.cosigned.iter().find(|by| by.witness == number);
            let expected = expected.map(|by| Cosignature {
                witness: witness.name(),
                at: Timestamp::from_seconds(by.at),
            });
            assert_eq!(key.cosignature(&received), Ok(expected));
        }
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
