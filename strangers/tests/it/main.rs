//! Every target with its seeds, its corpus and some thousand mutations of both. A failure leaves the input
//! in a file and says where; put into `fuzz/corpus/<target>/` it is tried for good.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share may fail as tests do"
)]

mod own_process;
mod work;

use own_process::in_own_process;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use strangers::mutation::Mutation;
use strangers::{TARGETS, Target, corpus};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The same in every run, so that a run that is green stays green; the long runs are for what is new.
const SEED: u64 = 0x005e_ed0f_57a6_6e75;

macro_rules! one_test {
    ($name:ident) => {
        #[test]
        fn $name() {
            in_own_process(stringify!($name), || tried(stringify!($name)));
        }
    };
}

strangers::for_each_target!(one_test);

fn tried(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let mut inputs = (target.seeds)();
    assert!(!inputs.is_empty(), "no seeds");
    // What is made once for a process is not made at an input's cost.
    (target.run)(&inputs[0]);
    inputs.extend(corpus::read(name).unwrap());
    inputs.push(Vec::new());
    for input in &inputs {
        fed(target, input);
    }
    println!("{name}: seed {SEED:#x}");
    let mut mutation = Mutation::new(SEED);
    for _ in 0..target.tries {
        fed(target, &mutation.of(&inputs));
    }
}

/// How many bytes of memory were asked for, all in all, whatever was given back meanwhile. The count is
/// of the whole process: a test that looks at it runs [`in_own_process`].
fn asked_for<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let region = Region::new(ALLOCATOR);
    let done = work();
    let change = region.change();
    let grown = change.bytes_reallocated.max(0);
    (done, change.bytes_allocated.saturating_add_signed(grown))
}

fn fed(target: &Target, input: &[u8]) {
    let run = || catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    let (ended, asked_for) = asked_for(run);
    if ended.is_err() {
        panic!(
            "{}: this input breaks a property: {}",
            target.name,
            kept(target, input).display()
        );
    }
    if let Some((per_byte, beside)) = target.allowance {
        let allowed = per_byte * input.len() + beside;
        assert!(
            asked_for <= allowed,
            "{}: {asked_for} bytes of memory for {} of input, {allowed} are allowed: {}",
            target.name,
            input.len(),
            kept(target, input).display(),
        );
    }
}

/// Keeps an input for whoever looks into it.
fn kept(target: &Target, input: &[u8]) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("breaks-{}", target.name));
    fs::write(&path, input).unwrap();
    path
}

#[test]
fn every_target_has_a_fuzzer_and_every_fuzzer_a_target() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let mut names: Vec<String> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"))
        .map(|rest| rest.trim_end_matches(".rs\"").to_owned())
        .collect();
    let mut known: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    names.sort();
    known.sort_unstable();
    assert_eq!(names, known);
    for name in names {
        let source = fs::read_to_string(folder.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("strangers::{name}(")), "{name}");
    }
}

/// The corpus is what was found, not what was tried.
#[test]
fn the_corpus_is_small() {
    let sizes = TARGETS.iter().map(|target| {
        let inputs = corpus::read(target.name).unwrap();
        assert!(
            inputs.len() <= 40,
            "{} has {} inputs",
            target.name,
            inputs.len()
        );
        inputs.iter().map(Vec::len).sum::<usize>()
    });
    assert!(sizes.sum::<usize>() < 300 * 1024);
}
