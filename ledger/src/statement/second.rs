//! The second form of the statement: what an approver chooses besides the decision, and what the question
//! rests on.

use super::{Decision, InvalidStatement, Statement};
use crate::canonical::{canonicalise, parse_strict};
use crate::challenge::Bound;
use crate::clock::Timestamp;
use crate::digest::digest;
use crate::policy::{PolicyDigest, RequirementDigest, RuleDigest, RuleId};
use crate::retention::{Binding, Breadth, KeptMode, Retention};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

digest!(
    /// Stands for the state upstream to which a question is bound in its statement.
    PreStateDigest
);

/// What a question is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum QuestionKind {
    /// The operations of an apply.
    Apply,
    /// Another policy document.
    PolicyChange,
    /// A schedule.
    Schedule,
    /// A review of what was approved in an emergency.
    Review,
}

impl QuestionKind {
    /// The word in the statement.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "apply",
            Self::PolicyChange => "policy_change",
            Self::Schedule => "schedule",
            Self::Review => "review",
        }
    }
}

/// A block that a decision sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedBlock {
    /// agent, subject, address or asn.
    pub kind: String,
    /// What is blocked; of an agent its id.
    pub value: String,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// A rule that asked, as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedRule {
    /// Its id.
    pub id: RuleId,
    /// What it said.
    pub digest: RuleDigest,
}

/// The parts of a decision that its maker chooses besides approve or deny.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Choice {
    /// A decision that is kept; `None`: it is for this question alone.
    pub retention: Option<Retention>,
    /// The time before which an approval for this question alone is to be used, where its maker shortens that.
    pub use_until: Option<Timestamp>,
    /// A block of what asked.
    pub block: Option<SignedBlock>,
    /// An approval in an emergency.
    pub break_glass: bool,
}

impl Choice {
    /// Whether nothing is chosen.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// The parts of a question that rest on a policy, or on what stood upstream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Basis {
    /// The policy in force when it was asked.
    pub policy: Option<(u64, PolicyDigest)>,
    /// The rules that asked.
    pub rules: Vec<SignedRule>,
    /// What it needs.
    pub requirement: Option<RequirementDigest>,
    /// The state upstream that it is bound to.
    pub pre_state: Option<PreStateDigest>,
}

/// A decision with everything that can be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecondStatement {
    /// What the first form says too.
    pub first: Statement,
    /// What is asked.
    pub kind: QuestionKind,
    /// What the approver chose.
    pub choice: Choice,
    /// What the question rests on.
    pub basis: Basis,
}

/// The mode of an approval for its question alone.
const ONCE: &str = "once";

fn text(value: &impl ToString) -> Value {
    Value::String(value.to_string())
}

fn or_null<T: ToString>(value: Option<T>) -> Value {
    value.map_or(Value::Null, |value| text(&value))
}

impl SecondStatement {
    /// The canonical JSON (RFC 8785) of `{"approval_id","block","break_glass","decision","expires_at","fingerprint",
    /// "kind","ledger_id","policy","pre_state_digest","reason_digest","requirement_digest","retention","rules",
    /// "task_id","v":2}`. What there is not is `null`; so are no rules, and no emergency.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        let Self {
            first,
            kind,
            choice,
            basis,
        } = self;
        let retention = match (choice.retention, choice.use_until) {
            (Some(kept), _) => json!({
                "mode": kept.mode.as_str(),
                "breadth": kept.breadth.as_str(),
                "binding": kept.binding.as_str(),
                "until": or_null(kept.until),
            }),
            (None, Some(until)) => {
                json!({"mode": ONCE, "breadth": null, "binding": null, "until": text(&until)})
            }
            (None, None) => Value::Null,
        };
        let block = choice.block.as_ref().map_or(Value::Null, |block| {
            json!({"kind": block.kind, "value": block.value, "until": or_null(block.until)})
        });
        let policy = basis.policy.map_or(
            Value::Null,
            |(version, digest)| json!({"version": version, "digest": text(&digest)}),
        );
        let rules = match basis.rules.is_empty() {
            true => Value::Null,
            false => basis
                .rules
                .iter()
                .map(|rule| json!({"id": text(&rule.id), "digest": text(&rule.digest)}))
                .collect(),
        };
        let statement = json!({
            "v": 2,
            "kind": kind.as_str(),
            "ledger_id": text(&first.ledger_id),
            "task_id": or_null(first.task_id),
            "approval_id": text(&first.approval_id),
            "fingerprint": text(&first.fingerprint),
            "decision": text(&first.decision),
            "retention": retention,
            "block": block,
            "break_glass": if choice.break_glass { Value::Bool(true) } else { Value::Null },
            "policy": policy,
            "rules": rules,
            "requirement_digest": or_null(basis.requirement),
            "pre_state_digest": or_null(basis.pre_state),
            "reason_digest": or_null(first.reason_digest),
            "expires_at": text(&first.expires_at),
        });
        // Versions of policies are counted; no number here is beyond what JSON holds exactly.
        canonicalise(&statement).unwrap_or_default()
    }
}

/// A statement of either form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionStatement {
    /// A decision for its question alone, which rests on nothing else.
    First(Statement),
    /// Any other.
    Second(Box<SecondStatement>),
}

impl DecisionStatement {
    /// The statement of a decision: of the first form where it is about an apply, its maker chose nothing besides, and it
    /// is bound to no state.
    #[must_use]
    pub fn of(first: Statement, kind: QuestionKind, choice: Choice, basis: Basis) -> Self {
        if kind == QuestionKind::Apply && choice.is_none() && basis.pre_state.is_none() {
            return Self::First(first);
        }
        Self::Second(Box::new(SecondStatement {
            first,
            kind,
            choice,
            basis,
        }))
    }

    /// The bytes whose digest is signed.
    #[must_use]
    pub fn canonical_bytes(&self) -> Vec<u8> {
        match self {
            Self::First(statement) => statement.canonical_bytes(),
            Self::Second(statement) => statement.canonical_bytes(),
        }
    }

    /// As text.
    #[must_use]
    pub fn to_text(&self) -> String {
        String::from_utf8_lossy(&self.canonical_bytes()).into_owned()
    }

    /// What its maker chose.
    #[must_use]
    pub fn choice(&self) -> Choice {
        match self {
            Self::First(_) => Choice::default(),
            Self::Second(statement) => statement.choice.clone(),
        }
    }

    /// The decision.
    #[must_use]
    pub fn decision(&self) -> Decision {
        match self {
            Self::First(statement) => statement.decision,
            Self::Second(statement) => statement.first.decision,
        }
    }
}

/// Whether a recorded statement signs the state upstream. What is no statement signs nothing.
#[must_use]
pub(crate) fn signs_state(statement: &str) -> bool {
    let statement = parse_strict(statement.as_bytes()).ok();
    let digest = statement
        .as_ref()
        .and_then(|said| said.get("pre_state_digest"));
    digest.is_some_and(|digest| !digest.is_null())
}

impl Bound for DecisionStatement {
    fn prefix(&self) -> &'static [u8] {
        match self {
            Self::First(statement) => statement.prefix(),
            Self::Second(_) => b"llm-permission-proxy decision v2",
        }
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.canonical_bytes()).into()
    }
}

impl Choice {
    /// What was chosen in a statement. Whether the rest of it is about the question is found by writing it anew:
    /// [`DecisionStatement::of`] and the same bytes.
    ///
    /// # Errors
    /// Where it is a statement of no form that is known here.
    pub fn of_statement(statement: &str) -> Result<Self, InvalidStatement> {
        let statement = parse_strict(statement.as_bytes()).map_err(|_| InvalidStatement)?;
        let member = |name: &str| statement.get(name).ok_or(InvalidStatement);
        match member("v")?.as_u64() {
            Some(1) => return Ok(Self::default()),
            Some(2) => {}
            _ => return Err(InvalidStatement),
        }
        let retention = present(member("retention")?);
        let is_once = |kept: &&Value| kept.get("mode").and_then(Value::as_str) == Some(ONCE);
        let once = retention.filter(is_once);
        Ok(Self {
            use_until: once.map(use_until).transpose()?,
            retention: retention
                .filter(|kept| !is_once(kept))
                .map(kept)
                .transpose()?,
            block: present(member("block")?).map(block).transpose()?,
            break_glass: match member("break_glass")? {
                Value::Null => false,
                Value::Bool(true) => true,
                _ => return Err(InvalidStatement),
            },
        })
    }
}

fn present(value: &Value) -> Option<&Value> {
    (!value.is_null()).then_some(value)
}

fn word<'a>(of: &'a Value, name: &str) -> Result<&'a str, InvalidStatement> {
    of.get(name).and_then(Value::as_str).ok_or(InvalidStatement)
}

fn until(of: &Value) -> Result<Option<Timestamp>, InvalidStatement> {
    let until = of.get("until").ok_or(InvalidStatement)?;
    let Some(until) = present(until) else {
        return Ok(None);
    };
    Timestamp::deserialize(until)
        .map(Some)
        .map_err(|_| InvalidStatement)
}

/// The end of an approval for once that its maker has shortened.
fn use_until(of: &Value) -> Result<Timestamp, InvalidStatement> {
    let is_null = |name: &str| of.get(name).is_some_and(Value::is_null);
    match is_null("breadth") && is_null("binding") {
        true => until(of)?.ok_or(InvalidStatement),
        false => Err(InvalidStatement),
    }
}

fn kept(of: &Value) -> Result<Retention, InvalidStatement> {
    Ok(Retention {
        mode: match word(of, "mode")? {
            "cache" => KeptMode::Cache,
            "permanent" => KeptMode::Permanent,
            _ => return Err(InvalidStatement),
        },
        breadth: match word(of, "breadth")? {
            "exact" => Breadth::Exact,
            "scope" => Breadth::Scope,
            _ => return Err(InvalidStatement),
        },
        binding: match word(of, "binding")? {
            "task" => Binding::Task,
            "agent" => Binding::Agent,
            _ => return Err(InvalidStatement),
        },
        until: until(of)?,
    })
}

fn block(of: &Value) -> Result<SignedBlock, InvalidStatement> {
    Ok(SignedBlock {
        kind: word(of, "kind")?.to_owned(),
        value: word(of, "value")?.to_owned(),
        until: until(of)?,
    })
}

#[cfg(test)]
mod tests;
