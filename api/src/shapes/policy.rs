//! The policy.

use crate::problem::{ApiError, PolicyProblem};
use app::policies::{Changed, Checked, Document, Version};
use app::policy::Format;
use ledger::aggregate::Approval;
use ledger::policy::Engine;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// A version of the policy with its document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Policy {
    /// 0 where the policy was never changed.
    #[schema(example = 3)]
    version: u64,
    /// SHA-256 of the tree in hexadecimal; null without a document, as all of the document is.
    digest: Option<String>,
    /// The language of its conditions.
    #[schema(value_type = Option<String>, example = "lpp-cel/1")]
    engine: Option<Engine>,
    /// The text that was saved, to the byte.
    source: Option<String>,
    /// `toml` or `json`.
    #[schema(example = "toml")]
    format: Option<&'static str>,
    /// The document with its defaults filled in, groups by id and conditions as trees.
    #[schema(value_type = Option<serde_json::Value>)]
    tree: Option<serde_json::Value>,
    /// Null for version 0.
    #[schema(example = "the service token")]
    author: Option<String>,
    created_at: Option<String>,
    /// The version that it brought back; null where a document was saved.
    restores: Option<u64>,
    /// What the author would be told of it now; a group that it names may be gone.
    warnings: Vec<PolicyProblem>,
}

impl Policy {
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }
}

impl From<Version> for Policy {
    fn from(version: Version) -> Self {
        let warnings = version.warnings.into_iter().map(Into::into).collect();
        let Changed::Once { event, author, at } = version.changed else {
            return Self {
                version: 0,
                digest: None,
                engine: None,
                source: None,
                format: None,
                tree: None,
                author: None,
                created_at: None,
                restores: None,
                warnings,
            };
        };
        let (number, restores) = (event.version, event.restores);
        let document = event.document;
        let tree = document.as_ref().map(|document| document.tree.policy());
        let json = tree.and_then(|tree| serde_json::to_value(&**tree).ok());
        Self {
            version: number,
            digest: document
                .as_ref()
                .map(|document| document.digest.to_string()),
            engine: tree.map(|tree| tree.engine),
            tree: json,
            format: document.as_ref().map(|document| document.format.as_str()),
            source: document.map(|document| document.source),
            author: Some(author),
            created_at: Some(at.to_string()),
            restores,
            warnings,
        }
    }
}

/// A change that people are asked about.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AskedForPolicy {
    /// `requires_approval`
    #[schema(example = "requires_approval")]
    status: &'static str,
    /// The approval; `GET /v1/approvals/{approval_id}` tells how far it is.
    approval_id: String,
    /// For people who may approve it.
    approval_url: String,
    /// Until when it can be decided.
    expires_at: String,
}

impl AskedForPolicy {
    pub(crate) fn of(approval: &Approval, approval_url: String) -> Self {
        Self {
            status: "requires_approval",
            approval_id: approval.id.to_string(),
            approval_url,
            expires_at: approval.expires_at.to_string(),
        }
    }
}

/// Which versions of the policy.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct VersionsQuery {
    /// Go on with versions before this one: `next` of the page before.
    after: Option<u64>,
    /// At most so many, 1 to 200.
    #[param(default = 50)]
    limit: Option<usize>,
}

impl VersionsQuery {
    pub(crate) fn read(&self) -> Result<(Option<u64>, usize), ApiError> {
        let limit = self.limit.unwrap_or(50);
        match (1..=200).contains(&limit) {
            true => Ok((self.after, limit)),
            false => Err(ApiError::bad_request("limit: 1 to 200")),
        }
    }
}

/// Versions of the policy, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyVersions {
    versions: Vec<PolicyVersion>,
    /// The ledger's size that this is as of.
    as_of: u64,
    /// The `after` of the next page; null after the last one.
    next: Option<String>,
}

/// A version of the policy without its document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct PolicyVersion {
    version: u64,
    /// Null where it is no document.
    digest: Option<String>,
    format: Option<&'static str>,
    author: String,
    created_at: String,
    /// The version that it brought back.
    restores: Option<u64>,
}

impl PolicyVersions {
    pub(crate) fn of(listed: &[Changed], as_of: u64) -> Self {
        let versions = listed.iter().filter_map(|changed| match changed {
            Changed::Never => None,
            Changed::Once { event, author, at } => Some(PolicyVersion {
                version: event.version,
                digest: event
                    .document
                    .as_ref()
                    .map(|known| known.digest.to_string()),
                format: event.document.as_ref().map(|known| known.format.as_str()),
                author: author.clone(),
                created_at: at.to_string(),
                restores: event.restores,
            }),
        });
        let versions: Vec<PolicyVersion> = versions.collect();
        let last = versions.last().map(|last| last.version);
        Self {
            next: last.filter(|last| *last > 1).map(|last| last.to_string()),
            as_of,
            versions,
        }
    }
}

/// Which version is to be brought back.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RollbackRequest {
    /// 0: no document.
    #[schema(example = 2)]
    pub(crate) version: u64,
}

/// Cases, and the policy that they are tried on.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TestRequest {
    /// The document: TOML as a text, or an object with the same keys. The one in force where this is absent.
    #[schema(value_type = Option<Value>)]
    policy: Option<Value>,
    /// Up to 1,000 cases, with the keys of a file of cases.
    #[schema(value_type = Vec<Value>)]
    cases: Value,
}

impl TestRequest {
    pub(crate) fn read(self) -> Result<(Option<Document>, Value), ApiError> {
        let document = match self.policy {
            None => None,
            Some(Value::String(text)) => Some(Document {
                source: text.into_bytes(),
                format: Format::Toml,
            }),
            Some(object @ Value::Object(_)) => Some(Document {
                source: object.to_string().into_bytes(),
                format: Format::Json,
            }),
            Some(_) => {
                return Err(ApiError::bad_request(
                    "policy: the document as a text in TOML, or as an object",
                ));
            }
        };
        Ok((document, self.cases))
    }
}

/// What a document is worth.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CheckedPolicy {
    /// Whether it could be saved.
    valid: bool,
    errors: Vec<PolicyProblem>,
    warnings: Vec<PolicyProblem>,
    /// SHA-256 of its tree in hexadecimal; null where it is not valid.
    digest: Option<String>,
}

impl From<Checked> for CheckedPolicy {
    fn from(checked: Checked) -> Self {
        Self {
            valid: checked.errors.is_empty(),
            errors: checked.errors.into_iter().map(Into::into).collect(),
            warnings: checked.warnings.into_iter().map(Into::into).collect(),
            digest: checked.digest.map(|digest| digest.to_string()),
        }
    }
}
