//! Signed tokens: what each kind says, how it is signed and opened. Whether the ledger stands by one is
//! for [`crate::authorize`].

pub mod agent_key;
pub mod bootstrap;
pub mod capability;
pub mod jwt;
pub mod link;
pub mod setup;
pub mod viewer;
