//! Proofs of people: passwords, the limits on guessing them, and sessions.

pub mod password;
pub mod session;
pub mod throttle;
