//! Name resolution that gives only addresses that may be connected to.
//!
//! The check sits between the DNS answer and the connection that uses this very answer. There is no
//! second lookup after it, so a name that changes its answer in between (DNS rebinding) gains
//! nothing. An IP literal never reaches a resolver; [`ledger::CallbackUrl`] refuses those.

use crate::callback::address::{AddressRefused, check_address};
use futures_util::future::BoxFuture;
use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::error::Error;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// Where DNS answers come from.
pub trait Lookup: Send + Sync + 'static {
    /// All addresses of a host, in the order in which they should be tried.
    ///
    /// # Errors
    /// Whatever kept the question from being answered.
    fn lookup(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// The operating system's resolver.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: &str) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        let host = host.to_owned();
        Box::pin(async move {
            let addresses = tokio::net::lookup_host((host, 0)).await?;
            Ok(addresses.map(|address| address.ip()).collect())
        })
    }
}

/// A host none of whose addresses may be connected to.
#[derive(Debug, thiserror::Error)]
pub enum HostRefused {
    /// The DNS knows the name and gives no address for it.
    #[error("the host has no address")]
    NoAddress,
    /// Every address was refused; the first refusal stands for all.
    #[error("no address of the host may be connected to")]
    AllRefused(#[source] AddressRefused),
}

/// Looks a host up and keeps the addresses that [`check_address`] lets pass.
#[derive(Clone)]
pub(crate) struct GuardedResolver {
    lookup: Arc<dyn Lookup>,
    allowed_nets: Arc<[IpNet]>,
}

impl GuardedResolver {
    pub(crate) fn new(lookup: Arc<dyn Lookup>, allowed_nets: Arc<[IpNet]>) -> Self {
        Self {
            lookup,
            allowed_nets,
        }
    }

    /// The addresses of a host that may be connected to, at least one.
    ///
    /// # Errors
    /// An [`io::Error`] of the lookup, or [`HostRefused`].
    pub(crate) async fn addresses(
        self,
        host: &str,
    ) -> Result<Vec<IpAddr>, Box<dyn Error + Send + Sync>> {
        let found = self.lookup.lookup(host).await?;
        Ok(keep_allowed(host, found, &self.allowed_nets)?)
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let passed = resolver.addresses(name.as_str()).await?;
            // Port 0 stands for the port of the URL.
            let addresses = passed
                .into_iter()
                .map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

fn keep_allowed(
    host: &str,
    found: Vec<IpAddr>,
    allowed_nets: &[IpNet],
) -> Result<Vec<IpAddr>, HostRefused> {
    let mut passed = Vec::with_capacity(found.len());
    let mut first_refusal = None;
    for address in found {
        match check_address(host, address, allowed_nets) {
            Ok(()) => passed.push(address),
            Err(refusal) => first_refusal = first_refusal.or(Some(refusal)),
        }
    }
    match (passed.is_empty(), first_refusal) {
        (false, _) => Ok(passed),
        (true, Some(refusal)) => Err(HostRefused::AllRefused(refusal)),
        (true, None) => Err(HostRefused::NoAddress),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ips(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn refused_addresses_are_left_out_and_the_order_is_kept() {
        let found = ips(&["10.0.0.1", "9.9.9.9", "::1", "2606:4700::1111"]);
        let passed = keep_allowed("a.example", found, &[]).unwrap();
        assert_eq!(passed, ips(&["9.9.9.9", "2606:4700::1111"]));
    }

    #[test]
    fn a_host_without_an_allowed_address_is_refused_with_the_first_reason() {
        let refused = keep_allowed("a.example", ips(&["10.0.0.1", "127.0.0.1"]), &[]).unwrap_err();
        let HostRefused::AllRefused(AddressRefused::Restricted { address, range }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(
            (address.to_string().as_str(), range),
            ("10.0.0.1", "private")
        );
        assert!(matches!(
            keep_allowed("a.example", vec![], &[]),
            Err(HostRefused::NoAddress)
        ));
    }

    #[tokio::test]
    async fn the_system_knows_localhost_as_loopback() {
        let found = SystemLookup.lookup("localhost").await.unwrap();
        assert!(keep_allowed("localhost", found, &[]).is_ok());
    }
}
