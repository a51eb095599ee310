//! The blocks and allows of a ledger, as decisions ask for them: a small map in memory, so that nothing is read where
//! none was ever set.

use crate::aggregate::{Admission, AdmissionKind};
use crate::clock::Timestamp;
use crate::event::{Actor, AskedFrom, ClientTarget};
use crate::id::{AdmissionId, AgentId};
use crate::name::ClientSubject;
use crate::policy::{Edge, Fact, Facts, Value};
use crate::rejection::{LockEnd, Rejection};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// What is known of who asks. What is not known is in no block.
#[derive(Debug, Clone, Copy)]
pub struct Client<'a> {
    /// The agent.
    pub agent: AgentId,
    /// The signed subject of the request.
    pub subject: Option<&'a ClientSubject>,
    /// The address that the request came from, where the edge knows it.
    pub address: Option<IpAddr>,
    /// The autonomous system of that address, where the edge knows it.
    pub asn: Option<u32>,
}

impl<'a> Client<'a> {
    /// As far as the record of a request says who it is from.
    #[must_use]
    pub const fn of(agent: AgentId, actor: &'a Actor) -> Self {
        let subject = match actor {
            Actor::Agent { subject, .. } => Some(subject),
            Actor::AgentKey { subject, .. } => subject.as_ref(),
            _ => None,
        };
        Self {
            agent,
            subject,
            address: None,
            asn: None,
        }
    }

    /// With what the edge says of where the request came from.
    #[must_use]
    pub fn seen(self, edge: &Edge) -> Self {
        self.with(|name| Some(edge.fact(name)))
    }

    /// With what was recorded of where a request came from.
    #[must_use]
    pub(crate) fn recorded(self, facts: &Facts) -> Self {
        self.with(|name| facts.get(name).cloned())
    }

    /// With where the request that asked a question came from.
    #[must_use]
    pub(crate) fn asked_from(self, from: &AskedFrom) -> Self {
        let address = from.address.as_ref().and_then(|text| text.parse().ok());
        Self {
            address: self.address.or(address),
            asn: self.asn.or(from.asn),
            ..self
        }
    }

    /// What is known already stays.
    fn with(self, fact: impl Fn(&str) -> Option<Fact>) -> Self {
        let address = match fact("address") {
            Some(Fact::Known(Value::Text(address))) => address.parse().ok(),
            _ => None,
        };
        let asn = match fact("asn") {
            Some(Fact::Known(Value::Int(number))) => u32::try_from(number).ok(),
            _ => None,
        };
        Self {
            address: self.address.or(address),
            asn: self.asn.or(asn),
            ..self
        }
    }

    /// Why it is not known whether a target holds the client.
    const fn unknown(&self, target: &ClientTarget) -> Option<&'static str> {
        match target {
            ClientTarget::Address(_) if self.address.is_none() => Some("address"),
            ClientTarget::Asn(_) if self.asn.is_none() => Some("asn"),
            _ => None,
        }
    }

    fn is_of(&self, target: &ClientTarget) -> bool {
        match target {
            ClientTarget::Agent(id) => *id == self.agent,
            ClientTarget::Subject(subject) => self.subject == Some(subject),
            ClientTarget::Address(network) => {
                self.address.is_some_and(|address| network.holds(address))
            }
            ClientTarget::Asn(number) => self.asn == Some(*number),
        }
    }
}

/// Every block and allow that was not lifted. One that has ended by itself stays until the next start.
#[derive(Debug, Clone, Default)]
pub struct Admissions(BTreeMap<AdmissionId, Arc<Admission>>);

impl Admissions {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes one in, in its newest state.
    pub(crate) fn put(&mut self, admission: Arc<Admission>) {
        match admission.lifted_at {
            Some(_) => drop(self.0.remove(&admission.id)),
            None => drop(self.0.insert(admission.id, admission)),
        }
    }

    fn in_force(&self, kind: AdmissionKind, now: Timestamp) -> impl Iterator<Item = &Admission> {
        let all = self.0.values().map(AsRef::as_ref);
        all.filter(move |it: &&Admission| it.kind == kind && it.is_in_force(now))
    }

    /// The block in force on who asks. It wins over every allow, however exact that is.
    #[must_use]
    pub fn block_on(&self, client: &Client<'_>, now: Timestamp) -> Option<&Admission> {
        let mut blocks = self.in_force(AdmissionKind::Block, now);
        blocks.find(|block| client.is_of(&block.target))
    }

    /// The allow in force that covers all of a target.
    #[must_use]
    pub fn allow_over(&self, target: &ClientTarget, now: Timestamp) -> Option<&Admission> {
        let mut allows = self.in_force(AdmissionKind::Allow, now);
        allows.find(|allow| allow.target.covers(target))
    }

    /// Whether an allow in force covers who asks, as a fact.
    #[must_use]
    pub fn allows(&self, client: &Client<'_>, now: Timestamp) -> Fact {
        let mut unknown = None;
        for allow in self.in_force(AdmissionKind::Allow, now) {
            if client.is_of(&allow.target) {
                return Fact::Known(Value::Bool(true));
            }
            unknown = unknown.or(client.unknown(&allow.target));
        }
        match unknown {
            Some(why) => Fact::unknown(why),
            None => Fact::Known(Value::Bool(false)),
        }
    }

    /// Holds who asks to the blocks in force.
    ///
    /// # Errors
    /// [`Rejection::Blocked`].
    pub fn admit(&self, client: &Client<'_>, now: Timestamp) -> Result<(), Rejection> {
        match self.block_on(client, now) {
            Some(block) => Err(Rejection::Blocked {
                kind: block.target.kind(),
                until: LockEnd(block.until),
            }),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Network;

    const NOW: Timestamp = Timestamp::from_seconds(100);

    fn put(
        all: &mut Admissions,
        id: u8,
        kind: AdmissionKind,
        target: ClientTarget,
        until: Option<i64>,
    ) {
        all.put(Arc::new(Admission {
            id: AdmissionId::from_bytes([id; 16]),
            kind,
            target,
            reason: None,
            set_at: Timestamp::from_seconds(1),
            until: until.map(Timestamp::from_seconds),
            lifted_at: None,
        }));
    }

    fn address(text: &str) -> ClientTarget {
        ClientTarget::Address(Network::parse(text).unwrap())
    }

    fn client(address: Option<&str>) -> Client<'static> {
        Client {
            agent: AgentId::from_bytes([1; 16]),
            subject: None,
            address: address.map(|address| address.parse().unwrap()),
            asn: None,
        }
    }

    #[test]
    fn a_block_wins_over_a_more_exact_allow() {
        let mut all = Admissions::default();
        put(&mut all, 1, AdmissionKind::Allow, address("10.1.2.3"), None);
        put(
            &mut all,
            2,
            AdmissionKind::Block,
            address("10.0.0.0/8"),
            None,
        );
        assert!(all.admit(&client(Some("10.1.2.3")), NOW).is_err());
        assert!(all.admit(&client(Some("192.0.2.1")), NOW).is_ok());
        assert!(all.allow_over(&address("10.1.2.3"), NOW).is_some());
        assert!(all.allow_over(&address("10.0.0.0/8"), NOW).is_none());
    }

    #[test]
    fn what_is_not_known_of_who_asks_is_in_no_block() {
        let mut all = Admissions::default();
        put(
            &mut all,
            1,
            AdmissionKind::Block,
            address("0.0.0.0/0"),
            None,
        );
        put(
            &mut all,
            2,
            AdmissionKind::Block,
            ClientTarget::Asn(64496),
            None,
        );
        assert!(all.admit(&client(None), NOW).is_ok());
    }

    #[test]
    fn whether_an_allow_covers_an_unknown_address_is_unknown() {
        let mut all = Admissions::default();
        let known = |yes| Fact::Known(Value::Bool(yes));
        assert_eq!(all.allows(&client(None), NOW), known(false));
        put(
            &mut all,
            1,
            AdmissionKind::Allow,
            address("10.0.0.0/8"),
            Some(200),
        );
        assert_eq!(all.allows(&client(Some("10.1.2.3")), NOW), known(true));
        assert_eq!(all.allows(&client(Some("192.0.2.1")), NOW), known(false));
        assert_eq!(all.allows(&client(None), NOW), Fact::unknown("address"));
        let agent = ClientTarget::Agent(AgentId::from_bytes([1; 16]));
        put(&mut all, 2, AdmissionKind::Allow, agent, None);
        assert_eq!(all.allows(&client(None), NOW), known(true));
        let late = Timestamp::from_seconds(200);
        assert_eq!(all.allows(&client(Some("10.1.2.3")), late), known(true));
    }

    #[test]
    fn of_two_blocks_on_one_target_each_ends_by_itself() {
        let agent = || ClientTarget::Agent(AgentId::from_bytes([1; 16]));
        let mut all = Admissions::default();
        put(&mut all, 1, AdmissionKind::Block, agent(), Some(100));
        put(&mut all, 2, AdmissionKind::Block, agent(), Some(200));
        assert!(
            all.admit(&client(None), NOW).is_err(),
            "one has ended, the other has not"
        );
        assert!(
            all.admit(&client(None), Timestamp::from_seconds(200))
                .is_ok()
        );
    }
}
