//! Going on from an older state of a ledger: what must hold before it is recorded.

use crate::event::LedgerForked;
use crate::tlog::{Checkpoint, CheckpointError, LogKey, LogOrigin, Note};

/// The longest reason, in characters.
const MOST_REASON: usize = 1000;

/// Why a fork is not recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ForkError {
    /// The note that was given is no checkpoint of the old log.
    #[error("this is not a checkpoint of the log that is left")]
    Checkpoint(#[from] CheckpointError),
    /// Two histories under one name are what a fork must not be taken for.
    #[error(
        "the fork would go on as {0}, the origin of the log that is left; it needs one of its own"
    )]
    SameOrigin(LogOrigin),
    /// A key that signs two logs vouches for neither.
    #[error("the fork would go on with the signing key of the log that is left; it needs its own")]
    SameKey,
    /// Nothing was restored.
    #[error("the ledger holds no event; there is nothing to go on from")]
    Empty,
    /// Nobody could tell later why.
    #[error("a fork needs a reason of 1 to 1000 characters on one line")]
    Reason,
}

/// An operator's decision to go on from an older state of a ledger.
#[derive(Debug, Clone)]
pub struct Fork {
    /// The origin that the old log signs as.
    pub old_origin: LogOrigin,
    /// Its key.
    pub old_key: LogKey,
    /// The newest checkpoint of it that is known.
    pub newest: Note,
    /// The origin that the fork will sign as.
    pub new_origin: LogOrigin,
    /// Its key.
    pub new_key: LogKey,
    /// Why.
    pub reason: String,
}

impl Fork {
    /// The event at position `size`, the first that the two logs do not share.
    ///
    /// # Errors
    /// [`ForkError`], before anything was written.
    pub fn decide(self, size: u64) -> Result<LedgerForked, ForkError> {
        let reason = self.reason.trim();
        let characters = reason.chars().count();
        if characters == 0 || characters > MOST_REASON || reason.chars().any(char::is_control) {
            return Err(ForkError::Reason);
        }
        if size == 0 {
            return Err(ForkError::Empty);
        }
        if self.new_origin == self.old_origin {
            return Err(ForkError::SameOrigin(self.new_origin));
        }
        if self.new_key.public_key() == self.old_key.public_key() {
            return Err(ForkError::SameKey);
        }
        let newest = Checkpoint::open(&self.newest, &self.old_key, &self.old_origin)?;
        Ok(LedgerForked {
            old_origin: self.old_origin.to_string(),
            old_vkey: self.old_key.to_string(),
            old_size: newest.size(),
            old_root: *newest.root(),
            old_checkpoint: self.newest.to_string(),
            forked_at: size,
            new_origin: self.new_origin.to_string(),
            new_vkey: self.new_key.to_string(),
            reason: reason.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tlog::{LogSigner, TreeHash};

    fn signer(name: &str, seed: u8) -> LogSigner {
        LogSigner::from_seed(name.parse().unwrap(), &[seed; 32])
    }

    fn origin(name: &str) -> LogOrigin {
        name.parse().unwrap()
    }

    fn checkpoint(signer: &LogSigner, name: &str) -> Note {
        let root = TreeHash::from_slice(&[7; 32]).unwrap();
        signer.sign_checkpoint(&Checkpoint::new(origin(name), 40, root))
    }

    /// Going on from size 30 of a log that signed at size 40.
    fn given() -> Fork {
        let old = signer("old.example/log", 1);
        Fork {
            old_origin: origin("old.example/log"),
            old_key: old.public(),
            newest: checkpoint(&old, "old.example/log"),
            new_origin: origin("new.example/log"),
            new_key: signer("new.example/log", 2).public(),
            reason: " the disk broke ".to_owned(),
        }
    }

    #[test]
    fn a_fork_names_the_last_checkpoint_of_the_log_that_is_left() {
        let fork = given();
        let note = fork.newest.to_string();
        let forked = fork.decide(30).unwrap();
        assert_eq!(forked.old_origin, "old.example/log");
        assert_eq!((forked.old_size, forked.forked_at), (40, 30));
        assert_eq!(forked.old_root, TreeHash::from_slice(&[7; 32]).unwrap());
        assert_eq!(forked.old_checkpoint, note);
        assert_eq!(forked.new_vkey, given().new_key.to_string());
        assert_eq!(forked.reason, "the disk broke");
    }

    #[test]
    fn a_fork_has_an_origin_and_a_key_of_its_own() {
        let same_origin = Fork {
            new_origin: origin("old.example/log"),
            ..given()
        };
        let refused = same_origin.decide(30).unwrap_err();
        assert_eq!(refused, ForkError::SameOrigin(origin("old.example/log")));
        let same_key = Fork {
            new_key: signer("new.example/log", 1).public(),
            ..given()
        };
        assert_eq!(same_key.decide(30).unwrap_err(), ForkError::SameKey);
    }

    #[test]
    fn a_fork_is_not_recorded_against_a_checkpoint_that_the_old_log_did_not_sign() {
        for note in [
            checkpoint(&signer("old.example/log", 3), "old.example/log"),
            checkpoint(&signer("other.example/log", 3), "other.example/log"),
            checkpoint(&signer("old.example/log", 1), "other.example/log"),
        ] {
            let fork = Fork {
                newest: note,
                ..given()
            };
            let refused = fork.decide(30).unwrap_err();
            assert!(matches!(refused, ForkError::Checkpoint(_)), "{refused}");
        }
    }

    #[test]
    fn a_fork_without_a_reason_or_an_event_before_it_is_refused() {
        for reason in ["", "  ", "two\nlines", &"x".repeat(1001)] {
            let fork = Fork {
                reason: reason.to_owned(),
                ..given()
            };
            assert_eq!(fork.decide(30).unwrap_err(), ForkError::Reason);
        }
        assert_eq!(given().decide(0).unwrap_err(), ForkError::Empty);
    }
}
