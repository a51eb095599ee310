//! Names, ids and Ed25519 keys of signed notes (C2SP signed-note), those of logs and those of witnesses.
//!
//! A key's id binds its name, its type and the public key, so that a log's key never verifies a
//! cosignature or the other way round.

use super::note::{Note, NoteError, NoteSignature};
use crate::clock::Random;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Ed25519 over the note's text.
const ED25519: u8 = 0x01;
/// Ed25519 over a checkpoint and a time (C2SP tlog-cosignature).
const COSIGNATURE_V1: u8 = 0x04;

const PRIVATE_KEY_MARK: &str = "PRIVATE+KEY+";
const SEED_LEN: usize = 32;

/// Why a text is not a key of a signed note. Never quotes it: it may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoteKeyError {
    /// The name is empty or has spaces, pluses or control characters.
    #[error("a key's name is not empty and has no spaces, pluses or control characters")]
    Name,
    /// Not `name+id+key`.
    #[error("not a verifier key: expected name+id+key, the id in hexadecimal, the key in base64")]
    Form,
    /// Not `PRIVATE+KEY+name+id+key`.
    #[error("not a signing key: expected PRIVATE+KEY+name+id+key")]
    PrivateForm,
    /// The id does not belong to name, type and key.
    #[error("the key's id does not match its name, type and key")]
    Id,
    /// A key of another type, or of one that is not supported.
    #[error("the key is of type {found}, expected {expected} (1: a log's key, 4: a witness's)")]
    Type {
        /// The type that is needed here.
        expected: u8,
        /// The type that it has.
        found: u8,
    },
    /// Not a point on the curve, or one that would verify signatures that nobody made.
    #[error("not a sound Ed25519 public key")]
    Point,
}

/// The name of a key: by recommendation a URL without a scheme.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = NoteKeyError;

    fn from_str(name: &str) -> Result<Self, NoteKeyError> {
        let refused = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if name.is_empty() || name.contains(refused) {
            return Err(NoteKeyError::Name);
        }
        Ok(Self(name.to_owned()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The id of a key: four bytes, enough to find the key by, not to trust it by.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    pub(super) const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes, as they stand before a signature.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }

    fn of(name: &KeyName, kind: u8, key: &VerifyingKey) -> Self {
        let hasher = Sha256::new()
            .chain_update(name.0.as_bytes())
            .chain_update([b'\n', kind])
            .chain_update(key.as_bytes());
        let [a, b, c, d, ..]: [u8; 32] = hasher.finalize().into();
        Self([a, b, c, d])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A public key of the type `KIND`.
#[derive(Clone, PartialEq, Eq)]
struct Verifier<const KIND: u8> {
    name: KeyName,
    id: KeyId,
    key: VerifyingKey,
}

impl<const KIND: u8> Verifier<KIND> {
    fn new(name: KeyName, key: VerifyingKey) -> Self {
        let id = KeyId::of(&name, KIND, &key);
        Self { name, id, key }
    }

    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
        Signature::from_slice(signature)
            .and_then(|signature| self.key.verify_strict(message, &signature))
            .map_err(|_| NoteError::BadSignature(self.name.clone()))
    }
}

impl<const KIND: u8> FromStr for Verifier<KIND> {
    type Err = NoteKeyError;

    fn from_str(text: &str) -> Result<Self, NoteKeyError> {
        // The base64 at the end may have pluses of its own.
        let mut parts = text.splitn(3, '+');
        let mut part = || parts.next().ok_or(NoteKeyError::Form);
        let (name, id, key) = (part()?, part()?, part()?);
        let name: KeyName = name.parse()?;
        let bytes = STANDARD.decode(key).map_err(|_| NoteKeyError::Form)?;
        let key = typed::<KIND>(&bytes).ok_or_else(|| wrong_type::<KIND>(&bytes))?;
        let key = VerifyingKey::from_bytes(key).map_err(|_| NoteKeyError::Point)?;
        if key.is_weak() {
            return Err(NoteKeyError::Point);
        }
        let verifier = Self::new(name, key);
        if verifier.id.to_string() != id {
            return Err(NoteKeyError::Id);
        }
        Ok(verifier)
    }
}

impl<const KIND: u8> fmt::Display for Verifier<KIND> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [[KIND].as_slice(), self.key.as_bytes()].concat();
        write!(f, "{}+{}+{}", self.name, self.id, STANDARD.encode(key))
    }
}

/// The thirty-two bytes behind a type byte of `KIND`.
fn typed<const KIND: u8>(bytes: &[u8]) -> Option<&[u8; 32]> {
    let (kind, key) = bytes.split_first()?;
    (*kind == KIND).then_some(key)?.try_into().ok()
}

fn wrong_type<const KIND: u8>(bytes: &[u8]) -> NoteKeyError {
    match bytes.first() {
        Some(found) if *found != KIND => NoteKeyError::Type {
            expected: KIND,
            found: *found,
        },
        _ => NoteKeyError::Form,
    }
}

/// A private key of the type `KIND`; the key wipes itself when dropped.
struct Signer<const KIND: u8> {
    public: Verifier<KIND>,
    key: SigningKey,
}

impl<const KIND: u8> Signer<KIND> {
    fn from_seed(name: KeyName, seed: &[u8; SEED_LEN]) -> Self {
        let key = SigningKey::from_bytes(seed);
        Self {
            public: Verifier::new(name, key.verifying_key()),
            key,
        }
    }

    fn generate(name: KeyName, random: &dyn Random) -> Self {
        let mut seed = Zeroizing::new([0; SEED_LEN]);
        random.fill(seed.as_mut_slice());
        Self::from_seed(name, &seed)
    }

    fn parse(text: &str) -> Result<Self, NoteKeyError> {
        let rest = text
            .strip_prefix(PRIVATE_KEY_MARK)
            .ok_or(NoteKeyError::PrivateForm)?;
        let mut parts = rest.splitn(3, '+');
        let mut part = || parts.next().ok_or(NoteKeyError::PrivateForm);
        let (name, id, key) = (part()?, part()?, part()?);
        let bytes = STANDARD.decode(key).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| NoteKeyError::PrivateForm)?;
        let seed = typed::<KIND>(&bytes).ok_or_else(|| wrong_type::<KIND>(&bytes))?;
        let signer = Self::from_seed(name.parse()?, seed);
        if signer.public.id.to_string() != id {
            return Err(NoteKeyError::Id);
        }
        Ok(signer)
    }

    fn to_private_text(&self) -> Zeroizing<String> {
        let mut key = Zeroizing::new([KIND; 1 + SEED_LEN]);
        for (to, from) in key.iter_mut().skip(1).zip(self.key.as_bytes()) {
            *to = *from;
        }
        let key = Zeroizing::new(STANDARD.encode(key.as_slice()));
        let Verifier { name, id, .. } = &self.public;
        Zeroizing::new(format!("{PRIVATE_KEY_MARK}{name}+{id}+{}", *key))
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.key.sign(message).to_bytes()
    }
}

macro_rules! keys {
    ($kind:ident, $public:ident, $(#[$public_doc:meta])* $signer:ident, $(#[$signer_doc:meta])*) => {
        $(#[$public_doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $public(Verifier<$kind>);

        impl $public {
            /// The key's name.
            #[must_use]
            pub const fn name(&self) -> &KeyName {
                &self.0.name
            }

            /// The key's id.
            #[must_use]
            pub const fn id(&self) -> KeyId {
                self.0.id
            }

            /// The Ed25519 public key (RFC 8032).
            #[must_use]
            pub fn public_key(&self) -> &[u8; 32] {
                self.0.key.as_bytes()
            }

            /// Checks a signature over a message.
            pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), NoteError> {
                self.0.verify(message, signature)
            }
        }

        /// Parses a verifier key line, `name+id+base64(type ‖ key)`, without a line end.
        impl FromStr for $public {
            type Err = NoteKeyError;

            fn from_str(text: &str) -> Result<Self, NoteKeyError> {
                text.parse().map(Self)
            }
        }

        /// The verifier key line, without a line end.
        impl fmt::Display for $public {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl fmt::Debug for $public {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        $(#[$signer_doc])*
        pub struct $signer(Signer<$kind>);

        impl $signer {
            /// The key of a seed (RFC 8032's private key), which is the caller's to wipe.
            #[must_use]
            pub fn from_seed(name: KeyName, seed: &[u8; SEED_LEN]) -> Self {
                Self(Signer::from_seed(name, seed))
            }

            /// A fresh key.
            #[must_use]
            pub fn generate(name: KeyName, random: &dyn Random) -> Self {
                Self(Signer::generate(name, random))
            }

            /// Parses `PRIVATE+KEY+name+id+base64(type ‖ seed)`, the line of a key file.
            ///
            /// # Errors
            /// When it is not that, or not a key of this type; the error says nothing of the key.
            pub fn parse(text: &str) -> Result<Self, NoteKeyError> {
                Signer::parse(text).map(Self)
            }

            /// The line to keep in a key file, secret, without a line end.
            #[must_use]
            pub fn to_private_text(&self) -> Zeroizing<String> {
                self.0.to_private_text()
            }

            /// The public half.
            #[must_use]
            pub fn public(&self) -> $public {
                $public(self.0.public.clone())
            }

            /// A signature line of this key: `prefix` and the signature over the message.
            pub(super) fn sign(&self, prefix: &[u8], message: &[u8]) -> NoteSignature {
                let Verifier { name, id, .. } = &self.0.public;
                let bytes = [prefix, &self.0.sign(message)].concat();
                NoteSignature::new(name.clone(), *id, bytes)
            }
        }

        impl fmt::Debug for $signer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($signer), self.0.public)
            }
        }
    };
}

keys!(
    ED25519,
    LogKey,
    /// The public key of a log.
    LogSigner,
    /// The private key of a log. Before it signs a checkpoint, size and root must be durable outside of
    /// the ledger: a log must never sign two histories.
);
keys!(
    COSIGNATURE_V1,
    WitnessKey,
    /// The public key of a witness.
    WitnessSigner,
    /// The private key of a witness. Before it cosigns a checkpoint, the checkpoint must be durable as the
    /// newest that the witness has seen of that log.
);

impl LogKey {
    /// Checks that the note is signed by this key. Every signature line under its name and id must be
    /// valid; those of other keys do not matter.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`] and [`NoteError::BadSignature`].
    pub fn verify_note(&self, note: &Note) -> Result<(), NoteError> {
        let mut signatures = note.signatures_of(self.name(), self.id()).peekable();
        if signatures.peek().is_none() {
            return Err(NoteError::NotSigned(self.name().clone()));
        }
        let text = note.text().as_bytes();
        signatures.try_for_each(|signature| self.verify(text, signature.bytes()))
    }
}
