//! Opaque tokens that stand in links and answers and are stored nowhere: approval links, enrolment links and
//! resume tokens. They name things; how long those live, and what has become of them, the ledger knows.
//!
//! An approval link is short: the approval's id under a block cipher. The others are signed, each kind
//! with its own audience, so that none is taken for another; approval links were so too, and those that were
//! handed out count as before.

use super::jwt::TokenKey;
use crate::refusal::{Error, Unauthorized};
use aes::Aes256;
use aes::cipher::{Block, BlockCipherDecrypt as _, BlockCipherEncrypt as _, KeyInit as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, Mac as _};
use ledger::{ApprovalId, ApproverName, EnrolmentId, TaskId, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use std::fmt;
use std::marker::PhantomData;
use url::Url;

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
    /// None where the question is not about an apply.
    pub task_id: Option<TaskId>,
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

/// The text of a token. It opens something, so it is neither logged nor compared.
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

/// The key of short approval links. Each approval has one, 22 characters of base64url: its id as AES-256
/// encrypts it under a key that is made of APPROVAL_LINK_SECRET. Whoever lacks the key can do no better than to guess
/// 128 bits, and a guess names an id that no approval has.
#[derive(Clone)]
pub struct ShortLinkKey(Aes256);

impl fmt::Debug for ShortLinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShortLinkKey(redacted)")
    }
}

impl ShortLinkKey {
    /// The key that belongs to this secret.
    #[must_use]
    pub fn derive(approval_link_secret: &[u8]) -> Self {
        let key = derived_key(
            approval_link_secret,
            b"llm-permission-proxy short approval link v1",
        );
        Self(Aes256::new(&key.into()))
    }

    /// The link of an approval, always the same.
    #[must_use]
    pub fn seal(&self, approval: ApprovalId) -> SignedToken {
        let mut block = Block::<Aes256>::from(*approval.as_bytes());
        self.0.encrypt_block(&mut block);
        SignedToken(URL_SAFE_NO_PAD.encode(block))
    }

    /// The whole address of it, for people, where the service is reached at `base_url`.
    #[must_use]
    pub fn url(&self, base_url: &Url, approval: ApprovalId) -> String {
        absolute(base_url, &format!("/a/{}", self.seal(approval).reveal()))
    }

    /// The approval that a text of this form would be the link of; whether there is one, the ledger knows.
    /// `None` for any other form: there is one text for each id.
    #[must_use]
    pub fn open(&self, text: &str) -> Option<ApprovalId> {
        let sealed = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut block = Block::<Aes256>::from(<[u8; 16]>::try_from(sealed).ok()?);
        self.0.decrypt_block(&mut block);
        Some(ApprovalId::from_bytes(block.into()))
    }
}

/// A path of the service, from its slash, as an absolute URL, where the service is reached at `base_url`.
#[must_use]
pub fn absolute(base_url: &Url, path: &str) -> String {
    format!("{}{path}", base_url.as_str().trim_end_matches('/'))
}

/// A key of its own, made of a secret that serves something else as well: what leaks of either tells nothing
/// of the other.
#[expect(
    clippy::expect_used,
    reason = "HMAC takes a key of any length (RFC 2104, section 2)"
)]
fn derived_key(secret: &[u8], label: &[u8]) -> [u8; 32] {
    let mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(secret).expect("a key of any length");
    mac.chain_update(label).finalize().into_bytes().into()
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
    pub fn derived(secret: &[u8], label: &[u8]) -> Self {
        Self::new(&derived_key(secret, label))
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
            task_id: Some(TaskId::from_bytes([2; 16])),
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
    fn a_short_link_is_22_characters_and_names_one_approval() {
        let key = ShortLinkKey::derive(&[7; 32]);
        for id in [[1; 16], [0; 16], *b"0123456789abcdef"].map(ApprovalId::from_bytes) {
            let link = key.seal(id);
            assert_eq!(link.reveal().len(), 22);
            assert_eq!(key.seal(id).reveal(), link.reveal());
            assert_eq!(key.open(link.reveal()), Some(id));
            assert!(
                !link
                    .reveal()
                    .contains(&URL_SAFE_NO_PAD.encode(&id.as_bytes()[..6]))
            );
        }
        // Links that were handed out must open for as long as the secret stays.
        let link = key.seal(ApprovalId::from_bytes([1; 16]));
        assert_eq!(link.reveal(), "OYW-NxNwKpycNeMwFRW_3g");
    }

    #[test]
    fn a_short_link_has_one_spelling_and_opens_under_its_own_secret_only() {
        let key = ShortLinkKey::derive(&[7; 32]);
        let id = ApprovalId::from_bytes([1; 16]);
        let link = key.seal(id).into_revealed();
        assert_ne!(ShortLinkKey::derive(&[8; 32]).open(&link), Some(id));
        // The last character holds two bits; the four behind them must be zero.
        let last = link.chars().last().unwrap();
        let others = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let short = &link[..21];
        for other in others.chars().filter(|other| *other != last) {
            assert_ne!(key.open(&format!("{short}{other}")), Some(id));
        }
        for odd in [
            short,
            &format!("{link}A"),
            &format!("{link}=="),
            &format!(" {link}"),
            "",
        ] {
            assert_eq!(key.open(odd), None, "{odd}");
        }
        let signed = LinkKey::<ApprovalLink>::new(&[7; 32])
            .sign(self::link())
            .unwrap();
        assert_eq!(key.open(signed.reveal()), None);
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
