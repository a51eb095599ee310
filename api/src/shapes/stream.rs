//! What the live stream says.

use app::feed::Change;
use serde::Serialize;
use utoipa::ToSchema;

/// The things of one kind that changed.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Changed<'a> {
    /// task, apply, approval, delivery, agent, approver, user, group, session, key, template, lock, policy or
    /// clearance.
    kind: &'static str,
    /// Their ids; names of agents, principals of approvers, versions of the policy.
    ids: Vec<&'a str>,
}

/// Changes, grouped by their kind, as JSON. They are in the order of kinds.
pub(crate) fn changed(changes: Vec<&Change>) -> String {
    let mut all: Vec<Changed<'_>> = Vec::new();
    for change in changes {
        let kind = change.kind.as_str();
        match all.last_mut().filter(|last| last.kind == kind) {
            Some(last) => last.ids.push(&change.id),
            None => all.push(Changed {
                kind,
                ids: vec![&change.id],
            }),
        }
    }
    // Words and ids always serialise.
    serde_json::to_string(&all).unwrap_or_default()
}

/// Why a stream has ended.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Ended {
    /// The code that a request of the same identity is refused with now.
    pub(crate) code: &'static str,
}
