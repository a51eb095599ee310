//! Tells a story record by record.

use super::entry::{Entry, Told};
use super::line::{Line, depth};
use super::subject::Subject;
use super::topic::Topic;
use super::topics::{Archive, Topics};
use super::words::{MOST, sentence};
use ledger::operation::shown;

/// The most characters of a name in a line.
const MAX_NAME: usize = 100;

/// Follows a subject through records in their order.
#[derive(Debug)]
pub(crate) struct Teller {
    subject: Subject,
    topics: Topics,
}

impl Teller {
    pub(crate) fn new(subject: Subject) -> Self {
        Self {
            subject,
            topics: Topics::default(),
        }
    }

    /// Learns from a record what it says of others, ahead of its turn.
    pub(crate) fn know(&mut self, entry: &Entry) {
        self.topics.take(entry, &());
    }

    /// Takes the next record; its line and what its stream is about,
    /// where it belongs to the story. `archive` has the streams
    /// whose beginning was not among the records.
    pub(crate) fn tell(&mut self, entry: &Entry, archive: &dyn Archive) -> Option<(Line, Topic)> {
        self.topics.take(entry, archive);
        let topic = self.topics.of(entry.header.stream_id, archive);
        if !self.subject.concerns(entry, &topic) {
            return None;
        }
        let header = &entry.header;
        let (envelope, text, depth) = match &entry.told {
            Told::Event(read) => {
                let (envelope, event) = (&read.0, &read.1);
                let alone = !self.subject.shows_applies();
                let text = sentence(&envelope.actor, event, &topic, alone);
                (Some(envelope), text, depth(event))
            }
            Told::Erased => (None, format!("{} was erased", entry.name()), 1),
            Told::Unreadable(why) => (None, format!("this cannot be read: {why}"), 1),
        };
        let line = Line {
            position: header.position,
            at: header.recorded_at,
            depth,
            event: entry.name().to_owned(),
            who: envelope.map(|envelope| shown(&envelope.actor.to_string(), MAX_NAME)),
            text: shown(&text, MOST),
            task_id: topic.task_id,
            agent: topic.agent.as_deref().map(|agent| shown(agent, MAX_NAME)),
            subject_id: header.stream_id,
            cause: envelope.and_then(|envelope| envelope.cause),
            request_id: envelope.and_then(|envelope| envelope.request_id),
            event_id: header.event_id,
            erased: entry.is_erased(),
        };
        Some((line, topic))
    }
}
