//! The ledger in a SQLite file: [`ledger::Storage`] and [`ledger::Log`] over one file, and everything that
//! needs the file itself: schema, opening, the check at a start, backup, erasure. SQL of the ledger and
//! its file's path stand in this crate only.

mod append;
mod backup;
mod checked;
mod compaction;
mod comparing;
mod copies;
mod durable;
mod erasure;
mod error;
mod failure;
mod head_mac;
mod header;
mod lock;
mod lookup;
mod opening;
mod read;
mod scan;
mod schema;
mod script;
mod signing;
mod state_file;
mod system;
mod tail;
mod tree;
mod verify;
mod whole;
mod writing;

pub use checked::CheckedLedger;
pub use comparing::{MakeSigning, Signing, SigningRequest};
pub use copies::{fork_copy, ready_copy};
pub use durable::{make_private, open_own, replace_file};
pub use error::OpenError;
pub use header::is_plainly_foreign;
pub use lock::WriterLock;
pub use opening::{LedgerOptions, Unproven, open, open_storage};
pub use read::Reader;
pub use scan::RecordScan;
pub use system::{SystemClock, SystemRandom};
