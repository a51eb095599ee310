//! What the policy said of an apply, as events hold it. Frozen forms.

use crate::policy::{
    Evaluation, Fact, PolicyDigest, Requirement, RequirementDigest, RuleAction, RuleDigest, RuleId,
    RuleResult, Value,
};
use crate::statement::{Basis, SignedRule};
use serde::{Deserialize, Serialize};

/// The most bytes of a stored evaluation with its traces; a longer one is stored without them. They follow
/// from the rest, and whoever wants them evaluates again.
const MOST_BYTES: usize = 4096;

/// What a policy said of an apply, and from which facts: who has the policy and the operations can evaluate it
/// again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyEvaluation {
    /// The version in force.
    pub version: u64,
    /// The digest of its tree.
    pub digest: PolicyDigest,
    /// What holds of the apply.
    pub outcome: RuleAction,
    /// The rules whose action that is.
    pub rules: Vec<RuleId>,
    /// Each operation, in order.
    pub operations: Vec<EvaluatedOperation>,
    /// The facts that were read, by name.
    pub facts: Vec<ReadFact>,
}

/// What a policy said of one operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvaluatedOperation {
    /// What holds of it.
    pub outcome: RuleAction,
    /// The priority of the rules that decided; absent where the default did.
    pub level: Option<u32>,
    /// What became of each rule, in the document's order: two bits a rule, the first in the lowest. 0: no match,
    /// 1: match, 2: it could not be evaluated. Absent where it would be too long.
    pub trace: Option<Vec<u8>>,
}

/// A fact that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadFact {
    /// Its name.
    pub name: String,
    /// Its value, or why there was none.
    pub value: FactValue,
}

/// The value of a fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FactValue {
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
    /// Nobody could tell, and why.
    Unknown(String),
}

impl PolicyEvaluation {
    /// Of an evaluation by a version.
    #[must_use]
    pub fn of(version: u64, digest: PolicyDigest, said: &Evaluation) -> Self {
        let mut stored = Self {
            version,
            digest,
            outcome: said.outcome,
            rules: said.rules.clone(),
            operations: said
                .operations
                .iter()
                .map(|one| EvaluatedOperation {
                    outcome: one.outcome,
                    level: one.level,
                    trace: Some(packed(&one.trace)),
                })
                .collect(),
            facts: said
                .facts
                .iter()
                .map(|(name, fact)| ReadFact {
                    name: name.clone(),
                    value: fact.into(),
                })
                .collect(),
        };
        let traces = stored
            .operations
            .iter()
            .filter_map(|one| one.trace.as_ref());
        let length: usize = traces.map(Vec::len).sum();
        if length > MOST_BYTES / 2 {
            for one in &mut stored.operations {
                one.trace = None;
            }
        }
        stored
    }

    /// The facts that were read.
    #[must_use]
    pub fn facts(&self) -> crate::policy::Facts {
        let facts = self.facts.iter();
        facts
            .map(|read| (read.name.clone(), Fact::from(&read.value)))
            .collect()
    }

    /// The bytes that it takes in memory, roughly.
    #[must_use]
    pub(crate) fn weight(&self) -> usize {
        let traces = self.operations.iter().map(|one| {
            let trace = one.trace.as_ref();
            48 + trace.map_or(0, Vec::len)
        });
        256 + self.rules.len() * 72 + self.facts.len() * 96 + traces.sum::<usize>()
    }
}

fn packed(trace: &[RuleResult]) -> Vec<u8> {
    let bits = |result: &RuleResult| match result {
        RuleResult::NoMatch => 0,
        RuleResult::Match => 1,
        RuleResult::Unevaluable(_) => 2_u8,
    };
    trace
        .chunks(4)
        .map(|four| {
            four.iter()
                .rev()
                .fold(0, |byte, result| (byte << 2) | bits(result))
        })
        .collect()
}

impl From<&Fact> for FactValue {
    fn from(fact: &Fact) -> Self {
        let text = |value: &Value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        match fact {
            Fact::Known(Value::Bool(truth)) => Self::Bool(*truth),
            Fact::Known(Value::Int(int)) => Self::Int(*int),
            Fact::Known(Value::Text(text)) => Self::Text(text.clone()),
            Fact::Known(Value::List(list)) => {
                match list.iter().map(text).collect::<Option<Vec<_>>>() {
                    Some(texts) => Self::Texts(texts),
                    None => Self::Unknown("type".to_owned()),
                }
            }
            Fact::Known(Value::Map(_)) => Self::Unknown("type".to_owned()),
            Fact::Unknown(why) => Self::Unknown(why.to_string()),
        }
    }
}

impl From<&FactValue> for Fact {
    fn from(value: &FactValue) -> Self {
        match value {
            FactValue::Bool(truth) => Self::Known(Value::Bool(*truth)),
            FactValue::Int(int) => Self::Known(Value::Int(*int)),
            FactValue::Text(text) => Self::Known(Value::Text(text.clone())),
            FactValue::Texts(texts) => {
                let texts = texts.iter().cloned().map(Value::Text);
                Self::Known(Value::List(texts.collect()))
            }
            FactValue::Unknown(why) => Self::Unknown(why.clone().into()),
        }
    }
}

/// Why a question is asked by a policy, and what an answer needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedByPolicy {
    /// The version in force.
    pub version: u64,
    /// The digest of its tree.
    pub digest: PolicyDigest,
    /// The rules that ask; none where grants, risk or the document's default do.
    pub rules: Vec<RuleId>,
    /// What an answer needs.
    pub requirement: StoredRequirement,
    /// The digest of each of those rules, which statements name; absent where statements say nothing of the policy.
    pub rule_digests: Option<Vec<RuleDigest>>,
}

impl AskedByPolicy {
    /// The rules as statements and the keys of kept decisions name them; `None` where they do not.
    #[must_use]
    pub fn signed_rules(&self) -> Option<Vec<SignedRule>> {
        let digests = self.rule_digests.as_ref()?;
        let rules = self.rules.iter().zip(digests);
        let rules = rules.map(|(id, digest)| SignedRule {
            id: *id,
            digest: *digest,
        });
        Some(rules.collect())
    }

    /// The parts of a statement that rest on it.
    #[must_use]
    pub fn basis(&self) -> Basis {
        match self.signed_rules() {
            Some(rules) => Basis {
                policy: Some((self.version, self.digest)),
                rules,
                requirement: Some(self.requirement.digest()),
                pre_state: None,
            },
            None => Basis::default(),
        }
    }
}

/// As `approval.requested` 2 holds it: statements said nothing of the policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AskedByPolicyV1 {
    /// The version in force.
    pub version: u64,
    /// The digest of its tree.
    pub digest: PolicyDigest,
    /// The rules that ask; none where grants, risk or the document's default do.
    pub rules: Vec<RuleId>,
    /// What an answer needs.
    pub requirement: StoredRequirement,
}

impl From<AskedByPolicyV1> for AskedByPolicy {
    fn from(old: AskedByPolicyV1) -> Self {
        Self {
            version: old.version,
            digest: old.digest,
            rules: old.rules,
            requirement: old.requirement,
            rule_digests: None,
        }
    }
}

/// A requirement, stored as its canonical JSON, which its digest is over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRequirement(Requirement);

impl StoredRequirement {
    /// The requirement.
    #[must_use]
    pub const fn get(&self) -> &Requirement {
        &self.0
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> RequirementDigest {
        self.0.digest()
    }
}

impl From<Requirement> for StoredRequirement {
    fn from(requirement: Requirement) -> Self {
        Self(requirement)
    }
}

impl Serialize for StoredRequirement {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0.canonical())
    }
}

impl<'de> Deserialize<'de> for StoredRequirement {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        use serde::de::Error as _;
        let text = String::deserialize(from)?;
        let read: Requirement = serde_json::from_str(&text).map_err(D::Error::custom)?;
        match read.canonical() == text {
            true => Ok(Self(read)),
            false => Err(D::Error::custom("the requirement is not canonical JSON")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_takes_two_bits_a_rule_the_first_in_the_lowest() {
        let trace = [
            RuleResult::Match,
            RuleResult::NoMatch,
            RuleResult::Unevaluable("x".into()),
            RuleResult::NoMatch,
            RuleResult::Match,
        ];
        assert_eq!(packed(&trace), [0b0010_0001, 0b01]);
    }
}
