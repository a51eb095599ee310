//! The topics of streams, within a bound.

use super::entry::Entry;
use super::operations::phrases;
use super::topic::{Topic, host, stream_of};
use ledger::event::{Approved, Authorisation, ErasedSubject, LedgerErased};
use ledger::{Event, Recorded, StreamId, TaskId};
use std::collections::HashMap;
use std::mem;

/// Streams that are remembered, twice: those used since the last tidying, and those before.
const GENERATION: usize = 20_000;

/// Where events that have passed can be read again.
pub(crate) trait Archive {
    /// The events of a stream; none where they cannot be had.
    fn stream(&self, stream: StreamId) -> Vec<Recorded>;

    /// The event at a position; `None` where it cannot be had.
    fn event(&self, position: u64) -> Option<Recorded>;
}

/// Nothing can be read again: all that is to be known is among the records.
impl Archive for () {
    fn stream(&self, _: StreamId) -> Vec<Recorded> {
        Vec::new()
    }

    fn event(&self, _: u64) -> Option<Recorded> {
        None
    }
}

/// What is known of streams. One that was let go is read again when it is asked for.
#[derive(Debug, Default)]
pub(super) struct Topics {
    young: HashMap<StreamId, Topic>,
    old: HashMap<StreamId, Topic>,
}

impl Topics {
    /// The topic of a stream as of the events taken in, or as it stands in the log.
    pub(super) fn of(&mut self, stream: StreamId, archive: &dyn Archive) -> Topic {
        if let Some(known) = self.young.get(&stream) {
            return known.clone();
        }
        if let Some(known) = self.old.remove(&stream) {
            self.put(stream, known.clone());
            return known;
        }
        for recorded in archive.stream(stream) {
            self.learn(stream, &recorded.event, archive);
        }
        let known = self.young.get(&stream).cloned().unwrap_or_default();
        self.put(stream, known.clone());
        known
    }

    /// Takes in what an event says about its stream, and about others.
    pub(super) fn take(&mut self, entry: &Entry, archive: &dyn Archive) {
        if let Some((_, event)) = entry.event() {
            self.learn(entry.header.stream_id, event, archive);
        }
    }

    fn learn(&mut self, stream: StreamId, event: &Event, archive: &dyn Archive) {
        match event {
            Event::TaskCreated(created) => {
                self.put(stream, Topic::of(created.task_id, &created.agent));
            }
            Event::CallbackSet(set) => {
                let (id, to) = (set.callback.callback_id, host(&set.callback.url));
                self.change(stream, |topic| topic.add_host(id, to));
            }
            Event::ApplyAccepted(accepted) => {
                let mut topic = Topic::of(accepted.task_id, &accepted.agent);
                topic.operations = phrases(accepted);
                if let Authorisation::Awaiting(approval) = accepted.authorisation {
                    let operations = topic.operations.clone();
                    self.change(approval.into(), |topic| topic.operations = operations);
                }
                self.put(stream, topic);
            }
            Event::ApplyRefused(refused) => {
                self.put(stream, Topic::of(refused.task_id, &refused.agent));
            }
            Event::RefusalsCounted(counted) => {
                let topic = self.within(counted.task_id, archive);
                self.put(stream, topic);
            }
            Event::ApprovalRequested(asked) => {
                let mut topic = Topic::of(asked.task_id, &asked.agent);
                topic.asked = asked
                    .approvers
                    .iter()
                    .map(|name| name.to_string())
                    .collect();
                let apply = StreamId::from_bytes(*asked.apply_id.as_bytes());
                topic.operations = self.of(apply, archive).operations;
                self.put(stream, topic);
            }
            Event::ApprovalApproved(Approved(decided)) => {
                let by = decided.principal.to_string();
                self.change(stream, |topic| topic.approved_by = Some(by));
            }
            Event::ApprovalConsumed(consumed) => {
                let by = self.young.get(&stream).and_then(|t| t.approved_by.clone());
                let apply = StreamId::from_bytes(*consumed.apply_id.as_bytes());
                self.change(apply, |topic| topic.approved_by = by);
            }
            Event::DeliveryOwed(owed) => {
                let task = self.of(stream_of(owed.task_id), archive);
                let to = task.host(owed.callback_id).unwrap_or("its callback");
                let mut topic = Topic::of(owed.task_id, task.agent.as_deref().unwrap_or(""));
                topic.tells = Some((owed.event_name.clone(), to.to_owned()));
                self.put(stream, topic);
            }
            Event::AgentRegistered(registered) => {
                let agent = Some(registered.name.as_str().to_owned());
                self.put(
                    stream,
                    Topic {
                        agent,
                        ..Topic::default()
                    },
                );
            }
            Event::ApproverRegistered(registered) => {
                let approver = Some(registered.principal.to_string());
                self.put(
                    stream,
                    Topic {
                        approver,
                        ..Topic::default()
                    },
                );
            }
            Event::LedgerErased(erased) => self.learn_erased(erased),
            Event::Erased(erased) => {
                if let Some(by) = archive.event(erased.erased_by)
                    && let Event::LedgerErased(erased) = &by.event
                {
                    self.learn_erased(erased);
                }
            }
            _ => {}
        }
    }

    /// What was erased still belongs to its task.
    fn learn_erased(&mut self, erased: &LedgerErased) {
        let ErasedSubject::Task(task) = erased.subject else {
            return;
        };
        for stream in &erased.streams {
            self.old.remove(&stream.stream_id);
            let topic = Topic {
                task_id: Some(task),
                ..Topic::default()
            };
            self.put(stream.stream_id, topic);
        }
    }

    /// A topic that is a task's and no more.
    fn within(&mut self, task: TaskId, archive: &dyn Archive) -> Topic {
        let agent = self.of(stream_of(task), archive).agent;
        Topic {
            task_id: Some(task),
            agent,
            ..Topic::default()
        }
    }

    fn change(&mut self, stream: StreamId, change: impl FnOnce(&mut Topic)) {
        if let Some(known) = self.old.remove(&stream) {
            self.put(stream, known);
        }
        if let Some(topic) = self.young.get_mut(&stream) {
            change(topic);
        }
    }

    fn put(&mut self, stream: StreamId, topic: Topic) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(stream, topic);
    }
}
