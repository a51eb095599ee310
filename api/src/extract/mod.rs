//! Extractors whose refusals are problems, like every other refusal.

pub(crate) mod body_room;
pub mod idempotency;
pub mod json;
pub(crate) mod link;
pub mod params;
pub mod prefer;
