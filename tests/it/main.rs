//! The real binary: started, asked, stopped, killed and started again.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what tests share fails the test that uses it"
)]

mod shim;

mod answers;
mod api_commands;
mod approver_keys;
mod asked_calls;
mod audits;
mod backups;
mod callback_proofs;
mod chaos;
mod checkpoints;
mod cloudflare_proxy;
mod commands;
mod compatibility;
mod crowd;
#[cfg(feature = "demo")]
mod demo;
mod deploys;
mod devices;
mod doctor;
mod dossiers;
mod erasing;
mod first_steps;
mod forging;
mod held_writes;
mod io_failures;
mod killed;
mod logins;
mod notifiers;
mod once;
mod opened_apis;
mod operators;
mod outputs;
mod overload;
mod people;
mod policies;
mod proxied_usage;
mod proxies;
mod rebuilding;
mod restores;
mod secrets;
mod starting;
mod storage_trouble;
mod stories;
mod threats;
mod tutorial;
mod webhooks;
mod witness;
mod witnessed;
