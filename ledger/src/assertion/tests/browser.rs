//! Decisions made in Chromium with its virtual authenticator, on the approval page, as they stood in
//! the decision events: one approval, one denial with a reason.

use super::*;
use crate::blob::Blob;
use crate::statement::Statement;
use crate::statement::{Decision, ReasonDigest};
use serde_json::Value;

const BROWSER: &str = include_str!("../../../../fixtures/data/browser_assertion.json");

/// Fields of a recorded decision; binary ones in base64url.
#[derive(Deserialize)]
struct Recorded {
    public_key: String,
    thumbprint: String,
    statement: String,
    reason: Option<String>,
    rp_id: String,
    origin: String,
    credential_id: String,
    client_data_json: String,
    authenticator_data: String,
    signature: String,
    user_handle: String,
    sign_count: u32,
}

fn bytes(text: &str) -> Vec<u8> {
    Blob::from_base64url(text).unwrap().as_slice().to_vec()
}

impl Recorded {
    fn statement(&self) -> Statement {
        let json: Value = serde_json::from_str(&self.statement).unwrap();
        let text = |name: &str| json[name].as_str().unwrap();
        let expires_at: jiff::Timestamp = text("expires_at").parse().unwrap();
        Statement {
            ledger_id: text("ledger_id").parse().unwrap(),
            task_id: Some(text("task_id").parse().unwrap()),
            approval_id: text("approval_id").parse().unwrap(),
            fingerprint: text("fingerprint").parse().unwrap(),
            decision: text("decision").parse().unwrap(),
            reason_digest: self.reason.as_deref().map(ReasonDigest::of),
            expires_at: Timestamp::from_micros(expires_at.as_microsecond()),
        }
    }

    fn verify(&self, statement: &Statement) -> Result<Verified, AssertionError> {
        let assertion = Assertion {
            credential_id: bytes(&self.credential_id),
            client_data_json: bytes(&self.client_data_json),
            authenticator_data: bytes(&self.authenticator_data),
            signature: bytes(&self.signature),
            user_handle: Some(bytes(&self.user_handle)),
        };
        let expectation = Expectation {
            credential_id: &bytes(&self.credential_id),
            rp_id: &self.rp_id,
            origin: &self.origin,
            challenge_binds: statement,
        };
        let public_key = PublicKey::from_cose(&bytes(&self.public_key)).unwrap();
        assert_eq!(
            public_key.thumbprint().as_bytes().as_slice(),
            bytes(&self.thumbprint)
        );
        verify_assertion(&public_key, &assertion, &expectation)
    }
}

fn recorded() -> [Recorded; 2] {
    serde_json::from_str(BROWSER).unwrap()
}

#[test]
fn what_a_browser_signed_is_proven_by_the_event_and_the_public_key() {
    for (case, decision) in recorded().iter().zip([Decision::Approve, Decision::Deny]) {
        let statement = case.statement();
        assert_eq!(statement.decision, decision);
        assert_eq!(statement.canonical_bytes(), case.statement.as_bytes());
        let verified = case.verify(&statement).unwrap();
        assert!(verified.user_verified);
        assert_eq!(verified.sign_count, case.sign_count);
    }
}

#[test]
fn it_proves_no_other_decision_and_no_other_reason() {
    let [approval, denial] = recorded();
    let mut other = approval.statement();
    other.decision = Decision::Deny;
    assert_eq!(approval.verify(&other), Err(AssertionError::OtherStatement));
    let mut other = denial.statement();
    other.reason_digest = Some(ReasonDigest::of("another reason"));
    assert_eq!(denial.verify(&other), Err(AssertionError::OtherStatement));
    other.reason_digest = None;
    assert_eq!(denial.verify(&other), Err(AssertionError::OtherStatement));
    assert!(denial.verify(&approval.statement()).is_err());
}
