//! Secrets at rest: callback secrets and stored keys, sealed under a master key that is not in the
//! database.
//!
//! A sealed value is frozen as `version 1 · key id [8] · nonce [24] · ciphertext and tag [n + 16]`.
//! The cipher is XChaCha20-Poly1305, whose nonces are long enough to be drawn at random; its key is
//! derived from the master key, so that the key id tells nothing about it. What surrounds the value
//! (ledger, stream, field, and the version and key id in front) is authenticated with it: a sealed
//! value copied to another place does not open.

use crate::clock::Random;
use crate::event::NameKind;
use crate::id::{AgentId, LedgerId, StreamId};
use chacha20poly1305::aead::{Aead, Payload};
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use serde::{Deserialize, Serialize};
use std::fmt;
use zeroize::Zeroizing;

const VERSION: u8 = 1;
const NONCE_LEN: usize = 24;
const KEY_ID_CONTEXT: &str = "llm-permission-proxy master key id v1";
const SEAL_KEY_CONTEXT: &str = "llm-permission-proxy seal key v1";
const NAME_KEY_CONTEXT: &str = "llm-permission-proxy erased name key v1";
const HEAD_KEY_CONTEXT: &str = "llm-permission-proxy ledger head key v1";
const MAC_KEY_CONTEXT: &str = "llm-permission-proxy secret in params key v1";

/// Length of a master key in bytes.
pub const MASTER_KEY_LEN: usize = 32;

/// Names a master key without telling anything about it: the first eight bytes of a digest of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MasterKeyId([u8; 8]);

impl MasterKeyId {
    /// Its eight bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 8] {
        &self.0
    }
}

impl fmt::Display for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for MasterKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The place that a sealed value belongs to, and the only one where it opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SealContext<'a> {
    /// The ledger that holds it.
    pub ledger_id: LedgerId,
    /// The stream whose event holds it.
    pub stream: StreamId,
    /// The field of that event, by a name that does not change.
    pub field: &'a str,
}

/// A sealed value. Without the master key nothing but its length and the key's id can be read from it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Takes the bytes as they stand in a column or a payload; opening them tells whether they are
    /// what they should be.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes to store.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The id of the master key that sealed it.
    ///
    /// # Errors
    /// When the bytes are not of a form that this software knows.
    pub fn key_id(&self) -> Result<MasterKeyId, SealError> {
        Ok(self.parts()?.key_id)
    }

    fn parts(&self) -> Result<Parts<'_>, SealError> {
        let (version, rest) = self.0.split_first().ok_or(SealError::Damaged)?;
        if *version != VERSION {
            return Err(SealError::Version(*version));
        }
        let (key_id, rest) = rest.split_first_chunk().ok_or(SealError::Damaged)?;
        let (nonce, ciphertext) = rest.split_first_chunk().ok_or(SealError::Damaged)?;
        Ok(Parts {
            key_id: MasterKeyId(*key_id),
            nonce,
            ciphertext,
        })
    }
}

struct Parts<'a> {
    key_id: MasterKeyId,
    nonce: &'a [u8; NONCE_LEN],
    ciphertext: &'a [u8],
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

/// Why a value was not sealed or opened. Holds nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The master key it was sealed with is not configured.
    #[error("sealed with master key {key_id}, which is not configured; add it as an older key")]
    UnknownKey {
        /// The missing key.
        key_id: MasterKeyId,
    },
    /// Sealed by a later version of the software.
    #[error("sealed in form {0}, this software knows form {VERSION}")]
    Version(u8),
    /// The bytes changed, or they were sealed for another place.
    #[error("the sealed value is damaged, or was sealed for another ledger, stream or field")]
    Damaged,
    /// More bytes than the cipher takes under one nonce (256 GiB).
    #[error("too long to be sealed")]
    TooLong,
}

struct MasterKey {
    id: MasterKeyId,
    cipher: XChaCha20Poly1305,
    name_key: Zeroizing<[u8; 32]>,
    head_key: Zeroizing<[u8; 32]>,
    mac_key: Zeroizing<[u8; 32]>,
}

impl MasterKey {
    fn new(key: &Zeroizing<[u8; MASTER_KEY_LEN]>) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = blake3::derive_key(KEY_ID_CONTEXT, key.as_slice());
        let seal_key = Zeroizing::new(blake3::derive_key(SEAL_KEY_CONTEXT, key.as_slice()));
        Self {
            id: MasterKeyId([a, b, c, d, e, f, g, h]),
            // The cipher wipes its key when dropped.
            cipher: XChaCha20Poly1305::new((&*seal_key).into()),
            name_key: Zeroizing::new(blake3::derive_key(NAME_KEY_CONTEXT, key.as_slice())),
            head_key: Zeroizing::new(blake3::derive_key(HEAD_KEY_CONTEXT, key.as_slice())),
            mac_key: Zeroizing::new(blake3::derive_key(MAC_KEY_CONTEXT, key.as_slice())),
        }
    }
}

/// The current master key, which seals, and older ones, which still open.
pub struct MasterKeys {
    current: MasterKey,
    older: Vec<MasterKey>,
}

impl MasterKeys {
    /// Takes the current key and the older ones, in any order. The originals are the caller's to wipe.
    #[must_use]
    pub fn new(
        current: &Zeroizing<[u8; MASTER_KEY_LEN]>,
        older: &[Zeroizing<[u8; MASTER_KEY_LEN]>],
    ) -> Self {
        Self {
            current: MasterKey::new(current),
            older: older.iter().map(MasterKey::new).collect(),
        }
    }

    /// The id of the key that seals.
    #[must_use]
    pub fn current(&self) -> MasterKeyId {
        self.current.id
    }

    /// True when values sealed under that key can be opened.
    #[must_use]
    pub fn knows(&self, key_id: MasterKeyId) -> bool {
        self.key(key_id).is_some()
    }

    /// A MAC of a secret that an agent sends, by which it can be told from another one. Whoever has no master key
    /// cannot tell a guess by it.
    #[must_use]
    pub fn mac_of(&self, agent: AgentId, secret: &[u8]) -> [u8; 32] {
        let covered = [agent.as_bytes().as_slice(), secret].concat();
        *blake3::keyed_hash(&self.current.mac_key, &Zeroizing::new(covered)).as_bytes()
    }

    /// Seals a value for one place under the current key, with a nonce drawn from `random`.
    ///
    /// # Errors
    /// [`SealError::TooLong`] only.
    pub fn seal(
        &self,
        random: &dyn Random,
        context: &SealContext<'_>,
        plaintext: &[u8],
    ) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE_LEN];
        random.fill(&mut nonce);
        let aad = associated_data(self.current.id, context);
        let ciphertext = self
            .current
            .cipher
            .encrypt(
                (&nonce).into(),
                Payload {
                    msg: plaintext,
                    aad: &aad,
                },
            )
            .map_err(|_| SealError::TooLong)?;
        Ok(Sealed(
            [
                &[VERSION],
                self.current.id.0.as_slice(),
                &nonce,
                &ciphertext,
            ]
            .concat(),
        ))
    }

    /// Opens a value in the place that it was sealed for.
    ///
    /// # Errors
    /// When its key is not configured, its form is unknown, its bytes changed, or it was sealed for
    /// another place.
    pub fn open(
        &self,
        context: &SealContext<'_>,
        sealed: &Sealed,
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let Parts {
            key_id,
            nonce,
            ciphertext,
        } = sealed.parts()?;
        let key = self.key(key_id).ok_or(SealError::UnknownKey { key_id })?;
        let aad = associated_data(key_id, context);
        key.cipher
            .decrypt(
                nonce.into(),
                Payload {
                    msg: ciphertext,
                    aad: &aad,
                },
            )
            .map(Zeroizing::new)
            .map_err(|_| SealError::Damaged)
    }

    /// The digests of a name that was erased, under each key, that of the current key first. A name
    /// is recognised by its digest for as long as the key that it was erased under is configured;
    /// without the key the digest cannot be tried against names.
    ///
    /// Keyed BLAKE3 over `ledger id [16] · kind u8 · name`.
    pub(crate) fn name_digests(
        &self,
        ledger_id: LedgerId,
        kind: NameKind,
        name: &[u8],
    ) -> impl Iterator<Item = [u8; 32]> {
        let covered = [ledger_id.as_bytes().as_slice(), &[kind.number()], name].concat();
        self.keys()
            .map(move |key| *blake3::keyed_hash(&key.name_key, &covered).as_bytes())
    }

    /// A MAC over what is said of a ledger's head, under the current key: the key's id [8], then keyed
    /// BLAKE3 [32].
    #[must_use]
    pub fn head_mac(&self, covered: &[u8]) -> Vec<u8> {
        let mac = blake3::keyed_hash(&self.current.head_key, covered);
        [self.current.id.0.as_slice(), mac.as_bytes()].concat()
    }

    /// True when a MAC is of these bytes.
    ///
    /// # Errors
    /// The id of the key that it was made with, where that is not configured.
    pub fn check_head_mac(&self, covered: &[u8], mac: &[u8]) -> Result<bool, MasterKeyId> {
        let Some((id, mac)) = mac.split_first_chunk() else {
            return Ok(false);
        };
        let id = MasterKeyId(*id);
        let key = self.key(id).ok_or(id)?;
        // This comparison takes the same time wherever they differ.
        let expected = blake3::keyed_hash(&key.head_key, covered);
        Ok(blake3::Hash::from_slice(mac).is_ok_and(|mac| mac == expected))
    }

    fn key(&self, key_id: MasterKeyId) -> Option<&MasterKey> {
        self.keys().find(|key| key.id == key_id)
    }

    fn keys(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "MasterKeys({} and {} older)",
            self.current.id,
            self.older.len()
        )
    }
}

/// The parts of fixed length first, so that no two places give the same bytes.
fn associated_data(key_id: MasterKeyId, context: &SealContext<'_>) -> Vec<u8> {
    let ids = [
        context.ledger_id.as_bytes().as_slice(),
        context.stream.as_bytes(),
    ];
    [
        &[VERSION],
        key_id.0.as_slice(),
        &ids.concat(),
        context.field.as_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests;
