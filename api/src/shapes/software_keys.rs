//! Command-line keys: those that are one's own, and logging in by one.

use super::approvers::{CredentialView, any_base64, credential_id};
use super::passkeys::software_signature;
use crate::problem::ApiError;
use app::sessions::LoggedIn;
use ledger::aggregate::Credential;
use ledger::{Blob, Challenge, CredentialId, SoftwareKey, SoftwareSignature};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A command-line key to be added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SoftwareKeyRequest {
    /// A name for it that no credential has, base64url of 1 to 1023 bytes.
    #[schema(example = "bGFwdG9w")]
    credential_id: String,
    /// The 32 bytes of an Ed25519 public key, base64 or base64url.
    public_key_b64: String,
}

/// The public key in that text, checked.
pub(super) fn software_key(text: &str) -> Result<SoftwareKey, ApiError> {
    let bytes = any_base64(text);
    let bytes = bytes.ok_or_else(|| ApiError::bad_request("public_key_b64: not base64"))?;
    SoftwareKey::from_raw(&bytes)
        .map_err(|why| ApiError::bad_request(format!("public_key_b64: {why}")))
}

impl SoftwareKeyRequest {
    pub(crate) fn read(&self) -> Result<(CredentialId, SoftwareKey), ApiError> {
        let id = credential_id(&self.credential_id)?;
        Ok((id, software_key(&self.public_key_b64)?))
    }
}

/// The command-line keys of who asks that are in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct OwnSoftwareKeys {
    #[serde(rename = "software-keys")]
    software_keys: Vec<CredentialView>,
}

impl OwnSoftwareKeys {
    pub(crate) fn of(keys: &[Credential]) -> Self {
        Self {
            software_keys: keys.iter().map(CredentialView::from).collect(),
        }
    }
}

/// A login by a command-line key that begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyLoginRequest {
    /// base64url
    #[schema(example = "bGFwdG9w")]
    credential_id: String,
}

impl KeyLoginRequest {
    pub(crate) fn credential_id(&self) -> Result<CredentialId, ApiError> {
        credential_id(&self.credential_id)
    }
}

/// A challenge for a login by a command-line key.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeyLoginOptions {
    /// base64url; good once.
    challenge: String,
}

impl From<Challenge> for KeyLoginOptions {
    fn from(challenge: Challenge) -> Self {
        Self {
            challenge: Blob::from(challenge.to_bytes()).to_base64url(),
        }
    }
}

/// The answer of a command-line key to a challenge. Binary values are base64url.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyLoginAnswer {
    /// The key.
    credential_id: String,
    /// As it was given.
    challenge: String,
    /// The Ed25519 signature over `llm-permission-proxy key login v1` and the challenge.
    signature: String,
}

impl KeyLoginAnswer {
    pub(crate) fn signature(&self) -> Result<SoftwareSignature, ApiError> {
        software_signature([&self.credential_id, &self.challenge, &self.signature])
    }
}

/// A session that a command-line key has opened.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct KeySession {
    /// A bearer token, good for at most 15 minutes.
    token: String,
    /// RFC 3339, UTC.
    expires_at: String,
}

impl From<LoggedIn> for KeySession {
    fn from(begun: LoggedIn) -> Self {
        Self {
            expires_at: begun.session.expires_at.to_string(),
            token: begun.bearer.into_revealed(),
        }
    }
}
