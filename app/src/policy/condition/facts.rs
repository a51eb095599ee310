//! What a condition can read, with types.

use ledger::Providers;
use ledger::policy::Value;
use ledger::provider::{Param, ParamType};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The type of a part of a condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Type {
    Bool,
    Int,
    Text,
    List(Box<Type>),
    /// An object with these fields.
    Object(BTreeMap<&'static str, Type>),
    /// Whatever stands there when it is evaluated; of another type than is wanted, it is unknown.
    Any,
    /// A param that two operations type differently.
    Disagreeing,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "a bool",
            Self::Int => "an int",
            Self::Text => "a string",
            Self::List(_) => "a list",
            Self::Object(_) => "an object",
            Self::Any => "of a type that is not known before",
            Self::Disagreeing => "of a type that the rule's operations do not agree on",
        })
    }
}

impl Type {
    /// Whether a constant is of this type.
    pub(in super::super) fn is_of(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Bool, Value::Bool(_))
            | (Self::Int, Value::Int(_))
            | (Self::Text, Value::Text(_))
            | (Self::Any, _) => true,
            (Self::List(of), Value::List(items)) => items.iter().all(|item| of.is_of(item)),
            _ => false,
        }
    }

    /// Whether a value of this type can stand where one of the other is wanted.
    pub(super) fn fits(&self, wanted: &Self) -> bool {
        match (self, wanted) {
            (Self::Any, Self::Disagreeing) | (Self::Disagreeing, _) => false,
            (Self::Any, _) | (_, Self::Any) => true,
            (Self::List(one), Self::List(other)) => one.fits(other),
            (one, other) => one == other,
        }
    }
}

/// The facts, apart from params and windows.
const FACTS: [(&str, Fact); 48] = [
    ("agent.name", Fact::Text),
    ("agent.owner", Fact::Text),
    ("agent.organization", Fact::Text),
    ("agent.site", Fact::Text),
    ("agent.tags", Fact::Texts),
    ("task.id", Fact::Text),
    ("task.name", Fact::Text),
    ("operation", Fact::Text),
    ("scope.type", Fact::Text),
    ("scope.id", Fact::Text),
    ("level", Fact::Text),
    ("risk", Fact::Text),
    ("subject", Fact::Text),
    ("address", Fact::Text),
    ("country", Fact::Text),
    ("asn", Fact::Int),
    ("tls.subject", Fact::Text),
    ("tls.fingerprint", Fact::Text),
    ("counts.asked_1h", Fact::Int),
    ("counts.denied_24h", Fact::Int),
    ("counts.executed_1h", Fact::Int),
    ("usage.input_tokens_1h", Fact::Int),
    ("usage.input_tokens_24h", Fact::Int),
    ("usage.input_tokens_task", Fact::Int),
    ("usage.output_tokens_1h", Fact::Int),
    ("usage.output_tokens_24h", Fact::Int),
    ("usage.output_tokens_task", Fact::Int),
    ("usage.requests_1h", Fact::Int),
    ("usage.requests_24h", Fact::Int),
    ("usage.requests_task", Fact::Int),
    ("usage.total_tokens_1h", Fact::Int),
    ("usage.total_tokens_24h", Fact::Int),
    ("usage.total_tokens_task", Fact::Int),
    ("usage_model.input_tokens_1h", Fact::Int),
    ("usage_model.input_tokens_24h", Fact::Int),
    ("usage_model.input_tokens_task", Fact::Int),
    ("usage_model.output_tokens_1h", Fact::Int),
    ("usage_model.output_tokens_24h", Fact::Int),
    ("usage_model.output_tokens_task", Fact::Int),
    ("usage_model.requests_1h", Fact::Int),
    ("usage_model.requests_24h", Fact::Int),
    ("usage_model.requests_task", Fact::Int),
    ("usage_model.total_tokens_1h", Fact::Int),
    ("usage_model.total_tokens_24h", Fact::Int),
    ("usage_model.total_tokens_task", Fact::Int),
    ("allowed", Fact::Bool),
    ("params", Fact::Params),
    ("window", Fact::Window),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fact {
    Bool,
    Int,
    Text,
    Texts,
    Params,
    Window,
}

/// The type of a fact by its whole name; `None` where there is none, or where it is read in parts.
pub(super) fn type_of(name: &str) -> Option<Type> {
    let (_, fact) = FACTS.iter().find(|(known, _)| *known == name)?;
    match fact {
        Fact::Bool => Some(Type::Bool),
        Fact::Int => Some(Type::Int),
        Fact::Text => Some(Type::Text),
        Fact::Texts => Some(Type::List(Box::new(Type::Text))),
        Fact::Params | Fact::Window => None,
    }
}

/// Whether a name is that of a fact, or of what holds some.
pub(super) fn is_root(name: &str) -> bool {
    FACTS
        .iter()
        .any(|(known, _)| known.split('.').next() == Some(name))
}

/// What can be read of a name that holds facts: `agent.name, agent.owner`.
pub(super) fn parts_of(root: &str) -> String {
    let parts = FACTS
        .iter()
        .filter(|(known, _)| {
            known
                .strip_prefix(root)
                .is_some_and(|rest| rest.starts_with('.'))
        })
        .map(|(known, _)| *known);
    parts.collect::<Vec<_>>().join(", ")
}

/// The words that a fact can be, where there are no others.
pub(super) fn words_of(fact: &str) -> Option<&'static [&'static str]> {
    match fact {
        "level" => Some(&["read", "write", "admin"]),
        "risk" => Some(&["safe", "elevated", "sensitive"]),
        _ => None,
    }
}

/// The fields that the params of these operations can have.
pub(super) fn params_of(
    operations: &BTreeSet<ledger::OperationId>,
    providers: &Providers,
) -> BTreeMap<&'static str, Type> {
    let mut fields: BTreeMap<&'static str, Type> = BTreeMap::new();
    for operation in operations {
        let Some((provider, entry)) = providers.find(operation.as_str()) else {
            continue;
        };
        for (name, of) in fields_of(provider.params(entry)) {
            fields
                .entry(name)
                .and_modify(|known| {
                    if *known != of {
                        *known = Type::Disagreeing;
                    }
                })
                .or_insert(of);
        }
    }
    fields
}

fn fields_of(params: &'static [Param]) -> BTreeMap<&'static str, Type> {
    let fields = params.iter();
    fields
        .map(|param| (param.name, lowered(&param.param_type)))
        .collect()
}

fn lowered(param_type: &'static ParamType) -> Type {
    match param_type {
        ParamType::Bool => Type::Bool,
        ParamType::Int => Type::Int,
        ParamType::Text => Type::Text,
        ParamType::List(of) => Type::List(Box::new(lowered(of))),
        ParamType::Object(params) => Type::Object(fields_of(params)),
        ParamType::Any => Type::Any,
    }
}
