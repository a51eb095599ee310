//! Records from a ledger file.

use super::entry::StoryRecord;
use super::topics::Archive;
use super::{Narrative, Subject, Told};
use anyhow::Context;
use ledger::{Log as _, Recorded, Scan as _, Scanned, StreamId};
use ledger_sqlite::{Reader, RecordScan};
use std::future::Future;
use std::io;
use std::ops::{ControlFlow, Range};
use std::path::Path;
use tokio::runtime::Runtime;

/// Records read at a time. The file is let go in between, so that a reader who takes its time (a
/// pager) does not keep SQLite's log growing.
const STEP: u64 = 2_000;

/// A ledger file that is read step by step, whether or not the service runs.
pub(crate) struct LedgerFile {
    runtime: Runtime,
    reader: Reader,
}

impl LedgerFile {
    pub(crate) fn open(runtime: Runtime, url: &str) -> anyhow::Result<Self> {
        let reader = runtime
            .block_on(Reader::open(url))
            .context("the ledger cannot be read")?;
        Ok(Self { runtime, reader })
    }

    pub(crate) const fn reader(&self) -> &Reader {
        &self.reader
    }

    /// Gives each event of the subject's story between two positions to `take`; how many there are.
    /// Records are read from `ledger`, which is the same file.
    ///
    /// # Errors
    /// What the system says, a damaged record, and an error of `take`.
    pub(crate) fn tell(
        &self,
        ledger: &Path,
        subject: Subject,
        between: Range<u64>,
        mut take: impl FnMut(Told) -> io::Result<()>,
    ) -> anyhow::Result<u64> {
        let mut narrative = Narrative::new(subject);
        let (mut next, mut count) = (between.start, 0);
        while next < between.end {
            let to = between.end.min(next.saturating_add(STEP));
            for entry in read_entries(ledger, next, to)? {
                if let Some(told) = narrative.tell(&entry, self) {
                    take(told)?;
                    count += 1;
                }
            }
            next = to;
        }
        Ok(count)
    }

    pub(crate) fn wait<T>(&self, read: impl Future<Output = T>) -> T {
        self.runtime.block_on(read)
    }
}

/// What cannot be read again leaves lines without what it would have told.
impl Archive for LedgerFile {
    fn stream(&self, stream: StreamId) -> Vec<Recorded> {
        let read = self.reader.stream(stream, u64::MAX);
        self.wait(read).unwrap_or_default()
    }

    fn event(&self, position: u64) -> Option<Recorded> {
        let found = self.wait(self.reader.events_from(position, 1));
        found.ok()?.into_iter().next()
    }
}

/// The records from a position to before another.
fn read_entries(ledger: &Path, from: u64, to: u64) -> anyhow::Result<Vec<StoryRecord>> {
    let scan = RecordScan::open(ledger).context("the ledger cannot be read")?;
    let mut entries = Vec::new();
    let mut damaged = None;
    scan.for_each(from, to, &mut |scanned| match scanned {
        Scanned::Record(record) => {
            let payload = record.content.map(|content| content.payload);
            entries.push(StoryRecord::read(record.header, payload));
            ControlFlow::Continue(())
        }
        Scanned::Malformed { position, what } => {
            damaged = Some(format!("position {position} is damaged: {what}"));
            ControlFlow::Break(())
        }
    })?;
    match damaged {
        Some(damage) => Err(anyhow::anyhow!(damage)),
        None => Ok(entries),
    }
}
