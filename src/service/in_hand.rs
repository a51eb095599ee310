//! Requests with secrets, while the calls that brought them wait. A secret is nowhere else: what is recorded has its
//! length and a MAC, and a request whose call has gone cannot be sent.

use super::answers::Asked;
use axum::body::Bytes;
use http::HeaderMap;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

#[derive(Debug)]
struct Brought {
    headers: HeaderMap,
    body: Bytes,
    /// How many calls have brought it.
    calls: usize,
}

/// The requests.
#[derive(Debug, Default)]
pub(super) struct InHand(Mutex<HashMap<Asked, Brought>>);

impl InHand {
    fn brought(&self) -> MutexGuard<'_, HashMap<Asked, Brought>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a request for as long as what is given back lives. Under one digest they are the same, secrets
    /// included.
    pub(super) fn hold(self: &Arc<Self>, asked: Asked, headers: HeaderMap, body: Bytes) -> Holding {
        let mut brought = self.brought();
        let entry = brought.entry(asked).or_insert(Brought {
            headers,
            body,
            calls: 0,
        });
        entry.calls += 1;
        Holding {
            of: Arc::clone(self),
            asked,
        }
    }

    /// The headers and body of a request, while a call has it.
    pub(super) fn of(&self, asked: &Asked) -> Option<(HeaderMap, Bytes)> {
        let brought = self.brought();
        let found = brought.get(asked)?;
        Some((found.headers.clone(), found.body.clone()))
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
    use ledger::AgentId;
    use ledger::operation::MatchDigest;

    #[test]
    fn a_request_is_in_hand_while_a_call_that_brought_it_waits() {
        let in_hand = Arc::new(InHand::default());
        let asked = (
            AgentId::from_bytes([1; 16]),
            MatchDigest::from_bytes([2; 32]),
        );
        let bring = || in_hand.hold(asked, HeaderMap::new(), Bytes::from_static(b"s3cret"));
        let (first, second) = (bring(), bring());
        drop(first);
        assert!(in_hand.of(&asked).is_some());
        drop(second);
        assert!(in_hand.of(&asked).is_none());
    }
}
