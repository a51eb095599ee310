//! Waiting for one stream to change.

use crate::id::StreamId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;

/// The streams that somebody waits for. An entry lives as long as somebody waits.
#[derive(Debug, Default)]
pub(crate) struct Watchers {
    streams: Mutex<HashMap<StreamId, (usize, Arc<Notify>)>>,
}

impl Watchers {
    pub(crate) fn wake(&self, stream: StreamId) {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, notify)) = streams.get(&stream) {
            notify.notify_waiters();
        }
    }

    /// How many streams somebody waits for.
    pub(crate) fn count(&self) -> usize {
        let streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        streams.len()
    }

    pub(crate) fn watch(&self, stream: StreamId) -> Watch<'_> {
        let mut streams = self.streams.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, notify) = streams.entry(stream).or_default();
        *count += 1;
        Watch {
            watchers: self,
            stream,
            notify: Arc::clone(notify),
        }
    }
}

#[derive(Debug)]
pub(crate) struct Watch<'a> {
    watchers: &'a Watchers,
    stream: StreamId,
    pub(crate) notify: Arc<Notify>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        let mut streams = self
            .watchers
            .streams
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some((count, _)) = streams.get_mut(&self.stream) {
            *count -= 1;
            if *count == 0 {
                streams.remove(&self.stream);
            }
        }
    }
}
