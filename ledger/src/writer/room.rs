//! The room that is left for what is to be written.

use crate::storage::Log;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a reading counts. A disk does not fill by more than a floor in this time.
const LIFE: Duration = Duration::from_secs(1);

/// The newest reading.
pub(crate) struct Room {
    log: Arc<dyn Log>,
    read: Option<(Instant, Option<u64>)>,
}

impl Room {
    pub(crate) fn of(log: Arc<dyn Log>) -> Self {
        Self { log, read: None }
    }

    /// True when there is less than that. What cannot be read stops nothing: a commit would say so.
    pub(crate) fn is_below(&mut self, floor: u64) -> bool {
        if floor == 0 {
            return false;
        }
        let free = match self.read {
            Some((at, free)) if at.elapsed() < LIFE => free,
            _ => {
                let free = self.log.bytes_free();
                self.read = Some((Instant::now(), free));
                free
            }
        };
        free.is_some_and(|free| free < floor)
    }
}
