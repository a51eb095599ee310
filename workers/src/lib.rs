//! Executor, callback dispatcher, expirer and their supervisor.

pub mod callback;
pub mod cloudflare;
