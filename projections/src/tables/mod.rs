//! The read tables. Each file owns one: its definition, its fold, its queries.

pub(crate) mod agent_keys;
pub(crate) mod agents;
pub(crate) mod applies;
pub(crate) mod approval_deciders;
pub(crate) mod approvals;
pub(crate) mod approver_credentials;
pub(crate) mod approvers;
pub(crate) mod audit_timeline;
pub(crate) mod callbacks;
pub(crate) mod capability_tokens;
pub(crate) mod deliveries;
pub(crate) mod delivery_attempts;
pub(crate) mod erased_streams;
pub(crate) mod execution_queue;
pub(crate) mod fold;
pub(crate) mod groups;
pub(crate) mod key_uses;
pub(crate) mod permissions;
pub(crate) mod task_templates;
pub(crate) mod tasks;
pub(crate) mod timeline_mentions;
pub(crate) mod timeline_topics;

mod operation_summary;

pub use agent_keys::AgentKeyView;
pub use agents::{AgentFilter, AgentView};
pub use applies::ApplyView;
pub(crate) use approval_deciders::DeciderRow;
pub use approvals::{ApprovalFilter, ApprovalView};
pub use approver_credentials::CredentialView;
pub use approvers::ApproverView;
pub use audit_timeline::{TimelineEntry, TimelineTopic};
pub use callbacks::CallbackView;
pub(crate) use capability_tokens::TokenRow;
pub use deliveries::{DeliveryView, DueDelivery, DueSearch, Unproven};
pub use delivery_attempts::AttemptView;
pub use erased_streams::ErasedView;
pub(crate) use execution_queue::QueueRow;
pub(crate) use key_uses::KeyUseRow;
pub use operation_summary::OperationSummary;
pub use permissions::PermissionView;
pub use task_templates::TemplateView;
pub use tasks::{TaskFilter, TaskView};
pub(crate) use timeline_mentions::MentionRow;
pub(crate) use timeline_topics::TopicRow;
