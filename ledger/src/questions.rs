//! The questions that wait for a decision, counted in memory by agent, operation and address, so that a limit is
//! asked for without reading any of them.

use crate::catalog::OperationId;
use crate::clock::Timestamp;
use crate::event::{FactValue, PolicyEvaluation};
use crate::id::ApprovalId;
use crate::name::AgentName;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::{IpAddr, Ipv6Addr};

/// A question that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenQuestion {
    /// The agent that asks.
    pub(crate) agent: AgentName,
    /// What it asks for, each once.
    pub(crate) operations: HashSet<OperationId>,
    /// Where it was asked from, as far as that is recorded.
    pub(crate) address: Option<IpAddr>,
    /// From when on it waits no more, whether or not that is recorded.
    pub(crate) expires_at: Timestamp,
}

/// What a limit counts.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Counted {
    /// Every question.
    All,
    /// Those of an agent.
    Agent(AgentName),
    /// Those that ask for an operation.
    Operation(OperationId),
    /// Those from an address; all whose address is not known count together.
    Address(Option<IpAddr>),
}

impl OpenQuestion {
    fn counted(&self) -> Vec<Counted> {
        let mut counted = vec![
            Counted::All,
            Counted::Agent(self.agent.clone()),
            Counted::Address(self.address),
        ];
        counted.extend(self.operations.iter().copied().map(Counted::Operation));
        counted
    }
}

/// The address from which questions are counted, of the address that a record names. Whoever has one address of
/// IPv6 has at least a network of 64 bits.
pub(crate) fn asked_from(said: Option<&PolicyEvaluation>) -> Option<IpAddr> {
    let address = said?.facts.iter().find(|fact| fact.name == "address")?;
    let FactValue::Text(address) = &address.value else {
        return None;
    };
    match address.parse::<IpAddr>().ok()? {
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            Some(Ipv6Addr::from(network).into())
        }
        address @ IpAddr::V4(_) => Some(address),
    }
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    open: HashMap<ApprovalId, OpenQuestion>,
    ends: BTreeSet<(Timestamp, ApprovalId)>,
    counts: HashMap<Counted, usize>,
}

impl Questions {
    /// Takes in a question that was opened (`Some`), or waits no more.
    pub(crate) fn take(&mut self, id: ApprovalId, question: Option<OpenQuestion>) {
        self.forget(id);
        let Some(question) = question else { return };
        self.ends.insert((question.expires_at, id));
        for counted in question.counted() {
            *self.counts.entry(counted).or_default() += 1;
        }
        self.open.insert(id, question);
    }

    /// Drops those whose time is over. Time never goes back.
    pub(crate) fn end(&mut self, now: Timestamp) {
        while let Some((at, id)) = self.ends.first().copied() {
            if at > now {
                break;
            }
            self.forget(id);
        }
    }

    fn forget(&mut self, id: ApprovalId) {
        let Some(question) = self.open.remove(&id) else {
            return;
        };
        self.ends.remove(&(question.expires_at, id));
        for counted in question.counted() {
            if let Some(count) = self.counts.get_mut(&counted) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.counts.remove(&counted);
                }
            }
        }
    }

    /// How many there are of that.
    pub(crate) fn count(&self, of: &Counted) -> usize {
        self.counts.get(of).copied().unwrap_or(0)
    }

    /// The agents that ask.
    pub(crate) fn agents(&self) -> impl Iterator<Item = &AgentName> {
        self.counts.keys().filter_map(agent_of)
    }
}

const fn agent_of(counted: &Counted) -> Option<&AgentName> {
    match counted {
        Counted::Agent(agent) => Some(agent),
        Counted::All | Counted::Operation(_) | Counted::Address(_) => None,
    }
}

/// What was decided of questions and is not committed yet.
#[derive(Debug, Default)]
pub(crate) struct QuestionChanges {
    /// The newest state of each.
    newest: HashMap<ApprovalId, Option<OpenQuestion>>,
    /// By how much each count is another one.
    counts: HashMap<Counted, isize>,
}

impl QuestionChanges {
    /// Takes over later ones.
    pub(crate) fn absorb(&mut self, later: Self) {
        self.newest.extend(later.newest);
        for (counted, by) in later.counts {
            *self.counts.entry(counted).or_default() += by;
        }
    }

    /// The newest state of each.
    pub(crate) fn into_newest(self) -> impl Iterator<Item = (ApprovalId, Option<OpenQuestion>)> {
        self.newest.into_iter()
    }
}

/// The questions as of one command: the committed ones, what earlier commands of its batch decided, and what it
/// decides itself.
#[derive(Clone, Copy)]
pub(crate) struct QuestionsNow<'a> {
    pub(crate) committed: &'a Questions,
    pub(crate) batch: &'a QuestionChanges,
    pub(crate) own: &'a QuestionChanges,
}

impl QuestionsNow<'_> {
    /// How many there are of that.
    pub(crate) fn count(&self, of: &Counted) -> usize {
        let by = |changes: &QuestionChanges| changes.counts.get(of).copied().unwrap_or(0);
        let by = by(self.batch).saturating_add(by(self.own));
        self.committed.count(of).saturating_add_signed(by)
    }

    /// The agents that ask, with how many each has.
    pub(crate) fn agents(&self) -> Vec<(AgentName, usize)> {
        let added = self.batch.counts.keys().chain(self.own.counts.keys());
        let added = added.filter_map(agent_of);
        let agents: HashSet<&AgentName> = self.committed.agents().chain(added).collect();
        let counted = agents.into_iter().map(|agent| {
            let count = self.count(&Counted::Agent(agent.clone()));
            (agent.clone(), count)
        });
        counted.filter(|(_, count)| *count > 0).collect()
    }

    /// What a command decides, with a question in its newest state.
    pub(crate) fn changed(
        &self,
        id: ApprovalId,
        question: Option<OpenQuestion>,
    ) -> QuestionChanges {
        let decided = self.own.newest.get(&id).or(self.batch.newest.get(&id));
        let was = match decided {
            Some(decided) => decided.as_ref(),
            None => self.committed.open.get(&id),
        };
        let mut changes = QuestionChanges::default();
        for counted in was.map(OpenQuestion::counted).unwrap_or_default() {
            *changes.counts.entry(counted).or_default() -= 1;
        }
        for counted in question
            .as_ref()
            .map(OpenQuestion::counted)
            .unwrap_or_default()
        {
            *changes.counts.entry(counted).or_default() += 1;
        }
        changes.newest.insert(id, question);
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ReadFact;
    use crate::id::StreamId;
    use crate::policy::{PolicyDigest, RuleAction};

    fn id(number: u8) -> ApprovalId {
        StreamId::from_bytes([number; 16]).into()
    }

    fn question(agent: &str, operations: &[&'static str], expires_at: i64) -> OpenQuestion {
        OpenQuestion {
            agent: AgentName::unchecked(agent),
            operations: operations.iter().map(|id| OperationId::of(id)).collect(),
            address: None,
            expires_at: Timestamp::from_seconds(expires_at),
        }
    }

    fn agent(name: &str) -> Counted {
        Counted::Agent(AgentName::unchecked(name))
    }

    fn operation(id: &'static str) -> Counted {
        Counted::Operation(OperationId::of(id))
    }

    #[test]
    fn questions_count_until_they_are_decided_or_their_time_is_over() {
        let mut questions = Questions::default();
        questions.take(id(1), Some(question("a", &["x.y.z", "x.y.w"], 10)));
        questions.take(id(2), Some(question("a", &["x.y.z"], 20)));
        questions.take(id(3), Some(question("b", &["x.y.z"], 20)));
        let counts = |questions: &Questions| {
            [Counted::All, agent("a"), operation("x.y.z")].map(|of| questions.count(&of))
        };
        assert_eq!(counts(&questions), [3, 2, 3]);
        questions.end(Timestamp::from_seconds(9));
        assert_eq!(counts(&questions), [3, 2, 3]);
        questions.end(Timestamp::from_seconds(10));
        assert_eq!(counts(&questions), [2, 1, 2]);
        questions.take(id(3), None);
        assert_eq!(counts(&questions), [1, 1, 1]);
        questions.take(id(3), None);
        assert_eq!(counts(&questions), [1, 1, 1]);
    }

    #[test]
    fn what_a_batch_has_decided_counts_before_it_is_committed() {
        let mut questions = Questions::default();
        questions.take(id(1), Some(question("a", &["x.y.z"], 10)));
        let (mut batch, mut own) = (QuestionChanges::default(), QuestionChanges::default());
        let steps = [
            (id(1), None),
            (id(2), Some(question("a", &["x.y.z"], 10))),
            (id(3), Some(question("b", &["x.y.w"], 10))),
            (id(3), None),
            (id(4), Some(question("b", &["x.y.w"], 10))),
        ];
        for (number, (id, question)) in steps.into_iter().enumerate() {
            let now = QuestionsNow {
                committed: &questions,
                batch: &batch,
                own: &own,
            };
            own.absorb(now.changed(id, question));
            if number == 2 {
                batch.absorb(std::mem::take(&mut own));
            }
        }
        let now = QuestionsNow {
            committed: &questions,
            batch: &batch,
            own: &own,
        };
        let all = [Counted::All, agent("a"), agent("b"), operation("x.y.z")];
        assert_eq!(all.map(|of| now.count(&of)), [2, 1, 1, 1]);
        let mut agents = now.agents();
        agents.sort();
        let named = |name: &str, count: usize| (AgentName::unchecked(name), count);
        assert_eq!(agents, [named("a", 1), named("b", 1)]);
        batch.absorb(own);
        for (id, question) in batch.into_newest() {
            questions.take(id, question);
        }
        let all = [Counted::All, agent("a"), agent("b"), operation("x.y.z")];
        assert_eq!(all.map(|of| questions.count(&of)), [2, 1, 1, 1]);
    }

    #[test]
    fn an_address_of_ipv6_stands_for_its_network() {
        let from = |address: &str| {
            asked_from(Some(&PolicyEvaluation {
                version: 1,
                digest: PolicyDigest::from_bytes([0; 32]),
                outcome: RuleAction::Ask,
                rules: Vec::new(),
                operations: Vec::new(),
                facts: vec![ReadFact {
                    name: "address".to_owned(),
                    value: FactValue::Text(address.to_owned()),
                }],
            }))
        };
        assert_eq!(from("2001:db8::1"), from("2001:db8::2"));
        assert_ne!(from("2001:db8::1"), from("2001:db8:0:1::1"));
        assert_eq!(from("192.0.2.1"), Some("192.0.2.1".parse().unwrap()));
    }
}
