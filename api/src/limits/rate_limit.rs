//! The rate of requests of each subject.

use super::counted_for::CountedFor;
use governor::Quota;
use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use lru::LruCache;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Subjects whose rate is remembered. A bucket is full again after two seconds, so forgetting the
/// least recently seen one gives nobody anything unless more subjects than this come in that time.
const SUBJECTS: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

type Bucket<C> =
    governor::RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<<C as Clock>::Instant>>;

/// One bucket for each subject: so many a second, twice that at once.
pub(crate) struct RateLimiter<C: Clock = DefaultClock> {
    limits: Option<Limits<C>>,
}

struct Limits<C: Clock> {
    quota: Quota,
    clock: C,
    buckets: Mutex<LruCache<CountedFor, Arc<Bucket<C>>>>,
}

impl RateLimiter {
    /// So many requests a second; 0 is no limit.
    pub(crate) fn new(per_second: u32) -> Self {
        Self::with_clock(per_second, DefaultClock::default())
    }
}

impl<C: Clock + Clone> RateLimiter<C> {
    fn with_clock(per_second: u32, clock: C) -> Self {
        let limits = NonZeroU32::new(per_second).map(|rate| Limits {
            quota: Quota::per_second(rate).allow_burst(rate.saturating_add(rate.get())),
            clock,
            buckets: Mutex::new(LruCache::new(SUBJECTS)),
        });
        Self { limits }
    }

    /// How many subjects' rates are remembered.
    pub(crate) fn remembered(&self) -> usize {
        self.limits.as_ref().map_or(0, |limits| {
            let buckets = limits.buckets.lock();
            buckets.unwrap_or_else(PoisonError::into_inner).len()
        })
    }

    /// Counts one request.
    ///
    /// # Errors
    /// How long to wait, when the subject's bucket is empty.
    pub(crate) fn admit(&self, subject: &CountedFor) -> Result<(), Duration> {
        let Some(limits) = &self.limits else {
            return Ok(());
        };
        limits
            .bucket(subject)
            .check()
            .map_err(|until| until.wait_time_from(limits.clock.now()))
    }
}

impl<C: Clock + Clone> Limits<C> {
    fn bucket(&self, subject: &CountedFor) -> Arc<Bucket<C>> {
        // A panic while it was held cannot have left a cache that is worse than a cold one.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = buckets.get(subject) {
            return Arc::clone(bucket);
        }
        let bucket = Arc::new(Bucket::direct_with_clock(self.quota, self.clock.clone()));
        buckets.put(subject.clone(), Arc::clone(&bucket));
        bucket
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    #[test]
    fn a_burst_of_twice_the_rate_then_the_rate() {
        let clock = FakeRelativeClock::default();
        let limiter = RateLimiter::with_clock(10, clock.clone());
        for n in 0..20 {
            assert_eq!(limiter.admit(&"a".into()), Ok(()), "{n}");
        }
        let wait = limiter.admit(&"a".into()).unwrap_err();
        assert!(
            wait > Duration::ZERO && wait <= Duration::from_millis(100),
            "{wait:?}"
        );
        assert_eq!(
            limiter.admit(&"b".into()),
            Ok(()),
            "another subject has a bucket of its own"
        );

        clock.advance(Duration::from_millis(100));
        assert_eq!(limiter.admit(&"a".into()), Ok(()));
        assert!(limiter.admit(&"a".into()).is_err());
    }

    #[test]
    fn zero_is_no_limit() {
        let limiter = RateLimiter::new(0);
        assert!((0..10_000).all(|_| limiter.admit(&"a".into()).is_ok()));
    }

    #[test]
    fn no_more_subjects_are_kept_than_the_bound() {
        let limiter = RateLimiter::new(1);
        for n in 0..SUBJECTS.get() + 10 {
            assert_eq!(limiter.admit(&n.to_string().as_str().into()), Ok(()));
        }
        let kept = limiter
            .limits
            .as_ref()
            .map(|limits| limits.buckets.lock().unwrap().len());
        assert_eq!(kept, Some(SUBJECTS.get()));
    }
}
