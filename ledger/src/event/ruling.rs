//! How the policy let a call through where it arrived, as events hold it. Frozen forms.

use super::{CheckedOperation, PolicyEvaluation};
use crate::catalog::Risk;
use crate::operation::{Scope, ScopeId};
use crate::policy::PolicyDigest;
use serde::{Deserialize, Serialize};

/// The most operations of one call that are recorded with what the policy said of them.
const MOST_OPERATIONS: usize = 16;
/// The most bytes of all of them together. The first one is always recorded.
const MOST_BYTES: usize = 4096;

/// The policy's answer to a call, given where it arrived: nobody waits for the ledger there. Who has the policy can
/// evaluate it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallRuling {
    /// The size of the log when the policy was looked up: the version is the one in force at that size, or one that was
    /// recorded after it, before this call.
    pub size: u64,
    /// What it rests on.
    pub basis: RulingBasis,
}

/// The basis of an answer. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RulingBasis {
    /// No document was in force.
    NoDocument,
    /// It lists all objects of a type: a grant covers all of them, and no rule of this version that denies or asks is
    /// about its operation.
    Listed {
        /// The version in force.
        version: u64,
        /// The digest of its tree.
        digest: PolicyDigest,
    },
    /// What the version in force says of each operation that it is held to. They are all of one version.
    Evaluated {
        /// The call's own operation, and those of the messages in it; of many the first.
        operations: Vec<RuledOperation>,
        /// How many more it was held to that are not recorded.
        more: u64,
    },
}

/// What a policy said of one operation of a call, and from what: it is evaluated again as that of an apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuledOperation {
    /// The operation, its object, and the level that a grant must have.
    pub checked: CheckedOperation,
    /// Its risk.
    pub risk: Risk,
    /// A grant covers it, or a stored key does.
    pub granted: bool,
    /// The fields of the request that rules can read, as JSON; absent where no rule about the operation reads any.
    pub params: Option<String>,
    /// What the policy said.
    pub evaluation: PolicyEvaluation,
}

impl RuledOperation {
    /// Its object; `None` for an id that is none.
    #[must_use]
    pub fn scope(&self) -> Option<Scope> {
        ScopeId::of_route(&self.checked.scope_id).map(|id| Scope {
            scope_type: self.checked.scope_type,
            id,
        })
    }

    /// The bytes that it is stored in.
    fn stored(&self) -> usize {
        postcard::to_stdvec(self).map_or(MOST_BYTES, |bytes| bytes.len())
    }
}

impl RulingBasis {
    /// The version and digest of the document that answered; `None` where none was in force.
    #[must_use]
    pub fn document(&self) -> Option<(u64, PolicyDigest)> {
        match self {
            Self::NoDocument => None,
            Self::Listed { version, digest } => Some((*version, *digest)),
            Self::Evaluated { operations, .. } => {
                let first = operations.first()?;
                Some((first.evaluation.version, first.evaluation.digest))
            }
        }
    }
}

impl CallRuling {
    /// Takes in the answer to another operation that the same call is held to, as far as there is room.
    ///
    /// # Errors
    /// Another document answered than before: the policy was changed between the two.
    pub fn join(&mut self, more: Self) -> Result<(), OtherDocument> {
        if self.basis.document() != more.basis.document() {
            return Err(OtherDocument);
        }
        let RulingBasis::Evaluated {
            operations,
            more: left_out,
        } = &mut self.basis
        else {
            return Ok(());
        };
        let RulingBasis::Evaluated {
            operations: others,
            more: others_left_out,
        } = more.basis
        else {
            return Ok(());
        };
        *left_out = left_out.saturating_add(others_left_out);
        for other in others {
            let is_full = *left_out > 0 || operations.len() >= MOST_OPERATIONS || {
                let together = operations.iter().map(RuledOperation::stored);
                together.sum::<usize>() + other.stored() > MOST_BYTES
            };
            match is_full {
                true => *left_out = left_out.saturating_add(1),
                false => operations.push(other),
            }
        }
        Ok(())
    }
}

/// Two answers to one call are by two documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the policy was changed while the call was judged")]
pub struct OtherDocument;
