//! Entry bundles: the leaves themselves, up to 256 at a time (C2SP tlog-tiles).
//!
//! An entry is a record's canonical header, so that bundles and tiles check against each other; the
//! payloads, which can be erased, are not in the log.

use super::lookup::TreeError;
use super::tile::{Place, TilePath};
use crate::record::{HEADER_LEN, Header, HeaderError};

const LENGTH_LEN: usize = 2;

/// A bundle of entries, full or partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct EntryBundle(Place);

/// Why bytes are not a bundle of record headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EntryBundleError {
    /// It ends within an entry.
    #[error("the bundle ends within entry {0}")]
    Truncated(usize),
    /// An entry is not a record header.
    #[error("entry {entry} of the bundle is not a record header")]
    Header {
        /// Which, from 0.
        entry: usize,
        /// Why not.
        #[source]
        source: HeaderError,
    },
    /// More or fewer entries than the bundle has.
    #[error("the bundle has {found} entries instead of {expected}")]
    Count {
        /// The bundle's width.
        expected: usize,
        /// How many there are.
        found: usize,
    },
}

impl EntryBundle {
    /// The bundle of this index, of which the first `width` entries are meant: 256 is the full bundle.
    /// `None` when the width is out of range.
    #[must_use]
    pub fn new(index: u64, width: u16) -> Option<Self> {
        Place::new(index, width).map(Self)
    }

    pub(super) const fn at(place: Place) -> Self {
        Self(place)
    }

    pub(super) const fn place(self) -> Place {
        self.0
    }

    /// How many bundles come before it.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.0.index
    }

    /// How many entries it has, 1 to 256.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.0.width
    }

    /// The positions of the records in it.
    ///
    /// # Errors
    /// [`TreeError::NoSuchTile`] when a tree of that size does not have all of them (yet).
    pub fn positions(self, tree_size: u64) -> Result<std::ops::Range<u64>, TreeError> {
        match self.0.end() {
            Some(end) if end <= tree_size => Ok(self.0.range()),
            _ => Err(TreeError::NoSuchTile { tree_size }),
        }
    }

    /// The bundles that a tree of that size is published as, from the left; the last may be partial.
    pub fn all_of(tree_size: u64) -> impl Iterator<Item = Self> {
        Place::all_of(tree_size).map(Self)
    }

    /// The path below the log's prefix.
    #[must_use]
    pub const fn path(self) -> TilePath {
        TilePath::Entries(self)
    }

    /// The bundle's bytes: each header behind its length, a big-endian u16.
    ///
    /// # Errors
    /// [`EntryBundleError::Count`] when there are more or fewer headers than its width.
    pub fn encode(self, headers: &[Header]) -> Result<Vec<u8>, EntryBundleError> {
        self.check_count(headers.len())?;
        let mut bytes = Vec::with_capacity(headers.len() * (LENGTH_LEN + HEADER_LEN));
        for header in headers {
            bytes.extend(HEADER_LEN_BYTES);
            bytes.extend(header.encode());
        }
        Ok(bytes)
    }

    /// Reads a bundle's bytes back. That the headers are of the records that the log has there, the
    /// tile of the same index and width tells.
    ///
    /// # Errors
    /// See [`EntryBundleError`].
    pub fn decode(self, bytes: &[u8]) -> Result<Vec<Header>, EntryBundleError> {
        let mut headers = Vec::with_capacity(self.0.width.into());
        let mut rest = bytes;
        while !rest.is_empty() {
            let entry = headers.len();
            let (content, after) = split_entry(rest).ok_or(EntryBundleError::Truncated(entry))?;
            let header = Header::decode(content)
                .map_err(|source| EntryBundleError::Header { entry, source })?;
            headers.push(header);
            rest = after;
        }
        self.check_count(headers.len())?;
        Ok(headers)
    }

    fn check_count(self, found: usize) -> Result<(), EntryBundleError> {
        let expected = usize::from(self.0.width);
        if found != expected {
            return Err(EntryBundleError::Count { expected, found });
        }
        Ok(())
    }
}

#[expect(clippy::cast_possible_truncation, reason = "a header has 133 bytes")]
const HEADER_LEN_BYTES: [u8; LENGTH_LEN] = (HEADER_LEN as u16).to_be_bytes();

fn split_entry(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_LEN>()?;
    rest.split_at_checked(u16::from_be_bytes(*length).into())
}
