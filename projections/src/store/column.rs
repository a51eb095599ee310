//! Values in columns: ids and words as text, moments as RFC 3339, lists as JSON.

use super::columns::{Binder, Columns};
use crate::error::Error;
use crate::moment;
use ledger::{
    AdmissionId, AgentId, AgentName, ApplyId, ApprovalId, ApproverId, ApproverName, Blob,
    CallbackId, ClearanceId, ClientSubject, CredentialId, DeliveryId, EnrolmentId, EventId,
    ExecutionId, Fingerprint, IdempotencyKey, KeyId, Level, LockId, OperationId,
    RecordedThumbprint, RequestId, ScopePattern, ScopeType, Sealed, SessionId, StreamId, TaskId,
    TemplateId, TemplateName, Timestamp, TokenId, UserId,
};
use std::hash::Hash;

pub(crate) trait Column: Sized {
    fn bind(&self, to: &mut Binder<'_, '_>);
    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error>;
}

pub(crate) trait RowKey: Clone + Eq + Hash + Send + Sync + 'static {
    fn bind(&self, to: &mut Binder<'_, '_>);
}

impl<T: Column + Clone + Eq + Hash + Send + Sync + 'static> RowKey for T {
    fn bind(&self, to: &mut Binder<'_, '_>) {
        Column::bind(self, to);
    }
}

impl<A, B> RowKey for (A, B)
where
    A: Column + Clone + Eq + Hash + Send + Sync + 'static,
    B: Column + Clone + Eq + Hash + Send + Sync + 'static,
{
    fn bind(&self, to: &mut Binder<'_, '_>) {
        self.0.bind(to);
        self.1.bind(to);
    }
}

/// Types that are one word or one name as text.
macro_rules! word_column {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::store::Column for $type {
            fn bind(&self, to: &mut $crate::store::Binder<'_, '_>) {
                to.shown(self);
            }

            fn read(
                from: &$crate::store::Columns<'_>,
                column: &'static str,
            ) -> Result<Self, $crate::error::Error> {
                from.text(column)?.parse().map_err(|_| from.damaged(column))
            }
        }
    )+};
}

/// Types that stand as JSON text.
macro_rules! json_column {
    ($($type:ty),+ $(,)?) => {$(
        impl $crate::store::Column for $type {
            fn bind(&self, to: &mut $crate::store::Binder<'_, '_>) {
                to.json(self);
            }

            fn read(
                from: &$crate::store::Columns<'_>,
                column: &'static str,
            ) -> Result<Self, $crate::error::Error> {
                serde_json::from_str(from.text(column)?).map_err(|_| from.damaged(column))
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
    ClearanceId,
    DeliveryId,
    EnrolmentId,
    EventId,
    ExecutionId,
    Fingerprint,
    KeyId,
    Level,
    LockId,
    AdmissionId,
    OperationId,
    RequestId,
    ScopeType,
    SessionId,
    StreamId,
    TaskId,
    TemplateId,
    TokenId,
    UserId,
    crate::status::AttemptStatus,
    crate::status::ApplyState,
    crate::status::ApprovalStatus,
    crate::status::DeliveryStatus,
    crate::status::TaskStatus,
    crate::status::Validity,
);

json_column!(Vec<AgentId>, Vec<ApproverName>, Vec<String>);

impl Column for String {
    fn bind(&self, to: &mut Binder<'_, '_>) {
        to.text(self);
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        from.text(column).map(str::to_owned)
    }
}

/// Names, which are read as they stand.
macro_rules! name_column {
    ($($type:ty),+ $(,)?) => {$(
        impl Column for $type {
            fn bind(&self, to: &mut Binder<'_, '_>) {
                to.text(self);
            }

            fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
                from.text(column).map(Self::unchecked)
            }
        }
    )+};
}

name_column!(
    AgentName,
    ApproverName,
    ClientSubject,
    IdempotencyKey,
    ScopePattern,
    TemplateName
);

impl Column for Timestamp {
    fn bind(&self, to: &mut Binder<'_, '_>) {
        to.written(|text| moment::write(*self, text));
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        moment::from_text(from.text(column)?).ok_or_else(|| from.damaged(column))
    }
}

impl Column for bool {
    fn bind(&self, to: &mut Binder<'_, '_>) {
        to.text(if *self { "yes" } else { "no" });
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        match from.text(column)? {
            "yes" => Ok(true),
            "no" => Ok(false),
            _ => Err(from.damaged(column)),
        }
    }
}

impl Column for u64 {
    fn bind(&self, to: &mut Binder<'_, '_>) {
        // Sizes and counts stay below 2^63 for as long as anybody will count.
        to.integer(i64::try_from(*self).unwrap_or(i64::MAX));
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        Self::try_from(from.integer(column)?).map_err(|_| from.damaged(column))
    }
}

impl Column for u32 {
    fn bind(&self, to: &mut Binder<'_, '_>) {
        to.integer(i64::from(*self));
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        Self::try_from(from.integer(column)?).map_err(|_| from.damaged(column))
    }
}

impl Column for u16 {
    fn bind(&self, to: &mut Binder<'_, '_>) {
        to.integer(i64::from(*self));
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        Self::try_from(from.integer(column)?).map_err(|_| from.damaged(column))
    }
}

/// Base64url, as in requests.
impl Column for Blob {
    fn bind(&self, to: &mut Binder<'_, '_>) {
        to.text(&self.to_base64url());
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        Self::from_base64url(from.text(column)?).ok_or_else(|| from.damaged(column))
    }
}

macro_rules! bytes_column {
    ($($type:ty),+ $(,)?) => {$(
        impl Column for $type {
            fn bind(&self, to: &mut Binder<'_, '_>) {
                to.text(&self.to_base64url());
            }

            fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
                Blob::read(from, column).map(Self::unchecked)
            }
        }
    )+};
}

bytes_column!(CredentialId, RecordedThumbprint);

impl Column for Sealed {
    fn bind(&self, to: &mut Binder<'_, '_>) {
        to.bytes(self.as_bytes());
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        from.bytes(column)
            .map(|bytes| Self::from_bytes(bytes.to_vec()))
    }
}

impl<T: Column> Column for Option<T> {
    fn bind(&self, to: &mut Binder<'_, '_>) {
        match self {
            Some(value) => value.bind(to),
            None => to.null(),
        }
    }

    fn read(from: &Columns<'_>, column: &'static str) -> Result<Self, Error> {
        if from.is_null(column)? {
            return Ok(None);
        }
        T::read(from, column).map(Some)
    }
}
