//! The statement that an approver's passkey signs: one decision on one fingerprint.
//!
//! It has two forms. What decides for its question alone has the first; the second says besides what is kept, and
//! what the question rests on. Frozen: signatures over statements must verify for good.

mod second;

pub use crate::policy::RequirementDigest;
pub(crate) use second::signs_state;
pub use second::{
    Basis, Choice, DecisionStatement, PreStateDigest, QuestionKind, SecondStatement, SignedBlock,
    SignedRule,
};

use crate::clock::Timestamp;
use crate::digest::digest;
use crate::fingerprint::Fingerprint;
use crate::id::{ApprovalId, LedgerId, TaskId};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::fmt;
use std::str::FromStr;

const REASON_PREFIX: &[u8] = b"llm-permission-proxy reason v1";

/// A person's decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// The operations may be executed, once.
    Approve,
    /// They may not.
    Deny,
}

impl Decision {
    /// The word in requests and in the statement.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word is no decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a decision: expected `approve` or `deny`")]
pub struct InvalidDecision;

impl FromStr for Decision {
    type Err = InvalidDecision;

    fn from_str(word: &str) -> Result<Self, InvalidDecision> {
        match word {
            "approve" => Ok(Self::Approve),
            "deny" => Ok(Self::Deny),
            _ => Err(InvalidDecision),
        }
    }
}

/// The text is no statement of a form that is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a decision's statement")]
pub struct InvalidStatement;

digest!(
    /// Stands for the reason in the statement, so that a reason can be erased and the statement stay
    /// verifiable.
    ReasonDigest
);

impl ReasonDigest {
    /// SHA-256 over the reason's UTF-8 under a prefix of its own. An empty reason is a reason too;
    /// none at all is `None` in the statement.
    #[must_use]
    pub fn of(reason: &str) -> Self {
        let digest = Sha256::new()
            .chain_update(REASON_PREFIX)
            .chain_update(reason);
        Self::from_bytes(digest.finalize().into())
    }
}

/// One decision on one question, with everything that makes it unmistakable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statement {
    /// The ledger that holds the question.
    pub ledger_id: LedgerId,
    /// The task; none where the question is not about an apply, which only the second form says.
    pub task_id: Option<TaskId>,
    /// The question.
    pub approval_id: ApprovalId,
    /// The operations that would be executed.
    pub fingerprint: Fingerprint,
    /// The decision.
    pub decision: Decision,
    /// Why, if the approver said why.
    pub reason_digest: Option<ReasonDigest>,
    /// When the question ends without a decision.
    pub expires_at: Timestamp,
}

impl Statement {
    /// The canonical JSON (RFC 8785) of `{"approval_id","decision","expires_at","fingerprint",
    /// "ledger_id","reason_digest","task_id","v":1}`: ids hyphenated, digests in hexadecimal, the time
    /// in RFC 3339, the reason's digest `null` without a reason.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        // Keys in order; no value here has a character that JSON escapes. The tests hold this to the
        // canonicaliser.
        let reason_digest = self
            .reason_digest
            .map_or_else(|| "null".to_owned(), |digest| format!("\"{digest}\""));
        let task_id = self
            .task_id
            .map_or_else(|| "null".to_owned(), |task| format!("\"{task}\""));
        format!(
            "{{\"approval_id\":\"{}\",\"decision\":\"{}\",\"expires_at\":\"{}\",\
             \"fingerprint\":\"{}\",\"ledger_id\":\"{}\",\"reason_digest\":{reason_digest},\
             \"task_id\":{task_id},\"v\":1}}",
            self.approval_id, self.decision, self.expires_at, self.fingerprint, self.ledger_id,
        )
        .into_bytes()
    }

    /// SHA-256 of the canonical bytes.
    #[must_use]
    pub(crate) fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.canonical_bytes()).into()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::canonical::canonicalise;
    use proptest::prelude::*;
    use serde_json::json;

    /// Vectors made by a second implementation.
    const GOLDEN: &str = include_str!("../../fixtures/data/statement.json");

    #[derive(Deserialize)]
    pub(crate) struct Golden {
        ledger_id: String,
        task_id: String,
        approval_id: String,
        fingerprint: String,
        decision: Decision,
        reason: Option<String>,
        expires_at_us: i64,
        canonical: String,
        pub(crate) challenge: GoldenChallenge,
    }

    #[derive(Deserialize)]
    pub(crate) struct GoldenChallenge {
        pub(crate) secret: String,
        pub(crate) nonce: String,
        pub(crate) valid_until: i64,
        pub(crate) bytes: String,
    }

    impl Golden {
        pub(crate) fn statement(&self) -> Statement {
            Statement {
                ledger_id: self.ledger_id.parse().unwrap(),
                task_id: Some(self.task_id.parse().unwrap()),
                approval_id: self.approval_id.parse().unwrap(),
                fingerprint: self.fingerprint.parse().unwrap(),
                decision: self.decision,
                reason_digest: self.reason.as_deref().map(ReasonDigest::of),
                expires_at: Timestamp::from_micros(self.expires_at_us),
            }
        }
    }

    pub(crate) fn golden() -> Vec<Golden> {
        serde_json::from_str(GOLDEN).unwrap()
    }

    /// Every statement that differs from this one in one part.
    pub(crate) fn others(statement: Statement) -> Vec<Statement> {
        let decision = match statement.decision {
            Decision::Approve => Decision::Deny,
            Decision::Deny => Decision::Approve,
        };
        vec![
            Statement {
                ledger_id: LedgerId::from_bytes([9; 16]),
                ..statement
            },
            Statement {
                task_id: Some(TaskId::from_bytes([9; 16])),
                ..statement
            },
            Statement {
                approval_id: ApprovalId::from_bytes([9; 16]),
                ..statement
            },
            Statement {
                fingerprint: Fingerprint::from_bytes([9; 32]),
                ..statement
            },
            Statement {
                decision,
                ..statement
            },
            Statement {
                reason_digest: Some(ReasonDigest::of("another")),
                ..statement
            },
            Statement {
                expires_at: Timestamp::from_micros(statement.expires_at.as_micros() + 1),
                ..statement
            },
        ]
    }

    #[test]
    fn golden_statements_do_not_change() {
        for case in golden() {
            let bytes = case.statement().canonical_bytes();
            assert_eq!(String::from_utf8(bytes).unwrap(), case.canonical);
        }
    }

    #[test]
    fn every_part_is_in_the_bytes() {
        for case in golden() {
            for other in others(case.statement()) {
                assert_ne!(other.canonical_bytes(), case.statement().canonical_bytes());
            }
        }
    }

    #[test]
    fn no_reason_and_an_empty_reason_differ() {
        let statement = golden()[0].statement();
        let none = Statement {
            reason_digest: None,
            ..statement
        };
        let empty = Statement {
            reason_digest: Some(ReasonDigest::of("")),
            ..statement
        };
        assert_ne!(none.canonical_bytes(), empty.canonical_bytes());
    }

    #[test]
    fn a_decision_reads_its_own_word_only() {
        for decision in [Decision::Approve, Decision::Deny] {
            assert_eq!(decision.as_str().parse(), Ok(decision));
        }
        assert_eq!("Approve".parse::<Decision>(), Err(InvalidDecision));
        assert_eq!("".parse::<Decision>(), Err(InvalidDecision));
    }

    proptest! {
        #[test]
        fn the_bytes_are_what_the_canonicaliser_writes(
            ids in any::<([u8; 16], [u8; 16], [u8; 16], [u8; 32])>(),
            deny in any::<bool>(),
            reason in any::<Option<String>>(),
            expires_at in any::<i64>(),
        ) {
            let statement = Statement {
                ledger_id: LedgerId::from_bytes(ids.0),
                task_id: Some(TaskId::from_bytes(ids.1)),
                approval_id: ApprovalId::from_bytes(ids.2),
                fingerprint: Fingerprint::from_bytes(ids.3),
                decision: if deny { Decision::Deny } else { Decision::Approve },
                reason_digest: reason.as_deref().map(ReasonDigest::of),
                expires_at: Timestamp::from_micros(expires_at),
            };
            let value = json!({
                "v": 1,
                "ledger_id": statement.ledger_id.to_string(),
                "task_id": statement.task_id.map(|task| task.to_string()),
                "approval_id": statement.approval_id.to_string(),
                "fingerprint": statement.fingerprint.to_string(),
                "decision": statement.decision.to_string(),
                "reason_digest": statement.reason_digest.map(|digest| digest.to_string()),
                "expires_at": statement.expires_at.to_string(),
            });
            prop_assert_eq!(statement.canonical_bytes(), canonicalise(&value).unwrap());
        }
    }
}
