//! Who asks, and what they may ask for. A handler that takes one of the guards in [`guard`] runs
//! only for callers who have passed it.

pub mod bootstrap;
pub mod capability;
pub mod guard;
pub mod jwt;
pub mod link;
pub mod subject;
