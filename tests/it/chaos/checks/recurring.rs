//! Each instant of a schedule is dealt with once, while the schedule stands, and asks for what the schedule says. A call
//! that changes something is on record before it is sent and sent once, by who made it and with that agent's stored key.

use super::{Called, Evidence};
use crate::chaos::recurring::{RunStory, ScheduleStory};
use std::collections::BTreeMap;

/// In microseconds: the schedules of the laboratory ask for something each minute.
const MINUTE: i64 = 60_000_000;

pub(super) fn findings(evidence: &Evidence) -> Vec<String> {
    let mut findings = Vec::new();
    for (id, schedule) in &evidence.story.recurring.schedules {
        for why in of_schedule(evidence, schedule) {
            findings.push(format!("schedule {id} ({}): {why}", schedule.name));
        }
    }
    findings.extend(of_calls(evidence));
    findings
}

fn of_schedule(evidence: &Evidence, schedule: &ScheduleStory) -> Vec<String> {
    let mut findings = Vec::new();
    let mut runs: Vec<&RunStory> = schedule.runs.iter().collect();
    runs.sort_by_key(|run| run.first);
    let mut before: Option<&RunStory> = None;
    for run in runs {
        let RunStory { first, last, .. } = *run;
        if before.is_some_and(|before| first <= before.last) {
            findings.push(format!("the instant {first} is dealt with twice"));
        }
        if first % MINUTE != 0 || last % MINUTE != 0 || first > last {
            findings.push(format!("{first} to {last} are no instants of it"));
        }
        if first <= schedule.put_at {
            findings.push(format!("{first} had passed when it was put"));
        }
        if run.at < last {
            findings.push(format!("{last} had not come when it was dealt with"));
        }
        if schedule.over.is_some_and(|over| run.position > over) {
            findings.push(format!("{first} is dealt with after its end"));
        }
        findings.extend(fired(evidence, schedule, run));
        before = Some(run);
    }
    findings
}

/// What is wrong with the apply that an instant asked for.
fn fired(evidence: &Evidence, schedule: &ScheduleStory, run: &RunStory) -> Option<String> {
    let id = run.apply.as_ref()?;
    let Some(apply) = evidence.story.applies.get(id) else {
        return Some(format!("it fired apply {id}, which is not there"));
    };
    let agent = evidence.story.agent(&schedule.agent);
    let same = apply.markers == schedule.markers && agent == Some(&*apply.accepted.agent);
    (!same).then(|| format!("apply {id} asks for something else than it says"))
}

fn of_calls(evidence: &Evidence) -> Vec<String> {
    let (clients, recurring) = (&evidence.clients, &evidence.story.recurring);
    let mut findings = Vec::new();
    let mut begun: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, call) in &recurring.calls {
        if call.ends > 1 {
            findings.push(format!("call {id} ended {} times", call.ends));
        }
        let Some(marker) = call.path.as_deref().and_then(marker_of_call) else {
            continue;
        };
        *begun.entry(marker).or_default() += 1;
        let made = clients.calls.iter().find(|made| made.marker == marker);
        let agent = evidence.story.agent(&call.agent);
        if made.is_none_or(|made| agent != Some(&*made.agent)) {
            findings.push(format!("call {id} is of {agent:?}, who did not make it"));
        }
        let key = clients.keys.iter().find(|key| key.id == call.key);
        if key.is_none_or(|key| agent != Some(&*format!("agent-{}", key.agent))) {
            findings.push(format!("call {id} is made with a key of somebody else"));
        }
    }
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    for call in &evidence.called {
        findings.extend(not_its(evidence, call));
        if call.changes {
            *seen.entry(&call.marker).or_default() += 1;
        }
    }
    for (marker, times) in seen {
        let begun = begun.get(marker).copied().unwrap_or(0);
        if times > begun {
            findings.push(format!(
                "call {marker} was sent {times} times, and {begun} times with an intent on record"
            ));
        }
    }
    findings
}

/// What is wrong with a call that upstream saw.
fn not_its(evidence: &Evidence, call: &Called) -> Option<String> {
    let (clients, marker) = (&evidence.clients, &call.marker);
    if clients.forbidden.contains(marker) {
        return Some(format!("call {marker} was sent and must never have been"));
    }
    let Some(made) = clients.calls.iter().find(|made| made.marker == *marker) else {
        return Some(format!("call {marker} was sent, and nobody made it"));
    };
    let stored = clients.stored.get(&made.agent);
    if stored.is_none_or(|stored| !stored.contains(&call.key)) {
        return Some(format!(
            "call {marker} was sent with a key that was never stored for {}",
            made.agent
        ));
    }
    let is_removed = made.removed.contains(&call.key);
    is_removed.then(|| format!("call {marker} was sent with a key that had been removed"))
}

/// The marker in the path of a call.
pub(in crate::chaos) fn marker_of_call(path: &str) -> Option<&str> {
    let (_, rest) = path.split_once("/v1/messages/batches/")?;
    rest.split('/').next()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chaos::client_ledger::{AgentKey, MadeCall};
    use crate::chaos::recurring::CallStory;
    use crate::chaos::story::{Accepted, Story};
    use std::collections::BTreeSet;

    fn run(minute: i64, apply: Option<&str>) -> RunStory {
        RunStory {
            position: 10 + u64::try_from(minute).unwrap(),
            at: minute * MINUTE,
            first: minute * MINUTE,
            last: minute * MINUTE,
            apply: apply.map(ToOwned::to_owned),
        }
    }

    /// A schedule that fired once and missed two instants, and a call that was sent.
    fn sound() -> Evidence {
        let mut evidence = super::super::tests::sound();
        let Evidence { clients, story, .. } = &mut evidence;
        story.name_agent("g", "agent-0");
        let fired = crate::chaos::story::ApplyStory {
            accepted: Accepted {
                agent: "agent-0".to_owned(),
                ..Accepted::default()
            },
            ..story.applies["a"].clone()
        };
        story.applies.insert("a".to_owned(), fired);
        let schedule = ScheduleStory {
            name: "agent-0".to_owned(),
            agent: "g".to_owned(),
            put_at: MINUTE - 1,
            markers: vec!["m1".to_owned()],
            over: Some(100),
            runs: vec![run(1, Some("a")), run(2, None), run(3, None)],
        };
        story.recurring.schedules.insert("s".to_owned(), schedule);
        let call = CallStory {
            agent: "g".to_owned(),
            key: "key".to_owned(),
            path: Some("/v1/messages/batches/c1/cancel".to_owned()),
            ends: 1,
            ..CallStory::default()
        };
        story.recurring.calls.insert("c".to_owned(), call);
        clients.keys.push(AgentKey {
            agent: 0,
            id: "key".to_owned(),
            text: "cak".to_owned(),
            going: false,
            gone: false,
        });
        clients.calls.push(MadeCall {
            marker: "c1".to_owned(),
            agent: "agent-0".to_owned(),
            removed: BTreeSet::new(),
        });
        let stored = BTreeSet::from(["sk".to_owned()]);
        clients.stored.insert("agent-0".to_owned(), stored);
        evidence.called.push(Called {
            marker: "c1".to_owned(),
            changes: true,
            key: "sk".to_owned(),
        });
        evidence
    }

    fn after(change: impl FnOnce(&mut Evidence)) -> String {
        let mut evidence = sound();
        change(&mut evidence);
        findings(&evidence).join("\n")
    }

    fn schedule(story: &mut Story) -> &mut ScheduleStory {
        story.recurring.schedules.get_mut("s").unwrap()
    }

    #[test]
    fn an_instant_that_is_dealt_with_twice_or_at_another_time_is_found() {
        assert_eq!(after(|_| {}), "");
        let found = |change: fn(&mut ScheduleStory)| after(|one| change(schedule(&mut one.story)));
        let twice = found(|schedule| schedule.runs.push(run(2, None)));
        assert!(twice.contains("is dealt with twice"), "{twice}");
        let odd = found(|schedule| schedule.runs[2].last += 1);
        assert!(odd.contains("are no instants of it"), "{odd}");
        let early = found(|schedule| schedule.runs[2].at -= 1);
        assert!(early.contains("had not come"), "{early}");
        let before = found(|schedule| schedule.put_at = MINUTE);
        assert!(before.contains("had passed when it was put"), "{before}");
        let after_its_end = found(|schedule| schedule.over = Some(12));
        assert!(after_its_end.contains("after its end"), "{after_its_end}");
    }

    #[test]
    fn a_firing_of_something_else_is_found() {
        let found = after(|one| one.story.applies.clear());
        assert!(found.contains("apply a, which is not there"), "{found}");
        let found = after(|one| schedule(&mut one.story).markers = vec!["m2".to_owned()]);
        assert!(found.contains("asks for something else"), "{found}");
        let found = after(|one| one.story.name_agent("g", "agent-1"));
        assert!(found.contains("asks for something else"), "{found}");
    }

    #[test]
    fn a_call_that_is_repeated_without_an_intent_or_of_another_is_found() {
        let found = after(|one| one.called.push(one.called[0].clone()));
        assert!(found.contains("was sent 2 times, and 1 times"), "{found}");
        let found = after(|one| one.story.recurring.calls.clear());
        assert!(found.contains("0 times with an intent"), "{found}");
        let found = after(|one| one.clients.calls[0].agent = "agent-1".to_owned());
        assert!(found.contains("who did not make it"), "{found}");
        let found = after(|one| one.clients.keys[0].agent = 1);
        assert!(found.contains("with a key of somebody else"), "{found}");
        let found = after(|one| {
            let calls = &mut one.story.recurring.calls;
            calls.get_mut("c").unwrap().ends = 2;
        });
        assert!(found.contains("ended 2 times"), "{found}");
        let found = after(|one| _ = one.clients.forbidden.insert("c1".to_owned()));
        assert!(found.contains("must never have been"), "{found}");
    }

    #[test]
    fn a_call_with_a_key_that_is_not_the_agents_or_was_removed_is_found() {
        let found = after(|one| one.called[0].key = "other".to_owned());
        assert!(found.contains("never stored for agent-0"), "{found}");
        let found = after(|one| {
            let removed = BTreeSet::from(["sk".to_owned()]);
            one.clients.calls[0].removed = removed;
        });
        assert!(found.contains("a key that had been removed"), "{found}");
        let found = after(|one| one.clients.calls.clear());
        assert!(found.contains("nobody made it"), "{found}");
    }
}
