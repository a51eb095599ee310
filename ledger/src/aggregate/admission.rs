//! A block or an allow: whose requests it is about, and since when.

use super::Aggregate;
use crate::clock::Timestamp;
use crate::event::{ClientTarget, Event};
use crate::id::AdmissionId;
use crate::rejection::Rejection;

/// What is said of a target's requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdmissionKind {
    /// They are refused.
    Block,
    /// They cannot be blocked.
    Allow,
}

/// The state of a block or an allow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admission {
    /// Its id.
    pub id: AdmissionId,
    /// Which of the two.
    pub kind: AdmissionKind,
    /// Whose requests it is about.
    pub target: ClientTarget,
    /// The reason, where somebody gave one.
    pub reason: Option<String>,
    /// The time of its event.
    pub set_at: Timestamp,
    /// When it ends by itself; `None`: when it is lifted.
    pub until: Option<Timestamp>,
    /// The time at which it was lifted.
    pub lifted_at: Option<Timestamp>,
}

impl Admission {
    /// Whether it counts at that time.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.lifted_at.is_none() && self.until.is_none_or(|until| now < until)
    }
}

impl Aggregate for Admission {
    type Id = AdmissionId;

    const NOT_FOUND: Rejection = Rejection::AdmissionNotFound;

    fn evolve(state: &mut Option<Self>, event: &Event, at: Timestamp) {
        let set = |id, kind, target: &ClientTarget, reason: &Option<String>, until| Self {
            id,
            kind,
            target: target.clone(),
            reason: reason.clone(),
            set_at: at,
            until,
            lifted_at: None,
        };
        match (event, state) {
            (Event::BlockSet(e), state) => {
                let kind = AdmissionKind::Block;
                *state = Some(set(e.admission_id, kind, &e.target, &e.reason, e.until));
            }
            (Event::AllowSet(e), state) => {
                let kind = AdmissionKind::Allow;
                *state = Some(set(e.admission_id, kind, &e.target, &e.reason, e.until));
            }
            (Event::BlockLifted(_) | Event::AllowLifted(_), Some(admission)) => {
                admission.lifted_at.get_or_insert(at);
            }
            _ => {}
        }
    }

    fn weight(&self) -> usize {
        256 + self.reason.as_ref().map_or(0, String::len)
    }
}
