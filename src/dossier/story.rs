//! The story of a dossier, from its records alone: whoever has the file can tell it again.

use crate::stories::{Entry, Line, Subject, Teller};
use ledger::Header;
use ledger::TaskId;
use ledger::audit::{Bytes, DossierRecord};

/// The task's lines.
pub(crate) fn story_of(task_id: TaskId, records: &[DossierRecord]) -> Vec<Line> {
    let mut teller = Teller::new(Subject::Task(task_id));
    records
        .iter()
        .filter_map(|record| {
            let header = Header::decode(record.header.as_slice()).ok()?;
            let payload = record.payload.as_ref().map(Bytes::as_slice);
            let (line, _) = teller.tell(&Entry::read(header, payload), &())?;
            Some(line)
        })
        .collect()
}
