//! Both ceremonies with a software passkey. Its origin ends in a slash; browsers' do not.

mod registration;

use super::*;
use ledger::{
    Algorithm, ApprovalId, Assertion, Challenge, ChallengeKey, Decision, EnrolmentId, Fingerprint,
    LedgerId, PublicKey, Random, Statement, TaskId, Timestamp,
};
use ledger_sqlite::SystemRandom;
use std::time::Duration;
use url::Url;
use webauthn_authenticator_rs::prelude::WebauthnAuthenticator;
use webauthn_authenticator_rs::softpasskey::SoftPasskey;
use webauthn_rs_core::proto::{
    AllowCredentials, CreationChallengeResponse, PublicKeyCredentialCreationOptions,
    PublicKeyCredentialRequestOptions, RequestChallengeResponse, UserVerificationPolicy,
};

const ORIGIN: &str = "https://proxy.example";
const NOW: Timestamp = Timestamp::from_seconds(1_795_356_000);
const ENROLMENT: EnrolmentId = EnrolmentId::from_bytes([7; 16]);

fn relying_party() -> RelyingParty {
    RelyingParty::new("proxy.example", ORIGIN, Duration::from_secs(90)).unwrap()
}

fn registration_key() -> RegistrationKey {
    RegistrationKey::derive(&[1; 32])
}

fn registrant(registered: &[Vec<u8>]) -> Registrant<'_> {
    Registrant {
        ledger_id: LedgerId::from_bytes([2; 16]),
        principal: "alice",
        name: "alice",
        registered,
    }
}

fn in_a_minute() -> Timestamp {
    NOW.plus(Duration::from_secs(60))
}

fn options() -> PublicKeyCredentialCreationOptions {
    let challenge =
        RegistrationChallenge::issue(&registration_key(), &SystemRandom, in_a_minute(), ENROLMENT);
    relying_party()
        .registration_options(&challenge, &registrant(&[]))
        .unwrap()
}

/// What the browser sends after `passkey` answered at `origin`.
fn create(
    passkey: &mut SoftPasskey,
    origin: &str,
    mut options: PublicKeyCredentialCreationOptions,
) -> Attestation {
    // The software passkey does not keep resident keys.
    options
        .authenticator_selection
        .as_mut()
        .unwrap()
        .require_resident_key = false;
    let options = CreationChallengeResponse {
        public_key: options,
    };
    let made = passkey
        .do_registration(Url::parse(origin).unwrap(), options)
        .unwrap();
    Attestation {
        credential_id: made.raw_id,
        client_data_json: made.response.client_data_json,
        attestation_object: made.response.attestation_object,
    }
}

fn register(
    attestation: &Attestation,
    now: Timestamp,
    enrolment: EnrolmentId,
) -> Result<RegisteredCredential, PasskeyRefused> {
    let key = registration_key();
    relying_party().register(&key, enrolment, &registrant(&[]), attestation, now)
}

/// A registered passkey and what the ledger would know of it.
fn enrolled() -> (SoftPasskey, EligibleCredential) {
    let mut passkey = SoftPasskey::new(true);
    let attestation = create(&mut passkey, ORIGIN, options());
    let made = register(&attestation, NOW, ENROLMENT).unwrap();
    let credential = EligibleCredential {
        credential_id: made.credential_id,
        public_key: made.public_key,
        sign_count: made.sign_count,
        backup_eligible: Some(made.backup_eligible),
    };
    (passkey, credential)
}

fn statement(decision: Decision) -> Statement {
    Statement {
        ledger_id: LedgerId::from_bytes([2; 16]),
        task_id: Some(TaskId::from_bytes([3; 16])),
        approval_id: ApprovalId::from_bytes([4; 16]),
        fingerprint: Fingerprint::from_bytes([5; 32]),
        decision,
        reason_digest: None,
        expires_at: in_a_minute(),
    }
}

fn challenge(decision: Decision) -> Challenge {
    let key = ChallengeKey::derive(&[1; 32]);
    let nonce = SystemRandom.sixteen();
    Challenge::issue(&key, nonce, in_a_minute(), &statement(decision))
}

/// What the browser sends after `passkey` answered `challenge` at `origin`.
fn answer(
    passkey: &mut SoftPasskey,
    origin: &str,
    rp_id: &str,
    verification: UserVerificationPolicy,
    challenge: &Challenge,
    credential: &EligibleCredential,
) -> Assertion {
    let options = RequestChallengeResponse {
        public_key: PublicKeyCredentialRequestOptions {
            challenge: challenge.to_bytes(),
            timeout: None,
            rp_id: rp_id.to_owned(),
            allow_credentials: vec![AllowCredentials {
                type_: "public-key".to_owned(),
                id: credential.credential_id.clone(),
                transports: None,
            }],
            user_verification: verification,
            hints: None,
            extensions: None,
        },
        mediation: None,
    };
    let given = passkey
        .do_authentication(Url::parse(origin).unwrap(), options)
        .unwrap();
    Assertion {
        credential_id: given.raw_id,
        client_data_json: given.response.client_data_json,
        authenticator_data: given.response.authenticator_data,
        signature: given.response.signature,
        user_handle: given.response.user_handle,
    }
}

fn approve(
    passkey: &mut SoftPasskey,
    credential: &EligibleCredential,
) -> Result<(), PasskeyRefused> {
    let challenge = challenge(Decision::Approve);
    let required = UserVerificationPolicy::Required;
    let assertion = answer(
        passkey,
        ORIGIN,
        "proxy.example",
        required,
        &challenge,
        credential,
    );
    let statement = statement(Decision::Approve);
    relying_party().check_assertion(credential, &challenge, &assertion, &statement)
}

#[test]
fn a_registered_passkey_decides_and_its_counter_grows() {
    let (mut passkey, mut credential) = enrolled();
    assert_eq!(credential.public_key.algorithm(), Algorithm::Es256);
    assert_eq!(credential.sign_count, 0);
    approve(&mut passkey, &credential).unwrap();
    credential.sign_count = 1;
    approve(&mut passkey, &credential).unwrap();
}

#[test]
fn the_challenge_that_is_verified_is_the_one_that_was_signed() {
    let (mut passkey, credential) = enrolled();
    let (asked, other) = (challenge(Decision::Approve), challenge(Decision::Approve));
    let required = UserVerificationPolicy::Required;
    let given = answer(
        &mut passkey,
        ORIGIN,
        "proxy.example",
        required,
        &asked,
        &credential,
    );
    assert_eq!(given.challenge().unwrap(), asked);
    let statement = statement(Decision::Approve);
    let party = relying_party();
    let refused = party.check_assertion(&credential, &other, &given, &statement);
    assert!(
        matches!(refused, Err(PasskeyRefused::Challenge)),
        "{refused:?}"
    );
    party
        .check_assertion(&credential, &asked, &given, &statement)
        .unwrap();
}

#[test]
fn an_answer_for_approving_does_not_deny() {
    let (mut passkey, credential) = enrolled();
    let asked = challenge(Decision::Approve);
    let required = UserVerificationPolicy::Required;
    let given = answer(
        &mut passkey,
        ORIGIN,
        "proxy.example",
        required,
        &asked,
        &credential,
    );
    let refused =
        relying_party().check_assertion(&credential, &asked, &given, &statement(Decision::Deny));
    assert!(
        matches!(refused, Err(PasskeyRefused::Unprovable(_))),
        "{refused:?}"
    );
}

#[test]
fn each_wrong_circumstance_is_refused_by_its_name() {
    let (mut passkey, credential) = enrolled();
    let asked = challenge(Decision::Approve);
    let mut given = |origin, rp_id, verification| {
        let given = answer(
            &mut passkey,
            origin,
            rp_id,
            verification,
            &asked,
            &credential,
        );
        let statement = statement(Decision::Approve);
        relying_party().check_assertion(&credential, &asked, &given, &statement)
    };
    let required = UserVerificationPolicy::Required;
    let refused = given("https://proxy.example:8443", "proxy.example", required);
    assert!(
        matches!(refused, Err(PasskeyRefused::Origin)),
        "{refused:?}"
    );
    let refused = given("https://evil.proxy.example", "proxy.example", required);
    assert!(
        matches!(refused, Err(PasskeyRefused::Origin)),
        "{refused:?}"
    );
    let refused = given(ORIGIN, "example", required);
    assert!(
        matches!(refused, Err(PasskeyRefused::RelyingParty)),
        "{refused:?}"
    );
    let refused = given(
        ORIGIN,
        "proxy.example",
        UserVerificationPolicy::Discouraged_DO_NOT_USE,
    );
    assert!(
        matches!(refused, Err(PasskeyRefused::UserVerification)),
        "{refused:?}"
    );
}

#[test]
fn a_counter_that_stands_still_is_refused() {
    let (mut passkey, mut credential) = enrolled();
    credential.sign_count = 1;
    let refused = approve(&mut passkey, &credential);
    assert!(
        matches!(refused, Err(PasskeyRefused::Counter)),
        "{refused:?}"
    );
}

#[test]
fn another_key_and_another_credential_are_refused() {
    let (mut passkey, mut credential) = enrolled();
    let (_, other) = enrolled();
    credential.public_key = other.public_key.clone();
    let refused = approve(&mut passkey, &credential);
    assert!(
        matches!(refused, Err(PasskeyRefused::Signature)),
        "{refused:?}"
    );

    let (mut passkey, credential) = enrolled();
    let asked = challenge(Decision::Approve);
    let required = UserVerificationPolicy::Required;
    let given = answer(
        &mut passkey,
        ORIGIN,
        "proxy.example",
        required,
        &asked,
        &credential,
    );
    let refused =
        relying_party().check_assertion(&other, &asked, &given, &statement(Decision::Approve));
    assert!(
        matches!(refused, Err(PasskeyRefused::UnknownCredential)),
        "{refused:?}"
    );
}

#[test]
fn backup_eligibility_is_learnt_once_and_then_held_to() {
    let (mut passkey, mut credential) = enrolled();
    credential.backup_eligible = None;
    approve(&mut passkey, &credential).unwrap();
    credential.backup_eligible = Some(true);
    let refused = approve(&mut passkey, &credential);
    assert!(
        matches!(refused, Err(PasskeyRefused::BackupFlags)),
        "{refused:?}"
    );
}

#[test]
fn a_key_brought_by_an_administrator_decides() {
    let (mut passkey, mut credential) = enrolled();
    let brought = credential.public_key.to_cose();
    credential.public_key = PublicKey::from_cose(&brought).unwrap();
    credential.backup_eligible = None;
    approve(&mut passkey, &credential).unwrap();
    let mut off_the_curve = brought;
    *off_the_curve.last_mut().unwrap() ^= 1;
    assert!(PublicKey::from_cose(&off_the_curve).is_err());
}

#[test]
fn id_and_origin_must_go_together() {
    let make = |rp_id, origin| {
        RelyingParty::new(rp_id, origin, Duration::from_secs(90)).map(|party| party.origin)
    };
    assert_eq!(
        make("localhost", "http://localhost:8080").unwrap(),
        "http://localhost:8080"
    );
    assert_eq!(
        make("example.com", "https://a.example.com/").unwrap(),
        "https://a.example.com"
    );
    for origin in [
        "http://example.com",
        "https://example.com/path",
        "https://192.0.2.1",
        "https://example.com?x",
        "example.com",
        "https://user@example.com",
    ] {
        assert_eq!(
            make("example.com", origin),
            Err(InvalidRelyingParty::Origin),
            "{origin}"
        );
    }
    for rp_id in ["", "ample.com", "other.com", "a.example.com"] {
        let made = make(rp_id, "https://example.com");
        assert_eq!(made, Err(InvalidRelyingParty::RpId), "{rp_id}");
    }
}

#[test]
fn an_attestation_that_nobody_asked_for_refuses_nobody() {
    use serde_cbor_2::Value;
    let mut passkey = SoftPasskey::new(true);
    for format in ["packed", "fido-u2f", "tpm", "apple", "of a later time"] {
        let mut attestation = create(&mut passkey, ORIGIN, options());
        let object: Value = serde_cbor_2::from_slice(&attestation.attestation_object).unwrap();
        let Value::Map(mut parts) = object else {
            panic!("an attestation object is a map");
        };
        let statement = [(Value::Text("sig".to_owned()), Value::Bytes(vec![1, 2, 3]))];
        parts.insert(
            Value::Text("fmt".to_owned()),
            Value::Text(format.to_owned()),
        );
        let statement = Value::Map(statement.into_iter().collect());
        parts.insert(Value::Text("attStmt".to_owned()), statement);
        attestation.attestation_object = serde_cbor_2::to_vec(&Value::Map(parts)).unwrap();
        register(&attestation, NOW, ENROLMENT)
            .unwrap_or_else(|refused| panic!("{format}: {refused}"));
    }
}
