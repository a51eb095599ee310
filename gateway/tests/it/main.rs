//! The gateway between clients and an upstream that are sockets, so that every byte of both is seen.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that assumes wrongly has failed"
)]

mod cloudflare;
mod cutting;
mod lasting;
mod limits;
mod recording;
mod relaying;
mod stage;
mod standing;
mod writing;
