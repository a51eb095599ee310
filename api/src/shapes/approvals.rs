//! Approvals as an agent sees them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The task's newest approval.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalStatus {
    /// The approval.
    pub(crate) approval_id: String,
    /// pending, approved, denied, expired, cancelled or consumed.
    pub(crate) state: String,
    /// Its task.
    pub(crate) task_id: String,
    /// Hex SHA-256 of what is asked.
    pub(crate) operation_fingerprint: String,
    /// RFC 3339, UTC.
    pub(crate) created_at: String,
    /// Until when it can be decided; RFC 3339, UTC.
    pub(crate) expires_at: String,
    /// When it was approved; RFC 3339, UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) approved_at: Option<String>,
    /// What the approver wrote; empty when they denied without a word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) denied_reason: Option<String>,
}

/// Asks for the approval's link.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApproveRequest {
    /// Narrows who decides to this one; it must be one who may already.
    #[serde(default)]
    pub(crate) approver_principal: Option<String>,
}

/// The link for the task's pending apply.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ApprovalLinkView {
    /// The task.
    pub(crate) task_id: String,
    /// The approval.
    pub(crate) approval_id: String,
    /// For a human.
    pub(crate) approval_url: String,
    /// For the agent.
    pub(crate) approval_status_url: String,
    /// RFC 3339, UTC.
    pub(crate) expires_at: String,
}

/// The pending approval as a chat message shows it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DiscordMessage {
    /// The approval.
    pub(crate) approval_id: String,
    /// What stands on the button.
    pub(crate) button_text: String,
    /// What is asked, in one line for each operation.
    pub(crate) approver_summary: String,
    /// Where the button leads.
    pub(crate) approve_url: String,
    /// How long it can still be decided.
    pub(crate) expires_in_seconds: u64,
}
