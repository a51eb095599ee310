//! Events of a policy's stream. Frozen forms.

use crate::canonical::canonicalise;
use crate::id::PolicyId;
use crate::policy::{Policy, PolicyDigest};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::sync::Arc;

/// `policy.changed` 2: from here on this version is in force, with its document or without one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChanged {
    /// The stream of this one version.
    pub policy_id: PolicyId,
    /// One more than the version before; the first is 1.
    pub version: u64,
    /// `None`: grants and risk alone decide, as before the first document.
    pub document: Option<PolicyDocument>,
    /// The earlier version whose document it brings back, 0 for none; `None`: a document was saved.
    pub restores: Option<u64>,
    /// Why it was made without the people whom the policy before it wants, of whom there were not enough; absent where
    /// it was not.
    pub overrides: Option<String>,
}

/// `policy.changed` 1: nobody could make one without the people whom the policy before it wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyChangedV1 {
    /// The stream of this one version.
    pub policy_id: PolicyId,
    /// One more than the version before; the first is 1.
    pub version: u64,
    /// `None`: grants and risk alone decide, as before the first document.
    pub document: Option<PolicyDocument>,
    /// The earlier version whose document it brings back, 0 for none; `None`: a document was saved.
    pub restores: Option<u64>,
}

impl From<PolicyChangedV1> for PolicyChanged {
    fn from(old: PolicyChangedV1) -> Self {
        Self {
            policy_id: old.policy_id,
            version: old.version,
            document: old.document,
            restores: old.restores,
            overrides: None,
        }
    }
}

/// A document as it was saved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyDocument {
    /// Of the tree.
    pub digest: PolicyDigest,
    /// The format of the source.
    pub format: PolicyFormat,
    /// The text that a person wrote, to the byte.
    pub source: String,
    /// What decisions and the auditor evaluate.
    pub tree: StoredTree,
}

/// The format of a policy's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyFormat {
    /// TOML.
    Toml,
    /// JSON with the same keys.
    Json,
}

impl PolicyFormat {
    /// The word on the surface.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Toml => "toml",
            Self::Json => "json",
        }
    }
}

/// A policy's tree, stored as its canonical JSON. A text that is not the canonical JSON of a tree cannot be
/// read, so that nothing is decided by half a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTree(Arc<Policy>);

impl StoredTree {
    /// The tree.
    #[must_use]
    pub const fn policy(&self) -> &Arc<Policy> {
        &self.0
    }

    /// Its canonical JSON.
    ///
    /// # Errors
    /// When it nests deeper than canonical JSON may.
    pub fn canonical(&self) -> Result<String, serde_json::Error> {
        use serde::ser::Error as _;
        let value = serde_json::to_value(&*self.0)?;
        let bytes = canonicalise(&value).map_err(serde_json::Error::custom)?;
        String::from_utf8(bytes).map_err(serde_json::Error::custom)
    }
}

impl From<Policy> for StoredTree {
    fn from(policy: Policy) -> Self {
        Self(Arc::new(policy))
    }
}

impl From<Arc<Policy>> for StoredTree {
    fn from(policy: Arc<Policy>) -> Self {
        Self(policy)
    }
}

impl Serialize for StoredTree {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = self.canonical().map_err(serde::ser::Error::custom)?;
        to.serialize_str(&text)
    }
}

impl<'de> Deserialize<'de> for StoredTree {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        let text = String::deserialize(from)?;
        let policy: Policy = serde_json::from_str(&text).map_err(D::Error::custom)?;
        let tree = Self::from(policy);
        match tree.canonical().map_err(D::Error::custom)? == text {
            true => Ok(tree),
            false => Err(D::Error::custom("the tree is not canonical JSON")),
        }
    }
}
