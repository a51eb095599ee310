//! The read tables' SQLite file, and how rows are kept in memory until a batch is written.

mod column;
mod columns;
mod file;
mod lock;
mod place;
mod row;
mod schema;
mod scrub;
mod state;
mod table;

pub(crate) use column::{Column, json_column};
pub(crate) use columns::{Binder, Columns};
pub(crate) use file::{
    connect_inspector, connect_readers, connect_writer, file_of, leave_log, open_scratch,
    put_in_place, remove_file, table_names as stored_tables,
};
pub(crate) use lock::FolderLock;
pub(crate) use place::Place;
pub(crate) use row::{Row, Spec, Statements, row};
pub(crate) use schema::{
    Indexes, adopt, create_all, create_state, drop_tables, forget_next, left_over, make,
    make_indexes, note_tables, remake, replace, schema_hash, shrink, table_names,
};
pub(crate) use scrub::{is_left, scrub};
pub(crate) use state::{Standing, State};
pub(crate) use table::{Stored, Table, append_rows};
