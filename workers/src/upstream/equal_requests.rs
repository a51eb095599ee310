//! Equal requests that are under way at the same time. Reading back cannot tell which of them made what it
//! finds, so none of them is called carried out by it.

use ledger::operation::Operation;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

#[derive(Debug, Default)]
pub(super) struct EqualRequests(Mutex<HashMap<String, UnderWay>>);

#[derive(Debug, Default)]
struct UnderWay {
    count: usize,
    /// There was more than one since the first of them began.
    met: bool,
}

/// One request, from before its state is read until what became of it is known.
#[derive(Debug)]
pub(super) struct Ticket {
    key: String,
    all: Arc<EqualRequests>,
}

impl Ticket {
    pub(super) fn take(
        all: &Arc<EqualRequests>,
        operation: &Operation,
        name: Option<&str>,
    ) -> Self {
        let request = operation.request(name).description();
        let body = request.body_sha256.map(hex::encode).unwrap_or_default();
        let ticket = Self {
            key: format!("{} {} {body}", request.method, request.path),
            all: Arc::clone(all),
        };
        ticket.with(|under_way| {
            under_way.count += 1;
            under_way.met |= under_way.count > 1;
        });
        ticket
    }

    /// True when an equal one was under way in the meantime.
    pub(super) fn has_met(&self) -> bool {
        self.with(|under_way| under_way.met)
    }

    fn with<T>(&self, act: impl FnOnce(&mut UnderWay) -> T) -> T {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        act(all.entry(self.key.clone()).or_default())
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut all = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(under_way) = all.get_mut(&self.key) {
            under_way.count = under_way.count.saturating_sub(1);
            if under_way.count == 0 {
                all.remove(&self.key);
            }
        }
    }
}
