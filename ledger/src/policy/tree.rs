//! The tree of a policy document. Frozen: digests over trees stand in records and signatures.

use crate::canonical;
use crate::catalog::OperationId;
use crate::digest::digest;
use crate::id::GroupId;
use crate::word::Word;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

const POLICY_PREFIX: &[u8] = b"llm-permission-proxy policy v1";
const RULE_PREFIX: &[u8] = b"llm-permission-proxy rule v1";

digest!(
    /// SHA-256 over the canonical JSON of a policy's tree, under a prefix of its own.
    PolicyDigest
);

digest!(
    /// SHA-256 over the canonical JSON of one rule, under a prefix of its own.
    RuleDigest
);

/// A policy document with every default filled in, groups by id and conditions lowered. Two documents that
/// mean the same have the same tree: lists whose order means nothing are sorted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// The language and its semantics.
    pub engine: Engine,
    /// What holds where no rule matches.
    pub default: DefaultAction,
    /// Who agrees to a change of the document; `None`: an administrator alone.
    pub policy_change: Option<PolicyChange>,
    /// Who may approve alone in an emergency.
    pub break_glass: Option<BreakGlass>,
    /// The most questions that may be open.
    pub limits: Limits,
    /// Whether the opener of a task may approve what its agent asks.
    pub self_approval: bool,
    /// The rules, by id.
    #[serde(rename = "rule")]
    pub rules: Vec<Rule>,
    /// The time windows, by name.
    pub windows: BTreeMap<String, Window>,
}

impl Policy {
    /// Its parts that need people of that group: `rule foreign`, `policy_change`, `break_glass`.
    #[must_use]
    pub fn parts_with(&self, group: GroupId) -> Vec<String> {
        let group = NeedGroup::Group(group);
        let needs = |needs: &[Need]| needs.iter().any(|need| need.group == group);
        let change = self.policy_change.as_ref();
        let changes = change.is_some_and(|change| needs(&change.needs));
        let alone = self.break_glass.as_ref();
        let alone = alone.is_some_and(|alone| alone.group == group || needs(&alone.review));
        let rules = self.rules.iter().filter(|rule| needs(&rule.needs));
        let mut parts: Vec<String> = rules.map(|rule| format!("rule {}", rule.id)).collect();
        parts.extend(changes.then(|| "policy_change".to_owned()));
        parts.extend(alone.then(|| "break_glass".to_owned()));
        parts
    }
}

/// The language and its semantics, with its table of costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Engine {
    /// `lpp-cel/1`.
    #[serde(rename = "lpp-cel/1")]
    LppCel1,
}

/// What holds where no rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DefaultAction {
    /// Grants and risk, as without a document.
    Catalog,
    /// A question.
    Ask,
    /// A refusal.
    Deny,
}

/// Who agrees to a change of the document.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyChange {
    /// The people.
    pub needs: Vec<Need>,
}

/// Who may approve alone in an emergency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// One person of this group.
    pub group: NeedGroup,
    /// The people who look at it afterwards.
    pub review: Vec<Need>,
}

/// The most questions that may be open; 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Of all.
    pub open: u32,
    /// Of one agent.
    pub per_agent: u32,
    /// Of the agents of one owner.
    pub per_owner: u32,
    /// About one operation.
    pub per_operation: u32,
    /// From one address.
    pub per_address: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            open: 1000,
            per_agent: 10,
            per_owner: 50,
            per_operation: 200,
            per_address: 0,
        }
    }
}

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Its name in the document.
    pub id: RuleId,
    /// 0..=1000000; the highest that matches decides.
    pub priority: u32,
    /// What it says.
    pub action: RuleAction,
    /// The operations that it is about, sorted; `None`: all.
    pub operations: Option<BTreeSet<OperationId>>,
    /// Its condition.
    pub when: Expr,
    /// For the agent and the approver; may be empty.
    pub reason: String,
    /// Whether it acts.
    pub mode: Mode,
    /// Whether it lets a sensitive operation run, or be remembered.
    pub sensitive: bool,
    /// The people who must agree; empty in rules that do not ask.
    pub needs: Vec<Need>,
    /// Seconds that its question stays open.
    pub ttl: u32,
    /// How long an answer may hold, in the order of the type.
    pub retention: BTreeSet<RetentionMode>,
    /// The most seconds that a cached answer holds.
    pub max_duration: u32,
    /// What becomes of the state that the approver saw; `None`: bound for sensitive operations, else shown.
    pub pre_state: Option<PreState>,
}

/// The name of a rule: 1..=64 characters of `a-z 0-9 . _ -`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuleId(Word<64>);

/// The text is no name of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a rule's id has 1 to 64 characters of a-z, 0-9, `.`, `_` and `-`")]
pub struct InvalidRuleId;

impl RuleId {
    /// Its text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl FromStr for RuleId {
    type Err = InvalidRuleId;

    fn from_str(text: &str) -> Result<Self, InvalidRuleId> {
        let fine =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
        Word::parse(text, fine).map(Self).ok_or(InvalidRuleId)
    }
}

impl fmt::Display for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for RuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuleId({self})")
    }
}

impl Serialize for RuleId {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for RuleId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// What a rule says of an operation, the laxest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RuleAction {
    /// It runs.
    Allow,
    /// People are asked.
    Ask,
    /// It does not run.
    Deny,
}

impl RuleAction {
    /// Its word in documents and answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Ask => "ask",
            Self::Deny => "deny",
        }
    }
}

/// Whether a rule acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// It does.
    Enforce,
    /// It is evaluated and recorded only.
    Observe,
}

/// People who must agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Need {
    /// Of this group.
    pub group: NeedGroup,
    /// How many, at least 1.
    pub n: u32,
    /// What they must show.
    pub assurance: Assurance,
}

impl Default for Need {
    /// One of the approvers of the configuration.
    fn default() -> Self {
        Self {
            group: NeedGroup::Default,
            n: 1,
            assurance: Assurance::Any,
        }
    }
}

impl Need {
    /// Whether any one of the approvers of the configuration meets it.
    #[must_use]
    pub fn is_one_approver(&self) -> bool {
        self.n == 1 && self.group == NeedGroup::Default
    }
}

/// The people of a need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NeedGroup {
    /// The approvers of the configuration (APPROVAL_APPROVERS): `default`.
    Default,
    /// A group, by its id: one that is made anew under its name is another.
    Group(GroupId),
}

impl fmt::Display for NeedGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Group(id) => write!(f, "{id}"),
        }
    }
}

impl Serialize for NeedGroup {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NeedGroup {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.as_str() {
            "default" => Ok(Self::Default),
            id => id
                .parse()
                .map(Self::Group)
                .map_err(serde::de::Error::custom),
        }
    }
}

/// What an approver must show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// Whatever the ledger takes as a decision.
    Any,
    /// A passkey.
    Passkey,
}

/// How long an answer may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RetentionMode {
    /// For this apply.
    Once,
    /// For a time.
    Cache,
    /// Without an end.
    Permanent,
}

/// What becomes of the state upstream that the approver saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PreState {
    /// It is shown.
    Shown,
    /// It is read again before sending, and nothing is sent where it is another.
    Bind,
}

/// Hours of the week by a wall clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// The IANA name of the clock's zone.
    pub zone: String,
    /// The hours, sorted: `mon 09:00-18:00`, one day each. An end that is not after its start is on the next
    /// day; `24:00` is the end of the day.
    pub open: BTreeSet<String>,
    /// The days without hours: `2026-12-25`.
    pub except: BTreeSet<String>,
}

/// A condition, or a part of one. As JSON an object with one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expr {
    /// A constant.
    Literal(Value),
    /// A fact by its name: `country`, `agent.tags`, `scope.id`, `window.office`.
    Fact(String),
    /// The params of the operation.
    Params,
    /// The element that the quantifier around it is at.
    Element,
    /// A field of an object; unknown where it is absent.
    Field(Box<Expr>, String),
    /// Whether an object has a field.
    Has(Box<Expr>, String),
    /// `!`
    Not(Box<Expr>),
    /// `&&` of two or more.
    And(Vec<Expr>),
    /// `||` of two or more.
    Or(Vec<Expr>),
    /// `condition ? then : otherwise`
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// Two values compared.
    Compare(Comparison, Box<Expr>, Box<Expr>),
    /// Whether a list has a value, or an object a key.
    In(Box<Expr>, Box<Expr>),
    /// The code points of a text, the elements of a list, the fields of an object.
    Size(Box<Expr>),
    /// A text held to another.
    Text(TextTest, Box<Expr>, Box<Expr>),
    /// Whether a text has a match of a pattern anywhere (RE2 syntax).
    Matches(Box<Expr>, String),
    /// Whether an address is in a block: `10.0.0.0/8`.
    InCidr(Box<Expr>, String),
    /// `exists` or `all` over a list; `all` over an empty list is true, as in CEL.
    Quantified(Quantifier, Box<Expr>, Box<Expr>),
}

/// How two values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Comparison {
    /// `==`
    #[serde(rename = "==")]
    Equal,
    /// `!=`
    #[serde(rename = "!=")]
    NotEqual,
    /// `<`
    #[serde(rename = "<")]
    Less,
    /// `<=`
    #[serde(rename = "<=")]
    LessOrEqual,
    /// `>`
    #[serde(rename = ">")]
    Greater,
    /// `>=`
    #[serde(rename = ">=")]
    GreaterOrEqual,
}

/// How a text is held to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextTest {
    /// `startsWith`
    StartsWith,
    /// `endsWith`
    EndsWith,
    /// `contains`
    Contains,
}

/// How many elements of a list must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantifier {
    /// One at least.
    Exists,
    /// Each.
    All,
}

/// A value of a fact, a param or a constant. As JSON it is itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// An integer within ±2^53.
    Int(i64),
    /// A text.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object.
    Map(BTreeMap<String, Value>),
}

impl Policy {
    /// The policy of a ledger without a document: grants and risk decide.
    #[must_use]
    pub fn without_document() -> Self {
        Self {
            engine: Engine::LppCel1,
            default: DefaultAction::Catalog,
            policy_change: None,
            break_glass: None,
            limits: Limits::default(),
            self_approval: false,
            rules: Vec::new(),
            windows: BTreeMap::new(),
        }
    }

    /// SHA-256 over the canonical JSON of the tree.
    ///
    /// # Panics
    /// Never: a tree has no value that JSON cannot write.
    #[must_use]
    pub fn digest(&self) -> PolicyDigest {
        PolicyDigest::from_bytes(under(POLICY_PREFIX, self))
    }

    /// The rule of that name.
    #[must_use]
    pub fn rule(&self, id: &RuleId) -> Option<&Rule> {
        self.rules.iter().find(|rule| rule.id == *id)
    }
}

impl Rule {
    /// SHA-256 over the canonical JSON of the rule.
    #[must_use]
    pub fn digest(&self) -> RuleDigest {
        RuleDigest::from_bytes(under(RULE_PREFIX, self))
    }

    /// Whether it is about an operation.
    #[must_use]
    pub fn is_about(&self, operation: OperationId) -> bool {
        let operations = self.operations.as_ref();
        operations.is_none_or(|those| those.contains(&operation))
    }
}

pub(super) fn under(prefix: &[u8], tree: &impl Serialize) -> [u8; 32] {
    let bytes = canonical_text(tree);
    let digest = Sha256::new().chain_update(prefix).chain_update(bytes);
    digest.finalize().into()
}

/// The canonical JSON of a tree or of a part of one.
#[expect(
    clippy::expect_used,
    reason = "a tree has text keys only, and integers that JSON writes"
)]
pub(super) fn canonical_text(tree: &impl Serialize) -> String {
    let value = serde_json::to_value(tree).expect("a tree is JSON");
    let bytes = canonical::canonicalise(&value).expect("a tree has a canonical form");
    String::from_utf8(bytes).expect("canonical JSON is UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy() -> Policy {
        Policy {
            engine: Engine::LppCel1,
            default: DefaultAction::Catalog,
            policy_change: None,
            break_glass: None,
            limits: Limits::default(),
            self_approval: false,
            rules: vec![Rule {
                id: "foreign".parse().unwrap(),
                priority: 100,
                action: RuleAction::Ask,
                operations: Some(BTreeSet::from([OperationId::of("cache.purge.execute")])),
                when: Expr::Not(Box::new(Expr::In(
                    Box::new(Expr::Fact("country".to_owned())),
                    Box::new(Expr::Literal(Value::List(vec![Value::Text(
                        "DE".to_owned(),
                    )]))),
                ))),
                reason: "From abroad".to_owned(),
                mode: Mode::Enforce,
                sensitive: false,
                needs: vec![Need {
                    group: NeedGroup::Default,
                    n: 1,
                    assurance: Assurance::Any,
                }],
                ttl: 600,
                retention: BTreeSet::from([RetentionMode::Once, RetentionMode::Cache]),
                max_duration: 86_400,
                pre_state: None,
            }],
            windows: BTreeMap::new(),
        }
    }

    #[test]
    fn a_tree_is_read_back_from_its_json_and_has_the_digest_that_it_had() {
        let json = serde_json::to_value(policy()).unwrap();
        assert_eq!(
            json["rule"][0]["when"],
            serde_json::json!({"not": {"in": [{"fact": "country"}, {"literal": ["DE"]}]}})
        );
        let read: Policy = serde_json::from_value(json).unwrap();
        assert_eq!(read, policy());
        assert_eq!(read.digest(), policy().digest());
    }

    #[test]
    fn a_rule_of_another_text_has_another_digest_and_so_has_its_policy() {
        let mut other = policy();
        other.rules[0].priority = 101;
        assert_ne!(other.digest(), policy().digest());
        assert_ne!(other.rules[0].digest(), policy().rules[0].digest());
    }

    #[test]
    fn a_tree_with_a_key_that_nobody_knows_is_refused() {
        let mut json = serde_json::to_value(policy()).unwrap();
        json["rule"][0]["nedds"] = serde_json::json!([]);
        assert!(serde_json::from_value::<Policy>(json).is_err());
    }
}
