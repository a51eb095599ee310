//! What an auditor does with a decision: nothing but the exported event and the public key is used.

use crate::passkey::Passkey;
use crate::service::Asked;
use ledger::ReasonDigest;
use ledger::event::ApprovalDecided;
use ledger::{
    Assertion, AssertionError, Decision, Expectation, Statement, Timestamp, Verified,
    verify_assertion,
};
use serde_json::Value;

/// A decision event from an export of the ledger.
#[derive(Debug)]
pub(crate) struct Proof(ApprovalDecided);

impl Proof {
    pub(crate) fn read(payload: &Value) -> Self {
        Self(serde_json::from_value(payload.clone()).unwrap())
    }

    /// Who decided.
    pub(crate) fn principal(&self) -> &str {
        &self.0.principal
    }

    /// The reason in the event.
    pub(crate) fn reason(&self) -> Option<&str> {
        self.0.reason.as_deref()
    }

    /// The recorded statement with this decision and reason; its ids must be those of the question.
    pub(crate) fn statement(
        &self,
        asked: &Asked,
        decision: Decision,
        reason: Option<&str>,
    ) -> Statement {
        let json: Value = serde_json::from_str(&self.0.statement).unwrap();
        let text = |name: &str| json[name].as_str().unwrap();
        assert_eq!(text("approval_id"), asked.approval_id);
        assert_eq!(text("task_id"), asked.task_id);
        let expires_at: jiff::Timestamp = text("expires_at").parse().unwrap();
        Statement {
            ledger_id: text("ledger_id").parse().unwrap(),
            task_id: Some(text("task_id").parse().unwrap()),
            approval_id: text("approval_id").parse().unwrap(),
            fingerprint: text("fingerprint").parse().unwrap(),
            decision,
            reason_digest: reason.map(ReasonDigest::of),
            expires_at: Timestamp::from_micros(expires_at.as_microsecond()),
        }
    }

    /// Verifies that the passkey made the decision that the statement says.
    pub(crate) fn verify(
        &self,
        passkey: &Passkey,
        origin: &str,
        statement: &Statement,
    ) -> Result<Verified, AssertionError> {
        let event = &self.0;
        assert_eq!(
            event.public_key_thumbprint.as_slice(),
            passkey.public_key.thumbprint().as_bytes()
        );
        let assertion = Assertion {
            credential_id: event.credential_id.as_slice().to_vec(),
            client_data_json: event.client_data_json.as_slice().to_vec(),
            authenticator_data: event.authenticator_data.as_slice().to_vec(),
            signature: event.signature.as_slice().to_vec(),
            user_handle: None,
        };
        let expectation = Expectation {
            credential_id: &passkey.credential_id,
            rp_id: "localhost",
            origin,
            challenge_binds: statement,
        };
        verify_assertion(&passkey.public_key, &assertion, &expectation)
    }
}
