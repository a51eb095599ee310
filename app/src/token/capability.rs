//! Capability tokens: what one agent may do for one task, for some minutes.
//!
//! A token is nothing but a signed copy of what the ledger says of it: its claims follow from
//! recorded facts alone, and the ledger keeps their hash, so that a signing secret in the wrong
//! hands is not enough to make one.

use super::jwt::{TokenKey, Validity};
use crate::refusal::{Error, Unauthorized};
use ledger::command::PresentedToken;
use ledger::{AgentName, CapabilityClaims, ClaimsHash, ClientSubject, TaskId, Timestamp, TokenId};
use lru::LruCache;
use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Tokens that are remembered at most.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(1024).unwrap();
/// The longest token that is remembered, in bytes.
const LONGEST_REMEMBERED: usize = 4096;

/// A signed capability token, to be handed out and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct CapabilityToken(String);

impl CapabilityToken {
    /// Signs the claims that the ledger has issued.
    pub fn sign(key: &TokenKey, claims: &CapabilityClaims) -> Result<Self, Error> {
        key.sign(claims).map(Self)
    }

    /// The token's text, by value, for the answer that hands it out.
    #[must_use]
    pub fn into_revealed(self) -> String {
        self.0
    }
}

impl fmt::Debug for CapabilityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CapabilityToken(redacted)")
    }
}

/// The claims of a token whose signature, issuer and audience are right, with its ids read. Whether
/// the ledger stands by it is another question.
#[derive(Debug, Clone)]
pub struct OpenedToken {
    claims: CapabilityClaims,
    claims_hash: ClaimsHash,
    token_id: TokenId,
    task_id: TaskId,
}

impl OpenedToken {
    /// Opens a token at any time; renewal takes those that are past theirs.
    ///
    /// # Errors
    /// [`Unauthorized::TokenInvalid`]: forged, foreign or of another kind.
    pub fn open(key: &TokenKey, token: &str) -> Result<Self, Unauthorized> {
        let claims: CapabilityClaims = key.open(token).ok_or(Unauthorized::TokenInvalid)?;
        let token_id = claims.jti.parse().map_err(|_| Unauthorized::TokenInvalid)?;
        let task_id = claims
            .task_id
            .parse()
            .map_err(|_| Unauthorized::TokenInvalid)?;
        Ok(Self {
            claims_hash: claims.hash(),
            claims,
            token_id,
            task_id,
        })
    }

    /// Checks its time, without leeway: `now` is the ledger's, which wrote it.
    pub fn counts_at(&self, now: Timestamp) -> Result<(), Unauthorized> {
        let validity = Validity {
            nbf: Some(Timestamp::from_seconds(self.claims.nbf)),
            exp: Timestamp::from_seconds(self.claims.exp),
        };
        validity.check(now, Duration::ZERO)
    }

    /// The only task whose paths it opens.
    #[must_use]
    pub const fn task_id(&self) -> TaskId {
        self.task_id
    }

    #[must_use]
    pub fn agent(&self) -> &AgentName {
        &self.claims.agent_id
    }

    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.claims.exp)
    }

    #[must_use]
    pub fn bound_to(&self) -> &ClientSubject {
        &self.claims.bindings.mtls_subject
    }

    /// The token as the ledger wants to see it, presented by a client.
    #[must_use]
    pub fn presented_by(&self, subject: &ClientSubject) -> PresentedToken {
        PresentedToken {
            token_id: self.token_id,
            task_id: self.task_id,
            claims_hash: self.claims_hash.clone(),
            subject: subject.clone(),
        }
    }
}

/// The tokens that were opened last, by their whole text, so that an agent's next request does not check a
/// signature and read claims again. Nothing here says that a token counts: its time and its standing in the
/// ledger are looked at for every request.
pub struct OpenedTokens(Mutex<LruCache<String, Arc<OpenedToken>>>);

impl OpenedTokens {
    /// The token, where it was opened with [`Self::open`] before and is remembered.
    #[must_use]
    pub fn known(&self, token: &str) -> Option<Arc<OpenedToken>> {
        self.tokens().get(token).cloned()
    }

    /// Opens a token with the one key that all of these are opened with, and remembers it.
    ///
    /// # Errors
    /// As [`OpenedToken::open`]; a token that does not open is not remembered.
    pub fn open(&self, key: &TokenKey, token: &str) -> Result<Arc<OpenedToken>, Unauthorized> {
        let opened = Arc::new(OpenedToken::open(key, token)?);
        if token.len() <= LONGEST_REMEMBERED {
            let mut tokens = self.tokens();
            tokens.put(token.to_owned(), Arc::clone(&opened));
        }
        Ok(opened)
    }

    fn tokens(&self) -> MutexGuard<'_, LruCache<String, Arc<OpenedToken>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for OpenedTokens {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(REMEMBERED)))
    }
}

impl fmt::Debug for OpenedTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpenedTokens(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ledger::{Bindings, ScopeClaim};
    use serde_json::Value;

    fn key() -> TokenKey {
        TokenKey::new(&[7; 32], "us", "here")
    }

    fn claims() -> CapabilityClaims {
        CapabilityClaims {
            iss: "us".into(),
            sub: "agent:ci".into(),
            aud: "here".into(),
            jti: TokenId::from_bytes([1; 16]).to_string(),
            iat: 1_000,
            nbf: 1_000,
            exp: 1_300,
            task_id: TaskId::from_bytes([2; 16]).to_string(),
            agent_id: AgentName::unchecked("ci"),
            allowed_ops: vec!["dns.record.write".into()],
            resource_scopes: vec![ScopeClaim {
                kind: "zone".into(),
                id: "z1".into(),
            }],
            bindings: Bindings {
                mtls_subject: ClientSubject::unchecked("client-a"),
            },
            perms_rev: 3,
        }
    }

    fn refusal(claims: &Value) -> Option<Unauthorized> {
        OpenedToken::open(&key(), &key().sign(claims).unwrap()).err()
    }

    #[test]
    fn it_presents_the_hash_of_what_was_signed() {
        let token = CapabilityToken::sign(&key(), &claims()).unwrap();
        assert_eq!(format!("{token:?}"), "CapabilityToken(redacted)");
        let opened = OpenedToken::open(&key(), &token.into_revealed()).unwrap();
        let presented = opened.presented_by(&ClientSubject::unchecked("client-b"));
        assert_eq!(presented.claims_hash, claims().hash());
        assert_eq!(
            presented.subject.as_str(),
            "client-b",
            "who presents it, not who it is bound to"
        );
        assert_eq!(opened.bound_to().as_str(), "client-a");
    }

    #[test]
    fn only_the_whole_text_of_an_opened_token_is_known() {
        let sign = |claims: &CapabilityClaims| {
            let token = CapabilityToken::sign(&key(), claims).unwrap();
            token.into_revealed()
        };
        let tokens = OpenedTokens::default();
        let token = sign(&claims());
        assert!(tokens.known(&token).is_none(), "it was not opened yet");
        let opened = tokens.open(&key(), &token).unwrap();
        assert_eq!(tokens.known(&token).unwrap().claims, opened.claims);
        let (message, signature) = token.rsplit_once('.').unwrap();
        for forged in [message.to_owned(), format!("{message}.A{signature}")] {
            assert!(tokens.open(&key(), &forged).is_err(), "{forged}");
            assert!(tokens.known(&forged).is_none(), "{forged}");
        }
        let long = CapabilityClaims {
            sub: "x".repeat(LONGEST_REMEMBERED),
            ..claims()
        };
        let long = sign(&long);
        tokens.open(&key(), &long).unwrap();
        assert!(tokens.known(&long).is_none(), "it is too long");
        for iat in 2_000..3_024 {
            let other = CapabilityClaims { iat, ..claims() };
            tokens.open(&key(), &sign(&other)).unwrap();
        }
        assert!(tokens.known(&token).is_none(), "1,024 others came after it");
    }

    #[test]
    fn it_ends_on_the_second() {
        let token = CapabilityToken::sign(&key(), &claims())
            .unwrap()
            .into_revealed();
        let at = |seconds| {
            let opened = OpenedToken::open(&key(), &token).unwrap();
            opened.counts_at(Timestamp::from_seconds(seconds))
        };
        assert_eq!(at(999), Err(Unauthorized::TokenNotYetValid));
        assert_eq!(at(1_000), Ok(()));
        assert_eq!(at(1_299), Ok(()));
        assert_eq!(at(1_300), Err(Unauthorized::TokenExpired));
    }

    #[test]
    fn a_token_with_anything_more_or_other_is_not_ours() {
        let fine = serde_json::to_value(claims()).unwrap();
        assert_eq!(refusal(&fine), None);
        for (claim, value) in [("can_issue_tasks", Value::from(true)), ("jti", "1".into())] {
            let mut claims = fine.clone();
            claims[claim] = value;
            assert_eq!(
                refusal(&claims),
                Some(Unauthorized::TokenInvalid),
                "{claim}"
            );
        }
    }
}
