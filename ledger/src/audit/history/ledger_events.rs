//! Events of a ledger as a whole: it was made, it went on from an older state.

use super::streams::State;
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::report::ForkReport;
use crate::event::{LedgerAccepted, LedgerCreated, LedgerForked};
use crate::record::FORMAT;
use crate::tlog::{Checkpoint, LogKey, LogOrigin, Note};

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
        now.expect(created.format == FORMAT, Check::Genesis, || {
            format!("it says that its records are of format {}", created.format)
        });
        self.is_this_ledger(now, named);
        self.counts.software_version = Some(created.software_version);
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
        now.expect(names_its_key(&forked), Check::Fork, || {
            format!("the key that it names is not one of {}", forked.new_origin)
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

/// An acceptance covers everything before it, by the hash of the last record.
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

/// True when the old checkpoint is signed by the old key, and of the size and root that are named.
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

/// True when the log that it becomes has an identity and a key by which checkpoints of it can be verified.
fn names_its_key(forked: &LedgerForked) -> bool {
    forked.new_origin.parse::<LogOrigin>().is_ok() && forked.new_vkey.parse::<LogKey>().is_ok()
}
