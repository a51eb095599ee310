//! The topics of streams, within a bound.

use super::entry::StoryRecord;
use ledger::describe::{Topic, Topics};
use ledger::event::LedgerErased;
use ledger::{Event, Recorded, StreamId};
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
pub(super) struct Known {
    young: HashMap<StreamId, Topic>,
    old: HashMap<StreamId, Topic>,
}

impl Known {
    /// The topic of a stream as of the events taken in, or as it stands in the log.
    pub(super) fn topic(&mut self, stream: StreamId, archive: &dyn Archive) -> Topic {
        if let Some(known) = self.find(stream) {
            return known.clone();
        }
        for recorded in archive.stream(stream) {
            self.learn(stream, &recorded.event, archive);
        }
        let known = self.young.get(&stream).cloned().unwrap_or_default();
        self.put(stream, known.clone());
        known
    }

    /// Takes in what an event says about its stream, and about others.
    pub(super) fn take(&mut self, entry: &StoryRecord, archive: &dyn Archive) {
        if let Some((_, event)) = entry.event() {
            self.learn(entry.header.stream_id, event, archive);
        }
    }

    fn learn(&mut self, stream: StreamId, event: &Event, archive: &dyn Archive) {
        match event {
            Event::LedgerErased(erased) => self.learn_erased(erased),
            Event::Erased(erased) => {
                if let Some(by) = archive.event(erased.erased_by)
                    && let Event::LedgerErased(erased) = &by.event
                {
                    self.learn_erased(erased);
                }
            }
            event => {
                let mut topics = Reading {
                    known: self,
                    archive,
                };
                event.described().teach(stream, &mut topics);
            }
        }
    }

    /// What was erased still belongs to its task.
    fn learn_erased(&mut self, erased: &LedgerErased) {
        let Some(task) = erased.subject.task() else {
            return;
        };
        for stream in &erased.streams {
            self.old.remove(&stream.stream_id);
            self.put(stream.stream_id, Topic::of_task(task));
        }
    }

    fn find(&mut self, stream: StreamId) -> Option<&mut Topic> {
        if let Some(known) = self.old.remove(&stream) {
            self.put(stream, known);
        }
        self.young.get_mut(&stream)
    }

    fn put(&mut self, stream: StreamId, topic: Topic) {
        if self.young.len() >= GENERATION {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(stream, topic);
    }
}

struct Reading<'a> {
    known: &'a mut Known,
    archive: &'a dyn Archive,
}

impl Topics for Reading<'_> {
    fn of(&mut self, stream: StreamId) -> Topic {
        self.known.topic(stream, self.archive)
    }

    fn known(&mut self, stream: StreamId) -> Option<&mut Topic> {
        self.known.find(stream)
    }

    fn put(&mut self, stream: StreamId, topic: Topic) {
        self.known.put(stream, topic);
    }
}
