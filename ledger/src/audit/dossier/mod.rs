//! A dossier: one file with everything about one task and its proofs, to be handed to somebody who has
//! nothing else. JSON; its form is documented in `docs/audit.md`.

mod report;
mod scope;
mod verify;

pub use report::{DOSSIER_LIMITS, DossierReport};
pub use verify::verify_dossier;

use crate::canonical::{StrictJsonError, parse_strict};
use crate::clock::Timestamp;
use crate::event::Event;
use crate::id::{LedgerId, TaskId};
use crate::record::{Header, SALT_LEN};
use crate::tlog::{InclusionProof, TreeHash, record_leaf};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// The first field of every dossier.
pub const DOSSIER_FORMAT: &str = "llm-permission-proxy dossier";

/// The version of the form that is written here.
pub const DOSSIER_VERSION: u32 = 2;

/// The first version, which also had a story in words and named the software that wrote it: nothing
/// proves either, so they are not read.
const WITH_STORY: u32 = 1;

/// Why a text is no dossier.
#[derive(Debug, thiserror::Error)]
pub enum DossierError {
    /// Not JSON of a dossier's form.
    #[error("not a dossier of version {WITH_STORY} or {DOSSIER_VERSION}")]
    Json(#[from] serde_json::Error),
    /// Not JSON that says one thing to whoever reads it: a key that stands twice, for instance.
    #[error("not a dossier that everybody reads alike")]
    Strict(#[from] StrictJsonError),
    /// Another format, or a version that is not known here.
    #[error(
        "not a dossier of version {WITH_STORY} or {DOSSIER_VERSION}, but {format:?} version {version}"
    )]
    Format {
        /// The name of the format.
        format: String,
        /// The version of the format.
        version: u32,
    },
}

/// Everything about one task. Nothing in it is to be trusted before [`verify_dossier`] has found
/// nothing wrong with it; all of it is compared then with the records and the checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dossier {
    /// [`DOSSIER_FORMAT`].
    pub format: String,
    /// [`DOSSIER_VERSION`].
    pub version: u32,
    /// The ledger.
    pub ledger_id: LedgerId,
    /// The task.
    pub task_id: TaskId,
    /// The signer of the ledger's checkpoints, to be compared with the key that is brought along.
    pub log: DossierLog,
    /// The signed note that all proofs lead to.
    pub checkpoint: String,
    /// The task's records, and those that they refer to, in the order of their positions.
    pub records: Vec<DossierRecord>,
    /// It was of the first version and told a story, which was not read.
    #[serde(skip)]
    pub has_story: bool,
}

/// The signer of a ledger's checkpoints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DossierLog {
    /// The log's identity, the first line of its checkpoints.
    pub origin: String,
    /// The verifier key line.
    pub vkey: String,
}

/// Why a record is in a dossier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DossierPart {
    /// It is of the task, or of one of its applies, approvals or deliveries.
    Task,
    /// Referred to by the task's records: the ledger itself, the agent's grants and keys, approvers' passkeys,
    /// the users who acted with their sessions.
    Context,
}

/// One record with its proof.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DossierRecord {
    /// Its position.
    pub position: u64,
    /// Why it is here.
    pub part: DossierPart,
    /// The event's name.
    pub event: String,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// The canonical header.
    pub header: Bytes,
    /// The salt of the payload's digest; absent once it was erased, as the payload.
    pub salt: Option<Bytes>,
    /// The stored payload.
    pub payload: Option<Bytes>,
    /// The payload's envelope, readable.
    pub envelope: Option<Value>,
    /// The event, readable.
    pub content: Option<Value>,
    /// That the record is in the checkpoint's tree.
    pub proof: DossierProof,
}

/// An inclusion proof (RFC 6962), in the form in which the service gives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DossierProof {
    /// The record's position.
    pub leaf_index: u64,
    /// The size of the checkpoint's tree.
    pub tree_size: u64,
    /// The hash of the record's leaf.
    pub leaf_hash: TreeHash,
    /// From the leaf up.
    pub hashes: Vec<TreeHash>,
}

/// Bytes that are standard base64 in JSON.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(Vec<u8>);

impl Bytes {
    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD
            .decode(text)
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

impl Dossier {
    /// Reads a dossier.
    ///
    /// # Errors
    /// When it is not JSON of this form and version; see [`DossierError`].
    pub fn read(json: &[u8]) -> Result<Self, DossierError> {
        let mut read = parse_strict(json)?;
        let mut has_story = false;
        if read.get("version") == Some(&Value::from(WITH_STORY))
            && let Some(object) = read.as_object_mut()
        {
            let story = object.remove("story");
            has_story = story.is_some_and(|story| story != Value::Array(Vec::new()));
            object.remove("software_version");
            object.insert("version".to_owned(), DOSSIER_VERSION.into());
        }
        let mut dossier: Self = serde_json::from_value(read)?;
        dossier.has_story = has_story;
        if dossier.format != DOSSIER_FORMAT || dossier.version != DOSSIER_VERSION {
            return Err(DossierError::Format {
                format: dossier.format,
                version: dossier.version,
            });
        }
        Ok(dossier)
    }
}

impl DossierRecord {
    /// A record with its proof, made readable as far as it can be.
    #[must_use]
    pub fn new(
        header: &Header,
        content: Option<(&[u8; SALT_LEN], &[u8])>,
        part: DossierPart,
        proof: &InclusionProof,
    ) -> Self {
        let (envelope, readable) = content
            .and_then(|(_, payload)| readable(header, payload))
            .map_or((None, None), |(envelope, event)| {
                (Some(envelope), Some(event))
            });
        Self {
            position: header.position,
            part,
            event: name_of(header).to_owned(),
            recorded_at: header.recorded_at,
            header: Bytes::from(header.encode().as_slice()),
            salt: content.map(|(salt, _)| Bytes::from(salt.as_slice())),
            payload: content.map(|(_, payload)| Bytes::from(payload)),
            envelope,
            content: readable,
            proof: DossierProof {
                leaf_index: proof.leaf_index(),
                tree_size: proof.tree_size(),
                leaf_hash: record_leaf(header),
                hashes: proof.hashes().to_vec(),
            },
        }
    }
}

/// The name of the event, by the number in its header.
fn name_of(header: &Header) -> &'static str {
    crate::event::name_of(header.event_type).unwrap_or("unknown")
}

/// A payload as JSON; `None` where it cannot be read.
fn readable(header: &Header, payload: &[u8]) -> Option<(Value, Value)> {
    Event::readable(header.event_type, header.schema_version, payload)
}
