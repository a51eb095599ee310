//! The lookup tables that a whole log makes, event by event.

use super::lookup::Lookups;
use crate::blob::Blob;
use crate::event::Event;
use crate::id::{StreamId, TaskId};
use std::collections::HashMap;

/// The fold. It keeps every key, unless its caller takes some out on the way.
#[derive(Debug, Default)]
pub(super) struct LookupFold {
    pub(super) lookups: Lookups,
    tasks: HashMap<StreamId, TaskId>,
    credentials: HashMap<StreamId, Vec<Blob>>,
}

impl LookupFold {
    /// Whether events of that type change a lookup table.
    pub(super) const fn concerns(event_type: u16) -> bool {
        matches!(
            event_type,
            2 | 11 | 20 | 23 | 26 | 30 | 33..=37 | 40 | 50 | 51 | 53
        )
    }

    /// Takes the next event.
    pub(super) fn take(&mut self, stream: StreamId, event: &Event) {
        match event {
            Event::ApplyAccepted(accepted) => {
                self.tasks.insert(stream, accepted.task_id);
            }
            Event::ApprovalRequested(requested) => {
                self.tasks.insert(stream, requested.task_id);
            }
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
                | Event::ApprovalConsumed(_)
        ) {
            // Nothing of the stream opens or closes it again.
            self.tasks.remove(&stream);
        }
    }

    /// The tables after the last event.
    pub(super) fn finish(mut self) -> Lookups {
        // Decisions speak of credentials whose approver was erased since.
        self.lookups.forget_counters_without_credential();
        self.lookups
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_that_concern_lookups_are_those_that_are_folded() {
        let folded = [
            "ledger.erased",
            "task.token_issued",
            "apply.accepted",
            "apply.authorised",
            "apply.ended",
            "approval.requested",
            "approval.approved",
            "approval.denied",
            "approval.expired",
            "approval.cancelled",
            "approval.consumed",
            "agent.registered",
            "approver.registered",
            "approver.credential_put",
            "approver.enrolment_opened",
        ];
        for (number, _, name) in Event::FORMS {
            assert_eq!(
                LookupFold::concerns(*number),
                folded.contains(name),
                "{name}"
            );
        }
    }
}
