//! The read tables' SQLite file, and how rows are kept in memory until a batch is written.

mod column;
mod file;
mod lock;
mod multi_row;
mod row;
mod schema;
mod state;
mod table;

pub(crate) use column::{Binder, Column, Columns, RowKey, json_column};
pub(crate) use file::{
    connect_readers, connect_writer, file_of, inspect_connection, refuse_ledger,
    table_names as stored_tables,
};
pub(crate) use lock::FolderLock;
pub(crate) use row::{Row, Spec, Statements, row};
pub(crate) use schema::{create_all, schema_hash, table_names};
pub(crate) use state::State;
pub(crate) use table::{Table, append_rows, find};
