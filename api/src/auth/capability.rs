//! Capability tokens: what one agent may do for one task, for some minutes.
//!
//! A token is nothing but a signed copy of what the ledger says of it. Its claims follow from
//! recorded facts alone, so that the same facts give the same token again, and the ledger keeps a
//! hash of the claims, so that a signing secret in the wrong hands is not enough to make one.

use super::bootstrap::Bindings;
use super::jwt::{TokenKey, Validity};
use crate::problem::{ApiError, Unauthorized};
use ledger::{TaskId, Timestamp, TokenId};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;
use std::pin::Pin;
use std::time::Duration;
use subtle::ConstantTimeEq;

/// One scope that the token reaches: `{kind, id}`; the id `*` covers every one of the kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceScope {
    /// `zone` or `account`.
    pub kind: String,
    /// Which one, or `*`.
    pub id: String,
}

/// The claims, in the order in which they are written. Only we issue these tokens, so anything
/// unknown in one is refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilityClaims {
    /// Issuer.
    pub iss: String,
    /// `agent:NAME`.
    pub sub: String,
    /// Audience.
    pub aud: String,
    /// The token's id.
    pub jti: TokenId,
    /// When it was issued, in seconds since 1970.
    pub iat: i64,
    /// Not valid before, in seconds since 1970.
    pub nbf: i64,
    /// Not valid at or after, in seconds since 1970.
    pub exp: i64,
    /// The only task whose paths it opens.
    pub task_id: TaskId,
    /// The agent's name.
    pub agent_id: String,
    /// The operations it may ask for, each once, in the catalog's order.
    pub allowed_ops: Vec<String>,
    /// The scopes it may ask for, each once, sorted.
    pub resource_scopes: Vec<ResourceScope>,
    /// The client that it is bound to.
    pub bindings: Bindings,
    /// The agent's permission revision that it speaks for.
    pub perms_rev: u64,
}

/// SHA-256 of the claims as signed: of the bytes between the token's two dots, decoded. Anybody who
/// holds a token can compute it with a shell and compare it with the ledger.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClaimsHash([u8; 32]);

impl ClaimsHash {
    /// The digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for ClaimsHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl CapabilityClaims {
    /// The hash that the ledger keeps. Parsing a token and writing its claims again gives the same
    /// bytes, because the field order is fixed, unknown fields are refused and there are no floats.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when the claims do not serialise to JSON.
    pub fn hash(&self) -> Result<ClaimsHash, ApiError> {
        let bytes = serde_json::to_vec(self).map_err(ApiError::internal)?;
        Ok(ClaimsHash(Sha256::digest(&bytes).into()))
    }

    /// When it is valid.
    #[must_use]
    pub const fn validity(&self) -> Validity {
        Validity {
            nbf: Some(self.nbf),
            exp: self.exp,
        }
    }
}

/// A signed capability token, to be handed out once and never logged.
#[derive(Clone, PartialEq, Eq)]
pub struct CapabilityToken(String);

impl CapabilityToken {
    /// Signs the claims.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when the claims do not serialise to JSON.
    pub fn sign(key: &TokenKey, claims: &CapabilityClaims) -> Result<Self, ApiError> {
        key.sign(claims).map(Self)
    }

    /// The token's text, for the answer that hands it out.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for CapabilityToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CapabilityToken(redacted)")
    }
}

/// What the ledger says of a capability token at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenStanding {
    /// The hash of the claims that were issued under this id.
    pub claims_hash: [u8; 32],
    /// Taken back: the task was closed or the token renewed.
    pub revoked: bool,
    /// The agent's permissions are at a later revision than the token speaks for.
    pub stale: bool,
}

impl TokenStanding {
    /// Whether a token with these claims was ever issued.
    ///
    /// # Errors
    /// 401 when other claims were issued under this id.
    pub fn vouch_for_issue(&self, claims: &CapabilityClaims) -> Result<(), ApiError> {
        if bool::from(self.claims_hash.ct_eq(claims.hash()?.as_bytes())) {
            Ok(())
        } else {
            Err(Unauthorized::TokenInvalid.into())
        }
    }

    /// Whether the ledger stands by a token with these claims.
    ///
    /// # Errors
    /// 401: other claims than were issued, revoked, stale.
    pub fn vouch_for(&self, claims: &CapabilityClaims) -> Result<(), ApiError> {
        self.vouch_for_issue(claims)?;
        if self.revoked {
            return Err(Unauthorized::TokenRevoked.into());
        }
        if self.stale {
            return Err(Unauthorized::TokenStale.into());
        }
        Ok(())
    }
}

/// An answer that takes a moment.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, ApiError>> + Send + 'a>>;

/// Where the ledger's word on tokens comes from.
pub trait TokenRegistry: Send + Sync + 'static {
    /// The standing of a token; `None` when no such token was issued. It is read from the log's own
    /// state, never from a read table, so that what was taken away is gone with the next request.
    fn standing(&self, id: TokenId) -> Answer<'_, Option<TokenStanding>>;
}

/// Opens a token of ours and checks its time, without leeway: the clock that wrote it is the one
/// that reads it. Whether the ledger stands by it is another question.
///
/// # Errors
/// 401: forged, foreign, of another kind, or out of its time.
pub fn open(key: &TokenKey, token: &str, now: Timestamp) -> Result<CapabilityClaims, Unauthorized> {
    let claims = open_at_any_time(key, token)?;
    claims.validity().check(now, Duration::ZERO)?;
    Ok(claims)
}

/// As [`open`], for renewal, which takes tokens past their time.
///
/// # Errors
/// 401: forged, foreign or of another kind.
pub fn open_at_any_time(key: &TokenKey, token: &str) -> Result<CapabilityClaims, Unauthorized> {
    key.open(token).ok_or(Unauthorized::TokenInvalid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    fn key() -> TokenKey {
        TokenKey::new(&[7; 32], "us", "here")
    }

    fn claims() -> CapabilityClaims {
        CapabilityClaims {
            iss: "us".into(),
            sub: "agent:ci".into(),
            aud: "here".into(),
            jti: TokenId::from_bytes([1; 16]),
            iat: 1_000,
            nbf: 1_000,
            exp: 1_300,
            task_id: TaskId::from_bytes([2; 16]),
            agent_id: "ci".into(),
            allowed_ops: vec!["dns.record.write".into()],
            resource_scopes: vec![ResourceScope {
                kind: "zone".into(),
                id: "z1".into(),
            }],
            bindings: Bindings {
                mtls_subject: "client-a".into(),
            },
            perms_rev: 3,
        }
    }

    #[test]
    fn the_hash_is_of_the_bytes_that_are_signed() {
        let token = CapabilityToken::sign(&key(), &claims()).unwrap();
        let payload = token.reveal().split('.').nth(1).unwrap();
        let signed = URL_SAFE_NO_PAD.decode(payload).unwrap();
        let digest: [u8; 32] = Sha256::digest(&signed).into();
        assert_eq!(claims().hash().unwrap().as_bytes(), &digest);

        let opened = open(&key(), token.reveal(), Timestamp::from_seconds(1_299)).unwrap();
        assert_eq!(opened, claims());
        assert_eq!(opened.hash().unwrap(), claims().hash().unwrap());
    }

    #[test]
    fn it_ends_on_the_second() {
        let token = CapabilityToken::sign(&key(), &claims()).unwrap();
        let at = |seconds| open(&key(), token.reveal(), Timestamp::from_seconds(seconds)).map(drop);
        assert_eq!(at(999), Err(Unauthorized::TokenNotYetValid));
        assert_eq!(at(1_000), Ok(()));
        assert_eq!(at(1_300), Err(Unauthorized::TokenExpired));
        assert!(open_at_any_time(&key(), token.reveal()).is_ok());
    }

    #[test]
    fn the_ledger_must_stand_by_it() {
        let claims_hash = *claims().hash().unwrap().as_bytes();
        let fine = TokenStanding {
            claims_hash,
            revoked: false,
            stale: false,
        };
        assert!(fine.vouch_for(&claims()).is_ok());

        let refused = |standing: TokenStanding| match standing.vouch_for(&claims()) {
            Err(ApiError::Unauthorized(why)) => Some(why),
            _ => None,
        };
        let other = TokenStanding {
            claims_hash: [0; 32],
            ..fine.clone()
        };
        assert_eq!(refused(other), Some(Unauthorized::TokenInvalid));
        let revoked = TokenStanding {
            revoked: true,
            ..fine.clone()
        };
        assert_eq!(refused(revoked), Some(Unauthorized::TokenRevoked));
        let stale = TokenStanding {
            stale: true,
            ..fine
        };
        assert_eq!(refused(stale), Some(Unauthorized::TokenStale));
    }

    #[test]
    fn a_token_with_anything_more_is_not_ours() {
        let mut more = serde_json::to_value(claims()).unwrap();
        more["can_issue_tasks"] = true.into();
        let token = key().sign(&more).unwrap();
        assert_eq!(
            open_at_any_time(&key(), &token),
            Err(Unauthorized::TokenInvalid)
        );
    }

    #[test]
    fn debug_shows_no_token() {
        let token = CapabilityToken::sign(&key(), &claims()).unwrap();
        assert_eq!(format!("{token:?}"), "CapabilityToken(redacted)");
    }
}
