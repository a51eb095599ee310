//! The policy: versions count up by one, and what decisions evaluate is the tree that the digest names.

use super::streams::State;
use super::{History, Now};
use crate::audit::check::Check;
use crate::audit::finding::Obstacle;
use crate::event::{AggregateKind, Event, PolicyChanged, PolicyDocument};
use crate::policy::{PolicyDigest, PolicyInForce};
use std::collections::HashMap;
use std::sync::Arc;

/// The versions so far.
#[derive(Debug, Default)]
pub(super) struct Policies {
    /// The number of the newest; `None` before the first that was seen.
    newest: Option<u64>,
    /// The digest of each version's document.
    digests: HashMap<u64, Option<PolicyDigest>>,
    /// The document of the newest version.
    pub(super) in_force: Option<Arc<PolicyInForce>>,
    /// The position of each version, with its document, in order.
    versions: Vec<(u64, Option<Arc<PolicyInForce>>)>,
}

impl History {
    pub(super) fn policy_event(&mut self, now: &mut Now<'_>, event: Event) {
        let Event::PolicyChanged(changed) = event else {
            return;
        };
        let stream = now.header.stream_id;
        now.expect(
            changed.policy_id.as_bytes() == stream.as_bytes(),
            Check::StreamIdentity,
            || format!("it begins policy {} in stream {stream}", changed.policy_id),
        );
        self.counts_up(now, changed.version);
        self.is_document_sound(now, changed.document.as_ref());
        self.change_is_permitted(now, &changed);
        self.restores_what_was(now, &changed);
        self.policies.take(now.position(), changed);
        self.streams
            .put(stream, State::Ended(AggregateKind::Policy));
    }

    /// Whether no version was seen, and one may stand where nothing is to be seen.
    pub(super) const fn is_policy_unseen(&self) -> bool {
        self.policies.is_unknown() && (self.partial || self.is_excerpt)
    }

    /// A document has the digest of its tree.
    pub(super) fn is_document_sound(&self, now: &mut Now<'_>, document: Option<&PolicyDocument>) {
        let Some(document) = document else { return };
        let digest = document.tree.policy().digest();
        now.expect(digest == document.digest, Check::Policy, || {
            format!(
                "it names the digest {}, its tree has {digest}",
                document.digest
            )
        });
    }

    fn counts_up(&self, now: &mut Now<'_>, version: u64) {
        match self.policies.newest {
            None if self.partial || self.is_excerpt => {
                now.cannot(Check::Policy, Obstacle::BeforeRange);
            }
            Some(newest) if self.is_excerpt && version > newest => {
                now.cannot(Check::Policy, Obstacle::BeforeRange);
            }
            newest => {
                let expected = newest.unwrap_or(0).saturating_add(1);
                now.expect(version == expected, Check::Policy, || {
                    format!("it is version {version}, and version {expected} comes next")
                });
            }
        }
    }

    /// A rollback brings back the document of an earlier version, or none.
    fn restores_what_was(&self, now: &mut Now<'_>, changed: &PolicyChanged) {
        let digest = changed.document.as_ref().map(|document| document.digest);
        let Some(restored) = changed.restores else {
            return now.expect(digest.is_some(), Check::Policy, || {
                "it has no document, and names no version that it brings back".to_owned()
            });
        };
        let before = match restored {
            0 => Some(&None),
            version => self.policies.digests.get(&version),
        };
        match before {
            Some(before) => now.expect(*before == digest, Check::Policy, || {
                format!("its document is not that of version {restored}, which it brings back")
            }),
            None if (self.partial || self.is_excerpt) && restored < changed.version => {
                now.cannot(Check::Policy, Obstacle::BeforeRange);
            }
            None => now.wrong(
                Check::Policy,
                format!("it brings back version {restored}, which was not there"),
            ),
        }
    }
}

impl Policies {
    /// The number of the newest version.
    pub(super) fn newest(&self) -> u64 {
        self.newest.unwrap_or(0)
    }

    /// Whether no version was seen so far.
    pub(super) const fn is_unknown(&self) -> bool {
        self.newest.is_none()
    }

    /// The document that was in force at a size of the log, and those that came after it, as far as versions are
    /// known. `None`: none was in force.
    pub(super) fn since(&self, size: u64) -> impl Iterator<Item = Option<&Arc<PolicyInForce>>> {
        let later = self
            .versions
            .partition_point(|(position, _)| *position < size);
        // Before the first version none is in force.
        let before = (later == 0).then_some(None);
        let known = self.versions.iter().skip(later.saturating_sub(1));
        let known = known.map(|(_, policy)| policy.as_ref());
        before.into_iter().chain(known)
    }

    /// Whether no version was seen up to that size.
    pub(super) fn is_unknown_at(&self, size: u64) -> bool {
        let first = self.versions.first();
        first.is_none_or(|(position, _)| *position >= size)
    }

    fn take(&mut self, position: u64, changed: PolicyChanged) {
        let digest = changed.document.as_ref().map(|document| document.digest);
        let in_force = |document: &PolicyDocument| {
            let policy = Arc::clone(document.tree.policy());
            Arc::new(PolicyInForce::new(changed.version, document.digest, policy))
        };
        self.newest = Some(changed.version);
        self.digests.insert(changed.version, digest);
        self.in_force = changed.document.as_ref().map(in_force);
        self.versions.push((position, self.in_force.clone()));
    }
}
