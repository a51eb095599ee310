//! The pages in a real browser: the real binary serves them, Chromium shows them, and its virtual
//! authenticator (WebAuthn Level 3, section 11) holds the passkeys.
//!
//! `cargo test --test browser`; `chromium` and `chromedriver` must be on PATH, and axe-core in
//! `tests/browser/node_modules` (`npm ci --prefix tests/browser`). Screenshots of all pages are left in
//! `target/screenshots`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the functions that tests share may fail as tests do"
)]

mod account;
mod axe;
mod bound;
mod browser;
mod changing;
mod deciding;
mod devices;
mod driver;
mod enrolling;
mod first_screen;
mod held;
mod inbox;
mod kept;
mod layout;
mod lists;
mod passkey;
mod pictures;
mod prefixed;
mod proof;
mod proxy;
mod reading;
mod receipts;
mod refusing;
mod service;
mod setup;
mod views;
mod voting;
mod waiting;
mod watching;
