//! Tests of the read tables over real ledgers.

mod following;
mod world;
