//! The operations of an apply as they stand in its row: what each is and how far, without params and
//! results, which the ledger has.

use crate::status::OperationProgress;
use crate::store::json_column;
use ledger::event::{CheckedOperation, OperationEnded, OperationOutcome};
use ledger::operation::ScopeId;
use ledger::{OperationId, ScopeType};
use serde::{Deserialize, Serialize};

/// One operation of an apply and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationSummary {
    #[serde(with = "operation_word")]
    pub operation_id: OperationId,
    #[serde(with = "scope_word")]
    pub scope_type: ScopeType,
    pub scope_id: ScopeId,
    pub progress: OperationProgress,
    /// Upstream's HTTP status, where there was an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http_status: Option<u16>,
    /// Upstream's name for the request, in today's JSON under the name of the first provider.
    #[serde(
        rename = "cloudflare_request_id",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub upstream_request_id: Option<String>,
    /// The stable code of its failure, or why its outcome is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The outcome was found by reading back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub reconciled: bool,
}

macro_rules! word_in_json {
    ($module:ident, $type:ty) => {
        mod $module {
            use serde::{Deserialize as _, Deserializer, Serializer, de::Error as _};

            pub(super) fn serialize<S: Serializer>(word: &$type, to: S) -> Result<S::Ok, S::Error> {
                to.serialize_str(word.as_str())
            }

            pub(super) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<$type, D::Error> {
                String::deserialize(from)?.parse().map_err(D::Error::custom)
            }
        }
    };
}
word_in_json!(operation_word, ledger::OperationId);
word_in_json!(scope_word, ledger::ScopeType);

json_column!(Vec<OperationSummary>);

impl OperationSummary {
    pub(super) fn waiting(checked: &CheckedOperation) -> Self {
        Self {
            operation_id: checked.operation,
            scope_type: checked.scope_type,
            scope_id: checked.scope_id.clone(),
            progress: OperationProgress::Waiting,
            http_status: None,
            upstream_request_id: None,
            error: None,
            reconciled: false,
        }
    }

    /// The same operation, as it was asked for.
    pub(super) fn untried(asked: &Self) -> Self {
        Self {
            operation_id: asked.operation_id,
            scope_type: asked.scope_type,
            scope_id: asked.scope_id.clone(),
            progress: OperationProgress::Waiting,
            http_status: None,
            upstream_request_id: None,
            error: None,
            reconciled: false,
        }
    }

    pub(super) const fn has_ended(&self) -> bool {
        !matches!(
            self.progress,
            OperationProgress::Waiting | OperationProgress::Started
        )
    }

    pub(super) fn end(&mut self, ended: &OperationEnded) {
        self.reconciled = ended.reconciled;
        match &ended.outcome {
            OperationOutcome::Succeeded {
                http_status,
                request_id,
                ..
            } => {
                self.progress = OperationProgress::Succeeded;
                self.http_status = *http_status;
                self.upstream_request_id.clone_from(request_id);
            }
            OperationOutcome::Failed {
                http_status,
                request_id,
                code,
                ..
            } => {
                self.progress = OperationProgress::Failed;
                self.http_status = *http_status;
                self.upstream_request_id.clone_from(request_id);
                self.error = Some(code.clone());
            }
            OperationOutcome::Unknown { why } => {
                self.progress = OperationProgress::Unknown;
                self.http_status = ended.evidence.http_status;
                self.upstream_request_id
                    .clone_from(&ended.evidence.request_id);
                self.error = Some(why.clone());
            }
        }
    }
}
