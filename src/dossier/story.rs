//! The story of a dossier, from its records alone: whoever has the file can tell it again.

use crate::stories::{Entry, Line, Subject, Teller};
use ledger::audit::{Bytes, DossierRecord};
use ledger::{Event, Header, TaskId};

/// The task's lines.
pub(crate) fn story_of(task_id: TaskId, records: &[DossierRecord]) -> Vec<Line> {
    let entries: Vec<Entry> = records.iter().filter_map(entry).collect();
    let mut teller = Teller::new(Subject::Task(task_id));
    // Whose erased streams were is told only by what erased them, later.
    for entry in &entries {
        if matches!(entry.event(), Some((_, Event::LedgerErased(_)))) {
            teller.know(entry);
        }
    }
    let lines = entries.iter().filter_map(|entry| teller.tell(entry, &()));
    lines.map(|(line, _)| line).collect()
}

fn entry(record: &DossierRecord) -> Option<Entry> {
    let header = Header::decode(record.header.as_slice()).ok()?;
    let payload = record.payload.as_ref().map(Bytes::as_slice);
    Some(Entry::read(header, payload))
}
