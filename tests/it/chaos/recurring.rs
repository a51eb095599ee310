//! What the ledger says of schedules, of stored keys and of calls; folded here from the events.

use super::client_ledger::marker_in;
use ledger::event::{CallCredential, CallRuling, UpstreamKeyOwner};
use ledger::{Event, Recorded};
use serde_json::Value;
use std::collections::BTreeMap;

/// All of it, by ids.
#[derive(Debug, Clone, Default)]
pub(super) struct Recurring {
    pub(super) schedules: BTreeMap<String, ScheduleStory>,
    pub(super) calls: BTreeMap<String, CallStory>,
    /// Whose key was stored, by the ids of agents, with its position and the one at which it was removed.
    pub(super) stored: BTreeMap<String, (String, u64, Option<u64>)>,
}

/// One put of a schedule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ScheduleStory {
    pub(super) name: String,
    /// The id of its agent.
    pub(super) agent: String,
    /// In microseconds since 1970.
    pub(super) put_at: i64,
    /// The markers of its operations.
    pub(super) markers: Vec<String>,
    /// The position at which it was deleted, or another took its place.
    pub(super) over: Option<u64>,
    pub(super) runs: Vec<RunStory>,
}

/// Instants of a schedule that were dealt with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RunStory {
    pub(super) position: u64,
    /// When it was recorded, and its first and last instant, in microseconds since 1970.
    pub(super) at: i64,
    pub(super) first: i64,
    pub(super) last: i64,
    /// The apply that it asked for, where it fired.
    pub(super) apply: Option<String>,
}

/// One call.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct CallStory {
    /// The id of the agent whose it is.
    pub(super) agent: String,
    /// The id of the key with which it is made.
    pub(super) key: String,
    /// As it was sent, where its beginning is on record.
    pub(super) path: Option<String>,
    pub(super) ends: usize,
    /// The position of the event that says how it was let through: its beginning, or else its end.
    pub(super) position: u64,
    /// What that says: the size at which it was judged, and the version of the policy.
    pub(super) ruled: Option<(u64, Option<u64>)>,
}

fn ruled(ruling: &CallRuling) -> (u64, Option<u64>) {
    let document = ruling.basis.document();
    (ruling.size, document.map(|(version, _)| version))
}

impl Recurring {
    /// Takes an event in; `false` for one about something else.
    pub(super) fn hear(&mut self, recorded: &Recorded) -> bool {
        let id = recorded.stream_id().to_string();
        let (position, at) = (recorded.position(), recorded.header.recorded_at.as_micros());
        match &recorded.event {
            Event::SchedulePut(put) => {
                let replaced = put.replaces.map(|id| id.to_string());
                if let Some(replaced) = replaced.and_then(|id| self.schedules.get_mut(&id)) {
                    replaced.over = Some(position);
                }
                let operations: Vec<Value> = serde_json::from_str(&put.operations).unwrap();
                let params = operations.iter().map(|operation| &operation["params"]);
                let schedule = ScheduleStory {
                    name: put.name.to_string(),
                    agent: put.agent_id.to_string(),
                    put_at: at,
                    markers: params.map(marker_in).collect(),
                    over: None,
                    runs: Vec::new(),
                };
                self.schedules.insert(id, schedule);
            }
            Event::ScheduleDeleted(_) => self.schedule(&id).over = Some(position),
            Event::ScheduleFired(fired) => {
                let instant = fired.nominal.as_micros();
                self.schedule(&id).runs.push(RunStory {
                    position,
                    at,
                    first: instant,
                    last: instant,
                    apply: Some(fired.apply_id.to_string()),
                });
            }
            Event::ScheduleMissed(missed) => self.schedule(&id).runs.push(RunStory {
                position,
                at,
                first: missed.first.as_micros(),
                last: missed.last.as_micros(),
                apply: None,
            }),
            Event::CallBegun(begun) => {
                let call = self.call(&id, begun.subject.owner, begun.subject.credential);
                call.path = Some(begun.path.clone());
                call.position = position;
                call.ruled = begun.ruling.as_ref().map(ruled);
            }
            Event::CallEnded(ended) => {
                let subject = &ended.subject;
                let call = self.call(&id, subject.owner, subject.credential);
                call.ends += 1;
                if !ended.is_begun {
                    call.position = position;
                    call.ruled = ended.ruling.as_ref().map(ruled);
                }
            }
            Event::UpstreamKeyStored(stored) => {
                let owner = stored.owner.stream().to_string();
                self.stored.insert(id, (owner, position, None));
            }
            Event::UpstreamKeyRemoved(_) => {
                if let Some((_, _, removed)) = self.stored.get_mut(&id) {
                    *removed = Some(position);
                }
            }
            _ => return false,
        }
        true
    }

    /// The applies that schedules asked for.
    pub(super) fn fired(&self) -> impl Iterator<Item = &String> {
        let runs = self.schedules.values().flat_map(|schedule| &schedule.runs);
        runs.filter_map(|run| run.apply.as_ref())
    }

    /// How many times an instant of a schedule, or several together, were dealt with.
    pub(super) fn instants(&self) -> usize {
        let schedules = self.schedules.values();
        schedules.map(|schedule| schedule.runs.len()).sum()
    }

    fn schedule(&mut self, id: &str) -> &mut ScheduleStory {
        self.schedules.get_mut(id).unwrap()
    }

    fn call(
        &mut self,
        id: &str,
        owner: UpstreamKeyOwner,
        credential: CallCredential,
    ) -> &mut CallStory {
        let call = self.calls.entry(id.to_owned()).or_default();
        call.agent = owner.stream().to_string();
        call.key = match credential {
            CallCredential::AgentKey(key) => key.to_string(),
            other => format!("{other:?}"),
        };
        call
    }
}
