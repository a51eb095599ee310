//! Signed opaque tokens that stand in links and answers and are stored nowhere: approval links,
//! enrolment links and resume tokens. Each kind has its own audience, so that none is taken for
//! another. They name things; how long those live, and what has become of them, the ledger knows.

use super::jwt::TokenKey;
use crate::refusal::{Error, Unauthorized};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use ledger::{ApprovalId, ApproverName, EnrolmentId, TaskId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use std::marker::PhantomData;

const ISSUER: &str = "llm-permission-proxy";

/// What a kind of signed token says.
pub trait Said: Serialize + DeserializeOwned + Clone {
    /// The `aud` of this kind.
    const AUDIENCE: &'static str;
}

/// An approval link: whoever holds it may look at the question and, with a passkey, answer it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalLink {
    pub approval_id: ApprovalId,
    pub task_id: TaskId,
}

impl Said for ApprovalLink {
    const AUDIENCE: &'static str = "approval_link";
}

/// A resume token: names the approved operations that `continue` carries out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    pub approval_id: ApprovalId,
    pub task_id: TaskId,
    /// Hex of the operations' fingerprint.
    pub fingerprint: String,
    /// When it was handed out, in seconds since 1970.
    pub iat: i64,
}

impl Resume {
    /// As the ledger wants it.
    ///
    /// # Errors
    /// [`Unauthorized::LinkInvalid`] when the fingerprint is none, which we have never signed.
    pub fn read(self) -> Result<ledger::command::Resume, Unauthorized> {
        let fingerprint = self
            .fingerprint
            .parse()
            .map_err(|_| Unauthorized::LinkInvalid)?;
        Ok(ledger::command::Resume {
            task_id: self.task_id,
            approval_id: self.approval_id,
            fingerprint,
        })
    }
}

impl Said for Resume {
    const AUDIENCE: &'static str = "resume";
}

/// An enrolment link: an invitation to register one passkey.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolmentLink {
    pub enrolment_id: EnrolmentId,
    pub principal: ApproverName,
    /// Until when, in seconds since 1970. The ledger says the same, and is asked.
    pub exp: i64,
}

impl EnrolmentLink {
    #[must_use]
    pub const fn expires_at(&self) -> Timestamp {
        Timestamp::from_seconds(self.exp)
    }
}

impl Said for EnrolmentLink {
    const AUDIENCE: &'static str = "enrolment";
}

#[derive(Clone, Serialize, Deserialize)]
struct Envelope<T> {
    iss: String,
    aud: String,
    #[serde(flatten)]
    said: T,
}

/// A signed token's text. It opens something, so it is neither logged nor compared.
#[derive(Clone)]
pub struct SignedToken(String);

impl SignedToken {
    /// The text, for the answer or link that hands it out.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn into_revealed(self) -> String {
        self.0
    }
}

impl fmt::Debug for SignedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SignedToken(redacted)")
    }
}

#[derive(Debug, Clone)]
pub struct LinkKey<T> {
    key: TokenKey,
    /// How the payload of every token of this kind begins, in base64url.
    payload_start: String,
    kind: PhantomData<fn() -> T>,
}

impl<T: Said> LinkKey<T> {
    #[must_use]
    pub fn new(secret: &[u8]) -> Self {
        let json = format!("{{\"iss\":\"{ISSUER}\",\"aud\":\"{}\",", T::AUDIENCE);
        // Three bytes become four characters, whatever comes after them.
        let whole = json.len() / 3 * 3;
        Self {
            key: TokenKey::new(secret, ISSUER, T::AUDIENCE),
            payload_start: URL_SAFE_NO_PAD.encode(&json[..whole]),
            kind: PhantomData,
        }
    }

    /// A key of its own, made of a secret that signs something else as well: a leak of either kind of
    /// token's key material signs none of the other.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes a key of any length (RFC 2104, section 2)"
    )]
    pub fn derived(secret: &[u8], label: &[u8]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
        Self::new(&mac.chain_update(label).finalize().into_bytes())
    }

    /// Signs what is said.
    pub fn sign(&self, said: T) -> Result<SignedToken, Error> {
        let envelope = Envelope {
            iss: ISSUER.to_owned(),
            aud: T::AUDIENCE.to_owned(),
            said,
        };
        self.key.sign(&envelope).map(SignedToken)
    }

    /// What the token says, when it was signed with this secret for this purpose.
    ///
    /// # Errors
    /// [`Unauthorized::LinkInvalid`].
    pub fn open(&self, token: &str) -> Result<T, Unauthorized> {
        // A bearer token is tried with the keys of several kinds, and its beginning costs less to compare
        // than its signature. It proves nothing.
        let payload = token.split('.').nth(1).unwrap_or_default();
        if !payload.starts_with(&self.payload_start) {
            return Err(Unauthorized::LinkInvalid);
        }
        let envelope: Envelope<T> = self.key.open(token).ok_or(Unauthorized::LinkInvalid)?;
        Ok(envelope.said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link() -> ApprovalLink {
        ApprovalLink {
            approval_id: ApprovalId::from_bytes([1; 16]),
            task_id: TaskId::from_bytes([2; 16]),
        }
    }

    #[test]
    fn it_says_what_was_signed() {
        let key = LinkKey::<ApprovalLink>::new(&[7; 32]);
        let token = key.sign(link()).unwrap();
        assert_eq!(key.open(token.reveal()), Ok(link()));
        assert!(!format!("{token:?}").contains(token.reveal()));
    }

    #[test]
    fn neither_another_secret_nor_another_kind_opens_it() {
        let token = LinkKey::<ApprovalLink>::new(&[7; 32]).sign(link()).unwrap();
        let other_secret = LinkKey::<ApprovalLink>::new(&[8; 32]);
        assert_eq!(
            other_secret.open(token.reveal()),
            Err(Unauthorized::LinkInvalid)
        );
        let other_kind = LinkKey::<EnrolmentLink>::new(&[7; 32]);
        assert_eq!(
            other_kind.open(token.reveal()),
            Err(Unauthorized::LinkInvalid)
        );
        let other_kind = LinkKey::<Resume>::new(&[7; 32]);
        assert_eq!(
            other_kind.open(token.reveal()),
            Err(Unauthorized::LinkInvalid)
        );
    }
}
