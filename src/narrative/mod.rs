//! The ledger's events as lines of text, one for each: for `ledger replay`, for dossiers, and for the
//! feed for security monitoring. What a line says is the ledger's own description of the event.
//!
//! A narrative is one ordered pass. What a line needs from earlier events (whose apply this is, where a
//! callback goes) is kept for each stream within a bound, and read again where it has been let go.

mod entry;
mod line;
mod source;
mod subject;
mod topics;

pub(crate) use entry::StoryRecord;
pub(crate) use line::{Line, clock};
pub(crate) use source::LedgerFile;
pub(crate) use subject::Subject;

use entry::Content;
use ledger::UserId;
use ledger::describe::{Facts, Topic, who};
use ledger::operation::shown;
use topics::{Archive, Known};

/// The most characters of a line; the ledger has everything in full.
const MOST: usize = 1500;
/// The most characters of a name in a line.
const MAX_NAME: usize = 100;

/// Follows a subject through records in their order.
#[derive(Debug)]
pub(crate) struct Narrative {
    subject: Subject,
    known: Known,
}

/// A line, with what else the record is described by.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) line: Line,
    pub(crate) topic: Topic,
    /// Of a payload that could be read.
    pub(crate) facts: Option<Facts>,
    /// The user whose session begins here, or whose login failed.
    pub(crate) logs_in: Option<UserId>,
}

impl Narrative {
    pub(crate) fn new(subject: Subject) -> Self {
        Self {
            subject,
            known: Known::default(),
        }
    }

    /// Learns from a record what it says of others, ahead of its turn.
    pub(crate) fn know(&mut self, entry: &StoryRecord) {
        self.known.take(entry, &());
    }

    /// Takes the next record; its line, where it belongs to the subject. `archive` has the streams whose
    /// beginning was not among the records.
    pub(crate) fn tell(&mut self, entry: &StoryRecord, archive: &dyn Archive) -> Option<Told> {
        self.known.take(entry, archive);
        let mut topic = self.known.topic(entry.header.stream_id, archive);
        if !self.subject.concerns(entry, &topic) {
            return None;
        }
        topic.detailed = true;
        topic.alone = !self.subject.shows_applies();
        let header = &entry.header;
        let event = entry.event();
        let facts = event.map(|(_, event)| event.described().facts(&topic));
        let text = match (&entry.content, event) {
            (_, Some((envelope, event))) => {
                let text = event.described().text(&topic);
                match entry.is_erased() {
                    true => text,
                    false => format!("{}: {text}", who(&envelope.actor)),
                }
            }
            (Content::Unreadable(why), _) => format!("this cannot be read: {why}"),
            _ => format!("{} was erased", entry.name()),
        };
        let envelope = event.map(|(envelope, _)| envelope);
        let line = Line {
            position: header.position,
            at: header.recorded_at,
            depth: facts.as_ref().map_or(1, |facts| facts.depth),
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
        Some(Told {
            line,
            topic,
            facts,
            logs_in: event.and_then(|(_, event)| event.logs_in()),
        })
    }
}

#[cfg(test)]
mod tests;
