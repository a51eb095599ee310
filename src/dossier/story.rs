//! The narrative of a dossier, from its records alone: it can be made again from the file.

use crate::narrative::{Line, Narrative, StoryRecord, Subject};
use ledger::audit::{Bytes, DossierRecord};
use ledger::{Event, Header, TaskId};

pub(crate) fn story_of(task_id: TaskId, records: &[DossierRecord]) -> Vec<Line> {
    let entries: Vec<StoryRecord> = records.iter().filter_map(entry).collect();
    let mut narrative = Narrative::new(Subject::Task(task_id));
    // Whose erased streams were is told only by what erased them, later.
    for entry in &entries {
        if matches!(entry.event(), Some((_, Event::LedgerErased(_)))) {
            narrative.know(entry);
        }
    }
    let told = entries
        .iter()
        .filter_map(|entry| narrative.tell(entry, &()));
    told.map(|told| told.line).collect()
}

fn entry(record: &DossierRecord) -> Option<StoryRecord> {
    let header = Header::decode(record.header.as_slice()).ok()?;
    let payload = record.payload.as_ref().map(Bytes::as_slice);
    Some(StoryRecord::read(header, payload))
}
