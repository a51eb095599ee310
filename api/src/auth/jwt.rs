//! HS256 tokens (RFC 7519) of one issuer and one audience. Keys are prepared once.
//!
//! The library compares `exp` and `nbf` with the system's clock, which no test can move and which is
//! not the clock that decisions are made by. Its time checks are therefore off, and [`Validity`]
//! checks both claims against the time that it is given.

use crate::problem::{ApiError, Unauthorized};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ledger::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fmt;
use std::time::Duration;

/// How far another issuer's clock may be from ours.
pub const LEEWAY: Duration = Duration::from_secs(30);

/// Nothing that we or an orchestrator issue comes near this; what is longer is not even decoded.
const LONGEST_TOKEN: usize = 32 * 1024;

/// Signs and checks tokens for one (secret, issuer, audience).
#[derive(Clone)]
pub struct TokenKey {
    issuer: String,
    audience: String,
    encoding: EncodingKey,
    decoding: DecodingKey,
    validation: Validation,
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenKey")
            .field("issuer", &self.issuer)
            .field("audience", &self.audience)
            .finish_non_exhaustive()
    }
}

impl TokenKey {
    /// From a secret, and who issues for whom.
    #[must_use]
    pub fn new(secret: &[u8], issuer: &str, audience: &str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[issuer]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["iss", "aud"]);
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self {
            issuer: issuer.to_owned(),
            audience: audience.to_owned(),
            encoding: EncodingKey::from_secret(secret),
            decoding: DecodingKey::from_secret(secret),
            validation,
        }
    }

    /// The `iss` of every token of this key.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The `aud` of every token of this key.
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Signs claims, which must hold this key's `iss` and `aud` themselves.
    ///
    /// # Errors
    /// [`ApiError::Internal`] when the claims do not serialise to JSON.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String, ApiError> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .map_err(ApiError::internal)
    }

    /// The claims, when algorithm, signature, issuer and audience are right. Times are not looked
    /// at: see [`Validity`]. `None` says no more than that, so that nobody learns which it was.
    #[must_use]
    pub fn open<C: DeserializeOwned + Clone>(&self, token: &str) -> Option<C> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        jsonwebtoken::decode::<C>(token, &self.decoding, &self.validation)
            .ok()
            // What must be understood, and nobody here understands (RFC 7515, section 4.1.11).
            .filter(|data| data.header.crit.is_none())
            .map(|data| data.claims)
    }
}

/// A token's `nbf` and `exp`, in seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not valid before; at once when absent.
    pub nbf: Option<i64>,
    /// Not valid at or after.
    pub exp: i64,
}

impl Validity {
    /// Whether a token with these claims counts at `now`, `leeway` either way.
    ///
    /// # Errors
    /// [`Unauthorized::TokenExpired`], [`Unauthorized::TokenNotYetValid`].
    pub fn check(self, now: Timestamp, leeway: Duration) -> Result<(), Unauthorized> {
        if now >= Timestamp::from_seconds(self.exp).plus(leeway) {
            return Err(Unauthorized::TokenExpired);
        }
        match self.nbf {
            Some(nbf) if now < Timestamp::from_seconds(nbf).minus(leeway) => {
                Err(Unauthorized::TokenNotYetValid)
            }
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use serde_json::{Value, json};
    use sha2::Sha256;

    fn key() -> TokenKey {
        TokenKey::new(&[7; 32], "us", "here")
    }

    fn forged(header: &Header, claims: &Value, secret: &[u8]) -> String {
        jsonwebtoken::encode(header, claims, &EncodingKey::from_secret(secret)).unwrap()
    }

    #[test]
    fn only_this_secret_algorithm_issuer_and_audience_open() {
        let fine = json!({"iss": "us", "aud": "here"});
        let hs256 = Header::new(Algorithm::HS256);
        assert_eq!(
            key().open::<Value>(&forged(&hs256, &fine, &[7; 32])),
            Some(fine.clone())
        );

        let refused = [
            forged(&hs256, &fine, &[8; 32]),
            forged(&Header::new(Algorithm::HS512), &fine, &[7; 32]),
            forged(&hs256, &json!({"iss": "them", "aud": "here"}), &[7; 32]),
            forged(&hs256, &json!({"iss": "us", "aud": "there"}), &[7; 32]),
            forged(&hs256, &json!({"iss": "us"}), &[7; 32]),
            forged(&hs256, &json!({"aud": "here"}), &[7; 32]),
            // {"alg":"none"} and no signature
            "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ1cyIsImF1ZCI6ImhlcmUifQ.".to_owned(),
            String::new(),
            "a.b".to_owned(),
            "x".repeat(LONGEST_TOKEN + 1),
        ];
        for token in refused {
            assert_eq!(key().open::<Value>(&token), None, "{token}");
        }
    }

    #[test]
    fn nothing_in_a_tokens_header_chooses_key_or_algorithm() {
        let fine = json!({"iss": "us", "aud": "here"});
        let open = |header: Value, secret: &[u8]| {
            let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
            let signed = format!("{}.{}", part(&header), part(&fine));
            let mac = Hmac::<Sha256>::new_from_slice(secret).unwrap();
            let mac = mac.chain_update(&signed).finalize().into_bytes();
            key().open::<Value>(&format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac)))
        };
        let named = json!({
            "typ": "JWT", "alg": "HS256", "kid": "../../dev/null",
            "jku": "https://attacker.example/keys", "x5u": "https://attacker.example/chain",
            "jwk": {"kty": "oct", "k": URL_SAFE_NO_PAD.encode([8; 32])},
        });
        assert_eq!(open(named.clone(), &[7; 32]), Some(fine.clone()));
        for secret in [&[8; 32][..], b"", b"../../dev/null"] {
            assert_eq!(open(named.clone(), secret), None, "{secret:?}");
        }
        for algorithm in [
            "none", "None", "hs256", "HS384", "HS512", "RS256", "PS256", "ES256", "EdDSA", "",
        ] {
            let header = json!({"typ": "JWT", "alg": algorithm});
            assert_eq!(open(header, &[7; 32]), None, "{algorithm}");
        }
        let critical = json!({"alg": "HS256", "crit": ["exp"], "exp": 1});
        assert_eq!(open(critical, &[7; 32]), None);
    }

    #[test]
    fn a_change_of_any_part_closes_it() {
        let token = key()
            .sign(&json!({"iss": "us", "aud": "here", "n": 1}))
            .unwrap();
        for at in 0..token.len() {
            let mut bytes = token.clone().into_bytes();
            // The last character of a base64 segment can hold bits that decoding refuses anyway.
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            assert_eq!(key().open::<Value>(&changed), None, "{at}");
        }
    }

    #[test]
    fn times_bind_at_their_edges() {
        let at = Timestamp::from_seconds;
        let validity = Validity {
            nbf: Some(100),
            exp: 200,
        };
        for (now, expected) in [
            (
                at(70).minus(Duration::from_micros(1)),
                Err(Unauthorized::TokenNotYetValid),
            ),
            (at(70), Ok(())),
            (at(230).minus(Duration::from_micros(1)), Ok(())),
            (at(230), Err(Unauthorized::TokenExpired)),
        ] {
            assert_eq!(validity.check(now, LEEWAY), expected, "{now}");
        }
        assert_eq!(
            validity.check(at(200), Duration::ZERO),
            Err(Unauthorized::TokenExpired)
        );
        let far = Validity {
            nbf: None,
            exp: i64::MAX,
        };
        assert_eq!(far.check(at(0), LEEWAY), Ok(()));
    }
}
