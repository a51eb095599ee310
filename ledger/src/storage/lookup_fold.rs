//! The lookup tables that a whole log makes, event by event.

use super::lookup::{Lookups, NO_TASK};
use super::lookup_held::{Held, of_group, of_user};
use crate::aggregate::{Aggregate, Group, User};
use crate::clock::Timestamp;
use crate::event::{Actor, AggregateKind, Event};
use crate::id::{StreamId, TaskId};
use crate::name::CredentialId;
use std::collections::HashMap;

/// The fold. It keeps every key, unless its caller takes some out on the way.
#[derive(Debug, Default)]
pub struct LookupFold {
    lookups: Lookups,
    tasks: HashMap<StreamId, TaskId>,
    credentials: HashMap<StreamId, Vec<CredentialId>>,
    users: HashMap<StreamId, Option<User>>,
    groups: HashMap<StreamId, Option<Group>>,
}

/// Takes an event into the state of its stream; gives what that held before, and what it holds now.
fn evolve<A: Aggregate>(
    states: &mut HashMap<StreamId, Option<A>>,
    held: fn(&A) -> Held,
    stream: StreamId,
    event: &Event,
) -> (Held, Held) {
    let state = states.entry(stream).or_default();
    let before = state.as_ref().map(held).unwrap_or_default();
    // No time is held.
    A::evolve(state, event, Timestamp::default());
    (before, state.as_ref().map(held).unwrap_or_default())
}

impl LookupFold {
    /// True when events of that type change a lookup table.
    #[must_use]
    pub const fn concerns(event_type: u16) -> bool {
        match Event::kind_of(event_type) {
            Some(kind) => kind.traits.looked_up,
            None => false,
        }
    }

    /// Takes the next event, which that actor has caused.
    pub fn take(&mut self, stream: StreamId, actor: &Actor, event: &Event) {
        if let Some(task) = event.task_id() {
            self.tasks.insert(stream, task);
        }
        match event {
            Event::ApprovalAsked(_) => _ = self.tasks.insert(stream, NO_TASK),
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
        self.lookups.fold(stream, task, actor, event);
        let held = match event.kind().map(|kind| kind.aggregate) {
            Some(AggregateKind::User) => evolve(&mut self.users, of_user, stream, event),
            Some(AggregateKind::Group) => evolve(&mut self.groups, of_group, stream, event),
            _ => Default::default(),
        };
        self.lookups.replace(held.0, held.1);
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

    /// The first golden event of that name, in its first form.
    fn golden_event(name: &str) -> Event {
        let form = Event::FORMS.iter().find(|form| form.2 == name);
        let (number, schema, _) = form.unwrap();
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/data/events");
        let text = std::fs::read(format!("{golden}/{name}.v{schema}.json")).unwrap();
        let text: serde_json::Value = serde_json::from_slice(&text).unwrap();
        let event = Event::from_json(*number, *schema, text["cases"][0]["event"].clone());
        event.unwrap().unwrap()
    }

    #[test]
    fn the_types_that_concern_lookups_are_those_whose_fold_changes_them() {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures/data/events");
        let mut changed = std::collections::BTreeMap::<_, bool>::new();
        for (number, schema, name) in Event::FORMS {
            let text = std::fs::read(format!("{golden}/{name}.v{schema}.json")).unwrap();
            let text: serde_json::Value = serde_json::from_slice(&text).unwrap();
            let changes = text["cases"].as_array().unwrap().iter().any(|case| {
                let event = Event::from_json(*number, *schema, case["event"].clone());
                let event = event.unwrap().unwrap();
                let actor = Actor::system("test");
                let (stream, task) = ([1; 16], [2; 16]);
                let stream = StreamId::from_bytes(stream);
                let mut fold = LookupFold::default();
                fold.tasks
                    .insert(stream, TaskId::from(StreamId::from_bytes(task)));
                // What moves with a name has one before.
                for first in ["user.created", "group.created"] {
                    let kind = event.kind().unwrap();
                    if first.starts_with(kind.aggregate.as_str()) && !kind.traits.begins {
                        fold.take(stream, &actor, &golden_event(first));
                    }
                }
                let before = format!("{:?}", fold.lookups);
                fold.take(stream, &actor, &event);
                format!("{:?}", fold.lookups) != before
            });
            *changed.entry((*number, *name)).or_default() |= changes;
        }
        for ((number, name), changes) in changed {
            assert_eq!(LookupFold::concerns(number), changes, "{name}");
        }
    }

    #[test]
    fn an_approval_that_was_given_back_is_open() {
        let mut fold = LookupFold::default();
        let stream = StreamId::from_bytes([1; 16]);
        for name in ["requested", "approved", "consumed", "released"] {
            let event = golden_event(&format!("approval.{name}"));
            fold.take(stream, &Actor::system("test"), &event);
        }
        assert_eq!(fold.finish().opened().len(), 1);
    }
}
