//! Shortcuts: bodies that stand for an apply of one operation.

use super::mistakes::text_of;
use crate::problem::ApiError;
use ledger::Providers;
use ledger::operation::Operation;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

/// A DNS record to be created.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DnsCreateRequest {
    /// The zone.
    scope_id: String,
    /// The record's full name.
    #[schema(example = "www.example.com")]
    name: String,
    /// A, AAAA, CNAME, TXT, …
    #[schema(example = "A")]
    record_type: String,
    /// What it says.
    #[schema(example = "192.0.2.1")]
    content: String,
    /// 1 (automatic) or 60 to 86400 seconds.
    #[serde(default)]
    ttl: Option<i64>,
    /// Whether traffic goes through the proxy.
    #[serde(default)]
    proxied: Option<bool>,
}

/// What to purge from a zone's cache: exactly one of the three.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CachePurgeRequest {
    /// The zone.
    scope_id: String,
    /// Everything.
    #[serde(default)]
    purge_everything: Option<bool>,
    /// URLs, or `{url, headers}`.
    #[serde(default)]
    #[schema(value_type = Option<Vec<String>>)]
    files: Option<Vec<Value>>,
    /// Cache tags.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

/// A Worker script to be uploaded.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct WorkersDeployRequest {
    /// The account.
    scope_id: String,
    /// The script's name.
    script_name: String,
    /// Its source: an ES module or a service worker.
    script: String,
    /// A name for the script, which says that it is an ES module; only where its code does not tell.
    #[serde(default)]
    main_module: Option<String>,
    /// A name for the script, which says that it is a service worker; only where its code does not tell.
    #[serde(default)]
    body_part: Option<String>,
}

/// A shortcut stands for an apply of one operation.
pub(crate) trait Shortcut {
    /// Its operation, completely checked.
    fn operation(self, providers: &Providers) -> Result<Operation, ApiError>;
}

impl Shortcut for DnsCreateRequest {
    fn operation(self, providers: &Providers) -> Result<Operation, ApiError> {
        let mut params = Map::new();
        params.insert("type".to_owned(), self.record_type.into());
        params.insert("name".to_owned(), self.name.into());
        params.insert("content".to_owned(), self.content.into());
        put(&mut params, "ttl", self.ttl);
        put(&mut params, "proxied", self.proxied);
        one("dns.record.write", &self.scope_id, params, providers)
    }
}

impl Shortcut for CachePurgeRequest {
    fn operation(self, providers: &Providers) -> Result<Operation, ApiError> {
        let mut params = Map::new();
        put(&mut params, "purge_everything", self.purge_everything);
        put(&mut params, "files", self.files);
        put(&mut params, "tags", self.tags);
        one("cache.purge.execute", &self.scope_id, params, providers)
    }
}

impl Shortcut for WorkersDeployRequest {
    fn operation(self, providers: &Providers) -> Result<Operation, ApiError> {
        let mut params = Map::new();
        params.insert("script_name".to_owned(), self.script_name.into());
        params.insert("script".to_owned(), self.script.into());
        put(&mut params, "main_module", self.main_module);
        put(&mut params, "body_part", self.body_part);
        one("workers.deploy.write", &self.scope_id, params, providers)
    }
}

fn put<V: Into<Value>>(params: &mut Map<String, Value>, name: &str, value: Option<V>) {
    if let Some(value) = value {
        params.insert(name.to_owned(), value.into());
    }
}

fn one(
    id: &str,
    scope_id: &str,
    params: Map<String, Value>,
    providers: &Providers,
) -> Result<Operation, ApiError> {
    let entry = providers.entry(id).map_err(ApiError::internal)?;
    let asked = json!({
        "operation_id": id,
        "scope_type": entry.scope_type.as_str(),
        "scope_id": scope_id,
        "params": params,
    });
    let operation = providers.read(&asked);
    operation
        .and_then(|operation| operation.check_asked().map(|()| operation))
        .map_err(|_| {
            // The shortcut's fields stand where the params would.
            let mistakes = providers.mistakes(&asked).into_iter();
            text_of(mistakes.map(|why| {
                let why = why.to_string();
                why.strip_prefix("params.").unwrap_or(&why).to_owned()
            }))
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn refused<T>(read: Result<T, ApiError>) -> String {
        match read {
            Ok(_) => panic!("it was read"),
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn shortcuts_are_the_operations_they_stand_for() {
        let dns: DnsCreateRequest = serde_json::from_value(json!({
            "scope_id": "z1", "name": "www.example.com", "record_type": "A",
            "content": "192.0.2.1", "ttl": 300, "proxied": false,
        }))
        .unwrap();
        let long = providers::all()
            .read(&json!({
                "operation_id": "dns.record.write", "scope_type": "zone", "scope_id": "z1",
                "params": {"action": "create", "type": "A", "name": "www.example.com",
                    "content": "192.0.2.1", "ttl": 300, "proxied": false},
            }))
            .unwrap();
        assert_eq!(dns.operation(&providers::all()).unwrap(), long);

        let purge: CachePurgeRequest =
            serde_json::from_value(json!({"scope_id": "z1", "purge_everything": true})).unwrap();
        assert_eq!(
            purge.operation(&providers::all()).unwrap().entry,
            providers::cloudflare::CACHE_PURGE
        );

        let deploy: WorkersDeployRequest = serde_json::from_value(json!({
            "scope_id": "a1", "script_name": "hello", "script": "export default {}",
        }))
        .unwrap();
        assert_eq!(
            deploy.operation(&providers::all()).unwrap().entry,
            providers::cloudflare::WORKERS_DEPLOY
        );
    }

    #[test]
    fn a_shortcut_names_its_own_fields() {
        let dns: DnsCreateRequest = serde_json::from_value(json!({
            "scope_id": "z1", "name": "www.example.com", "record_type": "A",
            "content": "192.0.2.1", "ttl": 7,
        }))
        .unwrap();
        let why = refused(dns.operation(&providers::all()));
        assert!(why.starts_with("ttl"), "{why}");
    }
}
