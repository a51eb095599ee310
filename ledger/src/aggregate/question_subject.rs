//! What a question is about.

use crate::canonical::canonicalise;
use crate::event::{AskedSubject, EmergencyReview, PolicyProposal, ScheduleProposal};
use crate::fingerprint::Fingerprint;
use crate::id::{ApplyId, LedgerId, TaskId};
use crate::name::AgentName;
use crate::statement::QuestionKind;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::sync::Arc;

/// The subject of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QuestionSubject {
    /// The operations of an apply.
    Apply(AskedApply),
    /// Something else.
    Besides(Arc<AskedSubject>),
}

/// The apply that a question is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskedApply {
    /// Its task.
    pub task_id: TaskId,
    /// Its agent.
    pub agent: AgentName,
    /// The apply that asked first; others may wait for the answer too.
    pub apply_id: ApplyId,
}

impl QuestionSubject {
    /// The kind of subject.
    #[must_use]
    pub fn kind(&self) -> QuestionKind {
        match self {
            Self::Apply(_) => QuestionKind::Apply,
            Self::Besides(subject) => subject.kind(),
        }
    }

    /// The bytes that it takes in memory, roughly.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Apply(_) => 0,
            Self::Besides(subject) => match &**subject {
                AskedSubject::PolicyChange(change) => {
                    let document = change.document.as_ref();
                    document.map_or(0, |document| document.source.len() * 9)
                }
                AskedSubject::Schedule(schedule) => schedule.definition.len(),
                AskedSubject::Review(_) => 0,
            },
        }
    }
}

impl AskedSubject {
    /// The kind of subject.
    #[must_use]
    pub const fn kind(&self) -> QuestionKind {
        match self {
            Self::PolicyChange(_) => QuestionKind::PolicyChange,
            Self::Schedule(_) => QuestionKind::Schedule,
            Self::Review(_) => QuestionKind::Review,
        }
    }

    /// The fingerprint that decisions are bound to: over the canonical JSON (RFC 8785) of
    /// `{"kind","ledger_id","subject","v":1}`. The subject of a policy change names the digest of the tree that it
    /// replaces and of the new one, so both and what differs between them, and the SHA-256 of the new text.
    #[must_use]
    pub fn fingerprint(&self, ledger_id: LedgerId) -> Fingerprint {
        let subject = match self {
            Self::PolicyChange(change) => of_change(change),
            Self::Schedule(ScheduleProposal {
                schedule_id,
                definition,
            }) => json!({"schedule_id": schedule_id.to_string(), "definition": definition}),
            Self::Review(EmergencyReview { approval_id }) => {
                json!({"approval_id": approval_id.to_string()})
            }
        };
        let canonical = canonicalise(&json!({
            "v": 1,
            "kind": self.kind().as_str(),
            "ledger_id": ledger_id.to_string(),
            "subject": subject,
        }));
        // Versions of policies are counted; no number here is beyond what JSON holds exactly.
        Fingerprint::of_subject(&canonical.unwrap_or_default())
    }
}

fn of_change(change: &PolicyProposal) -> Value {
    let PolicyProposal {
        follows,
        replaces,
        document,
        restores,
    } = change;
    let source = document
        .as_ref()
        .map(|document| hex::encode(Sha256::digest(&document.source)));
    json!({
        "follows": follows,
        "replaces": replaces.map(|digest| digest.to_string()),
        "digest": document.as_ref().map(|document| document.digest.to_string()),
        "source_sha256": source,
        "restores": restores,
    })
}
