//! Layers around every route: request id, access log, metrics, headers, limits on time, memory, concurrency
//! and rate.

pub(crate) mod access;
pub(crate) mod body_memory;
pub(crate) mod bounds;
pub(crate) mod concurrency;
pub(crate) mod counted_for;
pub(crate) mod links;
pub(crate) mod panics;
pub(crate) mod rate_limit;
pub mod request_id;
pub(crate) mod streams;
pub(crate) mod turns;
