//! What must hold of every parser that meets bytes of strangers: one function for each, which takes
//! any bytes and panics where a property does not hold. That nothing panics is the least of them:
//! what parses is written again as it was, what is accepted keeps its limits, and what verifies is what
//! was signed.
//!
//! The fuzzers of `fuzz/` call these functions for as long as they are let; the tests of this crate call
//! them with the seeds, the corpus in `fuzz/corpus/` and a few thousand mutations of both.

mod audit;
mod callbacks;
pub mod corpus;
mod cut;
mod documents;
mod events;
mod headers;
mod house;
mod json;
pub mod mutation;
mod notes;
mod operations;
mod passkeys;
#[cfg(test)]
mod reach;
mod requests;
mod sealed;
mod story;
mod tokens;
mod trees;
mod upstream;

/// A parser, and what may be fed to it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// What the fuzzer, the corpus and the tests call it.
    pub name: &'static str,
    /// Feeds it with any bytes; panics where a property does not hold.
    pub run: fn(&[u8]),
    /// What to begin with: made of golden data.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How much memory it may ask for, in bytes, over the whole call: for each byte of its input, and
    /// beside that. Work that grows faster than the input shows here; `None` where others work as well.
    pub allowance: Option<(usize, usize)>,
    /// How many mutations the test command tries.
    pub tries: u32,
}

macro_rules! targets {
    ($($name:ident = $run:path, $seeds:path, $allowance:expr, $tries:literal;)+) => {
        $(#[doc = concat!("Feeds the target `", stringify!($name), "`.")]
        pub fn $name(bytes: &[u8]) {
            $run(bytes);
        })+

        /// All of them.
        pub const TARGETS: &[Target] = &[$(Target {
            name: stringify!($name),
            run: $name,
            seeds: $seeds,
            allowance: $allowance,
            tries: $tries,
        }),+];

        /// Calls a macro once for each target, with its name.
        #[macro_export]
        macro_rules! for_each_target {
            ($each:ident) => { $($each!($name);)+ };
        }
    };
}

const KIB: usize = 1024;

// Decoders may set aside as much as a length that is claimed asks for, up to a mebibyte at a time.
targets! {
    strict_json = json::strict, json::seeds, Some((400, 64 * KIB)), 3000;
    operation = operations::operation, operations::seeds, Some((1000, 256 * KIB)), 2000;
    submission = operations::submission, operations::submission_seeds, Some((1000, 256 * KIB)), 1500;
    event = events::event, events::seeds, Some((400, 4096 * KIB)), 3000;
    record_header = events::header, events::header_seeds, Some((20, 16 * KIB)), 3000;
    note = notes::note, notes::seeds, Some((100, 64 * KIB)), 1500;
    note_key = notes::key, notes::key_seeds, Some((100, 16 * KIB)), 2000;
    policy = notes::policy, notes::policy_seeds, Some((200, 64 * KIB)), 1500;
    witness_request = notes::witness_request, notes::witness_request_seeds, Some((100, 64 * KIB)), 1500;
    tile = trees::tile, trees::tile_seeds, Some((200, 64 * KIB)), 2000;
    proof = trees::proof, trees::proof_seeds, Some((100, 64 * KIB)), 2000;
    bundle = audit::bundle, audit::bundle_seeds, Some((400, 8192 * KIB)), 400;
    history = audit::history, audit::history_seeds, Some((800, 8192 * KIB)), 400;
    dossier = documents::dossier, documents::dossier_seeds, Some((400, 4096 * KIB)), 300;
    callback_proof = documents::callback_proof, documents::callback_proof_seeds, Some((400, 4096 * KIB)), 400;
    cose_key = passkeys::cose_key, passkeys::cose_key_seeds, Some((400, 64 * KIB)), 600;
    assertion = passkeys::assertion, passkeys::assertion_seeds, Some((400, 256 * KIB)), 300;
    registration = passkeys::registration, passkeys::registration_seeds, Some((1000, 1024 * KIB)), 600;
    sealed = sealed::sealed, sealed::seeds, Some((50, 16 * KIB)), 2000;
    challenge = sealed::challenge, sealed::challenge_seeds, Some((50, 16 * KIB)), 2000;
    name = headers::name, headers::name_seeds, Some((100, 16 * KIB)), 3000;
    header = headers::header, headers::seeds, Some((200, 64 * KIB)), 3000;
    token = tokens::token, tokens::seeds, Some((200, 64 * KIB)), 2000;
    claims = tokens::claims, tokens::claims_seeds, Some((1000, 256 * KIB)), 1000;
    callback_url = callbacks::url, callbacks::seeds, Some((200, 64 * KIB)), 3000;
    request = requests::request, requests::seeds, None, 300;
    upstream = upstream::upstream, upstream::seeds, None, 200;
}
