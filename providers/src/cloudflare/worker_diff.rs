//! The bindings that a Worker will have beside those that it has.

use super::worker_settings::bindings_of;
use super::{Before, WorkersDeploy};
use ledger::operation::{Entries, Entry, EntryChange, EntryField};
use serde_json::{Map, Value};

impl WorkersDeploy {
    /// The bindings that are named; those that are dropped are among what is lost.
    pub(super) fn entries(&self, before: &Before<'_>) -> Option<Entries> {
        let metadata = self.metadata();
        metadata.get("bindings")?;
        let now = before.object("script").map(bindings_of);
        let is_read = before.is_known("script");
        let entry = |(index, binding): (usize, &Value)| {
            let name = text(binding, "name");
            let mut found = now.unwrap_or_default().iter();
            let found = found.find(|found| text(found, "name") == name);
            Entry {
                number: index + 1,
                change: match found {
                    None if is_read => EntryChange::Added,
                    None => EntryChange::Unknown,
                    Some(_) if text(binding, "type") == "inherit" => EntryChange::Same,
                    Some(found) if stands(binding, found) => EntryChange::Same,
                    Some(_) => EntryChange::Changed,
                },
                fields: ["name", "type"]
                    .map(|field| {
                        let value = text(binding, field).to_owned();
                        let was = found.map(|found| text(found, field).to_owned());
                        EntryField {
                            name: field,
                            was: was.filter(|was| *was != value),
                            value,
                        }
                    })
                    .into(),
                more: more(binding),
                warnings: Vec::new(),
            }
        };
        let entries = bindings_of(&metadata).iter().enumerate().map(entry);
        Some(Entries {
            param: "bindings",
            noun: "binding",
            entries: entries.collect(),
        })
    }
}

fn text<'b>(binding: &'b Value, field: &str) -> &'b str {
    let text = binding.get(field).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// True where each field that is sent is shown with the same value. What is not recorded of it is not known to be
/// the same.
fn stands(binding: &Value, found: &Value) -> bool {
    let mut fields = binding.as_object().into_iter().flatten();
    fields.all(|(name, value)| found.get(name) == Some(value))
}

fn more(binding: &Value) -> Map<String, Value> {
    let fields = binding.as_object().into_iter().flatten();
    fields
        .filter(|(name, _)| !["name", "type"].contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bindings_that_are_gained_are_told_from_those_that_stay() {
        let kv = json!({"type": "kv_namespace", "name": "KV", "namespace_id": "k"});
        let other = json!({"type": "kv_namespace", "name": "KV", "namespace_id": "other"});
        let params = json!({
            "script_name": "s", "script": "export default {}",
            "bindings": [kv, {"type": "d1", "name": "DB", "id": "d"}, {"type": "inherit", "name": "KEY"}],
        });
        let operation = crate::all().parse("workers.deploy.write", "account", "a1", &params);
        let operation = operation.unwrap();
        let changes = |state: Option<&Value>| -> Vec<EntryChange> {
            let before = Before { state, name: None };
            let entries = operation.entries(&before).unwrap().entries.into_iter();
            entries.map(|entry| entry.change).collect()
        };
        use EntryChange::{Added, Changed, Same, Unknown};
        let key = json!({"type": "secret_text", "name": "KEY"});
        let script = |bindings: Value| json!({"script": {"bindings": bindings}});
        assert_eq!(
            changes(Some(&script(json!([kv, key])))),
            [Same, Added, Same]
        );
        assert_eq!(
            changes(Some(&script(json!([other, key])))),
            [Changed, Added, Same]
        );
        assert_eq!(changes(Some(&json!({"script": null}))), [Added; 3]);
        assert_eq!(changes(None), [Unknown; 3]);
    }
}
