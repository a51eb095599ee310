//! The streams that belong into the dossier of a task.

use super::DossierPart;
use crate::event::{AggregateKind, Event};
use crate::id::{StreamId, TaskId};
use crate::record::Header;
use std::collections::HashSet;

/// The aggregates whose events a task's own are understood with.
const CONTEXT: [AggregateKind; 7] = [
    AggregateKind::Ledger,
    AggregateKind::Agent,
    AggregateKind::Approver,
    AggregateKind::Key,
    AggregateKind::Template,
    AggregateKind::User,
    AggregateKind::Session,
];

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
        if let Event::LedgerErased(erased) = event
            && erased.subject.task() == Some(self.task_id)
        {
            let streams = erased.streams.iter().map(|stream| stream.stream_id);
            self.streams.extend(streams);
        }
        if event.task_id() == Some(self.task_id) {
            self.streams.insert(header.stream_id);
        }
    }

    /// The part of a dossier that a record belongs to; `None` where it belongs to none.
    pub(super) fn part(&self, header: &Header) -> Option<DossierPart> {
        if self.streams.contains(&header.stream_id) {
            return Some(DossierPart::Task);
        }
        let kind = AggregateKind::of(header.event_type);
        let context = kind.is_some_and(|kind| CONTEXT.contains(&kind));
        context.then_some(DossierPart::Context)
    }
}
