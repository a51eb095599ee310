//! Limits on guessing secrets: for each name as it is tried from one network, and for each network. Logins by
//! passkey have a count of their own for each network, so that failures by password keep nobody from them.
//!
//! An attempt counts as failed before its secret is verified, so that many at a time are no more than one
//! after the other. Nobody is kept out by attempts from another network. Counts are in memory alone.

use ledger::Timestamp;
use lru::LruCache;
use sha2::{Digest as _, Sha256};
use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many failures for a name from a network, within this time, and none is tried for as long.
const MOST_FOR_NAME: usize = 5;
const NAME_WINDOW: Duration = Duration::from_secs(15 * 60);

/// So many failures from a network within this time; of logins by passkey so many begun, and so many answered.
const MOST_FROM_NETWORK: usize = 30;
const NETWORK_WINDOW: Duration = Duration::from_secs(60);

/// Names and networks that are remembered, of each so many. To have one forgotten an attacker has to fail
/// from hundreds of networks, each of which has its own attempts anyway.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// The part of an address that one customer of a network has: an IPv4 address, or an IPv6 /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

impl Network {
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

/// A name as it was typed: its digest, because a password is typed there now and then.
type NameDigest = [u8; 32];

/// Failures, the oldest first.
type Failures = VecDeque<Timestamp>;

/// Counts attempts.
pub struct Throttle(Mutex<Counts>);

struct Counts {
    names: LruCache<(NameDigest, Network), Failures>,
    networks: Networks,
    /// Logins by passkey that were begun.
    begun: Networks,
    /// Answers of passkeys.
    answered: Networks,
}

/// The attempts of each network.
struct Networks(LruCache<Network, Failures>);

impl Networks {
    /// Those of a network that still count.
    ///
    /// # Errors
    /// [`Throttled`] while there may be no more.
    fn of(&mut self, network: Network, now: Timestamp) -> Result<&mut Failures, Throttled> {
        let attempts = self.0.get_or_insert_mut(network, Failures::new);
        attempts.retain(|at| apart(*at, now) < NETWORK_WINDOW);
        match attempts.front() {
            Some(oldest) if attempts.len() >= MOST_FROM_NETWORK => {
                Err(Throttled::until(oldest.plus(NETWORK_WINDOW), now))
            }
            _ => Ok(attempts),
        }
    }

    /// Takes the newest away.
    fn forget_newest(&mut self, network: Network) {
        if let Some(attempts) = self.0.get_mut(&network) {
            attempts.pop_back();
        }
    }
}

impl Default for Networks {
    fn default() -> Self {
        Self(LruCache::new(REMEMBERED))
    }
}

/// An attempt that counts as failed until [`Throttle::succeeded`].
#[derive(Debug)]
#[must_use]
pub struct Attempt {
    name: NameDigest,
    network: Network,
    at: Timestamp,
}

impl Attempt {
    fn take_from(&self, failures: Option<&mut Failures>) {
        if let Some(failures) = failures
            && let Some(own) = failures.iter().position(|at| *at == self.at)
        {
            failures.remove(own);
        }
    }
}

/// No attempt may be made now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttled {
    pub retry_after: Duration,
}

impl Default for Throttle {
    fn default() -> Self {
        Self(Mutex::new(Counts {
            names: LruCache::new(REMEMBERED),
            networks: Networks::default(),
            begun: Networks::default(),
            answered: Networks::default(),
        }))
    }
}

impl Throttle {
    /// Counts an attempt to prove a name from an address.
    ///
    /// # Errors
    /// [`Throttled`]: the secret must not even be looked at.
    pub fn begin(&self, name: &str, address: IpAddr, now: Timestamp) -> Result<Attempt, Throttled> {
        let attempt = Attempt {
            name: Sha256::digest(name.as_bytes()).into(),
            network: Network::of(address),
            at: now,
        };
        let counts = &mut *self.counts();
        let network = counts.networks.of(attempt.network, now)?;
        let of_name = (attempt.name, attempt.network);
        let of_name = counts.names.get_or_insert_mut(of_name, Failures::new);
        let newest = of_name.back().copied().unwrap_or_default();
        if of_name.len() >= MOST_FOR_NAME && apart(newest, now) < NAME_WINDOW {
            return Err(Throttled::until(newest.plus(NAME_WINDOW), now));
        }
        of_name.retain(|at| apart(*at, now) < NAME_WINDOW);
        network.push_back(now);
        of_name.push_back(now);
        Ok(attempt)
    }

    /// The attempt had the right secret: it is no failure, and those before it for this name were slips.
    pub fn succeeded(&self, attempt: &Attempt) {
        let counts = &mut *self.counts();
        counts.names.pop(&(attempt.name, attempt.network));
        attempt.take_from(counts.networks.0.get_mut(&attempt.network));
    }

    /// The attempt was not verified: it is neither a failure nor a success.
    pub fn withdraw(&self, attempt: &Attempt) {
        let counts = &mut *self.counts();
        attempt.take_from(counts.names.get_mut(&(attempt.name, attempt.network)));
        attempt.take_from(counts.networks.0.get_mut(&attempt.network));
    }

    /// Counts a login by passkey that begins at an address.
    ///
    /// # Errors
    /// [`Throttled`].
    pub fn begin_by_passkey(&self, address: IpAddr, now: Timestamp) -> Result<(), Throttled> {
        let counts = &mut *self.counts();
        let begun = counts.begun.of(Network::of(address), now)?;
        begun.push_back(now);
        Ok(())
    }

    /// Counts the answer of a passkey from an address.
    ///
    /// # Errors
    /// [`Throttled`]: it must not even be looked at.
    pub fn answer_by_passkey(&self, address: IpAddr, now: Timestamp) -> Result<(), Throttled> {
        let counts = &mut *self.counts();
        let answered = counts.answered.of(Network::of(address), now)?;
        answered.push_back(now);
        Ok(())
    }

    /// An answer was right: neither it nor the login's beginning counts.
    pub fn succeeded_by_passkey(&self, address: IpAddr) {
        let counts = &mut *self.counts();
        counts.begun.forget_newest(Network::of(address));
        counts.answered.forget_newest(Network::of(address));
    }

    /// How many names and networks are remembered.
    #[must_use]
    pub fn remembered(&self) -> (usize, usize) {
        let counts = self.counts();
        let networks = [&counts.networks, &counts.begun, &counts.answered];
        let networks = networks.map(|networks| networks.0.len());
        (counts.names.len(), networks.iter().sum())
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        // A panic while it was held cannot have left counts that are worse than none.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Throttled {
    pub(crate) fn until(end: Timestamp, now: Timestamp) -> Self {
        Self {
            retry_after: end.since(now),
        }
    }
}

/// Either way: a clock that was set back must not make a failure last.
pub(crate) fn apart(one: Timestamp, other: Timestamp) -> Duration {
    one.since(other).max(other.since(one))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
    const MINUTE: Duration = Duration::from_secs(60);

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn failures(throttle: &Throttle, name: &str, from: &str, now: Timestamp) -> usize {
        let from = address(from);
        (0..100)
            .take_while(|_| throttle.begin(name, from, now).is_ok())
            .count()
    }

    #[test]
    fn after_five_failures_a_name_is_not_tried_for_fifteen_minutes_from_there() {
        let throttle = Throttle::default();
        let from = address("192.0.2.1");
        let mut now = NOW;
        for _ in 0..MOST_FOR_NAME {
            let _failed = throttle.begin("ann", from, now).unwrap();
            now = now.plus(3 * MINUTE);
        }
        let last = NOW.plus(12 * MINUTE);
        for (at, wait) in [(last, 15), (now, 12), (last.plus(14 * MINUTE), 1)] {
            let refused = throttle.begin("ann", from, at).unwrap_err();
            assert_eq!(refused.retry_after, wait * MINUTE, "{at}");
        }
        assert_eq!(
            failures(&throttle, "ann", "192.0.2.1", last.plus(15 * MINUTE)),
            5
        );
    }

    #[test]
    fn failures_far_apart_are_slips() {
        let throttle = Throttle::default();
        for n in 0..50 {
            let now = NOW.plus(n * 4 * MINUTE);
            let begun = throttle.begin("ann", address("192.0.2.1"), now);
            assert!(begun.is_ok(), "{n}");
        }
    }

    #[test]
    fn attempts_under_way_count_as_failed() {
        let throttle = Throttle::default();
        let from = address("192.0.2.1");
        let begun: Vec<_> = (0..10)
            .map_while(|_| throttle.begin("ann", from, NOW).ok())
            .collect();
        assert_eq!(begun.len(), MOST_FOR_NAME);
    }

    #[test]
    fn a_success_forgives_the_slips_before_it() {
        let throttle = Throttle::default();
        let from = address("192.0.2.1");
        for _ in 0..20 {
            for _ in 0..MOST_FOR_NAME - 2 {
                let _slip = throttle.begin("ann", from, NOW).unwrap();
            }
            let right = throttle.begin("ann", from, NOW).unwrap();
            throttle.succeeded(&right);
            let again = throttle.begin("ann", from, NOW.plus(2 * MINUTE)).unwrap();
            throttle.succeeded(&again);
        }
    }

    #[test]
    fn an_attempt_that_was_not_verified_counts_for_nothing() {
        let throttle = Throttle::default();
        let from = address("192.0.2.1");
        for _ in 0..MOST_FROM_NETWORK {
            throttle.withdraw(&throttle.begin("ann", from, NOW).unwrap());
        }
        assert_eq!(failures(&throttle, "ann", "192.0.2.1", NOW), MOST_FOR_NAME);
    }

    #[test]
    fn nobody_is_kept_out_by_another_network() {
        let throttle = Throttle::default();
        assert_eq!(failures(&throttle, "ann", "192.0.2.1", NOW), MOST_FOR_NAME);
        for other in ["192.0.2.2", "2001:db8:1::1"] {
            assert_eq!(
                failures(&throttle, "ann", other, NOW),
                MOST_FOR_NAME,
                "{other}"
            );
        }
        assert!(throttle.begin("bob", address("192.0.2.1"), NOW).is_ok());
    }

    #[test]
    fn a_network_fails_thirty_times_a_minute_whatever_the_names() {
        let throttle = Throttle::default();
        let from = address("192.0.2.1");
        let own = throttle.begin("own", from, NOW).unwrap();
        throttle.succeeded(&own);
        for n in 0..MOST_FROM_NETWORK {
            let now = NOW.plus(Duration::from_secs(n as u64));
            let _failed = throttle.begin(&n.to_string(), from, now).unwrap();
            // An account of one's own gives nothing back but its own attempt.
            if n < MOST_FROM_NETWORK - 1 {
                throttle.succeeded(&throttle.begin("own", from, now).unwrap());
            }
        }
        let now = NOW.plus(MINUTE / 2);
        let refused = throttle.begin("new", from, now).unwrap_err();
        assert_eq!(refused.retry_after, MINUTE / 2);
        assert!(throttle.begin("new", address("192.0.2.2"), now).is_ok());
        assert_eq!(failures(&throttle, "new", "192.0.2.1", NOW.plus(MINUTE)), 1);
    }

    #[test]
    fn the_addresses_of_one_customer_are_one_network() {
        let throttle = Throttle::default();
        for n in 0..MOST_FOR_NAME {
            let from = address(&format!("2001:db8::{n:x}:1"));
            let _failed = throttle.begin("ann", from, NOW).unwrap();
        }
        let begin = |from: &str| throttle.begin("ann", address(from), NOW).map(drop);
        assert!(begin("2001:db8::ffff").is_err());
        assert!(begin("2001:db8:0:1::1").is_ok());
        assert_eq!(failures(&throttle, "ann", "192.0.2.1", NOW), MOST_FOR_NAME);
        assert!(begin("::ffff:192.0.2.1").is_err());
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_nobody_out() {
        let throttle = Throttle::default();
        assert_eq!(failures(&throttle, "ann", "192.0.2.1", NOW), MOST_FOR_NAME);
        let second = Duration::from_secs(1);
        assert_eq!(
            failures(&throttle, "ann", "192.0.2.1", NOW.minus(second)),
            0
        );
        let before = NOW.minus(60 * MINUTE);
        assert_eq!(
            failures(&throttle, "ann", "192.0.2.1", before),
            MOST_FOR_NAME
        );
    }

    #[test]
    fn ten_thousand_names_and_networks_are_remembered() {
        let throttle = Throttle::default();
        for n in 0..REMEMBERED.get() + 10 {
            let from = Ipv6Addr::from((n as u128) << 64);
            let _failed = throttle.begin(&n.to_string(), from.into(), NOW).unwrap();
        }
        assert_eq!(throttle.remembered(), (REMEMBERED.get(), REMEMBERED.get()));
    }
}
