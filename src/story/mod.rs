//! Events told to people, one line each, and the check of what holds them together.

mod chain;
mod summary;

pub(crate) use chain::check_chain;
pub(crate) use summary::summary;
