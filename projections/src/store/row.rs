//! A row: a plain struct whose fields are the columns of one table.

use super::column::{Binder, Columns, RowKey};
use super::multi_row::MultiRow;
use crate::error::Error;

/// What a table is made of.
pub(crate) struct Spec {
    /// The table's name.
    pub(crate) name: &'static str,
    /// Its `CREATE TABLE` and `CREATE INDEX` statements, with their comments.
    pub(crate) ddl: &'static str,
    /// Raised when the same events are to give other rows: the tables are then made anew.
    pub(crate) revision: u32,
}

/// A row of one table.
pub(crate) trait Row: Clone + Send + Sync + 'static {
    /// What names a row.
    type Key: RowKey;
    /// The table.
    const SPEC: Spec;
    /// The columns, in the order of the DDL and of [`Row::bind`].
    const COLUMNS: &'static [&'static str];
    /// The columns of the primary key.
    const KEY: &'static [&'static str];

    /// What names this row.
    fn key(&self) -> Self::Key;
    /// Adds the value of each column.
    fn bind(&self, to: &mut Binder);
    /// Reads the columns back.
    fn read(from: &Columns<'_>) -> Result<Self, Error>;
    /// The statements that write rows, constant for a table.
    fn statements() -> &'static Statements;
}

/// The statements that a table's rows are written, found and taken away with.
pub(crate) struct Statements {
    pub(crate) put: MultiRow,
    pub(crate) delete: MultiRow,
    pub(crate) find: std::sync::Arc<str>,
}

impl Statements {
    pub(crate) fn of<R: Row>() -> Self {
        let name = R::SPEC.name;
        let columns = R::COLUMNS.join(", ");
        let key = R::KEY.join(", ");
        let places = vec!["?"; R::KEY.len()].join(", ");
        Self {
            put: MultiRow::new(
                &format!("INSERT OR REPLACE INTO {name} ({columns}) VALUES"),
                R::COLUMNS.len(),
                "",
            ),
            delete: MultiRow::new(
                &format!("DELETE FROM {name} WHERE ({key}) IN (VALUES"),
                R::KEY.len(),
                ")",
            ),
            find: format!("SELECT {columns} FROM {name} WHERE ({key}) = ({places})").into(),
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

            fn bind(&self, to: &mut $crate::store::Binder) {
                $($crate::store::Column::bind(&self.$field, to);)+
            }

            fn read(from: &$crate::store::Columns<'_>) -> Result<Self, $crate::error::Error> {
                Ok(Self {
                    $($field: from.get($crate::store::row!(@column $field $($column)?))?,)+
                })
            }

            fn statements() -> &'static $crate::store::Statements {
                static STATEMENTS: std::sync::LazyLock<$crate::store::Statements> =
                    std::sync::LazyLock::new($crate::store::Statements::of::<$name>);
                &STATEMENTS
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
