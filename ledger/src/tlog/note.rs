//! Signed notes (C2SP signed-note): text, a blank line, and one signature line for each signature.

use super::key::{KeyId, KeyName};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use std::fmt;
use std::str::FromStr;

/// Larger notes are refused: room for many signatures, post-quantum ones too.
pub const MAX_NOTE_BYTES: usize = 256 * 1024;

/// More signatures are refused.
const MAX_SIGNATURES: usize = 64;
const SIGNATURE_MARK: &str = "\u{2014} ";

/// Why a text is not a signed note, or a note is not signed as it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Larger than [`MAX_NOTE_BYTES`], or more signatures than are read.
    #[error("the note is too large")]
    TooLarge,
    /// A control character other than the line's end.
    #[error("a note has no control characters but line ends")]
    ControlCharacter,
    /// No text, blank line and signature lines, each ended by a line end.
    #[error("not a signed note: expected text, a blank line and signature lines")]
    Form,
    /// A line after the blank one is not a signature.
    #[error("line {0} of the note's signatures is not a signature line")]
    SignatureLine(usize),
    /// The key that is trusted has not signed.
    #[error("the note is not signed by {0}")]
    NotSigned(KeyName),
    /// There is a signature under the trusted key's name and id, and it is not the key's.
    #[error("the signature of {0} is not valid")]
    BadSignature(KeyName),
}

/// A text with its signatures. Nothing in it is to be trusted before a trusted key has verified it.
#[derive(Clone, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// One signature line.
#[derive(Clone, PartialEq, Eq)]
pub struct NoteSignature {
    name: KeyName,
    key_id: KeyId,
    bytes: Vec<u8>,
}

impl Note {
    /// A note with one signature. The text is a whole checkpoint's, or one that ends in a line end.
    pub(super) fn new(text: String, signature: NoteSignature) -> Self {
        Self {
            text,
            signatures: vec![signature],
        }
    }

    /// The signed text, with the line end at its end.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All signatures, also of keys that nobody here knows.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The note with one signature more. A signature of the same key is replaced; the order of the
    /// others stays.
    #[must_use]
    pub fn with_signature(mut self, signature: NoteSignature) -> Self {
        self.signatures
            .retain(|known| known.name != signature.name || known.key_id != signature.key_id);
        self.signatures.push(signature);
        self
    }

    /// The signatures under that name and key id.
    pub(super) fn signatures_of<'a>(
        &'a self,
        name: &'a KeyName,
        key_id: KeyId,
    ) -> impl Iterator<Item = &'a NoteSignature> {
        self.signatures
            .iter()
            .filter(move |signature| signature.key_id == key_id && signature.name == *name)
    }
}

impl FromStr for Note {
    type Err = NoteError;

    fn from_str(note: &str) -> Result<Self, NoteError> {
        if note.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
            return Err(NoteError::ControlCharacter);
        }
        // The text may have blank lines of its own: the last one ends it.
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Form)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Form)?;
        let signatures = parse_lines(lines)?;
        Ok(Self {
            text: format!("{text}\n"),
            signatures,
        })
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        self.signatures
            .iter()
            .try_for_each(|signature| writeln!(f, "{signature}"))
    }
}

impl fmt::Debug for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl NoteSignature {
    pub(super) const fn new(name: KeyName, key_id: KeyId, bytes: Vec<u8>) -> Self {
        Self {
            name,
            key_id,
            bytes,
        }
    }

    /// Parses signature lines, each with its line end, as a witness answers them.
    ///
    /// # Errors
    /// [`NoteError::TooLarge`], [`NoteError::Form`] and [`NoteError::SignatureLine`].
    pub fn parse_lines(lines: &str) -> Result<Vec<Self>, NoteError> {
        if lines.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        parse_lines(lines.strip_suffix('\n').ok_or(NoteError::Form)?)
    }

    /// The name of the key that claims to have signed.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's id.
    #[must_use]
    pub const fn key_id(&self) -> KeyId {
        self.key_id
    }

    /// The bytes behind the key's id; their form depends on the key's type.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn parse(line: &str) -> Option<Self> {
        let (name, base64) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
        let bytes = STANDARD.decode(base64).ok()?;
        let (key_id, bytes) = bytes.split_first_chunk()?;
        Some(Self {
            name: name.parse().ok()?,
            key_id: KeyId::from_bytes(*key_id),
            bytes: bytes.to_vec(),
        })
    }
}

fn parse_lines(lines: &str) -> Result<Vec<NoteSignature>, NoteError> {
    if lines.split('\n').count() > MAX_SIGNATURES {
        return Err(NoteError::TooLarge);
    }
    lines
        .split('\n')
        .enumerate()
        .map(|(at, line)| NoteSignature::parse(line).ok_or(NoteError::SignatureLine(at + 1)))
        .collect()
}

/// The line without its end.
impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = [self.key_id.as_bytes().as_slice(), &self.bytes].concat();
        write!(
            f,
            "{SIGNATURE_MARK}{} {}",
            self.name,
            STANDARD.encode(signature)
        )
    }
}

impl fmt::Debug for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
