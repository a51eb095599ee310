//! Room on the file systems that hold the two databases.

use super::files::{folder_of, with_end};
use super::finding::Finding;
use super::quantity::bytes;
use crate::config::Storage;
use std::path::Path;

const CHECK: &str = "disk";

/// With less than this, commits are about to fail.
const LEAST: u64 = 64 << 20;

/// The room on the ledger's file system, and on that of the read tables where it is another.
pub(super) fn look(storage: &Storage, floor: u64) -> Vec<Finding> {
    let mut looked: Vec<u64> = Vec::new();
    let mut findings = Vec::new();
    for file in [&storage.ledger, &storage.read_tables] {
        let folder = folder_of(file);
        let Some(room) = room_in(&folder) else {
            continue;
        };
        if !looked.contains(&room.file_system) {
            looked.push(room.file_system);
            // The floor is the ledger's.
            let floor = if *file == storage.ledger { floor } else { 0 };
            findings.push(judge(&folder, &room, stored(storage), floor));
        }
    }
    findings
}

/// A file system, as far as it matters here.
struct Room {
    file_system: u64,
    free: u64,
    read_only: bool,
}

fn room_in(folder: &Path) -> Option<Room> {
    let found = rustix::fs::statvfs(folder).ok()?;
    Some(Room {
        file_system: found.f_fsid,
        free: found.f_bavail.saturating_mul(found.f_frsize),
        read_only: found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

fn judge(folder: &Path, room: &Room, needed: u64, floor: u64) -> Finding {
    let shown = folder.display();
    let free = format!("{} free at {shown}", bytes(room.free));
    if room.read_only {
        return Finding::problem(
            CHECK,
            format!("{shown} is mounted read-only"),
            "nothing can be recorded there: look at the system's log for why, and mount it for \
             writing",
        );
    }
    if room.free < LEAST {
        return Finding::problem(
            CHECK,
            free,
            "make room now: without it, nothing can be recorded and requests answer 503",
        );
    }
    if room.free < floor {
        return Finding::problem(
            CHECK,
            format!(
                "{free}, less than LEDGER_MIN_FREE_BYTES, which is {}",
                bytes(floor)
            ),
            "make room: until then nothing new is taken in (507); decisions, running applies and \
             closing a task go on",
        );
    }
    if room.free < needed {
        return Finding::warning(
            CHECK,
            format!("{free}, and the databases have {}", bytes(needed)),
            "a backup here or a rebuild may not fit: make room, or write backups elsewhere",
        );
    }
    Finding::ok(CHECK, free)
}

/// What both databases take.
fn stored(storage: &Storage) -> u64 {
    [&storage.ledger, &storage.read_tables]
        .iter()
        .flat_map(|file| ["", "-wal"].map(|end| with_end(file, end)))
        .filter_map(|file| std::fs::metadata(file).ok())
        .map(|file| file.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::super::finding::Grade;
    use super::*;

    #[test]
    fn little_room_is_a_warning_and_none_is_a_problem() {
        let grade = |free, read_only| {
            let room = Room {
                file_system: 1,
                free,
                read_only,
            };
            judge(Path::new("/x"), &room, 1 << 30, 1 << 28).grade()
        };
        assert_eq!(grade(2 << 30, false), Grade::Ok);
        assert_eq!(grade(1 << 29, false), Grade::Warning);
        assert_eq!(grade(1 << 27, false), Grade::Problem);
        assert_eq!(grade(1 << 20, false), Grade::Problem);
        assert_eq!(grade(2 << 30, true), Grade::Problem);
    }
}
