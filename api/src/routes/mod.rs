//! One file for each resource. A handler extracts, commands or asks, and answers; nothing else.

pub(crate) mod docs;
pub(crate) mod health;
