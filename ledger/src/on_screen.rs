//! The operations that a decider's browser says were on its screen. It binds nothing: the passkey signs the
//! fingerprint, and a browser may say anything.

use serde::{Deserialize, Serialize};

/// The operations that were on the screen before a decision, as the browser says. Both lists count from 1, rise,
/// and name operations of the question.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OnScreen {
    /// Those whose heading was to be seen, after it was unfolded where it had been folded.
    pub operations: Vec<u32>,
    /// Those of them that were scrolled to their end.
    pub to_the_end: Vec<u32>,
}

impl OnScreen {
    /// What a browser said of a question with so many operations, without all that cannot be: each number once,
    /// rising, from 1 to `count`; the ends of no others.
    #[must_use]
    pub fn of(said: Self, count: usize) -> Self {
        let Self {
            mut operations,
            mut to_the_end,
        } = said;
        operations.retain(|number| is_of(*number, count));
        operations.sort_unstable();
        operations.dedup();
        to_the_end.retain(|number| operations.binary_search(number).is_ok());
        to_the_end.sort_unstable();
        to_the_end.dedup();
        Self {
            operations,
            to_the_end,
        }
    }

    /// True where it is as [`Self::of`] makes it; `count` is `None` where it is not known.
    #[must_use]
    pub fn is_sound(&self, count: Option<usize>) -> bool {
        let most = count.unwrap_or(usize::MAX);
        self.operations.len() <= most && Self::of(self.clone(), most) == *self
    }
}

fn is_of(number: u32, count: usize) -> bool {
    usize::try_from(number).is_ok_and(|number| (1..=count).contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(operations: &[u32], to_the_end: &[u32]) -> OnScreen {
        OnScreen {
            operations: operations.to_vec(),
            to_the_end: to_the_end.to_vec(),
        }
    }

    #[test]
    fn a_browser_says_nothing_of_what_is_not_asked() {
        let kept = OnScreen::of(said(&[3, 1, 1, 0, 4, u32::MAX], &[4, 3, 2, 3]), 3);
        assert_eq!(kept, said(&[1, 3], &[3]));
        assert!(kept.is_sound(Some(3)) && kept.is_sound(None));
        assert!(!kept.is_sound(Some(2)), "there is no third");
        for wrong in [
            said(&[2, 1], &[]),
            said(&[1, 1], &[]),
            said(&[0], &[]),
            said(&[1], &[2]),
        ] {
            assert!(!wrong.is_sound(None), "{wrong:?}");
        }
    }
}
