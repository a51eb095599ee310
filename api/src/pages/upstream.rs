//! The state that a worker read upstream, set beside the fields that an operation will send.

use super::card::UpstreamState;
use super::params::Param;
use super::shown::ShownText;
use ledger::event::PreState;
use ledger::operation::Operation;
use serde_json::{Map, Value, json};

impl UpstreamState {
    /// What an approval's page shows for one of its operations; `read` is `None` until a worker has
    /// recorded what it found.
    pub(crate) fn of(operation: &Operation, read: Option<&PreState>) -> Self {
        match read {
            None if operation.reads_state() => Self::NotYetRead,
            None | Some(PreState::NotApplicable) => Self::NotApplicable,
            Some(PreState::Unavailable(why)) => Self::Unavailable(ShownText::line(why)),
            Some(PreState::Found(text)) => match serde_json::from_str(text) {
                Ok(found) => present(operation, found),
                Err(_) => Self::Present(Param::rows(&json!({"found": text}))),
            },
        }
    }
}

/// A worker wraps what it found in an object that says what it is: `{"record": …}`.
fn present(operation: &Operation, found: Value) -> UpstreamState {
    let Value::Object(fields) = found else {
        return UpstreamState::Present(Param::rows(&found));
    };
    let mut parts = fields.into_iter();
    let object = match (parts.next(), parts.next()) {
        (Some((_, Value::Null)), None) => return UpstreamState::Absent,
        (Some((_, Value::Array(items))), None) if items.is_empty() => return UpstreamState::Absent,
        (Some((kind, Value::Object(ruleset))), None) if kind == "ruleset" => {
            match concerned(operation, ruleset) {
                Some(part) => part,
                None => return UpstreamState::Absent,
            }
        }
        (Some((_, object @ Value::Object(_))), None) => object,
        (first, second) => Value::Object(first.into_iter().chain(second).chain(parts).collect()),
    };
    UpstreamState::Present(Param::rows(&object))
}

/// The part of a ruleset that the operation is about: one rule where it names one, otherwise all of
/// them. `None` when the rule is not there.
fn concerned(operation: &Operation, mut ruleset: Map<String, Value>) -> Option<Value> {
    let rules = ruleset.remove("rules").unwrap_or_else(|| json!([]));
    let params = operation.to_json();
    let rule_id = params
        .pointer("/params/rule_id")
        .filter(|rule_id| rule_id.is_string());
    if let Some(rule_id) = rule_id {
        let rule = rules
            .as_array()?
            .iter()
            .find(|rule| rule.get("id") == Some(rule_id))?;
        return Some(json!({"rule": rule}));
    }
    let name = ruleset.remove("name").unwrap_or_default();
    Some(json!({"ruleset": name, "rules": rules}))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";
    const ID: &str = "2c0fc9fa937b11eaa1b71c4d701ab86e";

    fn of(operation: &str, params: &Value, found: &Value) -> UpstreamState {
        let operation = providers::all()
            .parse(operation, "zone", ZONE, params)
            .unwrap();
        UpstreamState::of(&operation, Some(&PreState::Found(found.to_string())))
    }

    fn named(name: &str, value: &Value) -> UpstreamState {
        UpstreamState::Present(Param::rows(&json!({name: value})))
    }

    #[test]
    fn an_object_loses_its_wrapping_and_nothing_else() {
        let found = of(
            "ssl.mode.write",
            &json!({"value": "strict"}),
            &json!({"ssl": {"value": "full"}}),
        );
        assert_eq!(found, named("value", &json!("full")));
        let delete = json!({"action": "delete", "record_id": ID});
        let found = of("dns.record.write", &delete, &json!({"record": null}));
        assert_eq!(found, UpstreamState::Absent);
        let found = of("dns.record.write", &delete, &json!({"record": {"ttl": 1}}));
        assert_eq!(found, named("ttl", &json!(1)));
    }

    #[test]
    fn records_of_the_same_name_are_all_shown() {
        let create = json!({"action": "create", "type": "A", "name": "a", "content": "192.0.2.1"});
        let none = of("dns.record.write", &create, &json!({"records": []}));
        assert_eq!(none, UpstreamState::Absent);
        let records = json!([{"type": "A", "content": "192.0.2.9"}]);
        let some = of("dns.record.write", &create, &json!({"records": records}));
        assert_eq!(some, named("records", &records));
    }

    #[test]
    fn a_rule_stands_beside_the_rule_that_it_will_be() {
        let rule = json!({"id": ID, "action": "log", "expression": "true"});
        let found = json!({"ruleset": {"name": "default", "rules": [{"id": "other"}, rule]}});
        let update = |rule_id: &str| {
            json!({
                "action": "update_rule", "ruleset_id": ID, "rule_id": rule_id,
                "rule": {"action": "block", "expression": "true"},
            })
        };
        assert_eq!(
            of("waf.rules.write", &update(ID), &found),
            named("rule", &rule)
        );
        let another = ID.replace('2', "3");
        assert_eq!(
            of("waf.rules.write", &update(&another), &found),
            UpstreamState::Absent
        );
        let replace = json!({"action": "replace_phase", "phase": "http_ratelimit", "rules": []});
        let UpstreamState::Present(rows) = of("waf.rules.write", &replace, &found) else {
            panic!("absent")
        };
        assert!(rows.iter().any(|row| row.name == *"rules"));
    }

    #[test]
    fn a_purge_never_waits_for_what_cannot_be_read() {
        let purge = json!({"purge_everything": true});
        let purge = providers::all()
            .parse("cache.purge.execute", "zone", ZONE, &purge)
            .unwrap();
        assert_eq!(
            UpstreamState::of(&purge, None),
            UpstreamState::NotApplicable
        );
        let ssl = json!({"value": "strict"});
        let ssl = providers::all()
            .parse("ssl.mode.write", "zone", ZONE, &ssl)
            .unwrap();
        assert_eq!(UpstreamState::of(&ssl, None), UpstreamState::NotYetRead);
    }
}
