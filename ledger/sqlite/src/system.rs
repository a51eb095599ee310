//! The doors to this machine's clock and random numbers, for services; an auditor needs neither.

use ledger::{Clock, Random, Timestamp};
use std::cell::RefCell;

#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one door for the wall clock"
    )]
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
    }
}

/// The operating system's random numbers, fetched some at a time: a decision takes a handful of ids
/// and salts, and a call to the system for each would cost more than the rest of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemRandom;

/// Bytes that were fetched and not given out yet. Given bytes are wiped here.
struct Pool {
    bytes: [u8; POOL],
    used: usize,
}

const POOL: usize = 512;

thread_local! {
    static RANDOM: RefCell<Pool> = const { RefCell::new(Pool { bytes: [0; POOL], used: POOL }) };
}

impl Random for SystemRandom {
    fn fill(&self, to: &mut [u8]) {
        if to.len() > POOL {
            return from_system(to);
        }
        RANDOM.with_borrow_mut(|pool| {
            if POOL - pool.used < to.len() {
                from_system(&mut pool.bytes);
                pool.used = 0;
            }
            for (to, from) in to.iter_mut().zip(pool.bytes.iter_mut().skip(pool.used)) {
                *to = std::mem::take(from);
            }
            pool.used += to.len();
        });
    }
}

#[expect(
    clippy::panic,
    reason = "without randomness no id, salt or nonce is safe: stop"
)]
fn from_system(bytes: &mut [u8]) {
    if getrandom::fill(bytes).is_err() {
        panic!("the operating system gave no random numbers");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_byte_is_given_out_twice() {
        let draw = || SystemRandom.sixteen();
        let drawn: HashSet<[u8; 16]> = (0..1000).map(|_| draw()).collect();
        assert_eq!(drawn.len(), 1000);
        assert!(!drawn.contains(&[0; 16]));
    }

    #[test]
    fn what_is_longer_than_the_pool_is_filled_whole() {
        let mut bytes = [0; POOL * 2];
        SystemRandom.fill(&mut bytes);
        assert!(bytes.chunks(16).all(|chunk| chunk != [0; 16]));
    }
}
