//! What goes wrong around the process: the disk, the files, the clock, upstream and the receivers.

use super::rng::Rng;
use fixtures::receiver;
use fixtures::upstream::{FakeUpstream, Fault};
use std::time::Duration;

/// What a process is started into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    Plain,
    /// No file may become larger than the largest one is, and this, in KiB.
    Room(u32),
    /// Something may not be written to.
    ReadOnly(Victim),
    /// Somebody has deleted the read tables.
    WithoutReadTables,
}

/// What may not be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Victim {
    Ledger,
    ReadTables,
    Folder,
}

/// What happens while a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Disturbance {
    /// SIGSTOP, and SIGCONT so much later.
    Frozen(Duration),
    /// The clock is so many seconds off from here on.
    Clock(i64),
    /// An operator has the read tables made anew beside those in use.
    Rebuild,
    /// Nothing more fits on the disk, for so long.
    Full(Duration),
    /// From here on, for whoever opens it.
    ReadOnly(Victim),
}

/// What upstream and the receivers do in a process, each to one of the requests that come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Faults {
    pub(super) upstream: Vec<Upstream>,
    pub(super) hooks: Vec<Hook>,
}

/// What happens to a request that could change something upstream, or to the next read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Upstream {
    Delay(u64),
    /// Carried out so many milliseconds later, also when the one who asked is gone by then.
    Late(u64),
    DropBefore,
    DropAfter,
    Status(u16),
    StatusAfter(u16),
    Refuse,
    Malformed,
    ReadFails,
}

/// What a receiver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hook {
    Status(u16),
    Closed,
    Late(u64),
}

impl Setting {
    pub(super) fn of(rng: &mut Rng) -> Self {
        match rng.between(1, 100) {
            1..=12 => Self::Room(u32::try_from(rng.between(0, 400)).unwrap()),
            13..=20 => Self::ReadOnly(Victim::of(rng)),
            21..=28 => Self::WithoutReadTables,
            _ => Self::Plain,
        }
    }

    /// Whether the process may end or refuse by itself.
    pub(super) const fn is_hostile(self) -> bool {
        matches!(self, Self::Room(_) | Self::ReadOnly(_))
    }
}

impl Victim {
    fn of(rng: &mut Rng) -> Self {
        rng.weighted(&[(1, Self::Ledger), (1, Self::ReadTables), (1, Self::Folder)])
    }
}

impl Disturbance {
    /// Whether the process may end by itself of it.
    pub(super) const fn is_hostile(self) -> bool {
        matches!(self, Self::Full(_) | Self::ReadOnly(_))
    }

    pub(super) fn of(rng: &mut Rng) -> Self {
        match rng.between(1, 100) {
            1..=10 => Self::Rebuild,
            11..=30 => Self::Frozen(Duration::from_millis(rng.between(1, 200))),
            31..=48 => Self::Full(Duration::from_millis(rng.between(1, 150))),
            49..=60 => Self::ReadOnly(Victim::of(rng)),
            61..=75 => Self::Clock(seconds(rng.between(1, 90))),
            76..=80 => Self::Clock(seconds(rng.between(3_600, 10_800))),
            81..=92 => Self::Clock(-seconds(rng.between(1, 50))),
            _ => Self::Clock(-seconds(rng.between(90, 7_200))),
        }
    }
}

fn seconds(count: u64) -> i64 {
    i64::try_from(count).unwrap()
}

impl Faults {
    pub(super) fn of(rng: &mut Rng) -> Self {
        Self {
            upstream: (0..rng.between(0, 4)).map(|_| Upstream::of(rng)).collect(),
            hooks: (0..rng.between(0, 3)).map(|_| Hook::of(rng)).collect(),
        }
    }
}

impl Upstream {
    fn of(rng: &mut Rng) -> Self {
        let time = rng.between(1, 60);
        rng.weighted(&[
            (25, Self::Delay(time)),
            (15, Self::Late(time)),
            (6, Self::DropBefore),
            (14, Self::DropAfter),
            (6, Self::Status(503)),
            (14, Self::StatusAfter(502)),
            (10, Self::Refuse),
            (7, Self::Malformed),
            (3, Self::ReadFails),
        ])
    }

    pub(super) fn befall(self, upstream: &FakeUpstream) {
        let fault = match self {
            Self::Delay(time) => Fault::Delay(Duration::from_millis(time)),
            Self::Late(time) => Fault::Late(Duration::from_millis(time)),
            Self::DropBefore => Fault::DropBefore,
            Self::DropAfter => Fault::DropAfter,
            Self::Status(status) => Fault::Status(status),
            Self::StatusAfter(status) => Fault::StatusAfter(status),
            Self::Refuse => Fault::Refuse {
                status: 400,
                code: 1004,
                message: "not today".to_owned(),
            },
            Self::Malformed => Fault::Malformed,
            Self::ReadFails => return upstream.on_next_of("GET", "", Fault::Status(500)),
        };
        upstream.on_next_mutation(fault);
    }
}

impl Hook {
    fn of(rng: &mut Rng) -> Self {
        let time = rng.between(1, 80);
        rng.weighted(&[
            (3, Self::Status(500)),
            (2, Self::Status(404)),
            (2, Self::Closed),
            (4, Self::Late(time)),
        ])
    }

    pub(super) fn answer(self) -> receiver::Answer {
        match self {
            Self::Status(status) => receiver::Answer::status(status),
            Self::Closed => receiver::Answer::closed(),
            Self::Late(time) => receiver::Answer::default().after(Duration::from_millis(time)),
        }
    }
}
