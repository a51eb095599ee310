//! Checking a callback's body against the log's key.

use super::body::{CallbackProof, ProvenRecord, UnavailableProof};
use super::content::{check_content, check_same};
use super::error::{CallbackProofError, RecordProblem};
use crate::callback_event::CallbackEvent;
use crate::callback_report::SENT;
use crate::canonical::{StrictJsonError, deserialize_strict, parse_strict};
use crate::clock::Timestamp;
use crate::event::{Envelope, Event};
use crate::id::EventId;
use crate::record::{Header, SALT_LEN, payload_digest};
use crate::tlog::{
    Checkpoint, Cosignature, InclusionProof, LogKey, LogOrigin, NoteError, WitnessPolicy,
    record_leaf,
};
use serde::Deserialize;
use serde_json::Value;

/// Fields in the payload of `approval.pending` that are added as it is sent, for people. No record has them, so
/// nothing proves them; `agent` is compared with the question's record all the same.
pub const SENT_FIELDS: &[&str] = &{
    let [url, summary, risk, agent, task_name] = SENT;
    [
        url.name,
        summary.name,
        risk.name,
        agent.name,
        task_name.name,
    ]
};

/// The receiver's trust.
#[derive(Debug, Clone)]
pub struct CallbackTrust {
    /// The log's key.
    pub key: LogKey,
    /// The origin of its checkpoints: the key's name, unless it was configured otherwise.
    pub origin: LogOrigin,
    /// The witnesses that must have cosigned the checkpoint; `None`: none need to.
    pub policy: Option<WitnessPolicy>,
}

/// A callback that says what the log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedCallback {
    /// The event that it reports.
    pub event_type: CallbackEvent,
    /// The event.
    pub event_id: EventId,
    /// Its position.
    pub position: u64,
    /// When it was recorded, by the service's clock.
    pub recorded_at: Timestamp,
    /// The checkpoint that covers it.
    pub checkpoint: Checkpoint,
    /// Of the witnesses that the policy knows.
    pub cosignatures: Vec<Cosignature>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    event: Value,
    proof: Option<Value>,
}

/// Checks a callback's body: that the log's key signed the checkpoint (and enough witnesses did), that
/// the records are in its tree, that their payloads are those that the headers commit to, and that the
/// body's event says nothing else than they do. Neither of the two signatures of the delivery is
/// looked at, which tell who sent it.
///
/// # Errors
/// The first thing that is wrong; see [`CallbackProofError`].
pub fn verify_callback(
    body: &[u8],
    trust: &CallbackTrust,
) -> Result<VerifiedCallback, CallbackProofError> {
    let body: Body = deserialize_strict(body).map_err(CallbackProofError::Form)?;
    let proof = read_proof(body.proof)?;
    let (checkpoint, cosignatures) = check_checkpoint(&proof.checkpoint, trust)?;
    let (reported, owed) = proof.into_records();
    let (header, _, event) = check_record("proof", &reported, &checkpoint)?;
    let (_, envelope, owed) = check_record("proof.owed", &owed, &checkpoint)?;
    let Event::DeliveryOwed(owed) = owed else {
        return Err(CallbackProofError::NotOwed {
            position: header.position,
        });
    };
    if envelope.cause != Some(header.position) || owed.event_id != header.event_id {
        return Err(CallbackProofError::NotOwed {
            position: header.position,
        });
    }
    let event_type = check_content(&body.event, &header, &event)?;
    let to_be_sent = parse_strict(owed.event.as_bytes()).map_err(CallbackProofError::Form)?;
    let recorded = without_sent_fields(body.event, event_type, &to_be_sent);
    check_same("event", &recorded, &to_be_sent)?;
    Ok(VerifiedCallback {
        event_type,
        event_id: header.event_id,
        position: header.position,
        recorded_at: header.recorded_at,
        checkpoint,
        cosignatures,
    })
}

/// The body's event without what is made as a question is told, and recorded nowhere.
fn without_sent_fields(mut said: Value, event: CallbackEvent, to_be_sent: &Value) -> Value {
    let payload = said.get_mut("payload").and_then(Value::as_object_mut);
    if let (CallbackEvent::ApprovalPending, Some(payload)) = (event, payload) {
        for name in SENT_FIELDS {
            if to_be_sent.pointer(&format!("/payload/{name}")).is_none() {
                payload.remove(*name);
            }
        }
    }
    said
}

fn read_proof(proof: Option<Value>) -> Result<CallbackProof, CallbackProofError> {
    let proof = proof.ok_or(CallbackProofError::NoProof)?;
    if proof.get("unavailable").is_some() {
        let UnavailableProof {
            position,
            unavailable,
        } = read(proof)?;
        return Err(CallbackProofError::Unavailable {
            position,
            why: unavailable,
        });
    }
    read(proof)
}

fn read<T: serde::de::DeserializeOwned>(proof: Value) -> Result<T, CallbackProofError> {
    serde_path_to_error::deserialize(proof).map_err(|error| {
        CallbackProofError::Form(StrictJsonError::Shape {
            path: format!("proof.{}", error.path()),
            problem: error.inner().to_string(),
        })
    })
}

fn check_checkpoint(
    note: &str,
    trust: &CallbackTrust,
) -> Result<(Checkpoint, Vec<Cosignature>), CallbackProofError> {
    let note = note
        .parse()
        .map_err(|why: NoteError| CallbackProofError::Checkpoint(why.into()))?;
    let checkpoint = Checkpoint::open(&note, &trust.key, &trust.origin)
        .map_err(CallbackProofError::Checkpoint)?;
    let Some(policy) = &trust.policy else {
        return Ok((checkpoint, Vec::new()));
    };
    let report = policy
        .evaluate(&note)
        .map_err(CallbackProofError::Cosignature)?;
    if !report.witnessed {
        return Err(CallbackProofError::NotWitnessed);
    }
    Ok((checkpoint, report.cosignatures))
}

/// Checks that a record is in the checkpoint's tree, and reads it.
fn check_record(
    place: &'static str,
    record: &ProvenRecord,
    checkpoint: &Checkpoint,
) -> Result<(Header, Envelope, Event), CallbackProofError> {
    let wrong = |problem| CallbackProofError::Record { place, problem };
    let header = record
        .decode_header()
        .map_err(|why| wrong(RecordProblem::Header(why)))?;
    check_inclusion(record, &header, checkpoint).map_err(wrong)?;
    let (salt, payload) = match (&record.salt, &record.payload, record.erased) {
        (Some(salt), Some(payload), false) => (&salt.0, &payload.0),
        (None, None, true) => return Err(CallbackProofError::Erased { place }),
        _ => return Err(wrong(RecordProblem::Half)),
    };
    let salt: &[u8; SALT_LEN] = salt
        .as_slice()
        .try_into()
        .map_err(|_| wrong(RecordProblem::Salt))?;
    let length_fits = u32::try_from(payload.len()).is_ok_and(|len| len == header.payload_len);
    if !length_fits || payload_digest(salt, payload) != header.payload_digest {
        return Err(wrong(RecordProblem::Payload));
    }
    let (envelope, event) = Event::decode(header.event_type, header.schema_version, payload)
        .map_err(|why| wrong(RecordProblem::Decode(why)))?;
    Ok((header, envelope, event))
}

fn check_inclusion(
    record: &ProvenRecord,
    header: &Header,
    checkpoint: &Checkpoint,
) -> Result<(), RecordProblem> {
    let inclusion = &record.inclusion;
    if header.position != record.position {
        return Err(RecordProblem::Position {
            header: header.position,
        });
    }
    if inclusion.leaf_index != record.position {
        return Err(RecordProblem::LeafIndex);
    }
    if inclusion.tree_size != checkpoint.size() {
        return Err(RecordProblem::TreeSize {
            checkpoint: checkpoint.size(),
        });
    }
    let leaf = record_leaf(header);
    if inclusion.leaf_hash != leaf {
        return Err(RecordProblem::LeafHash);
    }
    let hashes = inclusion.hashes.clone();
    InclusionProof::from_parts(inclusion.leaf_index, inclusion.tree_size, hashes)
        .verify(&leaf, checkpoint.root())
        .map_err(RecordProblem::Inclusion)
}
