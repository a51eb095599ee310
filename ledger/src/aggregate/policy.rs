//! One version of the policy.

use super::Aggregate;
use crate::clock::Timestamp;
use crate::event::{Event, PolicyChanged, PolicyDocument};
use crate::id::PolicyId;
use crate::policy::{CurrentPolicy, PolicyInForce};
use crate::rejection::Rejection;
use std::sync::Arc;

/// A version of the policy. Its stream holds one event, and it stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyVersion {
    /// Its id.
    pub id: PolicyId,
    /// Its number; the first is 1.
    pub version: u64,
    /// Its document; `None`: grants and risk alone decide.
    pub document: Option<Arc<PolicyDocument>>,
    /// The earlier version whose document it brought back.
    pub restores: Option<u64>,
    /// The time of its event.
    pub made_at: Timestamp,
}

impl PolicyVersion {
    /// What decisions go by while this version is the newest.
    #[must_use]
    pub fn current(&self) -> CurrentPolicy {
        let in_force = self.document.as_ref().map(|document| {
            let policy = Arc::clone(document.tree.policy());
            Arc::new(PolicyInForce::new(self.version, document.digest, policy))
        });
        CurrentPolicy {
            version: self.version,
            in_force,
        }
    }

    /// The change that an event of a version is.
    #[must_use]
    pub fn change(event: Event) -> Option<PolicyChanged> {
        match event {
            Event::PolicyChanged(changed) => Some(changed),
            _ => None,
        }
    }
}

impl Aggregate for PolicyVersion {
    type Id = PolicyId;

    const NOT_FOUND: Rejection = Rejection::PolicyVersionNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        if let (Event::PolicyChanged(changed), None) = (event, &state) {
            *state = Some(Self {
                id: changed.policy_id,
                version: changed.version,
                document: changed.document.clone().map(Arc::new),
                restores: changed.restores,
                made_at: at,
            });
        }
    }

    fn weight(&self) -> usize {
        // A tree takes some eight times its source.
        let document = self.document.as_ref();
        256 + document.map_or(0, |document| document.source.len() * 9)
    }
}
