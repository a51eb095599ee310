//! Events of an approver's stream. Frozen forms.

use crate::blob::Blob;
use crate::clock::Timestamp;
use crate::id::{ApproverId, EnrolmentId};
use crate::name::{ApproverName, CredentialId, RecordedThumbprint};
use serde::{Deserialize, Serialize};

/// `approver.registered` 1: the first time the principal is heard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApproverRegistered {
    /// The approver's stream.
    pub approver_id: ApproverId,
    /// The principal.
    pub principal: ApproverName,
}

/// Whether a credential may decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialStatus {
    /// It may.
    Active,
    /// It was taken away.
    Revoked,
}

impl CredentialStatus {
    /// The word in requests and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Revoked => "revoked",
        }
    }
}

/// `approver.credential_put` 1: a credential was added or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialPut {
    /// The credential id, as the authenticator names it.
    pub credential_id: CredentialId,
    /// Whether it may decide.
    pub status: CredentialStatus,
    /// `ES256`, `ES384` or `RS256` of a passkey, `Ed25519` of a command-line key.
    pub algorithm: String,
    /// `cose` of a passkey, `raw` of a command-line key.
    pub public_key_format: String,
    /// The COSE key (RFC 9052), or the 32 bytes of an Ed25519 key (RFC 8032).
    pub public_key: Blob,
    /// RFC 9679 thumbprint of the key.
    pub public_key_thumbprint: RecordedThumbprint,
    /// True when the authenticator may back the key up; learnt at its first use when absent.
    pub backup_eligible: Option<bool>,
    /// The signature counter at registration.
    pub sign_count: u32,
    /// The invitation that was used, when it was registered in a browser.
    pub enrolment_id: Option<EnrolmentId>,
    /// Why, when somebody said so.
    pub reason: Option<String>,
}

/// `approver.backup_eligibility_learnt` 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupEligibilityLearnt {
    /// The credential.
    pub credential_id: CredentialId,
    /// What its first valid assertion said.
    pub backup_eligible: bool,
}

/// `approver.enrolment_opened` 1: an invitation, good for one registration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentOpened {
    /// The invitation.
    pub enrolment_id: EnrolmentId,
    /// Until when it can be used.
    pub expires_at: Timestamp,
}
