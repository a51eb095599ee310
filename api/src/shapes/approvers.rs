//! Approvers' credentials, and invitations to register one.

use super::software_keys::software_key;
use super::{reason, word};
use crate::problem::ApiError;
use crate::state::AppState;
use app::enrolments::Invited;
use app::passkey::is_usable;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use ledger::aggregate::{Approver, Credential};
use ledger::command::NewCredential;
use ledger::event::CredentialStatus;
use ledger::{
    Algorithm, ApproverName, Blob, CredentialId, PublicKey, SOFTWARE_KEY_ALGORITHM,
    SOFTWARE_KEY_FORMAT,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A credential to be added or changed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CredentialRequest {
    /// The authenticator's name for it, base64url.
    credential_id: String,
    /// The COSE key (RFC 9052, section 7), or the 32 bytes of an Ed25519 key; base64 or base64url.
    public_key_b64: String,
    /// `active` or `revoked`; active when left out.
    #[serde(default)]
    status: Option<String>,
    /// ES256, ES384 or RS256, ES256 when left out; Ed25519 of a command-line key.
    #[serde(default)]
    algorithm: Option<String>,
    /// `cose` when left out; `raw` of a command-line key.
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
pub(crate) fn credential_id(text: &str) -> Result<CredentialId, ApiError> {
    Blob::from_base64url(text)
        .and_then(|id| CredentialId::parse(id).ok())
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
        match self.public_key_format.as_deref() {
            None | Some("cose") => {}
            Some(SOFTWARE_KEY_FORMAT) => return self.read_software_key(credential_id, status),
            Some(_) => {
                return Err(ApiError::bad_request(
                    "public_key_format: \"cose\", or \"raw\" with algorithm \"Ed25519\"",
                ));
            }
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
            public_key_thumbprint: key.thumbprint().into(),
            backup_eligible: self.backup_eligible,
            sign_count: 0,
        };
        Ok((credential, reason(self.reason)?))
    }
}

impl CredentialRequest {
    /// A command-line key, checked, and the reason.
    fn read_software_key(
        self,
        credential_id: CredentialId,
        status: CredentialStatus,
    ) -> Result<(NewCredential, Option<String>), ApiError> {
        if self.algorithm.as_deref() != Some(SOFTWARE_KEY_ALGORITHM) {
            return Err(ApiError::bad_request(
                "algorithm: a key of format \"raw\" is for \"Ed25519\"",
            ));
        }
        if self.backup_eligible.is_some() {
            return Err(ApiError::bad_request(
                "backup_eligible: only authenticators say that",
            ));
        }
        let key = software_key(&self.public_key_b64)?;
        let credential = NewCredential {
            credential_id,
            status,
            algorithm: SOFTWARE_KEY_ALGORITHM.to_owned(),
            public_key: Blob::from(key.to_raw().to_vec()),
            public_key_thumbprint: key.thumbprint().into(),
            backup_eligible: None,
            sign_count: 0,
        };
        Ok((credential, reason(self.reason)?))
    }
}

/// base64 or base64url, padded or not: both are in use for keys.
pub(super) fn any_base64(text: &str) -> Option<Vec<u8>> {
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
    /// Whether they may decide.
    #[serde(flatten)]
    pub(crate) eligibility: Eligibility,
}

/// Whether a principal may decide as the service is configured.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Eligibility {
    /// Whether APPROVAL_APPROVERS names the principal.
    pub(crate) may_decide: bool,
    /// Where it does not: what to do, and a name that may have been meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) hint: Option<String>,
}

impl Eligibility {
    pub(crate) fn of(state: &AppState, principal: &ApproverName) -> Self {
        Self::among(&state.app.ledger.rules().approvers, principal)
    }

    fn among(approvers: &[ApproverName], principal: &str) -> Self {
        if approvers.iter().any(|known| known.as_str() == principal) {
            return Self {
                may_decide: true,
                hint: None,
            };
        }
        let meant = approvers.iter().find(|known| is_near(known, principal));
        let meant = meant.map_or(String::new(), |known| format!("; did you mean {known:?}?"));
        Self {
            may_decide: false,
            hint: Some(format!(
                "APPROVAL_APPROVERS does not name this principal, so its passkeys decide nothing{meant}"
            )),
        }
    }
}

/// The same but for case, blanks and two letters at most.
fn is_near(known: &str, asked: &str) -> bool {
    let plain = |text: &str| -> Vec<char> {
        let lower = text.to_lowercase();
        lower.chars().filter(|c| !c.is_whitespace()).collect()
    };
    let (known, asked) = (plain(known), plain(asked));
    let most = if known.len().min(asked.len()) < 4 {
        1
    } else {
        2
    };
    // The edit distance, by rows.
    let mut row: Vec<usize> = (0..=asked.len()).collect();
    for (above, left) in known.iter().enumerate() {
        let mut corner = above;
        let mut before = above + 1;
        for (at, right) in (1..).zip(&asked) {
            let Some(cell) = row.get_mut(at) else { break };
            let changed = corner + usize::from(left != right);
            corner = *cell;
            before = changed.min(*cell + 1).min(before + 1);
            *cell = before;
        }
        if let Some(first) = row.first_mut() {
            *first = above + 1;
        }
    }
    row.last().is_some_and(|distance| *distance <= most)
}

/// One credential.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CredentialView {
    /// base64url
    pub(crate) credential_id: String,
    /// `active` or `revoked`.
    pub(crate) status: String,
    /// `ES256`, `ES384` or `RS256`; `Ed25519` of a command-line key.
    pub(crate) algorithm: String,
    /// `cose`; `raw` of a command-line key.
    pub(crate) public_key_format: String,
    /// RFC 9679 thumbprint, base64url.
    pub(crate) public_key_thumbprint: String,
}

impl Credentials {
    pub(crate) fn of(state: &AppState, approver: &Approver) -> Self {
        Self {
            eligibility: Eligibility::of(state, &approver.principal),
            approver_principal: approver.principal.clone().into(),
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

impl From<&projections::CredentialView> for CredentialView {
    fn from(credential: &projections::CredentialView) -> Self {
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
    /// Whether they may decide.
    #[serde(flatten)]
    pub(crate) eligibility: Eligibility,
}

/// An invitation to register one passkey of a user's own.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UserEnrolmentOpened {
    /// To be opened by the user, in the browser that holds the passkey.
    enrolment_url: String,
    /// RFC 3339, UTC.
    expires_at: String,
}

impl UserEnrolmentOpened {
    pub(crate) fn of(state: &AppState, invited: &Invited) -> Self {
        Self {
            enrolment_url: state.enrolment_url(&invited.link),
            expires_at: invited.expires_at.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_was_nearly_right_is_told() {
        let approvers = ["alice", "Zo\u{e9}"].map(ApproverName::unchecked);
        let hint = |principal| Eligibility::among(&approvers, principal).hint;
        assert!(Eligibility::among(&approvers, "alice").may_decide);
        assert_eq!(hint("alice"), None);
        for (asked, meant) in [
            ("Alice", "alice"),
            ("alcie", "alice"),
            ("alic", "alice"),
            ("zoe", "Zo\u{e9}"),
            (" ALICE", "alice"),
        ] {
            let hint = hint(asked).unwrap();
            assert!(
                hint.contains(&format!("did you mean {meant:?}")),
                "{asked}: {hint}"
            );
        }
        for other in ["bob", "mallory", ""] {
            assert!(!hint(other).unwrap().contains("did you mean"), "{other}");
        }
    }
}
