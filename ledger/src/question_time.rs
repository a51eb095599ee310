//! How long a question to people waits.

use crate::rejection::Rejection;
use std::ops::RangeInclusive;
use std::time::Duration;

/// How long a question waits for people, and an approval to be continued: a minute to seven days, in whole
/// seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuestionTime(u32);

impl QuestionTime {
    /// The seconds that it can have.
    pub const SECONDS: RangeInclusive<u32> = 60..=604_800;

    /// # Errors
    /// [`Rejection::Invalid`] unless it is 60..=604800 seconds.
    pub fn from_seconds(seconds: u64) -> Result<Self, Rejection> {
        u32::try_from(seconds)
            .ok()
            .filter(|seconds| Self::SECONDS.contains(seconds))
            .map(Self)
            .ok_or_else(|| Rejection::Invalid {
                code: "bad_request",
                detail: "approval_ttl_seconds: 60 to 604800".to_owned(),
            })
    }

    /// The time.
    #[must_use]
    pub fn get(self) -> Duration {
        Duration::from_secs(u64::from(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_waits_a_minute_to_seven_days() {
        for seconds in [60, 604_800] {
            let time = QuestionTime::from_seconds(seconds).unwrap();
            assert_eq!(time.get(), Duration::from_secs(seconds));
        }
        for seconds in [0, 59, 604_801, u64::MAX] {
            let refused = QuestionTime::from_seconds(seconds).unwrap_err();
            assert_eq!(refused.code(), "bad_request");
        }
    }
}
