//! What an agent asked for, as bytes, and the digest that approvals and executions are bound to.
//!
//! The canonical bytes are frozen: an approval given today must name the same thing for good. They
//! are the canonical JSON (RFC 8785) of
//! `{"agent_id","ledger_id","operations","task_id","v":1}`, where `agent_id` is the agent's name and
//! `operations` are as they will be sent upstream. The apply's payload keeps exactly these bytes and
//! the executor sends from them, so what was approved and what is sent cannot come apart.

use crate::canonical::{StrictJsonError, canonicalise_struct, parse_made};
use crate::digest::digest;
use crate::id::{LedgerId, TaskId};
use crate::name::AgentName;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

const VERSION: u8 = 1;
const FINGERPRINT_PREFIX: &[u8] = b"llm-permission-proxy operations v1";
const SUBJECT_PREFIX: &[u8] = b"llm-permission-proxy subject v1";

digest!(
    /// SHA-256 over the canonical bytes of a [`Submission`], under a prefix of its own.
    Fingerprint
);

impl Fingerprint {
    /// The fingerprint of a submission's canonical bytes.
    #[must_use]
    pub fn of(canonical_bytes: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(FINGERPRINT_PREFIX)
            .chain_update(canonical_bytes);
        Self::from_bytes(digest.finalize().into())
    }

    /// The fingerprint of the canonical JSON of what people are asked about besides applies.
    #[must_use]
    pub(crate) fn of_subject(canonical_bytes: &[u8]) -> Self {
        let digest = Sha256::new()
            .chain_update(SUBJECT_PREFIX)
            .chain_update(canonical_bytes);
        Self::from_bytes(digest.finalize().into())
    }
}

/// The operations of one apply with everything that makes them this agent's, in this task.
#[derive(Debug, Clone, PartialEq)]
pub struct Submission {
    /// The ledger that the task stands in.
    pub ledger_id: LedgerId,
    /// The agent's name.
    pub agent: AgentName,
    /// The task.
    pub task_id: TaskId,
    /// The operations in their order, each as it will be sent.
    pub operations: Vec<Value>,
}

/// Bytes that are not the canonical bytes of a submission.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmissionError {
    /// Not strict JSON.
    #[error("not a submission")]
    Json(#[from] StrictJsonError),
    /// Another shape or version, or a submission in other bytes than its canonical ones.
    #[error("not the canonical bytes of a submission of version {VERSION}")]
    NotCanonical,
}

impl Submission {
    /// The canonical bytes; [`Fingerprint::of`] them is what people approve.
    ///
    /// # Errors
    /// When an operation holds a number that is not exact in JSON, or nests too deeply.
    pub fn canonical_bytes(&self) -> Result<Vec<u8>, StrictJsonError> {
        /// The fields in the order of their names.
        #[derive(Serialize)]
        struct Canonical<'a> {
            agent_id: &'a AgentName,
            ledger_id: String,
            operations: &'a [Value],
            task_id: String,
            v: u8,
        }
        let operations = &self.operations;
        let canonical = Canonical {
            agent_id: &self.agent,
            ledger_id: self.ledger_id.to_string(),
            operations,
            task_id: self.task_id.to_string(),
            v: VERSION,
        };
        canonicalise_struct(&canonical, ("operations", operations))
    }

    /// Reads canonical bytes back.
    ///
    /// # Errors
    /// When the bytes are anything but the canonical bytes of a submission.
    pub fn read(canonical_bytes: &[u8]) -> Result<Self, SubmissionError> {
        let Value::Object(mut fields) = parse_made(canonical_bytes)? else {
            return Err(SubmissionError::NotCanonical);
        };
        let mut text = |name: &str| match fields.remove(name) {
            Some(Value::String(text)) => Ok(text),
            _ => Err(SubmissionError::NotCanonical),
        };
        let ledger_id = text("ledger_id")?.parse();
        let task_id = text("task_id")?.parse();
        let submission = Self {
            ledger_id: ledger_id.map_err(|_| SubmissionError::NotCanonical)?,
            agent: AgentName::unchecked(text("agent_id")?),
            task_id: task_id.map_err(|_| SubmissionError::NotCanonical)?,
            operations: match fields.remove("operations") {
                Some(Value::Array(operations)) => operations,
                _ => return Err(SubmissionError::NotCanonical),
            },
        };
        // Written again, so that no other field, version or spelling passes.
        if submission.canonical_bytes()? == canonical_bytes {
            Ok(submission)
        } else {
            Err(SubmissionError::NotCanonical)
        }
    }
}

/// The operations in a submission's canonical bytes, as they will be sent.
///
/// # Errors
/// As [`Submission::read`].
pub fn operations_of(canonical_bytes: &[u8]) -> Result<Vec<Value>, SubmissionError> {
    Submission::read(canonical_bytes).map(|submission| submission.operations)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::canonicalise;
    use proptest::prelude::*;
    use serde::Deserialize;
    use serde_json::json;

    /// Vectors made by a second implementation.
    const GOLDEN: &str = include_str!("../../fixtures/data/fingerprint.json");

    #[derive(Deserialize)]
    struct Golden {
        ledger_id: String,
        agent: AgentName,
        task_id: String,
        operations: Vec<Value>,
        canonical: String,
        fingerprint: String,
    }

    fn golden() -> Vec<(Submission, String, String)> {
        let cases: Vec<Golden> = serde_json::from_str(GOLDEN).unwrap();
        let submission = |case: Golden| {
            let submission = Submission {
                ledger_id: case.ledger_id.parse().unwrap(),
                agent: case.agent,
                task_id: case.task_id.parse().unwrap(),
                operations: case.operations,
            };
            (submission, case.canonical, case.fingerprint)
        };
        cases.into_iter().map(submission).collect()
    }

    #[test]
    fn golden_bytes_and_fingerprints_do_not_change() {
        for (submission, canonical, fingerprint) in golden() {
            let bytes = submission.canonical_bytes().unwrap();
            assert_eq!(String::from_utf8(bytes.clone()).unwrap(), canonical);
            assert_eq!(Fingerprint::of(&bytes).to_string(), fingerprint);
            assert_eq!(fingerprint.parse(), Ok(Fingerprint::of(&bytes)));
            let back = Submission::read(&bytes).unwrap();
            assert_eq!(back.canonical_bytes().unwrap(), bytes);
            assert_eq!(operations_of(&bytes).unwrap(), back.operations);
        }
    }

    #[test]
    fn every_part_is_in_the_fingerprint() {
        let (base, ..) = golden().swap_remove(0);
        let mut others = vec![base.clone(); 5];
        others[0].ledger_id = LedgerId::from_bytes([9; 16]);
        others[1].agent = AgentName::unchecked("x");
        others[2].task_id = TaskId::from_bytes([9; 16]);
        others[3].operations.push(json!({}));
        others[4].operations.reverse();
        for other in others {
            assert_ne!(
                Fingerprint::of(&other.canonical_bytes().unwrap()),
                Fingerprint::of(&base.canonical_bytes().unwrap()),
                "{other:?}"
            );
        }
    }

    #[test]
    fn other_spellings_of_the_same_submission_are_not_read() {
        let (base, canonical, _) = golden().swap_remove(0);
        let id = base.task_id.to_string();
        for other in [
            canonical.replace("\"v\":1", "\"v\": 1"),
            canonical.replace("\"v\":1", "\"v\":2"),
            canonical.replace("\"v\":1", "\"v\":1,\"w\":1"),
            canonical.replace("\"v\":1", "\"v\":1,\"v\":1"),
            canonical.replace(&id, &id.to_uppercase()),
            canonical.replace(&id, &id.replace('-', "")),
            canonical.replace(&id, "x"),
            canonical.replace(":60", ":60.0"),
            format!("{canonical} "),
        ] {
            assert_ne!(other, canonical, "the case changes nothing");
            assert!(Submission::read(other.as_bytes()).is_err(), "{other}");
        }
    }

    #[test]
    fn an_operation_is_refused_as_in_the_whole_object() {
        let (mut submission, ..) = golden().swap_remove(0);
        let mut deep = json!(1);
        for _ in 0..62 {
            deep = json!([deep]);
        }
        for operation in [
            json!({"é": 1.5, "a": "\u{1f}"}),
            json!({"a": u64::MAX}),
            deep.clone(),
            json!([deep]),
        ] {
            submission.operations = vec![json!({}), operation];
            let whole = json!({
                "v": VERSION,
                "ledger_id": submission.ledger_id.to_string(),
                "agent_id": submission.agent,
                "task_id": submission.task_id.to_string(),
                "operations": submission.operations,
            });
            assert_eq!(submission.canonical_bytes(), canonicalise(&whole));
        }
    }

    proptest! {
        #[test]
        fn the_agents_name_cannot_imitate_another_part(agent in any::<String>()) {
            let (mut submission, ..) = golden().swap_remove(0);
            submission.agent = AgentName::unchecked(agent);
            let bytes = submission.canonical_bytes().unwrap();
            prop_assert_eq!(Submission::read(&bytes).unwrap(), submission);
        }
    }
}
