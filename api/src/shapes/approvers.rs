//! Approvers' credentials, and invitations to register one.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A credential to be added or changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialRequest {
    /// The authenticator's name for it, base64url.
    pub(crate) credential_id: String,
    /// The COSE key (RFC 9052, section 7), base64 or base64url.
    pub(crate) public_key_b64: String,
    /// `active` or `revoked`; active when left out.
    #[serde(default)]
    pub(crate) status: Option<String>,
    /// ES256, ES384 or RS256; ES256 when left out.
    #[serde(default)]
    pub(crate) algorithm: Option<String>,
    /// Always `cose`.
    #[serde(default)]
    pub(crate) public_key_format: Option<String>,
    /// Whether the authenticator may back the key up; learnt at its first use when left out.
    #[serde(default)]
    pub(crate) backup_eligible: Option<bool>,
    /// Why, for the ledger.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// An approver's credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Credentials {
    /// Who.
    pub(crate) approver_principal: String,
    /// All of them, revoked ones included.
    pub(crate) credentials: Vec<CredentialView>,
}

/// One credential.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialView {
    /// base64url
    pub(crate) credential_id: String,
    /// `active` or `revoked`.
    pub(crate) status: String,
    /// `ES256`, `ES384` or `RS256`.
    pub(crate) algorithm: String,
    /// `cose`
    pub(crate) public_key_format: String,
    /// RFC 9679 thumbprint, base64url.
    pub(crate) public_key_thumbprint: String,
}

/// An invitation to register one passkey.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnrolmentOpened {
    /// To be opened by the approver, in the browser that holds the passkey.
    pub(crate) enrolment_url: String,
    /// RFC 3339, UTC.
    pub(crate) expires_at: String,
}
