//! The lookup tables that a whole log makes, event by event.

use super::lookup::Lookups;
use crate::event::Event;
use crate::id::{StreamId, TaskId};
use crate::name::CredentialId;
use std::collections::HashMap;

/// The fold. It keeps every key, unless its caller takes some out on the way.
#[derive(Debug, Default)]
pub struct LookupFold {
    lookups: Lookups,
    tasks: HashMap<StreamId, TaskId>,
    credentials: HashMap<StreamId, Vec<CredentialId>>,
}

impl LookupFold {
    /// Whether events of that type change a lookup table.
    #[must_use]
    pub const fn concerns(event_type: u16) -> bool {
        match Event::kind_of(event_type) {
            Some(kind) => kind.traits.looked_up,
            None => false,
        }
    }

    /// Takes the next event.
    pub fn take(&mut self, stream: StreamId, event: &Event) {
        if let Some(task) = event.task_id() {
            self.tasks.insert(stream, task);
        }
        match event {
            Event::CredentialPut(put) => {
                let known = self.credentials.entry(stream).or_default();
                if !known.contains(&put.credential_id) {
                    known.push(put.credential_id.clone());
                }
            }
            // Decisions that are gone had raised these counters.
            Event::LedgerErased(erased) => {
                for counter in &erased.counters {
                    let approver = self.credentials.get(&counter.approver_id.into());
                    let index = usize::try_from(counter.credential).ok();
                    let credential = approver.zip(index).and_then(|(all, index)| all.get(index));
                    if let Some(credential) = credential {
                        self.lookups.keep_counter(credential, counter.sign_count);
                    }
                }
            }
            _ => {}
        }
        let task = self.tasks.get(&stream).copied();
        self.lookups.fold(stream, task, event);
        if matches!(
            event,
            Event::ApplyEnded(_)
                | Event::ApprovalDenied(_)
                | Event::ApprovalExpired(_)
                | Event::ApprovalCancelled(_)
        ) {
            // Nothing of the stream opens or closes it again. An approval that was consumed may be
            // given back.
            self.tasks.remove(&stream);
        }
    }

    /// The tables after the events so far.
    pub const fn lookups(&mut self) -> &mut Lookups {
        &mut self.lookups
    }

    /// The tables after the last event.
    #[must_use]
    pub fn finish(mut self) -> Lookups {
        // Decisions speak of credentials whose approver was erased since.
        self.lookups.forget_counters_without_credential();
        self.lookups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_that_concern_lookups_are_those_whose_fold_changes_them() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/data/events");
        for (number, schema, name) in Event::FORMS {
            let text = std::fs::read(format!("{golden}/{name}.v{schema}.json")).unwrap();
            let text: serde_json::Value = serde_json::from_slice(&text).unwrap();
            let changes = text["cases"].as_array().unwrap().iter().any(|case| {
                let event = Event::from_json(*number, *schema, case["event"].clone());
                let mut fold = Lookups::default();
                let (stream, task) = ([1; 16], [2; 16]);
                fold.fold(
                    StreamId::from_bytes(stream),
                    Some(TaskId::from(StreamId::from_bytes(task))),
                    &event.unwrap().unwrap(),
                );
                format!("{fold:?}") != format!("{:?}", Lookups::default())
            });
            assert_eq!(LookupFold::concerns(*number), changes, "{name}");
        }
    }

    #[test]
    fn an_approval_that_was_given_back_is_open() {
        let mut fold = LookupFold::default();
        let stream = StreamId::from_bytes([1; 16]);
        for name in ["requested", "approved", "consumed", "released"] {
            let (number, schema, _) = Event::FORMS
                .iter()
                .find(|form| form.2 == format!("approval.{name}"))
                .unwrap();
            let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/data/events");
            let text = std::fs::read(format!("{golden}/approval.{name}.v{schema}.json")).unwrap();
            let text: serde_json::Value = serde_json::from_slice(&text).unwrap();
            let event = Event::from_json(*number, *schema, text["cases"][0]["event"].clone());
            fold.take(stream, &event.unwrap().unwrap());
        }
        assert_eq!(fold.finish().opened().len(), 1);
    }
}
