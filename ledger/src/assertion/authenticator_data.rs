//! Authenticator data: what the authenticator itself signs (WebAuthn Level 3, section 6.1).

use minicbor::Decoder;
use minicbor::data::Type;

const USER_PRESENT: u8 = 1 << 0;
const USER_VERIFIED: u8 = 1 << 2;
const BACKUP_ELIGIBLE: u8 = 1 << 3;
const BACKUP_STATE: u8 = 1 << 4;
const ATTESTED_CREDENTIAL: u8 = 1 << 6;
const EXTENSIONS: u8 = 1 << 7;

/// Why authenticator data cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAuthenticatorData {
    /// Less than the fixed part.
    #[error("shorter than 37 bytes")]
    Short,
    /// It carries a new credential, as in a registration. An assertion never does.
    #[error("it carries attested credential data, which belongs to a registration")]
    AttestedCredential,
    /// The extensions that its flag announces are not one CBOR map up to the end.
    #[error("its extensions are not one CBOR map")]
    Extensions,
    /// Bytes that no flag announces.
    #[error("there are bytes after its end")]
    Trailing,
}

/// The fixed part. Extensions are checked for their form and not used.
#[derive(Debug)]
pub(super) struct AuthenticatorData {
    pub(super) rp_id_hash: [u8; 32],
    flags: u8,
    pub(super) sign_count: u32,
}

impl AuthenticatorData {
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, InvalidAuthenticatorData> {
        let short = InvalidAuthenticatorData::Short;
        let (rp_id_hash, rest) = bytes.split_first_chunk().ok_or(short)?;
        let (flags, rest) = rest.split_first().ok_or(short)?;
        let (sign_count, rest) = rest.split_first_chunk().ok_or(short)?;
        if flags & ATTESTED_CREDENTIAL != 0 {
            return Err(InvalidAuthenticatorData::AttestedCredential);
        }
        if flags & EXTENSIONS != 0 {
            one_map(rest).ok_or(InvalidAuthenticatorData::Extensions)?;
        } else if !rest.is_empty() {
            return Err(InvalidAuthenticatorData::Trailing);
        }
        Ok(Self {
            rp_id_hash: *rp_id_hash,
            flags: *flags,
            sign_count: u32::from_be_bytes(*sign_count),
        })
    }

    pub(super) fn user_present(&self) -> bool {
        self.flags & USER_PRESENT != 0
    }

    pub(super) fn user_verified(&self) -> bool {
        self.flags & USER_VERIFIED != 0
    }

    pub(super) fn backup_eligible(&self) -> bool {
        self.flags & BACKUP_ELIGIBLE != 0
    }

    pub(super) fn backup_state(&self) -> bool {
        self.flags & BACKUP_STATE != 0
    }
}

/// `Some` when the bytes are one CBOR map of definite length and nothing after it.
fn one_map(bytes: &[u8]) -> Option<()> {
    let mut decoder = Decoder::new(bytes);
    if decoder.datatype().ok()? != Type::Map {
        return None;
    }
    decoder.skip().ok()?;
    (decoder.position() == bytes.len()).then_some(())
}
