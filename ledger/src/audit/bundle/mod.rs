//! Bundle format 1: a range of a ledger in one file, with what leads from it to a signed checkpoint.
//!
//! Integers are little-endian. The file is `LPPLBNDL`, the format as u16 (1), then frames:
//! `kind u8 · length u32 · body`. A body has at most 64 MiB. Frames come in this order:
//!
//! | kind | how many | body |
//! |---|---|---|
//! | 1 meta | one | JSON: `{"from","to","frontier","ledger_id","origin","vkey","software"}` |
//! | 2 note | any number | `count u16 · hashes [32] * count · signed note (UTF-8)` |
//! | 3 record | `to - from` | `header [133] · present u8 · salt [16] · payload`; where present is 0, the payload was not there and nothing follows |
//! | 4 end | one | `records u64 · notes u32 · digest [32]` |
//!
//! - `frontier` holds, in standard base64, the hashes of the complete subtrees that the `from` leaves
//!   before the first record make up, the largest first: none when `from` is 0. With them the leaves
//!   lead to the root of a checkpoint, which proves them too.
//! - The hashes of a note are a consistency proof (RFC 6962) from the tree of `to` leaves to the note's,
//!   for a note of more records than are here; otherwise there are none.
//! - `ledger_id`, `origin`, `vkey` and `software` tell a reader what the file is. They are never
//!   trusted: the key to verify with comes from elsewhere.
//! - The digest is BLAKE3 in `derive_key` mode, context `llm-permission-proxy bundle v1`, over all bytes
//!   before the end frame. It shows damage on the way; whoever changes a bundle can compute it anew, and
//!   is caught by the signature.

mod reader;
#[cfg(test)]
mod tests;
mod verify;
mod writer;

pub use reader::{BundleFrame, BundleNote, BundleReader, BundleRecord};
pub use verify::verify_bundle;
pub use writer::BundleWriter;

use super::check::Check;
use crate::id::LedgerId;
use crate::tlog::TreeHash;
use serde::{Deserialize, Serialize};

/// The format that this software writes and reads.
pub const BUNDLE_FORMAT: u16 = 1;

/// The largest body of a frame, in bytes.
pub const MAX_FRAME_BYTES: usize = 64 * 1024 * 1024;

const MAGIC: [u8; 8] = *b"LPPLBNDL";
const DIGEST_CONTEXT: &str = "llm-permission-proxy bundle v1";

const META: u8 = 1;
const NOTE: u8 = 2;
const RECORD: u8 = 3;
const END: u8 = 4;

/// The head of a bundle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BundleMeta {
    /// The position of the first record.
    pub from: u64,
    /// The position after the last.
    pub to: u64,
    /// The hashes of the complete subtrees before the first record.
    pub frontier: Vec<TreeHash>,
    /// The ledger.
    pub ledger_id: Option<LedgerId>,
    /// The origin of its log, where it has one.
    pub origin: Option<String>,
    /// The log's verifier key, where it has one.
    pub vkey: Option<String>,
    /// The software that wrote it.
    pub software: String,
}

/// Why a bundle cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// The file could not be read or written.
    #[error("the bundle cannot be read or written")]
    Io(#[from] std::io::Error),
    /// Not a bundle.
    #[error("this is not a bundle: it does not begin with LPPLBNDL")]
    Magic,
    /// A format from a later version of the software, or damage.
    #[error("bundle format {0} is not known, this software knows format {BUNDLE_FORMAT}")]
    Format(u16),
    /// It ends before its end.
    #[error("the bundle is cut off")]
    Truncated,
    /// A frame of a kind that is not known, or not at its place.
    #[error("a frame of kind {0} does not belong here")]
    Kind(u8),
    /// A frame that is too large, or whose body is not of its form.
    #[error("{0}")]
    Form(&'static str),
    /// The meta frame is not of its form.
    #[error("the meta frame cannot be read: {0}")]
    Meta(String),
    /// More or fewer records or notes than the bundle says.
    #[error("{found} {what} are in the bundle, it says that there are {expected}")]
    Count {
        /// Records or notes.
        what: &'static str,
        /// The number that it names.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// Something follows the end frame.
    #[error("something follows the end of the bundle")]
    Trailing,
    /// The bytes are not those that were written.
    #[error("the bundle's bytes are not those that its end frame names")]
    Digest,
}

impl BundleError {
    /// The rule that does not hold; `None` when the file could not be read at all.
    #[must_use]
    pub const fn check(&self) -> Option<Check> {
        Some(match self {
            Self::Io(_) => return None,
            Self::Truncated | Self::Count { .. } | Self::Trailing => Check::BundleEnd,
            Self::Digest => Check::BundleDigest,
            Self::Magic | Self::Format(_) | Self::Kind(_) | Self::Form(_) | Self::Meta(_) => {
                Check::BundleForm
            }
        })
    }
}
