//! Answers of commands whose refusals stand in the log.

use crate::rejection::Rejection;

/// The answer of a command that records its refusals. The refusals of other commands leave nothing in
/// the log and are [`crate::Error::Rejected`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Ruling<T> {
    /// It was carried out.
    Accepted(T),
    /// It was refused, and the log says so.
    Refused(RecordedRefusal),
}

impl<T> Ruling<T> {
    /// # Errors
    /// The refusal.
    pub fn accepted(self) -> Result<T, Rejection> {
        match self {
            Self::Accepted(answer) => Ok(answer),
            Self::Refused(RecordedRefusal(rejection)) => Err(rejection),
        }
    }
}

/// A refusal that stands in the log, by itself or in the count of its minute. Made only where it is
/// recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedRefusal(Rejection);

impl RecordedRefusal {
    pub(super) const fn of(rejection: Rejection) -> Self {
        Self(rejection)
    }

    #[must_use]
    pub const fn rejection(&self) -> &Rejection {
        &self.0
    }
}
