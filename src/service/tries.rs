//! How often the client of a call about which people are asked was told to send it again.

use ledger::{ApprovalId, Timestamp};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// The most times for one question.
const MOST: u32 = 10;

/// The tries of each question that is open.
#[derive(Debug, Default)]
pub(super) struct Tries(Mutex<HashMap<ApprovalId, (u32, Timestamp)>>);

impl Tries {
    /// Takes one more try of a question that is open until then; `false` where it has had as many as it may.
    pub(super) fn take(&self, (question, until): (ApprovalId, Timestamp), now: Timestamp) -> bool {
        let mut tries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tries.retain(|_, (_, until)| *until > now);
        let (count, _) = tries.entry(question).or_insert((0, until));
        *count = count.saturating_add(1);
        *count <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_ten_tries_and_others_have_theirs() {
        let tries = Tries::default();
        let (now, until) = (Timestamp::from_seconds(1), Timestamp::from_seconds(2));
        let question = |number: u8| (ApprovalId::from_bytes([number; 16]), until);
        for _ in 0..MOST {
            assert!(tries.take(question(1), now));
        }
        assert!(!tries.take(question(1), now));
        assert!(!tries.take(question(1), now));
        assert!(tries.take(question(2), now));
        // What is over is forgotten.
        let other = (ApprovalId::from_bytes([3; 16]), Timestamp::from_seconds(9));
        assert!(tries.take(other, until));
        assert_eq!(tries.0.lock().unwrap().len(), 1);
    }
}
