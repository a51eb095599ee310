//! HS256 tokens (RFC 7519) of one issuer and one audience. Keys are prepared once.
//!
//! The library compares `exp` and `nbf` with the system's clock, which no test can move and which is
//! not the clock that decisions are made by. Its time checks are therefore off, and [`Validity`]
//! checks both claims against the time that it is given.

use crate::refusal::{Error as Refused, Unauthorized};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::verify;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use ledger::Timestamp;
use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
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
    /// [`Refused::Defect`] when the claims do not serialise to JSON.
    pub fn sign<C: Serialize>(&self, claims: &C) -> Result<String, Refused> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .map_err(Refused::defect)
    }

    /// The claims of a token whose issuer may be another program: once the signature is right, what is
    /// wrong with a claim is told by its name, because only a holder of the secret learns it.
    ///
    /// # Errors
    /// [`Unauthorized::TokenInvalid`] before that, [`Unauthorized::TokenClaim`] after it.
    pub fn open_explained<C: DeserializeOwned>(
        &self,
        token: &str,
        claims: Claims,
    ) -> Result<C, Unauthorized> {
        let payload = self.signed(token).ok_or(Unauthorized::TokenInvalid)?;
        let named: Named =
            serde_json::from_slice(&payload).map_err(|_| Unauthorized::TokenInvalid)?;
        if named.iss != self.issuer.as_str() {
            return Err(claims.refused("iss"));
        }
        // One audience or several (RFC 7519, section 4.1.3).
        let several = named.aud.as_array().map_or(&[][..], Vec::as_slice);
        let mut audiences = std::iter::once(&named.aud).chain(several);
        if !audiences.any(|audience| audience == self.audience.as_str()) {
            return Err(claims.refused("aud"));
        }
        let reader = &mut serde_json::Deserializer::from_slice(&payload);
        serde_path_to_error::deserialize(reader).map_err(|error| {
            let path = error.path().to_string();
            // A claim that is missing has no place of its own; serde names it in its text.
            let text = error.inner().to_string();
            let claim = match path.split_once('.') {
                _ if path == "." => text.split('`').nth(1).unwrap_or_default(),
                Some((first, _)) => first,
                None => path.as_str(),
            };
            claims.refused(claim)
        })
    }

    /// The payload of a token whose algorithm and signature are right.
    fn signed(&self, token: &str) -> Option<Vec<u8>> {
        if token.len() > LONGEST_TOKEN {
            return None;
        }
        let header = jsonwebtoken::decode_header(token).ok()?;
        // What must be understood, and nobody here understands (RFC 7515, section 4.1.11).
        if header.alg != Algorithm::HS256 || header.crit.is_some() {
            return None;
        }
        // The library's own decoding refuses claims of a wrong type without saying which.
        let (message, signature) = token.rsplit_once('.')?;
        let (_, payload) = message.split_once('.')?;
        let key = &self.decoding;
        let right = verify(signature, message.as_bytes(), key, Algorithm::HS256);
        right.is_ok_and(|right| right).then_some(())?;
        URL_SAFE_NO_PAD.decode(payload).ok()
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

/// The issuer and the audience, before anything else is read.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    iss: Value,
    #[serde(default)]
    aud: Value,
}

/// The claims of a kind of token, each with what it must be: `("exp", "must be …")`.
#[derive(Debug, Clone, Copy)]
pub struct Claims(pub &'static [(&'static str, &'static str)]);

impl Claims {
    /// The refusal that names the claim.
    #[must_use]
    pub fn refused(self, claim: &str) -> Unauthorized {
        let known = self.0.iter().find(|(name, _)| *name == claim);
        known.map_or(Unauthorized::TokenInvalid, |(claim, must)| {
            Unauthorized::TokenClaim { claim, must }
        })
    }
}

/// A moment in a token: seconds since 1970, whole or not (RFC 7519, section 2, NumericDate). One that no
/// clock will show is the last that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NumericDate(pub Timestamp);

impl<'de> Deserialize<'de> for NumericDate {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Seconds;
        impl Visitor<'_> for Seconds {
            type Value = NumericDate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of seconds since 1970")
            }

            fn visit_i64<E: Error>(self, seconds: i64) -> Result<NumericDate, E> {
                Ok(NumericDate(Timestamp::from_seconds(seconds)))
            }

            fn visit_u64<E: Error>(self, seconds: u64) -> Result<NumericDate, E> {
                self.visit_i64(i64::try_from(seconds).unwrap_or(i64::MAX))
            }

            fn visit_f64<E: Error>(self, seconds: f64) -> Result<NumericDate, E> {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "what is beyond the last moment becomes the last moment"
                )]
                let micros = (seconds * 1e6).floor() as i64;
                Ok(NumericDate(Timestamp::from_micros(micros)))
            }
        }
        reader.deserialize_any(Seconds)
    }
}

/// A token's `nbf` and `exp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// Not valid before; at once when absent.
    pub nbf: Option<Timestamp>,
    /// Not valid at or after.
    pub exp: Timestamp,
}

impl Validity {
    /// Whether a token with these claims counts at `now`, `leeway` either way.
    pub fn check(self, now: Timestamp, leeway: Duration) -> Result<(), Unauthorized> {
        if now >= self.exp.plus(leeway) {
            return Err(Unauthorized::TokenExpired);
        }
        match self.nbf {
            Some(nbf) if now < nbf.minus(leeway) => Err(Unauthorized::TokenNotYetValid),
            Some(_) | None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use serde_json::json;
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
    fn what_is_explained_was_signed_with_this_secret() {
        const CLAIMS: Claims = Claims(&[("iss", "must be ours"), ("n", "must be a number")]);
        #[derive(Debug, Deserialize)]
        struct Numbered {
            #[serde(rename = "n")]
            _n: u8,
        }
        let open = |token: &str| key().open_explained::<Numbered>(token, CLAIMS).map(drop);
        let hs256 = Header::new(Algorithm::HS256);
        let fine = json!({"iss": "us", "aud": "here", "n": 1});
        assert_eq!(open(&forged(&hs256, &fine, &[7; 32])), Ok(()));
        let wrong = json!({"iss": "them", "aud": "there", "n": "x"});
        let explained = Err(CLAIMS.refused("iss"));
        assert_eq!(open(&forged(&hs256, &wrong, &[7; 32])), explained);
        let critical = Header {
            crit: Some(vec!["exp".to_owned()]),
            ..hs256.clone()
        };
        for token in [
            forged(&hs256, &wrong, &[8; 32]),
            forged(&Header::new(Algorithm::HS512), &wrong, &[7; 32]),
            forged(&critical, &fine, &[7; 32]),
            forged(&hs256, &fine, &[7; 32]).replace('.', ".."),
            format!("{}x", forged(&hs256, &fine, &[7; 32])),
            "eyJhbGciOiJub25lIn0.eyJpc3MiOiJ1cyIsImF1ZCI6ImhlcmUifQ.".to_owned(),
            String::new(),
            ".".to_owned(),
            "..".to_owned(),
            "x".repeat(LONGEST_TOKEN + 1),
        ] {
            assert_eq!(open(&token), Err(Unauthorized::TokenInvalid), "{token}");
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
    fn a_numeric_date_is_any_number_of_seconds() {
        let read = |text: &str| serde_json::from_str::<NumericDate>(text).map(|date| date.0);
        let at = Timestamp::from_micros;
        for (text, expected) in [
            ("1700000000", at(1_700_000_000_000_000)),
            ("1700000000.5", at(1_700_000_000_500_000)),
            ("1700000000.0", at(1_700_000_000_000_000)),
            ("1.7e9", at(1_700_000_000_000_000)),
            ("0", at(0)),
            ("-1.5", at(-1_500_000)),
            // Never later than it says.
            ("0.9999999", at(999_999)),
        ] {
            assert_eq!(read(text).unwrap(), expected, "{text}");
        }
        let last = read("4611686018427387904").unwrap();
        for text in ["18446744073709551615", "99999999999999999999999", "1e300"] {
            assert_eq!(
                read(text).unwrap().as_seconds(),
                last.as_seconds(),
                "{text}"
            );
        }
        for text in ["\"1700000000\"", "null", "true", "[1]", "{}"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times_bind_at_their_edges() {
        let at = Timestamp::from_seconds;
        let validity = Validity {
            nbf: Some(at(100)),
            exp: at(200),
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
            exp: at(i64::MAX),
        };
        assert_eq!(far.check(at(0), LEEWAY), Ok(()));
    }
}
