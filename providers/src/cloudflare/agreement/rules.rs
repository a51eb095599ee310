//! Firewall rules beside what was sent of them.

use super::{Field, agrees, whole};
use crate::cloudflare::{RuleChange, WafRule, WafRulesWrite};
use ledger::event::Agreement;
use serde_json::{Map, Value};

pub(super) fn written(write: &WafRulesWrite, ruleset: &Value) -> Agreement {
    let rules = rules_of(ruleset);
    let place_of = |id: &str| rules.iter().position(|rule| id_of(rule) == Some(id));
    match write {
        WafRulesWrite::ReplacePhase { rules: wanted, .. } => {
            let wanted: Vec<_> = wanted.iter().map(WafRule::body).collect();
            whole([all_agree(&wanted, ruleset)])
        }
        // The phase had no ruleset, and gets one with exactly this rule.
        WafRulesWrite::FirstRule { rule, .. } => whole([all_agree(&[rule.body()], ruleset)]),
        _ if ruleset.is_null() => Agreement::CannotTell,
        WafRulesWrite::AddRule { rule, .. } => {
            let wanted = rule.body();
            let is_there = rules
                .iter()
                .any(|found| whole(rule_fields(&wanted, found)) == Agreement::Agrees);
            whole([Field::equal(is_there)])
        }
        WafRulesWrite::DeleteRule { rule_id, .. } => {
            whole([Field::equal(place_of(rule_id.as_str()).is_none())])
        }
        WafRulesWrite::UpdateRule {
            rule_id, change, ..
        } => {
            let Some(place) = place_of(rule_id.as_str()) else {
                return Agreement::Differs;
            };
            let body = change.body();
            let stands = body
                .get("position")
                .and_then(Value::as_object)
                .map(|position| Field::equal(stands_at(position, rules, place)));
            match change {
                RuleChange::Move(_) => whole(stands),
                RuleChange::Define(_) => {
                    let found = rules.get(place).unwrap_or(&Value::Null);
                    whole(rule_fields(&body, found).into_iter().chain(stands))
                }
            }
        }
    }
}

fn all_agree(wanted: &[Value], ruleset: &Value) -> Field {
    let rules = rules_of(ruleset);
    let mut pairs = wanted.iter().zip(rules);
    Field::equal(
        !ruleset.is_null()
            && wanted.len() == rules.len()
            && pairs.all(|(wanted, found)| whole(rule_fields(wanted, found)) == Agreement::Agrees),
    )
}

/// Fields of a rule that upstream sets itself, whatever is sent.
const NOT_SET: [&str; 2] = ["version", "last_updated"];

/// The fields of a rule without its position, which the rule itself does not show.
fn rule_fields(wanted: &Value, found: &Value) -> Vec<Field> {
    let fields = wanted.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| *name != "position" && !NOT_SET.contains(&name.as_str()))
        .map(|(name, wanted)| Field::equal(agrees(wanted, found.get(name).unwrap_or(&Value::Null))))
        .collect()
}

/// True when the rule at `place` stands where `position` says.
fn stands_at(position: &Map<String, Value>, rules: &[Value], place: usize) -> bool {
    let neighbour = |index: Option<usize>| index.and_then(|index| rules.get(index)).and_then(id_of);
    let text = |name: &str| position.get(name).and_then(Value::as_str);
    if let Some(before) = text("before") {
        return if before.is_empty() {
            place == 0
        } else {
            neighbour(place.checked_add(1)) == Some(before)
        };
    }
    if let Some(after) = text("after") {
        return if after.is_empty() {
            place + 1 == rules.len()
        } else {
            neighbour(place.checked_sub(1)) == Some(after)
        };
    }
    // Behind the last one is the last place.
    let index = position.get("index").and_then(Value::as_u64);
    let last = u64::try_from(rules.len()).ok();
    index.min(last.or(index)) == u64::try_from(place + 1).ok()
}

fn id_of(object: &Value) -> Option<&str> {
    object.get("id").and_then(Value::as_str)
}

fn rules_of(ruleset: &Value) -> &[Value] {
    ruleset
        .get("rules")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}
