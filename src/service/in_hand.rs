//! The secrets of requests, while the calls that brought them wait. A secret is nowhere else: what is recorded has its
//! length and a MAC, and a request whose call has gone cannot be sent. Nothing but the secret is taken from such a call:
//! what else goes up is what was recorded.

use gateway::Secrets;
use ledger::AgentId;
use ledger::operation::MatchDigest;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Who brought it, and for what.
type Asked = (AgentId, MatchDigest);

#[derive(Debug)]
struct Brought {
    secrets: Arc<Secrets>,
    /// How many calls have brought it.
    calls: usize,
}

/// The secrets.
#[derive(Debug, Default)]
pub(super) struct InHand(Mutex<HashMap<Asked, Brought>>);

impl InHand {
    fn brought(&self) -> MutexGuard<'_, HashMap<Asked, Brought>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds the secrets of a request for as long as what is given back lives. Under one digest they are the same, but
    /// for the token of an upload: the newest is good for longest.
    pub(super) fn hold(self: &Arc<Self>, asked: Asked, secrets: Secrets) -> Holding {
        let mut brought = self.brought();
        let calls = brought.get(&asked).map_or(0, |known| known.calls);
        let newest = Brought {
            secrets: Arc::new(secrets),
            calls: calls + 1,
        };
        brought.insert(asked, newest);
        Holding {
            of: Arc::clone(self),
            asked,
        }
    }

    /// The secrets of a request, while a call has them.
    pub(super) fn of(&self, asked: &Asked) -> Option<Arc<Secrets>> {
        let brought = self.brought();
        Some(Arc::clone(&brought.get(asked)?.secrets))
    }
}

/// A call that has brought a request.
#[derive(Debug)]
pub(super) struct Holding {
    of: Arc<InHand>,
    asked: Asked,
}

impl Drop for Holding {
    fn drop(&mut self) {
        let mut brought = self.of.brought();
        if let Some(entry) = brought.get_mut(&self.asked) {
            entry.calls = entry.calls.saturating_sub(1);
            if entry.calls == 0 {
                brought.remove(&self.asked);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_in_hand_while_a_call_that_brought_it_waits() {
        let in_hand = Arc::new(InHand::default());
        let asked = (
            AgentId::from_bytes([1; 16]),
            MatchDigest::from_bytes([2; 32]),
        );
        let secrets = || Secrets::from([("/value".to_owned(), "s3cret".into())]);
        let bring = || in_hand.hold(asked, secrets());
        let (first, second) = (bring(), bring());
        drop(first);
        assert!(in_hand.of(&asked).is_some());
        drop(second);
        assert!(in_hand.of(&asked).is_none());
    }
}
