//! Compares the state that upstream shows with the one that an operation makes, field by field.
//!
//! | operation | field | is the same when |
//! |---|---|---|
//! | DNS record | `type` | equal in any case |
//! | | `name` | equal as full names: completed with the zone's, lower case, Punycode, no final dot |
//! | | `content` of A and AAAA | the same address |
//! | | `content` of TXT | the same bytes once quotes, pieces and escapes are undone |
//! | | `content` of CNAME, MX, NS, PTR | equal as names; `@` is the zone |
//! | | `data` | every part is: numbers by value, texts without regard to case and final dot |
//! | | `ttl` | equal; upstream forces 1 on proxied records, so another one shows nothing there |
//! | | `tags` | the same set |
//! | | `comment`, other fields | equal; absent and empty are the same |
//! | SSL mode | `value` | equal |
//! | rule | `position` | the rule stands there among the others |
//! | | other fields | every part that is sent is equal |
//! | all rules of a phase | `rules` | as many, each one the same, in this order |
//! | Worker | modules | the same names with the same bytes |
//! | | `bindings` | each one is there and no others; of inherited and kept ones upstream shows no origin |
//! | | settings that upstream shows | every part that is sent is equal |
//! | | `migrations`, `keep_…`, `assets` | never shown |
//! | deletes | | gone |
//!
//! A field that is not shown says nothing. One that differs makes the whole different; only where at least one
//! field is the same and none differs does the whole agree. What that proves is for `reconcile` to say.

mod record;
mod rules;
#[cfg(test)]
mod tests;
mod worker;

use super::values::says_something;
use super::{Params, ZoneName};
use ledger::event::Agreement;
use ledger::provider::Snapshot;
use serde_json::{Map, Value, json};

/// One field beside what upstream shows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Same,
    Other,
    NotShown,
}

impl Field {
    fn equal(same: bool) -> Self {
        if same { Self::Same } else { Self::Other }
    }
}

fn whole(fields: impl IntoIterator<Item = Field>) -> Agreement {
    fields
        .into_iter()
        .fold(Agreement::CannotTell, |whole, field| match (whole, field) {
            (Agreement::Differs, _) | (_, Field::Other) => Agreement::Differs,
            (_, Field::Same) => Agreement::Agrees,
            (whole, Field::NotShown) => whole,
        })
}

pub(super) fn agreement(params: &Params, state: &Snapshot, zone: Option<&ZoneName>) -> Agreement {
    let part = |name: &str| state.part(name);
    match params {
        Params::DnsRecordRead(_) | Params::WafRulesRead(_) | Params::CachePurge(_) => {
            Agreement::CannotTell
        }
        Params::DnsRecordWrite(write) => record::written(write, part, zone),
        Params::SslMode(mode) => whole([Field::equal(
            part("ssl").get("value") == Some(&json!(mode.as_str())),
        )]),
        Params::WafRulesWrite(write) => rules::written(write, part("ruleset")),
        Params::WorkersDeploy(deploy) => worker::deployed(deploy, state),
    }
}

/// The fields of a DNS record that are sent and stand in `found` already, by name.
pub(super) fn agreed_fields(
    intended: &Map<String, Value>,
    found: &Map<String, Value>,
    zone: Option<&ZoneName>,
) -> Vec<String> {
    let found = Value::Object(found.clone());
    record::record_fields(intended, &found, zone)
        .filter(|(_, field)| *field == Field::Same)
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// The fields of a DNS record that are sent and become different from `found`, by name. A field that is not
/// shown counts where it says something.
pub(super) fn changed_fields(
    intended: &Map<String, Value>,
    found: &Map<String, Value>,
    zone: Option<&ZoneName>,
) -> Vec<String> {
    let shown = Value::Object(found.clone());
    record::record_fields(intended, &shown, zone)
        .filter(|(name, field)| match field {
            Field::Same => false,
            Field::Other => true,
            Field::NotShown => {
                !found.contains_key(*name) && intended.get(*name).is_some_and(says_something)
            }
        })
        .map(|(name, _)| name.to_owned())
        .collect()
}

fn shown_part(intended: &Value, found: Option<&Value>) -> Field {
    match found {
        None => Field::NotShown,
        Some(found) => Field::equal(agrees(intended, found)),
    }
}

/// True when every field of `intended` is in `found` with the same value; lists entry by entry, in order.
/// What is not there agrees with what is empty.
fn agrees(intended: &Value, found: &Value) -> bool {
    match (intended, found) {
        (Value::Object(intended), Value::Object(found)) => intended
            .iter()
            .all(|(field, value)| agrees(value, found.get(field).unwrap_or(&Value::Null))),
        (Value::Array(intended), Value::Array(found)) => {
            intended.len() == found.len()
                && intended
                    .iter()
                    .zip(found)
                    .all(|(intended, found)| agrees(intended, found))
        }
        (Value::Number(intended), Value::Number(found)) => intended.as_f64() == found.as_f64(),
        (Value::String(text), Value::Null) => text.is_empty(),
        (Value::Array(list), Value::Null) => list.is_empty(),
        (Value::Object(fields), Value::Null) => fields.is_empty(),
        (Value::Bool(on), Value::Null) => !on,
        _ => intended == found,
    }
}
