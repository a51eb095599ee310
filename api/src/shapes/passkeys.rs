//! What the pages behind approval and enrolment links exchange with the service.

use crate::problem::ApiError;
use ledger::{Assertion, Blob, Decision};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

/// Which decision a challenge is asked for.
#[derive(Debug, Default, Deserialize, ToSchema, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct DecisionRequest {
    /// `approve` or `deny`; approve when left out.
    #[serde(default)]
    #[schema(pattern = "^(approve|deny)$")]
    #[param(pattern = "^(approve|deny)$")]
    pub(crate) decision: Option<String>,
    /// Why; the agent sees it. At most 1000 characters.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// The answer of a passkey to the options, with the decision that they were asked for. Binary values
/// are base64url.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct VerifyRequest {
    /// Which credential signed.
    pub(crate) credential_id: String,
    /// `response.clientDataJSON`
    pub(crate) client_data_json: String,
    /// `response.authenticatorData`
    pub(crate) authenticator_data: String,
    /// `response.signature`
    pub(crate) signature: String,
    /// `response.userHandle`
    #[serde(default)]
    pub(crate) user_handle: Option<String>,
    /// As in the options.
    #[serde(default)]
    pub(crate) decision: Option<String>,
    /// As in the options.
    #[serde(default)]
    pub(crate) reason: Option<String>,
}

/// A recorded decision.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Decided {
    /// The approval.
    pub(crate) approval_id: String,
    /// `approved` or `denied`.
    pub(crate) status: &'static str,
    /// Its task.
    pub(crate) task_id: String,
}

/// Where a question stands, for a page that is open.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Standing {
    /// The approval.
    pub(crate) approval_id: String,
    /// `pending`, `approved`, `denied`, `expired`, `cancelled` or `consumed`.
    pub(crate) state: &'static str,
    /// What the operations would change has been read upstream, or needs no reading.
    pub(crate) upstream_read: bool,
}

/// What a browser made of the creation options. Binary values are base64url.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RegistrationRequest {
    /// The new credential's id.
    pub(crate) credential_id: String,
    /// `response.clientDataJSON`
    pub(crate) client_data_json: String,
    /// `response.attestationObject`
    pub(crate) attestation_object: String,
}

/// A registered passkey.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Registered {
    /// Whose it is.
    pub(crate) approver_principal: String,
    /// Its id, base64url.
    pub(crate) credential_id: String,
    /// Always `active`.
    pub(crate) status: &'static str,
    /// RFC 9679 thumbprint of the public key, base64url: to be kept by the approver, and given to auditors.
    pub(crate) public_key_thumbprint: String,
    /// Whether this approver may decide as the service is configured.
    pub(crate) may_decide: bool,
}

impl DecisionRequest {
    /// The decision, approve where none was named.
    pub(crate) fn decision(&self) -> Result<Decision, ApiError> {
        decision(self.decision.as_deref())
    }
}

impl VerifyRequest {
    /// The decision, approve where none was named.
    pub(crate) fn decision(&self) -> Result<Decision, ApiError> {
        decision(self.decision.as_deref())
    }

    /// The bytes of the assertion.
    pub(crate) fn assertion(&self) -> Result<Assertion, ApiError> {
        Ok(Assertion {
            credential_id: bytes("credential_id", &self.credential_id)?,
            client_data_json: bytes("client_data_json", &self.client_data_json)?,
            authenticator_data: bytes("authenticator_data", &self.authenticator_data)?,
            signature: bytes("signature", &self.signature)?,
            user_handle: self
                .user_handle
                .as_deref()
                .map(|text| bytes("user_handle", text))
                .transpose()?,
        })
    }
}

fn decision(word: Option<&str>) -> Result<Decision, ApiError> {
    word.map_or(Ok(Decision::Approve), |word| {
        word.parse()
            .map_err(|why| ApiError::bad_request(format!("decision: {why}")))
    })
}

/// Reads base64url, with or without padding, naming the field.
pub(crate) fn bytes(field: &str, text: &str) -> Result<Vec<u8>, ApiError> {
    Blob::from_base64url(text)
        .map(|blob| blob.as_slice().to_vec())
        .ok_or_else(|| ApiError::bad_request(format!("{field}: expected base64url")))
}
