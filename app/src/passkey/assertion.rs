//! The check of what `navigator.credentials.get()` gives back for a decision.

use super::PasskeyRefused;
use super::relying_party::{RelyingParty, with_challenge};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ledger::{Assertion, AssertionError, Bound, Challenge, PublicKey};
use webauthn_rs_core::error::WebauthnError;
use webauthn_rs_core::proto::{
    AttestationFormat, AttestationMetadata, AuthenticatorAssertionResponseRaw, COSEKey, Credential,
    ParsedAttestation, ParsedAttestationData, PublicKeyCredential, RegisteredExtensions,
    UserVerificationPolicy,
};

/// A credential that may decide, as the ledger knows it.
#[derive(Debug, Clone)]
pub struct EligibleCredential {
    pub credential_id: Vec<u8>,
    /// Its key, checked when it was registered.
    pub public_key: PublicKey,
    /// The highest count seen; 0 for authenticators that do not count.
    pub sign_count: u32,
    /// Whether it may exist on more than one device; `None` until a first valid assertion tells.
    pub backup_eligible: Option<bool>,
}

impl RelyingParty {
    /// Checks by the library's rules that this credential's holder, verified by the authenticator, answered
    /// exactly this challenge, and that it binds exactly this decision.
    ///
    /// The ledger checks the whole answer once more, by the rules that an auditor will apply, when it
    /// records the decision; it also asks whether the service made the challenge and how old it is. A
    /// credential whose backup eligibility is not known yet takes the answer's.
    pub fn check_assertion(
        &self,
        credential: &EligibleCredential,
        challenge: &Challenge,
        assertion: &Assertion,
        statement: &dyn Bound,
    ) -> Result<(), PasskeyRefused> {
        let known = library_credential(credential, assertion)?;
        let builder = self.core.new_challenge_authenticate_builder(
            Vec::new(),
            Some(UserVerificationPolicy::Required),
        )?;
        let (_, state) = self.core.generate_challenge_authenticate(builder)?;
        let state = with_challenge(&state, &challenge.to_bytes())?;
        self.core
            .authenticate_single_credential(&browser_answer(assertion), &state, &known)?;
        if !challenge.binds(statement) {
            return Err(AssertionError::OtherStatement.into());
        }
        Ok(())
    }
}

/// Whether the library can check decisions with this key. It takes RSA with a modulus of 2048 bits
/// only, so a longer key would be registered and then refused whenever it is used.
#[must_use]
pub fn is_usable(key: &PublicKey) -> bool {
    library_key(key).is_ok()
}

/// Where authenticator data has its flags (WebAuthn Level 3, section 6.1), and the bit in them that
/// says backup eligibility.
const FLAGS_AT: usize = 32;
const BACKUP_ELIGIBLE: u8 = 1 << 3;

fn library_credential(
    credential: &EligibleCredential,
    assertion: &Assertion,
) -> Result<Credential, PasskeyRefused> {
    let answered = || {
        let flags = assertion.authenticator_data.get(FLAGS_AT);
        flags.is_some_and(|flags| flags & BACKUP_ELIGIBLE != 0)
    };
    Ok(Credential {
        cred_id: credential.credential_id.clone(),
        cred: library_key(&credential.public_key)?,
        counter: credential.sign_count,
        transports: None,
        user_verified: true,
        backup_eligible: credential.backup_eligible.unwrap_or_else(answered),
        backup_state: false,
        registration_policy: UserVerificationPolicy::Required,
        extensions: RegisteredExtensions::none(),
        attestation: ParsedAttestation {
            data: ParsedAttestationData::None,
            metadata: AttestationMetadata::None,
        },
        attestation_format: AttestationFormat::None,
    })
}

fn library_key(key: &PublicKey) -> Result<COSEKey, PasskeyRefused> {
    let cbor: serde_cbor_2::Value =
        serde_cbor_2::from_slice(&key.to_cose()).map_err(WebauthnError::ParseCBORFailure)?;
    Ok(COSEKey::try_from(&cbor)?)
}

fn browser_answer(assertion: &Assertion) -> PublicKeyCredential {
    PublicKeyCredential {
        id: URL_SAFE_NO_PAD.encode(&assertion.credential_id),
        raw_id: assertion.credential_id.clone(),
        response: AuthenticatorAssertionResponseRaw {
            authenticator_data: assertion.authenticator_data.clone(),
            client_data_json: assertion.client_data_json.clone(),
            signature: assertion.signature.clone(),
            user_handle: assertion.user_handle.clone(),
        },
        extensions: Default::default(),
        type_: "public-key".to_owned(),
    }
}
