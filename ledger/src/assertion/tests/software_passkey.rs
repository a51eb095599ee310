//! A ceremony with an authenticator that is not ours, from registration to decision.

use super::*;
use crate::statement::Statement;
use minicbor::Decoder;
use url::Url;
use webauthn_authenticator_rs::AuthenticatorBackend;
use webauthn_authenticator_rs::softpasskey::SoftPasskey;
use webauthn_rs_proto::{
    AllowCredentials, AuthenticatorSelectionCriteria, PubKeyCredParams,
    PublicKeyCredentialCreationOptions, PublicKeyCredentialRequestOptions, RelyingParty, User,
    UserVerificationPolicy,
};

struct Registered {
    passkey: SoftPasskey,
    credential_id: Vec<u8>,
    public_key: PublicKey,
}

fn origin() -> Url {
    Url::parse(ORIGIN).unwrap()
}

fn register() -> Registered {
    let options = PublicKeyCredentialCreationOptions {
        rp: RelyingParty {
            name: "proxy".to_owned(),
            id: RP_ID.to_owned(),
        },
        user: User {
            id: vec![1; 16],
            name: "alice".to_owned(),
            display_name: "Alice".to_owned(),
        },
        challenge: vec![2; 32],
        pub_key_cred_params: vec![PubKeyCredParams {
            type_: "public-key".to_owned(),
            alg: -7,
        }],
        timeout: None,
        exclude_credentials: None,
        authenticator_selection: Some(AuthenticatorSelectionCriteria {
            user_verification: UserVerificationPolicy::Required,
            ..AuthenticatorSelectionCriteria::default()
        }),
        hints: None,
        attestation: None,
        attestation_formats: None,
        extensions: None,
    };
    let mut passkey = SoftPasskey::new(true);
    let answer = passkey.perform_register(origin(), options, 1_000).unwrap();
    Registered {
        passkey,
        credential_id: answer.raw_id.to_vec(),
        public_key: PublicKey::from_cose(&attested_key(&answer.response.attestation_object))
            .unwrap(),
    }
}

/// The COSE key out of an attestation object: it follows the credential id, which follows the fixed
/// part, the AAGUID and a length.
fn attested_key(attestation_object: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(attestation_object);
    for _ in 0..decoder.map().unwrap().unwrap() {
        if decoder.str().unwrap() != "authData" {
            decoder.skip().unwrap();
            continue;
        }
        let data = decoder.bytes().unwrap();
        let id_len = usize::from(u16::from_be_bytes([data[53], data[54]]));
        return data[55 + id_len..].to_vec();
    }
    panic!("no authenticator data in the attestation object");
}

impl Registered {
    fn decide(&mut self, statement: &Statement, verify_user: bool) -> Assertion {
        let options = PublicKeyCredentialRequestOptions {
            challenge: challenge_for(statement).to_bytes(),
            timeout: None,
            rp_id: RP_ID.to_owned(),
            allow_credentials: vec![AllowCredentials {
                type_: "public-key".to_owned(),
                id: self.credential_id.clone(),
                transports: None,
            }],
            user_verification: if verify_user {
                UserVerificationPolicy::Required
            } else {
                UserVerificationPolicy::Discouraged_DO_NOT_USE
            },
            hints: None,
            extensions: None,
        };
        let answer = self.passkey.perform_auth(origin(), options, 1_000).unwrap();
        Assertion {
            credential_id: answer.raw_id.to_vec(),
            client_data_json: answer.response.client_data_json.to_vec(),
            authenticator_data: answer.response.authenticator_data.to_vec(),
            signature: answer.response.signature.to_vec(),
            user_handle: None,
        }
    }

    fn verify(
        &self,
        assertion: &Assertion,
        statement: &Statement,
    ) -> Result<Verified, AssertionError> {
        let expectation = Expectation {
            credential_id: &self.credential_id,
            rp_id: RP_ID,
            origin: ORIGIN,
            challenge_binds: statement,
        };
        verify_assertion(&self.public_key, assertion, &expectation)
    }
}

#[test]
fn its_decisions_verify_and_count_up() {
    let mut registered = register();
    for (case, count) in statements().into_iter().zip(1..) {
        let assertion = registered.decide(&case.statement(), true);
        let verified = registered.verify(&assertion, &case.statement()).unwrap();
        assert_eq!(verified.sign_count, count);
        assert!(verified.user_verified && !verified.backup_eligible && !verified.backup_state);
    }
}

#[test]
fn its_approval_is_no_denial() {
    let mut registered = register();
    let (approve, deny) = (statements()[0].statement(), statements()[1].statement());
    let assertion = registered.decide(&approve, true);
    assert!(registered.verify(&assertion, &approve).is_ok());
    assert_eq!(
        registered.verify(&assertion, &deny),
        Err(AssertionError::OtherStatement)
    );
}

#[test]
fn its_decision_without_user_verification_does_not_count() {
    let mut registered = register();
    let assertion = registered.decide(&statement(), false);
    assert_eq!(
        registered.verify(&assertion, &statement()),
        Err(AssertionError::UserVerification)
    );
}

#[test]
fn another_passkeys_decision_does_not_count() {
    let (mut one, two) = (register(), register());
    let assertion = one.decide(&statement(), true);
    assert_eq!(
        two.verify(&assertion, &statement()),
        Err(AssertionError::OtherCredential)
    );
    let renamed = Assertion {
        credential_id: two.credential_id.clone(),
        ..assertion
    };
    assert_eq!(
        two.verify(&renamed, &statement()),
        Err(AssertionError::Signature)
    );
}
