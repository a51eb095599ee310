//! The ledger from outside: commands as given/when/then, the store, the failure contract.

mod golden_events;
mod idempotency;
mod permissions;
mod scene;
mod tasks;
mod walk;
