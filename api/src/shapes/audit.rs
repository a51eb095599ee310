//! Events and proofs, as auditors get them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ledger::event::name_of;
use ledger::tlog::{ConsistencyProof, InclusionProof, TreeHash};
use ledger::{Checkpoints, Event, Ledger, StoredRecord};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// An inclusion proof (RFC 6962, section 2.1.1). Hashes are standard base64.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Inclusion {
    /// The leaf's index: the event's position.
    leaf_index: u64,
    /// The size of the tree.
    tree_size: u64,
    /// SHA-256 over a zero byte and the event's header.
    leaf_hash: String,
    /// The hashes beside the way to the root, from the leaf up.
    hashes: Vec<String>,
}

impl Inclusion {
    pub(crate) fn new(leaf: TreeHash, proof: &InclusionProof) -> Self {
        Self {
            leaf_index: proof.leaf_index(),
            tree_size: proof.tree_size(),
            leaf_hash: leaf.to_string(),
            hashes: texts(proof.hashes()),
        }
    }
}

/// A consistency proof (RFC 6962, section 2.1.2). Hashes are standard base64.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Consistency {
    /// The size of the earlier tree.
    from: u64,
    /// The size of the later tree.
    to: u64,
    /// The proof's hashes.
    hashes: Vec<String>,
}

impl From<&ConsistencyProof> for Consistency {
    fn from(proof: &ConsistencyProof) -> Self {
        Self {
            from: proof.from(),
            to: proof.to(),
            hashes: texts(proof.hashes()),
        }
    }
}

fn texts(hashes: &[TreeHash]) -> Vec<String> {
    hashes.iter().map(TreeHash::to_string).collect()
}

/// Up to where events have got, each a size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct States {
    checkpointed: u64,
    witnessed: u64,
}

impl States {
    /// As of now.
    pub(crate) fn of(ledger: &Ledger) -> Self {
        let checkpoints = ledger.checkpoints();
        let newest = checkpoints.and_then(Checkpoints::newest);
        let witnessed = checkpoints.and_then(Checkpoints::witnessed);
        Self {
            checkpointed: newest.map_or(0, |newest| newest.size()),
            witnessed: witnessed.map_or(0, |witnessed| witnessed.size()),
        }
    }

    fn at(self, position: u64) -> EventState {
        if position < self.witnessed {
            EventState::Witnessed
        } else if position < self.checkpointed {
            EventState::Checkpointed
        } else {
            EventState::Appended
        }
    }
}

/// How far an event has got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum EventState {
    /// It is in the ledger.
    Appended,
    /// A signed checkpoint covers it.
    Checkpointed,
    /// As many witnesses have cosigned such a checkpoint as the policy asks for.
    Witnessed,
}

/// Some of the ledger.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EventsPage)]
pub(crate) struct Events {
    /// In order, without a gap.
    events: Vec<LedgerEvent>,
    /// The position to go on from.
    next: u64,
    /// The ledger's size: the position of the next event that will be recorded.
    size: u64,
}

impl Events {
    pub(crate) fn new(from: u64, size: u64, records: &[StoredRecord], states: States) -> Self {
        let next = records.last().map_or(from, |last| last.header.position + 1);
        let event = |record| LedgerEvent::new(record, states);
        Self {
            events: records.iter().map(event).collect(),
            next,
            // What was read may be newer than what was heard of.
            size: size.max(if records.is_empty() { 0 } else { next }),
        }
    }
}

/// An event as it is stored, and what it says.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LedgerEvent {
    /// Its gapless number, which is also its index in the tree.
    position: u64,
    /// `appended`, then `checkpointed`, then `witnessed`.
    state: EventState,
    /// The canonical header, 133 bytes in base64.
    header: String,
    /// The stored hash of the record, in hexadecimal; the header tells what it must be.
    record_hash: String,
    /// Salt of the payload's digest, in base64; null once erased.
    salt: Option<String>,
    /// The stored payload in base64; null once erased.
    payload: Option<String>,
    /// Whether salt and payload were erased. Nulls without it are damage.
    erased: bool,
    /// The position of the event that says who erased them and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    erased_by: Option<u64>,
    readable: Readable,
}

/// The event for people. To be sure of it, decode header and payload.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Readable {
    /// The event's name; null for one of a later version of this software.
    event: Option<&'static str>,
    /// RFC 3339, UTC.
    recorded_at: String,
    /// What it is an event of.
    stream_id: String,
    /// Who acted, for which request, because of which event; null once erased.
    #[schema(value_type = Option<HashMap<String, Value>>)]
    envelope: Option<Value>,
    /// What happened, in the form in which it was recorded; null once erased.
    #[schema(value_type = Option<HashMap<String, Value>>)]
    payload: Option<Value>,
}

impl LedgerEvent {
    fn new(record: &StoredRecord, states: States) -> Self {
        let header = &record.header;
        let stored = record.payload.as_ref();
        let said = stored.and_then(|(_, payload)| {
            Event::readable(header.event_type, header.schema_version, payload)
        });
        let (envelope, payload) = said.unzip();
        Self {
            position: header.position,
            state: states.at(header.position),
            header: STANDARD.encode(header.encode()),
            record_hash: record.record_hash.to_string(),
            salt: stored.map(|(salt, _)| STANDARD.encode(salt)),
            payload: stored.map(|(_, payload)| STANDARD.encode(payload)),
            erased: record.erased_by.is_some(),
            erased_by: record.erased_by,
            readable: Readable {
                event: name_of(header.event_type),
                recorded_at: header.recorded_at.to_string(),
                stream_id: header.stream_id.to_string(),
                envelope,
                payload,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::record::Header;
    use ledger::{EventId, PayloadDigest, RecordHash, StreamId, Timestamp};

    #[test]
    fn an_event_is_appended_then_checkpointed_then_witnessed() {
        let states = States {
            checkpointed: 7,
            witnessed: 3,
        };
        let at = [0, 2, 3, 6, 7].map(|position| states.at(position));
        let expected = [
            EventState::Witnessed,
            EventState::Witnessed,
            EventState::Checkpointed,
            EventState::Checkpointed,
            EventState::Appended,
        ];
        assert_eq!(at, expected);
    }

    #[test]
    fn of_an_erased_event_the_header_and_its_name_are_left() {
        let header = Header {
            position: 5,
            event_id: EventId::from_bytes([1; 16]),
            stream_id: StreamId::from_bytes([2; 16]),
            stream_version: 0,
            event_type: 10,
            schema_version: 1,
            recorded_at: Timestamp::from_seconds(0),
            prev_hash: RecordHash::from_bytes([3; 32]),
            payload_len: 9,
            payload_digest: PayloadDigest::from_bytes([4; 32]),
        };
        let record = StoredRecord {
            record_hash: header.record_hash(),
            header,
            payload: None,
            erased_by: Some(9),
        };
        let states = States {
            checkpointed: 0,
            witnessed: 0,
        };
        let event = serde_json::to_value(LedgerEvent::new(&record, states)).unwrap();
        assert_eq!(event["erased"], true);
        assert_eq!(event["erased_by"], 9);
        assert_eq!(
            (&event["salt"], &event["payload"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(event["readable"]["event"], "task.created");
        assert_eq!(event["readable"]["payload"], Value::Null);
        let kept = STANDARD.decode(event["header"].as_str().unwrap()).unwrap();
        assert_eq!(Header::decode(&kept).unwrap(), record.header);
    }
}
