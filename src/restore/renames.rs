//! The switch from one set of files to another: a list of renames that stands on disk before the first
//! of them is done.
//!
//! A crash before the list is there leaves the old files as they were. After it, whoever comes next
//! (the next start, or the next restore) does what is left of it: a rename whose target exists has been
//! done. So the list holds only files that stood there when it was made, and no target that did.

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// One file and the name that it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Rename {
    from: PathBuf,
    to: PathBuf,
}

/// Renames that are done together or not at all, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Renames {
    steps: Vec<Rename>,
}

impl Renames {
    /// Plans one; a file that is not there needs none.
    ///
    /// # Errors
    /// When the target exists and no earlier step moves it out of the way.
    pub(super) fn plan(&mut self, from: &Path, to: &Path) -> anyhow::Result<bool> {
        // Whoever finishes it may stand in another folder.
        let (from, to) = (std::path::absolute(from)?, std::path::absolute(to)?);
        if !stands(&from) {
            return Ok(false);
        }
        let freed = self.steps.iter().any(|step| step.from == to);
        ensure!(
            freed || !stands(&to),
            "{} stands in the way; move it elsewhere",
            to.display()
        );
        self.steps.push(Rename { from, to });
        Ok(true)
    }

    /// Puts the list on disk and does it.
    ///
    /// # Errors
    /// What the system says. Once the list is on disk, [`finish`] goes on with it.
    pub(super) fn carry_out(&self, list: &Path) -> anyhow::Result<()> {
        let text = serde_json::to_vec_pretty(self).context("writing the list of renames")?;
        ledger_sqlite::replace_file(list, &text)
            .with_context(|| format!("writing {}", list.display()))?;
        finish(list).map(drop)
    }

    fn proceed(&self) -> anyhow::Result<()> {
        for Rename { from, to } in &self.steps {
            // Steps before this one have moved away what stood there: it has been done.
            if stands(to) {
                continue;
            }
            std::fs::rename(from, to)
                .with_context(|| format!("renaming {} to {}", from.display(), to.display()))?;
        }
        let folders: BTreeSet<&Path> = self
            .steps
            .iter()
            .flat_map(|step| [step.from.parent(), step.to.parent()])
            .flatten()
            .collect();
        folders.into_iter().try_for_each(sync_folder)
    }
}

/// Does what is left of a list; says whether there was one. The writer lock of the ledger must be
/// held.
///
/// # Errors
/// A list that cannot be read, or a file that cannot be renamed; then the list stays.
pub(super) fn finish(list: &Path) -> anyhow::Result<bool> {
    let text = match std::fs::read(list) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error).with_context(|| format!("reading {}", list.display())),
    };
    let renames: Renames = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not a list of renames", list.display()))?;
    renames.proceed()?;
    std::fs::remove_file(list).with_context(|| format!("removing {}", list.display()))?;
    list.parent().map_or(Ok(()), sync_folder)?;
    Ok(true)
}

fn stands(file: &Path) -> bool {
    std::fs::symlink_metadata(file).is_ok()
}

fn sync_folder(folder: &Path) -> anyhow::Result<()> {
    let folder = if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    };
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("writing {} to disk", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn contents(folder: &Path) -> BTreeMap<String, String> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_name().unwrap().to_str().unwrap().to_owned();
                (name, std::fs::read_to_string(&path).unwrap())
            })
            .collect()
    }

    /// A ledger with its log, and what is to take its place.
    fn planned(folder: &Path) -> Renames {
        for name in ["ledger", "ledger-wal", "tables"] {
            std::fs::write(folder.join(name), format!("old {name}")).unwrap();
        }
        std::fs::write(folder.join("new"), "new ledger").unwrap();
        let mut renames = Renames::default();
        for (from, to) in [
            ("tables", "tables.old"),
            ("tables-wal", "tables.old-wal"),
            ("ledger", "ledger.old"),
            ("ledger-wal", "ledger.old-wal"),
            ("new", "ledger"),
        ] {
            renames.plan(&folder.join(from), &folder.join(to)).unwrap();
        }
        renames
    }

    #[test]
    fn a_crash_after_any_rename_is_gone_on_from_to_the_same_end() {
        let whole = tempfile::tempdir().unwrap();
        planned(whole.path())
            .carry_out(&whole.path().join("list"))
            .unwrap();
        let expected = contents(whole.path());
        assert_eq!(expected["ledger"], "new ledger");
        assert_eq!(expected["ledger.old-wal"], "old ledger-wal");
        assert_eq!(expected.len(), 4);

        for done in 0..=4 {
            let folder = tempfile::tempdir().unwrap();
            let renames = planned(folder.path());
            assert_eq!(renames.steps.len(), 4, "what is not there is not renamed");
            let list = folder.path().join("list");
            std::fs::write(&list, serde_json::to_vec(&renames).unwrap()).unwrap();
            for step in &renames.steps[..done] {
                std::fs::rename(&step.from, &step.to).unwrap();
            }
            assert!(finish(&list).unwrap());
            assert_eq!(contents(folder.path()), expected, "after {done}");
            assert!(!finish(&list).unwrap(), "it is done once");
        }
    }

    #[test]
    fn nothing_is_ever_renamed_over_another_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut renames = planned(folder.path());
        std::fs::write(folder.path().join("dear"), "dear").unwrap();
        let dear = folder.path().join("dear");
        let refused = renames.plan(&folder.path().join("new"), &dear).unwrap_err();
        assert!(refused.to_string().contains("stands in the way"));
    }
}
