//! The forms in a callback's body. They are a part of the HTTP surface: fields are only ever added.

use crate::record::{Header, HeaderError, SALT_LEN};
use crate::tlog::{InclusionProof, Note, TreeHash, record_leaf};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes that are standard base64 where people read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Base64(pub(super) Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        let bytes = STANDARD.decode(text);
        bytes
            .map(Self)
            .map_err(|_| serde::de::Error::custom("expected standard base64 with padding"))
    }
}

/// An inclusion proof as `GET /v1/ledger/proof/inclusion` answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenInclusion {
    pub(super) leaf_index: u64,
    pub(super) tree_size: u64,
    pub(super) leaf_hash: TreeHash,
    pub(super) hashes: Vec<TreeHash>,
}

impl ProvenInclusion {
    /// The proof, with the hash of its leaf.
    #[must_use]
    pub fn new(leaf_hash: TreeHash, proof: &InclusionProof) -> Self {
        Self {
            leaf_index: proof.leaf_index(),
            tree_size: proof.tree_size(),
            leaf_hash,
            hashes: proof.hashes().to_vec(),
        }
    }
}

/// A record, and that it is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvenRecord {
    pub(super) position: u64,
    pub(super) header: Base64,
    pub(super) salt: Option<Base64>,
    pub(super) payload: Option<Base64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) erased: bool,
    pub(super) inclusion: ProvenInclusion,
}

impl ProvenRecord {
    /// A record as it is stored. Without salt and payload, which were erased, it still is in the log.
    #[must_use]
    pub fn new(
        header: &Header,
        stored: Option<(&[u8; SALT_LEN], &[u8])>,
        proof: &InclusionProof,
    ) -> Self {
        Self {
            position: header.position,
            header: Base64(header.encode().to_vec()),
            salt: stored.map(|(salt, _)| Base64(salt.to_vec())),
            payload: stored.map(|(_, payload)| Base64(payload.to_vec())),
            erased: stored.is_none(),
            inclusion: ProvenInclusion::new(record_leaf(header), proof),
        }
    }

    pub(super) fn decode_header(&self) -> Result<Header, HeaderError> {
        Header::decode(&self.header.0)
    }
}

/// The `proof` of a body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallbackProof {
    position: u64,
    header: Base64,
    salt: Option<Base64>,
    payload: Option<Base64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    erased: bool,
    inclusion: ProvenInclusion,
    /// The `delivery.owed` that holds the body's event.
    pub(super) owed: ProvenRecord,
    /// The signed note.
    pub(super) checkpoint: String,
}

impl CallbackProof {
    /// Of the event that is reported, and of the `delivery.owed` in its commit, both under the
    /// checkpoint that `note` holds.
    #[must_use]
    pub fn new(reported: ProvenRecord, owed: ProvenRecord, note: &Note) -> Self {
        Self {
            position: reported.position,
            header: reported.header,
            salt: reported.salt,
            payload: reported.payload,
            erased: reported.erased,
            inclusion: reported.inclusion,
            owed,
            checkpoint: note.to_string(),
        }
    }

    /// The two records: the event that is reported, and what is owed because of it.
    pub(super) fn into_records(self) -> (ProvenRecord, ProvenRecord) {
        let reported = ProvenRecord {
            position: self.position,
            header: self.header,
            salt: self.salt,
            payload: self.payload,
            erased: self.erased,
            inclusion: self.inclusion,
        };
        (reported, self.owed)
    }
}

/// The `proof` of a body that went without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnavailableProof {
    /// The position of the event that is reported.
    pub position: u64,
    /// Why, and where the proof can be had.
    pub unavailable: String,
}
