//! The places of streams, which are apart from those of requests: a stream stays for hours.

use super::concurrency::{Permit, SubjectLimit};
use super::counted_for::CountedFor;
use crate::problem::ApiError;
use std::sync::Arc;
use std::time::Duration;

/// Streams of one identity at a time.
const MOST_OF_ONE: usize = 64;

/// Streams of all at a time: a quarter of the connections that there are by default.
const MOST: usize = 4096;

/// When to try again: a stream ends when somebody closes a page.
const PACE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct StreamPlaces {
    each: Arc<SubjectLimit>,
    all: Arc<SubjectLimit>,
}

/// The places of one stream; given back when it goes.
#[derive(Debug)]
pub(crate) struct StreamPermits(
    #[expect(dead_code, reason = "held for what dropping it does")] [Permit; 2],
);

impl StreamPlaces {
    pub(crate) fn new() -> Self {
        Self {
            each: Arc::new(SubjectLimit::new(MOST_OF_ONE)),
            all: Arc::new(SubjectLimit::new(MOST)),
        }
    }

    /// Gives a stream its places.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`] when the identity has as many as it may, [`ApiError::Unavailable`] when all
    /// together have.
    pub(crate) fn take(&self, identity: &CountedFor) -> Result<StreamPermits, ApiError> {
        let limited = || ApiError::RateLimited { retry_after: PACE };
        let own = self.each.take(identity, 1).ok_or_else(limited)?;
        let full = || ApiError::Unavailable {
            detail:
                "the service has reached its limit of streams: read the lists, and try again later"
                    .to_owned(),
            retry_after: PACE,
        };
        let of_all = self.all.take(&CountedFor::all(), 1).ok_or_else(full)?;
        Ok(StreamPermits([own, of_all]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_identity_has_64_streams_and_others_have_theirs() {
        let places = StreamPlaces::new();
        let mut held: Vec<_> = (0..100)
            .map_while(|_| places.take(&"a".into()).ok())
            .collect();
        assert_eq!(held.len(), MOST_OF_ONE);
        let refused = places.take(&"a".into()).unwrap_err();
        assert_eq!(refused.status_and_code().0, 429);
        assert!(places.take(&"b".into()).is_ok());
        held.pop();
        assert!(places.take(&"a".into()).is_ok());
    }

    #[test]
    fn all_identities_together_have_4096() {
        let places = StreamPlaces::new();
        let names: Vec<_> = (0..100).map(|name: u32| name.to_string()).collect();
        let held: Vec<_> = (0..MOST + 1)
            .map_while(|n| places.take(&names[n % 100].as_str().into()).ok())
            .collect();
        assert_eq!(held.len(), MOST);
        let refused = places.take(&"more".into()).unwrap_err();
        assert_eq!(refused.status_and_code().0, 503);
    }
}
