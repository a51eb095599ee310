//! The content of an erasure, gathered stream by stream; each stream must have ended.

use super::not_yet;
use crate::aggregate::{Apply, Approval, ApprovalState, Delivery, DeliveryState};
use crate::error::Error;
use crate::event::{
    AggregateKind, ApplyEnd, ErasedStream, ErasedSubject, Event, EventKind, PositionRange,
    Recorded, StreamKind,
};
use crate::id::StreamId;
use crate::name::{CredentialId, RecordedThumbprint};
use crate::storage::{LookupKey, Lookups, ReadError};
use crate::writer::{Entry, State};
use std::collections::BTreeSet;

#[derive(Default)]
pub(super) struct Gathered {
    pub(super) streams: Vec<ErasedStream>,
    pub(super) positions: BTreeSet<u64>,
    /// The lookups that only these events tell of.
    pub(super) keys: BTreeSet<LookupKey>,
    /// Those that a user who is gone holds as a whole, and somebody else may have had since.
    pub(super) held: BTreeSet<LookupKey>,
    /// Credentials whose counters these events had raised.
    pub(super) decided_with: BTreeSet<CredentialId>,
    /// The thumbprints of the public keys that an approver had.
    pub(super) thumbprints: BTreeSet<RecordedThumbprint>,
}

impl Gathered {
    /// Takes in a stream whose story is over.
    pub(super) fn take(
        &mut self,
        stream_id: StreamId,
        events: &[Recorded],
        subject: ErasedSubject,
    ) -> Result<(), Error> {
        let state = Entry::fold(events).state;
        let kind = kind_of(&state, stream_id, events)?;
        // Of a user who is gone those are left that were shown to be theirs.
        self.held
            .extend(state.held().into_iter().map(|(key, _)| key));
        let task = subject.task();
        let mut lookups = Lookups::default();
        for recorded in events {
            let actor = &recorded.envelope.actor;
            lookups.fold(stream_id, task, actor, &recorded.event);
            self.positions.insert(recorded.position());
            if let Event::CredentialPut(put) = &recorded.event {
                self.thumbprints.insert(put.public_key_thumbprint.clone());
            }
        }
        for key in lookups.into_values().into_keys() {
            match (key.counted_credential(), subject) {
                (Some(credential), ErasedSubject::Task(_) | ErasedSubject::User(_)) => {
                    self.decided_with.insert(credential);
                }
                _ => {
                    self.keys.insert(key);
                }
            }
        }
        self.streams.push(ErasedStream {
            stream_id,
            kind,
            events: u64::try_from(events.len()).unwrap_or(u64::MAX),
        });
        Ok(())
    }
}

/// What the stream is the story of, when the story is over.
fn kind_of(state: &State, stream_id: StreamId, events: &[Recorded]) -> Result<StreamKind, Error> {
    match state {
        State::Apply(apply) => check_apply(apply)?,
        State::Approval(approval) => check_approval(approval)?,
        State::Delivery(delivery) => check_delivery(delivery)?,
        _ => {}
    }
    let first = events.first().and_then(|recorded| recorded.event.kind());
    let alone = first.filter(|kind| kind.traits.alone);
    let kind = state.stream_kind();
    let of_alone = |kind: &EventKind| match kind.aggregate {
        AggregateKind::Session => StreamKind::FailedLogin,
        AggregateKind::Call => StreamKind::Call,
        AggregateKind::Usage => StreamKind::Usage,
        _ => StreamKind::Refusal,
    };
    kind.or(alone.map(of_alone)).ok_or_else(|| {
        let position = events.first().map_or(0, Recorded::position);
        let what = format!("stream {stream_id} does not begin as one of its kind does");
        ReadError::Damaged { position, what }.into()
    })
}

fn check_apply(apply: &Apply) -> Result<(), Error> {
    if apply.end == Some(ApplyEnd::Unknown) {
        return Err(not_yet(format!(
            "nobody knows whether apply {} was carried out: settle it with `apply resolve`",
            apply.id
        )));
    }
    if apply.is_running() {
        return Err(not_yet(format!("apply {} is under way", apply.id)));
    }
    Ok(())
}

fn check_approval(approval: &Approval) -> Result<(), Error> {
    match approval.state {
        ApprovalState::Pending | ApprovalState::Approved => {
            Err(not_yet(format!("approval {} is open", approval.id)))
        }
        ApprovalState::Denied
        | ApprovalState::Expired
        | ApprovalState::Cancelled
        | ApprovalState::Consumed => Ok(()),
    }
}

fn check_delivery(delivery: &Delivery) -> Result<(), Error> {
    match delivery.state {
        DeliveryState::Due(_) | DeliveryState::UnderWay => Err(not_yet(format!(
            "delivery {} is still being tried: wait until it has arrived or is given up",
            delivery.owed.delivery_id
        ))),
        DeliveryState::Delivered | DeliveryState::GivenUp => Ok(()),
    }
}

/// The fewest ranges that hold these positions and no others.
pub(in crate::command) fn ranges(positions: &BTreeSet<u64>) -> Vec<PositionRange> {
    let mut ranges: Vec<PositionRange> = Vec::new();
    for position in positions {
        match ranges.last_mut() {
            Some(last) if last.until == *position => last.until = position.saturating_add(1),
            _ => ranges.push(PositionRange {
                from: *position,
                until: position.saturating_add(1),
            }),
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_that_follow_one_another_are_one_range() {
        let range = |from, until| PositionRange { from, until };
        let positions = BTreeSet::from([3, 4, 5, 9, 11, 12]);
        assert_eq!(
            ranges(&positions),
            [range(3, 6), range(9, 10), range(11, 13)]
        );
        assert_eq!(ranges(&BTreeSet::new()), []);
    }
}
