//! Records from a ledger file.

use super::entry::StoryRecord;
use super::topics::Archive;
use anyhow::Context;
use ledger::{Log as _, Recorded, Scan as _, Scanned, StreamId};
use ledger_sqlite::{Reader, RecordScan};
use std::future::Future;
use std::ops::ControlFlow;
use std::path::Path;
use tokio::runtime::Runtime;

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
pub(crate) fn read_entries(ledger: &Path, from: u64, to: u64) -> anyhow::Result<Vec<StoryRecord>> {
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
