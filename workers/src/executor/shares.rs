//! How agents share the executor's places. An agent takes one more only while it has fewer than three times what is free.
//! So one agent never has all of them, and the next finds some: of 64 places one agent has 48 at most, and the
//! next one 12.

use ledger::{AgentName, ApplyId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many places an agent may have for each that is free.
const FOR_EACH_FREE: usize = 3;
/// How many applies of one agent wait here at most; the read table has the others.
const MOST: usize = 256;

type Taken = HashMap<AgentName, usize>;

/// The places that each agent has, and what waits for one.
#[derive(Debug, Default)]
pub(super) struct Shares {
    taken: Arc<Mutex<Taken>>,
    waiting: HashMap<AgentName, Waiting>,
}

/// Applies of an agent that may run once it has room.
#[derive(Debug, Default)]
struct Waiting {
    oldest_first: VecDeque<ApplyId>,
    /// The read table has others, once it holds the log up to this size.
    more: Option<u64>,
}

/// A place; given back when it goes.
#[derive(Debug)]
pub(super) struct Place {
    taken: Arc<Mutex<Taken>>,
    agent: AgentName,
}

fn locked(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn is_room(own: usize, free: usize) -> bool {
    own < free.saturating_mul(FOR_EACH_FREE)
}

impl Shares {
    /// Whether an agent may take one of the places that are free.
    pub(super) fn has_room(&self, agent: &AgentName, free: usize) -> bool {
        let own = locked(&self.taken).get(agent).copied().unwrap_or(0);
        is_room(own, free)
    }

    /// The agents that may not.
    pub(super) fn full(&self, free: usize) -> Vec<AgentName> {
        let taken = locked(&self.taken);
        let full = taken.iter().filter(|(_, own)| !is_room(**own, free));
        full.map(|(agent, _)| agent.clone()).collect()
    }

    /// Counts a place.
    pub(super) fn take(&self, agent: &AgentName) -> Place {
        let mut taken = locked(&self.taken);
        let own = taken.entry(agent.clone()).or_default();
        *own = own.saturating_add(1);
        Place {
            taken: Arc::clone(&self.taken),
            agent: agent.clone(),
        }
    }

    /// Has an apply wait that the log told of below `size`.
    pub(super) fn wait(&mut self, agent: &AgentName, apply_id: ApplyId, size: u64) {
        let waiting = self.waiting.entry(agent.clone()).or_default();
        match waiting.oldest_first.len() < MOST {
            true => waiting.oldest_first.push_back(apply_id),
            false => waiting.more = waiting.more.max(Some(size)),
        }
    }

    /// Takes note that the read table has an apply of an agent that has no room.
    pub(super) fn pass_over(&mut self, agent: &AgentName, cursor: u64) {
        let waiting = self.waiting.entry(agent.clone()).or_default();
        waiting.more = waiting.more.max(Some(cursor));
    }

    /// The oldest apply that waits of an agent that has room now: of those agents, of the one with the fewest places.
    pub(super) fn next(&mut self, free: usize) -> Option<(AgentName, ApplyId)> {
        let agent = {
            let taken = locked(&self.taken);
            let own = |agent: &AgentName| taken.get(agent).copied().unwrap_or(0);
            let waiting = self.waiting.iter();
            let waiting = waiting.filter(|(_, waiting)| !waiting.oldest_first.is_empty());
            let (agent, _) = waiting.min_by_key(|(agent, _)| own(agent))?;
            is_room(own(agent), free).then(|| agent.clone())?
        };
        let waiting = self.waiting.get_mut(&agent)?;
        let apply_id = waiting.oldest_first.pop_front()?;
        if waiting.oldest_first.is_empty() && waiting.more.is_none() {
            self.waiting.remove(&agent);
        }
        Some((agent, apply_id))
    }

    /// Whether the read table has applies of an agent that has room for them now.
    pub(super) fn ask_table(&self, free: usize) -> bool {
        let taken = locked(&self.taken);
        self.waiting.iter().any(|(agent, waiting)| {
            let own = taken.get(agent).copied().unwrap_or(0);
            waiting.more.is_some() && waiting.oldest_first.is_empty() && is_room(own, free)
        })
    }

    /// Takes note that the read table is asked when it holds the log up to `cursor`, and not for the agents `full`. What is
    /// passed over from now on is noted anew.
    pub(super) fn was_asked(&mut self, cursor: u64, full: &[AgentName]) {
        for agent in full {
            self.pass_over(agent, cursor);
        }
        self.waiting.retain(|agent, waiting| {
            if !full.contains(agent) {
                waiting.more = waiting.more.filter(|size| *size > cursor);
            }
            waiting.more.is_some() || !waiting.oldest_first.is_empty()
        });
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = locked(&self.taken);
        if let Some(own) = taken.get_mut(&self.agent) {
            *own = own.saturating_sub(1);
            if *own == 0 {
                taken.remove(&self.agent);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str) -> AgentName {
        AgentName::unchecked(name)
    }

    fn apply(number: u8) -> ApplyId {
        ApplyId::from_bytes([number; 16])
    }

    /// Takes as many places as the agent gets of those that are free.
    fn fill(shares: &Shares, name: &str, free: &mut usize) -> Vec<Place> {
        let agent = agent(name);
        std::iter::from_fn(|| {
            let gets = *free > 0 && shares.has_room(&agent, *free);
            gets.then(|| {
                *free -= 1;
                shares.take(&agent)
            })
        })
        .collect()
    }

    #[test]
    fn no_agent_takes_all_places_and_the_next_two_find_some() {
        let shares = Shares::default();
        let mut free = 64;
        let first = fill(&shares, "a", &mut free);
        let second = fill(&shares, "b", &mut free);
        let third = fill(&shares, "c", &mut free);
        assert_eq!(
            (first.len(), second.len(), third.len(), free),
            (48, 12, 3, 1)
        );
        assert_eq!(shares.full(free).len(), 3);
        drop(first);
        free += 48;
        assert_eq!(shares.full(free), []);
        drop((second, third));
        assert!(locked(&shares.taken).is_empty());
        // Where there is one place, it is for everybody.
        assert_eq!(fill(&shares, "a", &mut 1).len(), 1);
    }

    #[test]
    fn what_waits_goes_on_in_its_order_and_first_of_who_has_least() {
        let mut shares = Shares::default();
        let (a, b) = (agent("a"), agent("b"));
        let places = [shares.take(&a), shares.take(&a), shares.take(&b)];
        for (of, number) in [(&a, 1), (&a, 2), (&b, 3)] {
            shares.wait(of, apply(number), 9);
        }
        assert_eq!(shares.next(0), None);
        assert_eq!(shares.next(1), Some((b.clone(), apply(3))));
        assert_eq!(shares.next(1), Some((a.clone(), apply(1))));
        assert_eq!(shares.next(1), Some((a, apply(2))));
        assert_eq!(shares.next(1), None);
        assert!(shares.waiting.is_empty() && !shares.ask_table(1));
        drop(places);
    }

    #[test]
    fn what_is_too_much_is_asked_of_the_table_once_its_agent_has_room() {
        let mut shares = Shares::default();
        let a = agent("a");
        let places: Vec<_> = (0..3).map(|_| shares.take(&a)).collect();
        for _ in 0..=MOST {
            shares.wait(&a, apply(1), 7);
        }
        assert!(!shares.ask_table(2), "those that wait here go first");
        for _ in 0..MOST {
            assert!(shares.next(2).is_some());
        }
        assert!(
            shares.ask_table(2) && !shares.ask_table(1),
            "it has its share"
        );
        shares.was_asked(9, std::slice::from_ref(&a));
        assert!(shares.ask_table(2), "it was not asked for this one");
        shares.was_asked(8, &[]);
        assert!(shares.ask_table(2), "asked before it was folded");
        shares.was_asked(9, &[]);
        assert!(!shares.ask_table(2) && shares.waiting.is_empty());
        drop(places);
    }
}
