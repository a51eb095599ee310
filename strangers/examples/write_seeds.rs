//! Writes the seeds of every target, or of those that are named, as files that a fuzzer can begin with:
//! `cargo run -p strangers --example write_seeds -- FOLDER [TARGET...]`.

#![expect(clippy::unwrap_used, reason = "a tool that cannot do its work ends")]

use sha2::{Digest as _, Sha256};
use std::fs;
use std::path::PathBuf;
use strangers::TARGETS;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(arguments.next().unwrap());
    let wanted: Vec<String> = arguments.collect();
    for target in TARGETS {
        if !wanted.is_empty() && !wanted.iter().any(|name| name == target.name) {
            continue;
        }
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder).unwrap();
        for seed in (target.seeds)() {
            let name = hex::encode(Sha256::digest(&seed));
            fs::write(folder.join(name), seed).unwrap();
        }
    }
}
