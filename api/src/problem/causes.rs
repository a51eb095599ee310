//! Errors of the crates below, as refusals of the HTTP surface.

use super::ApiError;
use app::passkey::PasskeyRefused;
use std::time::Duration;

impl From<app::Error> for ApiError {
    fn from(error: app::Error) -> Self {
        match error {
            app::Error::Unauthorized(why) => why.into(),
            app::Error::Forbidden(why) => why.into(),
            app::Error::Ledger(error) => error.into(),
            app::Error::Tables(error) => error.into(),
            app::Error::Registration(why @ PasskeyRefused::AlreadyRegistered) => Self::Conflict {
                detail: why.to_string(),
            },
            app::Error::Registration(why) => Self::bad_request(why),
            app::Error::Throttled(why) => Self::RateLimited {
                retry_after: why.retry_after,
            },
            busy @ app::Error::Busy => Self::Unavailable {
                detail: busy.to_string(),
                retry_after: Duration::from_secs(1),
            },
            app::Error::PolicyInvalid(problems) => Self::PolicyInvalid(problems),
            app::Error::NotFound { what } => Self::NotFound { what },
            app::Error::Defect(cause) => Self::internal(cause),
        }
    }
}

/// A thing that the ledger cannot do at the moment is a 503; one that it should never say is our fault.
impl From<ledger::Error> for ApiError {
    fn from(error: ledger::Error) -> Self {
        use ledger::Error;
        match error {
            Error::Rejected(rejection) => Self::Refused(rejection),
            Error::NotRecorded | Error::Stopped => Self::Unavailable {
                detail: error.to_string(),
                retry_after: Duration::from_secs(1),
            },
            Error::Defect { .. } | Error::Read(_) | Error::WrittenBeside | Error::Encode(_) => {
                Self::internal(error)
            }
        }
    }
}

impl From<ledger::ReadError> for ApiError {
    fn from(error: ledger::ReadError) -> Self {
        Self::internal(error)
    }
}

/// Read tables that lag or have stopped are a 503 that says so; the rest should never be met here.
impl From<projections::Error> for ApiError {
    fn from(error: projections::Error) -> Self {
        use projections::Error;
        match error {
            Error::Lagging { .. } | Error::Stopped { .. } | Error::Ended => Self::Unavailable {
                detail: error.to_string(),
                retry_after: Duration::from_secs(1),
            },
            Error::Ledger(error) => error.into(),
            Error::InvalidUrl { .. }
            | Error::SameFile { .. }
            | Error::ForeignFile { .. }
            | Error::InUse { .. }
            | Error::OtherLedger { .. }
            | Error::LedgerMissing { .. }
            | Error::LedgerShorter { .. }
            | Error::OtherHistory { .. }
            | Error::EmptyLedger
            | Error::Unfoldable { .. }
            | Error::Unreadable { .. }
            | Error::OutOfOrder { .. }
            | Error::Refused { .. }
            | Error::Damaged { .. }
            | Error::Pages { .. }
            | Error::CursorMoved { .. }
            | Error::Sqlite { .. }
            | Error::File { .. } => Self::internal(error),
        }
    }
}
