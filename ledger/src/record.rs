//! The canonical record header, format 1, and the three digests around it.
//!
//! The layout is frozen: every hash in every ledger depends on it. Integers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 4 | magic `LPPL` |
//! | 4 | 1 | format, 1 |
//! | 5 | 8 | position |
//! | 13 | 16 | event id |
//! | 29 | 16 | stream id |
//! | 45 | 8 | stream version |
//! | 53 | 2 | event type |
//! | 55 | 2 | schema version |
//! | 57 | 8 | recorded at, microseconds since 1970, signed |
//! | 65 | 32 | hash of the record before |
//! | 97 | 4 | length of the payload in bytes |
//! | 101 | 32 | digest of the payload |
//!
//! BLAKE3 is always used in its key derivation mode, whose context separates the three digests from
//! one another and from everybody else's.

use crate::clock::Timestamp;
use crate::digest::digest;
use crate::id::{EventId, LedgerId, StreamId};
use blake3::Hasher;
use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use std::sync::LazyLock;

/// Length of an encoded [`Header`] in bytes.
pub const HEADER_LEN: usize = 133;

/// The record format that this software writes and reads.
pub const FORMAT: u8 = 1;

/// Length of a payload's salt in bytes.
pub const SALT_LEN: usize = 16;

const MAGIC: [u8; 4] = *b"LPPL";
const PAYLOAD_CONTEXT: &str = "llm-permission-proxy payload v1";
const RECORD_CONTEXT: &str = "llm-permission-proxy record v1";
const GENESIS_CONTEXT: &str = "llm-permission-proxy genesis v1";

digest!(
    /// The hash of one record's header, and so of all the records before it.
    RecordHash
);
digest!(
    /// The salted digest of one payload; says nothing about the payload once the salt is gone.
    PayloadDigest
);

/// Everything about one event except its payload. Contains no names and no free text, so that it can
/// be kept and published when a payload has to be erased.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The event's gapless number in the ledger, from 0.
    pub position: u64,
    /// The event's name for good.
    pub event_id: EventId,
    /// The aggregate that the event belongs to.
    pub stream_id: StreamId,
    /// The event's gapless number in its stream.
    pub stream_version: u64,
    /// The number of the event's kind.
    pub event_type: u16,
    /// The number of the frozen form of its payload.
    pub schema_version: u16,
    /// When the event was recorded.
    pub recorded_at: Timestamp,
    /// The hash of the record at the position before, at position 0 [`genesis_hash`].
    pub prev_hash: RecordHash,
    /// Length of the payload in bytes.
    pub payload_len: u32,
    /// [`payload_digest`] of the payload.
    pub payload_digest: PayloadDigest,
}

/// The bytes are not a record header of a format that this software knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Too many or too few bytes.
    #[error("a record header has {HEADER_LEN} bytes, these are {0}")]
    Length(usize),
    /// It begins with something other than `LPPL`.
    #[error("not a record header: it does not begin with LPPL")]
    Magic,
    /// A format from a later version of the software, or damage.
    #[error("record format {0} is unknown, this software knows format {FORMAT}")]
    Format(u8),
}

impl Header {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let mut rest = bytes.as_mut_slice();
        put(&mut rest, MAGIC);
        put(&mut rest, [FORMAT]);
        put(&mut rest, self.position.to_le_bytes());
        put(&mut rest, *self.event_id.as_bytes());
        put(&mut rest, *self.stream_id.as_bytes());
        put(&mut rest, self.stream_version.to_le_bytes());
        put(&mut rest, self.event_type.to_le_bytes());
        put(&mut rest, self.schema_version.to_le_bytes());
        put(&mut rest, self.recorded_at.as_micros().to_le_bytes());
        put(&mut rest, *self.prev_hash.as_bytes());
        put(&mut rest, self.payload_len.to_le_bytes());
        put(&mut rest, *self.payload_digest.as_bytes());
        debug_assert!(rest.is_empty(), "HEADER_LEN is the sum of the fields");
        bytes
    }

    /// Reads canonical bytes back.
    ///
    /// # Errors
    /// When the length, the magic or the format is not format 1's. Every other bit pattern is a
    /// header; whether it is the right one, only the hashes tell.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.len() != HEADER_LEN {
            return Err(HeaderError::Length(bytes.len()));
        }
        let mut rest = Fields {
            bytes,
            whole: bytes.len(),
        };
        if rest.take::<4>()? != MAGIC {
            return Err(HeaderError::Magic);
        }
        let [format] = rest.take()?;
        if format != FORMAT {
            return Err(HeaderError::Format(format));
        }
        Ok(Self {
            position: u64::from_le_bytes(rest.take()?),
            event_id: EventId::from_bytes(rest.take()?),
            stream_id: StreamId::from_bytes(rest.take()?),
            stream_version: u64::from_le_bytes(rest.take()?),
            event_type: u16::from_le_bytes(rest.take()?),
            schema_version: u16::from_le_bytes(rest.take()?),
            recorded_at: Timestamp::from_micros(i64::from_le_bytes(rest.take()?)),
            prev_hash: RecordHash::from_bytes(rest.take()?),
            payload_len: u32::from_le_bytes(rest.take()?),
            payload_digest: PayloadDigest::from_bytes(rest.take()?),
        })
    }

    /// The record's hash: what the next record's `prev_hash` must be.
    #[must_use]
    pub fn record_hash(&self) -> RecordHash {
        record_hash_of(&self.encode())
    }
}

/// The hash of the record with this encoded header.
#[must_use]
pub fn record_hash_of(header: &[u8; HEADER_LEN]) -> RecordHash {
    static KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context(RECORD_CONTEXT));
    let mut hasher = Hasher::new_from_context_key(&KEY);
    hasher.update(header);
    RecordHash::from_bytes(*hasher.finalize().as_bytes())
}

/// Digest of a payload under its random salt. Without the salt, which is erased with the payload, the
/// digest cannot be used to guess what the payload was.
#[must_use]
pub fn payload_digest(salt: &[u8; SALT_LEN], payload: &[u8]) -> PayloadDigest {
    static KEY: LazyLock<ContextKey> = LazyLock::new(|| hash_derive_key_context(PAYLOAD_CONTEXT));
    let mut hasher = Hasher::new_from_context_key(&KEY);
    hasher.update(salt).update(payload);
    PayloadDigest::from_bytes(*hasher.finalize().as_bytes())
}

/// The `prev_hash` of a ledger's first record.
#[must_use]
pub fn genesis_hash(ledger_id: LedgerId) -> RecordHash {
    RecordHash::from_bytes(blake3::derive_key(GENESIS_CONTEXT, ledger_id.as_bytes()))
}

fn put<const N: usize>(rest: &mut &mut [u8], field: [u8; N]) {
    if let Some((place, tail)) = std::mem::take(rest).split_first_chunk_mut() {
        *place = field;
        *rest = tail;
    }
}

struct Fields<'a> {
    bytes: &'a [u8],
    whole: usize,
}

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], HeaderError> {
        let (field, rest) = self
            .bytes
            .split_first_chunk()
            .ok_or(HeaderError::Length(self.whole))?;
        self.bytes = rest;
        Ok(*field)
    }
}

#[cfg(test)]
mod tests;
