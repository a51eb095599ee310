//! Reading a bundle, frame by frame.

use super::{
    BUNDLE_FORMAT, BundleError, BundleMeta, DIGEST_CONTEXT, END, MAGIC, MAX_FRAME_BYTES, META,
    NOTE, RECORD,
};
use crate::audit::log::Content;
use crate::canonical::deserialize_strict;
use crate::record::{HEADER_LEN, SALT_LEN};
use crate::tlog::TreeHash;
use std::io::{BufReader, ErrorKind, Read};

/// Larger metadata is refused: room for the hashes of any tree.
const MAX_META_BYTES: usize = 64 * 1024;
const MAX_END_BYTES: usize = 64;
/// Two for each bit of a size: proofs are kept until the last record, so they must be short.
const MAX_PROOF_HASHES: usize = 128;
const BUFFER_BYTES: usize = 256 * 1024;

/// Reads a bundle and holds no more of it than one frame. Nothing of it is verified but its form.
#[derive(Debug)]
pub struct BundleReader<R> {
    read: BufReader<R>,
    digest: blake3::Hasher,
    meta: BundleMeta,
    body: Vec<u8>,
    notes: u32,
    records: u64,
    ended: bool,
}

/// A frame between the first and the last.
#[derive(Debug)]
pub enum BundleFrame<'a> {
    /// A signed checkpoint.
    Note(BundleNote<'a>),
    /// A record.
    Record(BundleRecord<'a>),
}

/// A signed checkpoint as it stands in a bundle.
#[derive(Debug)]
pub struct BundleNote<'a> {
    /// The note.
    pub text: &'a str,
    /// The proof that it continues the bundle's records, where there is one.
    pub proof: Vec<TreeHash>,
}

/// A record as it stands in a bundle.
#[derive(Debug)]
pub struct BundleRecord<'a> {
    /// The bytes of its header.
    pub header: &'a [u8; HEADER_LEN],
    /// Salt and payload, where they were there.
    pub content: Option<Content<'a>>,
}

impl<R: Read> BundleReader<R> {
    /// Reads the beginning of a bundle.
    ///
    /// # Errors
    /// When it is not one, or its meta frame cannot be read.
    pub fn new(read: R) -> Result<Self, BundleError> {
        let mut reader = Self {
            read: BufReader::with_capacity(BUFFER_BYTES, read),
            digest: blake3::Hasher::new_derive_key(DIGEST_CONTEXT),
            meta: BundleMeta {
                from: 0,
                to: 0,
                frontier: Vec::new(),
                ledger_id: None,
                origin: None,
                vkey: None,
                software: String::new(),
            },
            body: Vec::new(),
            notes: 0,
            records: 0,
            ended: false,
        };
        let mut magic = [0; MAGIC.len()];
        match reader.exact(&mut magic) {
            Err(BundleError::Truncated) => return Err(BundleError::Magic),
            read => read?,
        }
        if magic != MAGIC {
            return Err(BundleError::Magic);
        }
        let mut format = [0; 2];
        reader.exact(&mut format)?;
        reader.digest.update(&magic).update(&format);
        let format = u16::from_le_bytes(format);
        if format != BUNDLE_FORMAT {
            return Err(BundleError::Format(format));
        }
        let (kind, length) = reader.frame()?;
        if kind != META {
            return Err(BundleError::Kind(kind));
        }
        if length > MAX_META_BYTES {
            return Err(BundleError::Form("the meta frame is too large"));
        }
        reader.fill(length)?;
        reader.meta = deserialize_strict(&reader.body)
            .map_err(|error| BundleError::Meta(error.to_string()))?;
        if reader.meta.to < reader.meta.from {
            return Err(BundleError::Form("the bundle ends before it begins"));
        }
        Ok(reader)
    }

    /// The head of the bundle.
    #[must_use]
    pub const fn meta(&self) -> &BundleMeta {
        &self.meta
    }

    /// The next frame; `None` once the end frame was read and found right.
    ///
    /// # Errors
    /// At the first thing that is not as the format says; what follows it cannot be read.
    pub fn next_frame(&mut self) -> Result<Option<BundleFrame<'_>>, BundleError> {
        if self.ended {
            return Ok(None);
        }
        let (kind, length) = self.frame()?;
        if kind == END {
            return self.end(length).map(|()| None);
        }
        self.fill(length)?;
        match kind {
            NOTE if self.records == 0 => {
                self.notes = self.notes.saturating_add(1);
                note(&self.body).map(|note| Some(BundleFrame::Note(note)))
            }
            RECORD => {
                self.records += 1;
                record(&self.body).map(|record| Some(BundleFrame::Record(record)))
            }
            kind => Err(BundleError::Kind(kind)),
        }
    }

    fn end(&mut self, length: usize) -> Result<(), BundleError> {
        self.ended = true;
        let digest = self.digest.finalize();
        if length > MAX_END_BYTES {
            return Err(BundleError::Form("the end frame is not of its form"));
        }
        self.fill(length)?;
        let wrong = BundleError::Form("the end frame is not of its form");
        let Some((records, rest)) = self.body.split_first_chunk() else {
            return Err(wrong);
        };
        let Some((notes, named)) = rest.split_first_chunk() else {
            return Err(wrong);
        };
        let named: [u8; 32] = named.try_into().map_err(|_| wrong)?;
        let said = self.meta.to - self.meta.from;
        counted("records", u64::from_le_bytes(*records), self.records)?;
        counted("records", said, self.records)?;
        counted(
            "notes",
            u32::from_le_bytes(*notes).into(),
            self.notes.into(),
        )?;
        if digest != named {
            return Err(BundleError::Digest);
        }
        match self.read.read(&mut [0]) {
            Ok(0) => Ok(()),
            Ok(_) => Err(BundleError::Trailing),
            Err(error) => Err(error.into()),
        }
    }

    fn frame(&mut self) -> Result<(u8, usize), BundleError> {
        let mut start = [0; 5];
        self.exact(&mut start)?;
        let [kind, length @ ..] = start;
        // The digest in the end frame is over what comes before that frame.
        if kind != END {
            self.digest.update(&start);
        }
        let length = usize::try_from(u32::from_le_bytes(length))
            .ok()
            .filter(|length| *length <= MAX_FRAME_BYTES)
            .ok_or(BundleError::Form("a frame is larger than a frame may be"))?;
        Ok((kind, length))
    }

    /// Reads a body. Memory grows with what is there, not with what a length claims.
    fn fill(&mut self, length: usize) -> Result<(), BundleError> {
        self.body.clear();
        let limit = u64::try_from(length).unwrap_or(u64::MAX);
        (&mut self.read).take(limit).read_to_end(&mut self.body)?;
        if self.body.len() != length {
            return Err(BundleError::Truncated);
        }
        self.digest.update(&self.body);
        Ok(())
    }

    fn exact(&mut self, bytes: &mut [u8]) -> Result<(), BundleError> {
        match self.read.read_exact(bytes) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(BundleError::Truncated),
            Err(error) => Err(error.into()),
        }
    }
}

fn counted(what: &'static str, expected: u64, found: u64) -> Result<(), BundleError> {
    if expected == found {
        return Ok(());
    }
    Err(BundleError::Count {
        what,
        expected,
        found,
    })
}

fn note(body: &[u8]) -> Result<BundleNote<'_>, BundleError> {
    let wrong = || BundleError::Form("a note frame is not of its form");
    let (count, rest) = body.split_first_chunk().ok_or_else(wrong)?;
    let count = usize::from(u16::from_le_bytes(*count));
    if count > MAX_PROOF_HASHES {
        return Err(BundleError::Form("a note's proof is longer than any is"));
    }
    let bytes = count * TreeHash::LEN;
    let (hashes, text) = rest.split_at_checked(bytes).ok_or_else(wrong)?;
    let proof = hashes
        .chunks_exact(TreeHash::LEN)
        .filter_map(TreeHash::from_slice)
        .collect();
    let text = std::str::from_utf8(text).map_err(|_| wrong())?;
    Ok(BundleNote { text, proof })
}

fn record(body: &[u8]) -> Result<BundleRecord<'_>, BundleError> {
    let wrong = || BundleError::Form("a record frame is not of its form");
    let (header, rest) = body.split_first_chunk::<HEADER_LEN>().ok_or_else(wrong)?;
    let content = match rest.split_first().ok_or_else(wrong)? {
        (0, []) => None,
        (1, rest) => {
            let (salt, payload) = rest.split_first_chunk::<SALT_LEN>().ok_or_else(wrong)?;
            Some(Content { salt, payload })
        }
        _ => return Err(wrong()),
    };
    Ok(BundleRecord { header, content })
}
