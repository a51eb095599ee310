//! Where something fails, and how.

use super::scenario::Course;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What happens to an operation; the modes of the shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Mode {
    /// Nothing is done, and it is reported as failed.
    Lost,
    /// It is done, and reported as failed.
    Done,
    /// Half of it is done, and it is reported as failed.
    Torn,
    /// It is done, and the process is gone.
    Kill,
    /// It is done, and the power is gone, with everything that was not synced.
    Cut,
}

impl Mode {
    /// What there is to try for a kind of operation.
    fn all_of(kind: &str) -> &'static [Self] {
        match kind {
            "write" => &[Self::Lost, Self::Done, Self::Torn, Self::Kill, Self::Cut],
            _ => &[Self::Lost, Self::Done, Self::Kill, Self::Cut],
        }
    }

    /// Whether the process ends at once.
    pub(super) const fn ends(self) -> bool {
        matches!(self, Self::Kill | Self::Cut)
    }
}

/// A kind of operation on one file, as the journal names it: "write proxy.db".
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Target(String);

impl Target {
    /// From a line of the journal. A name that is drawn anew each time becomes a pattern.
    fn new(line: &str) -> Self {
        let words: Vec<&str> = line.split(' ').take(2).collect();
        let mut parts: Vec<&str> = words[1].split('.').collect();
        if let [.., of_key, drawn, "new"] = parts.as_mut_slice()
            && of_key.ends_with("key")
        {
            *drawn = "*";
        }
        Self(format!("{} {}", words[0], parts.join(".")))
    }

    /// Where what is acknowledged becomes durable: every way to fail is of interest there.
    fn is_crucial(&self) -> bool {
        [
            "write proxy.ledger.db-wal",
            "sync proxy.ledger.db-wal",
            "rename proxy.ledger.db.signing-state",
        ]
        .contains(&self.0.as_str())
    }

    fn kind(&self) -> &str {
        self.0.split(' ').next().unwrap_or_default()
    }
}

/// One failure, or one that stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) target: Target,
    pub(super) mode: Mode,
    /// Counted from 1.
    pub(super) nth: usize,
    /// Whether everything after it fails too.
    pub(super) stays: bool,
}

/// As the shim reads it.
impl fmt::Display for Point {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mode = match self.mode {
            Mode::Lost => "lost",
            Mode::Done => "done",
            Mode::Torn => "torn",
            Mode::Kill => "kill",
            Mode::Cut => "cut",
        };
        let (target, nth, times) = (&self.target.0, self.nth, u8::from(!self.stays));
        write!(f, "{mode} {target} {nth} {times}")
    }
}

/// How often each target was met.
pub(super) fn counted(journal: &[String]) -> BTreeMap<Target, usize> {
    let mut counts = BTreeMap::new();
    for line in journal {
        *counts.entry(Target::new(line)).or_default() += 1;
    }
    counts
}

/// Every point there is, and for each target two failures that stay.
pub(super) fn all(counts: &BTreeMap<Target, usize>) -> Vec<Point> {
    let mut points = Vec::new();
    for (target, &count) in counts {
        for &mode in Mode::all_of(target.kind()) {
            points.extend((1..=count).map(|nth| once(target, mode, nth)));
            if !mode.ends() {
                points.extend([1, count / 2 + 1].map(|nth| for_good(target, mode, nth)));
            }
        }
    }
    points
}

/// A choice that goes quickly. From an empty folder on: for each target its first, middle and last
/// operation, the modes taking turns; in the middle of what is crucial every mode, and a failure that
/// stays. After a kill: the first and the middle. With heavy bodies: every mode for the ledger's own file.
pub(super) fn some(counts: &BTreeMap<Target, usize>, course: Course) -> Vec<Point> {
    let mut points = Vec::new();
    let mut turn = 0;
    for (target, &count) in counts {
        let modes = Mode::all_of(target.kind());
        let middle = count / 2 + 1;
        let chosen: &[usize] = match course {
            Course::First => &[1, middle, count],
            Course::Again => &[1, middle],
            Course::Heavy => &[],
        };
        for nth in BTreeSet::from_iter(chosen) {
            points.push(once(target, modes[turn % modes.len()], *nth));
            turn += 1;
        }
        if course == Course::Heavy {
            // How much SQLite copies before the end differs from life to life, with who is reading.
            let nth = match target.0.as_str() {
                "write proxy.ledger.db" => 2,
                "sync proxy.ledger.db" => 1,
                _ => continue,
            };
            points.extend(modes.iter().map(|mode| once(target, *mode, nth)));
        }
        if course == Course::First && target.is_crucial() {
            points.extend(modes.iter().map(|mode| once(target, *mode, middle)));
            points.push(for_good(target, Mode::Lost, middle));
        }
    }
    points.dedup();
    points
}

fn once(target: &Target, mode: Mode, nth: usize) -> Point {
    Point {
        target: target.clone(),
        mode,
        nth,
        stays: false,
    }
}

fn for_good(target: &Target, mode: Mode, nth: usize) -> Point {
    Point {
        stays: true,
        ..once(target, mode, nth)
    }
}
