//! A file of read tables of its own, loaded as fast as possible: nobody reads it while it is made, and
//! a crash costs nothing but making it again.

use crate::engine::bulk::{self, WholeLedger};
use crate::engine::projector::Projector;
use crate::engine::schema::{Indexes, create_state, make, make_indexes, note_tables};
use crate::error::Error;
use crate::progress::Progress;
use crate::projection::Projection;
use crate::store::{TableSet, in_transaction, open_scratch, remove_file};
use ledger::LedgerId;
use std::path::{Path, PathBuf};

/// The purpose of a scratch file, which its name ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To take the place of the file, or of some of its tables.
    Rebuild,
    /// To be compared with the file.
    Verify,
}

impl Purpose {
    fn path(self, beside: &Path) -> PathBuf {
        let mut path = beside.as_os_str().to_owned();
        match self {
            Self::Rebuild => path.push(".rebuild"),
            Self::Verify => path.push(format!(".verify-{}", std::process::id())),
        }
        PathBuf::from(path)
    }
}

/// Removes what a rebuild of that file left behind when it was killed. The caller holds the lock.
pub(crate) fn remove_left_over(beside: &Path) -> Result<(), Error> {
    remove_file(&Purpose::Rebuild.path(beside))
}

/// A scratch file; it goes with the value.
pub(crate) struct Scratch {
    pub(crate) projector: Projector,
    file: ScratchFile,
}

/// The name of a scratch file, which goes with the value.
pub(crate) struct ScratchFile(PathBuf);

impl ScratchFile {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        // One that cannot be removed now is, or is complained of, at the next rebuild.
        drop(remove_file(&self.0));
    }
}

impl Scratch {
    /// Makes a file beside the given one, with empty tables of these projections, each to be folded
    /// up to its end.
    pub(crate) fn new(
        beside: &Path,
        purpose: Purpose,
        ledger_id: LedgerId,
        ends: &[(Projection, u64)],
    ) -> Result<Self, Error> {
        let path = purpose.path(beside);
        let db = open_scratch(&path)?;
        let made = in_transaction(&db, |db| {
            create_state(db, ledger_id)?;
            for (projection, _) in ends {
                make(db, *projection, TableSet::Live, 0, Indexes::Later)?;
            }
            note_tables(db)
        });
        let file = ScratchFile(path);
        if purpose == Purpose::Verify {
            // Nobody needs its name, and without one a killed process leaves nothing behind.
            remove_file(file.path())?;
        }
        made?;
        let mut scratch = Self {
            projector: Projector::open(db),
            file,
        };
        scratch.projector.remembered = bulk::REMEMBERED;
        for fold in &mut scratch.projector.folds {
            let end = ends.iter().find(|(one, _)| *one == fold.state.projection);
            fold.until = end.map_or(0, |(_, end)| *end);
        }
        Ok(scratch)
    }

    /// Folds what is missing.
    ///
    /// # Errors
    /// Also when a projection stops before its end.
    pub(crate) fn fold(
        &mut self,
        ledger: &WholeLedger,
        on_progress: &mut dyn FnMut(Progress),
    ) -> Result<(), Error> {
        let ends = self.projector.folds.iter().map(|fold| fold.until);
        let to = ends.max().unwrap_or(0);
        bulk::fold(&mut self.projector, ledger, to, on_progress)?;
        match self.projector.stopped(TableSet::Live) {
            Some((projection, stop)) => Err(Error::Stopped { projection, stop }),
            None => Ok(()),
        }
    }

    /// Makes the indexes, once the rows are there.
    pub(crate) fn finish(&self) -> Result<(), Error> {
        in_transaction(&self.projector.db, |db| {
            let mut folds = self.projector.folds.iter();
            folds.try_for_each(|fold| make_indexes(db, &fold.state))
        })
    }

    /// Closes the file, on disk to its last byte.
    pub(crate) fn close(self) -> Result<ScratchFile, Error> {
        let Self { projector, file } = self;
        drop(projector);
        let written = std::fs::File::open(file.path()).and_then(|open| open.sync_all());
        written.map_err(|source| Error::File {
            path: file.path().to_owned(),
            doing: "written",
            source,
        })?;
        Ok(file)
    }
}
