//! Proofs of people: passwords, and the limits on guessing them.

pub mod password;
pub mod throttle;
