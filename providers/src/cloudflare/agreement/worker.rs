//! A Worker beside what was uploaded.

use super::{Field, agrees, whole};
use crate::cloudflare::{EntryPoint, SCRIPT_SETTINGS, WorkersDeploy};
use ledger::event::Agreement;
use ledger::provider::Snapshot;
use serde_json::{Map, Value, json};

pub(super) fn deployed(deploy: &WorkersDeploy, state: &Snapshot) -> Agreement {
    let settings = state.part("script");
    let Some(modules) = state.files().filter(|_| !settings.is_null()) else {
        return Agreement::Differs;
    };
    let code = match (deploy.entry(), deploy.modules(), modules) {
        // Answered as the bare script.
        (EntryPoint::BodyPart(_), [only], [(name, content)]) if name.is_empty() => {
            only.content() == content
        }
        (_, wanted, found) => {
            wanted.len() == found.len()
                && wanted.iter().all(|module| {
                    found
                        .iter()
                        .any(|(name, content)| name == module.name() && content == module.content())
                })
        }
    };
    let metadata = deploy.metadata();
    let others = metadata.iter().map(|(name, wanted)| match name.as_str() {
        name if SCRIPT_SETTINGS.contains(&name) => {
            Field::equal(agrees(wanted, settings.get(name).unwrap_or(&Value::Null)))
        }
        _ => Field::NotShown,
    });
    whole(others.chain([Field::equal(code), bindings(&metadata, settings)]))
}

fn bindings(metadata: &Map<String, Value>, settings: &Value) -> Field {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let found = list(settings.get("bindings"));
    let wanted = list(metadata.get("bindings"));
    let is_inherited = |binding: &Value| binding.get("type") == Some(&json!("inherit"));
    let are_there = wanted.iter().all(|wanted| {
        found.iter().any(|found| {
            if is_inherited(wanted) {
                found.get("name") == wanted.get("name")
            } else {
                binding_agrees(wanted, found)
            }
        })
    });
    let keeps = metadata.contains_key("keep_bindings");
    if !are_there || (!keeps && found.len() != wanted.len()) {
        Field::Other
    } else if keeps || wanted.iter().any(is_inherited) {
        Field::NotShown
    } else {
        Field::Same
    }
}

/// Upstream names some fields in another way than they may be sent, so one that it does not show says
/// nothing; type and name it always shows.
fn binding_agrees(wanted: &Value, found: &Value) -> bool {
    let fields = wanted.as_object().into_iter().flatten();
    ["type", "name"]
        .iter()
        .all(|name| wanted.get(name) == found.get(name))
        && fields
            .into_iter()
            .all(|(name, wanted)| found.get(name).is_none_or(|found| agrees(wanted, found)))
}
