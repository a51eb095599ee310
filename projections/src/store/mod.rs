//! The read tables' SQLite file, and how rows are kept in memory until a batch is written.

mod column;
mod columns;
mod file;
mod row;
mod scrub;
pub(crate) mod state;
mod table;

pub(crate) use column::{Column, json_column};
pub(crate) use columns::{Binder, Columns};
pub(crate) use file::{
    ProjectorLock, connect, connect_readers, file_of, in_transaction, leave_log, make_private,
    open_scratch, put_in_place, remove_file, table_names as stored_tables,
};
pub(crate) use row::{Row, Spec, Statements, row};
pub(crate) use scrub::{is_left, scrub};
pub(crate) use state::{APPLICATION_ID, FileState, ProjectionState, TableSet};
pub(crate) use table::{Appended, Stored, Table};
