//! An operation in one line, naming what was read upstream instead of its id alone.

use ledger::event::PreState;
use ledger::operation::Operation;
use serde_json::Value;

/// Longer texts of upstream's are cut here; the page has them in full below.
const LONGEST: usize = 120;

/// What the operation does. Where its params name an object by id only and that object was read, the
/// line says what it is, and the id after that.
pub(crate) fn headline(operation: &Operation, read: Option<&PreState>) -> String {
    let line = operation.summary();
    let Some((id, described)) = named(operation, read) else {
        return line;
    };
    // The id stands in the part that we write; what an agent wrote comes after it.
    line.replacen(&id, &format!("{described} ({id})"), 1)
}

/// The id in the params, and what was found under it.
fn named(operation: &Operation, read: Option<&PreState>) -> Option<(String, String)> {
    let Some(PreState::Found(found)) = read else {
        return None;
    };
    let found: Value = serde_json::from_str(found).ok()?;
    let params = operation.to_json();
    let id_of = |name: &str| {
        let id = params.pointer(&format!("/params/{name}"))?.as_str()?;
        (!id.is_empty()).then(|| id.to_owned())
    };
    if let (Some(id), Some(record)) = (id_of("record_id"), found.get("record")) {
        return Some((id, record_of(record)?));
    }
    let id = id_of("rule_id")?;
    let rules = found.pointer("/ruleset/rules")?.as_array()?;
    let is_it = |rule: &&Value| rule.get("id").and_then(Value::as_str) == Some(id.as_str());
    let described = rule_of(rules.iter().find(is_it)?)?;
    Some((id, described))
}

/// `A www.example.com 192.0.2.1`
fn record_of(record: &Value) -> Option<String> {
    let parts: Vec<&str> = ["type", "name", "content"]
        .iter()
        .filter_map(|name| record.get(name)?.as_str())
        .collect();
    (!parts.is_empty()).then(|| cut(&parts.join(" ")))
}

/// `"Block bots"`, or its expression where nobody described it.
fn rule_of(rule: &Value) -> Option<String> {
    let text = |name: &str| {
        let text = rule.get(name)?.as_str()?;
        (!text.is_empty()).then_some(text)
    };
    let described = text("description").or_else(|| text("expression"))?;
    Some(format!("\"{}\"", cut(described)))
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const ZONE: &str = "023e105f4ecef8ad9ca31a8372d0c353";
    const ID: &str = "2c0fc9fa937b11eaa1b71c4d701ab86e";

    fn line(operation: &str, params: &Value, found: Option<&Value>) -> String {
        let operation = providers::all()
            .parse(operation, "zone", ZONE, params)
            .unwrap();
        let read = found.map(|found| PreState::Found(found.to_string()));
        headline(&operation, read.as_ref())
    }

    #[test]
    fn a_record_that_was_read_is_named_beside_its_id() {
        let delete = json!({"action": "delete", "record_id": ID});
        let record = json!({"record": {
            "type": "A", "name": "www.example.com", "content": "192.0.2.1", "ttl": 1,
        }});
        let told = line("dns.record.write", &delete, Some(&record));
        assert!(
            told.contains(&format!("A www.example.com 192.0.2.1 ({ID})")),
            "{told}"
        );
        let edit = json!({"action": "edit", "record_id": ID, "type": "A", "content": "192.0.2.2"});
        let told = line("dns.record.write", &edit, Some(&record));
        assert!(told.contains("www.example.com 192.0.2.1"), "{told}");
        for nothing in [None, Some(&json!({"record": null}))] {
            let told = line("dns.record.write", &delete, nothing);
            assert!(told.contains(ID) && !told.contains('('), "{told}");
        }
    }

    #[test]
    fn a_rule_that_was_read_is_named_beside_its_id() {
        let delete = json!({"action": "delete_rule", "ruleset_id": ZONE, "rule_id": ID});
        let ruleset = |rule: Value| json!({"ruleset": {"name": "default", "rules": [rule]}});
        let found = ruleset(json!({"id": ID, "description": "Block bots", "expression": "true"}));
        let told = line("waf.rules.write", &delete, Some(&found));
        assert!(told.contains(&format!("\"Block bots\" ({ID})")), "{told}");
        let found = ruleset(json!({"id": ID, "expression": "(cf.client.bot)"}));
        let told = line("waf.rules.write", &delete, Some(&found));
        assert!(told.contains("(cf.client.bot)"), "{told}");
    }

    #[test]
    fn a_long_text_is_cut() {
        let record = json!({"type": "TXT", "content": "ü".repeat(500)});
        assert!(record_of(&record).unwrap().chars().count() <= LONGEST + 1);
    }
}
