//! The engine: one task folds the ledger's events into the tables, and rebuilds tables from the whole ledger.
//!
//! | file | holds |
//! |---|---|
//! | `projector` | folding one batch, in one transaction with the cursors |
//! | `runner` | the task: when a batch is folded, retries, the steps of a rebuild while the tables are in use |
//! | `source`, `bulk` | events from a running ledger, or from a whole file at full speed |
//! | `opening`, `file`, `schema` | the file and its tables: refused, made, made anew |
//! | `online`, `rebuild`, `scratch` | rebuilding while a service runs, and without one |
//! | `compare`, `verify`, `inspect` | looking at tables: against another fold, or as they are |

mod bulk;
mod compare;
pub(crate) mod file;
mod inspect;
mod online;
pub(crate) mod opening;
mod projector;
mod rebuild;
mod runner;
mod schema;
mod scratch;
mod source;
mod verify;

pub use inspect::{
    Attention, FileStatus, ProjectionFile, Schema, attention, check_pages, inspect,
    refuse_without_ledger,
};
pub use opening::ProjectionOptions;
pub use rebuild::rebuild;
pub use runner::Runner;
pub use verify::{VerifyReport, verify};
