//! The lag of witnesses that do not answer while approvals wait for them.

use ledger::Checkpoints;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Witnesses that answer take seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// Looks at the checkpoints with each question for readiness.
pub(crate) struct WitnessLag {
    checkpoints: Checkpoints,
    seen: Mutex<SeenLag>,
}

/// What the question before has seen.
#[derive(Debug, Default)]
struct SeenLag {
    witnessed: u64,
    behind_since: Option<Instant>,
}

impl WitnessLag {
    pub(crate) fn new(checkpoints: Checkpoints) -> Self {
        Self {
            checkpoints,
            seen: Mutex::default(),
        }
    }

    /// Why the service is not ready, where it is not.
    pub(crate) fn reason_against(&self) -> Option<String> {
        let newest = self.checkpoints.newest().map_or(0, |newest| newest.size());
        let witnessed = self.checkpoints.witnessed().map_or(0, |it| it.size());
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let behind = seen.look(newest, witnessed, Instant::now());
        (behind >= PATIENCE).then(|| {
            format!(
                "no more than {witnessed} of {newest} events are witnessed, and approved operations \
                 wait for it"
            )
        })
    }
}

impl SeenLag {
    /// For how long nothing more was witnessed although there is more.
    fn look(&mut self, newest: u64, witnessed: u64, now: Instant) -> Duration {
        let moved = std::mem::replace(&mut self.witnessed, witnessed) != witnessed;
        if moved || newest <= witnessed {
            self.behind_since = None;
        }
        if newest <= witnessed {
            return Duration::ZERO;
        }
        now.duration_since(*self.behind_since.get_or_insert(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_witnesses_that_get_nowhere_count() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut seen = SeenLag::default();
        let looks = [
            // Nothing to witness, then something, and nothing comes of it.
            (0, 0, 0, 0),
            (5, 0, 10, 0),
            (9, 0, 30, 20),
            // They answer, and are behind all the time, but not with the same.
            (20, 9, 40, 0),
            (30, 20, 50, 0),
            (30, 30, 60, 0),
            // The log was at rest.
            (31, 30, 600, 0),
            (31, 30, 630, 30),
        ];
        for (newest, witnessed, when, behind) in looks {
            let found = seen.look(newest, witnessed, at(when));
            assert_eq!(found.as_secs(), behind, "at {when}");
        }
    }
}
