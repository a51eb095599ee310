//! The rules that a phase will have beside those that it has, one by one.

use super::waf_rule::said;
use super::waf_rules_write::{REORDERS, rules_before};
use super::{Before, WafRule, WafRulesWrite, Warning};
use ledger::operation::{Entries, Entry, EntryChange, EntryField};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};

const NOUN: &str = "rule";

/// Fields of a rule that have a place of their own, and those that upstream writes.
const TOLD: [&str; 4] = ["action", "expression", "description", "enabled"];

impl WafRulesWrite {
    /// The rules of a phase that is replaced.
    pub(super) fn entries(&self, before: &Before<'_>) -> Option<Entries> {
        let Self::ReplacePhase { rules, .. } = self else {
            return None;
        };
        let pairs = RulePairs::of(rules, rules_before(before));
        Some(entries_of_phase(rules, before, &pairs))
    }
}

/// The rules that a phase will have, paired with those that it has.
pub(super) fn entries_of_phase(
    rules: &[WafRule],
    before: &Before<'_>,
    pairs: &RulePairs<'_>,
) -> Entries {
    Entries {
        param: "rules",
        noun: NOUN,
        entries: paired_entries(rules, before.is_known("ruleset"), pairs),
    }
}

/// The rules that are sent, in their order, and then those that are lost.
pub(super) fn phase_entries(sent: &[WafRule], now: &[Value]) -> Vec<Entry> {
    paired_entries(sent, true, &RulePairs::of(sent, now))
}

fn paired_entries(sent: &[WafRule], is_read: bool, pairs: &RulePairs<'_>) -> Vec<Entry> {
    let moved = pairs.moved();
    let mut entries: Vec<Entry> = sent
        .iter()
        .zip(pairs.found())
        .enumerate()
        .map(|(index, (rule, found))| {
            let moved = moved.get(&index);
            let mut warnings = rule.warnings();
            warnings.extend(moved.map(|was| {
                let text = format!("this was {NOUN} {}: it runs in another order", was + 1);
                Warning::new(REORDERS, text)
            }));
            Entry {
                number: index + 1,
                change: match found {
                    _ if !is_read => EntryChange::Unknown,
                    None => EntryChange::Added,
                    Some(found) if !rule.stands_as(found) => EntryChange::Changed,
                    Some(_) if moved.is_some() => EntryChange::Moved,
                    Some(_) => EntryChange::Same,
                },
                fields: fields(&rule.body(), found),
                more: more(&rule.body()),
                warnings,
            }
        })
        .collect();
    entries.extend(pairs.lost().map(|(index, rule)| Entry {
        number: index + 1,
        change: EntryChange::Lost,
        fields: fields(rule, None),
        more: more(rule),
        warnings: Vec::new(),
    }));
    entries
}

/// Each rule that is sent with the one upstream that it continues: the one of its id or reference, or
/// else one that says the same, or else one with its action and expression. No two continue the same one.
#[derive(Debug)]
pub(super) struct RulePairs<'n> {
    now: &'n [Value],
    /// For each rule that is sent, the index upstream.
    found: Vec<Option<usize>>,
}

impl<'n> RulePairs<'n> {
    pub(super) fn of(sent: &[WafRule], now: &'n [Value]) -> Self {
        let mut standing = Standing::of(now);
        let mut found: Vec<_> = sent
            .iter()
            .map(|rule| standing.take(rule.names().map(Key::name)))
            .collect();
        for key in [Key::whole, Key::deed] {
            for (rule, found) in sent.iter().zip(&mut found) {
                if found.is_none() {
                    *found = standing.take([key(&rule.body())]);
                }
            }
        }
        Self { now, found }
    }

    /// For each rule that is sent, the one upstream.
    fn found(&self) -> impl Iterator<Item = Option<&'n Value>> {
        self.found.iter().map(|at| self.now.get((*at)?))
    }

    /// The rules upstream that are not sent, by their index.
    pub(super) fn lost(&self) -> impl Iterator<Item = (usize, &'n Value)> + use<'n> {
        let kept: HashSet<usize> = self.found.iter().copied().flatten().collect();
        let now = self.now.iter().enumerate();
        now.filter(move |(index, _)| !kept.contains(index))
    }

    /// The fewest rules that have to move to bring the others into their order upstream: by the index at
    /// which each is sent, the one upstream.
    pub(super) fn moved(&self) -> BTreeMap<usize, usize> {
        let pairs = self.found.iter().enumerate();
        let pairs: Vec<(usize, usize)> = pairs
            .filter_map(|(index, was)| Some((index, (*was)?)))
            .collect();
        // The longest increasing subsequence: the ends of the best ones of each length, and for each pair
        // the one before it.
        let (mut ends, mut before) = (Vec::<usize>::new(), Vec::new());
        let was = |at: &usize| pairs.get(*at).map(|(_, was)| *was);
        for (at, pair) in pairs.iter().enumerate() {
            let length = ends.partition_point(|end| was(end) < Some(pair.1));
            before.push(
                length
                    .checked_sub(1)
                    .and_then(|last| ends.get(last).copied()),
            );
            ends.truncate(ends.len().max(length + 1));
            match ends.get_mut(length) {
                Some(end) => *end = at,
                None => ends.push(at),
            }
        }
        let mut moved: BTreeMap<usize, usize> = pairs.iter().copied().collect();
        let mut stays = ends.last().copied();
        while let Some(at) = stays {
            if let Some((index, _)) = pairs.get(at) {
                moved.remove(index);
            }
            stays = before.get(at).copied().flatten();
        }
        moved
    }
}

/// Something that a rule is known again by.
#[derive(Debug, PartialEq, Eq, Hash)]
enum Key {
    Name(String),
    Whole(String),
    Deed(String, String),
}

impl Key {
    fn name(name: &str) -> Self {
        Self::Name(name.to_owned())
    }

    fn whole(rule: &Value) -> Self {
        Self::Whole(said(rule).to_string())
    }

    fn deed(rule: &Value) -> Self {
        let text = |name: &str| rule.get(name).and_then(Value::as_str).unwrap_or_default();
        Self::Deed(text("action").to_owned(), text("expression").to_owned())
    }
}

/// The rules upstream that are still to be paired, by what they are found by.
struct Standing {
    by_key: HashMap<Key, VecDeque<usize>>,
    is_taken: Vec<bool>,
}

impl Standing {
    fn of(now: &[Value]) -> Self {
        let mut by_key: HashMap<_, VecDeque<_>> = HashMap::new();
        for (index, rule) in now.iter().enumerate() {
            let names = ["id", "ref"].into_iter();
            let names = names.filter_map(|name| rule.get(name)?.as_str().map(Key::name));
            for key in names.chain([Key::whole(rule), Key::deed(rule)]) {
                by_key.entry(key).or_default().push_back(index);
            }
        }
        let is_taken = vec![false; now.len()];
        Self { by_key, is_taken }
    }

    /// The first that is left of the first of these that has one.
    fn take(&mut self, keys: impl IntoIterator<Item = Key>) -> Option<usize> {
        for key in keys {
            let Some(found) = self.by_key.get_mut(&key) else {
                continue;
            };
            while let Some(index) = found.pop_front() {
                if let Some(taken @ false) = self.is_taken.get_mut(index) {
                    *taken = true;
                    return Some(index);
                }
            }
        }
        None
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
    fn rules_that_run_in_another_order_are_moved() {
        use EntryChange::{Changed, Lost, Moved, Same};
        let rule = |action: &str| json!({"action": action, "expression": "a"});
        let (a, b, c) = (rule("block"), rule("log"), rule("challenge"));
        let now = json!([a, b, c]);
        assert_eq!(
            entries(&json!([c, a, b]), Some(&now)),
            [(1, Moved), (2, Same), (3, Same)]
        );
        assert_eq!(
            entries(&json!([b, c]), Some(&now)),
            [(1, Same), (2, Same), (1, Lost)]
        );
        let mut off = c;
        off["enabled"] = json!(false);
        assert_eq!(
            entries(&json!([off, a, b]), Some(&now)),
            [(1, Changed), (2, Same), (3, Same)]
        );
    }

    #[test]
    fn a_rule_twice_continues_one_rule_and_is_new_beside_it() {
        use EntryChange::{Added, Lost, Same};
        let rule = json!({"action": "block", "expression": "a", "id": "r1"});
        let (one, two) = (json!([rule]), json!([rule, rule]));
        assert_eq!(entries(&two, Some(&one)), [(1, Same), (2, Added)]);
        assert_eq!(entries(&one, Some(&two)), [(1, Same), (2, Lost)]);
        let nameless = json!({"action": "block", "expression": "a"});
        let other = json!({"action": "block", "expression": "a", "description": "b"});
        assert_eq!(
            entries(&json!([other]), Some(&json!([nameless, other]))),
            [(1, Same), (1, Lost)]
        );
    }

    #[test]
    fn a_thousand_rules_of_one_deed_are_paired_at_once() {
        let rule =
            |n: usize| json!({"action": "block", "expression": "a", "description": n.to_string()});
        let now: Vec<_> = (0..1000).map(rule).collect();
        let sent: Vec<_> = (0..1000).rev().map(rule).collect();
        let told = entries(&json!(sent), Some(&json!(now)));
        let moved = told
            .iter()
            .filter(|(_, change)| *change == EntryChange::Moved);
        assert_eq!((told.len(), moved.count()), (1000, 999));
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
