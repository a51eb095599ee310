//! Blocks and allows.

use super::lists::next;
use super::locks::LockDuration;
use crate::problem::ApiError;
use app::admissions::{ListedAdmission, Named, NewAdmission};
use projections::Page;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A block or an allow to be set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdmissionRequest {
    /// `agent`, `subject`, `address` or `asn`.
    #[schema(example = "address")]
    kind: String,
    /// The agent's name, the signed subject, an address or a network, or the number of an autonomous system.
    #[schema(example = "192.0.2.0/24")]
    value: String,
    /// How long it lasts: whole seconds, or `10s`, `1m`, `1h`, `1d`, `1w`, `1y`; at most ten years. Until somebody
    /// lifts it when left out.
    #[schema(value_type = Option<String>, example = "1h")]
    duration: Option<LockDuration>,
    /// At most 1000 characters.
    reason: Option<String>,
}

impl AdmissionRequest {
    pub(crate) fn read(self) -> Result<NewAdmission, ApiError> {
        Ok(NewAdmission {
            target: Named::parse(&self.kind, &self.value)?,
            reason: self.reason,
            duration: self.duration.map(LockDuration::read).transpose()?,
        })
    }
}

/// A block or an allow.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Admission {
    id: String,
    kind: String,
    /// Null for an agent that was erased.
    value: Option<String>,
    reason: Option<String>,
    /// Who set it.
    by: String,
    made_at: String,
    /// When it ends by itself; null where it is to be lifted.
    until: Option<String>,
    /// When somebody lifted it; null while nobody has.
    lifted_at: Option<String>,
    /// The question with whose decision it was set.
    approval_id: Option<String>,
}

impl From<ListedAdmission> for Admission {
    fn from(listed: ListedAdmission) -> Self {
        let value = listed.value();
        let view = listed.view;
        Self {
            id: view.admission_id.to_string(),
            kind: view.kind,
            value,
            reason: view.reason,
            by: view.set_by,
            made_at: view.set_at.to_string(),
            until: view.until.map(|at| at.to_string()),
            lifted_at: view.lifted_at.map(|at| at.to_string()),
            approval_id: view.approval_id,
        }
    }
}

/// Blocks, those that have ended too, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BlockList {
    blocks: Vec<Admission>,
    /// The size of the ledger that the list stands for.
    as_of: u64,
    /// The `after` of the next page; null after the last one.
    next: Option<String>,
}

/// Allows, those that have ended too, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AllowList {
    allows: Vec<Admission>,
    /// The size of the ledger that the list stands for.
    as_of: u64,
    /// The `after` of the next page; null after the last one.
    next: Option<String>,
}

impl From<Page<ListedAdmission>> for BlockList {
    fn from(page: Page<ListedAdmission>) -> Self {
        Self {
            blocks: page.rows.into_iter().map(Into::into).collect(),
            as_of: page.as_of,
            next: next(page.next),
        }
    }
}

impl From<Page<ListedAdmission>> for AllowList {
    fn from(page: Page<ListedAdmission>) -> Self {
        Self {
            allows: page.rows.into_iter().map(Into::into).collect(),
            as_of: page.as_of,
            next: next(page.next),
        }
    }
}
