//! The files that say where addresses are.

use super::finding::Finding;
use app::edge::{Places, PlacesFile};
use ledger::{Clock as _, Timestamp};
use ledger_sqlite::SystemClock;
use std::path::{Path, PathBuf};
use std::time::Duration;

const CHECK: &str = "places";

/// Addresses move: what was true for longer ago than this may be another country's.
const OLD: Duration = Duration::from_secs(60 * 24 * 3600);

/// Each file, and whether it can be used. One that cannot is told of with the other settings, too.
pub(super) fn look(files: &[PathBuf]) -> Vec<Finding> {
    let now = SystemClock.now();
    files.iter().map(|file| look_at(file, now)).collect()
}

fn look_at(file: &Path, now: Timestamp) -> Finding {
    let shown = file.display();
    let read = Places::open(std::slice::from_ref(&file.to_owned()));
    match read.map(|read| read.files()) {
        Ok(described) => match described.first() {
            Some(described) => judge(file, described, now),
            None => Finding::ok(CHECK, format!("{shown} says nothing")),
        },
        Err(error) => Finding::problem(
            CHECK,
            error.to_string(),
            "the next start refuses this; name files in the format of MaxMind, such as GeoLite2-Country.mmdb",
        ),
    }
}

fn judge(file: &Path, described: &PlacesFile, now: Timestamp) -> Finding {
    let age = now.since(described.made_at);
    let days = age.as_secs() / 86_400;
    let found = format!(
        "{} is {}, made {days} days ago",
        file.display(),
        described.kind
    );
    if age > OLD {
        return Finding::warning(
            CHECK,
            found,
            "fetch a newer one and restart: policies ask by it in which country an address is",
        );
    }
    Finding::ok(CHECK, found)
}

#[cfg(test)]
mod tests {
    use super::super::finding::Grade;
    use super::*;

    #[test]
    fn a_file_that_is_old_is_a_warning_and_one_that_is_none_a_problem() {
        let day = 86_400;
        let now = Timestamp::from_seconds(100 * day);
        let made = |days: i64| PlacesFile {
            kind: "Test-Country".to_owned(),
            made_at: Timestamp::from_seconds(days * day),
        };
        let grade = |days| judge(Path::new("/x.mmdb"), &made(days), now).grade();
        assert_eq!(grade(90), Grade::Ok);
        assert_eq!(grade(39), Grade::Warning);
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
        let found = look(&[folder.join("Cargo.toml")]);
        assert_eq!(
            found.iter().map(Finding::grade).collect::<Vec<_>>(),
            [Grade::Problem]
        );
    }
}
