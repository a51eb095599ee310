//! Folding a whole ledger into tables that nobody uses yet: one thread reads and decodes, another
//! folds and writes.

use crate::engine::projector::Projector;
use crate::engine::source::{Item, Source};
use crate::error::Error;
use crate::progress::Progress;
use crate::store::TableSet;
use ledger::audit::AuditRecord;
use ledger::{Event, Log, Recorded, Scan, Scanned};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use tokio::runtime::Handle;

/// The most events that share one transaction: the more, the fewer rows are written twice.
pub(crate) const BATCH: u64 = 16_384;

/// How many rows of a table are remembered from one batch to the next.
pub(crate) const REMEMBERED: usize = 32_768;

/// How many batches the reader may be ahead.
const AHEAD: usize = 2;

/// A stored log, to be read from one end to the other.
#[derive(Clone)]
pub(crate) struct WholeLedger {
    pub(crate) log: Arc<dyn Log>,
    /// Where the slow way runs.
    pub(crate) runtime: Handle,
}

impl WholeLedger {
    /// To be called on a runtime.
    pub(crate) fn of(log: &Arc<dyn Log>) -> Self {
        Self {
            log: Arc::clone(log),
            runtime: Handle::current(),
        }
    }
}

/// Folds up to `to` everything that the projector's live tables lack. Blocks.
///
/// # Errors
/// When the ledger or the file fails. A projection that meets what it cannot fold is no error here.
pub(crate) fn fold(
    projector: &mut Projector,
    ledger: &WholeLedger,
    to: u64,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<(), Error> {
    while let Some((from, _)) = projector.next(TableSet::Live, to, 1) {
        let (sender, batches) = sync_channel(AHEAD);
        let ledger = ledger.clone();
        // Batches end where a projection joins or has enough.
        let ends = projector.ends(to);
        std::thread::scope(|threads| {
            threads.spawn(move || {
                let mut reading = Reading::new(ledger, sender, ends);
                reading.read(from, to);
            });
            take(projector, from, to, &batches, on_progress)
        })?;
    }
    Ok(())
}

/// A batch, or why there are no more.
type Batch = Result<Vec<Item>, Error>;

fn take(
    projector: &mut Projector,
    mut from: u64,
    to: u64,
    batches: &Receiver<Batch>,
    on_progress: &mut dyn FnMut(Progress),
) -> Result<(), Error> {
    while let Ok(batch) = batches.recv() {
        let items = batch?;
        projector.fold(from, &items)?;
        from = from.saturating_add(u64::try_from(items.len()).unwrap_or(u64::MAX));
        on_progress(Progress {
            done: from,
            total: to,
        });
        // When all that were here have stopped, the others begin elsewhere.
        if !projector.any_at(from) {
            break;
        }
    }
    Ok(())
}

struct Reading {
    ledger: WholeLedger,
    source: Source,
    sender: SyncSender<Batch>,
    ends: Vec<u64>,
    items: Vec<Item>,
}

impl Reading {
    fn new(ledger: WholeLedger, sender: SyncSender<Batch>, ends: Vec<u64>) -> Self {
        Self {
            source: Source::Stored(Arc::clone(&ledger.log)),
            ledger,
            sender,
            ends,
            items: Vec::new(),
        }
    }

    fn read(&mut self, from: u64, to: u64) {
        if let Err(error) = self.try_read(from, to) {
            // Whoever does not listen any more has stopped for another reason.
            drop(self.sender.send(Err(error)));
        }
    }

    fn try_read(&mut self, from: u64, to: u64) -> Result<(), Error> {
        let scan = self.ledger.log.scan()?;
        let mut failed = None;
        let mut next = from;
        scan.for_each(from, to, &mut |scanned| {
            let item = match scanned {
                Scanned::Record(record) => match erased(&*scan, &record) {
                    Ok(None) => decode(&record).map(Ok),
                    Ok(Some(item)) => Some(Ok(item)),
                    Err(error) => Some(Err(error)),
                },
                Scanned::Malformed { .. } => None,
            };
            match item.unwrap_or_else(|| self.slowly(next)) {
                Ok(item) => {
                    self.items.push(item);
                    next = next.saturating_add(1);
                    self.send(next)
                }
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Gives away the batch, where it ends here.
    fn send(&mut self, next: u64) -> ControlFlow<()> {
        let is_full = u64::try_from(self.items.len()).unwrap_or(u64::MAX) >= BATCH;
        if !is_full && !self.ends.contains(&next) {
            return ControlFlow::Continue(());
        }
        let batch = std::mem::take(&mut self.items);
        match self.sender.send(Ok(batch)) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    }

    /// Reads a position in the ordinary way, which says what is wrong: damaged, of a later version.
    fn slowly(&self, position: u64) -> Result<Item, Error> {
        let items = self.source.items(position, 1);
        let items = self.ledger.runtime.block_on(items)?;
        items.into_iter().next().ok_or(Error::OutOfOrder {
            expected: position,
            found: position.saturating_add(1),
        })
    }
}

/// The rest of an event whose payload was erased; `None` for every other one.
fn erased(scan: &dyn Scan, record: &AuditRecord<'_>) -> Result<Option<Item>, Error> {
    if record.content.is_some() {
        return Ok(None);
    }
    let by = scan.erased_by(record.header.position)?;
    Ok(by.map(|by| Item::Owned(Recorded::erased(record.header, by))))
}

/// The event, where there is nothing unusual about it.
fn decode(record: &AuditRecord<'_>) -> Option<Item> {
    let header = record.header;
    let payload = record.content?.payload;
    let decoded = Event::decode(header.event_type, header.schema_version, payload);
    let (envelope, event) = decoded.ok()?;
    Some(Item::Owned(Recorded {
        header,
        envelope,
        event,
    }))
}
