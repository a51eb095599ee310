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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{ApprovalId, StreamId};
    use crate::policy::PolicyDigest;

    const LEDGER: &str = "018f3c2a-7b00-7abc-8def-0123456789ab";

    fn change() -> PolicyProposal {
        PolicyProposal {
            follows: 3,
            replaces: Some(PolicyDigest::from_bytes([0xab; 32])),
            document: None,
            restores: Some(0),
        }
    }

    fn fingerprint(subject: &AskedSubject) -> String {
        subject.fingerprint(LEDGER.parse().unwrap()).to_string()
    }

    /// Made by a second implementation.
    #[test]
    fn golden_fingerprints_of_subjects_do_not_change() {
        let id: ApprovalId = "019a0000-0002-7000-8000-0000000000bb".parse().unwrap();
        let schedule: ApprovalId = "019a0000-0004-7000-8000-0000000000dd".parse().unwrap();
        let cases = [
            (
                AskedSubject::Review(EmergencyReview { approval_id: id }),
                "4c97253eb2405d39ab2e5cf6b839ae1b9d765fbfa968e9bad6f88d06a6cfa29a",
            ),
            (
                AskedSubject::Schedule(ScheduleProposal {
                    schedule_id: StreamId::from(schedule),
                    definition: "{\"cron\":\"0 3 * * *\"}".to_owned(),
                }),
                "d498a255c01016900710ca77958a5013c4129839dc3a609441bbb4f13a7569a6",
            ),
            (
                AskedSubject::PolicyChange(change()),
                "9e59a57e23e506cde23f98459cd71ed939d8857fc4872d9d148c1c5e4b66795c",
            ),
        ];
        for (subject, expected) in cases {
            assert_eq!(fingerprint(&subject), expected);
        }
    }

    #[test]
    fn every_part_of_a_change_is_in_its_fingerprint() {
        let others = [
            PolicyProposal {
                follows: 4,
                ..change()
            },
            PolicyProposal {
                replaces: None,
                ..change()
            },
            PolicyProposal {
                restores: None,
                ..change()
            },
        ];
        let own = fingerprint(&AskedSubject::PolicyChange(change()));
        for other in others {
            assert_ne!(fingerprint(&AskedSubject::PolicyChange(other)), own);
        }
        let elsewhere = LedgerId::from_bytes([9; 16]);
        let change = AskedSubject::PolicyChange(change());
        assert_ne!(change.fingerprint(elsewhere).to_string(), own);
    }
}
