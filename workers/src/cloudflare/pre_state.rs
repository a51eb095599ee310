//! What an operation would change, as it is now; read once for an approval and recorded.

use super::client::CloudflareClient;
use super::read_back::Unreadable;
use ledger::operation::{DnsRecordWrite, Operation, Params, WafRulesWrite};
use serde_json::{Value, json};

/// Largest pre-state that is recorded, in bytes of JSON.
const MOST_BYTES: usize = 256 * 1024;

/// What stands upstream where an operation would change something.
#[derive(Debug, Clone, PartialEq)]
pub enum PreState {
    /// What stands there, by operation:
    /// create a DNS record `{"records": [those of the same name]}`; change one
    /// `{"record": {…} | null}`; ssl `{"ssl": {…} | null}`; firewall rules
    /// `{"ruleset": {…} | null}`; deploy `{"script": {settings} | null}`.
    Value(Value),
    /// It changes nothing that can be read: reads, and purges.
    NotApplicable,
    /// It cannot be read now, and why.
    Unavailable(String),
}

impl CloudflareClient {
    /// Reads what the operation would change. Changes nothing.
    pub async fn read_pre_state(&self, operation: &Operation) -> PreState {
        let scope = &operation.scope.id;
        let found = match &operation.params {
            Params::DnsRecordRead(_) | Params::WafRulesRead(_) | Params::CachePurge(_) => {
                return PreState::NotApplicable;
            }
            Params::DnsRecordWrite(DnsRecordWrite::Create(record)) => {
                let name = record.name().unwrap_or("@");
                self.read_records(scope, name)
                    .await
                    .map(|records| json!({"records": records}))
            }
            Params::DnsRecordWrite(
                DnsRecordWrite::Update { record_id, .. }
                | DnsRecordWrite::Edit { record_id, .. }
                | DnsRecordWrite::Delete { record_id },
            ) => named("record", self.read_record(scope, record_id).await),
            Params::SslMode(_) => named("ssl", self.read_ssl_mode(scope).await),
            Params::WafRulesWrite(
                WafRulesWrite::AddRule { ruleset_id, .. }
                | WafRulesWrite::UpdateRule { ruleset_id, .. }
                | WafRulesWrite::DeleteRule { ruleset_id, .. },
            ) => named("ruleset", self.read_ruleset(scope, ruleset_id).await),
            Params::WafRulesWrite(
                WafRulesWrite::FirstRule { phase, .. } | WafRulesWrite::ReplacePhase { phase, .. },
            ) => named("ruleset", self.read_phase(scope, *phase).await),
            Params::WorkersDeploy(deploy) => {
                let settings = self.read_script_settings(scope, deploy.script_name()).await;
                named(
                    "script",
                    settings.map(|settings| settings.map(without_values)),
                )
            }
        };
        match found {
            Ok(value) if value.to_string().len() <= MOST_BYTES => PreState::Value(value),
            Ok(_) => PreState::Unavailable("too large to be recorded".to_owned()),
            Err(why) => PreState::Unavailable(why),
        }
    }
}

fn named(name: &str, found: Result<Option<Value>, Unreadable>) -> Result<Value, Unreadable> {
    found.map(|value| json!({ name: value }))
}

/// The settings without the values of bindings: what somebody put there by hand may be as good as a
/// secret, and a pre-state is recorded for good.
fn without_values(mut settings: Value) -> Value {
    let bindings = settings.get_mut("bindings").and_then(Value::as_array_mut);
    for binding in bindings
        .into_iter()
        .flatten()
        .filter_map(Value::as_object_mut)
    {
        for field in ["text", "json"] {
            if binding.contains_key(field) {
                binding.insert(field.to_owned(), json!("[not recorded]"));
            }
        }
    }
    settings
}
