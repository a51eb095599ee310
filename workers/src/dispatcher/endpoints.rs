//! Limits on deliveries to each URL and to each host at a time, so that a slow one holds up only its own.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many tries may be under way to one URL.
pub(super) const MOST_OF_URL: usize = 4;
/// How many may be under way to one host, whatever the paths.
pub(super) const MOST_OF_HOST: usize = 64;
/// How many may be under way in all.
pub(super) const MOST: usize = 256;
/// From here on a URL gets no second permit, which leaves some for the other URLs of its host.
const CROWDED_HOST: usize = MOST_OF_HOST / 2;
/// From here on a URL gets no second permit, and a host only a few, which leaves some for other hosts.
const CROWDED: usize = MOST / 2;
const LEAST_OF_HOST: usize = 8;

/// Where a delivery goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// Scheme, host and port.
    pub(super) host: String,
    /// Tells its URL from others.
    pub(super) url: String,
}

/// Why there is no permit at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The URL has its share; its host may have permits left.
    Url,
    /// The host has its share, or all permits are taken.
    Host,
}

/// The targets that are being sent to. Clones share the counts.
#[derive(Debug, Clone, Default)]
pub(super) struct Endpoints(Arc<Mutex<Counts>>);

#[derive(Debug, Default)]
struct Counts {
    hosts: HashMap<String, Host>,
    all: usize,
}

#[derive(Debug, Default)]
struct Host {
    urls: HashMap<String, usize>,
    all: usize,
}

impl Counts {
    const fn most_of_url(&self, host: &Host) -> usize {
        if self.all < CROWDED && host.all < CROWDED_HOST {
            MOST_OF_URL
        } else {
            1
        }
    }

    const fn most_of_host(&self) -> usize {
        if self.all < CROWDED {
            MOST_OF_HOST
        } else {
            LEAST_OF_HOST
        }
    }

    fn refusal(&self, target: &Target) -> Option<Full> {
        let none = Host::default();
        let host = self.hosts.get(&target.host).unwrap_or(&none);
        if self.all >= MOST || host.all >= self.most_of_host() {
            return Some(Full::Host);
        }
        let here = host.urls.get(&target.url).copied().unwrap_or(0);
        (here >= self.most_of_url(host)).then_some(Full::Url)
    }
}

/// A permit for a URL; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Permit {
    endpoints: Endpoints,
    target: Target,
}

impl Endpoints {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A permit for it, where one is left.
    pub(super) fn enter(&self, target: Target) -> Result<Permit, Full> {
        let mut counts = self.counts();
        if let Some(full) = counts.refusal(&target) {
            return Err(full);
        }
        counts.all += 1;
        let host = counts.hosts.entry(target.host.clone()).or_default();
        host.all += 1;
        *host.urls.entry(target.url.clone()).or_default() += 1;
        drop(counts);
        Ok(Permit {
            endpoints: self.clone(),
            target,
        })
    }

    /// How many hosts are being sent to.
    pub(super) fn busy(&self) -> usize {
        self.counts().hosts.len()
    }

    /// The URLs that have their share; nothing of theirs need be looked for.
    pub(super) fn full_urls(&self) -> Vec<String> {
        let counts = self.counts();
        let full = counts.hosts.values().flat_map(|host| {
            let most = counts.most_of_url(host);
            let full = host.urls.iter().filter(move |(_, here)| **here >= most);
            full.map(|(url, _)| url.clone())
        });
        full.collect()
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.endpoints.counts();
        counts.all = counts.all.saturating_sub(1);
        let Some(host) = counts.hosts.get_mut(&self.target.host) else {
            return;
        };
        host.all = host.all.saturating_sub(1);
        if let Some(here) = host.urls.get_mut(&self.target.url) {
            *here -= 1;
            if *here == 0 {
                host.urls.remove(&self.target.url);
            }
        }
        if host.all == 0 {
            counts.hosts.remove(&self.target.host);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(host: &str, url: usize) -> Target {
        Target {
            host: host.to_owned(),
            url: format!("{host}/{url}"),
        }
    }

    /// As many permits as there are at one target.
    fn fill(endpoints: &Endpoints, host: &str, url: usize) -> Vec<Permit> {
        std::iter::from_fn(|| endpoints.enter(target(host, url)).ok()).collect()
    }

    #[test]
    fn a_url_gets_its_share_and_no_more() {
        let endpoints = Endpoints::default();
        let mut permits = fill(&endpoints, "https://a", 1);
        assert_eq!(permits.len(), MOST_OF_URL);
        assert_eq!(
            endpoints.enter(target("https://a", 1)).err(),
            Some(Full::Url)
        );
        assert_eq!(endpoints.full_urls(), ["https://a/1"]);
        assert!(
            endpoints.enter(target("https://a", 2)).is_ok(),
            "another path"
        );
        assert!(endpoints.enter(target("https://b", 1)).is_ok());
        permits.pop();
        assert!(endpoints.full_urls().is_empty());
        assert!(endpoints.enter(target("https://a", 1)).is_ok());
        drop(permits);
        assert_eq!(endpoints.busy(), 0);
    }

    #[test]
    fn paths_that_hang_leave_places_for_others_of_their_host_and_for_other_hosts() {
        let endpoints = Endpoints::default();
        let hanging: Vec<_> = (0..20)
            .flat_map(|url| fill(&endpoints, "https://a", url))
            .collect();
        assert!(hanging.len() < MOST_OF_HOST);
        assert!(endpoints.enter(target("https://a", 99)).is_ok());
        let more: Vec<_> = (20..200)
            .flat_map(|url| fill(&endpoints, "https://a", url))
            .collect();
        assert_eq!(hanging.len() + more.len(), MOST_OF_HOST);
        assert_eq!(
            endpoints.enter(target("https://a", 99)).err(),
            Some(Full::Host)
        );
        assert!(endpoints.enter(target("https://b", 1)).is_ok());
    }

    #[test]
    fn many_slow_hosts_leave_room_for_one_more() {
        let endpoints = Endpoints::default();
        let slow: Vec<_> = (0..10_usize)
            .flat_map(|host| {
                let endpoints = &endpoints;
                (0..100).flat_map(move |url| fill(endpoints, &format!("https://slow{host}"), url))
            })
            .collect();
        assert!(slow.len() < MOST, "{}", slow.len());
        assert!(endpoints.enter(target("https://quick", 1)).is_ok());
        drop(slow);
        assert_eq!(endpoints.busy(), 0);
    }
}
