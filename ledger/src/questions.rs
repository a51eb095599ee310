//! The questions that wait for a decision, counted in memory by agent and by operation, so that a limit is
//! asked for without reading any of them.

use crate::catalog::OperationId;
use crate::clock::Timestamp;
use crate::id::ApprovalId;
use crate::name::AgentName;
use std::collections::{BTreeSet, HashMap, HashSet};

/// A question that waits for a decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OpenQuestion {
    /// The agent that asks.
    pub(crate) agent: AgentName,
    /// What it asks for, each once.
    pub(crate) operations: HashSet<OperationId>,
    /// From when on it waits no more, whether or not that is recorded.
    pub(crate) expires_at: Timestamp,
}

/// A question that was opened (`Some`), or waits no more.
pub(crate) type Changed = (ApprovalId, Option<OpenQuestion>);

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    open: HashMap<ApprovalId, OpenQuestion>,
    ends: BTreeSet<(Timestamp, ApprovalId)>,
    by_agent: HashMap<AgentName, usize>,
    by_operation: HashMap<OperationId, usize>,
}

impl Questions {
    /// Takes in a change.
    pub(crate) fn take(&mut self, (id, question): Changed) {
        self.forget(id);
        let Some(question) = question else { return };
        self.ends.insert((question.expires_at, id));
        *self.by_agent.entry(question.agent.clone()).or_default() += 1;
        for operation in &question.operations {
            *self.by_operation.entry(*operation).or_default() += 1;
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
        less(&mut self.by_agent, &question.agent);
        for operation in &question.operations {
            less(&mut self.by_operation, operation);
        }
    }

    /// These, and what was decided since.
    pub(crate) fn with<'a>(&'a self, since: impl Iterator<Item = &'a Changed>) -> QuestionsNow<'a> {
        QuestionsNow {
            committed: self,
            since: since
                .map(|(id, question)| (*id, question.as_ref()))
                .collect(),
        }
    }
}

fn less<K: Eq + std::hash::Hash>(counts: &mut HashMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(key);
        }
    }
}

/// The questions as of one command.
pub(crate) struct QuestionsNow<'a> {
    committed: &'a Questions,
    /// The newest change of each question that is not committed yet.
    since: HashMap<ApprovalId, Option<&'a OpenQuestion>>,
}

impl QuestionsNow<'_> {
    /// How many there are.
    pub(crate) fn all(&self) -> usize {
        self.count(self.committed.open.len(), |_| true)
    }

    /// How many there are of an agent.
    pub(crate) fn of_agent(&self, agent: &AgentName) -> usize {
        let committed = self.committed.by_agent.get(agent);
        self.count(committed.copied().unwrap_or(0), |question| {
            question.agent == *agent
        })
    }

    /// How many ask for an operation.
    pub(crate) fn of_operation(&self, operation: OperationId) -> usize {
        let committed = self.committed.by_operation.get(&operation);
        self.count(committed.copied().unwrap_or(0), |question| {
            question.operations.contains(&operation)
        })
    }

    /// The agents that ask, with how many each has.
    pub(crate) fn agents(&self) -> Vec<(AgentName, usize)> {
        let added = self
            .since
            .values()
            .flatten()
            .map(|question| &question.agent);
        let agents: HashSet<&AgentName> = self.committed.by_agent.keys().chain(added).collect();
        agents
            .into_iter()
            .map(|agent| (agent.clone(), self.of_agent(agent)))
            .collect()
    }

    fn count(&self, committed: usize, is_of: impl Fn(&OpenQuestion) -> bool) -> usize {
        let mut count = committed;
        for (id, question) in &self.since {
            let was = self.committed.open.get(id).is_some_and(&is_of);
            let is = question.is_some_and(&is_of);
            count = (count + usize::from(is)).saturating_sub(usize::from(was));
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::StreamId;

    fn id(number: u8) -> ApprovalId {
        StreamId::from_bytes([number; 16]).into()
    }

    fn question(agent: &str, operations: &[&'static str], expires_at: i64) -> OpenQuestion {
        OpenQuestion {
            agent: AgentName::unchecked(agent),
            operations: operations.iter().map(|id| OperationId::of(id)).collect(),
            expires_at: Timestamp::from_seconds(expires_at),
        }
    }

    #[test]
    fn questions_count_until_they_are_decided_or_their_time_is_over() {
        let mut questions = Questions::default();
        questions.take((id(1), Some(question("a", &["x.y.z", "x.y.w"], 10))));
        questions.take((id(2), Some(question("a", &["x.y.z"], 20))));
        questions.take((id(3), Some(question("b", &["x.y.z"], 20))));
        let counts = |questions: &Questions| {
            let now = questions.with(std::iter::empty());
            let a = AgentName::unchecked("a");
            (
                now.all(),
                now.of_agent(&a),
                now.of_operation(OperationId::of("x.y.z")),
            )
        };
        assert_eq!(counts(&questions), (3, 2, 3));
        questions.end(Timestamp::from_seconds(9));
        assert_eq!(counts(&questions), (3, 2, 3));
        questions.end(Timestamp::from_seconds(10));
        assert_eq!(counts(&questions), (2, 1, 2));
        questions.take((id(3), None));
        assert_eq!(counts(&questions), (1, 1, 1));
        questions.take((id(3), None));
        assert_eq!(counts(&questions), (1, 1, 1));
    }

    #[test]
    fn what_a_batch_has_decided_counts_before_it_is_committed() {
        let mut questions = Questions::default();
        questions.take((id(1), Some(question("a", &["x.y.z"], 10))));
        let since = [
            (id(1), None),
            (id(2), Some(question("a", &["x.y.z"], 10))),
            (id(3), Some(question("b", &["x.y.w"], 10))),
            (id(3), None),
            (id(4), Some(question("b", &["x.y.w"], 10))),
        ];
        let now = questions.with(since.iter());
        assert_eq!(now.all(), 2);
        assert_eq!(now.of_agent(&AgentName::unchecked("a")), 1);
        assert_eq!(now.of_agent(&AgentName::unchecked("b")), 1);
        assert_eq!(now.of_operation(OperationId::of("x.y.z")), 1);
        let mut agents = now.agents();
        agents.sort();
        let named = |name: &str, count: usize| (AgentName::unchecked(name), count);
        assert_eq!(agents, [named("a", 1), named("b", 1)]);
    }
}
