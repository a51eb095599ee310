//! How a process ends, and when.

use super::rng::Rng;
use std::time::Duration;

/// After so many answers of this process, and so much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) answers: u64,
    pub(super) then: Duration,
}

/// How a process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// SIGKILL so long after it was started.
    KilledAtStart(Duration),
    /// SIGKILL.
    Killed(Moment),
    /// SIGTERM, and SIGKILL when that has taken so long.
    KilledWhileStopping(Moment, Duration),
    /// What the shim's mode says, at the nth operation of a kind on a file, such as
    /// `write proxy.db-wal`: SIGKILL, or the power is cut, and with it goes whatever was not synced; or
    /// it fails, done, in part or not at all, and SIGKILL comes later.
    AtOperation {
        operation: &'static str,
        nth: u64,
        mode: &'static str,
    },
}

impl End {
    pub(super) fn of(rng: &mut Rng) -> Self {
        match rng.between(1, 100) {
            1..=20 => Self::KilledAtStart(Duration::from_micros(rng.between(0, 250_000))),
            21..=45 => {
                let (most, operation) = rng.weighted(&[
                    (4, (60, "write proxy.ledger.db-wal")),
                    (4, (20, "sync proxy.ledger.db-wal")),
                    (3, (60, "write proxy.db-wal")),
                    (1, (4, "sync proxy.db-wal")),
                    (1, (2, "write proxy.ledger.db")),
                    (1, (2, "write proxy.db")),
                    (1, (3, "write proxy.ledger.db.signing-state.new")),
                    (1, (3, "rename proxy.ledger.db.signing-state")),
                    (1, (3, "sync .")),
                ]);
                let nth = rng.between(1, most);
                let mode = rng.weighted(&[
                    (5, "cut"),
                    (3, "kill"),
                    (1, "lost"),
                    (1, "done"),
                    (1, "torn"),
                ]);
                Self::AtOperation {
                    operation,
                    nth,
                    mode,
                }
            }
            46..=55 => {
                let after = Duration::from_micros(rng.between(0, 20_000));
                Self::KilledWhileStopping(Moment::of(rng, 40), after)
            }
            _ => Self::Killed(Moment::of(rng, 50)),
        }
    }

    /// As the shim wants to be told.
    pub(super) fn for_the_shim(self) -> Option<String> {
        let Self::AtOperation {
            operation,
            nth,
            mode,
        } = self
        else {
            return None;
        };
        Some(format!("{mode} {operation} {nth} 1"))
    }
}

impl Moment {
    pub(super) fn of(rng: &mut Rng, most: u64) -> Self {
        Self {
            answers: rng.between(0, most),
            then: Duration::from_micros(rng.between(0, 12_000)),
        }
    }
}
