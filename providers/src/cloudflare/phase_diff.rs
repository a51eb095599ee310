//! The rules that a phase will have beside those that it has, one by one.

use super::waf_rules_write::{not_sent, rules_before};
use super::{Before, WafRule, WafRulesWrite};
use ledger::operation::{Entries, Entry, EntryChange, EntryField};
use serde_json::{Map, Value};
use std::collections::HashMap;

/// Fields of a rule that have a place of their own, and those that upstream writes.
const TOLD: [&str; 4] = ["action", "expression", "description", "enabled"];

impl WafRulesWrite {
    /// The rules of a phase that is replaced.
    pub(super) fn entries(&self, before: &Before<'_>) -> Option<Entries> {
        let Self::ReplacePhase { rules, .. } = self else {
            return None;
        };
        let is_read = before.is_absent("ruleset") || before.object("ruleset").is_some();
        Some(Entries {
            param: "rules",
            noun: "rule",
            entries: phase_entries(rules, is_read.then(|| rules_before(before))),
        })
    }
}

/// The rules that are sent, in their order, and then those that are lost; `now` is `None` where nothing was
/// read.
pub(super) fn phase_entries(sent: &[WafRule], now: Option<&[Value]>) -> Vec<Entry> {
    let standing = Standing::of(now.unwrap_or_default());
    let mut entries: Vec<Entry> = sent
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            let found = standing.of_rule(rule);
            Entry {
                number: index + 1,
                change: match (now, found) {
                    (None, _) => EntryChange::Unknown,
                    (Some(_), None) => EntryChange::Added,
                    (Some(_), Some(found)) if rule.stands_as(found) => EntryChange::Same,
                    (Some(_), Some(_)) => EntryChange::Changed,
                },
                fields: fields(&rule.body(), found),
                more: more(&rule.body()),
                warnings: rule.warnings(),
            }
        })
        .collect();
    let lost = not_sent(sent, now.unwrap_or_default()).into_iter();
    entries.extend(lost.map(|(index, rule)| Entry {
        number: index + 1,
        change: EntryChange::Lost,
        fields: fields(rule, None),
        more: more(rule),
        warnings: Vec::new(),
    }));
    entries
}

/// The rules that are there, by what they are found by.
struct Standing<'n> {
    by_name: HashMap<&'n str, &'n Value>,
    by_deed: HashMap<(&'n str, &'n str), &'n Value>,
}

impl<'n> Standing<'n> {
    fn of(now: &'n [Value]) -> Self {
        let text = |rule: &'n Value, name: &str| rule.get(name).and_then(Value::as_str);
        let (mut by_name, mut by_deed) = (HashMap::new(), HashMap::new());
        for rule in now {
            for name in ["id", "ref"] {
                if let Some(name) = text(rule, name) {
                    by_name.entry(name).or_insert(rule);
                }
            }
            let deed = (
                text(rule, "action").unwrap_or_default(),
                text(rule, "expression").unwrap_or_default(),
            );
            by_deed.entry(deed).or_insert(rule);
        }
        Self { by_name, by_deed }
    }

    /// The rule with its id or reference, or else one that does the same.
    fn of_rule(&self, rule: &WafRule) -> Option<&'n Value> {
        let mut names = rule.names();
        let named = names.find_map(|name| self.by_name.get(name));
        named.or_else(|| self.by_deed.get(&rule.does())).copied()
    }
}

fn fields(rule: &Value, found: Option<&Value>) -> Vec<EntryField> {
    let text = |rule: &Value, name: &str| match rule.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(on)) if name == "enabled" => (if *on { "on" } else { "off" }).to_owned(),
        // Upstream leaves a rule on unless it says otherwise.
        None | Some(Value::Null) if name == "enabled" => "on".to_owned(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    };
    TOLD.into_iter()
        .map(|name| {
            let value = text(rule, name);
            let was = found.map(|found| text(found, name));
            EntryField {
                name,
                was: was.filter(|was| *was != value),
                value,
            }
        })
        .collect()
}

fn more(rule: &Value) -> Map<String, Value> {
    let fields = rule.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !TOLD.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entries(rules: &Value, now: Option<&Value>) -> Vec<(usize, EntryChange)> {
        let params = json!({
            "action": "replace_phase", "phase": "http_request_firewall_custom", "rules": rules,
        });
        let operation = crate::all().parse("waf.rules.write", "zone", "z1", &params);
        let state = now.map(|rules| json!({"ruleset": {"rules": rules}}));
        let before = Before {
            state: state.as_ref(),
            name: None,
        };
        let entries = operation.unwrap().entries(&before).unwrap();
        let entries = entries.entries.into_iter();
        entries.map(|entry| (entry.number, entry.change)).collect()
    }

    #[test]
    fn every_rule_is_told_with_its_fate() {
        use EntryChange::{Added, Changed, Lost, Same, Unknown};
        let rule =
            |action: &str, expression: &str| json!({"action": action, "expression": expression});
        let mut named = rule("block", "a");
        named["id"] = json!("r1");
        let mut renamed = named.clone();
        renamed["description"] = json!("now with words");
        let mut off = rule("log", "b");
        off["enabled"] = json!(false);
        let now = json!([named, rule("log", "b"), rule("block", "c")]);
        assert_eq!(entries(&now, Some(&now)), [(1, Same), (2, Same), (3, Same)]);
        assert_eq!(
            entries(&json!([rule("block", "d"), renamed, off]), Some(&now)),
            [(1, Added), (2, Changed), (3, Changed), (3, Lost)]
        );
        assert_eq!(entries(&json!([named]), None), [(1, Unknown)]);
    }

    #[test]
    fn nothing_that_a_rule_says_is_left_out() {
        let rule = json!({
            "action": "skip", "expression": "true", "ref": "a", "logging": {"enabled": false},
            "action_parameters": {"ruleset": "current"},
        });
        let told = fields(&rule, None);
        let names = told.iter().map(|field| field.name);
        let all: Vec<_> = names
            .chain(["action_parameters", "logging", "ref"])
            .collect();
        let rest = more(&rule);
        for name in rule.as_object().unwrap().keys() {
            assert!(all.contains(&name.as_str()), "{name}");
        }
        assert_eq!(rest.len(), 3);
        assert_eq!(told[0].value, "skip");
    }
}
