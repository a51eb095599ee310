//! The newest events in memory, so that projections need not read back what was just written.

use crate::event::{Event, Recorded};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

/// How many events are kept at most.
const MAX_EVENTS: usize = 8192;
/// How many bytes they may weigh together, roughly.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A bounded run of events that ends at the head.
#[derive(Debug, Default)]
pub(crate) struct RecentEvents {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    events: VecDeque<Arc<Recorded>>,
    bytes: usize,
}

impl RecentEvents {
    pub(crate) fn push(&self, events: impl Iterator<Item = Arc<Recorded>>) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        for event in events {
            inner.bytes += weight(&event);
            inner.events.push_back(event);
        }
        while inner.events.len() > MAX_EVENTS || inner.bytes > MAX_BYTES {
            let Some(old) = inner.events.pop_front() else {
                break;
            };
            inner.bytes = inner.bytes.saturating_sub(weight(&old));
        }
    }

    /// How many events are kept, and what they weigh in bytes.
    pub(crate) fn size(&self) -> (usize, usize) {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        (inner.events.len(), inner.bytes)
    }

    /// Forgets everything; it is read from the storage again.
    pub(crate) fn clear(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.events.clear();
        inner.bytes = 0;
    }

    /// Up to `limit` events from a position on; `None` when that position is not kept any more.
    pub(crate) fn from(&self, position: u64, limit: usize) -> Option<Vec<Arc<Recorded>>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let first = inner.events.front()?.position();
        let skip = usize::try_from(position.checked_sub(first)?).ok()?;
        (skip <= inner.events.len()).then(|| {
            inner
                .events
                .iter()
                .skip(skip)
                .take(limit)
                .cloned()
                .collect()
        })
    }
}

fn weight(recorded: &Recorded) -> usize {
    usize::try_from(recorded.header.payload_len).unwrap_or(0)
        + size_of::<Recorded>()
        + size_of::<Event>()
}
