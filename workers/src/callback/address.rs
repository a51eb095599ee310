//! Addresses that a callback may connect to.
//!
//! An allowlisted name says who is meant; the address says who is reached. Whoever controls the DNS
//! of an allowed name must not be able to point this service at its own host, its network or a
//! cloud's metadata endpoint. So nothing outside the globally routed unicast ranges is connected to
//! unless the operator names it, and this machine itself is reached by the name `localhost` only.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The one name that means this machine.
pub(crate) const LOCALHOST: &str = "localhost";

/// Where an address leads, as far as its number says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressRange {
    /// Globally routed unicast.
    Public,
    /// This machine: 127.0.0.0/8 or ::1.
    Loopback,
    /// "This host" (0.0.0.0 or ::). Connecting to it reaches this machine on Linux, under a number
    /// that no list of loopback ranges contains.
    Unspecified,
    /// Anything else that is not globally routed, with what it is called.
    Restricted(&'static str),
}

/// An address that was not connected to, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressRefused {
    /// `localhost` must stay on this machine.
    #[error("localhost may lead to loopback addresses only, not to {0}")]
    LocalhostElsewhere(IpAddr),
    /// Only `localhost` may mean this machine.
    #[error("{0} is this machine, which only localhost may name")]
    ThisMachine(IpAddr),
    /// Not globally routed, and not named by the operator.
    #[error("{address} is a {range} address; CALLBACK_ALLOWED_NETS does not name it")]
    Restricted {
        /// The address that the name led to.
        address: IpAddr,
        range: &'static str,
    },
}

/// Decides whether `host` may be reached at `address`.
///
/// `allowed_nets` opens restricted ranges by the address itself; an IPv4-mapped IPv6 address
/// (`::ffff:0:0/96`) counts as the IPv4 address that it is. No net opens loopback or the
/// unspecified address.
///
/// # Errors
/// [`AddressRefused`] with the reason.
pub fn check_address(
    host: &str,
    address: IpAddr,
    allowed_nets: &[IpNet],
) -> Result<(), AddressRefused> {
    let address = address.to_canonical();
    let range = range_of(address);
    if host == LOCALHOST {
        return match range {
            AddressRange::Loopback => Ok(()),
            AddressRange::Public | AddressRange::Unspecified | AddressRange::Restricted(_) => {
                Err(AddressRefused::LocalhostElsewhere(address))
            }
        };
    }
    match range {
        AddressRange::Public => Ok(()),
        AddressRange::Loopback | AddressRange::Unspecified => {
            Err(AddressRefused::ThisMachine(address))
        }
        AddressRange::Restricted(_) if allowed_nets.iter().any(|net| net.contains(&address)) => {
            Ok(())
        }
        AddressRange::Restricted(range) => Err(AddressRefused::Restricted { address, range }),
    }
}

/// The range that an address belongs to, by the IANA special-purpose registries (RFC 6890) and, for
/// IPv6 forms that carry an IPv4 address, by that one.
#[must_use]
pub fn range_of(address: IpAddr) -> AddressRange {
    match address {
        IpAddr::V4(v4) => range_of_v4(v4),
        IpAddr::V6(v6) => range_of_v6(v6),
    }
}

fn range_of_v4(address: Ipv4Addr) -> AddressRange {
    use AddressRange::{Loopback, Public, Restricted, Unspecified};
    match address.octets() {
        [0, 0, 0, 0] => Unspecified,
        [0, ..] => Restricted("this-network"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Restricted("private"),
        [100, 64..=127, ..] => Restricted("carrier-grade NAT"),
        [127, ..] => Loopback,
        [169, 254, ..] => Restricted("link-local"),
        [192, 0, 0, _] => Restricted("protocol assignment"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Restricted("documentation"),
        [192, 88, 99, _] => Restricted("6to4 relay"),
        [198, 18 | 19, ..] => Restricted("benchmarking"),
        [224..=239, ..] => Restricted("multicast"),
        [255, 255, 255, 255] => Restricted("broadcast"),
        [240..=255, ..] => Restricted("reserved"),
        _ => Public,
    }
}

fn range_of_v6(address: Ipv6Addr) -> AddressRange {
    use AddressRange::{Loopback, Public, Restricted, Unspecified};
    let [_, b, c, d, _, _, y, z] = address.segments();
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 0] => Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Loopback,
        // IPv4-mapped: the operating system connects to the IPv4 address itself.
        [0, 0, 0, 0, 0, 0xffff, ..] => range_of_v4(joined(y, z)),
        // IPv4-compatible (RFC 4291), IPv4-translated (RFC 2765), NAT64 (RFC 6052).
        [0, 0, 0, 0, 0, 0, ..] => carrying(&[joined(y, z)], "IPv4-compatible"),
        [0, 0, 0, 0, 0xffff, 0, ..] => carrying(&[joined(y, z)], "IPv4-translated"),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => carrying(&[joined(y, z)], "NAT64"),
        // RFC 8215: the place of the IPv4 address depends on a prefix length that only the network
        // knows, so there is nothing to judge by.
        [0x64, 0xff9b, 1, ..] => Restricted("local-use NAT64"),
        // 6to4 (RFC 3056).
        [0x2002, ..] => carrying(&[joined(b, c)], "6to4"),
        // Teredo (RFC 4380): the server, and the client with its bits flipped.
        [0x2001, 0, ..] => carrying(&[joined(c, d), joined(!y, !z)], "Teredo"),
        [0x2001, 0x0db8, ..] | [0x3fff, 0..=0x0fff, ..] => Restricted("documentation"),
        [0x2001, 2, 0, ..] => Restricted("benchmarking"),
        [0x2001, 0..=0x01ff, ..] => Restricted("protocol assignment"),
        [0x2000..=0x3fff, ..] => Public,
        [0x0100, 0, 0, ..] => Restricted("discard-only"),
        [0x5f00, ..] => Restricted("segment-routing"),
        [0xfc00..=0xfdff, ..] => Restricted("unique local"),
        [0xfe80..=0xfebf, ..] => Restricted("link-local"),
        [0xfec0..=0xfeff, ..] => Restricted("site-local"),
        [0xff00..=0xffff, ..] => Restricted("multicast"),
        _ => Restricted("unassigned"),
    }
}

/// A translator will connect to these IPv4 addresses: public when all of them are. Otherwise it is
/// restricted whatever they are: `localhost` behind a translator is not this machine, and a net
/// that names the IPv4 address does not name the way through the translator.
fn carrying(embedded: &[Ipv4Addr], form: &'static str) -> AddressRange {
    if embedded
        .iter()
        .all(|v4| range_of_v4(*v4) == AddressRange::Public)
    {
        AddressRange::Public
    } else {
        AddressRange::Restricted(form)
    }
}

fn joined(high: u16, low: u16) -> Ipv4Addr {
    let [a, b] = high.to_be_bytes();
    let [c, d] = low.to_be_bytes();
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    use super::AddressRange::{Loopback, Public, Restricted, Unspecified};
    use super::*;
    use proptest::prelude::*;

    /// First and last address of every range, and their neighbours on the other side.
    const V4: &[(&str, AddressRange)] = &[
        ("0.0.0.0", Unspecified),
        ("0.0.0.1", Restricted("this-network")),
        ("0.255.255.255", Restricted("this-network")),
        ("1.0.0.0", Public),
        ("9.255.255.255", Public),
        ("10.0.0.0", Restricted("private")),
        ("10.255.255.255", Restricted("private")),
        ("11.0.0.0", Public),
        ("100.63.255.255", Public),
        ("100.64.0.0", Restricted("carrier-grade NAT")),
        ("100.127.255.255", Restricted("carrier-grade NAT")),
        ("100.128.0.0", Public),
        ("126.255.255.255", Public),
        ("127.0.0.0", Loopback),
        ("127.0.0.1", Loopback),
        ("127.255.255.255", Loopback),
        ("128.0.0.0", Public),
        ("169.253.255.255", Public),
        ("169.254.0.0", Restricted("link-local")),
        ("169.254.169.254", Restricted("link-local")),
        ("169.254.255.255", Restricted("link-local")),
        ("169.255.0.0", Public),
        ("172.15.255.255", Public),
        ("172.16.0.0", Restricted("private")),
        ("172.31.255.255", Restricted("private")),
        ("172.32.0.0", Public),
        ("191.255.255.255", Public),
        ("192.0.0.0", Restricted("protocol assignment")),
        ("192.0.0.255", Restricted("protocol assignment")),
        ("192.0.1.0", Public),
        ("192.0.2.0", Restricted("documentation")),
        ("192.0.2.255", Restricted("documentation")),
        ("192.0.3.0", Public),
        ("192.88.98.255", Public),
        ("192.88.99.0", Restricted("6to4 relay")),
        ("192.88.99.255", Restricted("6to4 relay")),
        ("192.88.100.0", Public),
        ("192.167.255.255", Public),
        ("192.168.0.0", Restricted("private")),
        ("192.168.255.255", Restricted("private")),
        ("192.169.0.0", Public),
        ("198.17.255.255", Public),
        ("198.18.0.0", Restricted("benchmarking")),
        ("198.19.255.255", Restricted("benchmarking")),
        ("198.20.0.0", Public),
        ("198.51.99.255", Public),
        ("198.51.100.0", Restricted("documentation")),
        ("198.51.100.255", Restricted("documentation")),
        ("198.51.101.0", Public),
        ("203.0.112.255", Public),
        ("203.0.113.0", Restricted("documentation")),
        ("203.0.113.255", Restricted("documentation")),
        ("203.0.114.0", Public),
        ("223.255.255.255", Public),
        ("224.0.0.0", Restricted("multicast")),
        ("239.255.255.255", Restricted("multicast")),
        ("240.0.0.0", Restricted("reserved")),
        ("255.255.255.254", Restricted("reserved")),
        ("255.255.255.255", Restricted("broadcast")),
    ];

    const V6: &[(&str, AddressRange)] = &[
        ("::", Unspecified),
        ("::1", Loopback),
        ("::2", Restricted("IPv4-compatible")),
        ("::127.0.0.1", Restricted("IPv4-compatible")),
        ("::10.0.0.1", Restricted("IPv4-compatible")),
        ("::9.9.9.9", Public),
        ("::ffff:0.0.0.0", Unspecified),
        ("::ffff:127.0.0.1", Loopback),
        ("::ffff:169.254.169.254", Restricted("link-local")),
        ("::ffff:9.9.9.9", Public),
        ("::ffff:0:127.0.0.1", Restricted("IPv4-translated")),
        ("::ffff:0:9.9.9.9", Public),
        ("64:ff9b::127.0.0.1", Restricted("NAT64")),
        ("64:ff9b::169.254.169.254", Restricted("NAT64")),
        ("64:ff9b::9.9.9.9", Public),
        ("64:ff9b:0:0:0:1::", Restricted("unassigned")),
        ("64:ff9b:1::9.9.9.9", Restricted("local-use NAT64")),
        (
            "64:ff9b:1:ffff:ffff:ffff:ffff:ffff",
            Restricted("local-use NAT64"),
        ),
        ("64:ff9b:2::", Restricted("unassigned")),
        ("100::", Restricted("discard-only")),
        ("100::ffff:ffff:ffff:ffff", Restricted("discard-only")),
        ("100:0:0:1::", Restricted("discard-only")),
        ("1fff:ffff::", Restricted("unassigned")),
        ("2000::", Public),
        ("2001:0:0909:0909::f6f6:f6f6", Public),
        ("2001:0:0a00:0001::f6f6:f6f6", Restricted("Teredo")),
        ("2001:0:0909:0909::80ff:fffe", Restricted("Teredo")),
        ("2001:1::1", Restricted("protocol assignment")),
        ("2001:2::", Restricted("benchmarking")),
        ("2001:2:1::", Restricted("protocol assignment")),
        ("2001:10::", Restricted("protocol assignment")),
        ("2001:20::", Restricted("protocol assignment")),
        ("2001:1ff:ffff::", Restricted("protocol assignment")),
        ("2001:200::", Public),
        ("2001:db7:ffff::", Public),
        ("2001:db8::", Restricted("documentation")),
        ("2001:db8:ffff::ffff", Restricted("documentation")),
        ("2001:db9::", Public),
        ("2002:7f00:1::", Restricted("6to4")),
        ("2002:0909:0909::", Public),
        ("2606:4700::1111", Public),
        ("3ffe:ffff::", Public),
        ("3fff::", Restricted("documentation")),
        ("3fff:0fff::", Restricted("documentation")),
        ("3fff:1000::", Public),
        ("4000::", Restricted("unassigned")),
        ("5f00::", Restricted("segment-routing")),
        ("fbff:ffff::", Restricted("unassigned")),
        ("fc00::", Restricted("unique local")),
        ("fd00:ec2::254", Restricted("unique local")),
        ("fdff:ffff::", Restricted("unique local")),
        ("fe00::", Restricted("unassigned")),
        ("fe80::", Restricted("link-local")),
        ("febf:ffff::", Restricted("link-local")),
        ("fec0::", Restricted("site-local")),
        ("feff:ffff::", Restricted("site-local")),
        ("ff00::", Restricted("multicast")),
        ("ff02::1", Restricted("multicast")),
    ];

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn every_range_begins_and_ends_where_the_registries_say() {
        for (address, range) in V4.iter().chain(V6) {
            assert_eq!(range_of(ip(address)), *range, "{address}");
        }
    }

    #[test]
    fn localhost_reaches_loopback_and_nothing_else() {
        let everything = nets(&["0.0.0.0/0", "::/0"]);
        for (address, range) in V4.iter().chain(V6) {
            let reached = check_address(LOCALHOST, ip(address), &everything).is_ok();
            assert_eq!(reached, *range == Loopback, "{address}");
        }
    }

    #[test]
    fn another_host_reaches_public_addresses_and_nothing_else() {
        for (address, range) in V4.iter().chain(V6) {
            let reached = check_address("hooks.example.com", ip(address), &[]).is_ok();
            assert_eq!(reached, *range == Public, "{address}");
        }
    }

    #[test]
    fn no_net_opens_this_machine_to_another_host() {
        let everything = nets(&["0.0.0.0/0", "::/0"]);
        for (address, range) in V4.iter().chain(V6) {
            let reached = check_address("foo.localhost", ip(address), &everything).is_ok();
            assert_eq!(
                reached,
                !matches!(range, Loopback | Unspecified),
                "{address}"
            );
        }
    }

    #[test]
    fn a_named_net_opens_itself_only() {
        let allowed = nets(&["10.1.0.0/16", "fd00:1::/32"]);
        let reached = |address| check_address("internal.example", ip(address), &allowed).is_ok();
        assert!(reached("10.1.255.255"));
        assert!(reached("::ffff:10.1.2.3"));
        assert!(reached("fd00:1::5"));
        assert!(!reached("10.2.0.0"));
        assert!(!reached("fd00:2::5"));
        assert!(!reached("64:ff9b::10.1.2.3"));
        assert!(!reached("2002:0a01:0203::"));
    }

    #[test]
    fn a_refusal_names_the_address_and_the_reason() {
        let refused = check_address("a.example", ip("::ffff:10.0.0.1"), &[]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "10.0.0.1 is a private address; CALLBACK_ALLOWED_NETS does not name it"
        );
    }

    proptest! {
        #[test]
        fn a_mapped_address_is_judged_as_the_ipv4_address_it_is(
            bits: u32, host in "localhost|a\\.example", prefix in 0u8..=32, net: u32,
        ) {
            let v4 = Ipv4Addr::from_bits(bits);
            let allowed =
                [IpNet::new(IpAddr::V4(Ipv4Addr::from_bits(net)), prefix).unwrap().trunc()];
            let mapped = IpAddr::V6(v4.to_ipv6_mapped());
            prop_assert_eq!(range_of(mapped), range_of(IpAddr::V4(v4)));
            prop_assert_eq!(
                check_address(&host, mapped, &allowed),
                check_address(&host, IpAddr::V4(v4), &allowed)
            );
        }

        #[test]
        fn a_translated_address_is_public_exactly_when_the_one_it_carries_is(bits: u32) {
            let v4 = Ipv4Addr::from_bits(bits);
            let public = range_of_v4(v4) == Public;
            let low = u128::from(bits);
            for form in [
                low,
                (0xffff_u128 << 32) | low,
                (0xffff_u128 << 48) | low,
                (0x0064_ff9b_u128 << 96) | low,
                (0x2002_u128 << 112) | (low << 80),
                (0x2001_u128 << 112) | (low << 64) | 0xf6f6_f6f6,
                (0x2001_u128 << 112) | (0x0909_0909_u128 << 64) | u128::from(!bits),
            ] {
                let v6 = Ipv6Addr::from_bits(form);
                if v6.is_unspecified() || v6.is_loopback() {
                    continue;
                }
                prop_assert_eq!(range_of_v6(v6) == Public, public, "{} in {}", v4, v6);
            }
        }

        #[test]
        fn nothing_outside_global_unicast_is_public_unless_it_carries_ipv4(bits: u128) {
            let v6 = Ipv6Addr::from_bits(bits);
            let [first, ..] = v6.segments();
            if range_of_v6(v6) == Public && !(0x2000..=0x3fff).contains(&first) {
                prop_assert!(matches!(v6.segments(), [0 | 0x64, ..]));
            }
        }
    }
}
