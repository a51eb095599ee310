//! What is known when a rule is looked at, and what is not.

use super::tree::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Why a fact is not known: a short word for records, such as `not_configured`.
pub type Why = Cow<'static, str>;

/// Nobody said anything of the fact.
pub const NOT_GIVEN: &str = "not_given";

/// One fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fact {
    /// Its value.
    Known(Value),
    /// It cannot be told, and why.
    Unknown(Why),
}

impl Fact {
    /// A text, or the reason why there is none.
    #[must_use]
    pub fn text(text: Option<&str>, why: &'static str) -> Self {
        match text {
            Some(text) => Self::Known(Value::Text(text.to_owned())),
            None => Self::Unknown(Why::Borrowed(why)),
        }
    }

    /// One that cannot be told.
    #[must_use]
    pub const fn unknown(why: &'static str) -> Self {
        Self::Unknown(Why::Borrowed(why))
    }
}

/// Facts by name. One that is not here is unknown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts(BTreeMap<String, Fact>);

impl Facts {
    /// Sets a fact, in place of what was said of it before.
    pub fn set(&mut self, name: impl Into<String>, fact: Fact) {
        self.0.insert(name.into(), fact);
    }

    /// Sets the value of a fact.
    pub fn know(&mut self, name: impl Into<String>, value: Value) {
        self.set(name, Fact::Known(value));
    }

    /// What is said of a fact.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Fact> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Fact)> {
        self.0.iter().map(|(name, fact)| (name.as_str(), fact))
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Fact)> for Facts {
    fn from_iter<I: IntoIterator<Item = (String, Fact)>>(facts: I) -> Self {
        Self(facts.into_iter().collect())
    }
}

/// The names of facts that are the same for all operations of an apply, windows besides.
pub const FACTS_OF_APPLY: &[&str] = &[
    "address",
    "agent.name",
    "agent.organization",
    "agent.owner",
    "agent.site",
    "agent.tags",
    "allowed",
    "asn",
    "counts.asked_1h",
    "counts.denied_24h",
    "counts.executed_1h",
    "country",
    "subject",
    "task.id",
    "task.name",
    "tls.fingerprint",
    "tls.subject",
    "usage.input_tokens_1h",
    "usage.input_tokens_24h",
    "usage.input_tokens_task",
    "usage.output_tokens_1h",
    "usage.output_tokens_24h",
    "usage.output_tokens_task",
    "usage.requests_1h",
    "usage.requests_24h",
    "usage.requests_task",
    "usage.total_tokens_1h",
    "usage.total_tokens_24h",
    "usage.total_tokens_task",
    "usage_model.input_tokens_1h",
    "usage_model.input_tokens_24h",
    "usage_model.input_tokens_task",
    "usage_model.output_tokens_1h",
    "usage_model.output_tokens_24h",
    "usage_model.output_tokens_task",
    "usage_model.requests_1h",
    "usage_model.requests_24h",
    "usage_model.requests_task",
    "usage_model.total_tokens_1h",
    "usage_model.total_tokens_24h",
    "usage_model.total_tokens_task",
];

/// The names of facts that the log knows, besides those of usage.
const FACTS_FROM_LOG: &[&str] = &[
    "agent.name",
    "agent.organization",
    "agent.owner",
    "agent.site",
    "agent.tags",
    "allowed",
    "counts.asked_1h",
    "counts.denied_24h",
    "counts.executed_1h",
    "subject",
    "task.id",
    "task.name",
];

/// The names of facts that each operation has of its own, its params besides.
pub const FACTS_OF_OPERATION: &[&str] = &["level", "operation", "risk", "scope.id", "scope.type"];

/// Whether the log knows a fact; the service says the others.
#[must_use]
pub fn is_from_log(fact: &str) -> bool {
    FACTS_FROM_LOG.contains(&fact) || is_of_usage(fact)
}

/// Whether a fact says what calls through the proxies used lately.
#[must_use]
pub fn is_of_usage(fact: &str) -> bool {
    fact.starts_with("usage.") || is_of_model(fact)
}

/// Whether a fact says what calls with the model that is asked for used lately.
#[must_use]
pub fn is_of_model(fact: &str) -> bool {
    fact.starts_with("usage_model.")
}

/// The window of a fact `window.NAME`.
#[must_use]
pub fn window_of(fact: &str) -> Option<&str> {
    fact.strip_prefix("window.")
}
