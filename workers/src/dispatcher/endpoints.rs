//! How many deliveries go to each endpoint at a time, so that a slow one holds up only its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many tries may be under way to one endpoint.
pub(super) const MOST_EACH: usize = 4;
/// How many may be under way in all.
pub(super) const MOST: usize = 256;
/// From here on an endpoint gets no second one, which leaves room for endpoints that have none.
const CROWDED: usize = MOST / 2;

/// The endpoints that are being sent to. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    each: HashMap<String, usize>,
    all: usize,
}

/// A place at an endpoint; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Place {
    endpoints: Endpoints,
    endpoint: String,
}

impl Endpoints {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None` when the endpoint has its share.
    pub(super) fn enter(&self, endpoint: &str) -> Option<Place> {
        let mut counts = self.counts();
        let most = if counts.all < CROWDED { MOST_EACH } else { 1 };
        let here = counts.each.get(endpoint).copied().unwrap_or(0);
        if here >= most || counts.all >= MOST {
            return None;
        }
        counts.each.insert(endpoint.to_owned(), here + 1);
        counts.all += 1;
        Some(Place {
            endpoints: self.clone(),
            endpoint: endpoint.to_owned(),
        })
    }

    /// How many endpoints are being sent to.
    pub(super) fn busy(&self) -> usize {
        self.counts().each.len()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.endpoints.counts();
        counts.all = counts.all.saturating_sub(1);
        if let Some(here) = counts.each.get_mut(&self.endpoint) {
            *here -= 1;
            if *here == 0 {
                counts.each.remove(&self.endpoint);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_gets_its_share_and_no_more() {
        let endpoints = Endpoints::default();
        let mut places: Vec<_> = (0..MOST_EACH)
            .map(|_| endpoints.enter("https://a").unwrap())
            .collect();
        assert!(endpoints.enter("https://a").is_none());
        assert!(endpoints.enter("https://b").is_some());
        places.pop();
        assert!(endpoints.enter("https://a").is_some());
        drop(places);
        assert_eq!(endpoints.busy(), 0);
    }

    #[test]
    fn many_slow_endpoints_leave_room_for_one_more() {
        let endpoints = Endpoints::default();
        let greedy = |n: usize| {
            let endpoint = format!("https://slow{n}");
            let endpoints = &endpoints;
            std::iter::from_fn(move || endpoints.enter(&endpoint))
        };
        let places: Vec<_> = (0..).flat_map(greedy).take(MOST - 1).collect();
        assert_eq!(places.len(), MOST - 1);
        let one_more = endpoints.enter("https://quick");
        assert!(one_more.is_some());
        assert!(endpoints.enter("https://none").is_none());
    }
}
