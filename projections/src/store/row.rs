//! A row: a plain struct whose fields are the columns of one table.

use super::column::RowKey;
use super::columns::{Binder, Columns};
use super::state::TableSet;
use crate::error::Error;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    /// The table's name.
    pub(crate) name: &'static str,
    /// Raised when the same events are to give other rows: the tables are then made anew.
    pub(crate) revision: u32,
    /// The columns in `CREATE TABLE`, with comments.
    pub(crate) definition: &'static str,
    /// The indexes that queries need.
    pub(crate) indexes: &'static [Index],
    /// The indexes that the fold itself needs; they are there while rows are first loaded.
    pub(crate) fold_indexes: &'static [Index],
}

/// An index: its name, and what follows the table's name in `CREATE INDEX`.
pub(crate) type Index = (&'static str, &'static str);

impl Spec {
    /// Makes the table with the indexes that the fold needs.
    pub(crate) fn create_table(&self, set: TableSet, generation: u64) -> String {
        let table = set.table(self.name);
        let indexes = create(self.fold_indexes, &table, generation);
        format!("CREATE TABLE {table} {};\n{indexes}", self.definition)
    }

    pub(crate) fn create_indexes(&self, set: TableSet, generation: u64) -> String {
        create(self.indexes, &set.table(self.name), generation)
    }
}

/// An index cannot be renamed with its table, so those of a rebuilt table end in the number of the
/// rebuild.
fn create(indexes: &[Index], table: &str, generation: u64) -> String {
    indexes
        .iter()
        .map(|(name, on)| match generation {
            0 => format!("CREATE INDEX {name} ON {table} {on};\n"),
            nth => format!("CREATE INDEX {name}_{nth} ON {table} {on};\n"),
        })
        .collect()
}

pub(crate) trait Row: Clone + Send + Sync + 'static {
    type Key: RowKey;
    const SPEC: Spec;
    /// The columns, in the order of the definition and of [`Row::bind`].
    const COLUMNS: &'static [&'static str];
    /// The columns of the primary key.
    const KEY: &'static [&'static str];

    fn key(&self) -> Self::Key;
    /// Adds the value of each column.
    fn bind(&self, to: &mut Binder<'_, '_>);
    fn read(from: &Columns<'_>) -> Result<Self, Error>;
    fn statements(set: TableSet) -> &'static Statements;
}

/// The statements that a table's rows are written, found and taken away with.
pub(crate) struct Statements {
    pub(crate) put: String,
    pub(crate) delete: String,
    pub(crate) find: String,
}

impl Statements {
    pub(crate) fn of<R: Row>(set: TableSet) -> Self {
        let name = set.table(R::SPEC.name);
        let columns = R::COLUMNS.join(", ");
        let places = |columns: &[&str]| vec!["?"; columns.len()].join(", ");
        let wanted: Vec<_> = R::KEY
            .iter()
            .map(|column| format!("{column} = ?"))
            .collect();
        let wanted = wanted.join(" AND ");
        Self {
            put: format!(
                "INSERT OR REPLACE INTO {name} ({columns}) VALUES ({})",
                places(R::COLUMNS)
            ),
            delete: format!("DELETE FROM {name} WHERE {wanted}"),
            find: format!("SELECT {columns} FROM {name} WHERE {wanted}"),
        }
    }
}

/// Makes a struct whose fields are columns: `field: Type` is the column `field`,
/// `field: Type = "column"` one of another name.
macro_rules! row {
    (
        $(#[$doc:meta])*
        $vis:vis struct $name:ident in $spec:expr,
        key ($($key:ident: $key_type:ty = $key_column:literal),+) {
            $($(#[$field_doc:meta])* $field_vis:vis $field:ident: $type:ty $(= $column:literal)?,)+
        }
    ) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq)]
        $vis struct $name {
            $($(#[$field_doc])* $field_vis $field: $type,)+
        }

        impl $crate::store::Row for $name {
            type Key = $crate::store::row!(@key $($key_type),+);
            const SPEC: $crate::store::Spec = $spec;
            const COLUMNS: &'static [&'static str] =
                &[$($crate::store::row!(@column $field $($column)?)),+];
            const KEY: &'static [&'static str] = &[$($key_column),+];

            fn key(&self) -> Self::Key {
                $crate::store::row!(@key_of self $($key),+)
            }

            fn bind(&self, to: &mut $crate::store::Binder<'_, '_>) {
                $($crate::store::Column::bind(&self.$field, to);)+
            }

            fn read(from: &$crate::store::Columns<'_>) -> Result<Self, $crate::error::Error> {
                Ok(Self {
                    $($field: from.get($crate::store::row!(@column $field $($column)?))?,)+
                })
            }

            fn statements(set: $crate::store::TableSet) -> &'static $crate::store::Statements {
                use std::sync::LazyLock;
                use $crate::store::{TableSet, Statements};
                static LIVE: LazyLock<Statements> =
                    LazyLock::new(|| Statements::of::<$name>(TableSet::Live));
                static NEXT: LazyLock<Statements> =
                    LazyLock::new(|| Statements::of::<$name>(TableSet::Next));
                match set {
                    TableSet::Live => &LIVE,
                    TableSet::Next => &NEXT,
                }
            }
        }
    };
    (@key $one:ty) => { $one };
    (@key $one:ty, $other:ty) => { ($one, $other) };
    (@key_of $row:ident $one:ident) => { $row.$one.clone() };
    (@key_of $row:ident $one:ident, $other:ident) => { ($row.$one.clone(), $row.$other.clone()) };
    (@column $field:ident) => { stringify!($field) };
    (@column $field:ident $column:literal) => { $column };
}
pub(crate) use row;
