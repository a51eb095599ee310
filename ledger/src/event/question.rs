//! The event that asks people about something else than an apply. Frozen forms.

use super::evaluation::AskedByPolicy;
use super::policy::PolicyDocument;
use crate::clock::Timestamp;
use crate::fingerprint::Fingerprint;
use crate::id::{ApprovalId, StreamId};
use crate::name::ApproverName;
use crate::policy::PolicyDigest;
use serde::{Deserialize, Serialize};

/// `approval.asked` 1: a question that is not about an apply.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalAsked {
    /// The approval, which is also its stream.
    pub approval_id: ApprovalId,
    /// The subject.
    pub subject: AskedSubject,
    /// Of that subject, in this ledger.
    pub fingerprint: Fingerprint,
    /// Until when it can be decided.
    pub expires_at: Timestamp,
    /// The principals of the configuration who may decide; none where only groups may.
    pub approvers: Vec<ApproverName>,
    /// What an answer needs; absent where no policy was in force.
    pub policy: Option<AskedByPolicy>,
}

/// The subject of a question that is not about an apply. Frozen: variants are only ever added at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AskedSubject {
    /// Another policy.
    PolicyChange(PolicyProposal),
    /// A schedule.
    Schedule(ScheduleProposal),
    /// A review of an approval that was given in an emergency.
    Review(EmergencyReview),
}

/// A change of the policy that waits for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyProposal {
    /// The version that it follows.
    pub follows: u64,
    /// The digest of the tree of that version; absent where that has no document.
    pub replaces: Option<PolicyDigest>,
    /// The document that would be in force; absent: none.
    pub document: Option<PolicyDocument>,
    /// The earlier version whose document it brings back, 0 for none; absent: a document was handed over.
    pub restores: Option<u64>,
}

/// A schedule that waits for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleProposal {
    /// The schedule's stream.
    pub schedule_id: StreamId,
    /// Everything of it that is approved, as canonical JSON.
    pub definition: String,
}

/// An approval that others look at afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmergencyReview {
    /// The approval that was given in an emergency.
    pub approval_id: ApprovalId,
}
