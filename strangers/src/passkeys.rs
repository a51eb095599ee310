//! What authenticators and browsers hand over: keys, assertions, registrations.

#![expect(
    clippy::expect_used,
    reason = "a property that does not hold ends the run"
)]

use crate::cut::{Cut, joined};
use api::passkey::{
    Attestation, PasskeyRefused, RegisteredCredential, Registrant, RegistrationChallenge,
    RegistrationKey, RelyingParty,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fixtures::approver::SoftApprover;
use fixtures::random::SeededRandom;
use ledger::{
    ApprovalId, Assertion, AssertionError, Challenge, ChallengeKey, Decision, EnrolmentId,
    Expectation, Fingerprint, LedgerId, PublicKey, Statement, TaskId, Timestamp, Verified,
    verify_assertion,
};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;
use std::time::Duration;

const RP_ID: &str = "localhost";
const ORIGIN: &str = "http://localhost:8080";
const NOW: Timestamp = Timestamp::from_seconds(1_800_000_000);
const SECRET: &[u8] = b"a secret of at least thirty-two bytes";

/// A key, however it was encoded, has one canonical form and one name.
pub(crate) fn cose_key(bytes: &[u8]) {
    let Ok(key) = PublicKey::from_cose(bytes) else {
        return;
    };
    let canonical = key.to_cose();
    assert!(
        canonical.len() <= bytes.len(),
        "the canonical form is the longer one"
    );
    let again = PublicKey::from_cose(&canonical).expect("a canonical form is a key");
    assert_eq!(again, key);
    assert_eq!(again.to_cose(), canonical);
    assert_eq!(again.thumbprint(), key.thumbprint());
}

fn statement() -> Statement {
    Statement {
        ledger_id: LedgerId::from_bytes([1; 16]),
        task_id: TaskId::from_bytes([2; 16]),
        approval_id: ApprovalId::from_bytes([3; 16]),
        fingerprint: Fingerprint::of(b"operations"),
        decision: Decision::Approve,
        reason_digest: None,
        expires_at: Timestamp::from_seconds(1_800_000_600),
    }
}

static APPROVER: LazyLock<SoftApprover> =
    LazyLock::new(|| SoftApprover::new("alice").without_counter());

static HONEST: LazyLock<Assertion> = LazyLock::new(|| {
    let until = Timestamp::from_seconds(1_800_000_090);
    let key = ChallengeKey::derive(SECRET);
    let challenge = Challenge::issue(&key, [4; 16], until, &statement());
    APPROVER.assert(RP_ID, ORIGIN, &challenge.to_bytes())
});

/// The pieces of an assertion: nothing verifies but what was signed.
pub(crate) fn assertion(bytes: &[u8]) {
    let assertion = pieces(bytes);
    if let Ok(challenge) = assertion.challenge() {
        assert_eq!(Challenge::parse(&challenge.to_bytes()), Ok(challenge));
    }
    if let Ok(verified) = verify(&assertion) {
        assert!(verified.user_verified);
        assert_eq!(assertion.client_data_json, HONEST.client_data_json);
        assert_eq!(assertion.authenticator_data, HONEST.authenticator_data);
    }
}

fn pieces(bytes: &[u8]) -> Assertion {
    let mut cut = Cut::new(bytes);
    Assertion {
        client_data_json: cut.piece().to_vec(),
        authenticator_data: cut.piece().to_vec(),
        signature: cut.piece().to_vec(),
        credential_id: APPROVER.credential_id().to_vec(),
        user_handle: None,
    }
}

fn verify(assertion: &Assertion) -> Result<Verified, AssertionError> {
    let statement = statement();
    let expectation = Expectation {
        credential_id: APPROVER.credential_id(),
        rp_id: RP_ID,
        origin: ORIGIN,
        challenge_binds: &statement,
    };
    verify_assertion(&APPROVER.public_key(), assertion, &expectation)
}

#[cfg(test)]
pub(crate) fn is_verified(bytes: &[u8]) -> bool {
    verify(&pieces(bytes)).is_ok()
}

const ENROLMENT: EnrolmentId = EnrolmentId::from_bytes([7; 16]);

static RELYING_PARTY: LazyLock<RelyingParty> = LazyLock::new(|| {
    RelyingParty::new(RP_ID, ORIGIN, Duration::from_secs(90)).expect("a relying party")
});

/// The pieces of a registration: what is taken is a sound key of the credential that was named.
pub(crate) fn registration(bytes: &[u8]) {
    if let Ok(registered) = registered(bytes) {
        assert_eq!(registered.credential_id, Cut::new(bytes).piece());
        let cose = registered.public_key.to_cose();
        assert_eq!(PublicKey::from_cose(&cose), Ok(registered.public_key));
        assert!(!registered.backup_state || registered.backup_eligible);
    }
}

pub(crate) fn registered(bytes: &[u8]) -> Result<RegisteredCredential, PasskeyRefused> {
    let mut cut = Cut::new(bytes);
    let attestation = Attestation {
        credential_id: cut.piece().to_vec(),
        client_data_json: cut.piece().to_vec(),
        attestation_object: cut.piece().to_vec(),
    };
    let registrant = Registrant {
        ledger_id: LedgerId::from_bytes([1; 16]),
        principal: "alice",
        registered: &[],
    };
    let key = RegistrationKey::derive(SECRET);
    RELYING_PARTY.register(&key, ENROLMENT, &registrant, &attestation, NOW)
}

fn golden() -> Vec<Value> {
    serde_json::from_str(include_str!("../../fixtures/data/assertion.json")).expect("golden data")
}

pub(crate) fn cose_key_seeds() -> Vec<Vec<u8>> {
    let golden = golden();
    let keys = golden
        .iter()
        .filter_map(|case| case.get("public_key_cose")?.as_str());
    keys.filter_map(|key| hex::decode(key).ok()).collect()
}

pub(crate) fn assertion_seeds() -> Vec<Vec<u8>> {
    let honest = &*HONEST;
    let mut seeds = vec![joined([
        &honest.client_data_json,
        &honest.authenticator_data,
        &honest.signature,
    ])];
    seeds.extend(golden().iter().filter_map(|case| {
        let text = |name: &str| case.get(name)?.as_str();
        let client_data = text("client_data_json")?.as_bytes().to_vec();
        let data = hex::decode(text("authenticator_data")?).ok()?;
        let signature = hex::decode(text("signature")?).ok()?;
        Some(joined([client_data, data, signature]))
    }));
    seeds
}

pub(crate) fn registration_seeds() -> Vec<Vec<u8>> {
    let key = RegistrationKey::derive(SECRET);
    let until = Timestamp::from_seconds(1_800_000_090);
    let random = SeededRandom::new(3);
    let challenge = RegistrationChallenge::issue(&key, &random, until, ENROLMENT);
    let client_data = format!(
        r#"{{"type":"webauthn.create","challenge":"{}","origin":"{ORIGIN}","crossOrigin":false}}"#,
        URL_SAFE_NO_PAD.encode(challenge.as_bytes()),
    );
    let keys = [APPROVER.cose_key()].into_iter().chain(cose_key_seeds());
    keys.map(|cose| {
        let credential = b"credential-of-alice";
        let data = authenticator_data(credential, &cose);
        joined([
            credential.as_slice(),
            client_data.as_bytes(),
            &attestation_object(&data),
        ])
    })
    .collect()
}

/// Present, verified, with a credential (WebAuthn Level 3, section 6.1).
fn authenticator_data(credential: &[u8], cose: &[u8]) -> Vec<u8> {
    let length = u16::try_from(credential.len()).unwrap_or(0).to_be_bytes();
    [
        Sha256::digest(RP_ID).as_slice(),
        &[0b0100_0101, 0, 0, 0, 0],
        &[0; 16],
        &length,
        credential,
        cose,
    ]
    .concat()
}

/// `{"fmt": "none", "attStmt": {}, "authData": data}` in CBOR.
fn attestation_object(data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap_or(0).to_be_bytes();
    [
        b"\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x59".as_slice(),
        &length,
        data,
    ]
    .concat()
}
