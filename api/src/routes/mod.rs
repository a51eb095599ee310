//! One file for each resource. A handler extracts, commands or asks, and answers; nothing else.

pub(crate) mod approve;
pub(crate) mod catalog;
pub(crate) mod docs;
pub(crate) mod enrol;
pub(crate) mod health;
