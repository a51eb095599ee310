//! Tiles: the tree's hashes as resources that never change (C2SP tlog-tiles).
//!
//! A tile holds up to 256 consecutive hashes of one of the levels 0, 8, 16, … of the tree. Whoever has
//! the tiles of a checkpoint can compute every proof without asking anybody.

use super::entry_bundle::EntryBundle;
use super::hash::TreeHash;
use super::lookup::{Lookup, TreeError};
use super::node::{Node, checked_size};
use std::fmt;
use std::str::FromStr;

/// How many hashes a full tile has, and how many entries a full bundle.
pub const TILE_WIDTH: u16 = 256;

/// Tiles stand for this many levels of the tree.
const TILE_HEIGHT: u8 = 8;
/// The highest level that a path may name; no tree is so high.
const MAX_LEVEL: u8 = 63;

/// A tile of hashes, full or partial.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Tile {
    level: u8,
    place: Place,
}

/// The place of a tile in its level, or of a bundle, and its width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    pub(super) index: u64,
    /// 1 to [`TILE_WIDTH`].
    pub(super) width: u16,
}

/// The object that a path below `tile/` names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TilePath {
    /// `tile/<L>/<N>[.p/<W>]`
    Hashes(Tile),
    /// `tile/entries/<N>[.p/<W>]`
    Entries(EntryBundle),
}

/// The text is not the path of a tile or bundle, or not in the one way to write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a tile's path: expected tile/<level or entries>/<index in threes>[.p/<width>], as in tile/0/x001/234.p/5"
)]
pub struct InvalidTilePath;

impl Tile {
    /// The tile at this level of tiles and index, of which the first `width` hashes are meant: 256 is
    /// the full tile. `None` when level or width are out of range.
    #[must_use]
    pub fn new(level: u8, index: u64, width: u16) -> Option<Self> {
        let place = Place::new(index, width)?;
        (level <= MAX_LEVEL).then_some(Self { level, place })
    }

    /// The level of tiles, 0 being that of the leaves.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.level
    }

    /// How many tiles are to the left of it on its level.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.place.index
    }

    /// How many hashes it has, 1 to 256.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.place.width
    }

    /// True when a tree of that size has all its hashes.
    #[must_use]
    pub fn is_in(self, tree_size: u64) -> bool {
        // A level of 8 and above would need more than 2^64 leaves.
        let span = u32::from(self.level) * u32::from(TILE_HEIGHT);
        let hashes = tree_size.checked_shr(span).unwrap_or(0);
        self.place.end().is_some_and(|end| end <= hashes)
    }

    /// The tile's bytes: its hashes, one after another.
    ///
    /// # Errors
    /// [`TreeError::NoSuchTile`] when a tree of that size does not have all of it (yet), and
    /// [`TreeError::TooLarge`].
    pub fn lookup(self, tree_size: u64) -> Result<Lookup<Vec<u8>>, TreeError> {
        checked_size(tree_size)?;
        if !self.is_in(tree_size) {
            return Err(TreeError::NoSuchTile { tree_size });
        }
        let level = self.level * TILE_HEIGHT;
        let nodes: Vec<Node> = self
            .place
            .range()
            .map(|index| Node::new(level, index))
            .collect::<Result<_, _>>()?;
        Ok(Lookup::new(nodes, |hashes| {
            hashes
                .iter()
                .flat_map(TreeHash::as_bytes)
                .copied()
                .collect()
        }))
    }

    /// The hashes that a tile's bytes hold; `None` when there are more or fewer than its width.
    #[must_use]
    pub fn hashes(self, bytes: &[u8]) -> Option<Vec<TreeHash>> {
        if bytes.len() != usize::from(self.place.width) * TreeHash::LEN {
            return None;
        }
        bytes
            .chunks_exact(TreeHash::LEN)
            .map(TreeHash::from_slice)
            .collect()
    }

    /// The tiles that a tree of that size is published as, from the leaves up and from the left: full
    /// ones, and on each level at most one partial one at the right edge.
    pub fn all_of(tree_size: u64) -> impl Iterator<Item = Self> {
        (0..=MAX_LEVEL)
            .map(move |level| {
                let span = u32::from(level) * u32::from(TILE_HEIGHT);
                (level, tree_size.checked_shr(span).unwrap_or(0))
            })
            .take_while(|(_, hashes)| *hashes > 0)
            .flat_map(|(level, hashes)| {
                Place::all_of(hashes).map(move |place| Self { level, place })
            })
    }
}

impl Place {
    pub(super) fn new(index: u64, width: u16) -> Option<Self> {
        (1..=TILE_WIDTH)
            .contains(&width)
            .then_some(Self { index, width })
    }

    /// The first place that is not in it; `None` beyond all numbers.
    pub(super) fn end(self) -> Option<u64> {
        let start = self.index.checked_mul(u64::from(TILE_WIDTH))?;
        start.checked_add(u64::from(self.width))
    }

    /// The numbers, on their level, of the hashes or entries in it.
    pub(super) fn range(self) -> std::ops::Range<u64> {
        let end = self.end().unwrap_or(0);
        end.saturating_sub(u64::from(self.width))..end
    }

    pub(super) fn all_of(count: u64) -> impl Iterator<Item = Self> {
        let width = u64::from(TILE_WIDTH);
        let full = (0..count / width).map(|index| Self {
            index,
            width: TILE_WIDTH,
        });
        let rest = u16::try_from(count % width).unwrap_or(0);
        full.chain(Self::new(count / width, rest))
    }

    /// `<N>[.p/<W>]`
    fn parse(segments: &[&str]) -> Option<Self> {
        let (digits, width) = match segments {
            [index @ .., last, width] if last.ends_with(".p") => {
                let last = last.strip_suffix(".p")?;
                let width = canonical_number(width).filter(|width| *width < TILE_WIDTH.into())?;
                ([index, &[last]].concat(), u16::try_from(width).ok()?)
            }
            _ => (segments.to_vec(), TILE_WIDTH),
        };
        let (last, before) = digits.split_last()?;
        let mut index = three_digits(last)?;
        let mut scale: u64 = 1;
        for group in before.iter().rev() {
            scale = scale.checked_mul(1000)?;
            let group = three_digits(group.strip_prefix('x')?)?;
            index = index.checked_add(group.checked_mul(scale)?)?;
        }
        // Written in one way only: no leading group of zeros.
        if !before.is_empty() && index / scale == 0 {
            return None;
        }
        Self::new(index, width)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut scale = 1;
        while self.index / scale >= 1000 {
            scale *= 1000;
        }
        while scale > 1 {
            write!(f, "x{:03}/", self.index / scale % 1000)?;
            scale /= 1000;
        }
        write!(f, "{:03}", self.index % 1000)?;
        if self.width < TILE_WIDTH {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hashes(tile) => write!(f, "tile/{}/{}", tile.level, tile.place),
            Self::Entries(bundle) => write!(f, "tile/entries/{}", bundle.place()),
        }
    }
}

/// Parses `tile/…`, without a prefix before it.
impl FromStr for TilePath {
    type Err = InvalidTilePath;

    fn from_str(path: &str) -> Result<Self, InvalidTilePath> {
        let segments: Vec<&str> = path.split('/').collect();
        let ["tile", level, place @ ..] = segments.as_slice() else {
            return Err(InvalidTilePath);
        };
        let place = Place::parse(place).ok_or(InvalidTilePath)?;
        if *level == "entries" {
            return Ok(Self::Entries(EntryBundle::at(place)));
        }
        canonical_number(level)
            .and_then(|level| u8::try_from(level).ok())
            .and_then(|level| Tile::new(level, place.index, place.width))
            .map(Self::Hashes)
            .ok_or(InvalidTilePath)
    }
}

/// A decimal number as it is printed: digits only, no zeros in front.
pub(super) fn canonical_number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

fn three_digits(text: &str) -> Option<u64> {
    let digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}
