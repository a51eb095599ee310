//! What the workers do to the world outside, tried against stand-ins for it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that assumes wrongly has failed"
)]

mod callback;
mod cloudflare;
mod service;
mod toy;
