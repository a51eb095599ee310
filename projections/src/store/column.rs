//! How values stand in columns: ids and words as text, moments as RFC 3339, lists as JSON.

use crate::error::Error;
use crate::moment;
use ledger::{
    AgentId, ApplyId, ApprovalId, ApproverId, Blob, CallbackId, DeliveryId, EnrolmentId, EventId,
    ExecutionId, Fingerprint, Level, OperationKind, RequestId, ScopeType, Sealed, StreamId, TaskId,
    Timestamp, TokenId,
};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments as _, Decode, Encode, Row as _, Sqlite, Type};
use std::hash::Hash;

/// Collects the values of a statement.
#[derive(Default)]
pub(crate) struct Binder(SqliteArguments);

impl Binder {
    pub(crate) fn with_capacity(values: usize) -> Self {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(values, 0);
        Self(arguments)
    }

    pub(crate) fn add<'t, T>(&mut self, value: T)
    where
        T: Encode<'t, Sqlite> + Type<Sqlite>,
    {
        // Text, bytes and integers always encode.
        drop(self.0.add(value));
    }

    pub(crate) fn null(&mut self) {
        self.add(None::<i64>);
    }

    pub(crate) fn into_arguments(self) -> SqliteArguments {
        self.0
    }
}

/// A row as it was read; knows its table, so that errors can say where.
pub(crate) struct Columns<'r> {
    row: &'r SqliteRow,
    table: &'static str,
}

impl<'r> Columns<'r> {
    pub(crate) const fn new(row: &'r SqliteRow, table: &'static str) -> Self {
        Self { row, table }
    }

    pub(crate) fn damaged(&self, column: &'static str) -> Error {
        Error::Damaged {
            table: self.table,
            column,
        }
    }

    pub(crate) fn raw<T>(&self, column: &'static str) -> Result<T, Error>
    where
        T: Decode<'r, Sqlite> + Type<Sqlite>,
    {
        self.row.try_get(column).map_err(|_| self.damaged(column))
    }

    pub(crate) fn get<T: Column>(&self, column: &'static str) -> Result<T, Error> {
        T::read(self, column)
    }
}

/// A value that stands in one column.
pub(crate) trait Column: Sized {
    fn bind(&self, to: &mut Binder);
    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error>;
}

/// The value or values that name a row.
pub(crate) trait RowKey: Clone + Eq + Hash + Send + Sync + 'static {
    fn bind(&self, to: &mut Binder);
}

impl<T: Column + Clone + Eq + Hash + Send + Sync + 'static> RowKey for T {
    fn bind(&self, to: &mut Binder) {
        Column::bind(self, to);
    }
}

impl<A, B> RowKey for (A, B)
where
    A: Column + Clone + Eq + Hash + Send + Sync + 'static,
    B: Column + Clone + Eq + Hash + Send + Sync + 'static,
{
    fn bind(&self, to: &mut Binder) {
        self.0.bind(to);
        self.1.bind(to);
    }
}

/// Types that are one word or one name as text.
macro_rules! word_column {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::store::Column for $type {
            fn bind(&self, to: &mut $crate::store::Binder) {
                to.add(self.to_string());
            }

            fn read(
                from: &$crate::store::Columns<'_>,
                column: &'static str,
            ) -> Result<Self, $crate::error::Error> {
                from.raw::<&str>(column)?.parse().map_err(|_| from.damaged(column))
            }
        }
    )+};
}

/// Types that stand as JSON text.
macro_rules! json_column {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::store::Column for $type {
            fn bind(&self, to: &mut $crate::store::Binder) {
                match serde_json::to_string(self) {
                    Ok(json) => to.add(json),
                    // Lists of plain fields always serialise; NOT NULL refuses the row otherwise.
                    Err(_) => to.null(),
                }
            }

            fn read(
                from: &$crate::store::Columns<'_>,
                column: &'static str,
            ) -> Result<Self, $crate::error::Error> {
                serde_json::from_str(from.raw::<&str>(column)?).map_err(|_| from.damaged(column))
            }
        }
    )+};
}
pub(crate) use json_column;

word_column!(
    AgentId,
    ApplyId,
    ApprovalId,
    ApproverId,
    CallbackId,
    DeliveryId,
    EnrolmentId,
    EventId,
    ExecutionId,
    Fingerprint,
    Level,
    OperationKind,
    RequestId,
    ScopeType,
    StreamId,
    TaskId,
    TokenId,
    crate::words::AttemptWord,
    crate::words::ApplyState,
    crate::words::ApprovalWord,
    crate::words::DeliveryWord,
    crate::words::TaskStatus,
    crate::words::Validity,
);

json_column!(Vec<String>);

impl Column for String {
    fn bind(&self, to: &mut Binder) {
        to.add(self.clone());
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        from.raw(column)
    }
}

impl Column for Timestamp {
    fn bind(&self, to: &mut Binder) {
        to.add(moment::to_text(*self));
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        moment::from_text(from.raw(column)?).ok_or_else(|| from.damaged(column))
    }
}

impl Column for bool {
    fn bind(&self, to: &mut Binder) {
        to.add(if *self { "yes" } else { "no" });
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        match from.raw::<&str>(column)? {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(from.damaged(column)),
        }
    }
}

impl Column for u64 {
    fn bind(&self, to: &mut Binder) {
        // Sizes and counts stay below 2^63 for as long as anybody will count.
        to.add(i64::try_from(*self).unwrap_or(i64::MAX));
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        Self::try_from(from.raw::<i64>(column)?).map_err(|_| from.damaged(column))
    }
}

impl Column for u32 {
    fn bind(&self, to: &mut Binder) {
        to.add(i64::from(*self));
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        Self::try_from(from.raw::<i64>(column)?).map_err(|_| from.damaged(column))
    }
}

impl Column for u16 {
    fn bind(&self, to: &mut Binder) {
        to.add(i64::from(*self));
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        Self::try_from(from.raw::<i64>(column)?).map_err(|_| from.damaged(column))
    }
}

/// Base64url, as in requests.
impl Column for Blob {
    fn bind(&self, to: &mut Binder) {
        to.add(self.to_base64url());
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        Self::from_base64url(from.raw(column)?).ok_or_else(|| from.damaged(column))
    }
}

/// The sealed bytes.
impl Column for Sealed {
    fn bind(&self, to: &mut Binder) {
        to.add(self.as_bytes().to_vec());
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        from.raw(column).map(Self::from_bytes)
    }
}

impl<T: Column> Column for Option<T> {
    fn bind(&self, to: &mut Binder) {
        match self {
            Some(value) => value.bind(to),
            None => to.null(),
        }
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        use sqlx::ValueRef as _;
        let value = from
            .row
            .try_get_raw(column)
            .map_err(|_| from.damaged(column))?;
        if value.is_null() {
            return Ok(None);
        }
        T::read(from, column).map(Some)
    }
}
