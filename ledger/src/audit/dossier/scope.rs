//! Which streams belong into the dossier of a task.

use super::DossierPart;
use crate::event::{ErasedSubject, Event};
use crate::id::{StreamId, TaskId};
use crate::record::Header;
use std::collections::HashSet;

/// The numbers of a ledger's own events, of agents' and of approvers'.
const CONTEXT: [std::ops::RangeInclusive<u16>; 3] = [1..=9, 40..=49, 50..=59];

/// Finds out which streams are the task's, from the events that begin them.
#[derive(Debug)]
pub(super) struct Scope {
    task_id: TaskId,
    streams: HashSet<StreamId>,
}

impl Scope {
    pub(super) fn new(task_id: TaskId) -> Self {
        Self {
            task_id,
            streams: HashSet::from([StreamId::from_bytes(*task_id.as_bytes())]),
        }
    }

    /// Takes in what an event says. Of an erased stream, the event that erased it tells; that may come
    /// later, so all events are taken in first.
    pub(super) fn take(&mut self, header: &Header, event: &Event) {
        let of = match event {
            Event::ApplyAccepted(accepted) => accepted.task_id,
            Event::ApplyRefused(refused) => refused.task_id,
            Event::RefusalsCounted(counted) => counted.task_id,
            Event::ApprovalRequested(asked) => asked.task_id,
            Event::DeliveryOwed(owed) => owed.task_id,
            Event::LedgerErased(erased) => {
                if erased.subject == ErasedSubject::Task(self.task_id) {
                    let streams = erased.streams.iter().map(|stream| stream.stream_id);
                    self.streams.extend(streams);
                }
                return;
            }
            _ => return,
        };
        if of == self.task_id {
            self.streams.insert(header.stream_id);
        }
    }

    /// What a record is in a dossier for; `None` where it does not belong there.
    pub(super) fn part(&self, header: &Header) -> Option<DossierPart> {
        if self.streams.contains(&header.stream_id) {
            return Some(DossierPart::Task);
        }
        let context = CONTEXT
            .iter()
            .any(|range| range.contains(&header.event_type));
        context.then_some(DossierPart::Context)
    }
}
