//! What stands upstream where an operation changes something, read in one way for all purposes: for
//! the approver, before the operation is sent, and after an answer was lost.
//!
//! By operation: create a DNS record `{"records": [those of the same name]}`; change one
//! `{"record": {…} | null}`; ssl `{"ssl": {…} | null}`; firewall rules `{"ruleset": {…} | null}`;
//! deploy `{"script": {settings} | null}` and its modules; for the approver, what is shown of them (see
//! `worker_code`).

use super::read_back::{Modules, Reader, Unreadable, ZoneLookup};
use super::worker_code::digest;
use super::{DnsRecordWrite, Params, ScopeId, WafRulesWrite};
use ledger::provider::{Depth, Snapshot, Upstream};
use serde_json::{Map, Value, json};

/// Reads what the operation would change; `None` where nothing of it can be read: reads, and purges.
/// Changes nothing.
pub(super) async fn read_state(
    params: &Params,
    scope: &ScopeId,
    zone: ZoneLookup<'_>,
    depth: Depth,
    upstream: &dyn Upstream,
) -> Result<Option<Snapshot>, Unreadable> {
    let reader = Reader(upstream);
    let value = match params {
        Params::DnsRecordRead(_) | Params::WafRulesRead(_) | Params::CachePurge(_) => {
            return Ok(None);
        }
        Params::DnsRecordWrite(DnsRecordWrite::Create(record)) => {
            let name = record.name().unwrap_or("@");
            json!({"records": reader.read_records(scope, name, zone).await?})
        }
        Params::DnsRecordWrite(
            DnsRecordWrite::Update { record_id, .. }
            | DnsRecordWrite::Edit { record_id, .. }
            | DnsRecordWrite::Delete { record_id },
        ) => json!({"record": reader.read_record(scope, record_id).await?}),
        Params::SslMode(_) => json!({"ssl": reader.read_ssl_mode(scope).await?}),
        Params::WafRulesWrite(
            WafRulesWrite::AddRule { ruleset_id, .. }
            | WafRulesWrite::UpdateRule { ruleset_id, .. }
            | WafRulesWrite::DeleteRule { ruleset_id, .. },
        ) => json!({"ruleset": reader.read_ruleset(scope, ruleset_id).await?}),
        Params::WafRulesWrite(
            WafRulesWrite::FirstRule { phase, .. } | WafRulesWrite::ReplacePhase { phase, .. },
        ) => {
            json!({"ruleset": reader.read_phase(scope, *phase).await?})
        }
        Params::WorkersDeploy(deploy) => {
            let name = deploy.script_name();
            let settings = reader.read_script_settings(scope, name).await?;
            let is_there = settings.is_some();
            let value = json!({"script": settings});
            if depth == Depth::Shown {
                let mut recorded = recorded(value.clone(), None);
                let script = recorded.get_mut("script").and_then(Value::as_object_mut);
                if let Some(script) = script {
                    // A token may be allowed to see settings and no code.
                    let running = reader.read_script(scope, name).await;
                    let running =
                        running.and_then(|found| found.ok_or_else(|| "it is gone".to_owned()));
                    deploy.record_code(script, running, &|text| upstream.redacted(text));
                }
                return Ok(Some(Snapshot::withheld(value, None, recorded)));
            }
            let modules = match is_there {
                true => reader.read_script(scope, name).await?,
                false => None,
            };
            let recorded = recorded(value.clone(), modules.as_ref());
            return Ok(Some(Snapshot::withheld(value, modules, recorded)));
        }
    };
    Ok(Some(Snapshot::new(value)))
}

/// A script as it may be recorded for good: without the values of bindings, since what somebody put there by
/// hand may be as good as a secret, and modules by their digests.
pub(super) fn recorded(mut value: Value, modules: Option<&Modules>) -> Value {
    let bindings = value
        .pointer_mut("/script/bindings")
        .and_then(Value::as_array_mut);
    for binding in bindings.into_iter().flatten() {
        let Some(binding) = binding.as_object_mut() else {
            continue;
        };
        for field in ["text", "json"] {
            if binding.contains_key(field) {
                binding.insert(field.to_owned(), json!("[not recorded]"));
            }
        }
    }
    if let (Some(modules), Some(fields)) = (modules, value.as_object_mut()) {
        let digests: Map<String, Value> = modules
            .iter()
            .map(|(name, content)| (name.clone(), json!(digest(content))))
            .collect();
        fields.insert("modules".to_owned(), Value::Object(digests));
    }
    value
}
