//! The ledger's SQLite file: schema, appending, reading, the check at start. SQL of the ledger
//! stands in this folder only.

mod append;
mod backup;
mod checked;
mod erasure;
mod head_mac;
mod header;
mod lock;
mod lookup;
mod lookup_fold;
mod read;
mod scan;
mod schema;
mod script;
pub(crate) mod scrub;
mod signing;
mod tail;
mod tree;
mod verify;
mod whole;

pub(crate) use append::{Addition, Staged, append, begin_and_append};
pub use checked::CheckedLedger;
pub(crate) use checked::newest_at;
pub(crate) use erasure::{Found, Sought, erase};
pub(crate) use head_mac::{HeadKey, HeadProof, read_data_version, read_head_mac, write_head_mac};
pub use header::is_plainly_foreign;
pub use lock::WriterLock;
pub(crate) use lock::{Held, hold};
pub(crate) use lookup::{LookupKey, LookupKind, Lookups, credential_counter, read_open_streams};
pub(crate) use read::read_stream;
pub use read::{Reader, StoredRecord};
pub use scan::{RecordScan, Scanned};
pub(crate) use schema::{connect_reader, connect_writer, file_of, rewrite_version};
pub(crate) use signing::{read_signing, write_signing};
pub(crate) use tail::{Head, check_empty, check_tail, read_head};
pub(crate) use tree::{append_tree, compute, grow, read_frontier, read_leaves};
pub(crate) use whole::{MOST_RULED, WholeCheck, WholeRules};
