//! Erasures: what is gone is accounted for, and nothing more is excused by it than it took away.

use super::streams::erased_kind;
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::{Findings, Obstacle};
use crate::audit::report::Range;
use crate::event::{ApprovalDecided, LedgerErased};
use crate::id::StreamId;
use crate::name::{CredentialId, RecordedThumbprint};
use std::collections::HashSet;

/// The first form of an erasure does not name the keys that it takes away.
const WITHOUT_KEYS: u16 = 1;

/// A decision with a credential that is not known, of a principal who may have been erased.
#[derive(Debug)]
pub(super) struct Unproven {
    position: u64,
    credential_id: CredentialId,
    thumbprint: RecordedThumbprint,
}

impl Unproven {
    pub(super) fn new(position: u64, decided: &ApprovalDecided) -> Self {
        Self {
            position,
            credential_id: decided.credential_id.clone(),
            thumbprint: decided.public_key_thumbprint.clone(),
        }
    }
}

impl History {
    /// Payloads that are gone are accounted for; the streams that were erased have ended.
    pub(super) fn ledger_erased(&mut self, now: &mut Now<'_>, erased: &LedgerErased) {
        self.account(now, erased);
        self.names_its_subject(now, erased);
        self.upstream_secrets_erased(now, erased);
        for kept in &erased.counters {
            self.counter_kept(now, kept);
        }
        self.excuse(now, erased);
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
            let kind = self
                .streams
                .state(stream.stream_id)
                .and_then(|known| known.kind());
            now.expect(
                kind.is_none_or(|known| known == erased_kind(stream.kind)),
                Check::Erasure,
                || {
                    format!(
                        "it erases stream {} as one of kind {}, which it is not",
                        stream.stream_id,
                        stream.kind.as_str()
                    )
                },
            );
            self.streams.erase(stream);
        }
    }

    /// The subject's own stream comes first, and the positions are as many as the streams' events. Keys
    /// go with an approver only.
    fn names_its_subject(&mut self, now: &mut Now<'_>, erased: &LedgerErased) {
        let first = erased.streams.first();
        let own = first.is_some_and(|first| {
            first.stream_id == erased.subject.stream() && first.kind == erased.subject.kind()
        });
        now.expect(own, Check::Erasure, || {
            "the stream that it erases first is not that of its subject".to_owned()
        });
        let events = erased.streams.iter().map(|stream| stream.events);
        let events = events.fold(0, u64::saturating_add);
        now.expect(erased.count() == events, Check::Erasure, || {
            format!(
                "it erases {} positions of streams that have {events} events",
                erased.count()
            )
        });
        let of_approver = erased.subject.approver().is_some();
        now.expect(
            of_approver || erased.keys.is_empty(),
            Check::Erasure,
            || "it names keys that it takes away, and is of no approver".to_owned(),
        );
    }

    /// A decision with an unknown credential is excused by the erasure of the approver who made it: one
    /// who had a passkey before the decision, and whose erased keys the decision's is among. Which keys
    /// they were, the first form of an erasure does not say; once a ledger has one of the second form, the
    /// first is not taken any more.
    fn excuse(&mut self, now: &mut Now<'_>, erased: &LedgerErased) {
        let names_keys = now.header.schema_version > WITHOUT_KEYS;
        let Some(approver) = erased.subject.approver() else {
            return;
        };
        let takes_any = !names_keys && !self.keys_are_named;
        self.keys_are_named |= names_keys;
        let hidden = self.hidden_approvers.get(&StreamId::from(approver));
        let Some(since) = hidden.and_then(|hidden| hidden.credential_at) else {
            return;
        };
        let keys: HashSet<&RecordedThumbprint> = erased.keys.iter().collect();
        let findings = &mut *now.findings;
        self.unproven.retain(|decision| {
            let excused =
                since < decision.position && (takes_any || keys.contains(&decision.thumbprint));
            if excused {
                findings.cannot(
                    decision.position,
                    Check::DecisionAssertion,
                    Obstacle::Erased,
                );
            }
            !excused
        });
    }

    /// Reports the decisions that no erasure has accounted for.
    pub(super) fn settle_unproven(&mut self, findings: &mut Findings) {
        for decision in std::mem::take(&mut self.unproven) {
            let reason = format!(
                "credential {} was not registered before, and no later erasure took its key away",
                decision.credential_id
            );
            findings.add(Some(decision.position), Check::DecisionCredential, reason);
        }
    }

    /// Why the credential of a decision may have been registered and not be known here; `None` when it
    /// was not. Remembers the decision where only a later erasure can tell.
    pub(super) fn why_unknown(
        &mut self,
        now: &Now<'_>,
        decided: &ApprovalDecided,
    ) -> Option<Unknown> {
        let unreadable = self
            .hidden_approvers
            .values()
            .any(|hidden| hidden.why == Obstacle::Unreadable);
        if self.has_all_credentials(&decided.principal) {
            return None;
        }
        if self.partial {
            return Some(Unknown::Because(Obstacle::BeforeRange));
        }
        if unreadable {
            return Some(Unknown::Because(Obstacle::Unreadable));
        }
        let position = now.position();
        let may_be_erased = self
            .hidden_approvers
            .values()
            .any(|hidden| hidden.credential_at.is_some_and(|since| since < position));
        if !may_be_erased {
            return None;
        }
        self.unproven.push(Unproven::new(position, decided));
        Some(Unknown::UntilErased)
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
                self.counts.erased_keys += u64::from(self.upstream_keys.was_removed(stream));
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
}

/// Why a credential is not known.
pub(super) enum Unknown {
    /// It cannot be looked at.
    Because(Obstacle),
    /// Its approver may have been erased later; the decision is remembered until then.
    UntilErased,
}
