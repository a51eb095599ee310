//! What stands upstream where an operation changes something, read in one way for all purposes: for
//! the approver, before the operation is sent, and after an answer was lost.

use super::client::CloudflareClient;
use super::read_back::{Modules, Unreadable};
use super::zones::ZoneLookup;
use ledger::canonicalise;
use ledger::operation::{DnsRecordWrite, Operation, Params, WafRulesWrite};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

/// Whether the code of a script is read too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    Settings,
    Code,
}

/// What stands there, by operation: create a DNS record `{"records": [those of the same name]}`; change
/// one `{"record": {…} | null}`; ssl `{"ssl": {…} | null}`; firewall rules `{"ruleset": {…} | null}`;
/// deploy `{"script": {settings} | null}` and its modules.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    value: Value,
    modules: Option<Modules>,
}

impl Snapshot {
    pub(super) const fn new(value: Value, modules: Option<Modules>) -> Self {
        Self { value, modules }
    }

    pub(super) const fn value(&self) -> &Value {
        &self.value
    }

    pub(super) fn modules(&self) -> Option<&[(String, Vec<u8>)]> {
        self.modules.as_deref()
    }

    /// As it may be recorded for good: without the values of bindings, since what somebody put there by
    /// hand may be as good as a secret, and modules by their digests.
    #[must_use]
    pub fn recorded(&self) -> Value {
        let mut value = self.value.clone();
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
        if let (Some(modules), Some(fields)) = (&self.modules, value.as_object_mut()) {
            let digests: Map<String, Value> = modules
                .iter()
                .map(|(name, content)| (name.clone(), json!(hex::encode(Sha256::digest(content)))))
                .collect();
            fields.insert("modules".to_owned(), Value::Object(digests));
        }
        value
    }

    /// Hex SHA-256 of what is recorded, in canonical JSON (RFC 8785).
    #[must_use]
    pub fn digest(&self) -> String {
        let recorded = self.recorded();
        let text = canonicalise(&recorded).unwrap_or_else(|_| recorded.to_string().into());
        hex::encode(Sha256::digest(text))
    }
}

impl CloudflareClient {
    /// Reads what the operation would change; `None` where nothing of it can be read: reads, and purges.
    /// Changes nothing.
    pub(super) async fn read_state(
        &self,
        operation: &Operation,
        zone: ZoneLookup<'_>,
        depth: Depth,
    ) -> Result<Option<Snapshot>, Unreadable> {
        let scope = &operation.scope.id;
        let mut modules = None;
        let value = match &operation.params {
            Params::DnsRecordRead(_) | Params::WafRulesRead(_) | Params::CachePurge(_) => {
                return Ok(None);
            }
            Params::DnsRecordWrite(DnsRecordWrite::Create(record)) => {
                let name = record.name().unwrap_or("@");
                json!({"records": self.read_records(scope, name, zone).await?})
            }
            Params::DnsRecordWrite(
                DnsRecordWrite::Update { record_id, .. }
                | DnsRecordWrite::Edit { record_id, .. }
                | DnsRecordWrite::Delete { record_id },
            ) => json!({"record": self.read_record(scope, record_id).await?}),
            Params::SslMode(_) => json!({"ssl": self.read_ssl_mode(scope).await?}),
            Params::WafRulesWrite(
                WafRulesWrite::AddRule { ruleset_id, .. }
                | WafRulesWrite::UpdateRule { ruleset_id, .. }
                | WafRulesWrite::DeleteRule { ruleset_id, .. },
            ) => json!({"ruleset": self.read_ruleset(scope, ruleset_id).await?}),
            Params::WafRulesWrite(
                WafRulesWrite::FirstRule { phase, .. } | WafRulesWrite::ReplacePhase { phase, .. },
            ) => {
                json!({"ruleset": self.read_phase(scope, *phase).await?})
            }
            Params::WorkersDeploy(deploy) => {
                let name = deploy.script_name();
                let settings = self.read_script_settings(scope, name).await?;
                if depth == Depth::Code && settings.is_some() {
                    modules = self.read_script(scope, name).await?;
                }
                json!({"script": settings})
            }
        };
        Ok(Some(Snapshot::new(value, modules)))
    }
}
