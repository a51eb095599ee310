//! What each agent did lately, for rules that read `counts`: kept in memory while a document that reads them is in
//! force, and read from the newest events when that begins.

use crate::aggregate::{Apply, Approval, OperationState};
use crate::clock::Timestamp;
use crate::event::{Event, Recorded};
use crate::id::StreamId;
use crate::name::AgentName;
use crate::policy::{Fact, PolicyInForce, Value};
use crate::storage::{Log, ReadError};
use crate::writer::{Entry, State};
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The most of one kind that are kept for an agent. Where there are more, how many is unknown.
const MOST: usize = 100_000;
/// The most events that are read when counting begins. What lies further back is unknown until its time is over.
const MOST_READ: u64 = 200_000;
const READ_AT_ONCE: u32 = 2_000;

/// The facts that are counted.
pub(crate) const COUNTS: [(&str, Duration); KINDS] = [
    ("counts.asked_1h", HOUR),
    ("counts.denied_24h", DAY),
    ("counts.executed_1h", HOUR),
];

const KINDS: usize = 3;

/// How many of each are not committed yet, or are not to count.
pub(crate) type Share = [usize; KINDS];

pub(crate) fn add(share: &mut Share, more: &Share) {
    for (count, more) in share.iter_mut().zip(more) {
        *count += more;
    }
}

fn is_counted(event: &Event) -> bool {
    event.kind().is_some_and(|kind| kind.traits.counted)
}

/// What is counted of an event, and of which agent; `None` where nothing is. The state is that of its stream.
pub(crate) fn counted(event: &Event, state: &State) -> Option<(AgentName, Kind)> {
    if !is_counted(event) {
        return None;
    }
    if event.begins() {
        return Some((AgentName::unchecked(event.agent()?), Kind::Asked));
    }
    match state {
        State::Approval(question) => {
            let apply = question.apply()?;
            Some((apply.agent.clone(), Kind::Denied))
        }
        State::Apply(apply) => Some((apply.agent.clone(), Kind::Executed)),
        _ => None,
    }
}

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A question was asked.
    Asked,
    /// People denied one.
    Denied,
    /// An operation was started.
    Executed,
}

impl Kind {
    const fn of<T>(self, kinds: &mut [T; KINDS]) -> &mut T {
        let [asked, denied, executed] = kinds;
        match self {
            Self::Asked => asked,
            Self::Denied => denied,
            Self::Executed => executed,
        }
    }

    pub(crate) const fn add_to(self, share: &mut Share) {
        *self.of(share) += 1;
    }
}

/// The facts that an apply made true itself.
pub(crate) fn own_share(apply: &Apply, question: Option<&Approval>, now: Timestamp) -> Share {
    let mut share = Share::default();
    // Nothing of it is older than the apply, which is in the hour.
    if now.since(apply.accepted_at) >= HOUR {
        return share;
    }
    let asked = question.and_then(Approval::apply);
    if asked.is_some_and(|asked| asked.apply_id == apply.id) {
        Kind::Asked.add_to(&mut share);
    }
    let begun = apply
        .operations
        .iter()
        .filter(|state| **state != OperationState::Waiting);
    *Kind::Executed.of(&mut share) = begun.count();
    share
}

/// How far back the facts go that a policy reads.
fn reach(policy: Option<&PolicyInForce>) -> Option<Duration> {
    let prepared = policy?.prepared.as_deref()?;
    let read = COUNTS.iter().filter(|(name, _)| prepared.reads(name));
    read.map(|(_, reach)| *reach).max()
}

/// The counts of all agents.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Everything after it is counted.
    from: Timestamp,
    /// How far back the facts go for which it was begun.
    reach: Duration,
    agents: HashMap<AgentName, [VecDeque<Timestamp>; KINDS]>,
    /// When agents that do nothing any more were last dropped.
    cleaned_at: Timestamp,
}

impl Counts {
    /// Takes in what an agent did.
    pub(crate) fn take(&mut self, agent: &AgentName, kind: Kind, at: Timestamp) {
        let mut reaches = COUNTS;
        let (_, reach) = *kind.of(&mut reaches);
        let kinds = match self.agents.get_mut(agent) {
            Some(kinds) => kinds,
            None => self.agents.entry(agent.clone()).or_default(),
        };
        let times = kind.of(kinds);
        while times.front().is_some_and(|first| at.since(*first) >= reach) || times.len() > MOST {
            times.pop_front();
        }
        times.push_back(at);
    }

    /// Takes in so many of each at one time.
    pub(crate) fn take_all(&mut self, agent: &AgentName, share: Share, at: Timestamp) {
        for (kind, count) in [Kind::Asked, Kind::Denied, Kind::Executed]
            .into_iter()
            .zip(share)
        {
            for _ in 0..count.min(MOST + 1) {
                self.take(agent, kind, at);
            }
        }
        if at.since(self.cleaned_at) >= HOUR {
            self.cleaned_at = at;
            let is_over = |times: &VecDeque<Timestamp>| {
                times.back().is_none_or(|last| at.since(*last) >= DAY)
            };
            self.agents.retain(|_, kinds| !kinds.iter().all(is_over));
        }
    }

    /// What is known of an agent, with what is not committed yet.
    pub(crate) fn lately(&self, agent: &AgentName, more: Share, now: Timestamp) -> Lately {
        let kinds = self.agents.get(agent);
        let mut lately = Lately::default();
        for (index, (_, reach)) in COUNTS.iter().enumerate() {
            let (Some(count), Some(more)) = (lately.0.get_mut(index), more.get(index)) else {
                continue;
            };
            if self.from != Timestamp::default() && now.since(self.from) < *reach {
                continue;
            }
            let times = kinds.and_then(|kinds| kinds.get(index));
            let recent = times.map_or(0, |times| {
                let first = times.partition_point(|at| now.since(*at) >= *reach);
                times.len() - first
            });
            *count = match recent + more {
                all if all > MOST => Err("too_many"),
                all => Ok(all),
            };
        }
        lately
    }

    /// What the newest events say, as far back as the policy asks; `None` where it reads none of them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(crate) async fn read(
        log: &dyn Log,
        size: u64,
        policy: Option<&PolicyInForce>,
        now: Timestamp,
    ) -> Result<Option<Self>, ReadError> {
        let Some(reach) = reach(policy) else {
            return Ok(None);
        };
        let mut events: VecDeque<Recorded> = VecDeque::new();
        let mut first = size;
        let is_old = |event: Option<&Recorded>| {
            event.is_some_and(|event| now.since(event.recorded_at()) >= reach)
        };
        while first > 0 && size - first < MOST_READ && !is_old(events.front()) {
            let before = first.saturating_sub(u64::from(READ_AT_ONCE));
            let count = u32::try_from(first - before).unwrap_or(READ_AT_ONCE);
            for event in log.events_from(before, count).await?.into_iter().rev() {
                // The first one read says how far back it is known.
                if is_counted(&event.event) || event.position() == before {
                    events.push_front(event);
                }
            }
            first = before;
        }
        let mut counts = Self {
            from: match (first, events.front()) {
                (1.., Some(event)) => event.recorded_at(),
                _ => Timestamp::default(),
            },
            reach,
            ..Self::default()
        };
        let mut streams: HashMap<StreamId, State> = HashMap::new();
        for event in events {
            let stream = event.stream_id();
            let is_state = is_counted(&event.event) && !event.event.begins();
            if is_state && !streams.contains_key(&stream) {
                let state = Entry::fold(&log.stream(stream, size).await?).state;
                streams.insert(stream, state);
            }
            let state = streams.get(&stream).unwrap_or(&State::None);
            if let Some((agent, kind)) = counted(&event.event, state) {
                counts.take(&agent, kind, event.recorded_at());
            }
        }
        Ok(Some(counts))
    }

    /// Nothing is known of what was before.
    pub(crate) fn from(now: Timestamp) -> Self {
        Self {
            from: now,
            reach: DAY,
            ..Self::default()
        }
    }

    /// Whether it goes back as far as a policy asks; one that reads none of them wants none.
    pub(crate) fn is_enough_for(&self, policy: &PolicyInForce) -> bool {
        reach(Some(policy)).is_some_and(|reach| reach <= self.reach)
    }
}

/// What an agent did lately, each count or the reason why it is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lately([Result<usize, &'static str>; KINDS]);

impl Default for Lately {
    fn default() -> Self {
        Self([Err("not_counted"); KINDS])
    }
}

impl Lately {
    /// Without what is not to count.
    pub(crate) fn less(self, share: Share) -> Self {
        let mut less = self;
        for (count, share) in less.0.iter_mut().zip(share) {
            *count = count.map(|count| count.saturating_sub(share));
        }
        less
    }

    /// A fact of that name; `None` for one that is not counted.
    pub(crate) fn fact(&self, name: &str) -> Option<Fact> {
        let mut counts = COUNTS.iter().zip(&self.0);
        let (_, count) = counts.find(|((counted, _), _)| *counted == name)?;
        Some(match count {
            Ok(count) => Fact::Known(Value::Int(i64::try_from(*count).unwrap_or(i64::MAX))),
            Err(why) => Fact::unknown(why),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_seconds(seconds)
    }

    fn counts(lately: Lately) -> [Result<usize, &'static str>; KINDS] {
        lately.0
    }

    #[test]
    fn what_is_an_hour_or_a_day_ago_does_not_count() {
        let agent = AgentName::unchecked("a");
        let mut all = Counts::default();
        all.take(&agent, Kind::Asked, at(1000));
        all.take(&agent, Kind::Denied, at(1000));
        all.take_all(&agent, [1, 0, 2], at(2000));
        let lately = |now| counts(all.lately(&agent, [0, 0, 1], at(now)));
        assert_eq!(lately(4599), [Ok(2), Ok(1), Ok(3)]);
        assert_eq!(lately(4600), [Ok(1), Ok(1), Ok(3)]);
        assert_eq!(lately(5600), [Ok(0), Ok(1), Ok(1)]);
        assert_eq!(lately(87_400), [Ok(0), Ok(0), Ok(1)]);
        let other = all.lately(&AgentName::unchecked("b"), Share::default(), at(2000));
        assert_eq!(counts(other), [Ok(0); KINDS]);
    }

    #[test]
    fn what_was_not_counted_long_enough_is_unknown() {
        let agent = AgentName::unchecked("a");
        let all = Counts::from(at(1000));
        let lately = |now| counts(all.lately(&agent, Share::default(), at(now)));
        assert_eq!(lately(4599), [Err("not_counted"); KINDS]);
        assert_eq!(lately(4600), [Ok(0), Err("not_counted"), Ok(0)]);
        assert_eq!(lately(87_400), [Ok(0); KINDS]);
    }

    #[test]
    fn what_is_too_much_to_be_counted_is_unknown() {
        let agent = AgentName::unchecked("a");
        let mut all = Counts::default();
        all.take_all(&agent, [MOST, 0, MOST + 5], at(1000));
        let lately = counts(all.lately(&agent, Share::default(), at(1000)));
        assert_eq!(lately, [Ok(MOST), Ok(0), Err("too_many")]);
    }
}
