//! A record as a storage keeps it, and what must hold of it.

use super::error::ReadError;
use crate::event::{Event, Recorded};
use crate::record::{Header, RecordHash, SALT_LEN, payload_digest};

/// A record as stored: its header, its stored hash, and salt and payload where they still are, or
/// else the position of the event that erased them.
#[derive(Debug, Clone)]
pub struct StoredRecord {
    pub header: Header,
    /// The hash as it is stored; what it should be, the header tells.
    pub record_hash: RecordHash,
    /// Salt and payload; `None` once they were erased.
    pub payload: Option<([u8; SALT_LEN], Vec<u8>)>,
    /// The position of the `ledger.erased` that erased them.
    pub erased_by: Option<u64>,
}

/// The part beside a record's header.
pub(crate) enum Content<'r> {
    /// Its salt and its payload.
    Payload(&'r [u8; SALT_LEN], &'r [u8]),
    /// Nothing any more: the event at that position erased it.
    Erased(u64),
}

impl StoredRecord {
    /// Salt and payload, or the position of the event that erased them.
    ///
    /// # Errors
    /// When there is neither, or both: nothing takes payloads away but an erasure, and it does so in
    /// the commit that records it.
    pub(crate) fn content(&self) -> Result<Content<'_>, ReadError> {
        let damaged = |what: &str| ReadError::Damaged {
            position: self.header.position,
            what: what.to_owned(),
        };
        match (&self.payload, self.erased_by) {
            (Some((salt, payload)), None) => Ok(Content::Payload(salt, payload)),
            (None, Some(by)) => Ok(Content::Erased(by)),
            (None, None) => Err(damaged("its payload is missing")),
            (Some(_), Some(_)) => Err(damaged("its payload was erased, and stands there again")),
        }
    }

    /// The record's hash, where header and payload are what was hashed when they were written.
    ///
    /// # Errors
    /// [`ReadError::Damaged`] with what differs.
    pub fn check_hashes(&self) -> Result<RecordHash, ReadError> {
        let header = &self.header;
        let damaged = |what: String| ReadError::Damaged {
            position: header.position,
            what,
        };
        let computed = header.record_hash();
        if computed != self.record_hash {
            return Err(damaged(format!(
                "its hash is {computed}, but {} is stored",
                self.record_hash
            )));
        }
        if let Content::Payload(salt, payload) = self.content()?
            && (payload_digest(salt, payload) != header.payload_digest
                || u32::try_from(payload.len()) != Ok(header.payload_len))
        {
            return Err(damaged("its payload does not match its digest".to_owned()));
        }
        Ok(computed)
    }

    /// Decodes the payload; what was erased is an event form of its own.
    ///
    /// # Errors
    /// A payload that is missing, or that no form of this release reads.
    pub fn into_recorded(self) -> Result<Recorded, ReadError> {
        let position = self.header.position;
        let payload = match self.content()? {
            Content::Payload(_, payload) => payload,
            Content::Erased(by) => return Ok(Recorded::erased(self.header, by)),
        };
        let (envelope, event) =
            Event::decode(self.header.event_type, self.header.schema_version, payload)
                .map_err(|source| ReadError::Decode { position, source })?;
        Ok(Recorded {
            header: self.header,
            envelope,
            event,
        })
    }
}

/// Takes the next of a stream's records, which are read in the order of their versions. What is decided follows
/// from them, so each is held to its hash, and to its place in the stream.
///
/// # Errors
/// [`ReadError::Damaged`] with what differs, and a payload that cannot be decoded.
pub fn push_of_stream(events: &mut Vec<Recorded>, stored: StoredRecord) -> Result<(), ReadError> {
    let position = stored.header.position;
    let damaged = |what: String| ReadError::Damaged { position, what };
    if usize::try_from(stored.header.stream_version) != Ok(events.len()) {
        let version = events.len();
        return Err(damaged(format!("event {version} of its stream is missing")));
    }
    if events
        .last()
        .is_some_and(|last| last.position() >= position)
    {
        return Err(damaged(
            "it stands before the one that it follows".to_owned(),
        ));
    }
    stored.check_hashes()?;
    events.push(stored.into_recorded()?);
    Ok(())
}
