//! What a user puts a passkey to besides decisions: to log in, to show it once more, to show that an
//! approver is theirs.
//!
//! Frozen: signatures over statements must verify for good.

use crate::challenge::Bound;
use crate::id::{LedgerId, SessionId, UserId};
use crate::name::{ApproverName, CredentialId};
use serde_json::json;
use sha2::{Digest as _, Sha256};

/// What for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ceremony {
    /// To open a session. Who it is, the passkey tells.
    Login,
    /// To have shown it a moment ago, in that session.
    StepUp(SessionId),
    /// To be the user whose principal this is from here on.
    Link(UserId, ApproverName),
    /// To open a session by that command-line key.
    KeyLogin(CredentialId),
}

/// A ceremony of one ledger, with everything that makes it unmistakable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityStatement {
    /// The ledger that holds the users.
    pub ledger_id: LedgerId,
    /// The ceremony.
    pub ceremony: Ceremony,
}

impl IdentityStatement {
    /// The canonical JSON (RFC 8785) of `{"ceremony","ledger_id","v":1}` with, where there are any,
    /// `"session_id"`, `"principal"` and `"user_id"`, or `"credential_id"` in base64url.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let ledger_id = self.ledger_id;
        let statement = match &self.ceremony {
            Ceremony::Login => json!({"ceremony": "login", "ledger_id": ledger_id, "v": 1}),
            Ceremony::StepUp(session_id) => json!({
                "ceremony": "step_up", "ledger_id": ledger_id, "session_id": session_id, "v": 1,
            }),
            Ceremony::Link(user_id, principal) => json!({
                "ceremony": "link", "ledger_id": ledger_id, "principal": principal,
                "user_id": user_id, "v": 1,
            }),
            Ceremony::KeyLogin(credential_id) => json!({
                "ceremony": "key_login", "credential_id": credential_id.to_base64url(),
                "ledger_id": ledger_id, "v": 1,
            }),
        };
        // Keys of a JSON object are in order, and its one number is a small whole one.
        statement.to_string().into_bytes()
    }
}

impl Bound for IdentityStatement {
    fn prefix(&self) -> &'static [u8] {
        b"llm-permission-proxy identity v1"
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.canonical_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::{canonicalise, parse_strict};
    use std::collections::HashSet;

    /// By another implementation of JSON and SHA-256.
    const GOLDEN: [&str; 4] = [
        "409a22793c6ae541b22e820207beb14af0bb5465db3c0a424c603c4cc105ab30",
        "3e8a9ab67d0b182548799f2e186d16ee4287f419af2e576941c84e45cd4276f2",
        "cc948e355def5b22dd2fccf56cf41a125cfa16d597a5c527c19fa7b5f24f67ad",
        "14b715a11423d1aadbad2e8ca3aadedf7b652dce8091f3472ffb22db2a27a004",
    ];

    fn all() -> Vec<IdentityStatement> {
        let ceremonies = [
            Ceremony::Login,
            Ceremony::StepUp(SessionId::from_bytes([2; 16])),
            Ceremony::Link(
                UserId::from_bytes([3; 16]),
                ApproverName::unchecked("Zo\u{eb} \"Z\" \u{1}"),
            ),
            Ceremony::KeyLogin(CredentialId::unchecked(b"laptop".as_slice())),
        ];
        let of = |ceremony| IdentityStatement {
            ledger_id: LedgerId::from_bytes([1; 16]),
            ceremony,
        };
        ceremonies.map(of).into()
    }

    #[test]
    fn a_statement_is_canonical_json_which_does_not_change() {
        let statements = all();
        let digests = statements.iter().map(|statement| {
            let bytes = statement.canonical_bytes();
            assert_eq!(canonicalise(&parse_strict(&bytes).unwrap()).unwrap(), bytes);
            hex::encode(statement.digest())
        });
        assert_eq!(digests.collect::<Vec<_>>(), GOLDEN);
    }

    #[test]
    fn no_two_statements_are_bound_by_one_challenge() {
        let digests: HashSet<_> = all().iter().map(Bound::digest).collect();
        assert_eq!(digests.len(), 4);
    }
}
