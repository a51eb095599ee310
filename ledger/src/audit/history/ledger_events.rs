//! What happens to a ledger as a whole: it was made, payloads were erased, it went on from an older
//! state.

use super::streams::State;
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::report::{ForkReport, Range};
use crate::event::{LedgerAccepted, LedgerCreated, LedgerErased, LedgerForked};
use crate::id::StreamId;
use crate::tlog::{Checkpoint, LogKey, LogOrigin, Note};
use std::collections::HashSet;

impl History {
    pub(super) fn ledger_created(&mut self, now: &mut Now<'_>, created: LedgerCreated) {
        let (named, stream) = (created.ledger_id, now.header.stream_id);
        self.streams.put(stream, State::Ledger);
        now.expect(
            named.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins ledger {named} in stream {stream}"),
        );
        now.expect(now.header.position == 0, Check::Genesis, || {
            "a ledger is created at position 0 and nowhere else".to_owned()
        });
        self.is_this_ledger(now, named);
        self.counts.software_version = Some(created.software_version);
    }

    /// Payloads that are gone are accounted for; the streams that were erased have ended.
    pub(super) fn ledger_erased(&mut self, now: &mut Now<'_>, erased: &LedgerErased) {
        self.account(now, erased);
        for stream in &erased.streams {
            self.hidden_approvers.remove(&stream.stream_id);
            if let Some(left) = self.left_behind.remove(&stream.stream_id) {
                let reason = format!(
                    "it erases stream {} as a whole, and position {left}, which is of it, was left",
                    stream.stream_id
                );
                now.wrong(Check::Erasure, reason);
            } else if self.streams.is_left(stream.stream_id) {
                let reason = format!(
                    "it erases stream {} as a whole, and payloads of it were left",
                    stream.stream_id
                );
                now.wrong(Check::Erasure, reason);
            }
            let versions = self.streams.next_version(stream.stream_id);
            now.expect(
                versions.is_none_or(|known| known == stream.events),
                Check::Erasure,
                || {
                    format!(
                        "it erases {} events of stream {}, which has another number of them",
                        stream.events, stream.stream_id
                    )
                },
            );
            self.streams.erase(stream);
        }
    }

    /// The part of an erasure that concerns positions only.
    pub(super) fn account(&mut self, now: &mut Now<'_>, erased: &LedgerErased) {
        let mut end = 0;
        let position = now.position();
        let in_order = erased.positions.iter().all(|range| {
            let fits = end <= range.from && range.from < range.until && range.until <= position;
            end = range.until;
            fits
        });
        now.expect(in_order, Check::Erasure, || {
            "the positions that it erases are not earlier ones in order".to_owned()
        });
        let named: HashSet<StreamId> = erased.streams.iter().map(|of| of.stream_id).collect();
        let mut beside = None;
        // Records alone are looked at, however far a range says that it reaches.
        for range in &erased.positions {
            let until = range.until.min(position);
            while let Some((missing, stream)) = self.missing_in(range.from, until) {
                self.missing.remove(&missing);
                Range::push(&mut self.counts.erased, missing);
                if !named.contains(&stream) {
                    beside.get_or_insert((missing, stream));
                }
            }
        }
        if let Some((missing, stream)) = beside {
            let reason = format!(
                "it covers position {missing} of stream {stream}, which it does not erase as a whole"
            );
            now.wrong(Check::Erasure, reason);
        }
    }

    /// The first position of a range whose payload is gone and that is not accounted for.
    fn missing_in(&self, from: u64, until: u64) -> Option<(u64, StreamId)> {
        let (position, stream) = self.missing.range(from..).next()?;
        (*position < until).then_some((*position, *stream))
    }

    pub(super) fn ledger_forked(&mut self, now: &mut Now<'_>, forked: LedgerForked) {
        let position = now.position();
        now.expect(forked.forked_at == position, Check::Fork, || {
            format!("it says that it goes on from position {}", forked.forked_at)
        });
        now.expect(names_its_checkpoint(&forked), Check::Fork, || {
            format!(
                "the checkpoint that it leaves is not one of {}, as it says",
                forked.old_origin
            )
        });
        self.counts.forks.push(ForkReport {
            position,
            old_origin: forked.old_origin,
            old_size: forked.old_size,
            new_origin: forked.new_origin,
            reason: forked.reason,
        });
    }
}

/// What was accepted is everything before, by the hash of its last record.
pub(super) fn ledger_accepted(now: &mut Now<'_>, accepted: &LedgerAccepted) {
    let (position, before) = (now.position(), now.header.prev_hash);
    now.expect(
        accepted.size == position && accepted.record_hash == before,
        Check::Acceptance,
        || {
            format!(
                "it accepts {} events up to hash {}, which is not what stands before it",
                accepted.size, accepted.record_hash
            )
        },
    );
}

/// Whether the old checkpoint is signed by the old key, and of the size and root that are named.
fn names_its_checkpoint(forked: &LedgerForked) -> bool {
    let opened = || {
        let origin: LogOrigin = forked.old_origin.parse().ok()?;
        let key: LogKey = forked.old_vkey.parse().ok()?;
        let note: Note = forked.old_checkpoint.parse().ok()?;
        Checkpoint::open(&note, &key, &origin).ok()
    };
    opened().is_some_and(|checkpoint| {
        checkpoint.size() == forked.old_size && *checkpoint.root() == forked.old_root
    })
}
