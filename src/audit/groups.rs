//! The groups of people that the records of a ledger name.

use super::{FileKind, kind_of};
use anyhow::Context;
use ledger::aggregate::{Aggregate as _, Group};
use ledger::audit::{AuditRecord, BundleFrame, BundleReader};
use ledger::event::AggregateKind;
use ledger::policy::NeedGroup;
use ledger::{Event, Header, Scan as _, Scanned, StreamId};
use ledger_sqlite::RecordScan;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;

/// The living groups at the end of a ledger's file or of a bundle, by name. Nothing is verified here.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn groups_of(path: &Path) -> anyhow::Result<BTreeMap<String, NeedGroup>> {
    let unreadable = || format!("{} cannot be read", path.display());
    let mut groups = Groups::default();
    match kind_of(path).with_context(unreadable)? {
        FileKind::Database => {
            let scan = RecordScan::open(path).with_context(unreadable)?;
            scan.for_each(0, i64::MAX.unsigned_abs(), &mut |scanned| {
                if let Scanned::Record(record) = scanned {
                    groups.take(&record);
                }
                ControlFlow::Continue(())
            })
            .with_context(unreadable)?;
        }
        FileKind::Bundle => {
            let file = File::open(path).with_context(unreadable)?;
            let mut bundle = BundleReader::new(file).with_context(unreadable)?;
            while let Some(frame) = bundle.next_frame().with_context(unreadable)? {
                if let BundleFrame::Record(record) = frame
                    && let Ok(header) = Header::decode(record.header)
                {
                    groups.take(&AuditRecord {
                        header,
                        record_hash: None,
                        content: record.content,
                    });
                }
            }
        }
    }
    Ok(groups.by_name())
}

#[derive(Default)]
struct Groups(HashMap<StreamId, Option<Group>>);

impl Groups {
    fn take(&mut self, record: &AuditRecord<'_>) {
        let header = &record.header;
        let (Some(AggregateKind::Group), Some(content)) =
            (AggregateKind::of(header.event_type), record.content)
        else {
            return;
        };
        let read = Event::decode(header.event_type, header.schema_version, content.payload);
        if let Ok((_, event)) = read {
            let state = self.0.entry(header.stream_id).or_default();
            Group::evolve(state, &event, header.recorded_at);
        }
    }

    fn by_name(self) -> BTreeMap<String, NeedGroup> {
        let living = self
            .0
            .into_values()
            .flatten()
            .filter(|group| !group.deleted);
        living
            .map(|group| (group.name.to_string(), NeedGroup::Group(group.id)))
            .collect()
    }
}
