//! A registration: the options for `navigator.credentials.create()` and the check of what it gives
//! back. No attestation is asked for: who may register is decided by the link, not by the make of the
//! authenticator.

use super::PasskeyRefused;
use super::challenge::{RegistrationChallenge, RegistrationKey};
use super::relying_party::{RelyingParty, with_challenge};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::{EnrolmentId, LedgerId, PublicKey, Timestamp};
use serde::Deserialize;
use serde_cbor_2::Value as CborValue;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{
    AuthenticatorAttestationResponseRaw, COSEAlgorithm, COSEKey, COSEKeyType,
    CreationChallengeResponse, ECDSACurve, PublicKeyCredentialCreationOptions,
    RegisterPublicKeyCredential, RegistrationState, ResidentKeyRequirement, UserVerificationPolicy,
};

const USER_HANDLE_CONTEXT: &[u8] = b"llm-permission-proxy user handle v1";

/// Whose passkey will be registered.
#[derive(Debug, Clone, Copy)]
pub struct Registrant<'a> {
    pub ledger_id: LedgerId,
    pub principal: &'a str,
    /// The name that authenticators show beside the passkey.
    pub name: &'a str,
    /// Ids of all credentials that the principal has had, revoked ones included.
    pub registered: &'a [Vec<u8>],
}

/// What a browser hands over after the ceremony, as bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attestation {
    pub credential_id: Vec<u8>,
    /// The client data exactly as the browser serialised it.
    pub client_data_json: Vec<u8>,
    /// The attestation object, in which the key is.
    pub attestation_object: Vec<u8>,
}

impl Attestation {
    /// The challenge that it answers.
    pub(crate) fn challenge(&self) -> Result<Vec<u8>, PasskeyRefused> {
        let answered: Answered = serde_json::from_slice(&self.client_data_json)
            .map_err(WebauthnError::ParseJSONFailure)?;
        let bytes = URL_SAFE_NO_PAD.decode(answered.challenge);
        bytes.map_err(|_| PasskeyRefused::Challenge)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegisteredCredential {
    pub credential_id: Vec<u8>,
    pub public_key: PublicKey,
    pub sign_count: u32,
    /// Whether it may exist on more than one device.
    pub backup_eligible: bool,
    /// Whether it is backed up now.
    pub backup_state: bool,
}

/// The part of the client data that says which ceremony's answer it is.
#[derive(Deserialize)]
struct Answered {
    challenge: String,
}

impl RelyingParty {
    /// The options, in the form that `PublicKeyCredential.parseCreationOptionsFromJSON` takes.
    ///
    /// # Errors
    /// When the name is empty.
    pub fn registration_options(
        &self,
        challenge: &RegistrationChallenge,
        registrant: &Registrant<'_>,
    ) -> Result<PublicKeyCredentialCreationOptions, PasskeyRefused> {
        let (CreationChallengeResponse { mut public_key }, _) = self.begin(registrant)?;
        public_key.challenge = challenge.as_bytes().to_vec();
        // A hint for the browser: password managers and phones then make a passkey that shows up
        // under the service's name. Decisions name the credentials, so others work as well.
        if let Some(selection) = &mut public_key.authenticator_selection {
            selection.resident_key = Some(ResidentKeyRequirement::Preferred);
        }
        Ok(public_key)
    }

    /// Checks that a verified user made a new credential in answer to a challenge of this enrolment.
    pub fn register(
        &self,
        key: &RegistrationKey,
        enrolment: EnrolmentId,
        registrant: &Registrant<'_>,
        attestation: &Attestation,
        now: Timestamp,
    ) -> Result<RegisteredCredential, PasskeyRefused> {
        // The library refuses a registered credential too, but as one with a changed algorithm.
        if registrant.registered.contains(&attestation.credential_id) {
            return Err(PasskeyRefused::AlreadyRegistered);
        }
        let bytes = attestation.challenge()?;
        let challenge = RegistrationChallenge::accept(key, &bytes, now, enrolment)?;
        let (_, state) = self.begin(registrant)?;
        let state = with_challenge(&state, challenge.as_bytes())?;
        let answer = browser_answer(
            attestation,
            without_statement(&attestation.attestation_object)?,
        );
        let credential = self.core.register_credential(&answer, &state, None)?;
        if credential.cred_id != attestation.credential_id {
            return Err(PasskeyRefused::UnknownCredential);
        }
        Ok(RegisteredCredential {
            public_key: PublicKey::from_cose(&cose(&credential.cred)?)?,
            credential_id: credential.cred_id,
            sign_count: credential.counter,
            backup_eligible: credential.backup_eligible,
            backup_state: credential.backup_state,
        })
    }

    fn begin(
        &self,
        registrant: &Registrant<'_>,
    ) -> Result<(CreationChallengeResponse, RegistrationState), PasskeyRefused> {
        let name = registrant.name;
        let builder = self
            .core
            .new_challenge_register_builder(&user_handle(registrant), name, name)?
            .user_verification_policy(UserVerificationPolicy::Required)
            .credential_algorithms(vec![
                COSEAlgorithm::ES256,
                COSEAlgorithm::ES384,
                COSEAlgorithm::RS256,
            ])
            .exclude_credentials(Some(registrant.registered.to_vec()));
        Ok(self.core.generate_challenge_register(builder)?)
    }
}

/// What authenticators file the passkey under: the same for all passkeys of a principal in this
/// ledger, and no name (WebAuthn Level 3, section 14.6.1).
fn user_handle(registrant: &Registrant<'_>) -> Vec<u8> {
    Sha256::new()
        .chain_update(USER_HANDLE_CONTEXT)
        .chain_update(registrant.ledger_id.as_bytes())
        .chain_update(registrant.principal)
        .finalize()
        .to_vec()
}

/// The attestation object without its statement, which nobody asked for: authenticators send one all the
/// same, and whether it holds decides nothing here (WebAuthn Level 3, section 8.7).
fn without_statement(object: &[u8]) -> Result<Vec<u8>, PasskeyRefused> {
    let read = serde_cbor_2::from_slice(object).map_err(WebauthnError::ParseCBORFailure)?;
    let CborValue::Map(mut parts) = read else {
        // The library says what is wrong with it.
        return Ok(object.to_vec());
    };
    let name = |text: &str| CborValue::Text(text.to_owned());
    parts.insert(name("fmt"), name("none"));
    parts.insert(name("attStmt"), CborValue::Map(BTreeMap::new()));
    serde_cbor_2::to_vec(&CborValue::Map(parts))
        .map_err(|error| WebauthnError::ParseCBORFailure(error).into())
}

fn browser_answer(
    attestation: &Attestation,
    attestation_object: Vec<u8>,
) -> RegisterPublicKeyCredential {
    RegisterPublicKeyCredential {
        id: URL_SAFE_NO_PAD.encode(&attestation.credential_id),
        raw_id: attestation.credential_id.clone(),
        response: AuthenticatorAttestationResponseRaw {
            attestation_object,
            client_data_json: attestation.client_data_json.clone(),
            transports: None,
        },
        type_: "public-key".to_owned(),
        extensions: Default::default(),
    }
}

/// The library's key as a COSE key (RFC 9052, section 7).
fn cose(key: &COSEKey) -> Result<Vec<u8>, PasskeyRefused> {
    let integer = |value: i64| CborValue::Integer(value.into());
    let (key_type, rest) = match &key.key {
        COSEKeyType::EC_EC2(point) => {
            let curve = match point.curve {
                ECDSACurve::SECP256R1 => 1,
                ECDSACurve::SECP384R1 => 2,
                ECDSACurve::SECP521R1 => 3,
            };
            let coordinates = [
                (-1, integer(curve)),
                (-2, CborValue::Bytes(point.x.clone())),
                (-3, CborValue::Bytes(point.y.clone())),
            ];
            (2, coordinates.to_vec())
        }
        COSEKeyType::RSA(rsa) => {
            let numbers = [
                (-1, CborValue::Bytes(rsa.n.clone())),
                (-2, CborValue::Bytes(rsa.e.to_vec())),
            ];
            (3, numbers.to_vec())
        }
        COSEKeyType::EC_OKP(_) => return Err(WebauthnError::COSEKeyInvalidType.into()),
    };
    let parameters = [(1, integer(key_type)), (3, integer(key.type_ as i64))];
    let map = parameters
        .into_iter()
        .chain(rest)
        .map(|(label, value)| (integer(label), value))
        .collect();
    serde_cbor_2::to_vec(&CborValue::Map(map))
        .map_err(|error| WebauthnError::ParseCBORFailure(error).into())
}
