//! Extractors whose refusals are problems, like every other refusal.

pub mod idempotency;
pub(crate) mod if_match;
pub mod json;
pub mod params;
pub(crate) mod policy_text;
pub mod prefer;
