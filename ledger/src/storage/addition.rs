//! The content of a commit.

use super::EncodeError;
use super::lookup::Lookups;
use super::tree::TreeRow;
use crate::clock::{Random, Timestamp};
use crate::event::{Actor, Envelope, Event, LedgerCreated, Recorded};
use crate::id::{CommandId, EventId, LedgerId, StreamId};
use crate::record::{
    FORMAT, Header, RecordHash, SALT_LEN, genesis_hash, payload_digest, record_hash_of,
};
use crate::tlog::{TreeHash, leaf_hash};

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    pub ledger_id: LedgerId,
    /// The next position.
    pub size: u64,
    /// The hash of the last record; the genesis hash when there is none.
    pub record_hash: RecordHash,
}

impl Head {
    /// That of a ledger without any event.
    #[must_use]
    pub fn genesis(ledger_id: LedgerId) -> Self {
        Self {
            ledger_id,
            size: 0,
            record_hash: genesis_hash(ledger_id),
        }
    }

    /// The head after these records were appended.
    #[must_use]
    pub fn after(self, staged: &[Staged]) -> Self {
        staged.last().map_or(self, |last| Self {
            size: last.header().position + 1,
            record_hash: last.record_hash,
            ..self
        })
    }
}

/// An event as a decision makes it: everything but its place in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    pub stream: StreamId,
    pub event_id: EventId,
    pub event: Event,
    /// The event of the same decision that it answers.
    pub cause: Option<EventId>,
}

/// A decided event with the version it gets in its stream.
#[derive(Debug)]
pub struct Decided {
    pub new: NewEvent,
    /// How many events its stream has before it.
    pub version: u64,
    pub envelope: Envelope,
}

impl Decided {
    /// The first event of a new ledger.
    #[must_use]
    pub fn creation(ledger_id: LedgerId, random: &dyn Random, now: Timestamp) -> Self {
        let created = LedgerCreated {
            ledger_id,
            format: FORMAT,
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Self::own(ledger_id.into(), created.into(), random, now)
    }

    /// An event that the ledger records by itself, the first of its stream.
    pub(crate) fn own(stream: StreamId, event: Event, random: &dyn Random, now: Timestamp) -> Self {
        Self {
            new: NewEvent {
                stream,
                event_id: random.event_id(now),
                event,
                cause: None,
            },
            version: 0,
            envelope: Envelope {
                actor: Actor::system("ledger"),
                request_id: None,
                cause: None,
                command_id: CommandId::from_bytes(random.uuid_v7(now)),
            },
        }
    }

    /// Gives it its place: the next one behind a head.
    ///
    /// # Errors
    /// Where it has no form that can be stored.
    pub fn stage(
        self,
        (position, prev_hash): (u64, RecordHash),
        now: Timestamp,
        random: &dyn Random,
    ) -> Result<Staged, EncodeError> {
        let Self {
            new,
            version,
            envelope,
        } = self;
        let payload = new.event.encode(&envelope)?;
        let salt = random.sixteen();
        let header = Header {
            position,
            event_id: new.event_id,
            stream_id: new.stream,
            stream_version: version,
            event_type: new.event.event_type(),
            schema_version: new.event.schema_version(),
            recorded_at: now,
            prev_hash,
            payload_len: u32::try_from(payload.len())
                .map_err(|_| EncodeError::SerializeBufferFull)?,
            payload_digest: payload_digest(&salt, &payload),
        };
        let encoded = header.encode();
        Ok(Staged {
            record_hash: record_hash_of(&encoded),
            leaf: leaf_hash(&encoded),
            recorded: Recorded {
                header,
                envelope,
                event: new.event,
            },
            salt,
            payload,
        })
    }
}

/// An event that is ready to be written: header, salt and payload, and what follows from the header.
#[derive(Debug, Clone)]
pub struct Staged {
    pub recorded: Recorded,
    pub salt: [u8; SALT_LEN],
    pub payload: Vec<u8>,
    /// The record's hash, which the next record names.
    pub record_hash: RecordHash,
    pub leaf: TreeHash,
}

impl Staged {
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.recorded.header
    }
}

/// The content of one commit: all of it is added or nothing.
#[derive(Debug, Clone, Copy)]
pub struct Addition<'a> {
    /// The records, which go on from the head without a gap.
    pub staged: &'a [Staged],
    /// Their changes of the lookups and of the open streams.
    pub lookups: &'a Lookups,
    /// The tree's rows for these records; none where the stored tree does not reach to the head yet.
    pub tree: &'a [TreeRow],
    pub removal: Option<Removal<'a>>,
    /// The head behind them.
    pub head: Head,
}

/// Payloads and salts that a commit takes away.
#[derive(Debug, Clone, Copy)]
pub struct Removal<'a> {
    /// The position of the event that says so, which is one of the records added.
    pub erased_by: u64,
    pub positions: &'a [u64],
}
