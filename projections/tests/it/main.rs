//! Tests of the read tables over real ledgers.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what does not hold in a test ends it"
)]

mod acts;
mod dump;
mod erasing;
mod files;
mod following;
mod key_acts;
mod lists;
mod online;
mod people;
mod queues;
mod reading;
mod rebuilding;
mod sameness;
mod standing;
mod step;
mod stops;
mod story;
mod verifying;
mod world;
