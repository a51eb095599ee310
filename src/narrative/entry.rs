//! One record as a narrative sees it.

use ledger::event::name_of;
use ledger::{Actor, Envelope, Event, Header, Recorded};

/// A record whose payload was read, where it still can be.
#[derive(Debug)]
pub(crate) struct StoryRecord {
    pub(crate) header: Header,
    pub(crate) content: Content,
}

/// What a payload holds.
#[derive(Debug)]
pub(crate) enum Content {
    /// Who acted, and what happened.
    Event(Box<(Envelope, Event)>),
    Erased,
    /// The payload is there and cannot be read: damage, or a form of a later version.
    Unreadable(String),
}

impl StoryRecord {
    /// Reads a payload; `None` where it was erased.
    pub(crate) fn read(header: Header, payload: Option<&[u8]>) -> Self {
        let content = match payload {
            None => Content::Erased,
            Some(payload) => {
                match Event::decode(header.event_type, header.schema_version, payload) {
                    Ok(read) => Content::Event(Box::new(read)),
                    Err(error) => Content::Unreadable(error.to_string()),
                }
            }
        };
        Self { header, content }
    }

    /// Who acted and what happened, where that can be read.
    pub(crate) fn event(&self) -> Option<(&Envelope, &Event)> {
        match &self.content {
            Content::Event(read) => Some((&read.0, &read.1)),
            Content::Erased | Content::Unreadable(_) => None,
        }
    }

    pub(crate) const fn is_erased(&self) -> bool {
        match &self.content {
            Content::Event(read) => matches!(read.1, Event::Erased(_)),
            Content::Erased => true,
            Content::Unreadable(_) => false,
        }
    }

    pub(crate) fn actor(&self) -> Option<&Actor> {
        self.event().map(|(envelope, _)| &envelope.actor)
    }

    /// The name of the event, by the number in the header.
    pub(crate) fn name(&self) -> &'static str {
        name_of(self.header.event_type).unwrap_or("unknown")
    }
}

impl From<Recorded> for StoryRecord {
    fn from(recorded: Recorded) -> Self {
        Self {
            header: recorded.header,
            content: Content::Event(Box::new((recorded.envelope, recorded.event))),
        }
    }
}
