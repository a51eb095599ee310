//! Extractors whose refusals are problems, like every other refusal.

pub mod idempotency;
pub mod json;
pub mod params;
pub mod prefer;
