//! Events of a block's or an allow's stream. Frozen forms.

use crate::clock::Timestamp;
use crate::id::{AdmissionId, AgentId, ApprovalId};
use crate::name::ClientSubject;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// A network in its one spelling: `10.0.0.0/8`. A single address is a network of its own length.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Network(String);

impl Network {
    /// Of an address or a CIDR. An IPv4 address that is written as IPv6 is the IPv4 address.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(Self(IpNet::from(address.to_canonical()).to_string()));
        }
        let net: IpNet = text.parse().ok()?;
        Some(Self(canonical(net).to_string()))
    }

    /// The network that is meant where an address in it is written with the length of its prefix: `10.0.0.0/8` for
    /// `10.0.0.1/8`. `None` for anything else.
    #[must_use]
    pub fn around(text: &str) -> Option<Self> {
        let net: IpNet = text.parse().ok()?;
        (net.trunc() != net).then(|| Self(canonical(net).to_string()))
    }

    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the address is in it.
    #[must_use]
    pub fn holds(&self, address: IpAddr) -> bool {
        let net = self.0.parse::<IpNet>();
        net.is_ok_and(|net| net.contains(&address.to_canonical()))
    }

    fn covers(&self, other: &Self) -> bool {
        match (self.0.parse::<IpNet>(), other.0.parse::<IpNet>()) {
            (Ok(net), Ok(other)) => net.contains(&other),
            _ => false,
        }
    }
}

fn canonical(net: IpNet) -> IpNet {
    const MAPPED: u8 = 96;
    let net = net.trunc();
    let (IpNet::V6(v6), IpAddr::V4(v4)) = (net, net.addr().to_canonical()) else {
        return net;
    };
    let length = v6.prefix_len().checked_sub(MAPPED);
    let v4 = length.and_then(|length| IpNet::new(v4.into(), length).ok());
    v4.unwrap_or(net)
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose requests a block or an allow is about. Agents stand by their ids, so that their names can be erased
/// without this.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientTarget {
    /// One agent.
    Agent(AgentId),
    /// One signed subject.
    Subject(ClientSubject),
    /// The addresses of a network.
    Address(Network),
    /// The networks of one autonomous system.
    Asn(u32),
}

impl ClientTarget {
    /// The word of its kind on the surface.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Agent(_) => "agent",
            Self::Subject(_) => "subject",
            Self::Address(_) => "address",
            Self::Asn(_) => "asn",
        }
    }

    /// Its value on the surface; of an agent the id.
    #[must_use]
    pub fn value(&self) -> String {
        match self {
            Self::Agent(id) => id.to_string(),
            Self::Subject(subject) => subject.to_string(),
            Self::Address(network) => network.to_string(),
            Self::Asn(number) => number.to_string(),
        }
    }

    /// Whether all that the other is about is of this one.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Address(network), Self::Address(other)) => network.covers(other),
            _ => self == other,
        }
    }
}

/// `block.set` 1: from here on what the target asks is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockSet {
    /// The block, which is also its stream.
    pub admission_id: AdmissionId,
    /// Whose requests it is about.
    pub target: ClientTarget,
    /// The reason, where somebody gave one.
    pub reason: Option<String>,
    /// When it ends by itself; `None`: when it is lifted.
    pub until: Option<Timestamp>,
    /// The question with whose decision it was set, where it was.
    pub approval_id: Option<ApprovalId>,
}

/// `block.lifted` 1: it refuses nothing any more. Other blocks stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockLifted {}

/// `allow.set` 1: what it covers cannot be blocked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowSet {
    /// The allow, which is also its stream.
    pub admission_id: AdmissionId,
    /// Whose requests it is about.
    pub target: ClientTarget,
    /// The reason, where somebody gave one.
    pub reason: Option<String>,
    /// When it ends by itself; `None`: when it is lifted.
    pub until: Option<Timestamp>,
}

/// `allow.lifted` 1: what it covered can be blocked again. Other allows stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AllowLifted {}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Network {
        Network::parse(text).unwrap()
    }

    #[test]
    fn a_network_has_one_spelling() {
        for (text, one) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.1", "192.0.2.1/32"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("2001:DB8::1", "2001:db8::1/128"),
            ("0.0.0.0/0", "0.0.0.0/0"),
        ] {
            assert_eq!(network(text).as_str(), one, "{text}");
        }
        for text in ["", "10.0.0.0/33", "example.com", "10.1", "1.2.3.4/"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        let around = Network::around("10.0.0.1/8");
        assert_eq!(around, Some(network("10.0.0.0/8")));
        for text in ["10.0.0.0/8", "10.0.0.1", "10.0.0.1/32", "example.com"] {
            assert_eq!(Network::around(text), None, "{text}");
        }
    }

    #[test]
    fn a_target_covers_what_is_all_of_it() {
        let address = |text| ClientTarget::Address(network(text));
        assert!(address("10.0.0.0/8").covers(&address("10.1.2.3")));
        assert!(!address("10.1.2.3").covers(&address("10.0.0.0/8")));
        assert!(!address("0.0.0.0/0").covers(&address("2001:db8::1")));
        assert!(ClientTarget::Asn(64496).covers(&ClientTarget::Asn(64496)));
        assert!(!ClientTarget::Asn(64496).covers(&ClientTarget::Asn(64497)));
        assert!(network("10.0.0.0/8").holds("::ffff:10.1.2.3".parse().unwrap()));
    }
}
