//! Approvers' credentials, and invitations to register one.

use super::{reason, word};
use crate::passkey::is_usable;
use crate::problem::ApiError;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ledger::aggregate::{Approver, Credential};
use ledger::command::NewCredential;
use ledger::event::CredentialStatus;
use ledger::{Algorithm, Blob, PublicKey};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A credential to be added or changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialRequest {
    /// The authenticator's name for it, base64url.
    credential_id: String,
    /// The COSE key (RFC 9052, section 7), base64 or base64url.
    public_key_b64: String,
    /// `active` or `revoked`; active when left out.
    #[serde(default)]
    status: Option<String>,
    /// ES256, ES384 or RS256; ES256 when left out.
    #[serde(default)]
    algorithm: Option<String>,
    /// Always `cose`.
    #[serde(default)]
    public_key_format: Option<String>,
    /// Whether the authenticator may back the key up; learnt at its first use when left out.
    #[serde(default)]
    backup_eligible: Option<bool>,
    /// Why, for the ledger.
    #[serde(default)]
    reason: Option<String>,
}

/// A credential id as requests name it.
pub(crate) fn credential_id(text: &str) -> Result<Blob, ApiError> {
    Blob::from_base64url(text)
        .filter(|id| (1..=1023).contains(&id.as_slice().len()))
        .ok_or_else(|| ApiError::bad_request("credential_id: base64url of 1 to 1023 bytes"))
}

impl CredentialRequest {
    /// The credential, its key checked, and the reason.
    pub(crate) fn read(self) -> Result<(NewCredential, Option<String>), ApiError> {
        let credential_id = credential_id(&self.credential_id)?;
        let status = match self.status.as_deref() {
            None | Some("active") => CredentialStatus::Active,
            Some("revoked") => CredentialStatus::Revoked,
            Some(_) => {
                return Err(ApiError::bad_request("status: \"active\" or \"revoked\""));
            }
        };
        if self
            .public_key_format
            .is_some_and(|format| format != "cose")
        {
            return Err(ApiError::bad_request("public_key_format: only \"cose\""));
        }
        let algorithm: Algorithm = word(
            "algorithm",
            self.algorithm
                .as_deref()
                .unwrap_or(Algorithm::Es256.as_str()),
        )?;
        let bytes = any_base64(&self.public_key_b64)
            .ok_or_else(|| ApiError::bad_request("public_key_b64: not base64"))?;
        let key = PublicKey::from_cose(&bytes)
            .map_err(|why| ApiError::bad_request(format!("public_key_b64: {why}")))?;
        if !is_usable(&key) {
            return Err(ApiError::bad_request(
                "public_key_b64: an RS256 key must have a modulus of 2048 bits; register an ES256 \
                 key instead",
            ));
        }
        if key.algorithm() != algorithm {
            let detail = format!("algorithm: the key is for {}", key.algorithm().as_str());
            return Err(ApiError::BadRequest { detail });
        }
        let credential = NewCredential {
            credential_id,
            status,
            algorithm: algorithm.as_str().to_owned(),
            public_key: Blob::from(key.to_cose()),
            public_key_thumbprint: Blob::from(key.thumbprint().as_bytes().to_vec()),
            backup_eligible: self.backup_eligible,
            sign_count: 0,
        };
        Ok((credential, reason(self.reason)?))
    }
}

/// base64 or base64url, padded or not: both are in use for keys.
fn any_base64(text: &str) -> Option<Vec<u8>> {
    let bare = text.trim_end_matches('=');
    URL_SAFE_NO_PAD
        .decode(bare)
        .or_else(|_| STANDARD_NO_PAD.decode(bare))
        .ok()
}

/// An approver's credentials.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = CredentialList)]
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

impl From<&Approver> for Credentials {
    fn from(approver: &Approver) -> Self {
        Self {
            approver_principal: approver.principal.clone(),
            credentials: approver
                .credentials
                .iter()
                .map(CredentialView::from)
                .collect(),
        }
    }
}

impl From<&Credential> for CredentialView {
    fn from(credential: &Credential) -> Self {
        Self {
            credential_id: credential.credential_id.to_base64url(),
            status: credential.status.as_str().to_owned(),
            algorithm: credential.algorithm.clone(),
            public_key_format: credential.public_key_format.clone(),
            public_key_thumbprint: credential.public_key_thumbprint.to_base64url(),
        }
    }
}

/// An invitation to register one passkey.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EnrolmentOpened {
    /// To be opened by the approver, in the browser that holds the passkey.
    pub(crate) enrolment_url: String,
    /// RFC 3339, UTC.
    pub(crate) expires_at: String,
}
