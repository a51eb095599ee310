//! The files that a restore lets change places.

use super::owner::{Owner, followed};
use super::renames::Renames;
use super::staged::{Staged, with_end};
use super::{MOVED_ASIDE, list};
use crate::config::Storage;
use anyhow::Context;
use ledger::Clock;
use ledger_sqlite::SystemClock;
use std::path::{Path, PathBuf};

/// Files that change places together.
pub(super) struct Switch<'s> {
    storage: &'s Storage,
    renames: Renames,
    aside: Vec<PathBuf>,
    /// Behind the names of what is moved aside.
    end: String,
    owner: Owner,
}

impl<'s> Switch<'s> {
    /// Read tables and ledger leave their places.
    pub(super) fn begin(storage: &'s Storage) -> anyhow::Result<Self> {
        let now = jiff::Timestamp::from_microsecond(SystemClock.now().as_micros())?;
        let mut switch = Self {
            storage,
            renames: Renames::default(),
            aside: Vec::new(),
            end: format!("{MOVED_ASIDE}{}", now.strftime("%Y%m%dT%H%M%SZ")),
            owner: Owner::of(&storage.ledger)?,
        };
        // SQLite finds its log by the name of its database, so they keep their names together.
        for database in [&storage.read_tables, &storage.ledger] {
            let database = followed(database);
            let aside = with_end(&database, &switch.end);
            for end in ["", "-wal", "-shm"] {
                let (from, to) = (with_end(&database, end), with_end(&aside, end));
                if switch.renames.plan(&from, &to)? && end.is_empty() {
                    switch.aside.push(to);
                }
            }
        }
        Ok(switch)
    }

    /// A small file gets this content, and what stood there before leaves its place.
    pub(super) fn replace(&mut self, file: &Path, content: &[u8]) -> anyhow::Result<()> {
        let aside = with_end(file, &self.end);
        if self.renames.plan(file, &aside)? {
            self.aside.push(aside);
        }
        let new = with_end(file, ".restored");
        ledger_sqlite::replace_file(&new, content)
            .with_context(|| format!("writing {}", new.display()))?;
        self.owner.give(&new)?;
        self.renames.plan(&new, file).map(drop)
    }

    /// The copy takes the ledger's place. Gives where everything else is now.
    pub(super) async fn carry_out(mut self, staged: Staged) -> anyhow::Result<Vec<PathBuf>> {
        staged.give_to(self.owner)?;
        // Made just now where there was none.
        self.owner
            .give(&with_end(&followed(&self.storage.ledger), ".lock"))?;
        let copy = staged.keep().await?;
        self.renames.plan(&copy, &followed(&self.storage.ledger))?;
        self.renames.carry_out(&list(self.storage))?;
        Ok(self.aside)
    }
}
